package program_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/bootstrap/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/stacks"
)

const (
	release   = "kubernetes:helm.sh/v3:Release"
	namespace = "kubernetes:core/v1:Namespace"
	project   = "kubernetes:argoproj.io/v1alpha1:AppProject"
	store     = "kubernetes:external-secrets.io/v1:ClusterSecretStore"
	service   = "kubernetes:core/v1:Service"
	provider  = "pulumi:providers:kubernetes"
)

func of(stack string, overrides map[string]string) mocks.Run {
	return mocks.Run{
		Project: stacks.Bootstrap, Root: "../..", Stack: stack, Config: overrides,
		Stacks: map[string]map[string]any{stacks.Infra.Name: mocks.InfraOutputs()},
		Computed: map[string]map[string]any{
			"random:index/randomPassword:RandomPassword": {"result": "the password", "bcryptHash": "the hash"},
		},
	}
}

func run(stack string, overrides map[string]string) (*mocks.Recorded, error) {
	return of(stack, overrides).Do(program.Program)
}

func TestUnit_NoRefusedRegistrationIsSwallowed(t *testing.T) {
	t.Parallel()
	of("prod", nil).EachRefusalEnds(t, program.Program)
}

func TestUnit_EveryEnvironmentInstallsThePlatform(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			names := []string{}
			for _, n := range recorded.OfType(namespace) {
				names = append(names, mocks.PropertyAt(n.Inputs, "metadata", "name").StringValue())
			}
			assert.ElementsMatch(t, []string{"gridos", "argocd", "argo-rollouts", "external-secrets"}, names)
			for _, n := range recorded.OfType(namespace) {
				enforced := mocks.PropertyAt(n.Inputs, "metadata", "labels", "pod-security.kubernetes.io/enforce")
				assert.Equal(t, resource.NewProperty("restricted"), enforced, n.Name)
			}
			assert.Len(t, recorded.OfType(release), 3)
			assert.Len(t, recorded.OfType(project), 3)
			assert.Len(t, recorded.OfType(store), 1)
			assert.Len(t, recorded.OfType(service), 1)
			assert.Len(t, recorded.Exports, len(stacks.OutputsOf[stacks.BootstrapOutputs]()))
		})
	}
}

func TestUnit_EveryRegisteredInputIsInTheGoldenFile(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			recorded.MatchGolden(t, "testdata/"+environment+".yaml")
		})
	}
}

func TestUnit_WhatIsRegisteredKeepsToTheGuardrails(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			assert.Empty(t, recorded.Violations())
		})
	}
}

func TestUnit_ArgoCDIsHighlyAvailable(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{"argocdDomain": "argocd.example.org"})
	require.NoError(t, err)
	cd := recorded.OfType(release)[slices.IndexFunc(recorded.OfType(release), func(r mocks.Resource) bool {
		return mocks.PropertyAt(r.Inputs, "name").StringValue() == "argocd"
	})].Inputs
	assert.Equal(t, "argo-cd", mocks.PropertyAt(cd, "chart").StringValue())
	assert.Equal(t, versions.ArgoCD.Version, mocks.PropertyAt(cd, "version").StringValue())
	assert.Equal(t, versions.ArgoCD.Repository, mocks.PropertyAt(cd, "repositoryOpts", "repo").StringValue())
	assert.True(t, mocks.PropertyAt(cd, "atomic").BoolValue())

	value := func(path ...string) resource.PropertyValue {
		return mocks.PropertyAt(cd, append([]string{"values"}, path...)...)
	}
	assert.True(t, value("server", "autoscaling", "enabled").BoolValue())
	assert.InDelta(t, 2, value("server", "autoscaling", "minReplicas").NumberValue(), 0)
	assert.InDelta(t, 5, value("server", "autoscaling", "maxReplicas").NumberValue(), 0)
	assert.NotEmpty(t, value("server", "resources", "requests", "cpu").StringValue(), "autoscaling measures against it")
	assert.InDelta(t, 2, value("repoServer", "replicas").NumberValue(), 0)
	assert.InDelta(t, 1, value("controller", "replicas").NumberValue(), 0, "a second one takes nothing over")
	assert.InDelta(t, 2, value("applicationSet", "replicas").NumberValue(), 0)
	assert.True(t, value("redis-ha", "enabled").BoolValue())
	assert.InDelta(t, 3, value("redis-ha", "replicas").NumberValue(), 0)
	assert.Equal(t, "argocd.example.org", value("global", "domain").StringValue())
	assert.NotEmpty(t, value("configs", "secret", "argocdServerAdminPasswordMtime").StringValue(), "the chart's default is now")
	hash := value("configs", "secret", "argocdServerAdminPassword")
	assert.True(t, hash.IsSecret() || hash.IsOutput() || hash.IsString())
	assert.Contains(t, hash.String(), "the hash")
}

