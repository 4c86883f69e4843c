package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cli"
)

func TestUnit_ASmokeTestSaysWhereARequestEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		code   int
		says   string
	}{
		"the service":                {200, `{"substations":[{"id":"nord"},{"id":"sued"}]}`, 0, "answers, with 2 substations"},
		"the service, new":           {200, `{"substations":[]}`, 0, "answers, with 0 substations"},
		"another service":            {200, `{"status":"ok"}`, cli.Failed, "correct --url"},
		"a page":                     {200, `<html>`, cli.Failed, "correct --url"},
		"half an answer":             {200, `{"substations":[`, cli.Failed, "breaks off"},
		"the firewall":               {403, "", cli.Failed, "the firewall of the Application Gateway refused it"},
		"the mesh without a route":   {404, "", cli.Failed, "has no route"},
		"the service, with an error": {500, "", cli.Failed, "500 Internal Server Error: see the log of the service"},
		"ports that disagree":        {502, "", cli.Failed, "gridos-edge and aks-istio-ingressgateway-internal in the namespace aks-istio-ingress"},
		"the mesh without a pod":     {503, "", cli.Failed, "no pod of the service takes requests"},
		"the time that is over":      {504, "", cli.Failed, "did not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/api/v1/substations", r.URL.Path)
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			code, output := smoke(t, "--url", server.URL+"/", "--wait", "0")
			assert.Equal(t, test.code, code)
			assert.Contains(t, output, test.says)
		})
	}
}

// Only listed networks read in test and prod, and a runner of the pipeline is in none of them.
func TestUnit_ASmokeTestIsContentWithTheServicesOwnRefusal(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"status":403}`)
	}))
	defer server.Close()
	code, output := smoke(t, "--url", server.URL, "--wait", "0")
	assert.Zero(t, code, output)
	assert.Contains(t, output, "refuses readers from here")
	deafly(t, "smoke", "--url", server.URL, "--wait", "0")
}

func TestUnit_ASmokeTestWaitsForAService(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, `{"substations":[]}`)
	}))
	code, output := smoke(t, "--url", server.URL, "--wait", "20s")
	assert.Zero(t, code, output)
	assert.EqualValues(t, 3, asked.Load())
	server.Close()
	code, output = smoke(t, "--url", server.URL, "--wait", "10ms")
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, output, "no answer from the Application Gateway")
}

func TestUnit_ASmokeTestRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{
		{},
		{"--url", "gridos.example.com"},
		{"--url", "ftp://gridos.example.com"},
		{"--url", "https://me:hidden@x"},
		{"--url", "https://x", "--wait", "-1s"},
	} {
		code, output := smoke(t, arguments...)
		assert.Equal(t, cli.Mistake, code, "%v: %s", arguments, output)
		assert.NotContains(t, output, "hidden")
	}
}

func smoke(t *testing.T, arguments ...string) (code int, output string) {
	t.Helper()
	code, output = runs(t, append([]string{"smoke"}, arguments...)...)
	require.NotEmpty(t, output)
	return code, output
}

// The promoted version is the one that all users get, not that of a canary, and not one that was
// aborted.
func TestUnit_ASmokeTestTellsWhichVersionUsersGet(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/v1/substations":
			_, _ = io.WriteString(w, `{"substations":[]}`)
		case r.Header.Get("gridos-revision") == "stable":
			_, _ = io.WriteString(w, `{"version":"dev-abc1234"}`)
		default:
			_, _ = io.WriteString(w, `{"version":"dev-def5678"}`)
		}
	}))
	defer server.Close()
	code, output := smoke(t, "--url", server.URL, "--wait", "0", "--serves", "dev-abc1234")
	assert.Zero(t, code, output)
	code, output = smoke(t, "--url", server.URL, "--wait", "0", "--serves", "dev-def5678")
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, output, `serves "dev-abc1234" and not dev-def5678: its release is not through, was aborted`)

	leaving := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		_, _ = io.WriteString(w, `{"substations":[]}`)
	}))
	defer leaving.Close()
	code, output = smoke(t, "--url", leaving.URL, "--wait", "0", "--serves", "dev-abc1234")
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, output, "no answer from the Application Gateway")

	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"substations":[]}`)
	}))
	defer old.Close()
	code, output = smoke(t, "--url", old.URL, "--wait", "0", "--serves", "dev-def5678")
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, output, "answers 404 Not Found and no version")
}
