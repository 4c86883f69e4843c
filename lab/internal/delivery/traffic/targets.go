package traffic

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"

	"github.com/gridos/sharedinfra/internal/naming"
)

// Annotations of a pod say whether, and where, it is scraped; the job kubernetes-pods of the chart
// prometheus reads them.
const (
	scrapeAnnotation = "prometheus.io/scrape"
	portAnnotation   = "prometheus.io/port"
	pathAnnotation   = "prometheus.io/path"
)

// targetGroup is an element of Prometheus' HTTP service discovery.
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

var notInLabels = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// labels returns the labels that the platform's Prometheus gives the series of a pod. The
// relabelling of the chart's job kubernetes-pods keeps the pod's own labels, with _ in place of
// characters that a name may not have, and adds these three.
func labels(pod *corev1.Pod) map[string]string {
	all := map[string]string{}
	for name, value := range pod.Labels {
		all[notInLabels.ReplaceAllString(name, "_")] = value
	}
	all["namespace"], all["pod"], all["node"] = pod.Namespace, pod.Name, pod.Spec.NodeName
	all["instance"] = net.JoinHostPort(pod.Status.PodIP, pod.Annotations[portAnnotation])
	return all
}

func metricsPath(pod string) string { return "/pods/" + pod + "/metrics" }

// serveTargets lists each pod as a target of its own, so that Prometheus' own series of a target,
// such as up, have the pod's labels.
func (t *Traffic) serveTargets(w http.ResponseWriter, _ *http.Request) {
	groups := []targetGroup{}
	for _, pod := range t.running() {
		if pod.Annotations[scrapeAnnotation] != "true" {
			continue
		}
		group := targetGroup{Targets: []string{t.metrics}, Labels: labels(pod)}
		group.Labels["__metrics_path__"] = metricsPath(pod.Name)
		groups = append(groups, group)
	}
	slices.SortFunc(groups, func(a, b targetGroup) int { return cmp.Compare(a.Labels["pod"], b.Labels["pod"]) })
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(groups) // a client that went away hears of nothing
}

// running returns the application's pods that have begun, and the gateway's.
func (t *Traffic) running() []*corev1.Pod {
	of := k8slabels.SelectorFromSet(k8slabels.Set{"istio": naming.IstioInternalIngress})
	gateways, err := t.entrance.pods.List(of)
	pods, errToo := t.pods.List(k8slabels.Everything())
	if err != nil || errToo != nil {
		return nil // informers have their objects in memory
	}
	return slices.DeleteFunc(slices.Concat(gateways, pods), func(pod *corev1.Pod) bool { return pod.Status.Phase != corev1.PodRunning })
}

// serveMetrics lets the pod answer that Prometheus asks, or the gateway's stand-in.
func (t *Traffic) serveMetrics(w http.ResponseWriter, request *http.Request) {
	pods := t.running()
	i := slices.IndexFunc(pods, func(pod *corev1.Pod) bool { return pod.Name == request.PathValue("pod") })
	if i < 0 {
		http.NotFound(w, request)
		return
	}
	pod := pods[i]
	t.mu.Lock()
	g := t.gateways[pod.UID]
	t.mu.Unlock()
	switch {
	case g != nil:
		g.metrics.ServeHTTP(w, request)
		return
	case pod.Namespace != naming.NamespaceGridOS: // a pod of the gateway that has served nothing
		newGateway().metrics.ServeHTTP(w, request)
		return
	}
	proxy := &httputil.ReverseProxy{
		Transport: t.transport(""),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL = &url.URL{Scheme: "http", Host: labels(pod)["instance"], Path: cmp.Or(pod.Annotations[pathAnnotation], "/metrics")}
			r.Out.Host = ""
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	proxy.ServeHTTP(w, request)
}
