package stacks_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/stacks"
)

func TestUnit_EveryFieldIsAnOutputWithAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	for outputs, declared := range map[reflect.Type][]stacks.Output{
		reflect.TypeFor[stacks.InfraOutputs]():     stacks.OutputsOf[stacks.InfraOutputs](),
		reflect.TypeFor[stacks.BootstrapOutputs](): stacks.OutputsOf[stacks.BootstrapOutputs](),
		reflect.TypeFor[stacks.AppsOutputs]():      stacks.OutputsOf[stacks.AppsOutputs](),
		reflect.TypeFor[stacks.PublishedOutputs](): stacks.OutputsOf[stacks.PublishedOutputs](),
	} {
		fields := slices.DeleteFunc(reflect.VisibleFields(outputs), func(f reflect.StructField) bool { return f.Anonymous })
		assert.Len(t, declared, len(fields), "%s has a field that is no output", outputs)
		keys := map[string]bool{"": true}
		for _, o := range declared {
			assert.False(t, keys[o.Key], "the key %q of %s.%s", o.Key, outputs, o.Field)
			keys[o.Key] = true
		}
		assert.Equal(t, "contractVersion", declared[0].Key, outputs)
	}
}

// What pulumi stack output --json prints is read back, whichever struct a field stands in.
func TestUnit_ValuesAreReadFromWhatPulumiPrints(t *testing.T) {
	t.Parallel()
	var values stacks.PublishedValues
	decoder := json.NewDecoder(strings.NewReader(`{"contractVersion": 1, "databaseHost": "h", "argocdUrl": "u", "applications": ["a"]}`))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&values))
	want := stacks.PublishedValues{ContractVersion: 1}
	want.DatabaseHost, want.ArgoCDURL, want.Applications = "h", "u", []string{"a"}
	assert.Equal(t, want, values)
}

func TestUnit_PublishedOutputsHaveNoSecret(t *testing.T) {
	t.Parallel()
	for _, o := range stacks.OutputsOf[stacks.PublishedOutputs]() {
		assert.False(t, o.Secret, o.Key)
	}
}

func TestUnit_ProjectsAreWhereTheyAreSaidToBe(t *testing.T) {
	t.Parallel()
	for _, p := range stacks.Projects() {
		project, err := projectfile.Project(filepath.Join("..", p.Directory))
		require.NoError(t, err)
		assert.Equal(t, p.Name, project.Name.String())
		_, err = os.Stat(filepath.Join("..", p.Directory, "main.go"))
		require.NoError(t, err)
	}
}

// read runs Read in gridos-bootstrap and returns what it yields.
func read(t *testing.T, run mocks.Run) (stacks.InfraOutputs, error) {
	t.Helper()
	run.Project, run.Root, run.Stack = stacks.Bootstrap, "..", "dev"
	var infra stacks.InfraOutputs
	_, err := run.Do(func(ctx *pulumi.Context) (err error) {
		infra, err = stacks.Read[stacks.InfraOutputs](ctx, stacks.Infra)
		return err
	})
	return infra, err
}

func TestUnit_ReadYieldsWhatWasExportedAndKeepsSecretsSecret(t *testing.T) {
	t.Parallel()
	outputs := mocks.InfraOutputs()
	outputs["kubeconfig"] = "not marked as secret by the other stack"
	infra, err := read(t, mocks.Run{Stacks: map[string]map[string]any{stacks.Infra.Name: outputs}})
	require.NoError(t, err)
	assert.True(t, pulumi.IsSecret(infra.Kubeconfig))
	assert.False(t, pulumi.IsSecret(infra.ClusterName))
	name := make(chan string, 1)
	infra.ClusterName.ApplyT(func(s string) string { name <- s; return s })
	assert.Equal(t, "the clusterName", <-name)
}

func TestUnit_MissingOutputsAreNamedAllAtOnceWithTheRemedy(t *testing.T) {
	t.Parallel()
	for _, preview := range []bool{false, true} {
		outputs := mocks.InfraOutputs()
		delete(outputs, "kubeconfig")
		delete(outputs, "clusterId")
		_, err := read(t, mocks.Run{Preview: preview, Stacks: map[string]map[string]any{stacks.Infra.Name: outputs}})
		for _, key := range []string{"kubeconfig", "clusterId"} {
			require.ErrorContains(t, err, "stack organization/gridos-infra/dev has no output \""+key+
				"\"; run `pulumi -C infra up -s dev` first", "preview: %v", preview)
		}
	}
}

