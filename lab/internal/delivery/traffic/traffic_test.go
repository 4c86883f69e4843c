package traffic

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	apps "github.com/gridos/sharedinfra/apps/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/apitest"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/scraping"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

const repository = "../../../.."

// servers are the pods of a test, by their addresses.
type servers map[string]*server

// server is a pod: it has the metrics of the service, and answers as it is told.
type server struct {
	*httptest.Server

	answer   atomic.Pointer[answer]
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	served   atomic.Uint64
	sender   atomic.Pointer[http.Request] // of the last telemetry
}

// answer is how a pod answers: every fifth request with an error, or after a delay.
type answer struct {
	fails bool
	takes time.Duration
}

// add adds a pod, and returns its address.
func (s servers) add(t *testing.T, how answer) (address string) {
	t.Helper()
	pod := &server{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gridos_http_requests_total"}, []string{"method", "route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gridos_http_request_duration_seconds", Buckets: []float64{.1, .25, .3, .4, .5, 1},
		}, []string{"method", "route"}),
	}
	pod.answer.Store(&how)
	registry := prometheus.NewRegistry()
	registry.MustRegister(pod.requests, pod.duration)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/", pod.serve)
	pod.Server = httptest.NewServer(mux)
	t.Cleanup(pod.Close)
	address = fmt.Sprintf("10.244.0.%d", 1+len(s))
	s[address] = pod
	return address
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	began, how, code := time.Now(), *s.answer.Load(), http.StatusOK
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		code = http.StatusBadRequest
	}
	if r.Method == http.MethodPost {
		s.sender.Store(r)
	}
	if s.served.Add(1)%5 == 0 && how.fails {
		code = http.StatusInternalServerError
	}
	time.Sleep(how.takes)
	s.requests.WithLabelValues(r.Method, r.URL.Path, strconv.Itoa(code)).Inc()
	s.duration.WithLabelValues(r.Method, r.URL.Path).Observe(time.Since(began).Seconds())
	w.WriteHeader(code)
}

// Transport implements Pods.
func (s servers) Transport(netip.Addr) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil || s[host] == nil || port != "8080" {
			return nil, fmt.Errorf("no pod has the address %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, s[host].Listener.Addr().String())
	}}
}

func TestUnit_ARequestIsRoutedAsTheApplicationSays(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(repository, "applications", "gridos", "base", "ingress.yaml"))
	require.NoError(t, err)
	documents := strings.Split(string(content), "\n---\n")
	virtual := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(documents[len(documents)-1]), &virtual.Object))
	virtual.SetNamespace(naming.NamespaceGridOS)
	routes, err := read(virtual)
	require.NoError(t, err)
	in := []types.NamespacedName{{Namespace: naming.NamespaceGridOS, Name: "gridos"}}
	for path, want := range map[string]route{
		"/metrics": {status: http.StatusNotFound},
		"/version": {service: "gridos-canary", limit: 5 * time.Second},
		"/":        {service: "gridos-stable", limit: 10 * time.Second, attempts: 2},
	} {
		header := http.Header{}
		header.Set("Gridos-Revision", "canary")
		found, err := routes.routeOf(in, path, header)
		require.NoError(t, err)
		assert.Equal(t, want, found, path)
	}
	found, err := routes.routeOf(nil, "/", nil)
	require.NoError(t, err)
	assert.Equal(t, route{status: http.StatusNotFound}, found, "through another Gateway")
}

