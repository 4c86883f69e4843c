package standins_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/standins"
)

// The application's own HorizontalPodAutoscaler judges the pods of its Rollout, and scales it when
// users ask for more.
func TestCluster_TheAutoscalerSeesWhatPodsUse(t *testing.T) {
	clients := startCluster(t)
	client, objects := clients.Core, clients.Objects
	labels := map[string]string{"app.kubernetes.io/name": "gridos"}
	createReplicaSet(t, client, labels)
	rollouts := objects.Resource(schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}).
		Namespace(naming.NamespaceGridOS)
	rollout, err := rollouts.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": map[string]any{"name": "gridos"},
		"spec": map[string]any{"replicas": int64(2)},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	// Argo Rollouts, which does not run here, would write this status.
	rollout.Object["status"] = map[string]any{"HPAReplicas": int64(2), "selector": "app.kubernetes.io/name=gridos"}
	_, err = rollouts.UpdateStatus(t.Context(), rollout, metav1.UpdateOptions{})
	require.NoError(t, err)

	var thousandths atomic.Int64
	thousandths.Store(35)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- standins.PodMetrics(ctx, clients, naming.NamespaceGridOS, func(string, string) (float64, uint64, bool) {
			return float64(thousandths.Load()) / 1000, 48 << 20, true
		})
	}()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-done)
	})

	content, err := os.ReadFile(filepath.Join(repository, "applications", "gridos", "base", "autoscaling.yaml"))
	require.NoError(t, err)
	wanted := &autoscalingv2.HorizontalPodAutoscaler{}
	require.NoError(t, yaml.UnmarshalStrict(content, wanted))
	autoscalers := client.AutoscalingV2().HorizontalPodAutoscalers(naming.NamespaceGridOS)
	_, err = autoscalers.Create(t.Context(), wanted, metav1.CreateOptions{})
	require.NoError(t, err)

	judges := func(utilization, replicas int32) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			scaler, err := autoscalers.Get(t.Context(), "gridos", metav1.GetOptions{})
			require.NoError(c, err)
			for _, condition := range scaler.Status.Conditions {
				if condition.Type != autoscalingv2.ScalingLimited {
					assert.Equal(c, corev1.ConditionTrue, condition.Status, "%s: %s", condition.Type, condition.Message)
				}
			}
			require.Len(c, scaler.Status.Conditions, 3)
			require.Len(c, scaler.Status.CurrentMetrics, 1)
			require.NotNil(c, scaler.Status.CurrentMetrics[0].Resource)
			assert.Equal(c, utilization, *scaler.Status.CurrentMetrics[0].Resource.Current.AverageUtilization)
			assert.Equal(c, replicas, scaler.Status.DesiredReplicas)
		}, time.Minute, 250*time.Millisecond)
	}
	judges(35, 2) // per cent of the 100m that a pod asks for
	thousandths.Store(105)
	judges(105, 3)
	rollout, err = rollouts.Get(t.Context(), "gridos", metav1.GetOptions{})
	require.NoError(t, err)
	replicas, _, err := unstructured.NestedInt64(rollout.Object, "spec", "replicas")
	require.NoError(t, err)
	assert.EqualValues(t, 3, replicas)

	// The metrics of a deleted pod are deleted with it.
	metrics := objects.Resource(schema.GroupVersionResource{Group: "metrics.k8s.io", Version: "v1beta1", Resource: "pods"}).
		Namespace(naming.NamespaceGridOS)
	before, err := metrics.List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=gridos"})
	require.NoError(t, err)
	require.Len(t, before.Items, 2)
	require.NoError(t, client.AppsV1().ReplicaSets(naming.NamespaceGridOS).Delete(t.Context(), "gridos", metav1.DeleteOptions{}))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		after, err := metrics.List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		assert.Empty(c, after.Items)
	}, time.Minute, 250*time.Millisecond)
}
