package program_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
)

// named returns the resource of a type whose metadata, or whose release, has the name.
func named(t *testing.T, recorded *mocks.Recorded, token, name string) mocks.Resource {
	t.Helper()
	all := recorded.OfType(token)
	i := slices.IndexFunc(all, func(r mocks.Resource) bool {
		if token == release {
			return mocks.PropertyAt(r.Inputs, "name").StringValue() == name
		}
		return mocks.PropertyAt(r.Inputs, "metadata", "name").StringValue() == name
	})
	require.GreaterOrEqual(t, i, 0, "%s %s", token, name)
	return all[i]
}

// Each line is a value of a chart, its keys one after the other, and the reason for it.
func TestUnit_ChartsOpenNothingAndKeepWhatIsStored(t *testing.T) {
	t.Parallel()
	lines := []struct {
		release, path string
		want          any
		why           string
	}{
		{"argocd", "crds install", true, "an update of the chart brings its kinds"},
		{"argocd", "crds keep", true, "without its kind, every Application goes"},
		{"argocd", "global networkPolicy create", true, "other pods do not reach the components"},
		{"argocd", "global networkPolicy defaultDenyIngress", false, "the pods of Redis have policies of their own"},
		{"argocd", "redis-ha networkPolicy enabled", true, "Sentinel asks for no password"},
		{"argocd", "redis-ha haproxy networkPolicy enabled", true, "only Argo CD reads its cache"},
		{"argocd", "configs cm exec.enabled", false, "a shell in pods is a right to everything in them"},
		{"argocd", "configs cm users.anonymous.enabled", false, "people sign in"},
		{"argocd", "configs cm application.resourceTrackingMethod", "annotation", "charts set the label too"},
		{"argocd", "configs cm webhook.maxPayloadSizeMB", "10", "anybody may post to the webhook"},
		{"argocd", "configs params server.insecure", true, "TLS ends at the gateway in front"},
		{"argocd", "configs params applicationsetcontroller.policy", "create-update", "no generator deletes what runs"},
		{"argocd", "configs rbac policy.default", "", "without a group there is no right"},
		{"argocd", "configs rbac scopes", "[groups, email]", "the claims that policies name"},
		{"argocd", "configs secret argocdServerAdminPasswordMtime", "2024-01-01T00:00:00Z", "pinned: sessions stay valid"},
		{"argocd", "dex enabled", false, "Argo CD speaks with Entra itself"},
		{"external-secrets", "installCRDs", true, "an update of the chart brings its kinds"},
		{"external-secrets", "crds annotations helm.sh/resource-policy", "keep", "without its kind, every secret goes"},
		{"external-secrets", "processClusterExternalSecret", false, "a secret is asked for in its own namespace"},
		{"external-secrets", "processClusterPushSecret", false, "nothing writes to the vault"},
		{"external-secrets", "processPushSecret", false, "nothing writes to the vault"},
		{"external-secrets", "serviceAccount create", true, "infra's identity trusts this account alone"},
		{"external-secrets", "serviceAccount name", "external-secrets", "infra's identity trusts this account alone"},
		{"external-secrets", "podLabels azure.workload.identity/use", "true", "without it the pod has no token"},
		{"argo-rollouts", "installCRDs", true, "an update of the chart brings its kinds"},
		{"argo-rollouts", "keepCRDs", true, "without its kind, every Rollout goes"},
		{"argo-rollouts", "dashboard enabled", false, "it asks nobody to sign in"},
		{"argo-rollouts", "providerRBAC enabled", true, "a canary moves the weights of the mesh"},
		{"argo-rollouts", "providerRBAC providers istio", true, "a canary moves the weights of the mesh"},
	}
	for _, router := range []string{
		"smi", "ambassador", "awsLoadBalancerController", "awsAppMesh", "traefik", "apisix", "contour", "glooPlatform", "gatewayAPI",
	} {
		lines = append(lines, struct {
			release, path string
			want          any
			why           string
		}{"argo-rollouts", "providerRBAC providers " + router, false, "no right to what is not there"})
	}
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			for _, line := range lines {
				in := named(t, recorded, release, line.release).Inputs
				got := mocks.PropertyAt(in, append([]string{"values"}, strings.Fields(line.path)...)...)
				assert.Equal(t, line.want, got.Mappable(), "%s %s: %s", line.release, line.path, line.why)
			}
			for _, name := range []string{"argocd", "external-secrets", "argo-rollouts"} {
				in := named(t, recorded, release, name).Inputs
				assert.Equal(t, name, mocks.PropertyAt(in, "namespace").StringValue())
				assert.False(t, mocks.PropertyAt(in, "createNamespace").BoolValue(), "the namespace has the labels of pod security")
				assert.True(t, mocks.PropertyAt(in, "atomic").BoolValue(), "what fails is rolled back")
				assert.False(t, mocks.PropertyAt(in, "skipAwait").BoolValue(), "what comes next needs it")
			}
			for _, n := range recorded.OfType(namespace) {
				for _, mode := range []string{"enforce", "audit", "warn"} {
					assert.Equal(t, "restricted", mocks.PropertyAt(n.Inputs, "metadata", "labels", "pod-security.kubernetes.io/"+mode).StringValue(), n.Name)
				}
			}
			for _, password := range recorded.OfType("random:index/randomPassword:RandomPassword") {
				assert.GreaterOrEqual(t, mocks.PropertyAt(password.Inputs, "length").NumberValue(), 32.0, password.Name)
				assert.False(t, mocks.PropertyAt(password.Inputs, "special").BoolValue(), "%s is copied by hand", password.Name)
			}
		})
	}
}

