package rendered_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/rendered"
)

// edited returns what happens to the objects of testdata/platform.yaml when one text in it is
// replaced.
func edited(t *testing.T, old, made string) []rendered.Change {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "platform.yaml"))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(content), old), "%q", old)
	folder := t.TempDir()
	text := strings.Replace(string(content), old, made, 1)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "platform.yaml"), []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte("resources: [platform.yaml]\n"), 0o600))
	after, err := rendered.Overlay(folder)
	require.NoError(t, err, "%q", made)
	before, err := platform()
	require.NoError(t, err)
	return rendered.Compare(before, after, "")
}

// platform are the objects of testdata/platform.yaml.
var platform = sync.OnceValues(func() ([]rendered.Object, error) { return rendered.Overlay("testdata") })

// object returns the document of testdata/platform.yaml that has a text in it, to be left out.
func object(t *testing.T, with string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "platform.yaml"))
	require.NoError(t, err)
	for document := range strings.SplitSeq(string(content), "---\n") {
		if strings.Contains(document, with) {
			return document
		}
	}
	require.Fail(t, with)
	return ""
}

func TestUnit_EveryRiskyEditIsFound(t *testing.T) {
	t.Parallel()
	const gone = "\n"
	edits := []struct {
		name, old, made string
		want, reason    string
	}{
		{
			"a claim goes", object(t, "name: photos"), gone, "dangerous delete PersistentVolumeClaim photos",
			"deleted with its data",
		},
		{
			"a kept claim goes", object(t, "name: archive"), gone, "risky delete PersistentVolumeClaim archive",
			"nothing manages it",
		},
		{
			"a definition goes", object(t, "name: orders.example.com}\nspec"), gone,
			"dangerous delete CustomResourceDefinition orders.example.com", "every object of this kind",
		},
		{
			"a namespace goes", object(t, "kind: Namespace"), gone, "dangerous delete Namespace shop",
			"everything in the namespace",
		},
		{
			"a version goes", "{name: v1beta1, served: true,", "{name: v1beta1, served: false,",
			"risky update CustomResourceDefinition orders.example.com", "v1beta1",
		},
		{
			"a scope", "scope: Namespaced", "scope: Cluster", "risky update CustomResourceDefinition orders.example.com",
			"spec.scope cannot be changed",
		},
		{
			"a Service's type", "spec:\n  selector: {app: web}\n  ports",
			"spec:\n  type: LoadBalancer\n  selector: {app: web}\n  ports", "risky update Service web", "another spec.type",
		},
		{
			"a Service without an address", "spec:\n  selector: {app: web}\n  ports",
			"spec:\n  clusterIP: None\n  selector: {app: web}\n  ports", "risky update Service web",
			"spec.clusterIP cannot be changed",
		},
		{"a Service's address", "10.0.0.10", "10.0.0.11", "risky update Service database", "spec.clusterIP cannot be changed"},
		{
			"a Service's name", "kind: Service\nmetadata: {name: web}", "kind: Service\nmetadata: {name: shop}",
			"risky delete Service web", "name and address",
		},
		{"a Service's port", "port: 5432", "port: 5433", "risky update Service database", "port 5432"},
		{
			"a Service's pods", "selector: {app: database}\n  ports", "selector: {app: db}\n  ports",
			"risky update Service database", "get the traffic",
		},
		{"half a Deployment", "replicas: 4", "replicas: 2", "risky update Deployment web", "from 4 to 2"},
		{"half a Rollout", "replicas: 6", "replicas: 3", "risky update Rollout api", "from 6 to 3"},
		{"no replicas", "  replicas: 3\n", "", "risky update StatefulSet database", "from 3 to 1"},
		{"half an autoscaler", "minReplicas: 5", "minReplicas: 2", "risky update HorizontalPodAutoscaler scaled", "from 5 to 2"},
		{
			"an autoscaler goes", object(t, "kind: HorizontalPodAutoscaler"), gone, "risky delete HorizontalPodAutoscaler scaled",
			"no longer scales",
		},
		{"a budget goes", object(t, "minAvailable: 3"), gone, "risky delete PodDisruptionBudget web", "all pods at once"},
		{
			"a smaller budget", "minAvailable: 3", "minAvailable: 2", "risky update PodDisruptionBudget web",
			"spec.minAvailable falls",
		},
		{
			"a wider budget", "maxUnavailable: 1", "maxUnavailable: 3", "risky update PodDisruptionBudget database",
			"spec.maxUnavailable rises",
		},
		{
			"a verb", "verbs: [get, list]", "verbs: [get, list, delete]", "risky update Role reader",
			"gives more rights: delete configmaps",
		},
		{
			"a resource", "[configmaps, pods]", "[configmaps, pods, secrets]", "risky update Role reader",
			"gives more rights: get secrets",
		},
		{
			"many rights", "{nonResourceURLs: [/metrics], verbs: [get]}",
			`{apiGroups: [""], resources: [pods, nodes, events], verbs: [get, list, watch]}`,
			"risky update ClusterRole operator", "get pods, get nodes, get events, list pods, list nodes, list events, and 3 more",
		},
		{
			"a group", "apiGroups: [example.com]", `apiGroups: ["*"]`, "risky update ClusterRole operator",
			"gives more rights: * *.*",
		},
		{
			"a role of others", "{example.com/part: operator}",
			`{example.com/part: operator, rbac.authorization.k8s.io/aggregate-to-edit: "true"}`,
			"risky update ClusterRole operator", "the role edit",
		},
		{
			"a subject", "- {kind: ServiceAccount, name: api, namespace: shop}", "- {kind: Group, name: system:authenticated}",
			"risky update RoleBinding reader", "gives Group system:authenticated the rights of Role reader",
		},
		{
			"another role", "kind: Role, name: reader", "kind: ClusterRole, name: operator", "risky update RoleBinding reader",
			"roleRef cannot be changed",
		},
		{
			"a Deployment's selector", "matchLabels: {app: web}}\n  template:\n    metadata:\n      labels: {app: web,",
			"matchLabels: {app: web, tier: front}}\n  template:\n    metadata:\n      labels: {app: web, tier: front,",
			"risky update Deployment web", "spec.selector cannot be changed",
		},
		{
			"a DaemonSet's selector", "matchLabels: {app: collector}", "matchLabels: {app: collector, on: node}",
			"risky update DaemonSet collector", "spec.selector cannot be changed",
		},
		{
			"a claim's template", "storage: 20Gi", "storage: 40Gi", "risky update StatefulSet database",
			"spec.volumeClaimTemplates cannot be changed",
		},
		{
			"a label of a claim's template", "db-1.0.0", "db-1.1.0", "risky update StatefulSet database",
			"spec.volumeClaimTemplates cannot be changed",
		},
		{
			"a StatefulSet's Service", "serviceName: database", "serviceName: db", "risky update StatefulSet database",
			"spec.serviceName cannot be changed",
		},
		{"a Job's template", "import:1.0.0", "import:1.0.1", "risky update Job import", "spec.template cannot be changed"},
		{
			"a label of a Job's template", "import-1.0.0", "import-1.0.1", "risky update Job import",
			"spec.template cannot be changed",
		},
		{
			"a claim's class", "storageClassName: fast", "storageClassName: slow", "risky update PersistentVolumeClaim photos",
			"spec.storageClassName cannot be changed",
		},
		{"a claim shrinks", "storage: 10Gi", "storage: 8Gi", "risky update PersistentVolumeClaim photos", "cannot shrink"},
		{"a class's disks", "Premium_LRS", "Standard_LRS", "risky update StorageClass fast", "parameters cannot be changed"},
		{"a priority", "value: 1000", "value: 10", "risky update PriorityClass important", "value cannot be changed"},
		{"an immutable ConfigMap", "mode: first", "mode: second", "risky update ConfigMap frozen", "data cannot be changed"},
		{
			"a moving image", "web:1.0.0", "web:latest", "risky update Deployment web",
			"the image registry.example.com/web:latest is not pinned",
		},
		{
			"an image without a tag", "report:1.0.0", "report", "risky update CronJob report",
			"the image registry.example.com/report is not pinned",
		},
		{
			"a privilege", "allowPrivilegeEscalation: false", "privileged: true", "risky update Deployment web",
			"web is privileged",
		},
		{"the node's network", "serviceAccountName: web", "hostNetwork: true", "risky update Deployment web", "hostNetwork"},
		{"root", "runAsNonRoot: true", "runAsUser: 0", "risky update Deployment web", "web runs as root"},
		{"a path of the node", "emptyDir: {}", "hostPath: {path: /etc}", "risky update Deployment web", "the host's path /etc"},
		{
			"a policy comes", object(t, "name: photos"), object(t, "name: photos") + "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n" +
				"metadata: {name: nothing}\nspec: {podSelector: {}, policyTypes: [Ingress]}\n",
			"risky create NetworkPolicy nothing", "who reaches what",
		},
		{"a policy goes", object(t, "kind: NetworkPolicy"), gone, "risky delete NetworkPolicy database", "who reaches what"},
		{
			"a policy opens", "from: [{podSelector: {matchLabels: {app: api}}}]", "from: []",
			"risky update NetworkPolicy database", "who reaches what",
		},
		{
			"a webhook that refuses", "failurePolicy: Ignore", "failurePolicy: Fail",
			"risky update ValidatingWebhookConfiguration orders", "while the webhook orders.example.com does not answer",
		},
		{
			"a namespace's standard", "enforce: restricted", "enforce: privileged", "risky update Namespace shop",
			"what pods may do",
		},
		{"another identity", "000000000001", "000000000002", "risky update ServiceAccount web", "sign in to Azure"},
		{"a StatefulSet goes", object(t, "kind: StatefulSet"), gone, "risky delete StatefulSet database", "its claims stay"},
		{"an Ingress goes", object(t, "kind: Ingress"), gone, "risky delete Ingress web", "no longer gets through"},
	}
	require.GreaterOrEqual(t, len(edits), 30)
	for _, edit := range edits {
		found, changes := 0, edited(t, edit.old, edit.made)
		for _, c := range changes {
			if line := told([]rendered.Change{c})[0]; line == edit.want {
				found++
				assert.Contains(t, strings.Join(c.Reasons, "; "), edit.reason, edit.name)
			} else {
				assert.Equal(t, rendered.Plain, c.Risk, "%s also makes %s", edit.name, line)
			}
		}
		assert.Equal(t, 1, found, "%s: %v", edit.name, told(changes))
	}
	t.Logf("%d risky edits", len(edits))
}

