package traffic

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/apitest"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

const repository = "../../../.."

// The simulated metrics must be the service's own.
func TestUnit_MetricsAreThoseOfTheService(t *testing.T) {
	source := func(path string) string {
		content, err := os.ReadFile(filepath.Join(repository, "src", "internal", path))
		require.NoError(t, err)
		return string(content)
	}
	observe, api := source("observe/observe.go"), source("api/api.go")
	list := regexp.MustCompile(`Buckets: \[\]float64\{(.*)\}`).FindStringSubmatch(observe)
	require.Len(t, list, 2)
	var serviceBuckets []float64
	for bucket := range strings.SplitSeq(list[1], ", ") {
		bound, err := strconv.ParseFloat(bucket, 64)
		require.NoError(t, err)
		serviceBuckets = append(serviceBuckets, bound)
	}
	assert.Equal(t, serviceBuckets, buckets)
	for _, part := range []string{`"` + requestsMetric + `"`, `"` + durationMetric + `"`, `{"method", "route", "code"}`, `{"method", "route"}`} {
		assert.Contains(t, observe, part)
	}
	for _, part := range []string{`"` + samplesMetric + `"`, `{"result"}`, `a.samples.WithLabelValues("` + stored + `")`} {
		assert.Contains(t, api, part)
	}
	for _, request := range mix {
		assert.Contains(t, api, `"`+request.method+" "+request.route+`"`)
	}
}

// Few requests, such as a canary's ten per cent in a quarter of a minute, behave as many do: the
// same share fails, and the same share is slow, whatever the ticks were.
func TestUnit_AFewRequestsBehaveAsManyWould(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: "registry:5000/gridos:v7@sha256:0"}}}}
	r := newReplica(pod)
	assert.Equal(t, "v7", r.tag)
	behaviour := Behaviour{ErrorShare: .05, P50: 200 * time.Millisecond, P95: 400 * time.Millisecond}
	var answered, failed uint64
	codes := map[int]int{}
	for range 300 {
		a, f := r.answer(1./3, behaviour, func(code int, seconds float64) {
			codes[code]++
			assert.Positive(t, seconds)
		})
		answered, failed = answered+a, failed+f
	}
	assert.Equal(t, []uint64{100, 5}, []uint64{answered, failed})
	assert.Equal(t, map[int]int{http.StatusOK: 95, http.StatusInternalServerError: 5}, codes)
	faster := map[string]float64{}
	scraped := httptest.NewRecorder()
	r.metrics.ServeHTTP(scraped, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	for _, found := range regexp.MustCompile(`le="([^"]*)"\} (\d+)`).FindAllStringSubmatch(scraped.Body.String(), -1) {
		count, err := strconv.ParseFloat(found[2], 64)
		require.NoError(t, err)
		faster[found[1]] += count
	}
	assert.InDelta(t, 50, faster["0.2"], 2)
	assert.InDelta(t, 95, faster["0.4"], 2)
	assert.InDelta(t, 100, faster["+Inf"], 0)
	assert.Greater(t, faster["0.15"], 10., "a distribution and not two values")
}

func TestUnit_WhatWasSeenInBetweenIsTheDifference(t *testing.T) {
	t.Parallel()
	before := Seen{Unanswered: 3, Revisions: []Revision{{Hash: "old", Requests: 10, Failed: 1}, {Hash: "idle", Requests: 5}}}
	after := Seen{Unanswered: 4, Revisions: []Revision{
		{Hash: "idle", Requests: 5}, {Hash: "new", Requests: 20, Failed: 2}, {Hash: "old", Requests: 17, Failed: 4},
	}}
	between := after.Since(before)
	assert.Equal(t, Seen{Unanswered: 1, Revisions: []Revision{
		{Hash: "new", Requests: 20, Failed: 2}, {Hash: "old", Requests: 7, Failed: 3},
	}}, between)
	requests, failed := between.Requests()
	assert.EqualValues(t, 28, requests)
	assert.EqualValues(t, 6, failed, "what nobody answered failed too")
}

