package manifests

import (
	"encoding/json"
	"flag"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/apitest"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

const (
	root  = "../../../.."
	tools = root + "/tools"
	app   = root + "/applications/gridos"
)

// tag matches the tag of the image, which the pipeline sets at each release.
var tag = regexp.MustCompile(`:(dev|test|prod)-[0-9a-f]{7}\b`)

var update = flag.Bool("update", false, "write the expected renderings anew")

func tool(t *testing.T, name string) string {
	t.Helper()
	paths, err := (&toolchain.Resolver{ToolsDir: tools}).Resolve(t.Context(), name)
	require.NoError(t, err)
	return paths[name]
}

func overlayDir(application, environment string) string {
	return filepath.Join(application, "overlays", environment)
}

// The golden files show what Argo CD will apply, so that a review sees it: the base in full, and
// the differences of each overlay.
func TestCluster_OverlaysDifferWhereTheyShould(t *testing.T) {
	kustomize := tool(t, toolchain.Kustomize)
	base, err := run(t.Context(), kustomize, "build", filepath.Join(app, "base"))
	require.NoError(t, err)
	expect(t, "base.yaml", string(base))
	for _, environment := range naming.Environments() {
		rendered, err := run(t.Context(), kustomize, "build", overlayDir(app, environment))
		require.NoError(t, err)
		difference, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
			A: difflib.SplitLines(string(base)), B: difflib.SplitLines(tag.ReplaceAllString(string(rendered), ":$1-<commit>")),
			FromFile: "base", ToFile: environment, Context: 2,
		})
		require.NoError(t, err)
		expect(t, environment+".diff", difference)
	}
}

func expect(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), text, "if it is meant: go test ./lab/internal/delivery/manifests -run TestCluster_ -update")
}

// kustomization has the fields of the file that the tests read.
type kustomization struct {
	Resources []string
	Images    []struct{ Name, NewName, NewTag string }
	Patches   []struct {
		Target map[string]string
		Path   string
		Patch  string
	}
}

func readKustomization(t *testing.T, environment string) kustomization {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(overlayDir(app, environment), "kustomization.yaml"))
	require.NoError(t, err)
	var k kustomization
	require.NoError(t, yaml.Unmarshal(text, &k))
	return k
}

// A promoted environment is a copy of the environment before it, as that folder is now or was in
// some commit. The next promotion would overwrite a change made in the copy by hand.
func TestUnit_PromotedManifestsAreThoseOfTheEnvironmentBefore(t *testing.T) {
	t.Parallel()
	git := func(args ...string) []string {
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = root
		output, err := command.Output()
		require.NoError(t, err, "git %v", args)
		return strings.Fields(string(output))
	}
	if git("rev-parse", "--is-shallow-repository")[0] == "true" {
		t.Skip("this clone has no history to look into; git fetch --unshallow brings it")
	}
	folder := func(environment string) string {
		for _, resource := range readKustomization(t, environment).Resources {
			if folder := path.Join("applications/gridos/overlays", environment, resource); strings.HasPrefix(resource, "../..") {
				return folder
			}
		}
		t.Fatalf("the overlay of %s changes no manifests", environment)
		return ""
	}
	environments := naming.Environments()
	for i, environment := range environments[1:] {
		before := folder(environments[i])
		var there []string
		for _, commit := range git("log", "--full-history", "--format=%H", "--", before) {
			if tree := git("ls-tree", "--format=%(objectname)", commit, "--", before); len(tree) == 1 {
				there = append(there, tree[0])
			}
		}
		for _, has := range git("ls-tree", "--format=%(objectname)", "HEAD", "--", folder(environment)) {
			assert.Contains(t, there, has, "%s was changed by hand; change %s, and let go run ./pipeline promote bring that to %s",
				folder(environment), before, environment)
		}
	}
}

// A change that two overlays share belongs into the base. The operation test changes nothing.
func TestUnit_NoTwoOverlaysMakeTheSameChange(t *testing.T) {
	t.Parallel()
	saidBy := map[string]string{}
	for _, environment := range naming.Environments() {
		for _, patch := range readKustomization(t, environment).Patches {
			text := patch.Patch
			if patch.Path != "" {
				file, err := os.ReadFile(filepath.Join(overlayDir(app, environment), patch.Path))
				require.NoError(t, err)
				text = string(file)
			}
			var operations []map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(text), &operations))
			require.NotEmpty(t, operations)
			for _, operation := range operations {
				if operation["op"] == "test" {
					continue
				}
				key, err := json.Marshal([]any{patch.Target, operation})
				require.NoError(t, err)
				other, double := saidBy[string(key)]
				assert.False(t, double && other != environment, "%s and %s both say %s", other, environment, key)
				saidBy[string(key)] = environment
			}
		}
	}
}