// The rights in Argo CD are those that people agreed on, word for word.
func TestUnit_RolesOfArgoCDMayDoTheirTasks(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	csv := mocks.PropertyAt(named(t, recorded, release, "argocd").Inputs, "values", "configs", "rbac", "policy.csv").StringValue()
	assert.Equal(t, []string{
		"g, role:platform-admin, role:admin",
		"p, role:ci, applications, get, gridos/*, allow",
		"p, role:ci, applications, sync, gridos/*, allow",
		"p, role:developer, applications, action/argoproj.io/Rollout/abort, gridos/*, allow",
		"p, role:developer, applications, action/argoproj.io/Rollout/resume, gridos/*, allow",
		"p, role:developer, applications, action/argoproj.io/Rollout/retry, gridos/*, allow",
		"p, role:developer, applications, get, gridos/*, allow",
		"p, role:developer, applications, get, platform/*, allow",
		"p, role:developer, applications, sync, gridos/*, allow",
		"p, role:developer, clusters, get, https://kubernetes.default.svc, allow",
		"p, role:developer, logs, get, gridos/*, allow",
		"p, role:developer, projects, get, gridos, allow",
		"p, role:developer, projects, get, platform, allow",
	}, slices.Sorted(slices.Values(strings.Split(strings.TrimSpace(csv), "\n"))))

	for name, want := range map[string]map[string][]string{
		"gridos": {
			"ci": {"p, proj:gridos:ci, applications, get, gridos/*, allow", "p, proj:gridos:ci, applications, sync, gridos/*, allow"},
			"developer": {
				"p, proj:gridos:developer, applications, get, gridos/*, allow", "p, proj:gridos:developer, applications, sync, gridos/*, allow",
				"p, proj:gridos:developer, logs, get, gridos/*, allow",
				"p, proj:gridos:developer, applications, action/argoproj.io/Rollout/abort, gridos/*, allow",
				"p, proj:gridos:developer, applications, action/argoproj.io/Rollout/resume, gridos/*, allow",
				"p, proj:gridos:developer, applications, action/argoproj.io/Rollout/retry, gridos/*, allow",
			},
		},
		"platform": {"developer": {
			"p, proj:platform:developer, applications, get, platform/*, allow", "p, proj:platform:developer, logs, get, platform/*, allow",
		}},
		"default": {},
	} {
		spec := mocks.PropertyAt(named(t, recorded, project, name).Inputs, "spec").ObjectValue()
		got := map[string][]string{}
		if roles := spec["roles"]; roles.IsArray() {
			for _, role := range roles.ArrayValue() {
				for _, policy := range mocks.PropertyAt(role.ObjectValue(), "policies").ArrayValue() {
					of := mocks.PropertyAt(role.ObjectValue(), "name").StringValue()
					got[of] = append(got[of], policy.StringValue())
				}
			}
		}
		assert.Equal(t, want, got, name)
	}
}

