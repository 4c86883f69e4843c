package process

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asChild makes the test binary a process that listens on the address until it gets a signal.
const asChild = "GRIDOS_TEST_LISTEN"

// ignoresSignals makes it deaf to the signal.
const ignoresSignals = "GRIDOS_TEST_DEAF"

func TestMain(m *testing.M) {
	if address := os.Getenv(asChild); address != "" {
		if os.Getenv(ignoresSignals) != "" {
			signal.Ignore(syscall.SIGTERM)
		}
		listener, err := net.Listen("tcp4", address)
		fmt.Println("listening", err)
		if err != nil {
			os.Exit(1)
		}
		for {
			if _, err := listener.Accept(); err != nil {
				os.Exit(1)
			}
		}
	}
	os.Exit(m.Run())
}

func child(t *testing.T, address string) *Process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return &Process{
		Name: "listener", Path: self, Env: []string{asChild + "=" + address},
		Log: filepath.Join(t.TempDir(), "log"), Ready: "tcp://" + address,
	}
}

func TestUnit_AKilledProcessIsReportedAndCanBeStartedAgain(t *testing.T) {
	t.Parallel()
	ports, err := FreePorts(2)
	require.NoError(t, err)
	assert.NotEqual(t, ports[0], ports[1])
	p := child(t, HostPort(ports[0]))
	assert.Zero(t, p.PID())
	require.NoError(t, p.Stop(), "it was never started")
	require.NoError(t, p.Start(t.Context()))
	assert.False(t, IsFree(ports[0]))
	first := p.PID()
	ended := make(chan error, 1)
	go p.Watch(ended)
	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	err = <-ended
	require.ErrorContains(t, err, "listener stopped by itself: signal: killed")
	require.ErrorContains(t, err, "listening <nil>", "the end of its log")

	require.NoError(t, p.Start(t.Context()))
	assert.NotEqual(t, first, p.PID())
	watched := make(chan struct{})
	go func() {
		p.Watch(ended)
		close(watched)
	}()
	require.NoError(t, p.Stop())
	<-watched
	assert.Empty(t, ended, "an end that was asked for is none to report")
	assert.True(t, IsFree(ports[0]))
}

func TestUnit_AProcessCanBeEndedByForce(t *testing.T) {
	t.Parallel()
	ports, err := FreePorts(1)
	require.NoError(t, err)
	p := child(t, HostPort(ports[0]))
	require.NoError(t, p.Kill(), "it was never started")
	p.Env = append(p.Env, ignoresSignals+"=yes")
	require.NoError(t, p.Start(t.Context()))
	watched, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		p.Watch(ended)
		close(watched)
	}()
	began := time.Now()
	require.NoError(t, p.Kill())
	<-watched
	assert.Less(t, time.Since(began), StopTimeout, "it is given no time to end by itself")
	assert.Empty(t, ended, "an end that was asked for is none to report")
	assert.True(t, IsFree(ports[0]))
}

func TestUnit_AProcessThatDoesNotGetReadySaysWhy(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp4", HostPort(0))
	require.NoError(t, err)
	defer taken.Close()
	free, err := FreePorts(1)
	require.NoError(t, err)

	p := child(t, taken.Addr().String())
	p.Ready = "tcp://" + HostPort(free[0])
	err = p.Start(t.Context())
	require.ErrorContains(t, err, "ended while starting")
	require.ErrorContains(t, err, "address already in use")

	require.ErrorContains(t, child(t, taken.Addr().String()).Start(t.Context()), "another program listens on "+taken.Addr().String())

	ports, err := FreePorts(1)
	require.NoError(t, err)
	slow := child(t, HostPort(ports[0]))
	slow.Ready = "http://" + HostPort(ports[0]) + "/" // it never answers
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(t, slow.Start(ctx), context.DeadlineExceeded)
	require.NoError(t, slow.Stop())
}

func TestUnit_ThePortOfAnEarlierStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp4", HostPort(0))
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	assert.False(t, IsFree(port))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	assert.False(t, BecomesFree(cancelled, port))
	time.AfterFunc(100*time.Millisecond, func() { assert.NoError(t, listener.Close()) })
	assert.True(t, BecomesFree(t.Context(), port))
}

func TestUnit_TheTailOfALogIsItsLastLines(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	assert.Contains(t, Tail(file), "cannot be read")
	out, err := os.Create(file)
	require.NoError(t, err)
	w := bufio.NewWriter(out)
	for i := range 10000 {
		_, err := fmt.Fprintln(w, "line", i)
		require.NoError(t, err)
	}
	require.NoError(t, w.Flush())
	require.NoError(t, out.Close())
	tail := Tail(file)
	assert.Contains(t, tail, "line 9999")
	assert.NotContains(t, tail, "line 9900")
}
