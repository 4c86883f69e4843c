package scraping_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/lab/internal/delivery/scraping"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
)

func here() scraping.Here {
	return scraping.Here{Kubeconfig: "/here/kubeconfig", Proxy: "http://127.0.0.1:1", Prometheus: "127.0.0.1:2"}
}

func values(jobs map[string]any) map[string]any { return map[string]any{"scrapeConfigs": jobs} }

// A new chart may scrape otherwise.
func TestUnit_TheJobsAreThoseOfThePinnedChart(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("chart.yaml")
	require.NoError(t, err)
	assert.Contains(t, string(text), "chart prometheus "+versions.Prometheus.Version+", values.yaml",
		"compare scrapeConfigs in the values of the new chart with chart.yaml, and write the version there")
}

func TestUnit_AJobIsTheChartsWithThePlatformsValues(t *testing.T) {
	t.Parallel()
	jobs, without, err := scraping.Jobs(values(map[string]any{
		"kubernetes-pods":  map[string]any{"enabled": true, "honor_labels": false},
		"kubernetes-nodes": map[string]any{"enabled": false}, "prometheus": map[string]any{"enabled": true},
		"own":                    map[string]any{"job_name": "other", "static_configs": []any{map[string]any{"targets": []any{"example.org:80"}}}},
		"kubernetes-api-servers": map[string]any{"enabled": true, "honor_labels": false},
	}), here())
	require.NoError(t, err)
	require.Len(t, jobs, 3)
	assert.Equal(t, []string{"kubernetes-api-servers"}, without)
	pods, own, prometheus := object(t, jobs[0]), object(t, jobs[1]), object(t, jobs[2])
	assert.Equal(t, "kubernetes-pods", pods["job_name"])
	assert.Equal(t, false, pods["honor_labels"])
	assert.NotContains(t, pods, "enabled")
	assert.Equal(t, []any{map[string]any{"role": "pod", "kubeconfig_file": "/here/kubeconfig"}}, pods["kubernetes_sd_configs"])
	assert.Equal(t, "http://127.0.0.1:1", pods["proxy_url"])
	assert.Len(t, pods["relabel_configs"], 12+2, "the chart's, and two for the platform's own programs")
	assert.Equal(t, "other", own["job_name"])
	assert.Equal(t, "prometheus", prometheus["job_name"])
	assert.Equal(t, []any{map[string]any{"targets": []any{"127.0.0.1:2"}}}, prometheus["static_configs"])
}

func TestUnit_ValuesThatAreNoJobsAreAnError(t *testing.T) {
	t.Parallel()
	for want, given := range map[string]map[string]any{
		"scrapeConfigs.prometheus is a b": values(map[string]any{"prometheus": true}),
		"the values of the chart":         {"scrapeConfigs": "none"},
	} {
		_, _, err := scraping.Jobs(given, here())
		require.ErrorContains(t, err, want)
	}
}

func object(t *testing.T, value any) map[string]any {
	t.Helper()
	result, is := value.(map[string]any)
	require.True(t, is)
	return result
}

func TestUnit_EachPodAnswersAtItsOwnPort(t *testing.T) {
	t.Parallel()
	program := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "of the program: "+r.URL.RequestURI())
	}))
	defer program.Close()
	pod := func(namespace, name, program, ip string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app.kubernetes.io/name": program}},
			Status:     corev1.PodStatus{PodIP: ip, Phase: phase},
		}
	}
	cluster := fake.NewClientset(
		pod("argocd", "server-0", "argocd-server", "10.244.0.9", corev1.PodSucceeded),
		pod("argocd", "server-1", "argocd-server", "10.244.0.1", corev1.PodRunning),
		pod("argocd", "server-2", "argocd-server", "10.244.0.2", corev1.PodRunning),
		pod("elsewhere", "server-1", "argocd-server", "10.244.0.3", corev1.PodRunning),
		pod("gridos", "app", "gridos", "10.244.0.4", corev1.PodRunning),
		pod("gridos", "gone", "gridos", "10.244.0.4", corev1.PodFailed),
	)
	proxy, err := scraping.Serve(t.Context(), &kube.Clients{Core: cluster},
		[]scraping.Program{{Namespace: "argocd", Name: "argocd-server", Port: 8083, Address: strings.TrimPrefix(program.URL, "http://")}},
		func(pod *corev1.Pod, port int) http.Handler {
			if pod.Namespace != "gridos" {
				return nil
			}
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "of the pod "+pod.Name)
				assert.Equal(t, 8080, port)
			})
		})
	require.NoError(t, err)
	defer func() { assert.NoError(t, proxy.Stop()) }()
	way, err := url.Parse(proxy.URL())
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(way)}}
	for address, want := range map[string]struct {
		code int
		text string
	}{
		"10.244.0.1:8083/metrics?a=b": {http.StatusOK, "of the program: /metrics?a=b"},
		"10.244.0.1:8082/metrics":     {http.StatusBadGateway, "argocd-server serves its metrics at 8083, and not at 8082\n"},
		"10.244.0.2:8083/metrics":     {http.StatusOK, ""},
		"10.244.0.3:8083/metrics":     {http.StatusOK, ""},
		"10.244.0.4:8080/metrics":     {http.StatusOK, "of the pod app"},
		"10.244.0.9:8083/metrics":     {http.StatusBadGateway, "no pod that runs has the address 10.244.0.9\n"},
		"example.org/metrics":         {http.StatusBadRequest, "\"example.org\" is no address of a pod\n"},
	} {
		response, err := client.Get("http://" + address) //nolint:noctx // the test's own
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, want.code, response.StatusCode, address)
		assert.Equal(t, want.text, string(text), address)
	}
}