// The documents define the replicas and the log levels, and infra defines the names.
func TestCluster_OverlaysAreTheDocuments(t *testing.T) {
	kustomize := tool(t, toolchain.Kustomize)
	for environment, want := range map[string]struct {
		least int32
		level string
	}{"dev": {2, "debug"}, "test": {3, "info"}, "prod": {5, "warn"}} {
		objects, err := Build(t.Context(), kustomize, overlayDir(app, environment))
		require.NoError(t, err)
		require.NoError(t, Check(objects))
		r := &report{}
		o := sorted(objects, r)
		require.NoError(t, r.err())
		require.Len(t, o.rollouts, 1)
		require.Len(t, o.scalers, 1)
		names, err := naming.For(environment, "")
		require.NoError(t, err)

		owner := o.rollouts[0].is.Spec
		assert.Equal(t, want.least, *o.scalers[0].is.Spec.MinReplicas, environment)
		assert.Nil(t, owner.Replicas, environment)
		require.Len(t, owner.Template.Spec.Containers, 1)
		env := map[string]string{}
		for _, variable := range owner.Template.Spec.Containers[0].Env {
			assert.Nil(t, variable.ValueFrom, "a change of the configuration is a new revision, and the one before keeps its own")
			env[variable.Name] = variable.Value
		}
		assert.Equal(t, want.level, env["LOG_LEVEL"], environment)
		for _, network := range strings.Split(env["READ_NETWORKS"], ",") {
			prefix, err := netip.ParsePrefix(network)
			require.NoError(t, err)
			assert.Equal(t, environment != "dev", prefix.Addr().IsPrivate(), "%s: who reads from %s", environment, network)
		}
		for _, network := range strings.Split(env["PROXY_NETWORKS"], ",") {
			prefix, err := netip.ParsePrefix(network)
			require.NoError(t, err)
			assert.True(t, prefix.Addr().IsPrivate(), "%s: whose X-Forwarded-For is believed", environment)
		}
		assert.Equal(t, names.PostgresServer+".postgres.database.azure.com", env["DATABASE_HOST"])
		assertOwnersPassword(t, o, names.PostgresServer+".postgres.database.azure.com")
		assert.Regexp(t, `^`+names.Registry+`\.azurecr\.io/gridos:(dev|test|prod)-[0-9a-f]{7}$`, owner.Template.Spec.Containers[0].Image)
		pods := owner.Template.Spec
		assert.True(t, *pods.SecurityContext.RunAsNonRoot)
		assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pods.SecurityContext.SeccompProfile.Type)
		assert.True(t, *pods.Containers[0].SecurityContext.ReadOnlyRootFilesystem)
		assert.Equal(t, []corev1.Capability{"ALL"}, pods.Containers[0].SecurityContext.Capabilities.Drop)
		for _, spread := range pods.TopologySpreadConstraints {
			// One pool spans the zones, and its autoscaler cannot choose the zone of the next node:
			// a pod that requires a zone may wait for ever.
			demanded := environment == "prod" && spread.TopologyKey == corev1.LabelHostname
			assert.Equal(t, demanded, spread.WhenUnsatisfiable == corev1.DoNotSchedule, "%s: %s", environment, spread.TopologyKey)
		}

		steps, _, err := unstructured.NestedSlice(o.rollouts[0].UnstructuredContent(), "spec", "strategy", "canary", "steps")
		require.NoError(t, err)
		assert.Equal(t, []string{
			"10%", "1m", "analysis", "25%", "2m", "analysis", "50%", "3m", "analysis", "100%",
		}, stepNames(t, steps), "the documents' canary")
	}
}

