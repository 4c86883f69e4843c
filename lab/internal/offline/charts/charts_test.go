package charts

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// argoCDManifest has the shape of the official one: the objects that values change, under the same
// names.
const argoCDManifest = `# comment only
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: applications.argoproj.io
  annotations: {tool: "say {{ hello }}"}
spec:
  maximum: 9223372036854775807
---
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm}
data:
  kept: from manifest
  changed: from manifest
  removed: from manifest
  template: |
    {{ .app.metadata.name }}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-cmd-params-cm}, data: {redis.server: "redis:6379"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-rbac-cm}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-notifications-cm}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-ssh-known-hosts-cm}, data: {template: "{{.x}} }}"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: argocd-notifications-secret}, type: Opaque}
---
{apiVersion: v1, kind: Secret, metadata: {name: argocd-secret}, type: Opaque}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: argocd-dex-server}, spec: {}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: argocd-server, labels: {app.kubernetes.io/name: argocd-server}}
spec:
  replicas: 2
  template:
    spec:
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - topologyKey: kubernetes.io/hostname
      containers:
      - {name: server, env: [{name: ARGOCD_API_SERVER_REPLICAS, value: "2"}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: argocd-repo-server}
spec:
  replicas: 2
  selector: {matchLabels: {app.kubernetes.io/name: argocd-repo-server}}
  template:
    spec:
      containers:
      - {name: repo-server, resources: {requests: {cpu: 10m}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: argocd-applicationset-controller}
spec: {template: {spec: {containers: [{name: applicationset}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: argocd-notifications-controller}
spec: {template: {spec: {containers: [{name: controller}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: argocd-application-controller}
spec:
  replicas: 1
  template:
    spec:
      containers:
      - {name: controller, env: [{name: ARGOCD_CONTROLLER_REPLICAS, value: "1"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: argocd-redis-ha-server}
spec:
  replicas: 3
  selector: {matchLabels: {app.kubernetes.io/name: argocd-redis-ha}}
  template: {spec: {affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: argocd-redis-ha-haproxy}
spec:
  replicas: 3
  strategy: {type: RollingUpdate}
  selector: {matchLabels: {app.kubernetes.io/name: argocd-redis-ha-haproxy}}
  template: {spec: {affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: argocd-redis-ha-server-network-policy}, spec: {podSelector: {}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: argocd-redis-ha-proxy-network-policy}, spec: {podSelector: {}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: argocd-server}
subjects:
- {kind: ServiceAccount, name: argocd-server, namespace: argocd}
`

const argoRolloutsManifest = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rollouts.argoproj.io}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: argo-rollouts}
spec:
  replicas: 1
  template:
    spec:
      containers:
      - {name: argo-rollouts, image: "quay.io/argoproj/argo-rollouts:latest"}
