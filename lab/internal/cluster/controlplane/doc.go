// Package controlplane runs a real Kubernetes control plane on one machine, without containers and
// without privileges.
//
// Beside etcd and kube-apiserver, kube-controller-manager, kube-scheduler and the lab's node agent
// bring workloads to life: Deployments get pods, pods get nodes, and the agent runs them, or
// reports them ready where nothing can be executed. So a client that waits for readiness (a Helm
// Release, a rollout) waits for the real conditions.
//
// All components listen on 127.0.0.1 only, and all files are under [ControlPlane.Dir]. These
// survive a restart: the certificates, the service-account signing key, etcd's data and, unless
// another program has taken it, the API server's port. So a kubeconfig that was handed out before
// stays valid. This matters because Pulumi keeps it in the state of other stacks.
package controlplane
