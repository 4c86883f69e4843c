package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// Loopback is the address that everything listens on.
const Loopback = "127.0.0.1"

// The range lies below the ports that Linux, macOS and Windows give to outgoing connections: a port from there could be
// taken by a connection of etcd's or the API server's own in the second before the component binds it.
const (
	firstPort = 20000
	lastPort  = 32000
)

// FreePorts finds n different ports on Loopback that nobody listens on.
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

// IsFree tells whether nobody listens on a port of Loopback.
func IsFree(port int) bool {
	listener, err := net.Listen("tcp4", HostPort(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// portReleaseTimeout bounds the wait for the port of an earlier start. A port that somebody else took meanwhile costs it too.
const portReleaseTimeout = 3 * time.Second

// BecomesFree tells whether nobody listens on a port of Loopback, soon: a process that was killed is gone from the list of processes a
// moment before its sockets are, a long moment on a busy machine.
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

// HostPort is the address of a port of Loopback, as host:port.
func HostPort(port int) string { return net.JoinHostPort(Loopback, strconv.Itoa(port)) }
