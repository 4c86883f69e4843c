package changes_test

import (
	"bytes"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/stacks/contract"
)

func TestUnit_ASafeguardIsStrengthenedWhenItReachesFurther(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		old, made any
		want      bool
	}{
		{nil, true, true},
		{nil, "Enabled", true},
		{nil, false, false},
		{nil, "Disabled", false},
		{nil, "", false},
		{nil, changes.Unknown, false},
		{false, true, true},
		{true, true, false},
		{true, false, false},
		{false, "true", false},
		{7.0, 14.0, true},
		{0.0, 1.0, true},
		{7.0, 7.0, false},
		{7.0, 0.0, false},
		{7.0, -1.0, true}, // which is without a limit
		{0.0, -1.0, true},
		{-1.0, -1.0, false},
		{-1.0, 7.0, false},
		{-1.0, 0.0, false},
		{7.0, "14", false},
		{"", "TLSv1_2", true},
		{"None", "ZoneRedundant", true},
		{"Disabled", changes.Unknown, false},
		{"Enabled", "Required", false},
		{[]any{}, []any{"a"}, false},
	} {
		assert.Equal(t, test.want, changes.Strengthens(test.old, test.made), "%v → %v", test.old, test.made)
	}
}

func TestUnit_AChangeOfTheOutputsIsSummedUp(t *testing.T) {
	t.Parallel()
	ready := contract.Break{Output: "a"}
	refused := contract.Break{Output: "b", Refused: "keep it"}
	for want, test := range map[string]struct {
		change      contract.Change
		all, broken int
	}{
		"1 output more, no reader breaks":                                            {contract.Change{Added: []string{"a"}}, 0, 0},
		"1 breaking change, for which all readers are ready: 1 consumer concerned":   {contract.Change{Breaks: []contract.Break{ready}}, 1, 0},
		"2 breaking changes, for which all readers are ready: 0 consumers concerned": {contract.Change{Breaks: []contract.Break{ready, ready}}, 0, 0},
		"1 change refused, no registered consumer concerned":                         {contract.Change{Breaks: []contract.Break{refused}}, 0, 0},
		"1 change refused, 1 consumer would break":                                   {contract.Change{Breaks: []contract.Break{refused, ready}}, 2, 1},
		"2 changes refused, 3 consumers would break":                                 {contract.Change{Breaks: []contract.Break{refused, refused}}, 3, 3},
	} {
		assert.Equal(t, want, changes.ContractVerdict(test.change, test.all, test.broken))
	}
}

func TestUnit_TheOnlyConsumerOfAnOutputIsNamed(t *testing.T) {
	t.Parallel()
	written := func(c contract.Change) string {
		r := changes.Report{Environment: "dev", Projects: []changes.Project{{Name: "gridos"}}, Contract: &c}
		var text bytes.Buffer
		require.NoError(t, changes.WriteMarkdown(&text, []changes.Report{r}))
		return text.String()
	}
	one := written(contract.Change{Breaks: []contract.Break{{
		Project: "gridos", Output: "a", What: "is gone", Consumers: []string{"reports"}, Refused: "keep it",
	}}})
	assert.Contains(t, one, "> [!CAUTION]")
	assert.Contains(t, one, "> Whom it concerns: `reports`.")
	none := written(contract.Change{Breaks: []contract.Break{{Project: "gridos", Output: "a", What: "is gone"}}})
	assert.Contains(t, none, "> [!NOTE]")
	assert.NotContains(t, none, "Whom it concerns")
	assert.NotContains(t, none, "New, which breaks no reader")
	assert.Contains(t, written(contract.Change{Added: []string{"a"}}), "New, which breaks no reader: `a`.")
}

func TestUnit_TheTitleSaysWhoHasChangedIt(t *testing.T) {
	t.Parallel()
	for drift, want := range map[bool]string{false: "## What this changes\n", true: "## What others have changed\n"} {
		r := report()
		r.Drift = drift
		var text bytes.Buffer
		require.NoError(t, changes.WriteMarkdown(&text, []changes.Report{r}))
		assert.Contains(t, text.String(), want)
	}
	require.NoError(t, changes.WriteMarkdown(&bytes.Buffer{}, nil))
}

// What Argo CD installs from a folder of the repository is an overlay, and no chart.
func TestUnit_AnApplicationWithoutAChartIsNotRendered(t *testing.T) {
	t.Parallel()
	inputs := func(revision string) map[string]any {
		return map[string]any{
			"metadata": map[string]any{"name": "gridos-dev"},
			"spec":     map[string]any{"source": map[string]any{"repoURL": "https://example.com/g.git", "path": "p", "targetRevision": revision}},
		}
	}
	r := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil,
		step(apitype.OpUpdate, application, "gridos-dev", inputs("main"), inputs("v2"), nil),
	)}}
	require.NoError(t, r.Render(t.Context(), changes.Sides{}))
	assert.Empty(t, r.Rendered)
}

// A chart sees the version that the cluster has after the update.
func TestUnit_AChartIsRenderedForTheClusterThatWillBe(t *testing.T) {
	t.Parallel()
	chart := chartOf(t, "1.0.0")
	write(t, chart, map[string]string{
		"templates/version.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Capabilities.KubeVersion.Version | quote }}}\n",
	})
	r := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil,
		step(apitype.OpUpdate, "azure-native:containerservice/v20240901:ManagedCluster", "aks",
			map[string]any{"kubernetesVersion": "1.33.2"}, map[string]any{"kubernetesVersion": "1.34.1"}, nil),
		step(apitype.OpCreate, "azure-native:resources:ResourceGroup", "group", nil, map[string]any{"kubernetesVersion": "1.0.0"}, nil),
		step(apitype.OpCreate, helmRelease, "shop", nil, releaseOf(chart, "1.0.0", 2, "a"), nil),
	)}}
	require.NoError(t, r.Render(t.Context(), changes.Sides{}))
	require.Len(t, r.Rendered, 1)
	var names []string
	for _, object := range r.Rendered[0].Objects {
		names = append(names, object.Name)
	}
	assert.Contains(t, names, "v1.34.1")
}

// What is neither a file nor a folder stands where the application's manifests should be.
func TestUnit_ManifestsThatCannotBeReadAreAnError(t *testing.T) {
	t.Parallel()
	for _, side := range []int{0, 1} {
		sides := checkouts(t)
		folders := []*string{&sides.Before, &sides.After}
		*folders[side] = t.TempDir()
		write(t, *folders[side], map[string]string{"applications/gridos": "a file"})
		r := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil)}}
		require.ErrorContains(t, r.Render(t.Context(), sides), "applications/gridos")
	}
}
