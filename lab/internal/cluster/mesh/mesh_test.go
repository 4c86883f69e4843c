package mesh_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/apitest"
	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
)

func TestCluster_TheGatewaysFollowTheMesh(t *testing.T) {
	client := apitest.Start(t, "../../../../tools").Core
	gateways := func(revisions ...string) []mesh.Gateway {
		var all []mesh.Gateway
		for _, revision := range revisions {
			all = append(all, mesh.Gateway{Name: naming.IstioInternalIngress, Revision: revision})
		}
		return all
	}
	names := func() []string {
		list, err := client.AppsV1().Deployments(naming.NamespaceIstioIngress).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		found := []string{}
		for _, deployment := range list.Items {
			assert.Equal(t, naming.IstioInternalIngress, deployment.Spec.Template.Labels["istio"], "what the edge Service selects")
			assert.EqualValues(t, 2, *deployment.Spec.Replicas, "AKS' minimum")
			require.Len(t, deployment.Spec.Template.Spec.Tolerations, 1, "they may run on system nodes")
			assert.Equal(t, "CriticalAddonsOnly", deployment.Spec.Template.Spec.Tolerations[0].Key)
			assert.Equal(t, map[string]string{
				"prometheus.io/scrape": "true", "prometheus.io/port": "15020", "prometheus.io/path": "/stats/prometheus",
			}, deployment.Spec.Template.Annotations, "what Prometheus goes by")
			found = append(found, deployment.Name)
		}
		return found
	}
	services := func() []string {
		list, err := client.CoreV1().Services(naming.NamespaceIstioIngress).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		found := []string{}
		for _, service := range list.Items {
			assert.NotContains(t, service.Spec.Selector, "istio.io/rev", "it selects the pods of every revision")
			assert.Equal(t, corev1.ServiceTypeLoadBalancer, service.Spec.Type)
			ports := map[int32]int32{}
			for _, port := range service.Spec.Ports {
				ports[port.Port] = port.TargetPort.IntVal
			}
			assert.Equal(t, map[int32]int32{15021: 15021, 80: 80, 443: 443}, ports)
			found = append(found, service.Name+" of "+service.CreationTimestamp.String())
		}
		return found
	}
	const before, after = naming.IstioInternalIngress + "-asm-1-25", naming.IstioInternalIngress + "-asm-1-26"
	var during []string
	for _, step := range []struct{ revisions, want []string }{
		{nil, []string{}},
		{[]string{"asm-1-25"}, []string{before}},
		{[]string{"asm-1-25"}, []string{before}},
		{[]string{"asm-1-25", "asm-1-26"}, []string{before, after}},
		{[]string{"asm-1-26"}, []string{after}},
		{nil, []string{}},
	} {
		require.NoError(t, mesh.SetIngressGateways(t.Context(), client, gateways(step.revisions...)))
		assert.ElementsMatch(t, step.want, names())
		switch now := services(); {
		case len(step.revisions) == 0:
			assert.Empty(t, now)
		case during == nil:
			assert.Len(t, now, 1)
			during = now
		default:
			assert.Equal(t, during, now, "an upgrade keeps the Service")
		}
	}
	for _, name := range []string{naming.NamespaceIstioIngress, naming.NamespaceIstioSystem} {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err, "others have objects there")
	}
}
