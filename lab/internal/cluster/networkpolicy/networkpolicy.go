// Package networkpolicy decides which connections the NetworkPolicies of a cluster let through, as
// Azure CNI powered by Cilium does (docs/stand-ins.md).
package networkpolicy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Peer is an end of a connection: a pod of the cluster, or an address outside of it.
type Peer struct {
	// Pod is nil for an address outside of the cluster.
	Pod *corev1.Pod
	// Namespace has the labels of the pod's namespace.
	Namespace labels.Set
	// Address is the address outside of the cluster. It is not read for a pod.
	Address netip.Addr
}

func (p Peer) String() string {
	if p.Pod == nil {
		return p.Address.String()
	}
	return "pod " + p.Pod.Namespace + "/" + p.Pod.Name
}

// Check returns nil if the policies of the cluster let a TCP connection through: the policies that
// select its source for egress, and those that select its target for ingress. No policy that selects
// an end means that this end lets everything through. The error names the policies that stand in
// the way, and the remedy.
//
// Source: kubernetes.io, "Network Policies", section "The two sorts of pod isolation" (2026).
func Check(policies []*networkingv1.NetworkPolicy, from, to Peer, port uint16) error {
	if from.Pod != nil && to.Pod != nil && from.Pod.UID == to.Pod.UID {
		return nil // "Pods cannot block access to themselves", in the same document
	}
	if err := permit(policies, networkingv1.PolicyTypeEgress, egress, from, to, port); err != nil {
		return fmt.Errorf("%s may not reach %s at port %d: %w", from, to, port, err)
	}
	if err := permit(policies, networkingv1.PolicyTypeIngress, ingress, from, to, port); err != nil {
		return fmt.Errorf("%s may not reach %s at port %d: %w", from, to, port, err)
	}
	return nil
}

// permit returns nil if the policies let a connection through in one direction.
func permit(
	policies []*networkingv1.NetworkPolicy, direction networkingv1.PolicyType, rules func(*networkingv1.NetworkPolicy) []rule,
	from, to Peer, port uint16,
) error {
	of, other := from, to
	if direction == networkingv1.PolicyTypeIngress {
		of, other = to, from
	}
	var isolating []string
	for _, policy := range policies {
		selected, err := selects(policy, direction, of)
		if err != nil {
			return err
		}
		if !selected {
			continue
		}
		isolating = append(isolating, policy.Name)
		for _, r := range rules(policy) {
			if matched, err := r.matches(policy, other, to, port); matched || err != nil {
				return err
			}
		}
	}
	if len(isolating) == 0 {
		return nil
	}
	slices.Sort(isolating)
	return fmt.Errorf("of the network policies of namespace %s that select %s (%s), none lets it through; add a rule for %s to one of them",
		of.Pod.Namespace, of, strings.Join(isolating, ", "), strings.ToLower(string(direction)))
}

// selects reports whether a policy isolates a peer in a direction.
func selects(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType, of Peer) (bool, error) {
	if of.Pod == nil || of.Pod.Namespace != policy.Namespace {
		return false, nil
	}
	types := policy.Spec.PolicyTypes
	if len(types) == 0 { // as the API server's default says
		types = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(policy.Spec.Egress) > 0 {
			types = append(types, networkingv1.PolicyTypeEgress)
		}
	}
	if !slices.Contains(types, direction) {
		return false, nil
	}
	return matches(policy, &policy.Spec.PodSelector, of.Pod.Labels)
}

func matches(policy *networkingv1.NetworkPolicy, selector *metav1.LabelSelector, of labels.Set) (bool, error) {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, fmt.Errorf("network policy %s/%s: %w", policy.Namespace, policy.Name, err)
	}
	return parsed.Matches(of), nil
}

// rule is a rule of either direction.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func egress(policy *networkingv1.NetworkPolicy) []rule {
	var all []rule
	for _, r := range policy.Spec.Egress {
		all = append(all, rule{r.To, r.Ports})
	}
	return all
}

func ingress(policy *networkingv1.NetworkPolicy) []rule {
	var all []rule
	for _, r := range policy.Spec.Ingress {
		all = append(all, rule{r.From, r.Ports})
	}
	return all
}

// matches reports whether a rule lets a connection with another peer through, to a port of its
// target. A rule without peers means all peers, and one without ports all ports.
func (r rule) matches(policy *networkingv1.NetworkPolicy, other, target Peer, port uint16) (bool, error) {
	if len(r.ports) > 0 && !slices.ContainsFunc(r.ports, func(p networkingv1.NetworkPolicyPort) bool { return includes(p, target, port) }) {
		return false, nil
	}
	if len(r.peers) == 0 {
		return true, nil
	}
	for _, peer := range r.peers {
		if matched, err := is(policy, peer, other); matched || err != nil {
			return matched, err
		}
	}
	return false, nil
}

// is reports whether a peer of a rule is the other end of a connection. A block of addresses is no
// pod, whatever the pod's address: "Network policies cannot use ipBlock to allow access to node or
// pod IPs" (azure-docs, articles/aks/azure-cni-powered-by-cilium.md, 15 March 2024).
func is(policy *networkingv1.NetworkPolicy, peer networkingv1.NetworkPolicyPeer, other Peer) (bool, error) {
	if peer.IPBlock != nil {
		if other.Pod != nil {
			return false, nil
		}
		return inBlock(policy, peer.IPBlock, other.Address)
	}
	if other.Pod == nil {
		return false, nil
	}
	if peer.NamespaceSelector == nil {
		if other.Pod.Namespace != policy.Namespace {
			return false, nil
		}
	} else if matched, err := matches(policy, peer.NamespaceSelector, other.Namespace); !matched || err != nil {
		return false, err
	}
	if peer.PodSelector == nil {
		return true, nil
	}
	return matches(policy, peer.PodSelector, other.Pod.Labels)
}

func inBlock(policy *networkingv1.NetworkPolicy, block *networkingv1.IPBlock, address netip.Addr) (bool, error) {
	contains := func(cidr string) (bool, error) {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return false, fmt.Errorf("network policy %s/%s: %w", policy.Namespace, policy.Name, err)
		}
		return prefix.Contains(address), nil
	}
	in, err := contains(block.CIDR)
	if !in || err != nil {
		return false, err
	}
	for _, except := range block.Except {
		if out, err := contains(except); out || err != nil {
			return false, err
		}
	}
	return true, nil
}

// includes reports whether an entry of a rule's ports is a TCP port of a target. A name is that of
// a port of a container of the target.
func includes(entry networkingv1.NetworkPolicyPort, target Peer, port uint16) bool {
	if entry.Protocol != nil && *entry.Protocol != corev1.ProtocolTCP {
		return false
	}
	switch {
	case entry.Port == nil:
		return true
	case entry.Port.Type == intstr.String:
		return target.Pod != nil && slices.ContainsFunc(target.Pod.Spec.Containers, func(c corev1.Container) bool {
			return slices.ContainsFunc(c.Ports, func(named corev1.ContainerPort) bool {
				return named.Name == entry.Port.StrVal && named.ContainerPort == int32(port) &&
					cmp.Or(named.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP
			})
		})
	case entry.EndPort != nil:
		return entry.Port.IntVal <= int32(port) && int32(port) <= *entry.EndPort
	}
	return entry.Port.IntVal == int32(port)
}