func TestUnit_TheClusterIsKnownByItsIssuerAndNotByItsKubeconfig(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", nil)
	require.NoError(t, err)
	cluster := recorded.OfType(provider)[0].Inputs
	assert.Equal(t, "the oidcIssuerUrl", mocks.PropertyAt(cluster, "clusterIdentifier").StringValue())
	assert.True(t, cluster["kubeconfig"].IsSecret())
}

// A chart may also render an argument that a release gets outside the keys of its chart: then the
// argument is there twice.
func TestUnit_ReleasesAreConfiguredByTheKeysOfTheirCharts(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	var walk func(path string, value resource.PropertyValue)
	walk = func(path string, value resource.PropertyValue) {
		if !value.IsObject() {
			return
		}
		for key, inner := range value.ObjectValue() {
			assert.NotContains(t, []resource.PropertyKey{"extraArgs", "extraEnv"}, key, path)
			walk(path+"."+string(key), inner)
		}
	}
	for _, r := range recorded.OfType(release) {
		values := mocks.PropertyAt(r.Inputs, "values")
		require.True(t, values.IsObject(), r.Name)
		walk(r.Name, values)
	}
}

// The keys that docs/configuration.md has for them.
func TestUnit_EachChartIsChosenByItsKeys(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{
		"argocdChart": "argo-cd-mirrored", "argocdChartVersion": "10.1.2",
		"argoRolloutsChart": "argo-rollouts-mirrored", "argoRolloutsChartVersion": "2.41.1",
		"externalSecretsChart": "external-secrets-mirrored", "externalSecretsChartVersion": "2.9.1",
	})
	require.NoError(t, err)
	for name, version := range map[string]string{"argocd": "10.1.2", "argo-rollouts": "2.41.1", "external-secrets": "2.9.1"} {
		inputs := named(t, recorded, release, name).Inputs
		assert.Equal(t, version, mocks.PropertyAt(inputs, "version").StringValue(), name)
		assert.Contains(t, mocks.PropertyAt(inputs, "chart").StringValue(), "-mirrored", name)
	}
}

func TestUnit_ProvidersAskForThePluginsOfTheSDKs(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", nil)
	require.NoError(t, err)
	registered := map[string]string{}
	for _, r := range recorded.Resources {
		if name, ok := strings.CutPrefix(r.Type, "pulumi:providers:"); ok {
			registered[name] = r.Version()
		}
	}
	assert.Equal(t, map[string]string{"kubernetes": versions.Kubernetes, "random": versions.Random}, registered)
}

// While a project is being recreated Argo CD deploys nothing for it, and External Secrets delivers
// nothing from such a store.
func TestUnit_WhatConfinesTheApplicationKeepsItsName(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	var names []string
	for _, token := range []string{project, store} {
		for _, r := range recorded.OfType(token) {
			names = append(names, r.Name)
		}
	}
	assert.ElementsMatch(t, []string{
		"argocd-project-default", "argocd-project-gridos", "argocd-project-platform", "external-secrets-store",
	}, names)
}

