package standins

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/gridos/sharedinfra/lab/internal/host/kube"
)

var (
	podMetrics  = schema.GroupVersionResource{Group: "metrics.k8s.io", Version: "v1beta1", Resource: "pods"}
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

const kindPodMetrics = "PodMetrics"

// measured is how often metrics are written, and the length of time that they cover. A
// HorizontalPodAutoscaler ignores a pod that was not ready for all of it.
const measured = 5 * time.Second

// Usage returns the processor time, in cores, and the memory, in bytes, that a pod uses, or false
// for a pod that does not run.
type Usage func(namespace, pod string) (cores float64, memory uint64, runs bool)

// PodMetrics does the work of metrics-server until ctx is done: it reports the usage of the pods of
// a namespace, or of all with "". So HorizontalPodAutoscalers can judge and `kubectl top pods`
// answers. A pod that does not run has no metrics.
//
// metrics-server is an API server of its own behind the cluster's, and requests for metrics fail
// while it is down. Here the metrics are ordinary objects that belong to their pods: a killed lab
// leaves numbers, and no broken API.
func PodMetrics(ctx context.Context, cluster *kube.Clients, namespace string, usage Usage) error {
	if err := define(ctx, cluster.Objects); err != nil {
		return fmt.Errorf("pod metrics: define PodMetrics: %w", err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(cluster.Core, 0, informers.WithNamespace(namespace))
	pods := factory.Core().V1().Pods().Lister()
	factory.Start(ctx.Done())
	defer factory.Shutdown() // ctx is done at that point
	factory.WaitForCacheSync(ctx.Done())
	ticker := time.NewTicker(measured)
	defer ticker.Stop()
	for {
		if err := measure(ctx, cluster.Objects, pods, usage); err != nil && ctx.Err() == nil {
			utilruntime.HandleErrorWithContext(ctx, err, "pod metrics: trying again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func measure(ctx context.Context, objects dynamic.Interface, pods corelisters.PodLister, usage Usage) error {
	all, err := pods.List(k8slabels.Everything())
	if err != nil {
		return err
	}
	for _, pod := range all {
		cores, memory, runs := usage(pod.Namespace, pod.Name)
		if !runs || pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		_, err := objects.Resource(podMetrics).Namespace(pod.Namespace).Apply(ctx, pod.Name, metricsOf(pod, cores, memory), writer())
		if err != nil && !apierrors.IsNotFound(err) { // its namespace is being deleted
			return fmt.Errorf("PodMetrics %s/%s: %w", pod.Namespace, pod.Name, err)
		}
	}
	return nil
}

// metricsOf returns the metrics of a pod. A pod that runs has one container.
func metricsOf(pod *corev1.Pod, cores float64, memory uint64) *unstructured.Unstructured {
	containers := []any{map[string]any{"name": pod.Spec.Containers[0].Name, "usage": map[string]any{
		"cpu":    resource.NewMilliQuantity(int64(1000*cores), resource.DecimalSI).String(),
		"memory": resource.NewQuantity(int64(memory), resource.BinarySI).String(),
	}}}
	metrics := &unstructured.Unstructured{Object: map[string]any{
		"timestamp": time.Now().UTC().Format(time.RFC3339), "window": measured.String(), "containers": containers,
	}}
	metrics.SetGroupVersionKind(podMetrics.GroupVersion().WithKind(kindPodMetrics))
	metrics.SetName(pod.Name)
	metrics.SetNamespace(pod.Namespace)
	metrics.SetLabels(pod.Labels) // clients select metrics by them
	metrics.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}})
	return metrics
}

// define installs the kind in the cluster, as k8s.io/metrics defines it, and waits until it is
// served.
func define(ctx context.Context, objects dynamic.Interface) error {
	text := map[string]any{"type": "string"}
	quantity := map[string]any{
		"x-kubernetes-int-or-string": true, "anyOf": []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}},
	}
	container := map[string]any{"type": "object", "properties": map[string]any{
		"name": text, "usage": map[string]any{"type": "object", "additionalProperties": quantity},
	}}
	definition := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"group": podMetrics.Group, "scope": "Namespaced",
			"names": map[string]any{"plural": podMetrics.Resource, "singular": "podmetrics", "kind": kindPodMetrics},
			"versions": []any{map[string]any{
				"name": podMetrics.Version, "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
					"timestamp": map[string]any{"type": "string", "format": "date-time"}, "window": text,
					"containers": map[string]any{"type": "array", "items": container},
				}}},
			}},
		},
	}}
	definition.SetGroupVersionKind(definitions.GroupVersion().WithKind("CustomResourceDefinition"))
	definition.SetName(podMetrics.GroupResource().String())
	// Without it the API server refuses a foreign definition in a group under k8s.io.
	definition.SetAnnotations(map[string]string{"api-approved.kubernetes.io": "unapproved, stands in for metrics-server"})
	if _, err := objects.Resource(definitions).Apply(ctx, definition.GetName(), definition, writer()); err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		_, err := objects.Resource(podMetrics).List(ctx, metav1.ListOptions{Limit: 1})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
}

func writer() metav1.ApplyOptions {
	return metav1.ApplyOptions{FieldManager: "metrics-server", Force: true}
}
