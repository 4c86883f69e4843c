package controlplane

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// The range lies below the ports that Linux, macOS and Windows give to outgoing connections: a port from there could be
// taken by a connection of etcd's or the API server's own in the second before the component binds it.
const (
	firstPort = 20000
	lastPort  = 32000
)

// portReleaseTimeout bounds the wait for the port of an earlier start. A port that somebody else took meanwhile costs it too.
const portReleaseTimeout = 3 * time.Second

// freePorts finds n different ports on loopback that nobody listens on.
func freePorts(n int) ([]int, error) {
	const tries = 200
	ports := map[int]bool{}
	for range tries {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // which port is tried is no secret
		if isFree(port) {
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
	return nil, fmt.Errorf("no %d free ports on %s between %d and %d after %d tries", n, loopback, firstPort, lastPort, tries)
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp4", hostPort(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// becomesFree says whether nobody listens on a port, soon: a process that was killed is gone from the list of processes a moment
// before its sockets are, a long moment on a busy machine.
func becomesFree(ctx context.Context, port int) bool {
	deadline := time.NewTimer(portReleaseTimeout)
	defer deadline.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for !isFree(port) {
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

func hostPort(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// portOf is the port of the server that a kubeconfig file of an earlier start points to, or 0.
func portOf(file string) int {
	config, err := clientcmd.LoadFromFile(file)
	if err != nil {
		return 0 // no earlier start, or one interrupted: any port will do
	}
	cluster := config.Clusters[clusterName]
	if cluster == nil {
		return 0
	}
	_, port, err := splitServer(cluster.Server)
	if err != nil {
		return 0
	}
	return port
}
