package changes_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/cost"
	"github.com/gridos/sharedinfra/internal/rendered"
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

// A consent covers the same loss for no other reason.
func TestUnit_AConsentCoversTheSameLossOnly(t *testing.T) {
	t.Parallel()
	consented := changes.Danger{Op: changes.Replace, URN: "urn:a", Was: "urn:b", Because: []string{"location", "name"}}
	for what, test := range map[string]struct {
		now    changes.Danger
		widens bool
	}{
		"the same":               {consented, false},
		"for fewer reasons":      {changes.Danger{Op: changes.Replace, URN: "urn:a", Was: "urn:b", Because: []string{"name"}}, false},
		"for one more reason":    {changes.Danger{Op: changes.Replace, URN: "urn:a", Was: "urn:b", Because: []string{"name", "zones"}}, true},
		"another resource":       {changes.Danger{Op: changes.Replace, URN: "urn:c", Was: "urn:b"}, true},
		"of another":             {changes.Danger{Op: changes.Replace, URN: "urn:a", Was: "urn:c"}, true},
		"another kind of a loss": {changes.Danger{Op: changes.Delete, URN: "urn:a", Was: "urn:b"}, true},
	} {
		widened := changes.Widened([]changes.Danger{{Op: changes.Delete, URN: "urn:x"}, consented}, []changes.Danger{test.now})
		assert.Equal(t, test.widens, len(widened) == 1, what)
	}
}

// Only the program's own resources count, and of a refresh only its results.
func TestUnit_OtherEventsOfTheEngineAreNoChanges(t *testing.T) {
	t.Parallel()
	of := func(refresh bool, events ...apitype.EngineEvent) changes.Project {
		c := changes.Collector{Refresh: refresh}
		for _, event := range events {
			c.See(event)
		}
		return c.Project("gridos-infra", nil)
	}
	created := func(change func(*apitype.StepEventStateMetadata)) apitype.EngineEvent {
		event := step(apitype.OpCreate, subnet, "s", nil, map[string]any{}, nil)
		if change != nil {
			change(event.ResourcePreEvent.Metadata.New)
		}
		return event
	}
	require.Len(t, of(false, created(nil)).Changes, 1)
	assert.Empty(t, of(true, created(nil)).Changes, "what a refresh will find is not known yet")
	assert.Empty(t, of(true, apitype.EngineEvent{}).Changes)
	assert.Empty(t, of(false, apitype.EngineEvent{}).Changes)
	assert.Empty(t, of(false, created(func(s *apitype.StepEventStateMetadata) { s.Custom = false })).Changes, "a component")
	assert.Empty(t, of(false, created(func(s *apitype.StepEventStateMetadata) { s.External = true })).Changes, "one that is only read")
	assert.Empty(t, of(false, step(apitype.OpCreate, subnet, "s", nil, nil, nil)).Changes, "one without a state")

	for parent, want := range map[string]string{
		"": "", "urn:pulumi:dev::gridos-infra::pulumi:pulumi:Stack::gridos-infra-dev": "",
		"urn:pulumi:dev::gridos-infra::gridos-infra:network:Network::dev-network": "dev-network",
	} {
		found := of(false, created(func(s *apitype.StepEventStateMetadata) { s.Parent = parent })).Changes
		require.Len(t, found, 1)
		assert.Equal(t, want, found[0].Component)
	}
}

func TestUnit_AChangeOfOptionsChangesNothingInTheCloud(t *testing.T) {
	t.Parallel()
	options := []changes.Property{{Path: "[protect]"}, {Path: "[retainOnDelete]"}}
	for _, test := range []struct {
		change changes.Change
		want   bool
	}{
		{changes.Change{Op: changes.Update, Properties: options}, true},
		{changes.Change{Op: changes.Update, Properties: options[:1]}, true},
		{changes.Change{Op: changes.Replace, Properties: options}, false},
		{changes.Change{Op: changes.Update, Properties: append(options, changes.Property{Path: "tags"})}, false},
		{changes.Change{Op: changes.Update}, false},
	} {
		assert.Equal(t, test.want, test.change.OfOptions(), "%v", test.change)
	}
}

// A list that is one longer than its bound says so.
func TestUnit_WhatHasNoRoomIsCounted(t *testing.T) {
	t.Parallel()
	names := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("team%02d", i))
		}
		return all
	}
	written := func(c contract.Change) string {
		r := changes.Report{Environment: "dev", Projects: []changes.Project{{Name: "gridos"}}, Contract: &c}
		var text bytes.Buffer
		require.NoError(t, changes.WriteMarkdown(&text, []changes.Report{r}))
		return text.String()
	}
	one := contract.Break{Project: "gridos", Output: "a", What: "is gone", Consumers: names(6)}
	assert.Contains(t, written(contract.Change{Breaks: []contract.Break{one}}), ", which concerns `team00`, `team01`, `team02`, `team03`, `team04` and 1 other.")
	one.Consumers = names(5)
	assert.NotContains(t, written(contract.Change{Breaks: []contract.Break{one}}), "1 other")
	assert.Contains(t, written(contract.Change{Added: names(51)}), "`team49` and 1 other.")
	assert.Contains(t, written(contract.Change{Added: names(50)}), "`team49`.")
	one.Consumers = names(51)
	assert.Contains(t, written(contract.Change{Breaks: []contract.Break{one}}), "Whom it concerns: `team00`")
	assert.Contains(t, written(contract.Change{Breaks: []contract.Break{one}}), "`team49` and 1 other.")
}

