package controlplane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Every node is larger than the VM sizes of any environment: this machine's processes have no node,
// so that a node's capacity only lets the scheduler find room.
const (
	nodeCPU     = "32"
	nodeMemory  = "128Gi"
	nodeStorage = "128Gi" // AKS' default OS disk
	nodePods    = "250"   // AKS' upper limit with an overlay network
)

// Node is a node of an agent pool.
type Node struct {
	Name   string            // e.g. aks-system-12345678-vmss000000
	Pool   string            // agent pool it belongs to
	Mode   string            // of the pool: System or User
	VMSize string            // e.g. Standard_D4s_v5
	Zone   string            // as AKS labels it, <region>-<zone>; empty if not zonal
	Labels map[string]string // the pool's own labels, beside those that AKS gives every node
	Taints []string          // the pool's taints, each key=value:Effect or key:Effect
}

// SetNodes makes the nodes of the cluster equal to nodes: missing ones are created, others deleted
// together with the pods on them (their controllers make new ones elsewhere), and labels and taints
// of the rest are set. New nodes become Ready within a few seconds; SetNodes does not wait for
// that. All mistakes are reported at once and then nothing is changed.
func (c *ControlPlane) SetNodes(ctx context.Context, nodes []Node) error {
	c.mu.Lock()
	run := c.running
	c.mu.Unlock()
	if run == nil {
		return errors.New("set nodes: the control plane is not running; start it first")
	}
	client := run.client

	want := map[string]*corev1.Node{}
	var errs []error
	for _, node := range nodes {
		object, err := node.object()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if want[node.Name] != nil {
			errs = append(errs, fmt.Errorf("node %s: named twice", node.Name))
		}
		want[node.Name] = object
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("set nodes: ask the API server for its version: %w", err)
	}
	present, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("set nodes: list the nodes: %w", err)
	}
	var surplus []string
	for i := range present.Items {
		node := &present.Items[i]
		if object := want[node.Name]; object != nil {
			errs = append(errs, adjustNode(ctx, client, node, object))
			delete(want, node.Name)
		} else {
			surplus = append(surplus, node.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		want[name].Status.NodeInfo.KubeletVersion = version.GitVersion
		if _, err := client.CoreV1().Nodes().Create(ctx, want[name], metav1.CreateOptions{}); err != nil {
			errs = append(errs, fmt.Errorf("create node %s: %w", name, err))
		}
	}
	return errors.Join(append(errs, removeNodes(ctx, client, surplus))...)
}

// object carries the labels that AKS gives its nodes and that node selectors and affinities are
// written against, see https://learn.microsoft.com/azure/aks/use-labels.
func (n Node) object() (*corev1.Node, error) {
	if n.Name == "" {
		return nil, fmt.Errorf("a node of pool %q has no name", n.Pool)
	}
	labels := map[string]string{
		corev1.LabelHostname:           n.Name,
		corev1.LabelOSStable:           "linux",
		corev1.LabelArchStable:         "amd64",
		"kubernetes.azure.com/cluster": clusterName,
	}
	optional := map[string]string{
		"agentpool":                      n.Pool,
		"kubernetes.azure.com/agentpool": n.Pool,
		"kubernetes.azure.com/mode":      strings.ToLower(n.Mode),
		corev1.LabelInstanceTypeStable:   n.VMSize,
		corev1.LabelTopologyZone:         n.Zone,
	}
	if region, _, zonal := cutLast(n.Zone, "-"); zonal {
		optional[corev1.LabelTopologyRegion] = region
	}
	for key, value := range optional {
		if value != "" {
			labels[key] = value
		}
	}
	maps.Copy(labels, n.Labels)

	var taints []corev1.Taint
	for _, text := range n.Taints {
		taint, err := parseTaint(text)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Name, err)
		}
		taints = append(taints, taint)
	}
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse(nodeCPU),
		corev1.ResourceMemory:           resource.MustParse(nodeMemory),
		corev1.ResourceEphemeralStorage: resource.MustParse(nodeStorage),
		corev1.ResourcePods:             resource.MustParse(nodePods),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: labels},
		Spec:       corev1.NodeSpec{Taints: taints},
		Status:     corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}, nil
}

// parseTaint reads key=value:Effect or key:Effect, the form of an agent pool's nodeTaints.
func parseTaint(text string) (corev1.Taint, error) {
	rest, effect, found := cutLast(text, ":")
	key, value, _ := strings.Cut(rest, "=")
	taint := corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}
	known := []corev1.TaintEffect{
		corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute,
	}
	if !found || key == "" || !slices.Contains(known, taint.Effect) {
		return corev1.Taint{}, fmt.Errorf("taint %q: want key=value:Effect with an effect out of %v", text, known)
	}
	return taint, nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

// adjustNode sets labels and taints. It keeps those that Kubernetes itself puts on nodes: taints
// about a node's health, and copies of labels under their former names.
func adjustNode(ctx context.Context, client kubernetes.Interface, present, want *corev1.Node) error {
	labels := maps.Clone(want.Labels)
	for key, value := range present.Labels {
		if strings.HasPrefix(key, "beta.kubernetes.io/") || strings.HasPrefix(key, "failure-domain.beta.kubernetes.io/") {
			labels[key] = value
		}
	}
	taints := slices.Clone(want.Spec.Taints)
	var own []corev1.Taint
	for _, taint := range present.Spec.Taints {
		if strings.HasPrefix(taint.Key, "node.kubernetes.io/") {
			taints = append(taints, taint)
		} else {
			own = append(own, taint)
		}
	}
	if maps.Equal(present.Labels, labels) && slices.Equal(own, want.Spec.Taints) {
		return nil
	}
	for {
		present.Labels, present.Spec.Taints = labels, taints
		_, err := client.CoreV1().Nodes().Update(ctx, present, metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			if err != nil {
				return fmt.Errorf("update node %s: %w", present.Name, err)
			}
			return nil
		}
		if present, err = client.CoreV1().Nodes().Get(ctx, present.Name, metav1.GetOptions{}); err != nil {
			return fmt.Errorf("update node %s: %w", want.Name, err)
		}
	}
}

// removeNodes does the steps of a scale-down: it closes the nodes to new pods (all of them before
// the first pod has to move), then deletes their pods and at last the nodes. Pods are deleted at
// once, because no kubelet would confirm their end. A pod that the scheduler still places there is
// deleted last: Kubernetes itself would wait most of a minute for its node's return.
func removeNodes(ctx context.Context, client kubernetes.Interface, names []string) error {
	cordon := []byte(`{"spec":{"unschedulable":true}}`)
	var errs []error
	for _, name := range names {
		_, err := client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, cordon, metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("cordon node %s: %w", name, err))
		}
	}
	for _, name := range names {
		errs = append(errs, removePods(ctx, client, name))
	}
	for _, name := range names {
		err := client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete node %s: %w", name, err))
		}
	}
	for _, name := range names {
		errs = append(errs, removePods(ctx, client, name))
	}
	return errors.Join(errs...)
}

func removePods(ctx context.Context, client kubernetes.Interface, node string) error {
	pods, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
	})
	if err != nil {
		return fmt.Errorf("list the pods on node %s: %w", node, err)
	}
	var errs []error
	for _, pod := range pods.Items {
		err := client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, *metav1.NewDeleteOptions(0))
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete pod %s/%s on node %s: %w", pod.Namespace, pod.Name, node, err))
		}
	}
	return errors.Join(errs...)
}
