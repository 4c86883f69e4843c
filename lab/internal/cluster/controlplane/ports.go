package controlplane

import (
	"context"
	"net/url"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// address returns the URL of the API server: that of an earlier start, or, if there was none or
// another program has taken its port since, one with the given port.
func (l layout) address(ctx context.Context, port int) *url.URL {
	if before := portOf(l.kubeconfig(adminUser.name)); before != 0 && process.BecomesFree(ctx, before) {
		port = before
	}
	return &url.URL{Scheme: "https", Host: process.HostPort(port)}
}

// portOf returns the port of the server in a kubeconfig file of an earlier start, or 0.
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