// assertOwnersPassword: the containers that prepare the database sign in as its owner, and no other
// container can. All containers of an environment use one server, in one version.
func assertOwnersPassword(t *testing.T, o overlay, host string) {
	t.Helper()
	images := map[string]bool{}
	for _, pods := range o.podTemplates() {
		owners := map[string]bool{} // volumes with the owner's password
		for _, volume := range pods.is.Spec.Volumes {
			if volume.Secret != nil && volume.Secret.SecretName == "gridos-secrets" {
				require.Len(t, volume.Secret.Items, 1, "%s %s: all of the Secret would be mounted", pods.name(), volume.Name)
				owners[volume.Name] = volume.Secret.Items[0].Key == "database-password"
			}
		}
		for _, container := range slices.Concat(pods.is.Spec.InitContainers, pods.is.Spec.Containers) {
			images[container.Image] = true
			env := map[string]string{}
			for _, variable := range container.Env {
				env[variable.Name] = variable.Value
			}
			migrates := slices.Equal(container.Args, []string{"migrate"})
			mounts := slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return owners[m.Name] })
			assert.Equal(t, migrates, mounts, "%s %s: the owner's password", pods.name(), container.Name)
			if len(env) == 0 {
				continue // the smoke test, which asks the gateway
			}
			assert.Equal(t, host, env["DATABASE_HOST"], "%s %s", pods.name(), container.Name)
			// These are infra's postgresAdminLogin, and the role that migrate makes.
			want := map[bool]string{true: "gridosadmin", false: "gridos"}[migrates]
			assert.Equal(t, want, env["DATABASE_USER"], "%s %s", pods.name(), container.Name)
			assert.Equal(t, map[bool]string{false: "migrate"}[migrates], env["DATABASE_PREPARED_BY"], "%s %s", pods.name(), container.Name)
			assert.Equal(t, map[bool]string{true: "gridos"}[migrates], env["DATABASE_SERVICE_USER"], "%s %s", pods.name(), container.Name)
		}
	}
	assert.Len(t, images, 1, "the version that prepares the database is the one that serves: %v", images)
}

// The test makes the changes to an overlay that docs/application.md describes for Entra ID, and
// checks their effect.
func TestCluster_AnOverlaySignsInByEntra(t *testing.T) {
	manual, err := os.ReadFile(root + "/docs/application.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```yaml\\n(   components:.*?)   ```").FindSubmatch(manual)
	require.NotNil(t, block, "docs/application.md has no overlay with the component")
	const clientID = "11111111-2222-3333-4444-555555555555"
	var added struct{ Components, Patches []any }
	require.NoError(t, yaml.Unmarshal([]byte(strings.ReplaceAll(string(block[1]), "<workloadClientId>", clientID)), &added))
	kustomize := tool(t, toolchain.Kustomize)
	for _, environment := range naming.Environments() {
		dir := overlayDir(copied(t), environment)
		file := filepath.Join(dir, "kustomization.yaml")
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var overlay map[string]any
		require.NoError(t, yaml.Unmarshal(text, &overlay))
		patches, ok := overlay["patches"].([]any)
		require.True(t, ok, "the overlay of %s has no patches", environment)
		overlay["components"], overlay["patches"] = added.Components, append(patches, added.Patches...)
		text, err = yaml.Marshal(overlay)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, text, 0o600))
		objects, err := Build(t.Context(), kustomize, dir)
		require.NoError(t, err, environment)
		require.NoError(t, Check(objects), environment)
		r := &report{}
		o := sorted(objects, r)
		require.NoError(t, r.err())

		assert.Equal(t, clientID, o.serviceAccounts[0].GetAnnotations()["azure.workload.identity/client-id"])
		assert.Equal(t, "true", o.rollouts[0].is.Spec.Template.Labels["azure.workload.identity/use"])
		for _, pods := range o.podTemplates() {
			for _, container := range slices.Concat(pods.is.Spec.InitContainers, pods.is.Spec.Containers) {
				env := map[string]string{}
				for _, variable := range container.Env {
					env[variable.Name] = variable.Value
				}
				switch container.Name {
				case "gridos":
					assert.Equal(t, []string{"gridos_entra", "entra"}, []string{env["DATABASE_USER"], env["DATABASE_AUTH"]})
				case "migrate":
					assert.Equal(t, []string{"gridosadmin", "gridos_entra"}, []string{env["DATABASE_USER"], env["DATABASE_SERVICE_USER"]})
					assert.NotContains(t, env, "DATABASE_SERVICE_PASSWORD_FILE", "the role has no password")
				}
			}
		}
		policy, found := byName(o.networkPolicies, "gridos-entra")
		require.True(t, found)
		assert.True(t, selects(&policy.is.Spec.PodSelector, o.rollouts[0].is.Spec.Template.Labels))
	}
}

