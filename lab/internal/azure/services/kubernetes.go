package services

import "context"

// Kubernetes is the implementation behind a simulated AKS cluster.
type Kubernetes interface {
	// Kubeconfig returns a kubeconfig for the cluster's API server, waiting until the server is
	// ready.
	Kubeconfig(ctx context.Context) ([]byte, error)
	// SetNodes makes nodes the whole node set of the cluster: it adds missing ones and removes
	// others. It is called when a cluster or an agent pool is created, updated or deleted; deleting
	// the cluster sets no nodes.
	SetNodes(ctx context.Context, nodes []Node) error
	// SetIngressGateways makes gateways the ingress gateways of the cluster's service mesh. It is
	// called when a cluster is created, updated or deleted; a cluster without a mesh has none.
	SetIngressGateways(ctx context.Context, gateways []IngressGateway) error
}

// Node is a node that the cluster should have.
type Node struct {
	// Name is unique in the cluster, such as aks-system-00000000-vmss000000.
	Name string
	// Pool is the name of the agent pool, and Mode its mode: System or User.
	Pool, Mode string
	// VMSize is the size of the virtual machine, such as Standard_D4s_v5.
	VMSize string
	// Zone is <location>-<zone>, such as westeurope-1, or "" for a pool without availability zones.
	Zone string
	// Labels are those that AKS sets and those of the pool.
	Labels map[string]string
	// Taints are in the form key=value:Effect.
	Taints []string
}

// behind has the implementation behind AKS.
type behind struct {
	// Kubernetes may be nil.
	Kubernetes
	// strictCounts refuses a number of nodes that differs from that of an autoscaled pool.
	strictCounts bool
}