func TestUnit_TheProjectConfinesTheApplication(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	projects := recorded.OfType(project)
	p := projects[slices.IndexFunc(projects, func(r mocks.Resource) bool {
		return mocks.PropertyAt(r.Inputs, "metadata", "name").StringValue() == naming.ProjectGridOS
	})]
	spec := mocks.PropertyAt(p.Inputs, "spec")
	assert.Equal(t, "gridos", spec.ObjectValue()["destinations"].ArrayValue()[0].ObjectValue()["namespace"].StringValue())
	assert.Empty(t, spec.ObjectValue()["clusterResourceWhitelist"].ArrayValue())
	for _, repository := range spec.ObjectValue()["sourceRepos"].ArrayValue() {
		assert.NotContains(t, repository.StringValue(), "*")
	}
	assert.True(t, slices.ContainsFunc(p.DependsOn, func(urn string) bool { return strings.Contains(urn, release) }),
		"the release brings the CRD")
	assert.Equal(t, []any{"resources-finalizer.argocd.argoproj.io"}, mocks.PropertyAt(p.Inputs, "metadata", "finalizers").Mappable(),
		"Argo CD stays as long as there are Applications")
	assert.Equal(t, []string{"argocd-project"}, p.Aliases, "its first name: a stack from then keeps the project")
}

// argocd-server owns the list of roles once it has issued a token for one.
func TestUnit_ATokenOfAProjectKeepsNoUpdateFromChangingIt(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	projects := recorded.OfType(project)
	require.NotEmpty(t, projects)
	for _, p := range projects {
		assert.Equal(t, resource.NewProperty("true"), mocks.PropertyAt(p.Inputs, "metadata", "annotations", "pulumi.com/patchForce"), p.Name)
	}
}

func TestUnit_TheKeyVaultIsReadAsInfrasIdentity(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	operator := recorded.OfType(release)[slices.IndexFunc(recorded.OfType(release), func(r mocks.Resource) bool {
		return mocks.PropertyAt(r.Inputs, "name").StringValue() == "external-secrets"
	})].Inputs
	assert.Equal(t, versions.ExternalSecrets.Repository, mocks.PropertyAt(operator, "repositoryOpts", "repo").StringValue())
	account := mocks.PropertyAt(operator, "values", "serviceAccount")
	assert.Equal(t, "external-secrets", mocks.PropertyAt(account.ObjectValue(), "name").StringValue())
	assert.Equal(t, "the secretsClientId", mocks.PropertyAt(account.ObjectValue(), "annotations", "azure.workload.identity/client-id").StringValue())
	assert.Equal(t, "external-secrets", mocks.PropertyAt(operator, "namespace").StringValue())

	s := recorded.OfType(store)[0]
	vault := mocks.PropertyAt(s.Inputs, "spec", "provider", "azurekv")
	assert.Equal(t, map[string]any{
		"authType": "WorkloadIdentity", "vaultUrl": "the keyVaultUri", "tenantId": "the tenantId",
		"serviceAccountRef": map[string]any{"name": "external-secrets", "namespace": "external-secrets"},
	}, vault.Mappable())
	assert.True(t, slices.ContainsFunc(s.DependsOn, func(urn string) bool { return strings.Contains(urn, release) }),
		"the release brings the CRD")
	assert.Equal(t, "the ingressIp", mocks.PropertyAt(recorded.OfType(service)[0].Inputs, "metadata", "annotations",
		"service.beta.kubernetes.io/azure-load-balancer-ipv4").StringValue())
}

// What a recipient is reached with is in the key vault; the program knows its name alone.
// The two charts of Argo come from one repository, and so from one mirror of it.
func TestUnit_AMirrorHasTheChartsOfArgo(t *testing.T) {
	t.Parallel()
	const mirror = "https://charts.gridos.internal"
	recorded, err := run("dev", map[string]string{"chartRepository": mirror})
	require.NoError(t, err)
	from := map[string]string{}
	for _, r := range recorded.OfType(release) {
		from[mocks.PropertyAt(r.Inputs, "chart").StringValue()] = mocks.PropertyAt(r.Inputs, "repositoryOpts", "repo").StringValue()
	}
	assert.Equal(t, map[string]string{
		versions.ArgoCD.Name: mirror, versions.ArgoRollouts.Name: mirror, versions.ExternalSecrets.Name: versions.ExternalSecrets.Repository,
	}, from)
}