---
{apiVersion: v1, kind: Secret, metadata: {name: argo-rollouts-notification-secret}}
`

// module makes a directory named like one of Go's module cache with one manifest in it.
func module(t *testing.T, name, file, manifest string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	path := filepath.Join(dir, filepath.FromSlash(file))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(manifest), 0o600))
	return dir
}

func wrapArgoCD(t *testing.T, manifest string) string {
	t.Helper()
	chart, err := WrapArgoCD(module(t, "v3@v3.2.11", "manifests/ha/install.yaml", manifest), t.TempDir())
	require.NoError(t, err)
	return chart
}

// functions are those of Helm's template functions that the charts use, with Helm's meaning.
var functions = template.FuncMap{
	"b64enc":     func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"dateInZone": func(layout string, at time.Time, _ string) string { return at.UTC().Format(layout) },
	"default": func(fallback, value any) any {
		if value == nil || value == "" {
			return fallback
		}
		return value
	},
	"hasKey": func(in map[string]any, key string) bool { _, found := in[key]; return found },
	"int":    func(v any) (int, error) { return strconv.Atoi(fmt.Sprint(v)) },
	"now":    time.Now,
	"omit": func(from map[string]any, keys ...string) map[string]any {
		rest := maps.Clone(from)
		for _, key := range keys {
			delete(rest, key)
		}
		return rest
	},
	"quote": func(v any) string { return strconv.Quote(fmt.Sprint(v)) },
	"ternary": func(yes, no any, condition bool) any {
		if condition {
			return yes
		}
		return no
	},
	"list": func(v ...any) []any { return v },
	"toYaml": func(v any) (string, error) {
		text, err := yaml.Marshal(v)
		return strings.TrimSuffix(string(text), "\n"), err
	},
	"toJson":   func(v any) (string, error) { text, err := json.Marshal(v); return string(text), err },
	"toString": func(v any) string { return fmt.Sprint(v) },
}

// render renders a chart as Helm does, and returns the objects by kind and name.
func render(t *testing.T, chart, values string) map[string]*unstructured.Unstructured {
	t.Helper()
	merged := map[string]any{}
	defaults, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(defaults, &merged))
	given := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(values), &given))
	merge(merged, given)

	files, err := filepath.Glob(filepath.Join(chart, "templates", "*.yaml"))
	require.NoError(t, err)
	objects := map[string]*unstructured.Unstructured{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		parsed, err := template.New(file).Funcs(functions).Parse(string(content))
		require.NoError(t, err)
		var text bytes.Buffer
		require.NoError(t, parsed.Execute(&text, map[string]any{
			"Values":  merged,
			"Release": map[string]any{"Name": "argocd", "Namespace": "elsewhere", "Service": "Helm"},
		}))
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal(text.Bytes(), &object.Object), "%s:\n%s", file, text.String())
		if len(object.Object) > 0 {
			objects[object.GetKind()+" "+object.GetName()] = object
		}
	}
	return objects
}

func merge(into, from map[string]any) {
	for key, value := range from {
		if inner, ok := into[key].(map[string]any); ok {
			if innerFrom, ok := value.(map[string]any); ok {
				merge(inner, innerFrom)
				continue
			}
		}
		into[key] = value
	}
}

func at(t *testing.T, object *unstructured.Unstructured, path ...string) any {
	t.Helper()
	require.NotNil(t, object)
	value, _, err := unstructured.NestedFieldNoCopy(object.Object, path...)
	require.NoError(t, err)
	return value
}

func firstContainer(t *testing.T, workload *unstructured.Unstructured) map[string]any {
	t.Helper()
	containers, ok := at(t, workload, "spec", "template", "spec", "containers").([]any)
	require.True(t, ok)
	container, ok := containers[0].(map[string]any)
	require.True(t, ok)
	return container
}

func TestUnit_ArgoCDWithDefaultsIsTheManifestInTheReleasesNamespace(t *testing.T) {
	chart := wrapArgoCD(t, argoCDManifest)
	metadata, err := os.ReadFile(filepath.Join(chart, "Chart.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(metadata), "name: argo-cd\n")
	assert.Contains(t, string(metadata), "version: 0.0.0+3.2.11\n")
	assert.Contains(t, string(metadata), "appVersion: v3.2.11\n")

	objects := render(t, chart, "")
	assert.Len(t, objects, strings.Count(argoCDManifest, "\n---\n")-2,
		"nothing is lost but what the real chart leaves out: the policies of Redis")
	server := objects["Deployment argocd-server"]
	assert.Equal(t, "elsewhere", server.GetNamespace())
	assert.Equal(t, map[string]string{
		"app.kubernetes.io/name": "argocd-server", "app.kubernetes.io/instance": "argocd", "app.kubernetes.io/managed-by": "Helm",
	}, server.GetLabels())
	binding := objects["ClusterRoleBinding argocd-server"]
	assert.Empty(t, binding.GetNamespace(), "a cluster-scoped object has no namespace")
	assert.Equal(t, []any{map[string]any{"kind": "ServiceAccount", "name": "argocd-server", "namespace": "elsewhere"}},
		at(t, binding, "subjects"))
	crd := objects["CustomResourceDefinition applications.argoproj.io"]
	assert.Equal(t, map[string]string{"helm.sh/resource-policy": "keep", "tool": "say {{ hello }}"}, crd.GetAnnotations())
	raw, err := os.ReadFile(filepath.Join(chart, "templates", "customresourcedefinition-applications.argoproj.io.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(raw), "9223372036854775807", "large numbers keep their digits")
	assert.Equal(t, "{{.x}} }}", at(t, objects["ConfigMap argocd-ssh-known-hosts-cm"], "data", "template"))
	assert.Equal(t, "{{ .app.metadata.name }}\n", at(t, objects["ConfigMap argocd-cm"], "data", "template"))
	assert.Equal(t, map[string]any{"redis.server": "redis:6379"}, at(t, objects["ConfigMap argocd-cmd-params-cm"], "data"))
	assert.InDelta(t, 2, at(t, objects["Deployment argocd-repo-server"], "spec", "replicas"), 0)
	assert.Nil(t, at(t, objects["Secret argocd-secret"], "data"), "Argo CD fills its secret itself")
	assert.Nil(t, at(t, server, "spec", "template", "spec", "affinity", "podAntiAffinity",
		"requiredDuringSchedulingIgnoredDuringExecution"), "a surplus pod of an update must find a node")
}

func TestUnit_ArgoCDFollowsTheRealChartsValues(t *testing.T) {
	objects := render(t, wrapArgoCD(t, argoCDManifest), `