// Manifests in Git may create these kinds, in these namespaces, from these repositories, and no
// others.
func TestUnit_ProjectsPermitTheseKindsAndNoOthers(t *testing.T) {
	t.Parallel()
	type permitted struct{ repositories, namespaces, clusterKinds, kinds []string }
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			for name, want := range map[string]permitted{
				"gridos": {
					repositories: []string{"https://github.com/gridos/sharedinfra.git"},
					namespaces:   []string{"gridos"},
					kinds: []string{
						"/ConfigMap", "/PersistentVolumeClaim", "/Pod", "/Service", "/ServiceAccount",
						"apps/ControllerRevision", "apps/Deployment", "apps/ReplicaSet", "apps/StatefulSet",
						"argoproj.io/AnalysisRun", "argoproj.io/AnalysisTemplate", "argoproj.io/Experiment", "argoproj.io/Rollout",
						"autoscaling/HorizontalPodAutoscaler", "batch/CronJob", "batch/Job", "external-secrets.io/ExternalSecret",
						"networking.istio.io/DestinationRule", "networking.istio.io/Gateway", "networking.istio.io/ServiceEntry",
						"networking.istio.io/VirtualService", "networking.k8s.io/NetworkPolicy", "policy/PodDisruptionBudget",
						"security.istio.io/AuthorizationPolicy", "security.istio.io/PeerAuthentication",
						"security.istio.io/RequestAuthentication",
					},
				},
				"platform": {
					repositories: []string{"https://github.com/gridos/sharedinfra.git", "https://prometheus-community.github.io/helm-charts"},
					namespaces:   []string{"monitoring"},
					clusterKinds: []string{"/Namespace", "rbac.authorization.k8s.io/ClusterRole", "rbac.authorization.k8s.io/ClusterRoleBinding"},
				},
				"default": {},
			} {
				registered := named(t, recorded, project, name)
				p := registered.Inputs
				spec := mocks.PropertyAt(p, "spec").ObjectValue()
				var got permitted
				for _, repository := range spec["sourceRepos"].ArrayValue() {
					got.repositories = append(got.repositories, repository.StringValue())
				}
				for _, destination := range spec["destinations"].ArrayValue() {
					assert.Equal(t, "https://kubernetes.default.svc", mocks.PropertyAt(destination.ObjectValue(), "server").StringValue(), name)
					got.namespaces = append(got.namespaces, mocks.PropertyAt(destination.ObjectValue(), "namespace").StringValue())
				}
				for key, into := range map[string]*[]string{
					"clusterResourceWhitelist": &got.clusterKinds, "namespaceResourceWhitelist": &got.kinds,
				} {
					if !spec[resource.PropertyKey(key)].IsArray() {
						continue
					}
					for _, kind := range spec[resource.PropertyKey(key)].ArrayValue() {
						*into = append(*into, mocks.PropertyAt(kind.ObjectValue(), "group").StringValue()+"/"+mocks.PropertyAt(kind.ObjectValue(), "kind").StringValue())
					}
					slices.Sort(*into)
				}
				assert.Equal(t, want, got, name)
				assert.Equal(t, "argocd", mocks.PropertyAt(p, "metadata", "namespace").StringValue(), name)
				if name == "default" {
					continue
				}
				assert.Equal(t, []any{"resources-finalizer.argocd.argoproj.io"}, mocks.PropertyAt(p, "metadata", "finalizers").Mappable(), name)
				assert.Equal(t, "4m", registered.DeleteTimeout(), "%s goes when its Applications are gone", name)
				assert.Equal(t, map[string]any{"warn": true, "ignore": []any{map[string]any{"kind": "ConfigMap", "name": "istio-ca-root-cert"}}},
					spec["orphanedResources"].Mappable(), "%s: what nothing in Git has made is shown, but for what the mesh makes", name)
			}
			s := named(t, recorded, store, "azure-key-vault").Inputs
			assert.Equal(t, []any{map[string]any{"namespaces": []any{"argocd", "argo-rollouts", "gridos"}}},
				mocks.PropertyAt(s, "spec", "conditions").Mappable(), "who reads the vault")
		})
	}
}
