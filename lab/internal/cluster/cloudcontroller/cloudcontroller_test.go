package cloudcontroller_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/lab/internal/cluster/apitest"
	"github.com/gridos/sharedinfra/lab/internal/cluster/cloudcontroller"
)

const annotation = "service.beta.kubernetes.io/azure-load-balancer-ipv4"

func TestCluster_ServicesGetTheAddressThatTheyAskFor(t *testing.T) {
	client := apitest.Start(t, "../../../../tools").Core
	services := client.CoreV1().Services(metav1.NamespaceDefault)
	create := func(name string, kind corev1.ServiceType, annotations map[string]string) *corev1.Service {
		service, err := services.Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations},
			Spec:       corev1.ServiceSpec{Type: kind, Ports: []corev1.ServicePort{{Port: 80}}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		return service
	}
	eventually := func(name, want string) {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			service, err := services.Get(t.Context(), name, metav1.GetOptions{})
			if assert.NoError(c, err) && assert.Len(c, service.Status.LoadBalancer.Ingress, 1) {
				assert.Equal(c, want, service.Status.LoadBalancer.Ingress[0].IP)
			}
		}, 20*time.Second, 20*time.Millisecond)
	}

	create("no-balancer", corev1.ServiceTypeClusterIP, map[string]string{annotation: "10.10.18.9"})
	create("no-address", corev1.ServiceTypeLoadBalancer, nil)
	create("before", corev1.ServiceTypeLoadBalancer, map[string]string{annotation: "10.10.18.10"})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- cloudcontroller.Run(ctx, client) }()
	eventually("before", "10.10.18.10")

	after := create("after", corev1.ServiceTypeLoadBalancer, map[string]string{annotation: "10.10.18.11"})
	eventually("after", "10.10.18.11")
	after, err := services.Get(t.Context(), after.Name, metav1.GetOptions{})
	require.NoError(t, err)
	after.Annotations[annotation] = "10.10.18.12"
	_, err = services.Update(t.Context(), after, metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually("after", "10.10.18.12")
	for _, name := range []string{"no-balancer", "no-address"} { // they were created first
		service, err := services.Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Empty(t, service.Status.LoadBalancer.Ingress, name)
	}
	stop()
	require.NoError(t, <-done)
}
