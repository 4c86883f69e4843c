// Package servicetest runs replicas of the service for tests, in the process of the test and on a
// port of loopback.
package servicetest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/service"
	"github.com/gridos/sharedinfra/src/internal/settings"
)

// Replica is a running replica.
type Replica struct {
	// URL is its address.
	URL string
	// Log is what it has logged.
	Log *Log

	stop func()
	done chan error
}

// Start runs a replica until the test ends or Stop is called. Set only the settings that the test
// is about; the others get defaults.
func Start(t testing.TB, s settings.Settings) *Replica {
	t.Helper()
	if s.Retention == 0 {
		s.Retention = 48 * time.Hour
	}
	if s.ReadNetworks == nil {
		s.ReadNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	log := new(Log)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	replica, err := service.New(ctx, s, "v1.2.3-test", slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: s.LogLevel})))
	require.NoError(t, err)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &Replica{URL: "http://" + listener.Addr().String(), Log: log, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- replica.Run(ctx, listener) }()
	t.Cleanup(func() {
		r.stop()
		if err, running := <-r.done; running {
			require.NoError(t, err)
		}
		if t.Failed() {
			t.Logf("the log of %s:\n%s", r.URL, log)
		}
	})
	return r
}

// Terminate is what SIGTERM does.
func (r *Replica) Terminate() { r.stop() }

// Stop terminates the replica and waits for its end.
func (r *Replica) Stop(t testing.TB) {
	t.Helper()
	r.stop()
	require.NoError(t, <-r.done)
	close(r.done)
}

// Ready waits until the replica says that it is ready, or that it is not.
func (r *Replica) Ready(t testing.TB, want bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, _ := r.Get(t, "/readyz")
		return (status == http.StatusOK) == want
	}, 30*time.Second, 20*time.Millisecond, "ready: %v", want)
}

// Get returns the status and the body of a path.
func (r *Replica) Get(t testing.TB, path string) (int, string) {
	t.Helper()
	response, body := r.Do(t, http.MethodGet, path, nil, nil) //nolint:bodyclose // Do has read and closed it
	return response.StatusCode, body
}

// Do sends a request: a body that is a string as it is, and anything else as JSON.
func (r *Replica) Do(t testing.TB, method, path string, body any, header http.Header) (*http.Response, string) {
	t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		require.NoError(t, err)
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, content)
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(answer)
}

// Must is Do for a request that has to succeed.
func (r *Replica) Must(t testing.TB, method, path string, body any) string {
	t.Helper()
	response, answer := r.Do(t, method, path, body, nil) //nolint:bodyclose // Do has read and closed it
	require.Equal(t, http.StatusOK, response.StatusCode, "%s %s: %s", method, path, answer)
	return answer
}

// Log collects the log.
type Log struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *Log) Write(line []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(line)
}

// String is all that has been logged, a JSON object per line.
func (l *Log) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}