// The users' largest request is one that infra's firewall lets through, and that the service takes.
func TestUnit_UsersSendWhatTheServiceTakes(t *testing.T) {
	t.Parallel()
	u := &users{}
	require.NoError(t, u.missed())
	var sent struct{ Samples []sample }
	require.NoError(t, json.Unmarshal(u.backlog, &sent))
	assert.Len(t, sent.Samples, 5000)
	assert.Len(t, u.backlog, 1<<20)
	for file, most := range map[string]string{"telemetry/telemetry.go": "MaxSamples = 5_000\n", "api/api.go": "maxBody = 1 << 20 "} {
		content, err := os.ReadFile(filepath.Join(repository, "src", "internal", file))
		require.NoError(t, err)
		assert.Contains(t, string(content), most)
	}
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

// Requests follow the weights, and a real Prometheus, with the queries of the analysis, sees how
// each revision behaves.
func TestCluster_PrometheusSeesWhatUsersDoToEachRevision(t *testing.T) {
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
	served := servers{}
	good := answer{}
	c.pod("old-1", served.add(t, good), "old", "v1", true)
	c.pod("old-2", served.add(t, good), "old", "v1", true)
	c.pod("new-1", served.add(t, answer{fails: true, takes: 310 * time.Millisecond}), "new", "v2", true)
	c.pod("new-2", served.add(t, good), "new", "v2", false)
	_, err = clients.Core.CoreV1().Secrets(naming.NamespaceGridOS).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "gridos-secrets"}, StringData: map[string]string{"ingest-token": "north first\nsouth second\n"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	users := &Traffic{Cluster: clients, Rate: 200, Backends: throughTheEdge, Pods: served}
	require.NoError(t, users.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, users.Stop()) })
	prometheus := startPrometheus(t, resolver, clients, users)

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
	within(queries["failed"], .15, .25)
	within(queries["failed-by-route"], .15, 1)
	within(queries["refused-by-route"], 0, 0)
	within(queries["latency-p95"], .3, .5)
	within(`sum(rate(gridos_http_requests_total[5s]))`, 50, 210) // fewer where the machine is busy
	within(`sum(rate(istio_requests_total{namespace="aks-istio-ingress",reporter="source"}[5s]))`, 50, 210)
	within(`sum(rate(gridos_http_requests_total{pod="old-1",namespace="gridos",app_kubernetes_io_name="gridos"}[5s]))`, 20, 110)
	const of = `{destination_service="gridos-%[1]s.gridos.svc.cluster.local"`
	const slow = `1 - sum(rate(istio_request_duration_milliseconds_bucket` + of + `,le="250.0"}[5s]))` +
		` / sum(rate(istio_request_duration_milliseconds_count` + of + `}[5s]))`
	within(fmt.Sprintf(slow, "stable"), 0, .1)
	within(fmt.Sprintf(slow, "canary"), 1, 1)
	within(`count(up{job="kubernetes-pods",namespace="gridos"} == 1)`, 4, 4) // one is not ready, and is scraped all the same
	within(`sum(gridos_http_requests_total{pod="new-2"}) or vector(0)`, 0, 0)
	seen := users.Seen()
	require.Len(t, seen.Revisions, 2)
	canary, stable := seen.Revisions[0], seen.Revisions[1]
	assert.Equal(t, []string{"new", "v2", "old", "v1"}, []string{canary.Hash, canary.Tag, stable.Hash, stable.Tag})
	assert.InDelta(t, .1, float64(canary.Requests)/float64(canary.Requests+stable.Requests), .04)
	assert.InDelta(t, float64(canary.Requests)/5, canary.Failed, 2)
	assert.Zero(t, stable.Failed)
	assert.Zero(t, seen.Unanswered)
	sender := served["10.244.0.1"].sender.Load()
	require.NotNil(t, sender)
	assert.Equal(t, "Bearer first", sender.Header.Get("Authorization"))
	assert.Regexp(t, `^10\.254\.1\.\d+:\d+$`, sender.Header.Values("X-Forwarded-For")[0], "a user's own address")
	assert.Equal(t, insideAddress, sender.Header.Values("X-Forwarded-For")[1])
	assert.Len(t, sender.Header.Get("X-Appgw-Trace-Id"), 32)
	assert.NotEmpty(t, sender.Header.Get("X-Request-Id"))

	// Prometheus sees a fix. It also sees that there are no requests any more: NaN, which the
	// analysis distinguishes from no answer.
	served["10.244.0.3"].answer.Store(&good)
	within(queries["failed"], 0, 0)
	within(queries["failed-by-route"], 0, 0)
	for revision, tag := range map[string]string{"canary": "v2", "stable": "v1"} {
		code, answered := throughGateway(t, users, "/version", revision)
		assert.Equal(t, http.StatusOK, code, revision)
		assert.Equal(t, tag, answered, revision)
	}
	code, _ := throughGateway(t, users, "/metrics", "canary")
	assert.Equal(t, http.StatusNotFound, code, "the gateway answers by itself")
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
	users.SetRate(200)
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Positive(c, users.Seen().Unanswered) }, 10*time.Second, 100*time.Millisecond)
	assert.Contains(t, users.Seen().LastFailure, ": 503 Service Unavailable upstream error: no healthy upstream")
	// The gateway counts the requests that no pod answered, and so the analysis sees them.
	within(queries["failed"], 1, 1)
	code, _ = throughGateway(t, users, "/version", "canary")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Equal(t, canary.Hash, users.Seen().Revisions[0].Hash, "what users saw is not forgotten")

	// A pod that is away without notice costs the requests that find it three times in a row.
	c.weigh(100, 0)
	served["10.244.0.2"].Close()
	before := users.Seen()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		requests, _ := users.Seen().Since(before).Requests()
		assert.Greater(c, requests, uint64(400))
	}, 20*time.Second, 100*time.Millisecond)
	requests, failed := users.Seen().Since(before).Requests()
	assert.InDelta(t, 1./8, float64(failed)/float64(requests), .08)
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
			Selector: map[string]string{"app.kubernetes.io/name": "gridos", argo.RevisionLabel: hash},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
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
	_, err = c.objects.Resource(argo.VirtualServices).Namespace(naming.NamespaceGridOS).Apply(c.Context(), object.GetName(), object,
		metav1.ApplyOptions{FieldManager: "test", Force: true})
	require.NoError(c, err)
}