func TestUnit_ImpossibleBehaviourIsRefused(t *testing.T) {
	for _, behaviour := range []Behaviour{
		{ErrorShare: 1.1, P50: 1, P95: 2}, {ErrorShare: math.NaN(), P50: 1, P95: 2}, {P50: 2, P95: 1}, {ErrorShare: 1},
	} {
		assert.ErrorContains(t, new(Traffic).SetBehaviour("v1", behaviour), "behaviour of v1", "%+v", behaviour)
	}
}

// Requests follow the weights, and a real Prometheus, with the queries of the analysis, sees how
// each revision behaves.
func TestCluster_PrometheusSeesWhatUsersDoToEachRevision(t *testing.T) {
	path, err := exec.LookPath("prometheus")
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "there is no prometheus; .ci/run installs it")
		t.Skip("there is no prometheus on PATH to scrape with; it is in Debian's package prometheus")
	}
	resolver := toolchain.Resolver{ToolsDir: filepath.Join(repository, "tools")}
	istio, err := resolver.ModuleDir(t.Context(), "istio", "istio.io/api")
	require.NoError(t, err)
	clients := apitest.Start(t, resolver.ToolsDir, filepath.Join(istio, "kubernetes", "customresourcedefinitions.gen.yaml"))
	c := cluster{T: t, core: clients.Core, objects: clients.Objects}
	c.namespace()
	c.wayIn()
	c.service("gridos-stable", "old")
	c.service("gridos-canary", "new")
	c.weigh(90, 10)
	c.pod("old-1", "old", "v1", true)
	c.pod("old-2", "old", "v1", true)
	c.pod("new-1", "new", "v2", true)
	c.pod("new-2", "new", "v2", false)

	users := &Traffic{Cluster: clients, Rate: 400, Backends: throughTheEdge}
	require.NoError(t, users.SetBehaviour("v2", Behaviour{ErrorShare: .2, P50: 300 * time.Millisecond, P95: 900 * time.Millisecond}))
	require.NoError(t, users.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, users.Stop()) })
	prometheus := startPrometheus(t, path, users.SDURL())

	queries := queries(t)
	within := func(expression string, low, high float64) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			values := ask(t.Context(), c, prometheus, expression)
			if assert.Len(c, values, 1, expression) {
				assert.GreaterOrEqual(c, values[0], low, expression)
				assert.LessOrEqual(c, values[0], high, expression)
			}
		}, 30*time.Second, 250*time.Millisecond, expression)
	}
	within(queries["failed"], .17, .23)
	within(queries["failed-by-route"], .17, .23)
	within(queries["refused-by-route"], 0, 0)
	within(queries["latency-p95"], .85, .95)
	within(`sum(rate(gridos_http_requests_total[5s]))`, 390, 410)
	within(`sum(rate(gridos_http_requests_total{pod="old-1",namespace="gridos",app_kubernetes_io_name="gridos"}[5s]))`, 175, 185)
	within(`sum(rate(istio_requests_total{namespace="aks-istio-ingress",reporter="source"}[5s]))`, 390, 410)
	const of = `{destination_service="gridos-%[1]s.gridos.svc.cluster.local"`
	const slow = `1 - sum(rate(istio_request_duration_milliseconds_bucket` + of + `,le="500"}[5s]))` +
		` / sum(rate(istio_request_duration_milliseconds_count` + of + `}[5s]))`
	within(fmt.Sprintf(slow, "stable"), 0, .01)
	within(fmt.Sprintf(slow, "canary"), .17, .27) // half take more than 0.3 s, and 5 of 100 more than 0.9 s
	// Half of the requests are telemetry; of the canary's, which are 40 a second, a fifth fails.
	within(`sum(rate(gridos_samples_total{result="stored"}[5s]))`, 190, 200)
	within(`count(up{job="kubernetes-pods",namespace="gridos"} == 1)`, 4, 4) // one is not ready, and is scraped all the same
	within(`count(gridos_http_requests_total{pod="new-2"}) or vector(0)`, 0, 0)
	assert.InDelta(t, 180, users.PerSecond("old-1"), 1e-9)
	assert.InDelta(t, 40, users.PerSecond("new-1"), 1e-9)
	assert.Zero(t, users.PerSecond("new-2"))
	seen := users.Seen()
	require.Len(t, seen.Revisions, 2)
	canary, stable := seen.Revisions[0], seen.Revisions[1]
	assert.Equal(t, []string{"new", "v2", "old", "v1"}, []string{canary.Hash, canary.Tag, stable.Hash, stable.Tag})
	assert.Positive(t, canary.Requests)
	assert.InDelta(t, 9*canary.Requests, stable.Requests, 6, "no more than what is rounded")
	assert.InDelta(t, float64(canary.Requests)/5, canary.Failed, 1)
	assert.Zero(t, stable.Failed)
	assert.Zero(t, seen.Unanswered)

	// Prometheus sees a fix of the behaviour. It also sees that there are no requests any more:
	// NaN, which the analysis distinguishes from no answer.
	require.NoError(t, users.SetBehaviour("v2", Good))
	within(queries["failed"], 0, 0)
	within(queries["failed-by-route"], 0, 0)
	for revision, version := range map[string]string{"canary": "v2", "stable": "v1"} {
		code, answer := throughGateway(t, users, "/version", revision)
		assert.Equal(t, http.StatusOK, code, revision)
		assert.Contains(t, answer, `"version":"`+version+`"`, revision)
	}
	code, _ := throughGateway(t, users, "/metrics", "canary")
	assert.Equal(t, http.StatusNotFound, code, "the gateway answers by itself")
	within(`sum(gridos_http_requests_total{route="/version",code="200"})`, 2, 2)
	users.SetRate(0)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		values := ask(t.Context(), c, prometheus, queries["failed"])
		if assert.Len(c, values, 1) {
			assert.True(c, math.IsNaN(values[0]), "%v", values)
		}
	}, 30*time.Second, 250*time.Millisecond)

	// A deleted pod takes its counters with it, and requests to a Service without pods are not
	// answered.
	c.remove("new-1")
	within(`count(up{namespace="gridos"} == 1)`, 3, 3)
	within(`count(gridos_http_requests_total{rollouts_pod_template_hash="new"}) or vector(0)`, 0, 0)
	users.SetRate(400)
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Positive(c, users.Seen().Unanswered) }, 10*time.Second, tick)
	// The gateway counts the requests that no pod answered, and so the analysis sees them.
	within(queries["failed"], 1, 1)
	code, _ = throughGateway(t, users, "/version", "canary")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	c.weigh(100, 0)
	require.Eventually(t, func() bool { return math.Abs(users.PerSecond("old-2")-200) < 1e-9 }, 10*time.Second, tick)
	assert.Equal(t, canary.Hash, users.Seen().Revisions[0].Hash, "what users saw is not forgotten")
}