global: {domain: argocd.example.org}
controller: {replicas: 2}
server: {replicas: 9, autoscaling: {enabled: true, minReplicas: 3}}
repoServer:
  replicas: 5
  autoscaling: {enabled: false, minReplicas: 3}
  resources: {requests: {memory: 1Gi}}
  pdb: {enabled: true, minAvailable: 1}
applicationSet: {replicas: 4}
dex: {enabled: false}
notifications: {enabled: false}
crds: {keep: false}
configs:
  cm: {create: true, annotations: {}, changed: "by: <value>\nand more", removed: ""}
  params: {server.insecure: true, controller.status.processors: 20}
  rbac: {policy.default: "role:readonly"}
  secret: {argocdServerAdminPassword: $2a$10$hash, argocdServerAdminPasswordMtime: "2026-01-02T03:04:05Z",
    githubSecret: signs, extra: {more: text}}
`)
	for name, replicas := range map[string]int{
		"StatefulSet argocd-application-controller":   2,
		"Deployment argocd-server":                    3,
		"Deployment argocd-repo-server":               5,
		"Deployment argocd-applicationset-controller": 4,
	} {
		assert.InDelta(t, replicas, at(t, objects[name], "spec", "replicas"), 0, name)
	}
	for name, want := range map[string]map[string]any{
		"StatefulSet argocd-application-controller": {"name": "ARGOCD_CONTROLLER_REPLICAS", "value": "2"},
		"Deployment argocd-server":                  {"name": "ARGOCD_API_SERVER_REPLICAS", "value": "3"},
	} {
		assert.Equal(t, []any{want}, firstContainer(t, objects[name])["env"], name)
	}
	assert.Equal(t, map[string]any{"requests": map[string]any{"cpu": "10m", "memory": "1Gi"}},
		firstContainer(t, objects["Deployment argocd-repo-server"])["resources"])
	budget := objects["PodDisruptionBudget argocd-repo-server"]
	assert.Equal(t, "elsewhere", budget.GetNamespace())
	assert.InDelta(t, 1, at(t, budget, "spec", "minAvailable"), 0)
	assert.Equal(t, map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "argocd-repo-server"}},
		at(t, budget, "spec", "selector"))
	assert.NotContains(t, objects, "PodDisruptionBudget argocd-server", "only where asked for")
	assert.NotContains(t, objects, "Deployment argocd-dex-server")
	assert.NotContains(t, objects, "ConfigMap argocd-notifications-cm")
	assert.NotContains(t, objects, "Secret argocd-notifications-secret")
	assert.NotContains(t, objects["CustomResourceDefinition applications.argoproj.io"].GetAnnotations(),
		"helm.sh/resource-policy", "Helm keeps whatever has the annotation, so it must be absent")
	assert.Equal(t, map[string]any{
		"kept": "from manifest", "changed": "by: <value>\nand more", "template": "{{ .app.metadata.name }}\n",
		"url": "https://argocd.example.org",
	}, at(t, objects["ConfigMap argocd-cm"], "data"))
	assert.Equal(t, map[string]any{
		"redis.server": "redis:6379", "server.insecure": "true", "controller.status.processors": "20",
	}, at(t, objects["ConfigMap argocd-cmd-params-cm"], "data"))
	assert.Equal(t, map[string]any{"policy.default": "role:readonly"}, at(t, objects["ConfigMap argocd-rbac-cm"], "data"))
	assert.Equal(t, map[string]any{
		"admin.password":        base64.StdEncoding.EncodeToString([]byte("$2a$10$hash")),
		"admin.passwordMtime":   base64.StdEncoding.EncodeToString([]byte("2026-01-02T03:04:05Z")),
		"webhook.github.secret": base64.StdEncoding.EncodeToString([]byte("signs")),
		"more":                  base64.StdEncoding.EncodeToString([]byte("text")),
	}, at(t, objects["Secret argocd-secret"], "data"))

	objects = render(t, wrapArgoCD(t, argoCDManifest), "crds: {install: false}\nconfigs: {secret: {createSecret: false}}\n")
	assert.NotContains(t, objects, "CustomResourceDefinition applications.argoproj.io")
	assert.NotContains(t, objects, "Secret argocd-secret")
}

func TestUnit_RedisFollowsTheRealChartsValues(t *testing.T) {
	const hard, soft = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
	chart := wrapArgoCD(t, argoCDManifest)
	affinity := []string{"spec", "template", "spec", "affinity", "podAntiAffinity"}

	objects := render(t, chart, "")
	assert.Equal(t, map[string]any{"type": "RollingUpdate"}, at(t, objects["Deployment argocd-redis-ha-haproxy"], "spec", "strategy"))
	assert.Contains(t, at(t, objects["Deployment argocd-redis-ha-haproxy"], affinity...), hard)
	assert.Contains(t, at(t, objects["StatefulSet argocd-redis-ha-server"], affinity...), hard)
	for _, absent := range []string{
		"PodDisruptionBudget argocd-redis-ha-pdb", "PodDisruptionBudget argocd-redis-ha-haproxy-pdb",
		"NetworkPolicy argocd-redis-ha-server-network-policy", "NetworkPolicy argocd-redis-ha-proxy-network-policy",
	} {
		assert.NotContains(t, objects, absent, "the chart's default is none")
	}

	objects = render(t, chart, `
