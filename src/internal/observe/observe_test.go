package observe_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/observe"
)

// A canary whose handlers panic must be seen to fail.
func TestUnit_APanicIsAnAnswerAndCounted(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /broken/{id}", func(http.ResponseWriter, *http.Request) { panic("the reason") })
	handler := observe.NewRequests(registry, slog.New(slog.NewJSONHandler(&log, nil))).Handler(mux)

	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/broken/1", http.NoBody))
	assert.Equal(t, http.StatusInternalServerError, answer.Code)
	assert.NotContains(t, answer.Body.String(), "the reason", "it is for the log")
	assert.Contains(t, log.String(), "the reason")
	require.NoError(t, testutil.GatherAndCompare(registry, bytes.NewBufferString(`
# HELP gridos_http_requests_total Requests of users by method, route and status code.
# TYPE gridos_http_requests_total counter
gridos_http_requests_total{code="500",method="GET",route="/broken/{id}"} 1
`), "gridos_http_requests_total"))

	// Clients must not be able to create endless metrics.
	for _, method := range []string{"ABC", "DEF"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, "/"+method, http.NoBody))
	}
	assert.Equal(t, 2, testutil.CollectAndCount(registry, "gridos_http_requests_total"))
}

// The three logs of one request are found by these: the mesh's by both, the Application Gateway's
// by the second.
func TestUnit_TheLogHasTheIdsOfTheMeshAndOfTheGateway(t *testing.T) {
	t.Parallel()
	const id, transaction = "5c2f3b0e-6a0f-4d36-8a57-1f7e1f2f3a44", "ac882cd65a2712a0fe1289ec2bb6aee7"
	for name, test := range map[string]struct{ sent, logged string }{
		"through the gateway": {transaction, `"transaction":"` + transaction + `"`},
		"by another way":      {"", ""},
		"of a client":         {"{\"msg\":\"forged\"}", ""},
	} {
		var log bytes.Buffer
		handler := observe.NewRequests(prometheus.NewRegistry(), slog.New(slog.NewJSONHandler(&log, nil))).Handler(http.NotFoundHandler())
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/nothing", http.NoBody)
		request.Header.Set("X-Request-Id", id)
		request.Header.Set("X-Appgw-Trace-Id", test.sent)
		handler.ServeHTTP(httptest.NewRecorder(), request)
		assert.Contains(t, log.String(), `"request":"`+id+`"`, name)
		if test.logged == "" {
			assert.NotContains(t, log.String(), "transaction", name)
			continue
		}
		assert.Contains(t, log.String(), test.logged, name)
	}
}
