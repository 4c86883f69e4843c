// Package scheduling computes whether the pods of a cluster find nodes when they are installed, and
// while a rolling update replaces them. It models these rules of Kubernetes: taints, requests,
// required anti-affinity, required topology spread, the bounds of a rolling update, and node pools
// that grow. It executes nothing and assumes that a pod is ready when it has a node.
package scheduling

import (
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Workload is an owner of equal pods.
type Workload struct {
	// Kind and Name are for messages.
	Kind, Name string
	// Replicas is how many pods it has.
	Replicas int
	// MaxSurge is how many pods more it may have during a rolling update, MaxUnavailable how many
	// fewer may be ready.
	MaxSurge, MaxUnavailable int
	// Template is the template of its pods.
	Template corev1.PodTemplateSpec
}

// Deployment returns the workload that d describes. A percentage of the replicas is rounded up for
// maxSurge and down for maxUnavailable. If both are 0 after that, maxUnavailable is 1. Without a
// strategy both are 25 %. Source: Kubernetes 1.35,
// pkg/controller/deployment/util/deployment_util.go (ResolveFenceposts) and
// pkg/apis/apps/v1/defaults.go.
func Deployment(d *appsv1.Deployment) (Workload, error) {
	w := Workload{Kind: "Deployment", Name: d.Name, Replicas: orOne(d.Spec.Replicas), Template: d.Spec.Template}
	switch d.Spec.Strategy.Type {
	case appsv1.RecreateDeploymentStrategyType:
		w.MaxUnavailable = w.Replicas
		return w, nil
	case appsv1.RollingUpdateDeploymentStrategyType, "":
	default:
		return w, fmt.Errorf("Deployment %s has the strategy %q, which Kubernetes does not know", d.Name, d.Spec.Strategy.Type)
	}
	quarter := intstr.FromString("25%")
	surge, unavailable := &quarter, &quarter
	if given := d.Spec.Strategy.RollingUpdate; given != nil {
		surge, unavailable = orElse(given.MaxSurge, surge), orElse(given.MaxUnavailable, unavailable)
	}
	var err error
	if w.MaxSurge, err = intstr.GetScaledValueFromIntOrPercent(surge, w.Replicas, true); err != nil {
		return w, fmt.Errorf("Deployment %s: maxSurge: %w", d.Name, err)
	}
	if w.MaxUnavailable, err = intstr.GetScaledValueFromIntOrPercent(unavailable, w.Replicas, false); err != nil {
		return w, fmt.Errorf("Deployment %s: maxUnavailable: %w", d.Name, err)
	}
	if w.MaxSurge == 0 && w.MaxUnavailable == 0 {
		w.MaxUnavailable = 1
	}
	return w, nil
}

// StatefulSet returns the workload that s describes. Its update deletes one pod at a time and then
// creates it again. Source: Kubernetes 1.35, pkg/controller/statefulset/stateful_set_control.go.
func StatefulSet(s *appsv1.StatefulSet) (Workload, error) {
	if s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return Workload{}, fmt.Errorf("StatefulSet %s has the strategy OnDelete: no rolling update replaces its pods", s.Name)
	}
	return Workload{
		Kind: "StatefulSet", Name: s.Name, Replicas: orOne(s.Spec.Replicas), MaxUnavailable: 1, Template: s.Spec.Template,
	}, nil
}

func orOne(replicas *int32) int {
	if replicas == nil {
		return 1
	}
	return int(*replicas)
}

func orElse(given, otherwise *intstr.IntOrString) *intstr.IntOrString {
	if given == nil {
		return otherwise
	}
	return given
}

// revisionLabel distinguishes the pods of one revision of a workload from those of another, as
// pod-template-hash does.
const revisionLabel = "pod-template-hash"

// pod returns a pod of the workload's revision.
func (w Workload) pod(revision int) *pod {
	labels := map[string]string{revisionLabel: fmt.Sprintf("revision-%d", revision)}
	maps.Copy(labels, w.Template.Labels)
	requests := corev1.ResourceList{}
	for _, container := range w.Template.Spec.Containers {
		add(requests, container.Resources.Requests)
	}
	for _, container := range w.Template.Spec.InitContainers { // one at a time, before the others
		for name, quantity := range container.Resources.Requests {
			if sum := requests[name]; quantity.Cmp(sum) > 0 {
				requests[name] = quantity.DeepCopy()
			}
		}
	}
	return &pod{owner: w.Kind + " " + w.Name, labels: labels, spec: w.Template.Spec, requests: requests}
}

func add(sum, more corev1.ResourceList) {
	for name, quantity := range more {
		total := sum[name]
		total.Add(quantity)
		sum[name] = total
	}
}
