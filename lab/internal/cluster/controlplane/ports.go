package controlplane

import "k8s.io/client-go/tools/clientcmd"

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