redis-ha:
  replicas: 5
  podDisruptionBudget: {maxUnavailable: 2}
  networkPolicy: {enabled: true}
  haproxy:
    replicas: 4
    hardAntiAffinity: false
    podDisruptionBudget: {minAvailable: 1}
    deploymentStrategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}
`)
	haproxy := objects["Deployment argocd-redis-ha-haproxy"]
	assert.InDelta(t, 4, at(t, haproxy, "spec", "replicas"), 0)
	assert.InDelta(t, 5, at(t, objects["StatefulSet argocd-redis-ha-server"], "spec", "replicas"), 0)
	assert.InDelta(t, 0, at(t, haproxy, "spec", "strategy", "rollingUpdate", "maxSurge"), 0)
	assert.NotContains(t, at(t, haproxy, affinity...), hard)
	assert.Contains(t, at(t, haproxy, affinity...), soft)
	assert.InDelta(t, 2, at(t, objects["PodDisruptionBudget argocd-redis-ha-pdb"], "spec", "maxUnavailable"), 0)
	assert.InDelta(t, 1, at(t, objects["PodDisruptionBudget argocd-redis-ha-haproxy-pdb"], "spec", "minAvailable"), 0)
	assert.Equal(t, map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "argocd-redis-ha-haproxy"}},
		at(t, objects["PodDisruptionBudget argocd-redis-ha-haproxy-pdb"], "spec", "selector"))
	assert.Contains(t, objects, "NetworkPolicy argocd-redis-ha-server-network-policy")
	assert.NotContains(t, objects, "NetworkPolicy argocd-redis-ha-proxy-network-policy")
}

func TestUnit_ArgoRollouts(t *testing.T) {
	chart, err := WrapArgoRollouts(module(t, "argo-rollouts@v1.9.0", "manifests/install.yaml", argoRolloutsManifest), t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, "argo-rollouts", filepath.Base(chart))
	objects := render(t, chart, "controller: {replicas: 2}\nkeepCRDs: false\n")
	assert.NotContains(t, objects, "PodDisruptionBudget argo-rollouts")
	assert.Contains(t, render(t, chart, "controller: {pdb: {enabled: true}}\n"), "PodDisruptionBudget argo-rollouts")
	deployment := objects["Deployment argo-rollouts"]
	assert.InDelta(t, 2, at(t, deployment, "spec", "replicas"), 0)
	assert.Equal(t, "quay.io/argoproj/argo-rollouts:v1.9.0", firstContainer(t, deployment)["image"])
	assert.Empty(t, objects["CustomResourceDefinition rollouts.argoproj.io"].GetAnnotations())
	assert.NotContains(t, render(t, chart, "installCRDs: false\n"), "CustomResourceDefinition rollouts.argoproj.io")
}

// What both controllers read is a ConfigMap of the same form.
func TestUnit_NotificationsFollowTheRealChartsValues(t *testing.T) {
	const values = `
global: {domain: argocd.example.org}
notifications:
  notifiers: {service.slack: "token: $slack-token\n"}
  templates: {template.deployed: "message: \"{{.app.metadata.name}} runs\""}
  triggers: {trigger.deployed: "- send: [deployed]"}
  subscriptions: [{recipients: ["slack:c"], triggers: [deployed]}]
  secret: {create: false}
