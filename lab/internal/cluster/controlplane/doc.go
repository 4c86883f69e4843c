// Package controlplane runs a real Kubernetes control plane on one machine, without containers and without privileges.
//
// etcd and kube-apiserver are started through controller-runtime's envtest; kube-controller-manager, kube-scheduler and
// KWOK beside them make workloads come alive: Deployments get pods, pods get nodes, and KWOK reports them Running although
// nothing is executed. So everything that waits for readiness (a Helm Release, a rollout) waits for the real conditions.
//
// Everything listens on 127.0.0.1 only and everything written lies under [ControlPlane.Dir]. Certificates, the
// service-account signing key, etcd's data and, as long as nobody else took it, the API server's port survive a restart:
// a kubeconfig handed out before stays valid, which matters because Pulumi keeps it in the state of other stacks.
package controlplane
