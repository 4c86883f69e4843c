package traffic

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/bootstrap/edge"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/lab/internal/cluster/apitest"
	"github.com/gridos/sharedinfra/lab/internal/cluster/cloudcontroller"
	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

const edgeAddress = "10.10.18.10"

// throughTheEdge is the backend of an Application Gateway of infra.
func throughTheEdge() []Backend {
	return []Backend{{Address: edgeAddress, Port: 80, ProbePort: 15021, MostBody: 1100 << 10}}
}

var internalGateway = mesh.Gateway{Name: naming.IstioInternalIngress, Revision: "asm-1-25"}

// edgeService is the Service that gridos-bootstrap registers.
func edgeService(t *testing.T) *corev1.Service {
	t.Helper()
	recorded, err := mocks.Run{Project: stacks.Bootstrap, Root: repository, Stack: "dev"}.Do(func(ctx *pulumi.Context) error {
		_, err := edge.New(ctx, "edge", edge.Args{IngressIP: pulumi.String(edgeAddress)})
		return err
	})
	require.NoError(t, err)
	registered := recorded.OfType(object.ServiceToken)
	require.Len(t, registered, 1)
	service := &corev1.Service{}
	decode(t, registered[0].Inputs.Mappable(), service)
	return service
}

func decode(t *testing.T, from, into any) {
	t.Helper()
	text, err := json.Marshal(from)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}

// inTheOldWay changes the target ports of a Service to those on which the gateways of Istio's older
// charts listened.
func inTheOldWay(service *corev1.Service) *corev1.Service {
	service = service.DeepCopy()
	service.Labels = nil
	for i, port := range service.Spec.Ports {
		if port.Port < 1024 {
			service.Spec.Ports[i].TargetPort = intstr.FromInt32(8000 + port.Port)
		}
	}
	return service
}

// gatewayObject is the application's Gateway, which defines the servers of AKS' gateway.
func gatewayObject(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, "applications", "gridos", "base", "ingress.yaml"))
	require.NoError(t, err)
	found := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(strings.Split(string(content), "\n---\n")[0]), &found.Object))
	require.Equal(t, "Gateway", found.GetKind())
	found.SetNamespace(naming.NamespaceGridOS)
	return found
}

// A request of the Application Gateway reaches AKS' gateway through the Service that bootstrap
// registers, whichever Service is the older one.
func TestUnit_TheEdgeLeadsToWhereAKSGatewayListens(t *testing.T) {
	t.Parallel()
	config, err := configOf(gatewayObject(t))
	require.NoError(t, err)
	registered := edgeService(t)
	registered.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: edgeAddress}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "gateway", Namespace: naming.NamespaceIstioIngress,
			Labels: map[string]string{"app": internalGateway.Name, "istio": internalGateway.Name, "istio.io/rev": internalGateway.Revision},
		},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	created := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	for name, age := range map[string]time.Duration{"AKS' is older": time.Hour, "AKS made its own again": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var aks corev1.Service
			decode(t, internalGateway.Service(), &aks)
			aks.CreationTimestamp = metav1.NewTime(created.Add(-age))
			arrive := func(service *corev1.Service, pods ...*corev1.Pod) mesh.Arrival {
				service = service.DeepCopy()
				service.CreationTimestamp = metav1.NewTime(created)
				return through(throughTheEdge(), mesh.Cluster{
					Services: []*corev1.Service{service, &aks}, Pods: pods, Configs: []mesh.Config{config},
				})
			}
			gridos := []types.NamespacedName{{Namespace: naming.NamespaceGridOS, Name: "gridos"}}
			assert.Equal(t, mesh.Arrival{Share: 1, Configs: gridos}, arrive(registered, pod))
			require.ErrorContains(t, arrive(registered).Lost, "the backend 10.10.18.10 is not healthy: Service aks-istio-ingress/gridos-edge")

			old := inTheOldWay(registered)
			old.Labels = registered.Labels
			lost := arrive(old, pod)
			require.ErrorContains(t, lost.Lost, "Service aks-istio-ingress/gridos-edge sends port 80 to port 8080 of pod gateway, "+
				"where Envoy does not listen; it listens on 80 15021")
			assert.Zero(t, lost.Share)
		})
	}
	assert.ErrorContains(t, through(nil, mesh.Cluster{}).Lost, "no Application Gateway")
}

