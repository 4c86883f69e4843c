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

const (
	// measured is how often metrics are written, and the length of time that they cover. A
	// HorizontalPodAutoscaler ignores a pod that was not ready for all of it.
	measured = 5 * time.Second
	// idleCPU, and cpuPerRequest for each request per second, are the usage of a container of the
	// service, in thousandths of a core: a core answers about a thousand requests per second
	// (docs/service.md).
	idleCPU       = 5
	cpuPerRequest = 1.
	memory        = "48Mi"
)

// PodMetrics does the work of metrics-server until ctx is done: it reports the usage of the pods of
// a namespace, or of all with "". So HorizontalPodAutoscalers can judge and `kubectl top pods`
// answers. perSecond returns the number of requests per second that a pod gets; its CPU is in
// proportion.
//
// metrics-server is an API server of its own behind the cluster's, and requests for metrics fail
// while it is down. Here the metrics are ordinary objects that belong to their pods: a killed lab
// leaves numbers, and no broken API.
func PodMetrics(ctx context.Context, cluster *kube.Clients, namespace string, perSecond func(pod string) float64) error {
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
		if err := measure(ctx, cluster.Objects, pods, perSecond); err != nil && ctx.Err() == nil {
			utilruntime.HandleErrorWithContext(ctx, err, "pod metrics: trying again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func measure(
	ctx context.Context, objects dynamic.Interface, pods corelisters.PodLister, perSecond func(pod string) float64,
) error {
	all, err := pods.List(k8slabels.Everything())
	if err != nil {
		return err
	}
	for _, pod := range all {
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		_, err := objects.Resource(podMetrics).Namespace(pod.Namespace).
			Apply(ctx, pod.Name, metricsOf(pod, perSecond(pod.Name)), writer())
		if err != nil && !apierrors.IsNotFound(err) { // its namespace is being deleted
			return fmt.Errorf("PodMetrics %s/%s: %w", pod.Namespace, pod.Name, err)
		}
	}
	return nil
}

// metricsOf returns the metrics of a pod. The first container does the work.
func metricsOf(pod *corev1.Pod, perSecond float64) *unstructured.Unstructured {
	containers := make([]any, len(pod.Spec.Containers))
	for i, container := range pod.Spec.Containers {
		cpu := int64(idleCPU)
		if i == 0 {
			cpu += int64(perSecond * cpuPerRequest)
		}
		containers[i] = map[string]any{"name": container.Name, "usage": map[string]any{
			"cpu": resource.NewMilliQuantity(cpu, resource.DecimalSI).String(), "memory": memory,
		}}
	}
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