func stepNames(t *testing.T, steps []any) []string {
	t.Helper()
	var names []string
	for _, step := range steps {
		text, err := json.Marshal(step)
		require.NoError(t, err)
		var s struct {
			SetWeight *int
			Pause     *struct{ Duration string }
			Analysis  *struct{ Templates []any }
		}
		require.NoError(t, json.Unmarshal(text, &s))
		switch {
		case s.SetWeight != nil:
			names = append(names, jsonText(t, *s.SetWeight)+"%")
		case s.Pause != nil:
			names = append(names, s.Pause.Duration)
		case s.Analysis != nil:
			assert.Len(t, s.Analysis.Templates, 4, "what the gateway saw, failed and refused requests by route, latency")
			names = append(names, "analysis")
		}
	}
	return names
}

func jsonText(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

// The pipeline's command, as the documents write it, changes only the image, however often it runs.
func TestCluster_AnImageIsSetAsTheDocumentsWriteIt(t *testing.T) {
	kustomize := tool(t, toolchain.Kustomize)
	const image = "devgridosacr.azurecr.io/gridos:dev-abc1234"
	for _, environment := range naming.Environments() {
		application := copied(t)
		dir := overlayDir(application, environment)
		before, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
		require.NoError(t, err)
		for range 2 {
			command := exec.CommandContext(t.Context(), kustomize, "edit", "set", "image", "gridosacr.azurecr.io/gridos="+image)
			command.Dir = dir
			out, err := command.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		after, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
		require.NoError(t, err)
		old, set := strings.Split(string(before), "\n"), strings.Split(string(after), "\n")
		require.Len(t, set, len(old))
		for i := range old {
			if old[i] != set[i] {
				assert.Regexp(t, `^  new(Name|Tag): `, set[i])
			}
		}
		objects, err := Build(t.Context(), kustomize, dir)
		require.NoError(t, err)
		o := sorted(objects, &report{})
		assert.Equal(t, image, o.rollouts[0].is.Spec.Template.Spec.Containers[0].Image)
	}
}

// copied returns a copy of the application that a test may change.
func copied(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "gridos")
	require.NoError(t, os.CopyFS(dir, os.DirFS(app)))
	return dir
}

// spoiled returns a copy of the application with a text of a file replaced.
func spoiled(t *testing.T, file, old, changed string) string {
	t.Helper()
	dir := copied(t)
	path := filepath.Join(dir, filepath.FromSlash(file))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), old, "the mistake cannot be made in %s", file)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, changed, 1)), 0o600))
	return dir
}

