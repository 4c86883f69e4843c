package engine

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/cluster/argocluster"
	"github.com/gridos/sharedinfra/lab/internal/cluster/cloudcontroller"
	"github.com/gridos/sharedinfra/lab/internal/cluster/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// The charts of this test have the objects that the programs wait for, and nothing that takes time.
// Pulumi's plan for a changed release does not depend on the chart's content.
const (
	valuesTemplate = `apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-values
data:
  values: {{ toJson .Values | sha256sum }}
`
	secretsDefinitions = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: clustersecretstores.external-secrets.io
spec:
  group: external-secrets.io
  names: {kind: ClusterSecretStore, listKind: ClusterSecretStoreList, plural: clustersecretstores, singular: clustersecretstore}
  scope: Cluster
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: externalsecrets.external-secrets.io
spec:
  group: external-secrets.io
  names: {kind: ExternalSecret, listKind: ExternalSecretList, plural: externalsecrets, singular: externalsecret}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`
)

// chartRepository serves charts as a Helm repository, under any path, and returns its address.
func chartRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	index := "apiVersion: v1\nentries:\n"
	for name, versions := range map[string][]string{
		"argo-cd": {"10.1.1", "10.1.2"}, "another-cd": {"10.1.1", "10.1.2"},
		"argo-rollouts": {"2.41.0", "2.41.1"}, "another-rollouts": {"2.41.0", "2.41.1"},
		"external-secrets": {"2.9.0", "2.9.1"}, "another-secrets": {"2.9.0", "2.9.1"},
	} {
		index += "  " + name + ":\n"
		for _, version := range versions {
			files := map[string]string{
				"Chart.yaml":            "apiVersion: v2\nname: " + name + "\nversion: " + version + "\n",
				"templates/values.yaml": valuesTemplate,
			}
			if strings.HasSuffix(name, "-secrets") {
				files["crds/store.yaml"] = secretsDefinitions
			}
			file := name + "-" + version + ".tgz"
			pack(t, filepath.Join(dir, file), name, files)
			index += fmt.Sprintf("    - {apiVersion: v2, name: %s, version: %s, urls: [%s]}\n", name, version, file)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.yaml"), []byte(index), 0o600))
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/" + filepath.Base(r.URL.Path)
		if r.URL.Path == "/index.yaml" {
			_, err := w.Write([]byte(index))
			assert.NoError(t, err)
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// pack writes files below a folder as a gzipped archive.
func pack(t *testing.T, path, folder string, files map[string]string) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	compressed := gzip.NewWriter(file)
	archive := tar.NewWriter(compressed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: folder + "/" + name, Mode: 0o600, Size: int64(len(files[name]))}))
		_, err := archive.Write([]byte(files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, errors.Join(archive.Close(), compressed.Close(), file.Close()))
}

// liveCluster brings up gridos-bootstrap, gridos-apps and gridos of dev on a real API server, with
// the mesh and the load balancer that Azure would provide.
func liveCluster(t *testing.T) (bootstrap, apps, published *living) {
	t.Helper()
	e := newEngine(t, azure.Options{})
	cluster, err := argocluster.Start(t.Context(), &toolchain.Resolver{ToolsDir: e.site.ToolsDir()}, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	clients, err := kube.Parse(cluster.Kubeconfig)
	require.NoError(t, err)
	node := controlplane.Node{Name: "node", Pool: "user", Mode: "User", VMSize: "Standard_D4ds_v5"}
	require.NoError(t, cluster.SetNodes(t.Context(), []controlplane.Node{node}))
	require.NoError(t, mesh.SetIngressGateways(t.Context(), clients.Core, []mesh.Gateway{
		{Name: "aks-istio-ingressgateway-internal", Revision: "asm-1-30"},
	}))
	ctx, cancel := context.WithCancel(t.Context())
	balanced := make(chan error, 1)
	go func() { balanced <- cloudcontroller.Run(ctx, clients.Core) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-balanced)
	})

	outputs := map[string]pulumi.Input{}
	for _, o := range stacks.OutputsOf[stacks.InfraOutputs]() {
		outputs[o.Key] = pulumi.String(strings.ToLower("the-" + o.Key))
	}
	outputs["egressAddresses"] = pulumi.StringArray{}
	outputs["ingressIp"] = pulumi.String("10.10.18.10")
	outputs["kubeconfig"] = pulumi.ToSecret(pulumi.String(cluster.Kubeconfig))
	infra := partOf(t, stacks.Infra)
	infra.program = Exporting(outputs)
	raise(t, e, infra, nil)
	bootstrap = raise(t, e, partOf(t, stacks.Bootstrap), bootstrapValues(chartRepository(t)))
	apps = raise(t, e, partOf(t, stacks.Apps), map[string]any{"applications": []any{report("reports")}})
	return bootstrap, apps, raise(t, e, partOf(t, stacks.Published), nil)
}

const pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----\n"

// otherRepository is a repository that the AppProject permits, so gridos-apps may name it.
const otherRepository = "https://github.com/gridos/other.git"

// bootstrapValues are a configuration in which each key has an effect of its own.
func bootstrapValues(charts string) map[string]any {
	return map[string]any{
		"chartRepository": charts + "/one", "externalSecretsChartRepository": charts + "/one", "releaseTimeoutSeconds": 120,
		"repositoryCredentialsUrl": "https://github.com/gridos/", "repositoryToken": secret("a token"),
		"argocdSsoClientId": somebody, "argocdSsoTenantId": somebody,
		"notificationsRecipients": []string{"github", "slack", "webhook"}, "notificationsWebhookUrl": "https://people.internal/told",
		"notificationsGitHubAppId": "1", "notificationsGitHubInstallationId": "2", "notificationsSlackChannel": "ours",
		"syncWindowSchedule": "0 8 * * 1-5",
		"sourceRepositories": []string{naming.RepositoryURL, otherRepository},
	}
}

// bootstrapAttempts are attempts for a project that is up. With nil they only list the keys.
func bootstrapAttempts(t *testing.T, up *living) []attempt {
	t.Helper()
	charts := ""
	if up != nil {
		address, ok := up.values["chartRepository"].(string)
		require.True(t, ok)
		charts = strings.TrimSuffix(address, "/one")
	}
	none := map[string]any{"repositoryToken": ""}
	with := func(more map[string]any) map[string]any {
		maps.Copy(more, none)
		return more
	}
	app := map[string]any{"repositoryGithubAppId": "1", "repositoryGithubAppInstallationId": "2", "repositoryGithubAppPrivateKey": secret(pem)}
	group := []string{somebody}
	return []attempt{
		{key: "protect", to: true},
		{key: "chartRepository", to: charts + "/two"},
		{key: "argoRolloutsChart", to: "another-rollouts"},
		{key: "argoRolloutsChartVersion", to: "2.41.1"},
		{key: "externalSecretsChartRepository", to: charts + "/two"},
		{key: "externalSecretsChart", to: "another-secrets"},
		{key: "externalSecretsChartVersion", to: "2.9.1"},
		{key: "releaseTimeoutSeconds", to: 130},
		{key: "externalSecretsReplicas", to: 3},
		{key: "secretStoreNamespaces", to: []string{"argocd", "argo-rollouts", "gridos", "monitoring"}},
		{key: "repositoryCredentialsUrl", to: "https://github.com/others/"},
		{key: "repositoryGithubAppId", to: "1", with: with(maps.Clone(app)), apart: true},
		{key: "repositoryGithubAppInstallationId", to: "2", with: with(maps.Clone(app)), apart: true},
		{key: "repositoryGithubAppPrivateKey", to: secret(pem), with: with(maps.Clone(app)), apart: true},
		{
			key: "repositoryDeployKey", to: secret(pem), with: with(map[string]any{"repositoryCredentialsUrl": "ssh://git@github.com/gridos/"}),
			apart: true,
		},
		{key: "repositoryToken", to: secret("a new token"), apart: true},
		{key: "repositoryUsername", to: "others", apart: true},
		{key: "argoRolloutsReplicas", to: 3},
		{
			key: "policyWaivers", to: []any{map[string]any{"rule": "tags", "resource": "argocd-release", "reason": "to see what happens"}},
			says: "remove the waiver",
		},
		{key: "argocdChart", to: "another-cd"},
		{key: "argocdChartVersion", to: "10.1.2"},
		{key: "argocdDomain", to: "argocd.example.org"},
		{key: "argocdControllerReplicas", to: 2},
		{key: "argocdServerMinReplicas", to: 3},
		{key: "argocdServerMaxReplicas", to: 6},
		{key: "argocdRepoServerReplicas", to: 3},
		{key: "argocdApplicationSetReplicas", to: 3},
		{key: "argocdRedisReplicas", to: 5},
		{key: "argocdAdmin", to: false},
		{key: "argocdAdminPasswordIssued", to: "2024-02-01T00:00:00Z"},
		{key: "argocdSsoClientId", to: another},
		{key: "argocdSsoTenantId", to: another},
		{key: "argocdSsoClientSecret", to: secret("a secret")},
		{key: "argocdAdminGroups", to: group},
		{key: "argocdDeveloperGroups", to: group},
		{key: "argocdPipelineGroups", to: group},
		{key: "notificationsGitHubAppId", to: "3"},
		{key: "notificationsGitHubInstallationId", to: "4"},
		{key: "notificationsSlackChannel", to: "others"},
		{key: "notificationsWebhookUrl", to: "https://people.internal/told/here"},
		{key: "notificationsRecipients", to: []string{"github", "slack", "webhook", "teams"}},
		{key: "sourceRepositories", to: []string{naming.RepositoryURL, otherRepository, "https://github.com/gridos/third.git"}},
		{key: "platformRepositories", to: []string{naming.RepositoryURL, versions.Prometheus.Repository, "https://charts.example.org"}},
		{key: "platformNamespaces", to: []string{"monitoring", "more"}},
		{key: "keepUsedProjects", to: false},
		{key: "syncWindowSchedule", to: "0 9 * * 1-5"},
		{key: "syncWindowDuration", to: "6h"},
		{key: "syncWindowTimeZone", to: "Europe/Berlin"},
		{key: "syncWindowManual", to: true},
	}
}

// report returns an Application of the catalogue.
func report(name string) map[string]any {
	return map[string]any{"name": name, "path": "applications/reports/overlays/dev"}
}

func appsAttempts() []attempt {
	changed := report("reports")
	changed["syncPolicy"] = map[string]any{"prune": false}
	return []attempt{
		{key: "repositoryUrl", to: otherRepository},
		{key: "targetRevision", to: "other"},
		{key: "cascadeDelete", to: false},
		{key: "deleteTimeout", to: "5m"},
		{key: "applications", when: "one more", to: []any{report("reports"), report("more")}, apart: true},
		{key: "applications", when: "a field of one", to: []any{changed}},
		{key: "applications", when: "one less", to: []any{}},
		{
			key: "policyWaivers", to: []any{map[string]any{"rule": "tags", "resource": "reports", "reason": "to see what happens"}},
			says: "remove the waiver",
		},
	}
}

func publishedAttempts() []attempt {
	return []attempt{{
		key: "policyWaivers", to: []any{map[string]any{"rule": "tags", "resource": "gridos", "reason": "to see what happens"}},
		says: "remove the waiver",
	}}
}
