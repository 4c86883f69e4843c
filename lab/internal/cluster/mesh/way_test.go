package mesh

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gridos/sharedinfra/internal/naming"
)

const edgeAddress, aksAddress = "10.10.18.10", "10.10.0.7"

var (
	created = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	gridos  = types.NamespacedName{Namespace: "gridos", Name: "gridos"}
)

// aksService is AKS' own Service, with the fields that the API server and Azure's cloud controller
// add.
func aksService(t *testing.T, age time.Duration) *corev1.Service {
	t.Helper()
	text, err := json.Marshal(Gateway{Name: naming.IstioInternalIngress}.Service())
	require.NoError(t, err)
	service := &corev1.Service{}
	require.NoError(t, json.Unmarshal(text, service))
	return at(service, aksAddress, age)
}

func at(service *corev1.Service, address string, age time.Duration) *corev1.Service {
	service.CreationTimestamp = metav1.NewTime(created.Add(-age))
	service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address}}
	return service
}

// ownService is another Service for AKS' pods, with the ports 15021 and 80.
func ownService(age time.Duration, target intstr.IntOrString, labels map[string]string) *corev1.Service {
	return at(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "own", Namespace: naming.NamespaceIstioIngress, Labels: labels},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"istio": naming.IstioInternalIngress},
			Ports: []corev1.ServicePort{
				{Name: "status-port", Port: statusPort, TargetPort: intstr.FromInt32(statusPort)},
				{Name: "http2", Port: 80, TargetPort: target},
			},
		},
	}, edgeAddress, age)
}

func gatewayPod(name, revision string, isReady corev1.ConditionStatus) *corev1.Pod {
	labels := Gateway{Name: naming.IstioInternalIngress}.podLabels()
	labels["istio.io/rev"] = revision
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: naming.NamespaceIstioIngress, Labels: labels},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
			{Name: "http-envoy-prom", ContainerPort: 15090}, {Name: "other", ContainerPort: 80, Protocol: corev1.ProtocolUDP},
		}}}},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: isReady}}},
	}
}

func serving(number int32, protocol string) []Config {
	return []Config{{
		NamespacedName: gridos, Selector: map[string]string{"istio": naming.IstioInternalIngress},
		Servers: []ConfigPort{{Number: number, Protocol: protocol}},
	}}
}

func TestUnit_ARequestArrivesOnlyWhereThePortsAgree(t *testing.T) {
	t.Parallel()
	to := intstr.FromInt32
	optedOut := map[string]string{noTranslation: "true"}
	const older, younger = time.Hour, -time.Hour
	for name, test := range map[string]struct {
		own     *corev1.Service
		configs []Config
		edge    string // the error at port 80 of the user's own Service, in part
		aks     string // and the error at port 80 of AKS' Service
	}{
		"the same target": {ownService(younger, to(80), nil), serving(80, "HTTP"), "", ""},
		"the target of Istio's older charts": {
			ownService(younger, to(8080), nil), serving(80, "HTTP"),
			"Service aks-istio-ingress/own sends port 80 to port 8080 of pod one, where Envoy does not listen; it listens on 80 15021", "",
		},
		"the older Service decides": {
			ownService(older, to(8080), nil), serving(80, "HTTP"),
			"", "Service aks-istio-ingress/aks-istio-ingressgateway-internal sends port 80 to port 80 of pod one, where Envoy does not listen",
		},
		"of the same age, the first by host name decides": {
			ownService(0, to(8080), nil), serving(80, "HTTP"), "it listens on 80 15021", "",
		},
		"a Service that has opted out never decides": {
			ownService(older, to(8080), optedOut), serving(80, "HTTP"), "where Envoy does not listen", "",
		},
		"and is served where the ports agree": {ownService(older, to(80), optedOut), serving(80, "HTTP"), "", ""},
		"the label counts, not its value": {
			ownService(older, to(8080), map[string]string{noTranslation: "false"}), serving(80, "HTTP"), "where Envoy does not listen", "",
		},
		"a port of a Service that selects others": {
			func() *corev1.Service {
				own := ownService(older, to(8080), nil)
				own.Spec.Selector = map[string]string{"istio": "aks-istio-ingressgateway-external"}
				return own
			}(), serving(80, "HTTP"), "selects no pod that is ready", "",
		},
		"a Service of another namespace": {
			func() *corev1.Service {
				own := ownService(older, to(8080), nil)
				own.Namespace = "gridos"
				return own
			}(), serving(80, "HTTP"), "Service gridos/own selects no pod that is ready", "",
		},
		"a named target": {
			ownService(older, intstr.FromString("http-envoy-prom"), nil), serving(80, "HTTP"), "", "it listens on 15021 15090",
		},
		"a name of another protocol": {
			ownService(older, intstr.FromString("other"), nil), serving(80, "HTTP"), `port "other", which pod one does not name`, "",
		},
		"no Gateway":                {ownService(younger, to(80), nil), nil, "it listens on 15021", "it listens on 15021"},
		"a Gateway of another port": {ownService(younger, to(80), nil), serving(8080, "HTTP"), "it listens on 8080 15021", "it listens on 8080"},
		"a Gateway with TLS": {
			ownService(younger, to(80), nil), serving(80, "HTTPS"), "takes HTTPS and no plain HTTP", "takes HTTPS and no plain HTTP",
		},
		"a Gateway of other gateways": {
			ownService(younger, to(80), nil), []Config{{
				NamespacedName: gridos, Selector: map[string]string{"istio": "ingressgateway"}, Servers: []ConfigPort{{80, "HTTP"}},
			}}, "it listens on 15021", "it listens on 15021",
		},
		"a Gateway of all gateways": {
			ownService(younger, to(80), nil), []Config{{NamespacedName: gridos, Servers: []ConfigPort{{80, "HTTP"}}}}, "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := Cluster{
				Services: []*corev1.Service{test.own, aksService(t, 0)}, Configs: test.configs,
				Pods: []*corev1.Pod{gatewayPod("one", "asm-1-25", corev1.ConditionTrue)},
			}
			for address, lost := range map[string]string{edgeAddress: test.edge, aksAddress: test.aks} {
				arrival := cluster.Arrive(address, 80)
				if lost == "" {
					assert.Equal(t, Arrival{Share: 1, Configs: []types.NamespacedName{gridos}}, arrival, address)
					continue
				}
				require.ErrorContains(t, arrival.Lost, lost, address)
				assert.Zero(t, arrival.Share, address)
				assert.Empty(t, arrival.Configs, address)
			}
		})
	}
}