func (c cluster) pod(name, address, hash, tag string, isReady bool) {
	pods := c.core.CoreV1().Pods(naming.NamespaceGridOS)
	pod, err := pods.Create(c.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"app.kubernetes.io/name": "gridos", argo.RevisionLabel: hash},
			Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "gridos", Image: "127.0.0.1:5000/gridos:" + tag}}},
	}, metav1.CreateOptions{})
	require.NoError(c, err)
	pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, address
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

// throughGateway sends a request as Argo Rollouts does, and returns the code and the tag of who
// answered.
func throughGateway(t *testing.T, users *Traffic, path, revision string) (code int, tag string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, users.MeshURL()+path, http.NoBody)
	require.NoError(t, err)
	request.Header.Set("gridos-revision", revision)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode, response.Header.Get(tagHeader)
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

// startPrometheus starts the platform's Prometheus with the platform's configuration.
func startPrometheus(t *testing.T, resolver toolchain.Resolver, clients *kube.Clients, users *Traffic) string {
	t.Helper()
	programs, err := resolver.Resolve(t.Context(), toolchain.Prometheus)
	require.NoError(t, err)
	settings, err := apps.Load(config.FromMap(stacks.Apps.Name, "dev", nil), "dev")
	require.NoError(t, err)
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	address, dir := process.HostPort(ports[0]), t.TempDir()
	proxy, err := scraping.Serve(t.Context(), clients, nil, users.Metrics)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, proxy.Stop()) })
	here := scraping.Here{Kubeconfig: filepath.Join(dir, "kubeconfig"), Proxy: proxy.URL(), Prometheus: address}
	require.NoError(t, clientcmd.WriteToFile(*kubeconfigOf(clients.Config), here.Kubeconfig))
	jobs, _, err := scraping.Jobs(settings.Prometheus(), here)
	require.NoError(t, err)
	text, err := yaml.Marshal(map[string]any{"global": map[string]any{"scrape_interval": "1s"}, "scrape_configs": jobs})
	require.NoError(t, err)
	file := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	prometheus := &process.Process{
		Name: "prometheus", Path: programs[toolchain.Prometheus], Log: filepath.Join(dir, "log"), Ready: "http://" + address + "/-/ready",
		Args: []string{
			"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address,
			"--scrape.discovery-reload-interval=1s",
		},
	}
	t.Cleanup(func() { assert.NoError(t, prometheus.Stop()) })
	require.NoError(t, prometheus.Start(t.Context()))
	return "http://" + address
}

func kubeconfigOf(login *rest.Config) *clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: login.Host, CertificateAuthorityData: login.CAData}
	config.AuthInfos["test"] = &clientcmdapi.AuthInfo{ClientCertificateData: login.CertData, ClientKeyData: login.KeyData}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	config.CurrentContext = "test"
	return config
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
