package nodeagent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	applycoordinationv1 "k8s.io/client-go/applyconfigurations/coordination/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	// leaseDuration and its quarter, the time between two renewals, are the kubelet's defaults
	// (Kubernetes 1.35, pkg/kubelet/apis/config/v1beta1/defaults.go).
	leaseDuration = 40 * time.Second
	// nodeAddress is the address of every node for the API server.
	nodeAddress = "127.0.0.1"
)

// nodes makes nodes ready, and keeps them so.
type nodes struct {
	agent  *Agent
	client kubernetes.Interface
	lister cache.Store
}

// watchNodes makes each node that appears ready.
func (a *Agent) watchNodes(informer cache.SharedIndexInformer) (*nodes, error) {
	n := &nodes{agent: a, client: a.client, lister: informer.GetStore()}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			if node, ok := object.(*corev1.Node); ok {
				go n.begin(a.watching, node.DeepCopy())
			}
		},
	})
	return n, err
}

// begin does what a kubelet does when it registers: it renews the lease and reports Ready.
func (n *nodes) begin(ctx context.Context, node *corev1.Node) {
	err := errors.Join(n.lease(ctx, node), n.ready(ctx, node))
	if err != nil && ctx.Err() == nil {
		n.agent.note(err, "a node does not become ready", "node", node.Name)
	}
}

func (n *nodes) ready(ctx context.Context, node *corev1.Node) error {
	for {
		now := metav1.Now()
		node.Status.Conditions = nil
		for _, c := range []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "the lab's node agent is ready"},
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory"},
			{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
			{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID"},
			{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionFalse, Reason: "RouteCreated"},
		} {
			c.LastHeartbeatTime, c.LastTransitionTime = now, now
			node.Status.Conditions = append(node.Status.Conditions, c)
		}
		node.Status.Phase = corev1.NodeRunning
		node.Status.Addresses = []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: nodeAddress}, {Type: corev1.NodeHostName, Address: node.Name},
		}
		node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(n.agent.options.Port)
		node.Status.NodeInfo.OperatingSystem, node.Status.NodeInfo.Architecture = "linux", "amd64"
		node.Status.NodeInfo.ContainerRuntimeVersion = "gridos-lab"
		_, err := n.client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case !apierrors.IsConflict(err):
			return err
		}
		if node, err = n.client.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{}); err != nil {
			return ignoreMissing(err)
		}
	}
}

// renew renews the leases of all nodes until ctx is done.
func (n *nodes) renew(ctx context.Context) {
	ticker := time.NewTicker(leaseDuration / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, object := range n.lister.List() {
			if node, ok := object.(*corev1.Node); ok {
				if err := n.lease(ctx, node); err != nil && ctx.Err() == nil {
					n.agent.note(err, "a lease is not renewed", "node", node.Name)
				}
			}
		}
	}
}

// lease renews the lease of a node, which owns it.
func (n *nodes) lease(ctx context.Context, node *corev1.Node) error {
	lease := applycoordinationv1.Lease(node.Name, corev1.NamespaceNodeLease).
		WithOwnerReferences(applymetav1.OwnerReference().WithAPIVersion("v1").WithKind("Node").WithName(node.Name).WithUID(node.UID)).
		WithSpec(applycoordinationv1.LeaseSpec().WithHolderIdentity(node.Name).
			WithLeaseDurationSeconds(int32(leaseDuration.Seconds())).WithRenewTime(metav1.NowMicro()))
	_, err := n.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).
		Apply(ctx, lease, metav1.ApplyOptions{FieldManager: "kubelet", Force: true})
	return err
}

func ignoreMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// podNetwork is where pods have their addresses: AKS' default for an overlay network
// (azure-aks-docs concepts-network-azure-cni-overlay, 31 July 2026).
var podNetwork = netip.MustParsePrefix("10.244.0.0/16")

// addresses gives each pod an address that no other has.
type addresses struct {
	mu   sync.Mutex
	next netip.Addr
	used map[netip.Addr]bool
}

// take returns the wanted address if it is free, or else a free one.
func (a *addresses) take(wanted string) (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used == nil {
		a.used, a.next = map[netip.Addr]bool{}, podNetwork.Addr().Next()
	}
	if at, err := netip.ParseAddr(wanted); err == nil && podNetwork.Contains(at) && !a.used[at] {
		a.used[at] = true
		return at, nil
	}
	for range 1 << (32 - podNetwork.Bits()) {
		at := a.next
		if a.next = at.Next(); !podNetwork.Contains(a.next) {
			a.next = podNetwork.Addr().Next()
		}
		if !a.used[at] {
			a.used[at] = true
			return at, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("all addresses of %s are taken", podNetwork)
}

func (a *addresses) release(at netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.used, at)
}

// adopt begins after the addresses that the pods of an earlier run have, so that none of them is
// given twice.
func (a *Agent) adopt(lister corelisters.PodLister) error {
	pods, err := lister.List(labels.Everything())
	if err != nil {
		return err
	}
	last := podNetwork.Addr()
	for _, pod := range pods {
		if at, err := netip.ParseAddr(pod.Status.PodIP); err == nil && podNetwork.Contains(at) && last.Less(at) {
			last = at
		}
	}
	a.network.used, a.network.next = map[netip.Addr]bool{}, last.Next()
	if !podNetwork.Contains(a.network.next) {
		a.network.next = podNetwork.Addr().Next()
	}
	return nil
}