// The probes of the Application Gateway and the load balancer say nothing about the port of the
// requests.
func TestUnit_TheStatusPortAnswersWhateverTheOtherPortsAre(t *testing.T) {
	t.Parallel()
	cluster := Cluster{
		Services: []*corev1.Service{ownService(0, intstr.FromInt32(8080), nil), aksService(t, time.Hour)},
		Pods:     []*corev1.Pod{gatewayPod("one", "asm-1-25", corev1.ConditionTrue)}, Configs: serving(80, "HTTP"),
	}
	assert.Equal(t, Arrival{Share: 1}, cluster.Arrive(edgeAddress, statusPort))
	require.ErrorContains(t, cluster.Arrive(edgeAddress, 80).Lost, "where Envoy does not listen")
	require.EqualError(t, cluster.Arrive(edgeAddress, 8443).Lost,
		"Service aks-istio-ingress/own, whose load balancer has the address 10.10.18.10, has no port 8443")
	require.EqualError(t, cluster.Arrive("10.10.18.11", 80).Lost, "no load balancer of the cluster has the address 10.10.18.11")
}

// During an upgrade the mesh has the pods of two revisions, and AKS has one Service for both.
func TestUnit_BothRevisionsOfAnUpgradeServe(t *testing.T) {
	t.Parallel()
	cluster := Cluster{
		Services: []*corev1.Service{ownService(0, intstr.FromInt32(80), map[string]string{noTranslation: "true"}), aksService(t, time.Hour)},
		Pods: []*corev1.Pod{
			gatewayPod("one", "asm-1-25", corev1.ConditionTrue), gatewayPod("two", "asm-1-26", corev1.ConditionFalse),
		},
		Configs: serving(80, "HTTP"),
	}
	one := Arrival{Share: 1, Configs: []types.NamespacedName{gridos}}
	assert.Equal(t, one, cluster.Arrive(edgeAddress, 80), "the new revision is not ready yet")
	cluster.Pods[1] = gatewayPod("two", "asm-1-26", corev1.ConditionTrue)
	assert.Equal(t, one, cluster.Arrive(edgeAddress, 80))

	// If Envoy does not listen in a pod of the new revision, that pod's share of the requests is
	// lost.
	cluster.Configs[0].Selector = map[string]string{"istio.io/rev": "asm-1-25"}
	arrival := cluster.Arrive(edgeAddress, 80)
	assert.InDelta(t, .5, arrival.Share, 1e-9)
	require.ErrorContains(t, arrival.Lost, "of pod two, where Envoy does not listen")
	now := metav1.NewTime(created)
	cluster.Pods[1].DeletionTimestamp = &now
	assert.Equal(t, one, cluster.Arrive(edgeAddress, 80), "a pod that ends gets no requests")
}
