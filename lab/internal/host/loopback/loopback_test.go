package loopback_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

func start(t *testing.T, handler http.HandlerFunc) (server *loopback.Server, address string) {
	t.Helper()
	listener, err := loopback.Listen(t.Context(), "the test's server", 0)
	require.NoError(t, err)
	server = listener.Serve(handler, log.New(io.Discard, "", 0))
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	return server, listener.Address()
}

func TestUnit_OnlyThisMachineReachesTheServer(t *testing.T) {
	t.Parallel()
	_, address := start(t, http.NotFound)
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1", host)
	interfaces, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, other := range interfaces {
		if network, ok := other.(*net.IPNet); ok && !network.IP.IsLoopback() && network.IP.To4() != nil {
			_, err := net.Dial("tcp", net.JoinHostPort(network.IP.String(), port))
			require.Error(t, err, "it is reached through %s", network.IP)
		}
	}
	taken, err := strconv.Atoi(port)
	require.NoError(t, err)
	_, err = loopback.Listen(t.Context(), "another", taken)
	require.ErrorContains(t, err, "another cannot listen on "+address)
}

func TestUnit_StoppingWaitsForRequestsAndForNothingElse(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	server, address := start(t, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		_, err := io.WriteString(w, "done")
		assert.NoError(t, err)
	})
	unused, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer unused.Close()
	said := make(chan string)
	go func() {
		defer close(said)
		response, err := http.Get("http://" + address)
		if assert.NoError(t, err) {
			body, err := io.ReadAll(response.Body)
			assert.NoError(t, err)
			assert.NoError(t, response.Body.Close())
			said <- string(body)
		}
	}()
	<-asked
	stopped := make(chan error, 1)
	began := time.Now()
	go func() { stopped <- server.Stop() }()
	// When the server closes this connection, it is about to stop.
	_, err = unused.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	close(answer)
	assert.Equal(t, "done", <-said)
	require.NoError(t, <-stopped)
	assert.Less(t, time.Since(began), 4*time.Second)
	require.NoError(t, server.Stop())
}
