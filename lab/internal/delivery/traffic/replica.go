package traffic

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"
)

// The metrics and the buckets are those of the service, in src/internal; a test compares them.
const (
	requestsMetric = "gridos_http_requests_total"
	durationMetric = "gridos_http_request_duration_seconds"
	samplesMetric  = "gridos_samples_total"
	stored         = "stored"
)

var buckets = []float64{.005, .01, .025, .05, .1, .15, .2, .25, .3, .4, .5, .75, 1, 2.5, 5, 10}

// mix are the requests of users, in turn: the senders of telemetry and an open dashboard.
var mix = []struct{ method, route string }{
	{http.MethodPost, "/api/v1/telemetry"},
	{http.MethodGet, "/api/v1/substations"},
	{http.MethodPost, "/api/v1/telemetry"},
	{http.MethodGet, "/api/v1/substations/{substation}/points/{point}/series"},
}

// replica has the counters of a pod of the service. Like the service's own, each series exists from
// the first request that it counts. A request of telemetry that succeeds stores one sample.
type replica struct {
	pod      *corev1.Pod
	tag      string
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	samples  *prometheus.CounterVec
	metrics  http.Handler

	perSecond float64 // requests that it gets at present
	// due is the uncounted fraction of a request, and owed the uncounted fraction of a failure.
	// Both start at a half, so that the counters have the expected number, rounded.
	due, owed float64
	// answered counts the users' requests, and served counts all requests.
	answered, served uint64
}

func newReplica(pod *corev1.Pod) *replica {
	r := &replica{
		pod: pod, tag: tagOf(pod), due: .5, owed: .5,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: requestsMetric, Help: "Requests of users by method, route and status code.",
		}, []string{"method", "route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: durationMetric, Help: "Time until a request was answered.", Buckets: buckets,
		}, []string{"method", "route"}),
		samples: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: samplesMetric, Help: "Samples that were ingested, by whether they were new.",
		}, []string{"result"}),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(r.requests, r.duration, r.samples)
	r.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return r
}

// answer counts a number of requests, which need not be whole: the remainder counts the next time.
// count gets each of them.
func (r *replica) answer(requests float64, behaviour Behaviour, count func(code int, seconds float64)) (answered, failed uint64) {
	r.due += requests
	for ; r.due >= 1; r.due-- {
		request := mix[r.answered%uint64(len(mix))]
		r.answered++
		code, seconds := r.serve(request.method, request.route, behaviour)
		count(code, seconds)
		if code != http.StatusOK {
			failed++
		}
		answered++
	}
	return answered, failed
}

// serve answers one request, and returns the code and the time that it took.
func (r *replica) serve(method, route string, behaviour Behaviour) (code int, seconds float64) {
	r.served++
	code = http.StatusOK
	if r.owed += behaviour.ErrorShare; r.owed >= 1 {
		r.owed--
		code = http.StatusInternalServerError
	}
	r.requests.WithLabelValues(method, route, strconv.Itoa(code)).Inc()
	// Multiples of the golden ratio are spread evenly between 0 and 1, so a few requests have the
	// distribution of many.
	_, position := math.Modf(.5 + float64(r.served)*(math.Phi-1))
	seconds = behaviour.seconds(position)
	r.duration.WithLabelValues(method, route).Observe(seconds)
	if method == mix[0].method && route == mix[0].route && code == http.StatusOK {
		r.samples.WithLabelValues(stored).Inc()
	}
	return code, seconds
}

// tagOf returns the tag of the image of a pod's first container, parsed as the container runtime
// does.
func tagOf(pod *corev1.Pod) string {
	if len(pod.Spec.Containers) == 0 {
		return ""
	}
	image, _, _ := strings.Cut(pod.Spec.Containers[0].Image, "@")
	name := image[strings.LastIndex(image, "/")+1:] // a registry may have a port
	if _, tag, found := strings.Cut(name, ":"); found {
		return tag
	}
	return "latest"
}