func TestUnit_NotificationsReadTheKeyVault(t *testing.T) {
	t.Parallel()
	const externalSecret = "kubernetes:external-secrets.io/v1:ExternalSecret"
	recorded, err := run("dev", nil)
	require.NoError(t, err)
	assert.Empty(t, recorded.OfType(externalSecret))

	recorded, err = run("dev", map[string]string{
		"notificationsRecipients": `["github", "webhook"]`, "notificationsGitHubAppId": "1", "notificationsGitHubInstallationId": "2",
		"notificationsWebhookUrl": "https://hooks.gridos.internal",
	})
	require.NoError(t, err)
	brought := map[string][]string{}
	for _, r := range recorded.OfType(externalSecret) {
		place := mocks.PropertyAt(r.Inputs, "metadata", "namespace").StringValue() + "/" + mocks.PropertyAt(r.Inputs, "metadata", "name").StringValue()
		assert.Equal(t, strings.SplitN(place, "/", 2)[1], mocks.PropertyAt(r.Inputs, "spec", "target", "name").StringValue())
		assert.Equal(t, "Owner", mocks.PropertyAt(r.Inputs, "spec", "target", "creationPolicy").StringValue(), "the Secret goes with it")
		assert.Equal(t, "ClusterSecretStore", mocks.PropertyAt(r.Inputs, "spec", "secretStoreRef", "kind").StringValue(),
			"the ExternalSecrets are in two namespaces")
		assert.Equal(t, naming.SecretStore, mocks.PropertyAt(r.Inputs, "spec", "secretStoreRef", "name").StringValue())
		for _, entry := range mocks.PropertyAt(r.Inputs, "spec", "data").ArrayValue() {
			brought[place] = append(brought[place], mocks.PropertyAt(entry.ObjectValue(), "secretKey").StringValue()+" from "+
				mocks.PropertyAt(entry.ObjectValue(), "remoteRef", "key").StringValue())
		}
		assert.True(t, slices.ContainsFunc(r.DependsOn, func(urn string) bool {
			return strings.Contains(urn, release+"::external-secrets")
		}), "it goes before the operator, which alone removes its finalizer: %v", r.DependsOn)
	}
	assert.Equal(t, map[string][]string{
		"argocd/argocd-notifications-secret": {
			"github-private-key from notifications-github-private-key", "webhook-token from notifications-webhook-token",
		},
		"argo-rollouts/argo-rollouts-notification-secret": {"webhook-token from notifications-webhook-token"},
	}, brought)

	_, err = run("prod", map[string]string{"secretStoreNamespaces": `["gridos", "argocd"]`})
	require.ErrorContains(t, err, "gridos-bootstrap:secretStoreNamespaces: does not list argo-rollouts")
	_, err = run("dev", map[string]string{"secretStoreNamespaces": `["gridos"]`})
	require.NoError(t, err, "no one is told in dev")
}

// An ExternalSecret has a finalizer that only the operator removes: if the operator were deleted
// first, the namespace could never be deleted.
func TestUnit_TheNamespaceOfWorkloadsGoesBeforeTheOperator(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	namespaces := recorded.OfType("kubernetes:core/v1:Namespace")
	workloads := namespaces[slices.IndexFunc(namespaces, func(r mocks.Resource) bool { return r.Name == "gridos-namespace" })]
	assert.True(t, slices.ContainsFunc(workloads.DependsOn, func(urn string) bool {
		return strings.Contains(urn, release+"::external-secrets")
	}), "%v", workloads.DependsOn)
}