func TestCluster_AMistakeIsReportedWithItsFileAndField(t *testing.T) {
	kustomize := tool(t, toolchain.Kustomize)
	for name, mistake := range map[string]struct{ file, old, changed, want string }{
		"unknown field": {
			"base/service.yaml", "targetPort: http", "targetport: http", "base/service.yaml: Service gridos-stable: spec.ports[0].targetport is unknown",
		},
		"unknown field of a pod": {
			"base/deployment.yaml", "readOnlyRootFilesystem", "readOnlyRootFileSystem",
			"base/deployment.yaml: Rollout gridos: spec.template.spec.initContainers[0].securityContext.readOnlyRootFileSystem is unknown",
		},
		"missing label": {
			"base/deployment.yaml", "        app.kubernetes.io/part-of: gridos\n", "",
			"base/deployment.yaml: Rollout gridos: spec.template.metadata.labels lack app.kubernetes.io/part-of",
		},
		"pods that the selector misses": {
			"base/rollout.yaml", "app.kubernetes.io/name: gridos", "app.kubernetes.io/name: grid",
			"base/deployment.yaml: Rollout gridos: spec.template.metadata.labels do not match",
		},
		"Service without pods": {
			"base/service.yaml", "app.kubernetes.io/name: gridos", "app.kubernetes.io/name: grid",
			"base/service.yaml: Service gridos-stable: spec.selector selects no pods",
		},
		"port that nobody listens on": {
			"base/deployment.yaml", "- name: http\n          containerPort", "- name: web\n          containerPort",
			"base/service.yaml: Service gridos-canary: spec.ports[http].targetPort is http, on which no container listens",
		},
		"Service of the canary": {
			"base/rollout.yaml", "canaryService: gridos-canary", "canaryService: canary",
			`base/rollout.yaml: Rollout gridos: spec.strategy.canary.canaryService is the Service "canary"; there is gridos-canary, gridos-stable`,
		},
		"VirtualService": {
			"base/rollout.yaml", "virtualService:\n            name: gridos", "virtualService:\n            name: routes",
			`base/rollout.yaml: Rollout gridos: spec.strategy.canary.trafficRouting.istio.virtualService.name is the VirtualService "routes"`,
		},
		"route": {
			"base/ingress.yaml", "- name: primary", "- name: main",
			`spec.strategy.canary.trafficRouting.istio.virtualService.routes name "primary", which the VirtualService gridos, in base/ingress.yaml`,
		},
		"destination": {
			"base/ingress.yaml", "host: gridos-canary", "host: gridos-canaries",
			`base/ingress.yaml: VirtualService gridos: spec.http[ask-canary].route.destination.host is the Service "gridos-canaries"`,
		},
		"weights": {
			"base/ingress.yaml", "weight: 0", "weight: 10", "base/ingress.yaml: VirtualService gridos: spec.http[primary].route.weight add up to 110",
		},
		"gateway": {
			"base/ingress.yaml", "aks-istio-ingressgateway-internal", "ingressgateway",
			`base/ingress.yaml: Gateway gridos: spec.selector.istio is "ingressgateway"`,
		},
		"analysis template": {
			"base/rollout.yaml", "templateName: latency", "templateName: speed",
			`base/rollout.yaml: Rollout gridos: spec.strategy.canary.analysis.templates name the AnalysisTemplate "speed"; there is latency, refusals, requests, routes`,
		},
		"argument of an analysis": {
			"base/rollout.yaml", "name: canary\n", "name: hash\n",
			"base/rollout.yaml: Rollout gridos: spec.strategy.canary.steps[2].analysis.args lack canary",
		},
		"window that is not the pause": {
			"base/rollout.yaml", "          - name: window\n            value: 2m", "          - name: window\n            value: 1m",
			"base/rollout.yaml: Rollout gridos: spec.strategy.canary.steps[5].analysis.args[window] must be 2m",
		},
		"argument in a query": {
			"base/analysis-templates.yaml", `{{args.canary}}",code`, `{{args.new}}",code`,
			"base/analysis-templates.yaml: AnalysisTemplate routes: spec.metrics use args.new",
		},
		"configuration in a ConfigMap": {
			"base/deployment.yaml", "- name: DATABASE_NAME\n          value: gridos\n",
			"- name: DATABASE_NAME\n          valueFrom:\n            configMapKeyRef:\n              name: gridos-config\n              key: name\n",
			`base/deployment.yaml: Rollout gridos: spec.template.spec.initContainers[migrate].env[DATABASE_NAME].valueFrom.configMapKeyRef is the ConfigMap "gridos-config"`,
		},
		"Secret that nobody makes": {
			"base/external-secret.yaml", "  target:\n    name: gridos-secrets", "  target:\n    name: secrets",
			`base/deployment.yaml: Rollout gridos: spec.template.spec.volumes[secrets].secret.secretName is the Secret "gridos-secrets"`,
		},
		"key that the Secret does not have": {
			"base/deployment.yaml", "- key: ingest-token", "- key: token",
			`base/deployment.yaml: Rollout gridos: spec.template.spec.volumes[secrets].secret.items[0].key is the key "token"`,
		},
		"Secret of a CronJob that nobody makes": {
			"base/migrate.yaml", "secretName: gridos-database", "secretName: database",
			`base/migrate.yaml: CronJob gridos-migrate: spec.jobTemplate.spec.template.spec.volumes[database].secret.secretName is the Secret "database"`,
		},
		"CronJob whose pods get requests": {
			"base/migrate.yaml", "app.kubernetes.io/name: gridos-migrate", "app.kubernetes.io/name: gridos",
			"base/service.yaml: Service gridos-stable: spec.selector also selects the pods of the CronJob gridos-migrate",
		},
		"CronJob that may not leave its pod": {
			"base/migrate.yaml", "app.kubernetes.io/name: gridos-migrate", "app.kubernetes.io/name: migrate",
			"base/network-policy.yaml: NetworkPolicy gridos-migrate: spec.podSelector selects no pods of the Rollout or of a CronJob",
		},
		"unknown field of a CronJob": {
			"base/migrate.yaml", "concurrencyPolicy", "concurrency", "base/migrate.yaml: CronJob gridos-migrate: spec.concurrency is unknown",
		},
		"secret of the key vault": {
			"base/external-secret.yaml", "key: gridos-db-password", "key: db-password",
			`base/external-secret.yaml: ExternalSecret gridos-secrets: spec.data[database-password].remoteRef.key is "db-password"; infra writes gridos-db-password, gridos-db-service-password, gridos-ingest-token`,
		},
		"service account": {
			"base/service-account.yaml", "name: gridos", "name: other",
			`base/deployment.yaml: Rollout gridos: spec.template.spec.serviceAccountName is "gridos"; there is other`,
		},
		"who is scaled": {
			"base/autoscaling.yaml", "kind: Rollout", "kind: Deployment",
			"base/autoscaling.yaml: HorizontalPodAutoscaler gridos: spec.scaleTargetRef is argoproj.io/v1alpha1 Deployment",
		},
		"replicas": {
			"base/rollout.yaml", "  revisionHistoryLimit: 5", "  replicas: 3\n  revisionHistoryLimit: 5",
			"base/rollout.yaml: Rollout gridos: spec.replicas is 3, and each release would scale to it",
		},
		"budget that keeps nodes": {
			"base/disruption-budget.yaml", "maxUnavailable: 1", "maxUnavailable: 0",
			"base/disruption-budget.yaml: PodDisruptionBudget gridos: spec.maxUnavailable must allow",
		},
		"image that moves": {
			"overlays/dev/kustomization.yaml", "newTag: ", "newTag: latest # ",
			`base/deployment.yaml: Rollout gridos: spec.template.spec.containers[gridos].image "devgridosacr.azurecr.io/gridos:latest" has the tag latest`,
		},
		"secret in clear text": {
			"base/deployment.yaml", "- name: DATABASE_AUTH\n          value: password", "- name: DATABASE_PASSWORD\n          value: hunter2",
			"base/deployment.yaml: Rollout gridos: spec.template.spec.containers[gridos].env[DATABASE_PASSWORD] looks like a secret",
		},
		"kind that the AppProject refuses": {
			"base/service-account.yaml", "kind: ServiceAccount", "kind: Secret",
			"base/service-account.yaml: Secret gridos: kind is not allowed by the AppProject gridos",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, err := Build(t.Context(), kustomize, overlayDir(spoiled(t, mistake.file, mistake.old, mistake.changed), "dev"))
			require.NoError(t, err)
			require.ErrorContains(t, Check(objects), mistake.want)
		})
	}
	t.Run("patch of another variable", func(t *testing.T) {
		t.Parallel()
		_, err := Build(t.Context(), kustomize, overlayDir(spoiled(t, "base/deployment.yaml", "- name: LOG_LEVEL\n", "- name: LEVEL\n"), "dev"))
		require.ErrorContains(t, err, "/spec/template/spec/containers/0/env/0/name", "Kustomize's own words")
	})
	t.Run("patch without an effect", func(t *testing.T) {
		t.Parallel()
		_, err := Build(t.Context(), kustomize, overlayDir(spoiled(t, "overlays/prod/strict.yaml", "topologySpread", "topologicalSpread"), "prod"))
		require.ErrorContains(t, err, "topologicalSpreadConstraints", "Kustomize's own words")
	})
}

