package approved_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/lab/internal/cluster/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// startCluster starts an API server, for as long as the test runs.
func startCluster(t *testing.T) *controlplane.ControlPlane {
	t.Helper()
	resolver := toolchain.Resolver{ToolsDir: "../../tools"}
	tools, err := resolver.Resolve(t.Context(), toolchain.Etcd, toolchain.KubeAPIServer, toolchain.KubeControllerManager,
		toolchain.KubeScheduler)
	require.NoError(t, err)
	cluster := &controlplane.ControlPlane{Dir: t.TempDir(), Binaries: controlplane.Binaries{
		Etcd: tools[toolchain.Etcd], KubeAPIServer: tools[toolchain.KubeAPIServer], KubeScheduler: tools[toolchain.KubeScheduler],
		KubeControllerManager: tools[toolchain.KubeControllerManager],
	}}
	require.NoError(t, cluster.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	return cluster
}

// The manifest of this chart differs each time it is rendered, as in charts that generate
// passwords.
var chart = map[string]string{
	"Chart.yaml":  "apiVersion: v2\nname: drill\nversion: 1.0.0\n",
	"values.yaml": "text: none\nresult: none\nsecrets: {own: none}\n",
	"templates/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: drill}\n" +
		"data: {text: {{ .Values.text | quote }}, result: {{ .Values.result | quote }}, own: {{ .Values.secrets.own | quote }}, " +
		"random: {{ randAlphaNum 8 | quote }}}\n",
}

// The real Kubernetes provider plans a Helm release, and the engine holds its update to that plan.
func TestEngine_AReleaseOfHelmIsPlannedAndDeployed(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: what is approved is what runs without a cluster too")
	}
	cluster := startCluster(t)
	c := newCheckout(t, toolchain.PulumiKubernetes)
	folder := t.TempDir()
	for name, text := range chart {
		file := filepath.Join(folder, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	clients, err := kube.Parse(cluster.Kubeconfig())
	require.NoError(t, err)
	data := func() map[string]string {
		t.Helper()
		installed, err := clients.Core.CoreV1().ConfigMaps("default").Get(t.Context(), "drill", metav1.GetOptions{})
		require.NoError(t, err)
		return installed.Data
	}
	want := func(value, text string) {
		t.Helper()
		for _, p := range stacks.Projects() {
			c.want(p, desired{Value: value, Chart: folder, Kubeconfig: string(cluster.Kubeconfig()), Text: text})
		}
	}

	want("one", "first")
	said, code := c.deploy(c.plan())
	require.Zero(t, code, said)
	assert.Equal(t, []string{"first", "made of one"}, []string{data()["text"], data()["result"]})

	// A value of the program changes, and so does one that is known only after the update of infra.
	// The chart renders another text each time; that is no change.
	want("two", "second")
	said, code = c.deploy(c.plan())
	require.Zero(t, code, said)
	assert.Equal(t, []string{"second", "made of two"}, []string{data()["text"], data()["result"]})

	// A change that was not approved is not installed.
	want("two", "third")
	digest := c.plan()
	want("two", "fourth")
	c.must("pulumi -C bootstrap up -s dev --yes --skip-preview")
	c.must("git checkout -q .")
	said, code = c.deploy(digest)
	assert.Equal(t, 7, code, said)
	assert.Equal(t, "fourth", data()["text"], "nothing was touched")
}