func TestUnit_AStackThatWasNeverUpIsUnknownInAPreviewAndAnErrorInAnUpdate(t *testing.T) {
	t.Parallel()
	infra, err := read(t, mocks.Run{Preview: true})
	require.NoError(t, err)
	assert.NotNil(t, infra.ClusterName)

	_, err = read(t, mocks.Run{})
	require.ErrorContains(t, err, "run `pulumi -C infra up -s dev` first")
}

func TestUnit_AnotherContractVersionIsRefused(t *testing.T) {
	t.Parallel()
	outputs := mocks.InfraOutputs()
	outputs["contractVersion"] = float64(stacks.ContractVersion + 1)
	_, err := read(t, mocks.Run{Stacks: map[string]map[string]any{stacks.Infra.Name: outputs}})
	require.ErrorContains(t, err, "speaks version 2 of the contract, this program version 1")
}

func TestUnit_AnOutputOfAnotherTypeIsRefused(t *testing.T) {
	t.Parallel()
	run := mocks.Run{
		Project: stacks.Published, Root: "..", Stack: "dev",
		Stacks: map[string]map[string]any{stacks.Apps.Name: {
			"contractVersion": float64(stacks.ContractVersion), "applications": "not a list", "repositoryUrl": "u", "targetRevision": "r",
		}},
	}
	_, err := run.Do(func(ctx *pulumi.Context) error {
		apps, err := stacks.Read[stacks.AppsOutputs](ctx, stacks.Apps)
		if err != nil {
			return err
		}
		ctx.Export("applications", apps.Applications)
		return nil
	})
	require.ErrorContains(t, err, `output "applications" of stack organization/gridos-apps/dev is a string`)
}

func TestUnit_ExportRefusesAnOutputWithoutValueAndMakesSecretsSecret(t *testing.T) {
	t.Parallel()
	run := mocks.Run{Project: stacks.Bootstrap, Root: "..", Stack: "dev"}
	some := pulumi.String("x").ToStringOutput()
	recorded, err := run.Do(func(ctx *pulumi.Context) error {
		return stacks.Export(ctx, stacks.BootstrapOutputs{ArgoCDNamespace: some, ArgoCDAdminPassword: some})
	})
	require.ErrorContains(t, err, `output "argocdVersion" of gridos-bootstrap has no value`)
	require.ErrorContains(t, err, `output "projectName" of gridos-bootstrap has no value`)
	password, ok := recorded.Exports["argocdAdminPassword"].(pulumi.Output)
	require.True(t, ok)
	assert.True(t, pulumi.IsSecret(password))
}

// A preview reads the outputs that the other stack is going to export instead of its present ones;
// values that are not known yet are unknown, and neither another contract version there nor a
// missing output is an error. An update reads the present outputs.
func TestUnit_APreviewOfAllReadsWhatIsGoingToBeExported(t *testing.T) {
	file := filepath.Join(t.TempDir(), "exports.json")
	text := fmt.Sprintf(`{"gridos-infra": {"known": {"contractVersion": %d, "clusterName": "the next"}, "unknown": ["clusterId"]}}`,
		stacks.ContractVersion)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	t.Setenv(stacks.PlannedVariable, file)
	outputs := mocks.InfraOutputs()
	outputs["contractVersion"] = float64(stacks.ContractVersion - 1)
	delete(outputs, "clusterId")
	delete(outputs, "kubeconfig")
	there := map[string]map[string]any{stacks.Infra.Name: outputs}

	infra, err := read(t, mocks.Run{Preview: true, Stacks: there})
	require.NoError(t, err)
	name := make(chan string, 1)
	infra.ClusterName.ApplyT(func(s string) string { name <- s; return s })
	assert.Equal(t, "the next", <-name)
	for key, output := range map[string]pulumi.Output{"clusterId": infra.ClusterID, "kubeconfig": infra.Kubeconfig} {
		result, err := internals.UnsafeAwaitOutput(t.Context(), output)
		require.NoError(t, err)
		assert.False(t, result.Known, key)
	}

	_, err = read(t, mocks.Run{Stacks: there})
	require.ErrorContains(t, err, "speaks version 0 of the contract")
}
