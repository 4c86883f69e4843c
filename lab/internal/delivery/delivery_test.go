package delivery

import (
	"cmp"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	apps "github.com/gridos/sharedinfra/apps/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/promtool"
	"github.com/gridos/sharedinfra/lab/internal/delivery/scraping"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/stacks"
)

func TestUnit_AComponentHasTheEnvironmentThatTheReleaseConfigures(t *testing.T) {
	t.Parallel()
	from := func(variable, configMap, key string) corev1.EnvVar {
		return corev1.EnvVar{Name: variable, ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: configMap}, Key: key,
		}}}
	}
	client := fake.NewClientset(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "argocd-cm", Namespace: naming.NamespaceArgoCD},
		Data:       map[string]string{"timeout.reconciliation": "90s"},
	})
	pod := corev1.PodSpec{Containers: []corev1.Container{{Env: []corev1.EnvVar{
		{Name: "ARGOCD_CONTROLLER_REPLICAS", Value: "2"},
		{Name: "HOME", Value: "/home/argocd"},
		from("ARGOCD_RECONCILIATION_TIMEOUT", "argocd-cm", "timeout.reconciliation"),
		from("ARGOCD_HARD_RECONCILIATION_TIMEOUT", "argocd-cm", "timeout.hard.reconciliation"),
		from("REDIS_SERVER", "argocd-cmd-params-cm", "redis.server"),
		from("ARGOCD_SERVER_METRICS_LISTEN_ADDRESS", "argocd-cm", "timeout.reconciliation"),
		{Name: "REDIS_PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "auth"}}},
	}}}}
	environment, err := environmentOf(t.Context(), client, pod, ApplicationController)
	require.NoError(t, err)
	assert.Equal(t, []string{"ARGOCD_CONTROLLER_REPLICAS=2", "ARGOCD_RECONCILIATION_TIMEOUT=90s"}, environment)

	_, err = environmentOf(t.Context(), client, corev1.PodSpec{}, Server)
	require.ErrorContains(t, err, Server)
}

// Bootstrap 0.1.0 installs no controller of notifications, and an upgrade begins there.
func TestUnit_OnlyNotificationsMayBeMissing(t *testing.T) {
	t.Parallel()
	place := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Namespace: naming.NamespaceArgoCD}
	}
	installed := map[string]runtime.Object{
		ApplicationController: &appsv1.StatefulSet{ObjectMeta: place(ApplicationController)},
		RepoServer:            &appsv1.Deployment{ObjectMeta: place(RepoServer)},
		Server:                &appsv1.Deployment{ObjectMeta: place(Server)},
		Notifications:         &appsv1.Deployment{ObjectMeta: place(Notifications)},
	}
	for missing := range installed {
		there := maps.Clone(installed)
		delete(there, missing)
		pods, err := argocdPods(t.Context(), fake.NewClientset(slices.Collect(maps.Values(there))...))
		if missing != Notifications {
			require.ErrorContains(t, err, missing)
			continue
		}
		require.NoError(t, err)
		assert.ElementsMatch(t, []string{ApplicationController, RepoServer, Server}, slices.Collect(maps.Keys(pods)))
	}
}

func TestUnit_TheProxyKnowsWhatAnalysesAsk(t *testing.T) {
	t.Parallel()
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.RequestURI())
	}))
	defer prometheus.Close()
	proxy := httptest.NewServer(forwardProxy(map[string]*url.URL{
		PrometheusHost: {Scheme: "http", Host: prometheus.Listener.Addr().String()},
		GatewayHost:    {Scheme: "http", Host: prometheus.Listener.Addr().String(), Path: "/gateway"},
	}))
	defer proxy.Close()
	way, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(way)}}
	ask := func(url string) (int, string) {
		response, err := client.Get(url) //nolint:noctx // the test's own
		require.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(text)
	}
	code, text := ask("http://" + PrometheusHost + "/api/v1/query?query=up")
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "/api/v1/query?query=up", text)
	code, text = ask("http://aks-istio-ingressgateway-internal.aks-istio-ingress/version")
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "/gateway/version", text)
	code, text = ask("http://169.254.169.254/metadata")
	assert.Equal(t, http.StatusBadGateway, code)
	assert.Contains(t, text, "169.254.169.254")
}

func TestCluster_PrometheusTakesItsConfigurationAndTheRules(t *testing.T) {
	t.Parallel()
	ports, err := newPorts()
	require.NoError(t, err)
	settings, err := apps.Load(config.FromMap(stacks.Apps.Name, "dev", nil), "dev")
	require.NoError(t, err)
	scraped, err := scraping.Serve(t.Context(), &kube.Clients{Core: fake.NewClientset()}, nil)
	require.NoError(t, err)
	defer func() { assert.NoError(t, scraped.Stop()) }()
	d := &Delivery{
		Dir: t.TempDir(), Prometheus: settings.Prometheus(), scraped: scraped, ports: ports,
		ExternalSecrets: "127.0.0.1:1",
	}
	require.NoError(t, os.WriteFile(d.kubeconfig(naming.NamespaceArgoCD), nil, 0o600)) // promtool looks whether it is there
	others := Rules{Interval: "1s", Groups: []RuleGroup{{Name: "other", Rules: []Rule{{Alert: "Other", Expr: "up == 0", For: "5s"}}}}}
	for _, one := range []struct {
		rules Rules
		found string
	}{
		{Rules{}, `SUCCESS: [0-9]{2} rules found`},
		{others, `SUCCESS: 1 rules found`},
		{Rules{}, `SUCCESS: [0-9]{2} rules found`},
	} {
		file, err := d.prometheusFiles(one.rules)
		require.NoError(t, err)
		output, err := promtool.Command(t.Context(), filepath.Join("..", "..", ".."), "check", "config", file).CombinedOutput()
		require.NoError(t, err, "%s", output)
		assert.Regexp(t, one.found, string(output))
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Contains(t, string(text), "evaluation_interval: "+cmp.Or(one.rules.Interval, "1m"))
	}
	require.ErrorContains(t, d.SetRules(others), "prometheus-server does not run")
	d.Prometheus = nil
	_, err = d.prometheusFiles(Rules{})
	require.ErrorContains(t, err, "alerting_rules.yml.groups")
}

func TestUnit_EachKubeconfigIsForItsNamespaceAndForNobodyElse(t *testing.T) {
	t.Parallel()
	config := clientcmdapi.NewConfig()
	config.Contexts["lab"] = &clientcmdapi.Context{Cluster: "lab"}
	config.CurrentContext = "lab"
	text, err := clientcmd.Write(*config)
	require.NoError(t, err)
	d := &Delivery{Dir: t.TempDir(), Kubeconfig: text}
	require.NoError(t, d.writeKubeconfigs())
	for _, namespace := range []string{naming.NamespaceArgoCD, naming.NamespaceArgoRollouts} {
		written, err := clientcmd.LoadFromFile(d.kubeconfig(namespace))
		require.NoError(t, err)
		assert.Equal(t, namespace, written.Contexts["lab"].Namespace)
		info, err := os.Stat(d.kubeconfig(namespace))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}
