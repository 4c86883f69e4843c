package program_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/apps/program"
	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/stacks"
)

func of(stack string, overrides map[string]string) mocks.Run {
	return mocks.Run{
		Project: stacks.Apps, Root: "../..", Stack: stack, Config: overrides,
		Stacks: map[string]map[string]any{
			stacks.Infra.Name:     mocks.InfraOutputs(),
			stacks.Bootstrap.Name: mocks.BootstrapOutputs(),
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

func TestUnit_EveryEnvironmentHasItsApplicationsAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, map[string]string{"repositoryUrl": "https://git.example.com/gridos.git"})
			require.NoError(t, err)
			for _, r := range recorded.Resources {
				assert.Contains(t, []string{"pulumi:providers:kubernetes", applicationType}, r.Type)
			}
			assert.Empty(t, recorded.Violations())
			assert.Len(t, recorded.Exports, len(stacks.OutputsOf[stacks.AppsOutputs]()))
		})
	}
}

func TestUnit_EveryRegisteredInputIsInTheGoldenFile(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, map[string]string{"repositoryUrl": "https://git.example.com/gridos.git"})
			require.NoError(t, err)
			recorded.MatchGolden(t, "testdata/"+environment+".yaml")
		})
	}
}

const applicationType = "kubernetes:argoproj.io/v1alpha1:Application"

// Git decides what runs. Where no data is lost by it, deleting an Application deletes its workloads
// too.
func TestUnit_ArgoCDKeepsTheClusterAsGitSays(t *testing.T) {
	t.Parallel()
	type facts struct{ project, namespace, source, options string }
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			got := map[string]facts{}
			for _, app := range recorded.OfType(applicationType) {
				object := app.Inputs.Mappable()
				spec, _ := object["spec"].(map[string]any)
				policy, _ := spec["syncPolicy"].(map[string]any)
				assert.Equal(t, map[string]any{"prune": true, "selfHeal": true}, policy["automated"], app.Name)
				cascades := any([]any{"resources-finalizer.argocd.argoproj.io"})
				if environment == "prod" {
					cascades = nil
				}
				assert.Equal(t, cascades, object["metadata"].(map[string]any)["finalizers"], "%s: in prod, what it deployed stays", app.Name)
				assert.Equal(t, "10m0s", app.DeleteTimeout(), "%s: what it deployed is deleted first", app.Name)
				destination, _ := spec["destination"].(map[string]any)
				assert.Equal(t, "https://kubernetes.default.svc", destination["server"], app.Name)
				source, _ := spec["source"].(map[string]any)
				got[app.Name] = facts{
					project: fmt.Sprint(spec["project"]), namespace: fmt.Sprint(destination["namespace"]),
					source: fmt.Sprint(source["repoURL"]), options: fmt.Sprint(policy["syncOptions"]),
				}
			}
			assert.Equal(t, map[string]facts{
				"gridos-" + environment: {
					fmt.Sprint(mocks.BootstrapOutputs()["projectName"]), fmt.Sprint(mocks.BootstrapOutputs()["workloadNamespace"]),
					"https://github.com/gridos/sharedinfra.git", "[ApplyOutOfSyncOnly=true]",
				},
				"prometheus": {
					"platform", "monitoring", versions.Prometheus.Repository, "[ApplyOutOfSyncOnly=true CreateNamespace=true]",
				},
			}, got)
		})
	}
}

func TestUnit_TheProviderAsksForThePluginOfTheSDK(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", nil)
	require.NoError(t, err)
	providers := recorded.OfType("pulumi:providers:kubernetes")
	require.Len(t, providers, 1)
	assert.Equal(t, versions.Kubernetes, providers[0].Version())
}

func TestUnit_ALaterWaveDependsOnWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{"applications": `[
		{"name": "ahead", "path": "p", "syncWave": -5, "health": {"wait": true, "timeout": "90s"}},
		{"name": "beside", "path": "p", "syncWave": -5},
		{"name": "last", "path": "p", "syncWave": 5}]`})
	require.NoError(t, err)
	dependencies := map[string]int{}
	for _, app := range recorded.OfType(applicationType) {
		dependencies[app.Name] = len(app.DependsOn)
		if app.Name == "ahead" {
			annotations := app.Inputs["metadata"].ObjectValue()["annotations"].ObjectValue().Mappable()
			assert.Equal(t, map[string]any{
				"argocd.argoproj.io/sync-wave": "-5", "pulumi.com/waitFor": "jsonpath={.status.health.status}=Healthy",
			}, annotations)
		}
	}
	before := dependencies["prometheus"] // what every Application depends on: nothing, or the provider
	assert.Equal(t, map[string]int{
		"prometheus": before, "ahead": before, "beside": before, "gridos-dev": before + 1, "last": before + 1,
	}, dependencies)
}

func TestUnit_MistakesInTheCatalogueAreMistakesInTheConfiguration(t *testing.T) {
	t.Parallel()
	_, err := run("dev", map[string]string{"applications": `[{"name": "x", "path": "../y", "project": "z"}, {"name": "w"}]`})
	require.ErrorContains(t, err, `gridos-apps:applications: "x": path "../y" leaves the repository`)
	require.ErrorContains(t, err, `gridos-apps:applications: "x": project "z" is not known`)
	require.ErrorContains(t, err, `gridos-apps:applications: "w": has neither path nor chart`)

	_, err = run("dev", map[string]string{"applications": `[{"name": "x", "pathh": "y"}]`})
	require.ErrorContains(t, err, `gridos-apps:applications: `)
	require.ErrorContains(t, err, `unknown field "pathh"`)
}