func TestUnit_MoneyIsWrittenShortly(t *testing.T) {
	t.Parallel()
	both := func(n float64) cost.Range { return cost.Range{Low: n, High: n} }
	for n, want := range map[float64]string{
		0: "0.00", 0.001: "0.00", -0.001: "0.00", 0.01: "+0.01", -0.01: "-0.01", 1e9 - 1: "+999999999.00", 1e9: "+1e+09", -1e9: "-1e+09",
	} {
		assert.Equal(t, want, changes.Signed(both(n)), "%g", n)
	}
	remarks := changes.Cost{Prices: 2, Elsewhere: 1, Old: 1, Oldest: "2024-07-01"}.Remarks()
	require.Len(t, remarks, 2)
	assert.Equal(t, "1 of 2 prices are of another region, for want of one of this.", remarks[0])
	assert.Empty(t, changes.Cost{Prices: 2}.Remarks())
}

// What costs nothing is not risky because the environment is over its budget.
func TestUnit_WhatIsFreeIsNotWeighed(t *testing.T) {
	t.Parallel()
	r := changes.Report{Environment: "dev", Projects: []changes.Project{{Name: "gridos-infra", Changes: []changes.Change{
		{URN: "urn:x", Op: changes.Update, Level: changes.Plain},
	}}}}
	r.Cost = &changes.Cost{Currency: "USD", After: cost.Range{High: 300}}
	r.Weigh(cost.Budget{Month: 200, More: 1})
	assert.Equal(t, changes.Plain, r.All()[0].Level)
}

// An update does not move a release, so one whose namespace is not known yet stays where it is.
func TestUnit_AReleaseStaysInItsNamespace(t *testing.T) {
	t.Parallel()
	chart := chartOf(t, "1.0.0")
	was, is := releaseOf(chart, "1.0.0", 2, "a"), releaseOf(chart, "1.0.0", 2, "a")
	is["namespace"] = unknown
	r := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil,
		step(apitype.OpUpdate, helmRelease, "shop", was, is, nil),
	)}}
	require.NoError(t, r.Render(t.Context(), changes.Sides{}))
	assert.Empty(t, r.Rendered)
}

func TestUnit_AChartComesFromWhereItsRepositoryIs(t *testing.T) {
	t.Parallel()
	inputs := func(repository, version string) map[string]any {
		return map[string]any{
			"metadata": map[string]any{"name": "prometheus"},
			"spec": map[string]any{
				"source":      map[string]any{"repoURL": repository, "chart": "prometheus", "targetRevision": version},
				"destination": map[string]any{"namespace": "monitoring"},
			},
		}
	}
	for repository, want := range map[string]string{
		"http://127.0.0.1:1/charts": `"http://127.0.0.1:1/charts/index.yaml"`,
		"127.0.0.1:1/charts":        `"https://127.0.0.1:1/v2/"`,
	} {
		r := changes.Report{Environment: "dev", Projects: []changes.Project{collected(nil,
			step(apitype.OpUpdate, application, "prometheus", inputs(repository, "1.0.0"), inputs(repository, "1.1.0"), nil),
		)}}
		require.NoError(t, r.Render(t.Context(), changes.Sides{}))
		require.Len(t, r.Rendered, 1)
		assert.Contains(t, r.Rendered[0].Note, want)
	}
}

func TestUnit_RisksInTheClusterAreCountedByKind(t *testing.T) {
	t.Parallel()
	dangerous, risky := rendered.Change{Risk: rendered.Dangerous}, rendered.Change{Risk: rendered.Risky}
	for want, objects := range map[string][]rendered.Change{
		"No change. 1 object in the cluster differs, none risky.":           {{Risk: rendered.Plain}},
		"No change. 1 object in the cluster differs, 1 dangerous.":          {dangerous},
		"No change. 1 object in the cluster differs, 1 risky.":              {risky},
		"No change. 3 objects in the cluster differ, 2 dangerous, 1 risky.": {dangerous, risky, dangerous},
	} {
		r := changes.Report{Environment: "dev", Projects: []changes.Project{{Name: "gridos"}}}
		r.Rendered = []changes.Rendering{{Kind: "release", Name: "a", Objects: objects}}
		assert.Equal(t, want, r.Verdict())
	}
}