// The same test in a cluster, from the Application Gateway's backend to the pods of the service.
func TestCluster_ARequestReachesAPodOnlyIfThePortsAgree(t *testing.T) {
	resolver := toolchain.Resolver{ToolsDir: filepath.Join(repository, "tools")}
	istio, err := resolver.ModuleDir(t.Context(), "istio", "istio.io/api")
	require.NoError(t, err)
	clients := apitest.Start(t, resolver.ToolsDir, filepath.Join(istio, "kubernetes", "customresourcedefinitions.gen.yaml"))
	c := cluster{T: t, core: clients.Core, objects: clients.Objects}
	controller := make(chan error, 1)
	go func() { controller <- cloudcontroller.Run(t.Context(), c.core) }()
	t.Cleanup(func() { assert.NoError(t, <-controller) }) // the context ends earlier

	c.namespace()
	c.service("gridos-stable", "old")
	c.service("gridos-canary", "old")
	c.weigh(100, 0)
	served := servers{}
	c.pod("old-1", served.add(t, answer{}), "old", "v1", true)
	var backends atomic.Pointer[[]Backend]
	lead := func(to ...Backend) {
		backends.Store(&to)
		time.Sleep(2 * heardOf)
	}
	lead(throughTheEdge()...)
	users := &Traffic{Cluster: clients, Rate: 100, Backends: func() []Backend { return *backends.Load() }, Pods: served}
	require.NoError(t, users.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, users.Stop()) })
	// within returns what users see in a moment.
	within := func() Seen {
		before := users.Seen()
		time.Sleep(500 * time.Millisecond)
		return users.Seen().Since(before)
	}
	lost := func(why string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			assert.Equal(c, http.StatusBadGateway, asked(t, users.URL()+"/version"))
			assert.ErrorContains(c, users.Lost(), why)
		}, 20*time.Second, 100*time.Millisecond)
		if users.Seen().Revisions != nil { // they have begun
			between := within()
			assert.Positive(t, between.Unanswered, why)
			assert.Empty(t, between.Revisions, why)
		}
	}
	answered := func() {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			between := within()
			assert.NoError(c, users.Lost())
			assert.Zero(c, between.Unanswered)
			if assert.Len(c, between.Revisions, 1) {
				assert.Positive(c, between.Revisions[0].Requests)
				assert.Zero(c, between.Revisions[0].Failed)
			}
		}, 20*time.Second, 100*time.Millisecond)
	}
	lost("no load balancer of the cluster has the address 10.10.18.10")
	c.wayIn()
	answered()

	inIngress := c.core.CoreV1().Services(naming.NamespaceIstioIngress)
	again := func(service *corev1.Service) {
		t.Helper()
		require.NoError(t, inIngress.Delete(t.Context(), service.Name, metav1.DeleteOptions{}))
		_, err := inIngress.Create(t.Context(), service, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	registered := edgeService(t)
	again(inTheOldWay(registered))
	lost("sends port 80 to port 8080 of pod gateway-0, where Envoy does not listen; it listens on 80 15021")
	assert.Equal(t, http.StatusOK, asked(t, users.MeshURL()+"/version"), "the cluster's own pods do not come by the edge")
	// When AKS creates its Service again, the one of the old form becomes the older Service and
	// decides, until it is deleted.
	require.NoError(t, inIngress.Delete(t.Context(), internalGateway.Name, metav1.DeleteOptions{}))
	answered()
	assert.Equal(t, http.StatusBadGateway, asked(t, users.MeshURL()+"/version"), "they come by AKS' own Service")
	time.Sleep(1100 * time.Millisecond) // an age has whole seconds
	require.NoError(t, mesh.SetIngressGateways(t.Context(), c.core, []mesh.Gateway{internalGateway}))
	answered()
	again(registered)
	answered()

	// During the mesh's upgrade, with both revisions side by side, no request fails.
	next := mesh.Gateway{Name: internalGateway.Name, Revision: "asm-1-26"}
	require.NoError(t, mesh.SetIngressGateways(t.Context(), c.core, []mesh.Gateway{internalGateway, next}))
	c.gatewayPods(next)
	answered()
	require.NoError(t, mesh.SetIngressGateways(t.Context(), c.core, []mesh.Gateway{next}))
	answered()

	lead(Backend{Address: edgeAddress, Port: 443, ProbePort: 15021})
	lost("sends port 443 to port 443")
	lead()
	lost("no Application Gateway")

	// The largest batch of a field gateway is longer than what a firewall lets through by default.
	lead(Backend{Address: edgeAddress, Port: 80, ProbePort: 15021, MostBody: 128 << 10})
	backlog := bytes.Repeat([]byte(" "), 128<<10+1)
	response, err := http.Post(users.URL()+"/api/v1/telemetry", "application/json", bytes.NewReader(backlog)) //nolint:noctx // the test's own
	require.NoError(t, err)
	said, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusForbidden, response.StatusCode)
	assert.Contains(t, string(said), "the firewall refuses the body")
}

func asked(t *testing.T, url string) (code int) {
	t.Helper()
	response, err := http.Get(url) //nolint:noctx // the test's own
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

// wayIn makes the objects on the requests' way before the routes: AKS' gateway and its Service, the
// edge, and the application's Gateway.
func (c cluster) wayIn() {
	c.Helper()
	require.NoError(c, mesh.SetIngressGateways(c.Context(), c.core, []mesh.Gateway{internalGateway}))
	c.gatewayPods(internalGateway)
	services := c.core.CoreV1().Services(naming.NamespaceIstioIngress)
	created, err := services.Create(c.Context(), edgeService(c.T), metav1.CreateOptions{})
	require.NoError(c, err)
	created.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: edgeAddress}}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"loadBalancer": created.Status.LoadBalancer}})
	require.NoError(c, err)
	_, err = services.Patch(c.Context(), created.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	require.NoError(c, err)
	object := gatewayObject(c.T)
	_, err = c.objects.Resource(configs).Namespace(object.GetNamespace()).Create(c.Context(), object, metav1.CreateOptions{})
	require.NoError(c, err)
}

// gatewayPods makes the pods of a Deployment of AKS, in place of the controllers that do not run
// here.
func (c cluster) gatewayPods(gateway mesh.Gateway) {
	c.Helper()
	deployment, err := c.core.AppsV1().Deployments(naming.NamespaceIstioIngress).
		Get(c.Context(), gateway.Name+"-"+gateway.Revision, metav1.GetOptions{})
	require.NoError(c, err)
	pods := c.core.CoreV1().Pods(naming.NamespaceIstioIngress)
	name, address := "gateway-0", "10.244.9.0"
	if gateway.Revision != internalGateway.Revision {
		name, address = "gateway-"+gateway.Revision, "10.244.9.1"
	}
	pod, err := pods.Create(c.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: deployment.Spec.Template.Labels, Annotations: deployment.Spec.Template.Annotations,
		},
		Spec: deployment.Spec.Template.Spec,
	}, metav1.CreateOptions{})
	require.NoError(c, err)
	pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, address
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	_, err = pods.UpdateStatus(c.Context(), pod, metav1.UpdateOptions{})
	require.NoError(c, err)
}