func TestUnit_MistakesAreReportedTogether(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{
		"repositoryUrl": "gridos/sharedinfra", "targetRevision": "two words", "cascadeDelete": "maybe", "pathh": "x",
	})
	for _, key := range []string{"repositoryUrl", "targetRevision", "cascadeDelete", "pathh"} {
		require.ErrorContains(t, err, "gridos-apps:"+key+": ")
	}
	assert.Empty(t, recorded.Resources)
}

func TestUnit_ARemovalWaitsBetweenASecondAndADay(t *testing.T) {
	t.Parallel()
	for timeout, fits := range map[string]bool{"1s": true, "999ms": false, "24h": true, "24h0m0.000000001s": false} {
		_, err := run("dev", map[string]string{"deleteTimeout": timeout})
		assert.Equal(t, fits, err == nil, "%s: %v", timeout, err)
	}
}

func TestUnit_ThePlatformMustBeThere(t *testing.T) {
	t.Parallel()
	_, err := mocks.Run{
		Project: stacks.Apps, Root: "../..", Stack: "dev",
		Stacks: map[string]map[string]any{stacks.Infra.Name: mocks.InfraOutputs()},
	}.Do(program.Program)
	require.ErrorContains(t, err, "run `pulumi -C bootstrap up -s dev` first")
}

func TestUnit_TheDefaultsOfBootstrapPermitWhatEveryEnvironmentSyncs(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		recorded, err := mocks.Run{
			Project: stacks.Bootstrap, Root: "../..", Stack: environment,
			Stacks: map[string]map[string]any{stacks.Infra.Name: mocks.InfraOutputs()},
		}.Do(bootstrap.Program)
		require.NoError(t, err)
		permitted := map[string]any{}
		for _, project := range recorded.OfType("kubernetes:argoproj.io/v1alpha1:AppProject") {
			object := project.Inputs.Mappable()
			name, _ := object["metadata"].(map[string]any)["name"].(string)
			permitted[name] = object["spec"].(map[string]any)["sourceRepos"]
		}
		recorded, err = run(environment, nil)
		require.NoError(t, err)
		for _, app := range recorded.OfType(applicationType) {
			spec, _ := app.Inputs.Mappable()["spec"].(map[string]any)
			project, _ := spec["project"].(string)
			if project == mocks.BootstrapOutputs()["projectName"] {
				project = naming.ProjectGridOS
			}
			assert.Contains(t, permitted[project], spec["source"].(map[string]any)["repoURL"], "%s in %s", app.Name, environment)
		}
	}
}

// Prometheus signs in with the token of its pod, and says which environment its metrics are of.
// What a configuration says itself stays.
func TestUnit_PrometheusWritesToTheWorkspaceThatInfraFoundAWayTo(t *testing.T) {
	t.Parallel()
	const url = "https://e.metrics.example/write"
	values := func(overrides map[string]string, outputs map[string]any) map[string]any {
		r := of("test", overrides)
		maps.Copy(r.Stacks[stacks.Infra.Name], outputs)
		recorded, err := r.Do(program.Program)
		require.NoError(t, err)
		for _, app := range recorded.OfType(applicationType) {
			if app.Name == "prometheus" {
				found, _ := mocks.At(app.Inputs.Mappable(), "spec", "source", "helm", "valuesObject").(map[string]any)
				require.NotEmpty(t, found)
				return found
			}
		}
		require.Fail(t, "there is no Prometheus")
		return nil
	}
	sending := map[string]any{"metricsWriteUrl": url, "metricsClientId": "client", "tenantId": "tenant"}
	alone := values(nil, nil)
	assert.NotContains(t, alone["server"], "remoteWrite")
	assert.NotContains(t, alone["server"], "podLabels")

	got := values(nil, sending)
	assert.Equal(t, map[string]any{"azure.workload.identity/use": "true"}, mocks.At(got, "server", "podLabels"))
	assert.Equal(t, []any{map[string]any{
		"url":                   url,
		"write_relabel_configs": []any{map[string]any{"target_label": "environment", "replacement": "test"}},
		"azuread": map[string]any{
			"cloud": "AzurePublic", "workload_identity": map[string]any{"client_id": "client", "tenant_id": "tenant"},
		},
	}}, mocks.At(got, "server", "remoteWrite"))
	delete(got["server"].(map[string]any), "remoteWrite")
	delete(got["server"].(map[string]any), "podLabels")
	assert.Equal(t, alone, got, "all else is as it was")

	own := values(map[string]string{
		"applications": `[{"name": "prometheus", "chart": {"values": {"server": {"remoteWrite": []}}}}]`,
	}, sending)
	assert.Equal(t, []any{}, mocks.At(own, "server", "remoteWrite"))
	recorded, err := of("test", map[string]string{"applications": `[{"name": "prometheus", "enabled": false}]`}).Do(program.Program)
	require.NoError(t, err)
	for _, app := range recorded.OfType(applicationType) {
		assert.NotEqual(t, "prometheus", app.Name)
	}
}
