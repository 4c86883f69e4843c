package controlplane

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	"k8s.io/client-go/tools/clientcmd"
)

// The range lies below the ports that Linux, macOS and Windows give to outgoing connections: a port from there could be
// taken by a connection of etcd's or the API server's own in the second before the component binds it.
const (
	firstPort = 20000
	lastPort  = 32000
)

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
