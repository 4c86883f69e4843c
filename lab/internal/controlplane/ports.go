package controlplane

import (
	"context"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/gridos/sharedinfra/lab/internal/process"
)

// portReleaseTimeout bounds the wait for the port of an earlier start. A port that somebody else took meanwhile costs it too.
const portReleaseTimeout = 3 * time.Second

// becomesFree says whether nobody listens on a port, soon: a process that was killed is gone from the list of processes a moment
// before its sockets are, a long moment on a busy machine.
func becomesFree(ctx context.Context, port int) bool {
	deadline := time.NewTimer(portReleaseTimeout)
	defer deadline.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for !process.IsFree(port) {
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
