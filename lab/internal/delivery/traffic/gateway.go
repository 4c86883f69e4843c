package traffic

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
)

// gateway has the counters of a pod of the mesh's gateway. The metrics and their labels are Istio's
// ("Istio Standard Metrics", istio.io/latest/docs/reference/config/metrics), without the labels
// that no query here uses.
type gateway struct {
	pod      *corev1.Pod
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	metrics  http.Handler
}

// gatewayBuckets are Envoy's default bounds, in milliseconds. That the add-on of AKS keeps them is
// inferred `mesh-metrics`.
var gatewayBuckets = []float64{
	.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000,
}

func newGateway(pod *corev1.Pod) *gateway {
	labels := []string{
		"reporter", "destination_service", "destination_service_name", "destination_service_namespace", "response_code", "response_flags",
	}
	g := &gateway{
		pod: pod,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "istio_requests_total", Help: "Requests by the Service that they were for and what was answered.",
		}, labels),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "istio_request_duration_milliseconds", Help: "Time until a request was answered.", Buckets: gatewayBuckets,
		}, labels),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(g.requests, g.duration)
	g.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return g
}

// noPod is Envoy's flag for a request without a healthy upstream, which it answers with 503 (Envoy,
// "Access logging", %RESPONSE_FLAGS%).
const noPod = "UH"

// count counts a request for a Service of the application that was answered with a code.
func (g *gateway) count(service string, code int, seconds float64) {
	flags := "-"
	if code == http.StatusServiceUnavailable {
		flags = noPod
	}
	values := []string{
		"source", service + "." + naming.NamespaceGridOS + ".svc.cluster.local", service, naming.NamespaceGridOS, strconv.Itoa(code), flags,
	}
	g.requests.WithLabelValues(values...).Inc()
	g.duration.WithLabelValues(values...).Observe(1000 * seconds)
}

// lookAtGateways finds the gateway's pods that accept requests, in the order of their names.
func (t *Traffic) lookAtGateways() ([]*gateway, error) {
	pods, err := t.entrance.pods.List(k8slabels.SelectorFromSet(k8slabels.Set{"istio": naming.IstioInternalIngress}))
	if err != nil {
		return nil, err
	}
	present := map[types.UID]*gateway{}
	var ready []*gateway
	for _, pod := range pods {
		g := t.gateways[pod.UID]
		if g == nil {
			g = newGateway(pod)
		}
		g.pod = pod
		present[pod.UID] = g
		if mesh.Ready(pod) {
			ready = append(ready, g)
		}
	}
	t.gateways = present
	slices.SortFunc(ready, func(a, b *gateway) int { return compareNames(a.pod, b.pod) })
	return ready, nil
}

// answerOne answers a request from inside the cluster to the gateway's own Service, as Envoy would.
// It is not counted, because only advance counts, and only users' requests.
func (t *Traffic) answerOne(w http.ResponseWriter, request *http.Request) {
	service, version, code := t.ask("/"+request.PathValue("path"), request.Header)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"version": version, "service": service}) // a client that went away hears of nothing
}

// ask sends one request through the routes, and returns its Service, the version that answered and
// the code.
func (t *Traffic) ask(path string, header http.Header) (service, version string, code int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	gateways, err := t.lookAtGateways()
	if err != nil || len(gateways) == 0 {
		return "", "", http.StatusBadGateway
	}
	in, err := t.entrance.arrive()
	if err != nil || len(in.Configs) == 0 {
		return "", "", http.StatusBadGateway // nothing listens
	}
	virtual, err := t.virtualService()
	if err != nil || virtual == nil {
		return "", "", http.StatusNotFound
	}
	service, err = serviceFor(virtual, in.Configs, path, header)
	if err != nil || service == "" {
		return "", "", http.StatusNotFound
	}
	through := gateways[rand.IntN(len(gateways))] //nolint:gosec // which pod takes a request is no secret
	object, err := t.services.Get(service)
	if err != nil {
		object = nil // a route to a missing Service has no pods either
	}
	to := endpoints(object, slices.Collect(maps.Values(t.replicas)))
	code, seconds := http.StatusServiceUnavailable, 0.
	if len(to) > 0 {
		r := to[rand.IntN(len(to))] //nolint:gosec // which pod answers is no secret
		version = r.tag
		code, seconds = r.serve(http.MethodGet, path, t.behaviour(r.tag))
	}
	through.count(service, code, seconds)
	return service, version, code
}
