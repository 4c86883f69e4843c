package smoke_test

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/pgtest"
	"github.com/gridos/sharedinfra/src/internal/servicetest"
	"github.com/gridos/sharedinfra/src/internal/settings"
	"github.com/gridos/sharedinfra/src/internal/smoke"
)

var shared pgtest.Shared

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

// gateway answers as the mesh's does with the routes of the VirtualService gridos.
func gateway(t *testing.T, private []string, to string) string {
	t.Helper()
	service, err := url.Parse(to)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(service); r.SetXForwarded() }})
	for _, path := range private {
		mux.Handle(path, http.NotFoundHandler())
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestService_AServiceBehindItsGatewayPasses(t *testing.T) {
	t.Parallel()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	replica := servicetest.Start(t, settings.Settings{Database: shared.Database(t), ReadNetworks: loopback, ProxyNetworks: loopback})
	replica.Ready(t, true)
	address := gateway(t, []string{"/metrics", "/healthz", "/readyz"}, replica.URL)
	require.NoError(t, smoke.Run(t.Context(), address+"/", time.Minute, slog.New(slog.DiscardHandler)))

	open := gateway(t, []string{"/healthz", "/readyz"}, replica.URL)
	err := smoke.Run(t.Context(), open, 0, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "GET /metrics: 200 OK, and users should get nothing (404): a route of the gateway is gone")
	assert.NotContains(t, err.Error(), "GET /version", "only what is wrong")
}

func TestUnit_WhatUsersMissIsNamed(t *testing.T) {
	t.Parallel()
	answer := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	good := map[string]http.HandlerFunc{
		"/version": answer(200, "application/json", `{"version": "dev-abc1234"}`), "/{$}": answer(200, "text/html", "<html>"),
		"/api/v1/substations": answer(200, "application/json", `{"substations": []}`),
	}
	for name, c := range map[string]struct {
		path    string
		handler http.HandlerFunc
		want    string
	}{
		"the route is gone":         {"/version", nil, "GET /version: 404 Not Found, and users should get a version (200): the gateway has no route"},
		"another service":           {"/version", answer(200, "text/html", "welcome"), "GET /version: the answer is not a version"},
		"no pods":                   {"/{$}", answer(503, "text/plain", "no healthy upstream"), "GET /: 503 Service Unavailable"},
		"no page":                   {"/{$}", answer(200, "text/plain", ""), "GET /: the answer is not the page"},
		"readers are refused":       {"/api/v1/substations", answer(403, "application/json", "{}"), "READ_NETWORKS"},
		"no list":                   {"/api/v1/substations", answer(200, "application/json", `{}`), "the answer is not the substations"},
		"probes are reachable":      {"/readyz", answer(200, "application/json", `{}`), "GET /readyz: 200 OK"},
		"a redirect to another way": {"/version", http.RedirectHandler("https://example.com", http.StatusFound).ServeHTTP, "GET /version: 302 Found"},
	} {
		handlers := maps.Clone(good)
		handlers[c.path] = c.handler
		mux := http.NewServeMux()
		for path, handler := range handlers {
			if handler != nil {
				mux.Handle(path, handler)
			}
		}
		server := httptest.NewServer(mux)
		require.ErrorContains(t, smoke.Run(t.Context(), server.URL, 0, slog.New(slog.DiscardHandler)), c.want, name)
		server.Close()
	}
	require.ErrorContains(t, smoke.Run(t.Context(), "http://127.0.0.1:1", 0, slog.New(slog.DiscardHandler)), "no answer: ")
}

func TestUnit_AServiceMayTakeAMomentToAnswer(t *testing.T) {
	t.Parallel()
	began, asked := time.Now(), 0
	mux := http.NewServeMux()
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"version": "v1"}`))
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") })
	mux.HandleFunc("/api/v1/substations", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"substations": []}`)) })
	server := httptest.NewServer(mux)
	defer server.Close()
	require.NoError(t, smoke.Run(t.Context(), server.URL, 2*time.Second, slog.New(slog.DiscardHandler)))
	assert.Equal(t, 3, asked)
	assert.Less(t, time.Since(began), 2*time.Second)
}