// The official definitions judge every object, strictly, and the documented way to apply an overlay
// works.
func TestCluster_TheAPIServerAcceptsEveryOverlayStrictly(t *testing.T) {
	kustomize := tool(t, toolchain.Kustomize)
	clients := apitest.Start(t, tools, definitions(t)...)
	_, err := clients.Core.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: naming.NamespaceGridOS, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}, // as bootstrap does
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	for _, environment := range naming.Environments() {
		objects, err := Build(t.Context(), kustomize, overlayDir(app, environment))
		require.NoError(t, err)
		require.NoError(t, DryRun(t.Context(), clients, objects), environment)
		// The API server judges the pods of a Rollout, their security included, only when they are
		// created.
		r := &report{}
		o := sorted(objects, r)
		require.NoError(t, r.err())
		for _, account := range o.serviceAccounts {
			_, err := clients.Core.CoreV1().ServiceAccounts(naming.NamespaceGridOS).Create(t.Context(), account.is.DeepCopy(), metav1.CreateOptions{})
			if !apierrors.IsAlreadyExists(err) {
				require.NoError(t, err)
			}
		}
		for _, pods := range o.podTemplates() {
			template := pods.is
			template.Name = "pod"
			_, err = clients.Core.CoreV1().Pods(naming.NamespaceGridOS).Create(t.Context(),
				&corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			require.NoError(t, err, "%s: %s", environment, pods.name())
			template.Spec.SecurityContext.RunAsNonRoot = nil
			_, err = clients.Core.CoreV1().Pods(naming.NamespaceGridOS).Create(t.Context(),
				&corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			require.ErrorContains(t, err, "violates PodSecurity", "the namespace enforces it")
		}
	}
	t.Run("kubectl", func(t *testing.T) {
		command := exec.CommandContext(t.Context(), tool(t, toolchain.Kubectl), "apply", "--server-side", "--dry-run=server",
			"--validate=strict", "-k", overlayDir(app, "prod"))
		command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig(t, clients.Config))
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), "rollout.argoproj.io/gridos serverside-applied (server dry run)")
	})
	for name, mistake := range map[string]struct{ file, old, changed, want string }{
		"unknown field of a Rollout": {
			"base/rollout.yaml", "abortScaleDownDelaySeconds", "abortScaleDownDelay",
			"base/rollout.yaml: Rollout gridos: spec.strategy.canary.abortScaleDownDelay is unknown",
		},
		"unknown field of a VirtualService": {
			"base/ingress.yaml", "perTryTimeout", "tryTimeout", "base/ingress.yaml: VirtualService gridos: spec.http[3].retries.tryTimeout is unknown",
		},
		"unknown field of an AnalysisTemplate": {
			"base/analysis-templates.yaml", "successCondition", "successcondition",
			"base/analysis-templates.yaml: AnalysisTemplate success-rate: spec.metrics[0].successcondition is unknown",
		},
		"unknown field of an ExternalSecret": {
			"base/external-secret.yaml", "refreshInterval", "refresh",
			"base/external-secret.yaml: ExternalSecret gridos-secrets: spec.refresh is unknown",
		},
		"wrong type": {
			"base/rollout.yaml", "revisionHistoryLimit: 5", "revisionHistoryLimit: five",
			"base/rollout.yaml: Rollout gridos: spec.revisionHistoryLimit is refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := Build(t.Context(), kustomize, overlayDir(spoiled(t, mistake.file, mistake.old, mistake.changed), "dev"))
			require.NoError(t, err)
			require.ErrorContains(t, DryRun(t.Context(), clients, objects), mistake.want)
		})
	}
}

