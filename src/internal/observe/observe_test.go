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
