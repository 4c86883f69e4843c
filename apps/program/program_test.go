package program_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/apps/program"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/naming"
	"github.com/gridos/sharedinfra/stacks"
)

func run(stack string, overrides map[string]string) (*mocks.Recorded, error) {
	return mocks.Run{
		Project: stacks.Apps, Root: "../..", Stack: stack, Config: overrides,
		Stacks: map[string]map[string]any{
			stacks.Infra.Name:     mocks.InfraOutputs(),
			stacks.Bootstrap.Name: mocks.BootstrapOutputs(),
		},
	}.Do(program.Program)
}

func TestUnit_EveryEnvironmentHasItsApplicationAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, map[string]string{
				"repositoryUrl": "https://git.example.com/gridos.git", "targetRevision": "some-branch",
			})
			require.NoError(t, err)
			for _, r := range recorded.Resources {
				assert.Contains(t, []string{"pulumi:providers:kubernetes", "kubernetes:argoproj.io/v1alpha1:Application"}, r.Type)
			}
			apps := recorded.OfType("kubernetes:argoproj.io/v1alpha1:Application")
			require.Len(t, apps, 1)
			object, err := json.Marshal(apps[0].Inputs.Mappable())
			require.NoError(t, err)
			finalizers := `["resources-finalizer.argocd.argoproj.io"]`
			if environment == "prod" {
				finalizers = `null`
			}
			want := `{
			  "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
			  "metadata": {"name": "gridos-` + environment + `", "namespace": "the argocdNamespace",
			    "labels": {"app.kubernetes.io/part-of": "gridos", "environment": "` + environment + `"}` + finalizersField(finalizers) + `},
			  "spec": {
			    "project": "the projectName",
			    "source": {"repoURL": "https://git.example.com/gridos.git", "targetRevision": "some-branch",
			      "path": "applications/gridos/overlays/` + environment + `"},
			    "destination": {"server": "https://kubernetes.default.svc", "namespace": "the workloadNamespace"},
			    "syncPolicy": {"automated": {"prune": true, "selfHeal": true},
			      "syncOptions": ["RespectIgnoreDifferences=true", "ApplyOutOfSyncOnly=true"],
			      "retry": {"limit": 5, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}}},
			    "ignoreDifferences": [{"group": "argoproj.io", "kind": "Rollout", "jsonPointers": ["/spec/replicas"]}]
			  }}`
			assert.JSONEq(t, want, string(object))
		})
	}
}

func finalizersField(list string) string {
	if list == "null" {
		return ""
	}
	return `, "finalizers": ` + list
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

func TestUnit_ThePlatformMustBeThere(t *testing.T) {
	t.Parallel()
	_, err := mocks.Run{
		Project: stacks.Apps, Root: "../..", Stack: "dev",
		Stacks: map[string]map[string]any{stacks.Infra.Name: mocks.InfraOutputs()},
	}.Do(program.Program)
	require.ErrorContains(t, err, "run `pulumi -C bootstrap up -s dev` first")
}