type cluster struct {
	*testing.T

	core    kubernetes.Interface
	objects dynamic.Interface
}

func (c cluster) namespace() {
	_, err := c.core.CoreV1().Namespaces().Create(c.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: naming.NamespaceGridOS},
	}, metav1.CreateOptions{})
	require.NoError(c, err)
}

func (c cluster) service(name, hash string) {
	_, err := c.core.CoreV1().Services(naming.NamespaceGridOS).Create(c.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app.kubernetes.io/name": "gridos", revisionLabel: hash},
			Ports:    []corev1.ServicePort{{Port: 80}},
		},
	}, metav1.CreateOptions{})
	require.NoError(c, err)
}

// weigh sets the weights of the VirtualService in the application's manifests.
func (c cluster) weigh(stable, canary int64) {
	c.Helper()
	content, err := os.ReadFile(filepath.Join(repository, "applications", "gridos", "base", "ingress.yaml"))
	require.NoError(c, err)
	documents := strings.Split(string(content), "\n---\n")
	object := &unstructured.Unstructured{}
	require.NoError(c, yaml.Unmarshal([]byte(documents[len(documents)-1]), &object.Object))
	routes, _, err := unstructured.NestedSlice(object.Object, "spec", "http")
	require.NoError(c, err)
	primary, ok := routes[len(routes)-1].(map[string]any)
	require.True(c, ok)
	to, ok := primary["route"].([]any)
	require.True(c, ok)
	for i, weight := range []int64{stable, canary} {
		destination, ok := to[i].(map[string]any)
		require.True(c, ok)
		destination["weight"] = weight
	}
	require.NoError(c, unstructured.SetNestedSlice(object.Object, routes, "spec", "http"))
	_, err = c.objects.Resource(virtualServices).Namespace(naming.NamespaceGridOS).Apply(c.Context(), object.GetName(), object,
		metav1.ApplyOptions{FieldManager: "test", Force: true})
	require.NoError(c, err)
}

