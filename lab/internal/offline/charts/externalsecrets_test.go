package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const externalSecretsBundle = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: clustersecretstores.external-secrets.io
  annotations: {tool: v1}
spec:
  conversion: {strategy: Webhook}
  description: "say {{ hello }}"
`

// externalSecretsModule makes a directory like the module's, with these files in its chart.
func externalSecretsModule(t *testing.T, chart map[string]string) string {
	t.Helper()
	dir := module(t, "external-secrets@v0.20.4", "deploy/crds/bundle.yaml", externalSecretsBundle)
	for name, content := range chart {
		path := filepath.Join(dir, filepath.FromSlash(externalSecretsChart), filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

func TestUnit_ExternalSecretsIsTheProjectsOwnChartWithoutWhatNobodyAnswers(t *testing.T) {
	moduleDir := externalSecretsModule(t, map[string]string{
		"Chart.yaml":                "{apiVersion: v2, name: external-secrets, version: 0.20.3, dependencies: [{name: bitwarden-sdk-server}]}",
		"Chart.lock":                "dependencies: []",
		"values.yaml":               "installCRDs: true\ncrds: {annotations: {}}\n",
		"values.schema.json":        "{}",
		"files/dashboard.json":      "{}",
		"templates/_helpers.tpl":    `{{- define "x" }}{{ end }}`,
		"templates/service.yaml":    "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: {{ .Release.Namespace }}}}",
		"templates/crds/README.md":  "CRDs are generated",
		"tests/service_test.yaml":   "suite: s",
		externalSecretsWebhooks:     "{kind: ValidatingWebhookConfiguration, metadata: {name: w}}",
		"templates/deployment.yaml": "{kind: Deployment, metadata: {name: d}}",
	})
	chart, err := WrapExternalSecrets(moduleDir, t.TempDir())
	require.NoError(t, err)
	names := []string{}
	for path := range files(t, chart) {
		names = append(names, filepath.ToSlash(strings.TrimPrefix(path, chart+string(filepath.Separator))))
	}
	assert.ElementsMatch(t, []string{
		"Chart.yaml", "values.yaml", "values.schema.json", "files/dashboard.json", "templates/_helpers.tpl",
		"templates/service.yaml", "templates/deployment.yaml",
		"templates/customresourcedefinition-clustersecretstores.external-secrets.io.yaml",
	}, names)
	metadata, err := os.ReadFile(filepath.Join(chart, "Chart.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(metadata), "version: 0.0.0+0.20.4\n")
	assert.Contains(t, string(metadata), "appVersion: v0.20.4\n")
	assert.NotContains(t, string(metadata), "dependencies", "Helm refuses a chart whose dependencies are missing")

	const definition = "CustomResourceDefinition clustersecretstores.external-secrets.io"
	objects := render(t, chart, "")
	assert.Equal(t, "elsewhere", objects["Service s"].GetNamespace())
	assert.Equal(t, map[string]string{"tool": "v1"}, objects[definition].GetAnnotations())
	assert.Nil(t, at(t, objects[definition], "spec", "conversion"), "nobody answers it")
	assert.Equal(t, "say {{ hello }}", at(t, objects[definition], "spec", "description"))
	kept := render(t, chart, `crds: {annotations: {helm.sh/resource-policy: keep}}`)
	assert.Equal(t, map[string]string{"tool": "v1", "helm.sh/resource-policy": "keep"}, kept[definition].GetAnnotations())
	assert.NotContains(t, render(t, chart, "installCRDs: false"), definition)
}

func TestUnit_ExternalSecretsWithMovedWebhooksIsRefused(t *testing.T) {
	_, err := WrapExternalSecrets(externalSecretsModule(t, map[string]string{"values.yaml": "{}"}), t.TempDir())
	require.ErrorContains(t, err, "the chart of v0.20.4 has no templates/validatingwebhook.yaml to leave out")

	_, err = WrapExternalSecrets(module(t, "external-secrets@v0.20.4", "deploy/crds/bundle.yaml", externalSecretsBundle), t.TempDir())
	require.ErrorContains(t, err, "the project's own chart")
}
