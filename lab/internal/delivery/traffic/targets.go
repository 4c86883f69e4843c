package traffic

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Annotations of a pod say whether, and where, it is scraped; the job kubernetes-pods of the chart
// prometheus reads them.
const (
	scrapeAnnotation = "prometheus.io/scrape"
	portAnnotation   = "prometheus.io/port"
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
	add := func(pod *corev1.Pod) {
		if pod.Annotations[scrapeAnnotation] != "true" {
			return
		}
		group := targetGroup{Targets: []string{t.address}, Labels: labels(pod)}
		group.Labels["__metrics_path__"] = metricsPath(pod.Name)
		groups = append(groups, group)
	}
	t.mu.Lock()
	for _, r := range t.replicas {
		add(r.pod)
	}
	for _, g := range t.gateways {
		add(g.pod)
	}
	t.mu.Unlock()
	slices.SortFunc(groups, func(a, b targetGroup) int { return cmp.Compare(a.Labels["pod"], b.Labels["pod"]) })
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(groups) // a client that went away hears of nothing
}

func compareNames(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) }

func (t *Traffic) serveMetrics(w http.ResponseWriter, request *http.Request) {
	var metrics http.Handler
	t.mu.Lock()
	for _, r := range t.replicas {
		if r.pod.Name == request.PathValue("pod") {
			metrics = r.metrics
		}
	}
	for _, g := range t.gateways {
		if g.pod.Name == request.PathValue("pod") {
			metrics = g.metrics
		}
	}
	t.mu.Unlock()
	if metrics == nil {
		http.NotFound(w, request)
		return
	}
	metrics.ServeHTTP(w, request)
}