`
	rollouts, err := WrapArgoRollouts(module(t, "argo-rollouts@v1.9.0", "manifests/install.yaml", argoRolloutsManifest), t.TempDir())
	require.NoError(t, err)
	entries := map[string]any{
		"service.slack": "token: $slack-token\n", "template.deployed": `message: "{{.app.metadata.name}} runs"`,
		"trigger.deployed": "- send: [deployed]", "subscriptions": "- recipients:\n  - slack:c\n  triggers:\n  - deployed",
	}
	objects := render(t, rollouts, values)
	assert.Equal(t, entries, at(t, objects["ConfigMap argo-rollouts-notification-configmap"], "data"))
	assert.NotContains(t, objects, "Secret argo-rollouts-notification-secret")
	objects = render(t, rollouts, "notifications: {secret: {create: true}, configmap: {create: false}}\n")
	assert.Contains(t, objects, "Secret argo-rollouts-notification-secret")
	assert.NotContains(t, objects, "ConfigMap argo-rollouts-notification-configmap")

	entries["context"] = "argocdUrl: https://argocd.example.org\n"
	objects = render(t, wrapArgoCD(t, argoCDManifest), values)
	assert.Equal(t, entries, at(t, objects["ConfigMap argocd-notifications-cm"], "data"))
	assert.NotContains(t, objects, "Secret argocd-notifications-secret")
}

func TestUnit_ChartIsReplacedByAnEqualOne(t *testing.T) {
	moduleDir := module(t, "v3@v3.2.11", "manifests/ha/install.yaml", argoCDManifest)
	dest := t.TempDir()
	chart, err := WrapArgoCD(moduleDir, dest)
	require.NoError(t, err)
	first := files(t, dest)
	require.NoError(t, os.WriteFile(filepath.Join(chart, "templates", "stale.yaml"), []byte("kind: Stale"), 0o600))
	_, err = WrapArgoCD(moduleDir, dest)
	require.NoError(t, err)
	assert.Equal(t, first, files(t, dest))
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	contents := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		contents[path] = string(content)
		return err
	}))
	return contents
}

func TestUnit_ManifestThatIsNotUnderstoodIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ manifest, want string }{
		"unknown kind":    {argoCDManifest + "---\n{kind: Gadget, metadata: {name: g}}\n", `"g" of kind "Gadget"`},
		"renamed object":  {strings.Replace(argoCDManifest, "name: argocd-rbac-cm", "name: other", 1), "no ConfigMap argocd-rbac-cm"},
		"lost variable":   {strings.ReplaceAll(argoCDManifest, "ARGOCD_CONTROLLER_REPLICAS", "X"), "ARGOCD_CONTROLLER_REPLICAS"},
		"the same twice":  {argoCDManifest + "---\n{kind: Secret, metadata: {name: argocd-secret}}\n", "argocd-secret twice"},
		"nothing in it":   {"# empty\n", "holds no object"},
		"not YAML at all": {"a: [", "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			dest := t.TempDir()
			_, err := WrapArgoCD(module(t, "v3@v3.2.11", "manifests/ha/install.yaml", test.manifest), dest)
			require.ErrorContains(t, err, test.want)
			assert.Empty(t, files(t, dest), "nothing is left behind")
		})
	}
	_, err := WrapArgoCD(t.TempDir(), t.TempDir())
	require.ErrorContains(t, err, "install.yaml")
}

func TestUnit_Reachable(t *testing.T) {
	answer := func(handler http.HandlerFunc) string {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		return server.URL
	}
	index := answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/charts/index.yaml" {
			http.NotFound(w, r)
			return
		}
		_, err := fmt.Fprint(w, "apiVersion: v1\nentries: {}\n")
		assert.NoError(t, err)
	})
	assert.True(t, Reachable(t.Context(), index+"/charts", time.Second))
	assert.True(t, Reachable(t.Context(), index+"/charts/", time.Second))
	assert.False(t, Reachable(t.Context(), index, time.Second), "no index there")
	portal := answer(func(w http.ResponseWriter, _ *http.Request) {
		_, err := fmt.Fprint(w, "<html>please log in</html>")
		assert.NoError(t, err)
	})
	assert.False(t, Reachable(t.Context(), portal, time.Second), "a login page is not a repository")
	silent := answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	begin := time.Now()
	assert.False(t, Reachable(t.Context(), silent, 50*time.Millisecond))
	assert.Less(t, time.Since(begin), 5*time.Second, "the time limit holds")
	assert.False(t, Reachable(t.Context(), "http://127.0.0.1:1", time.Second), "nobody listens")
	assert.False(t, Reachable(t.Context(), "://", time.Second), "not a URL")
}