// definitions returns the official definitions of every kind that is no part of Kubernetes.
func definitions(t *testing.T) []string {
	t.Helper()
	resolver := &toolchain.Resolver{ToolsDir: tools}
	dir := func(folder, module string, elements ...string) string {
		found, err := resolver.ModuleDir(t.Context(), folder, module)
		require.NoError(t, err)
		return filepath.Join(append([]string{found}, elements...)...)
	}
	return []string{
		dir(toolchain.ArgoModule, "github.com/argoproj/argo-rollouts", "manifests", "crds"),
		dir("external-secrets", "github.com/external-secrets/external-secrets", "config", "crds", "bases"),
		dir("istio", "istio.io/api", "kubernetes"),
	}
}

func kubeconfig(t *testing.T, config *rest.Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"lab": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"admin": {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{"lab": {Cluster: "lab", AuthInfo: "admin"}},
		CurrentContext: "lab",
	}, path))
	return path
}

// TestUnit_NothingNamesARevisionOfTheMesh: an upgrade of the mesh requires no new label and no
// restart, and the edge's Service selects the ingress pods of both the old and the new revision.
// The mesh's own configuration has a ConfigMap for each revision that internal/versions lists, and
// only tests and golden files spell their names.
func TestUnit_NothingNamesARevisionOfTheMesh(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"applications", "apps", "bootstrap"} {
		read := 0
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && entry.Name() == "testdata" {
				return fs.SkipDir
			}
			if strings.HasSuffix(path, "_test.go") || !slices.Contains([]string{".go", ".yaml", ".json"}, filepath.Ext(path)) {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			read++
			for _, label := range []string{"istio.io/rev", "istio-injection", "asm-1-"} {
				assert.NotContains(t, string(text), label, path)
			}
			return nil
		})
		require.NoError(t, err)
		require.Positive(t, read, dir)
	}
}
