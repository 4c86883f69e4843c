package world

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func namespaceIn(name string, phase corev1.NamespacePhase) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NamespaceStatus{Phase: phase}}
}

// A namespace that can still be read but is being deleted must not count for a refresh.
func TestUnit_RecoveryWaitsForNamespacesOnTheirWayOut(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(namespaceIn("argocd", corev1.NamespaceTerminating), namespaceIn("gridos", corev1.NamespaceActive))
	held, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := awaitDeletions(held, client)
	require.ErrorContains(t, err, "still being deleted: argocd;")

	done := make(chan error, 1)
	go func() { done <- awaitDeletions(t.Context(), client) }()
	require.NoError(t, client.CoreV1().Namespaces().Delete(t.Context(), "argocd", metav1.DeleteOptions{}))
	require.NoError(t, <-done)
	list, err := client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Len(t, list.Items, 1)
}