func (c cluster) pod(name, hash, tag string, isReady bool) {
	pods := c.core.CoreV1().Pods(naming.NamespaceGridOS)
	pod, err := pods.Create(c.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"app.kubernetes.io/name": "gridos", revisionLabel: hash},
			Annotations: map[string]string{scrapeAnnotation: "true", portAnnotation: "8080"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "gridos", Image: "127.0.0.1:5000/gridos:" + tag}}},
	}, metav1.CreateOptions{})
	require.NoError(c, err)
	pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, "10.244.0.9"
	condition := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse}
	if isReady {
		condition.Status = corev1.ConditionTrue
	}
	pod.Status.Conditions = []corev1.PodCondition{condition}
	_, err = pods.UpdateStatus(c.Context(), pod, metav1.UpdateOptions{})
	require.NoError(c, err)
}

func (c cluster) remove(pod string) {
	at := int64(0)
	require.NoError(c, c.core.CoreV1().Pods(naming.NamespaceGridOS).Delete(c.Context(), pod, metav1.DeleteOptions{GracePeriodSeconds: &at}))
}

// throughGateway sends a request as Argo Rollouts does, and returns the code and the answer.
func throughGateway(t *testing.T, users *Traffic, path, revision string) (code int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, users.GatewayURL()+path, http.NoBody)
	require.NoError(t, err)
	request.Header.Set("gridos-revision", revision)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

// queries are the queries of the AnalysisTemplates by the names of their metrics, over five
// seconds, with "new" as the canary and "old" as the stable revision.
func queries(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, "applications", "gridos", "base", "analysis-templates.yaml"))
	require.NoError(t, err)
	found := map[string]string{}
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		var template struct {
			Spec struct {
				Args []struct {
					Name  string
					Value string
				}
				Metrics []struct {
					Name     string
					Provider struct{ Prometheus struct{ Query string } }
				}
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &template))
		query := template.Spec.Metrics[0].Provider.Prometheus.Query
		if query == "" {
			continue
		}
		for _, argument := range template.Spec.Args {
			value := map[string]string{"canary": "new", "stable": "old", "window": "5s"}[argument.Name]
			query = strings.ReplaceAll(query, "{{args."+argument.Name+"}}", cmp.Or(value, argument.Value))
		}
		require.NotContains(t, query, "{{")
		found[template.Spec.Metrics[0].Name] = query
	}
	require.Len(t, found, 4)
	return found
}

func startPrometheus(t *testing.T, path, discovery string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
global: {scrape_interval: 1s}
scrape_configs:
- job_name: kubernetes-pods
  http_sd_configs: [{url: %q, refresh_interval: 1s}]
`, discovery), 0o600))
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	address := process.HostPort(ports[0])
	prometheus := &process.Process{
		Name: "prometheus", Path: path, Log: filepath.Join(dir, "log"), Ready: "http://" + address + "/-/ready",
		Args: []string{"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address},
	}
	t.Cleanup(func() { assert.NoError(t, prometheus.Stop()) })
	require.NoError(t, prometheus.Start(t.Context()))
	return "http://" + address
}

func ask(ctx context.Context, c *assert.CollectT, prometheus, expression string) []float64 {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		prometheus+"/api/v1/query?query="+url.QueryEscape(expression), http.NoBody)
	require.NoError(c, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(c, err)
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []struct{ Value []any } }
	}
	require.NoError(c, json.NewDecoder(response.Body).Decode(&answer))
	require.Equal(c, "success", answer.Status, answer.Error)
	var values []float64
	for _, result := range answer.Data.Result {
		value, err := strconv.ParseFloat(fmt.Sprint(result.Value[1]), 64)
		require.NoError(c, err)
		values = append(values, value)
	}
	return values
}