func TestUnit_NoHarmlessEditIsAnAlarm(t *testing.T) {
	t.Parallel()
	edits := []struct {
		name, old, made string
		noise           bool // no object differs at all
	}{
		{"the chart's version", "helm.sh/chart: shop-1.0.0, app", "helm.sh/chart: shop-1.1.0, app", true},
		{"the application's version", "app.kubernetes.io/version: 1.0.0", "app.kubernetes.io/version: 1.1.0", true},
		{
			"the chart's version in pods", "labels: {app: web, helm.sh/chart: shop-1.0.0}",
			"labels: {app: web, helm.sh/chart: shop-1.1.0}", true,
		},
		{"a checksum", "checksum/config: 0123abcd", "checksum/config: 4567cdef", true},
		{
			"the order of variables", "- {name: LEVEL, value: info}\n        - {name: REGION, value: north}",
			"- {name: REGION, value: north}\n        - {name: LEVEL, value: info}", true,
		},
		{"a null", "serviceName: database\n", "serviceName: database\n  minReadySeconds: null\n", true},
		{"a comment", "# What the edits", "# That which the edits", true},
		{"an empty label", "metadata: {name: api}", "metadata: {name: api, labels: {}}", true},
		{"an image's version", "web:1.0.0", "web:1.0.1", false},
		{"an image's digest", "web:1.0.0", "web:1.0.1@sha256:1111", false},
		{"an image of a commit", "web:1.0.0", "web:main-abcdefa", false},
		{"more replicas", "replicas: 4", "replicas: 6", false},
		{"one replica fewer", "replicas: 4", "replicas: 3", false},
		{"replicas that an autoscaler decides", "  replicas: 8\n", "", false},
		{"a higher maximum", "maxReplicas: 9", "maxReplicas: 12", false},
		{"another variable", "value: north", "value: south", false},
		{"other resources", "cpu: 100m", "cpu: 200m", false},
		{"another probe", "periodSeconds: 10", "periodSeconds: 5", false},
		{"another argument", "--port=8080", "--port=8081", false},
		{"a verb fewer", "verbs: [get, list]", "verbs: [get]", false},
		{
			"rights that it has already", "resources: [\"*\"], verbs: [\"*\"]}",
			"resources: [\"*\"], verbs: [\"*\"]}\n- {apiGroups: [example.com], resources: [orders], resourceNames: [first], verbs: [get]}",
			false,
		},
		{"a subject fewer", "- {kind: ServiceAccount, name: api, namespace: shop}\n", "", false},
		{"a larger claim", "storage: 10Gi", "storage: 20Gi", false},
		{
			"a default written out", "spec:\n  storageClassName: fast",
			"spec:\n  volumeMode: Filesystem\n  storageClassName: fast", false,
		},
		{"a Service's default type", "  clusterIP: 10.0.0.10\n", "  clusterIP: 10.0.0.10\n  type: ClusterIP\n", false},
		{
			"a StatefulSet's default", "serviceName: database\n", "serviceName: database\n  podManagementPolicy: OrderedReady\n",
			false,
		},
		{"an address that stays", "  clusterIP: 10.0.0.10\n", "", false},
		{"another port of the pods", "targetPort: 8080", "targetPort: http", false},
		{
			"one more port", "ports: [{name: sql, port: 5432}]", "ports: [{name: sql, port: 5432}, {name: metrics, port: 9187}]",
			false,
		},
		{"a stricter budget", "minAvailable: 3", "minAvailable: 4", false},
		{"a hook's image", "migrate:1.0.0", "migrate:1.0.1", false},
		{"a hook goes", object(t, "helm.sh/hook: pre-upgrade"), "\n", false},
		{"a StatefulSet's image", "database:16.4", "database:16.5", false},
		{"another schedule", "0 1 * * *", "0 2 * * *", false},
		{"an annotation", `example.com/limit: "10"`, `example.com/limit: "20"`, false},
		{"a setting", "limit: 10\n", "limit: 20\n", false},
		{"another password", "first-4711", "second-4711", false},
		{"a version more", "- {name: v1beta1,", "- {name: v2, served: true, storage: false}\n  - {name: v1beta1,", false},
		{
			"one more ConfigMap", "kind: ConfigMap\nmetadata: {name: settings}",
			"kind: ConfigMap\nmetadata: {name: more}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}", false,
		},
		{"a Secret goes", object(t, "name: login"), "\n", false},
		{"fewer rights on the node", "runAsNonRoot: true", "runAsNonRoot: true, runAsUser: 1000", false},
	}
	require.GreaterOrEqual(t, len(edits), 30)
	for _, edit := range edits {
		changes := edited(t, edit.old, edit.made)
		assert.Equal(t, edit.noise, len(changes) == 0, "%s: %v", edit.name, told(changes))
		for _, c := range changes {
			assert.Equal(t, rendered.Plain, c.Risk, "%s: %s: %v", edit.name, c.Title(), c.Reasons)
		}
		text, err := json.Marshal(changes)
		require.NoError(t, err)
		assert.NotContains(t, string(text), "4711", "a password")
	}
	t.Logf("%d harmless edits", len(edits))
}

// Two reports of the same change are the same text.
func TestUnit_TheOrderOfReasonsIsAlwaysTheSame(t *testing.T) {
	t.Parallel()
	const role = "rbac.authorization.k8s.io/aggregate-to-"
	made := "{" + role + `view: "true", ` + role + `edit: "true", ` + role + `admin: "true"}`
	for range 10 {
		changes := edited(t, "{example.com/part: operator}", made)
		require.Len(t, changes, 1)
		assert.Equal(t, []string{
			"its rights become a part of the role admin", "its rights become a part of the role edit",
			"its rights become a part of the role view",
		}, changes[0].Reasons)
	}
}
