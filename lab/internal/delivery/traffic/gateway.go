package traffic

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
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

func newGateway() *gateway {
	labels := []string{
		"reporter", "destination_service", "destination_service_name", "destination_service_namespace", "response_code", "response_flags",
	}
	g := &gateway{
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

// Envoy's flags for a request that it answers by itself: without a healthy pod, without a
// connection to one, and after the time of the route (Envoy, "Access logging", %RESPONSE_FLAGS%).
const (
	noPod        = "UH"
	noConnection = "UF"
	tooLate      = "UT"
)

// count counts a request for a Service of the application that was answered with a code.
func (g *gateway) count(service string, code int, flags string, took time.Duration) {
	values := []string{
		"source", service + "." + naming.NamespaceGridOS + ".svc.cluster.local", service, naming.NamespaceGridOS, strconv.Itoa(code),
		cmp.Or(flags, "-"),
	}
	g.requests.WithLabelValues(values...).Inc()
	g.duration.WithLabelValues(values...).Observe(float64(took.Microseconds()) / 1000)
}

// readyGateway returns one of the gateway's pods that accept requests, or nil if none does.
func (t *Traffic) readyGateway() (*gateway, error) {
	pods, err := t.entrance.pods.List(k8slabels.SelectorFromSet(k8slabels.Set{"istio": naming.IstioInternalIngress}))
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	present := map[types.UID]*gateway{}
	var ready []*gateway
	for _, pod := range pods {
		g := t.gateways[pod.UID]
		if g == nil {
			g = newGateway()
		}
		g.pod = pod
		present[pod.UID] = g
		if mesh.Ready(pod) {
			ready = append(ready, g)
		}
	}
	t.gateways = present
	if len(ready) == 0 {
		return nil, nil
	}
	return ready[rand.IntN(len(ready))], nil //nolint:gosec // which pod takes a request is no secret
}

// meshGateway answers a request that comes to the mesh's gateway from inside of the virtual
// network, such as those of Argo Rollouts and of the smoke test.
func (t *Traffic) meshGateway(w http.ResponseWriter, request *http.Request) {
	content, err := io.ReadAll(http.MaxBytesReader(w, request.Body, largestBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in, err := t.arrival()
	if err != nil || rand.Float64() >= in.inside.Share { //nolint:gosec // which request is lost is no secret
		http.Error(w, fmt.Sprintf("no connection: %v", errors.Join(err, in.inside.Lost)), http.StatusBadGateway)
		return
	}
	t.throughMesh(w, request, content, in.inside.Configs, visitor(request.RemoteAddr).Addr().String())
}

// A user does not see which pod has answered; the lab's gateway says it, so that the lab's users
// can count by revision.
const (
	hashHeader = "X-Lab-Revision"
	tagHeader  = "X-Lab-Tag"
)

// throughMesh answers a request that has come to one of the Gateways, as Envoy does. from is the
// address that sent it.
func (t *Traffic) throughMesh(w http.ResponseWriter, request *http.Request, content []byte, in []types.NamespacedName, from string) {
	began := time.Now()
	through, err := t.readyGateway()
	if err != nil || through == nil {
		http.Error(w, "502 Bad Gateway", http.StatusBadGateway)
		return
	}
	to := route{status: http.StatusNotFound}
	virtual, err := t.virtualService()
	if err == nil && virtual != nil {
		to, err = virtual.routeOf(in, request.URL.Path, request.Header)
	}
	if err != nil || to.service == "" {
		w.WriteHeader(cmp.Or(to.status, http.StatusNotFound))
		return
	}
	ctx, cancel := request.Context(), context.CancelFunc(func() {})
	if to.limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, to.limit)
	}
	defer cancel()
	sent := &upstream{Traffic: t, route: to, from: through.pod.Status.PodIP, content: content}
	code, flags := http.StatusServiceUnavailable, ""
	defer func() { through.count(to.service, code, flags, time.Since(began)) }()
	proxy := &httputil.ReverseProxy{
		Transport: sent,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Host = r.In.Host
			// Envoy adds the address that it was connected from, and an id.
			r.Out.Header["X-Forwarded-For"] = append(slices.Clone(r.In.Header["X-Forwarded-For"]), from)
			r.Out.Header.Set("X-Request-Id", uuid.NewString())
		},
		ModifyResponse: func(response *http.Response) error {
			code = response.StatusCode
			response.Header.Set(hashHeader, sent.pod.Labels[argo.RevisionLabel])
			response.Header.Set(tagHeader, tagOf(sent.pod))
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			switch {
			case errors.Is(err, errNoPod):
				flags = noPod
			case errors.Is(err, context.DeadlineExceeded):
				code, flags = http.StatusGatewayTimeout, tooLate
			default:
				flags = noConnection
			}
			if sent.pod != nil {
				w.Header().Set(hashHeader, sent.pod.Labels[argo.RevisionLabel])
				w.Header().Set(tagHeader, tagOf(sent.pod))
			}
			http.Error(w, "upstream error: "+err.Error(), code)
		},
	}
	proxy.ServeHTTP(w, request.WithContext(ctx))
}

// upstream sends a request to a pod of a Service, and to another one if no pod has got anything of
// it.
type upstream struct {
	*Traffic

	route   route
	from    string // the address of the gateway's pod
	content []byte
	pod     *corev1.Pod // the last one
}

var errNoPod = errors.New("no healthy upstream")

// RoundTrip implements http.RoundTripper.
func (u *upstream) RoundTrip(request *http.Request) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		service, err := u.services.Get(u.route.service)
		if err != nil {
			service = nil // a route to a missing Service has no pods either
		}
		pods, err := u.pods.List(k8slabels.Everything())
		if err != nil {
			return nil, err
		}
		ready := endpoints(service, pods)
		if len(ready) == 0 {
			return nil, errNoPod
		}
		u.pod = ready[rand.IntN(len(ready))] //nolint:gosec // which pod answers is no secret
		var begun atomic.Bool
		trace := &httptrace.ClientTrace{WroteHeaders: func() { begun.Store(true) }}
		out := request.Clone(httptrace.WithClientTrace(request.Context(), trace))
		port := int32(0) // to which no connection is made
		if len(service.Spec.Ports) > 0 {
			port, _ = mesh.TargetPort(u.pod, service.Spec.Ports[0])
		}
		out.URL.Scheme, out.URL.Host = "http", net.JoinHostPort(u.pod.Status.PodIP, strconv.Itoa(int(port)))
		out.ContentLength, out.TransferEncoding = int64(len(u.content)), nil
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(u.content)), nil }
		if out.Body, _ = out.GetBody(); len(u.content) == 0 {
			out.Body = http.NoBody
		}
		response, err := u.transport(u.from).RoundTrip(out)
		if err == nil || begun.Load() || attempt >= u.route.attempts || request.Context().Err() != nil {
			return response, err
		}
	}
}

// transport returns the way from an address to the pods, which keeps connections.
func (t *Traffic) transport(from string) http.RoundTripper {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.transports[from] == nil {
		address, err := netip.ParseAddr(from)
		if err != nil {
			address = netip.Addr{} // a gateway without an address yet
		}
		t.transports[from] = noPods{}
		if t.Pods != nil {
			t.transports[from] = t.Pods.Transport(address)
		}
	}
	return t.transports[from]
}

// noPods is the way to pods where none runs.
type noPods struct{}

// RoundTrip implements http.RoundTripper.
func (noPods) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the application's pods do not run here")
}
