package traffic

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"slices"
	"strconv"
	"time"

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

// visitor is the address that the gateway tells the service of clients on this machine: one of a
// network that is connected to the virtual network, as users' machines are.
const visitor = "10.254.0.10"

// answerOne answers a request to the gateway as Envoy would. A pod that runs is asked for the
// answer, unless its version is set to fail.
func (t *Traffic) answerOne(w http.ResponseWriter, request *http.Request) {
	to := t.ask(request.URL.Path, request.Header)
	if to.pod == nil || to.code != http.StatusOK || t.Pods == nil || !t.Pods.Runs(to.pod.Namespace, to.pod.Name) {
		to.count(to.code, to.seconds)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(to.code)
		answer := map[string]string{"version": to.version, "service": to.service}
		_ = json.NewEncoder(w).Encode(answer) // a client that went away hears of nothing
		return
	}
	t.pass(w, request, to)
}

// pass lets a pod answer.
func (t *Traffic) pass(w http.ResponseWriter, request *http.Request, to destination) {
	began := time.Now()
	proxy := &httputil.ReverseProxy{
		Transport: t.transport(to.from),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", net.JoinHostPort(to.pod.Status.PodIP, strconv.Itoa(int(to.port)))
			r.Out.Host = r.In.Host
			// Envoy adds the address that it was connected from.
			r.Out.Header["X-Forwarded-For"] = append(slices.Clone(r.In.Header["X-Forwarded-For"]), visitor)
		},
		ModifyResponse: func(response *http.Response) error {
			to.count(response.StatusCode, time.Since(began).Seconds())
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			to.count(http.StatusServiceUnavailable, time.Since(began).Seconds())
			http.Error(w, "upstream connect error: "+err.Error(), http.StatusServiceUnavailable)
		},
	}
	proxy.ServeHTTP(w, request)
}

// transport returns the way from a pod of the gateway to the pods, which keeps connections.
func (t *Traffic) transport(from string) http.RoundTripper {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.transports[from] == nil {
		address, err := netip.ParseAddr(from)
		if err != nil {
			address = netip.Addr{} // a gateway without an address yet
		}
		t.transports[from] = t.Pods.Transport(address)
	}
	return t.transports[from]
}

// versionPath is what a release asks both revisions for.
const versionPath = "/version"

// destination is where the gateway sends a request, or what it answers by itself.
type destination struct {
	service, version string
	pod              *corev1.Pod
	port             int32
	from             string // the address of the gateway's pod
	code             int
	seconds          float64
	count            func(code int, seconds float64)
}

// ask sends one request through the routes.
func (t *Traffic) ask(path string, header http.Header) destination {
	t.mu.Lock()
	defer t.mu.Unlock()
	itself := func(code int) destination { return destination{code: code, count: func(int, float64) {}} }
	gateways, err := t.lookAtGateways()
	if err != nil || len(gateways) == 0 {
		return itself(http.StatusBadGateway)
	}
	in, err := t.entrance.arrive()
	if err != nil || len(in.Configs) == 0 {
		return itself(http.StatusBadGateway) // nothing listens
	}
	virtual, err := t.virtualService()
	if err != nil || virtual == nil {
		return itself(http.StatusNotFound)
	}
	service, err := serviceFor(virtual, in.Configs, path, header)
	if err != nil || service == "" {
		return itself(http.StatusNotFound)
	}
	through := gateways[rand.IntN(len(gateways))] //nolint:gosec // which pod takes a request is no secret
	object, err := t.services.Get(service)
	if err != nil {
		object = nil // a route to a missing Service has no pods either
	}
	found := destination{
		service: service, from: through.pod.Status.PodIP, code: http.StatusServiceUnavailable,
		count: func(code int, seconds float64) {
			t.mu.Lock()
			defer t.mu.Unlock()
			through.count(service, code, seconds)
		},
	}
	to := endpoints(object, slices.Collect(maps.Values(t.replicas)))
	if len(to) == 0 {
		return found
	}
	r := to[rand.IntN(len(to))] //nolint:gosec // which pod answers is no secret
	found.version, found.pod = r.tag, r.pod
	if len(object.Spec.Ports) > 0 {
		found.port, _ = mesh.TargetPort(r.pod, object.Spec.Ports[0]) // no connection is made to port 0
	}
	found.code = http.StatusOK
	if path == versionPath { // the counters of the pods are invented, those of the releases' own requests too
		found.code, found.seconds = r.serve(http.MethodGet, path, t.behaviour(r.tag))
	}
	return found
}
