package argo

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gridos/sharedinfra/internal/naming"
)

// shipped returns an object of the application's base.
func shipped(t *testing.T, file, kind string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile("../../../../applications/gridos/base/" + file)
	require.NoError(t, err)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		require.NotErrorIs(t, err, io.EOF, "there is no %s in %s", kind, file)
		require.NoError(t, err)
		if object.GetKind() == kind {
			object.SetNamespace(naming.NamespaceGridOS)
			return object
		}
	}
}

func TestUnit_TheShippedObjectsAreUnderstood(t *testing.T) {
	t.Parallel()
	routing, err := routingOf(shipped(t, "ingress.yaml", "VirtualService"), StableService, CanaryService)
	require.NoError(t, err)
	assert.Equal(t, Routing{Stable: 100}, routing)
	rollout, err := read[Rollout](shipped(t, "rollout.yaml", "Rollout"))
	require.NoError(t, err)
	assert.Equal(t, []int{10, 25, 50, 100}, rollout.Weights())
}

func TestUnit_AnObserverSeesEachMoveOfTheRequestsAndSaysWhereAReleaseStands(t *testing.T) {
	t.Parallel()
	virtual := shipped(t, "ingress.yaml", "VirtualService")
	application := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
		"metadata": map[string]any{"name": "gridos-dev", "namespace": naming.NamespaceArgoCD},
		"status": map[string]any{
			"sync":       map[string]any{"status": "OutOfSync", "revision": "0123456789"},
			"conditions": []any{map[string]any{"type": "ComparisonError", "message": "no forgotten.yaml"}},
		},
	}}
	event := func(name, kind, message string, at time.Time) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Event", "metadata": map[string]any{"name": name, "namespace": naming.NamespaceGridOS},
			"type": kind, "reason": "FailedMount", "message": message, "lastTimestamp": at.UTC().Format(time.RFC3339),
			"involvedObject": map[string]any{"kind": "Pod", "name": "gridos-1"},
		}}
	}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		Applications: "ApplicationList", Rollouts: "RolloutList", AnalysisRuns: "AnalysisRunList", VirtualServices: "VirtualServiceList",
		events: "EventList",
	}, virtual, application, event("a", "Warning", "no gridos-database", time.Now()), event("b", "Normal", "all is well", time.Now()),
		event("c", "Warning", "long over", time.Now().Add(-time.Hour)))
	o, err := Observe(t.Context(), client, "gridos-dev")
	require.NoError(t, err)
	defer o.Stop()

	move := func(stable, canary int64) {
		routes, _, err := unstructured.NestedSlice(virtual.Object, "spec", "http")
		require.NoError(t, err)
		split := routes[len(routes)-1].(map[string]any)["route"].([]any)
		split[0].(map[string]any)["weight"], split[1].(map[string]any)["weight"] = stable, canary
		require.NoError(t, unstructured.SetNestedSlice(virtual.Object, routes, "spec", "http"))
		_, err = client.Resource(VirtualServices).Namespace(naming.NamespaceGridOS).Update(t.Context(), virtual, metav1.UpdateOptions{})
		require.NoError(t, err)
		_, err = o.Until(t.Context(), "it is seen", func(s State) (bool, error) { return s.Routing.Canary == int(canary), nil })
		require.NoError(t, err)
	}
	move(90, 10)
	virtual.SetAnnotations(map[string]string{"changed": "otherwise"})
	move(90, 10)
	move(75, 25)
	var seen []Routing
	for _, m := range o.Moves(time.Time{}) {
		seen = append(seen, m.Routing)
	}
	assert.Equal(t, []Routing{{100, 0}, {90, 10}, {75, 25}}, seen)

	limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = o.Until(limited, "the impossible happens", func(s State) (bool, error) { return s.Application.Synced("0123456789"), nil })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	for _, word := range []string{"the impossible happens", "OutOfSync at 0123456", "no forgotten.yaml", "75/25"} {
		require.ErrorContains(t, err, word)
	}
	require.ErrorContains(t, err, "; Pod gridos-1: FailedMount: no gridos-database")
	require.NotContains(t, err.Error(), "all is well")
	require.NotContains(t, err.Error(), "long over")
}

// TestUnit_AStateThatLastsIsAsNewAsTheAPIServer lets the watch of Rollouts lag behind that of
// Applications, as can happen: Argo CD has synced a commit, and the observer has not seen the
// resulting change yet.
func TestUnit_AStateThatLastsIsAsNewAsTheAPIServer(t *testing.T) {
	t.Parallel()
	object := func(kind, namespace, name, version string, fields map[string]any) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: fields}
		u.SetAPIVersion("argoproj.io/v1alpha1")
		u.SetKind(kind)
		u.SetNamespace(namespace)
		u.SetName(name)
		u.SetResourceVersion(version)
		return u
	}
	rollout := func(version, image string) *unstructured.Unstructured {
		containers := []any{map[string]any{"name": "gridos", "image": image}}
		return object("Rollout", naming.NamespaceGridOS, RolloutName, version, map[string]any{
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": containers}}},
		})
	}
	application := func(version, commit string) *unstructured.Unstructured {
		return object("Application", naming.NamespaceArgoCD, "gridos-dev", version, map[string]any{
			"status": map[string]any{"sync": map[string]any{"status": "Synced", "revision": commit}},
		})
	}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		Applications: "ApplicationList", Rollouts: "RolloutList", AnalysisRuns: "AnalysisRunList", VirtualServices: "VirtualServiceList",
		events: "EventList",
	}, rollout("1", "gridos:old"), application("2", "before"))
	late := watch.NewFake()
	client.PrependWatchReactor("rollouts", clienttesting.DefaultWatchReactor(late, nil))
	o, err := Observe(t.Context(), client, "gridos-dev")
	require.NoError(t, err)
	defer o.Stop()

	update := func(resource schema.GroupVersionResource, u *unstructured.Unstructured) {
		_, err := client.Resource(resource).Namespace(u.GetNamespace()).Update(t.Context(), u, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	changed := rollout("3", "gridos:new")
	update(Rollouts, changed)
	update(Applications, application("4", "after"))
	synced := func(s State) (bool, error) { return s.Application.Synced("after"), nil }

	state, err := o.Until(t.Context(), "it is synced", synced)
	require.NoError(t, err)
	assert.Equal(t, "gridos:old", state.Rollout.Image(), "the watch does not lag: this test shows nothing")

	limited, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = o.UntilSettled(limited, "it is synced", synced)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "waiting until it is synced")

	go late.Modify(changed)
	state, err = o.UntilSettled(t.Context(), "it is synced", synced)
	require.NoError(t, err)
	assert.Equal(t, "gridos:new", state.Rollout.Image())
}
