package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// Loopback is the address on which all components listen.
const Loopback = "127.0.0.1"

// The range is below the ports that Linux, macOS and Windows give to outgoing connections. A port
// from there could be taken by a connection of etcd or the API server in the second before the
// component binds it.
const (
	firstPort = 20000
	lastPort  = 32000
)

// FreePorts finds n different ports on Loopback on which no process listens.
func FreePorts(n int) ([]int, error) {
	const tries = 200
	ports := map[int]bool{}
	for range tries {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // which port is tried is no secret
		if IsFree(port) {
			ports[port] = true
		}
		if len(ports) == n {
			found := make([]int, 0, n)
			for port := range ports {
				found = append(found, port)
			}
			return found, nil
		}
	}
	return nil, fmt.Errorf("no %d free ports on %s between %d and %d after %d tries", n, Loopback, firstPort, lastPort, tries)
}

// IsFree reports whether no process listens on a port of Loopback.
func IsFree(port int) bool {
	listener, err := net.Listen("tcp4", HostPort(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// portReleaseTimeout bounds the wait for the port of an earlier start. If another process has taken
// the port, the whole timeout passes.
const portReleaseTimeout = 3 * time.Second

// BecomesFree reports whether a port of Loopback is free now or becomes free soon. A killed process
// disappears from the list of processes a moment before its sockets do, a long moment on a busy
// machine.
func BecomesFree(ctx context.Context, port int) bool {
	deadline := time.NewTimer(portReleaseTimeout)
	defer deadline.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for !IsFree(port) {
		select {
		case <-ctx.Done():
			return false
		case <-deadline.C:
			return false
		case <-ticker.C:
		}
	}
	return true
}

// HostPort returns the address of a port of Loopback, as host:port.
func HostPort(port int) string { return net.JoinHostPort(Loopback, strconv.Itoa(port)) }
