package scheduling

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Pool is a node pool that an autoscaler keeps between Min and Max nodes.
type Pool struct {
	Name     string
	Min, Max int
	// Zones are the zones over which its nodes are spread in turn.
	Zones []string
	// Allocatable is the amount that pods may request on a node; its entry pods is the maximum
	// number of pods.
	Allocatable corev1.ResourceList
	Taints      []corev1.Taint
}

// Cluster has nodes, and the pods on them.
type Cluster struct {
	pools []Pool
	nodes []*node
	// revisions are those of the workloads, by kind and name.
	revisions map[string]int
}

type node struct {
	name, pool string
	labels     map[string]string
	taints     []corev1.Taint
	free       corev1.ResourceList
	pods       []*pod
}

type pod struct {
	owner    string
	labels   map[string]string
	spec     corev1.PodSpec
	requests corev1.ResourceList
	node     *node
}

// NewCluster returns a cluster whose pools have as many nodes as size returns.
func NewCluster(size func(Pool) int, pools ...Pool) *Cluster {
	c := &Cluster{pools: pools, revisions: map[string]int{}}
	for _, pool := range pools {
		for range size(pool) {
			c.nodes = append(c.nodes, newNode(pool, c.Nodes(pool.Name)))
		}
	}
	return c
}

// Smallest is the size that the autoscaler goes down to.
func Smallest(p Pool) int { return p.Min }

// Largest is the size that the autoscaler goes up to.
func Largest(p Pool) int { return p.Max }

// Nodes returns how many nodes a pool has.
func (c *Cluster) Nodes(pool string) int {
	count := 0
	for _, n := range c.nodes {
		if n.pool == pool {
			count++
		}
	}
	return count
}

func newNode(p Pool, i int) *node {
	n := &node{
		name: fmt.Sprintf("%s-%d", p.Name, i), pool: p.Name, taints: p.Taints, free: p.Allocatable.DeepCopy(),
		labels: map[string]string{corev1.LabelHostname: fmt.Sprintf("%s-%d", p.Name, i)},
	}
	if len(p.Zones) > 0 {
		n.labels[corev1.LabelTopologyZone] = p.Zones[i%len(p.Zones)]
	}
	return n
}

// Install gives each pod of w a node.
func (c *Cluster) Install(w Workload) error {
	for range w.Replicas {
		if err := c.schedule(w.pod(c.revisions[w.Kind+" "+w.Name])); err != nil {
			return fmt.Errorf("%s %s with %d replicas: %w", w.Kind, w.Name, w.Replicas, err)
		}
	}
	return nil
}

// Roll replaces each pod of w, which is installed, by a pod of another revision, within the bounds
// of its strategy.
func (c *Cluster) Roll(w Workload) error {
	owner := w.Kind + " " + w.Name
	old := c.podsOf(owner)
	c.revisions[owner]++
	ready := 0
	var pending []*pod
	for ready < w.Replicas || len(old) > 0 {
		progress := false
		for len(old)+ready+len(pending) < w.Replicas+w.MaxSurge && ready+len(pending) < w.Replicas {
			pending = append(pending, w.pod(c.revisions[owner]))
			progress = true
		}
		var refused error
		pending = slices.DeleteFunc(pending, func(p *pod) bool {
			if err := c.schedule(p); err != nil {
				refused = err
				return false
			}
			ready++
			progress = true
			return true
		})
		for len(old) > 0 && len(old)+ready-1 >= w.Replicas-w.MaxUnavailable {
			c.remove(old[0])
			old = old[1:]
			progress = true
		}
		if !progress {
			return fmt.Errorf("the rolling update of %s with %d replicas, maxSurge %d and maxUnavailable %d stops at %d new pods: %w",
				owner, w.Replicas, w.MaxSurge, w.MaxUnavailable, ready, refused)
		}
	}
	return nil
}

func (c *Cluster) podsOf(owner string) []*pod {
	var found []*pod
	for _, n := range c.nodes {
		for _, p := range n.pods {
			if p.owner == owner {
				found = append(found, p)
			}
		}
	}
	return found
}

func (c *Cluster) remove(p *pod) {
	p.node.pods = slices.DeleteFunc(p.node.pods, func(other *pod) bool { return other == p })
	add(p.node.free, p.requests)
	add(p.node.free, onePod)
	p.node = nil
}

var onePod = corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(1, resource.DecimalSI)}

// schedule places p on the node that it fits on and that has the fewest pods of its owner, or on a
// new node of a pool that may grow.
func (c *Cluster) schedule(p *pod) error {
	if err := modelled(p.spec); err != nil {
		return err
	}
	var best *node
	reasons := map[string]int{}
	for _, n := range c.nodes {
		if reason := c.refuses(n, p); reason != "" {
			reasons[reason]++
			continue
		}
		if best == nil || n.count(p.owner) < best.count(p.owner) {
			best = n
		}
	}
	if best == nil {
		best = c.scaleUp(p)
	}
	if best == nil {
		return fmt.Errorf("a pod finds no node: %s, and no pool may grow for it", told(reasons))
	}
	best.pods, p.node = append(best.pods, p), best
	for name, quantity := range p.requests {
		left := best.free[name]
		left.Sub(quantity)
		best.free[name] = left
	}
	left := best.free[corev1.ResourcePods]
	left.Sub(onePod[corev1.ResourcePods])
	best.free[corev1.ResourcePods] = left
	return nil
}

// scaleUp adds a node to the first pool that may have one more and whose node would take p.
func (c *Cluster) scaleUp(p *pod) *node {
	for _, pool := range c.pools {
		i := c.Nodes(pool.Name)
		if i >= pool.Max {
			continue
		}
		n := newNode(pool, i)
		c.nodes = append(c.nodes, n)
		if c.refuses(n, p) == "" {
			return n
		}
		c.nodes = c.nodes[:len(c.nodes)-1]
	}
	return nil
}

func (n *node) count(owner string) int {
	count := 0
	for _, p := range n.pods {
		if p.owner == owner {
			count++
		}
	}
	return count
}

func told(reasons map[string]int) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		parts = append(parts, fmt.Sprintf("%d nodes %s", reasons[reason], reason))
	}
	return strings.Join(parts, ", ")
}