func TestUnit_WhatHoldsWorkloadsIsProtectedOutsideDev(t *testing.T) {
	t.Parallel()
	for environment, want := range map[string]bool{"dev": false, "test": true, "prod": true} {
		recorded, err := run(environment, nil)
		require.NoError(t, err)
		for _, r := range recorded.OfType(namespace) {
			if mocks.PropertyAt(r.Inputs, "metadata", "name").StringValue() == "gridos" {
				assert.Equal(t, want, r.Protect, environment)
			}
		}
		for _, r := range recorded.OfType("random:index/randomPassword:RandomPassword") {
			assert.False(t, r.Protect, "%s: %s is rotated by replacing it", environment, r.Name)
		}
	}
}

func TestUnit_WhatArgoCDIsSignedInToWithIsSecret(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", nil)
	require.NoError(t, err)
	for _, key := range []string{"argocdAdminPassword", "argocdWebhookSecret"} {
		output, ok := recorded.Exports[key].(pulumi.Output)
		require.True(t, ok, key)
		assert.True(t, pulumi.IsSecret(output), key)
	}
}

func TestUnit_ASecretInClearTextIsRefused(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"repositoryCredentialsUrl": "https://github.com/gridos/", "repositoryToken": "hush",
		"repositoryDeployKey": "hush", "repositoryGithubAppPrivateKey": "hush",
		"argocdSsoClientSecret": "hush",
	}
	_, err := run("dev", values)
	for _, key := range []string{
		"repositoryToken", "repositoryDeployKey", "repositoryGithubAppPrivateKey", "argocdSsoClientSecret",
	} {
		require.ErrorContains(t, err, "gridos-bootstrap:"+key+": is in clear text in Pulumi.dev.yaml; encrypt it with "+
			"`pulumi config set --secret "+key+"`")
	}
	assert.NotContains(t, err.Error(), "hush")

	given := map[string]string{"repositoryCredentialsUrl": "https://github.com/gridos/", "repositoryToken": "hush"}
	_, err = mocks.Run{
		Project: stacks.Bootstrap, Root: "../..", Stack: "dev", Config: given, Secrets: []string{"repositoryToken"},
		Stacks: map[string]map[string]any{stacks.Infra.Name: mocks.InfraOutputs()},
	}.Do(program.Program)
	require.NoError(t, err)
}

func TestUnit_WithoutInfraThereIsOneClearSentence(t *testing.T) {
	t.Parallel()
	_, err := mocks.Run{Project: stacks.Bootstrap, Root: "../..", Stack: "dev"}.Do(program.Program)
	require.ErrorContains(t, err, "stack organization/gridos-infra/dev has no output \"kubeconfig\"; run `pulumi -C infra up -s dev` first")
}

func TestUnit_MistakesAreReportedTogether(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{
		"argocdDomain": "no host", "argocdRedisReplicas": "4", "argocdServerMinReplicas": "9", "argocdChartVersion": "",
		"argoRolloutsReplicas": "0", "sourceRepositories": `["*"]`, "releaseTimeoutSeconds": "soon", "chartRepo": "x",
	})
	keys := []string{
		"argocdDomain", "argocdRedisReplicas", "argocdServerMaxReplicas", "argocdChartVersion", "argoRolloutsReplicas",
		"sourceRepositories", "releaseTimeoutSeconds", "chartRepo",
	}
	for _, key := range keys {
		require.ErrorContains(t, err, "gridos-bootstrap:"+key+": ")
	}
	var mistakes *config.Error
	require.ErrorAs(t, err, &mistakes)
	assert.Len(t, mistakes.Mistakes, len(keys), "one message per mistake")
	assert.Empty(t, recorded.Resources)
}

func TestUnit_NumbersHaveTheBoundsThatAreDocumented(t *testing.T) {
	t.Parallel()
	mocks.CheckBounds(t, "../..", stacks.Bootstrap, func(r *config.Reader) error {
		_, err := program.Load(r, "dev")
		return err
	})
}
