package scheduling

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// modelled returns an error for demands that the model does not know, so that its result never
// ignores one.
func modelled(spec corev1.PodSpec) error {
	if len(spec.NodeSelector) > 0 || spec.NodeName != "" {
		return errors.New("it asks for certain nodes, which the model does not know")
	}
	if spec.Affinity == nil {
		return nil
	}
	if a := spec.Affinity.NodeAffinity; a != nil && a.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		return errors.New("it requires an affinity to nodes, which the model does not know")
	}
	if a := spec.Affinity.PodAffinity; a != nil && len(a.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
		return errors.New("it requires an affinity to pods, which the model does not know")
	}
	return nil
}

// refuses returns why n does not take p, or "".
func (c *Cluster) refuses(n *node, p *pod) string {
	if tainted(n, p.spec) {
		return "are tainted"
	}
	for name, wanted := range p.requests {
		if free := n.free[name]; wanted.Cmp(free) > 0 {
			return "have too little " + string(name)
		}
	}
	if free := n.free[corev1.ResourcePods]; free.Sign() <= 0 {
		return "have all the pods that they may have"
	}
	if c.repelled(n, p) {
		return "have a pod that it must not be with"
	}
	for _, constraint := range p.spec.TopologySpreadConstraints {
		if constraint.WhenUnsatisfiable == corev1.DoNotSchedule && c.uneven(n, p, constraint) {
			return fmt.Sprintf("would have more than %d pods more than others by %s", constraint.MaxSkew, constraint.TopologyKey)
		}
	}
	return ""
}

func tainted(n *node, spec corev1.PodSpec) bool {
	for i := range n.taints {
		taint := &n.taints[i]
		if taint.Effect == corev1.TaintEffectPreferNoSchedule {
			continue
		}
		tolerated := false
		for j := range spec.Tolerations {
			// Kubernetes 1.35 compares numbers only behind a gate that is closed by default
			// (TaintTolerationComparisonOperators, pkg/features/kube_features.go).
			tolerated = tolerated || spec.Tolerations[j].ToleratesTaint(ctrllog.Log, taint, false)
		}
		if !tolerated {
			return true
		}
	}
	return false
}

func required(spec corev1.PodSpec) []corev1.PodAffinityTerm {
	if spec.Affinity == nil || spec.Affinity.PodAntiAffinity == nil {
		return nil
	}
	return spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
}

// repelled reports whether a pod on n keeps p away, whichever of the two requires it. The pods of
// the model are in one namespace: pods of different charts do not have each other's labels.
func (c *Cluster) repelled(n *node, p *pod) bool {
	for _, other := range c.nodes {
		for _, there := range other.pods {
			for _, term := range required(p.spec) {
				if together(n, other, term.TopologyKey) && selects(term.LabelSelector, there.labels) {
					return true
				}
			}
			for _, term := range required(there.spec) {
				if together(n, other, term.TopologyKey) && selects(term.LabelSelector, p.labels) {
					return true
				}
			}
		}
	}
	return false
}

func together(a, b *node, topology string) bool {
	return a.labels[topology] != "" && a.labels[topology] == b.labels[topology]
}

func selects(selector *metav1.LabelSelector, set map[string]string) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(set))
}

// uneven reports whether p on n would make the spread more uneven than the constraint permits.
// Nodes that p does not tolerate count unless the constraint excludes them (kubernetes.io, "Pod
// Topology Spread Constraints": nodeTaintsPolicy).
func (c *Cluster) uneven(n *node, p *pod, constraint corev1.TopologySpreadConstraint) bool {
	selector := constraint.LabelSelector.DeepCopy()
	for _, key := range constraint.MatchLabelKeys {
		if value, found := p.labels[key]; found {
			selector = metav1.AddLabelToSelector(selector, key, value)
		}
	}
	honoured := constraint.NodeTaintsPolicy != nil && *constraint.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
	counts := map[string]int{}
	for _, other := range c.nodes {
		domain := other.labels[constraint.TopologyKey]
		if domain == "" || honoured && tainted(other, p.spec) {
			continue
		}
		if _, known := counts[domain]; !known {
			counts[domain] = 0
		}
		for _, there := range other.pods {
			if selects(selector, there.labels) {
				counts[domain]++
			}
		}
	}
	here := n.labels[constraint.TopologyKey]
	if here == "" {
		return true
	}
	fewest := counts[here]
	for _, count := range counts {
		fewest = min(fewest, count)
	}
	if constraint.MinDomains != nil && len(counts) < int(*constraint.MinDomains) {
		fewest = 0
	}
	return counts[here]+1-fewest > int(constraint.MaxSkew)
}
