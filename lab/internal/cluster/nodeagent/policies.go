package nodeagent

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"

	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
	"github.com/gridos/sharedinfra/lab/internal/cluster/networkpolicy"
)

// policies is what decides which connections of pods are let through.
type policies struct {
	all        networkinglisters.NetworkPolicyLister
	namespaces corelisters.NamespaceLister
	services   corelisters.ServiceLister
}

func watchPolicies(factory informers.SharedInformerFactory) policies {
	return policies{
		all:        factory.Networking().V1().NetworkPolicies().Lister(),
		namespaces: factory.Core().V1().Namespaces().Lister(),
		services:   factory.Core().V1().Services().Lister(),
	}
}

// mayReachPod returns why a pod may not be reached from an address of the cluster, or nil.
func (a *Agent) mayReachPod(from netip.Addr, to types.NamespacedName, port uint16) error {
	target, err := a.lister.Pods(to.Namespace).Get(to.Name)
	if err != nil {
		return fmt.Errorf("look up pod %s: %w", to, err)
	}
	source := networkpolicy.Peer{Address: from}
	pods, err := a.lister.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for _, pod := range pods {
		if pod.Status.PodIP == from.String() && pod.Status.Phase == corev1.PodRunning {
			source = a.peer(pod)
		}
	}
	if pod := a.options.Beside[from]; pod != nil {
		source = a.peer(pod)
	}
	return a.check(source, a.peer(target), port)
}

// mayReachServer returns why a pod may not reach a server outside of its network, or nil. A server
// whose name is that of a Service stands for the Service's pods, and one that may be reached is
// enough. Every other server is at the address that the pod knows.
func (a *Agent) mayReachServer(from types.NamespacedName, host string, at netip.AddrPort) error {
	source, err := a.lister.Pods(from.Namespace).Get(from.Name)
	if err != nil {
		return fmt.Errorf("look up pod %s: %w", from, err)
	}
	name, namespace, _ := strings.Cut(host, ".")
	service, err := a.policies.services.Services(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return a.check(a.peer(source), networkpolicy.Peer{Address: at.Addr()}, at.Port())
	}
	if err != nil {
		return fmt.Errorf("look up the Service of %s: %w", host, err)
	}
	pods, err := a.lister.Pods(namespace).List(labels.SelectorFromSet(service.Spec.Selector))
	if err != nil {
		return fmt.Errorf("list the pods of %s: %w", host, err)
	}
	var refused []error
	for _, pod := range pods {
		for _, port := range service.Spec.Ports {
			target, exists := mesh.TargetPort(pod, port)
			if port.Port != int32(at.Port()) || !exists {
				continue
			}
			if err := a.check(a.peer(source), a.peer(pod), uint16(target)); err != nil {
				refused = append(refused, err)
				continue
			}
			return nil
		}
	}
	return errors.Join(refused...)
}

func (a *Agent) peer(pod *corev1.Pod) networkpolicy.Peer {
	// Kubernetes gives each namespace this label (kubernetes.io, "Automatic labelling"). The namespace
	// may be missing: deleted just now, or that of a program beside the cluster.
	peer := networkpolicy.Peer{Pod: pod, Namespace: labels.Set{corev1.LabelMetadataName: pod.Namespace}}
	if namespace, err := a.policies.namespaces.Get(pod.Namespace); err == nil {
		peer.Namespace = namespace.Labels
	}
	return peer
}

func (a *Agent) check(from, to networkpolicy.Peer, port uint16) error {
	all, err := a.policies.all.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list network policies: %w", err)
	}
	return networkpolicy.Check(all, from, to, port)
}
