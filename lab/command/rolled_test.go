package command

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// rolledWithin is how long a rolling update may take if pods become ready at once.
const rolledWithin = 2 * time.Minute

// everyWorkloadIsRolled restarts each workload of the releases, as an upgrade of its chart would,
// on the highest number of nodes of the environment. The scheduler is the real one.
func everyWorkloadIsRolled(t *testing.T, s site.Site) {
	t.Helper()
	client := clusterOf(t, s).Core
	ctx := t.Context()
	restart := fmt.Appendf(nil, `{"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": %q}}}}}`,
		time.Now().Format(time.RFC3339))
	rolled := 0
	for _, namespace := range []string{naming.NamespaceArgoCD, naming.NamespaceArgoRollouts, naming.NamespaceExternalSecrets} {
		deployments, sets := client.AppsV1().Deployments(namespace), client.AppsV1().StatefulSets(namespace)
		listed, err := deployments.List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		for _, d := range listed.Items {
			_, err := deployments.Patch(ctx, d.Name, types.StrategicMergePatchType, restart, metav1.PatchOptions{})
			require.NoError(t, err)
			assert.EventuallyWithT(t, func(c *assert.CollectT) {
				now, err := deployments.Get(ctx, d.Name, metav1.GetOptions{})
				if !assert.NoError(c, err) {
					return
				}
				assert.Equal(c, now.Generation, now.Status.ObservedGeneration)
				assert.Equal(c, *now.Spec.Replicas, now.Status.UpdatedReplicas, "new pods")
				assert.Equal(c, *now.Spec.Replicas, now.Status.Replicas, "all pods")
				assert.Equal(c, *now.Spec.Replicas, now.Status.AvailableReplicas, "available pods")
			}, rolledWithin, time.Second, "Deployment %s/%s", namespace, d.Name)
			rolled++
		}
		ordered, err := sets.List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		for _, set := range ordered.Items {
			_, err := sets.Patch(ctx, set.Name, types.StrategicMergePatchType, restart, metav1.PatchOptions{})
			require.NoError(t, err)
			assert.EventuallyWithT(t, func(c *assert.CollectT) {
				now, err := sets.Get(ctx, set.Name, metav1.GetOptions{})
				if !assert.NoError(c, err) {
					return
				}
				assert.Equal(c, now.Generation, now.Status.ObservedGeneration)
				assert.Equal(c, now.Status.UpdateRevision, now.Status.CurrentRevision)
				assert.Equal(c, *now.Spec.Replicas, now.Status.ReadyReplicas, "ready pods")
			}, rolledWithin, time.Second, "StatefulSet %s/%s", namespace, set.Name)
			rolled++
		}
	}
	assert.Equal(t, 11, rolled, "seven of Argo CD, one of Argo Rollouts, three of External Secrets")
}
