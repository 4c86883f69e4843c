package changes_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/changes"
)

var update = flag.Bool("update", false, "write the golden files again")

const (
	subnet   = "azure-native:network/v20240501:Subnet"
	cluster  = "azure-native:containerservice/v20240901:ManagedCluster"
	identity = "azure-native:managedidentity/v20230131:UserAssignedIdentity"
	unknown  = "04da6b54-80e4-46f7-96ec-b56ff0331ba9" // sdk/go/common/resource/plugin, UnknownStringValue
)

func urnOf(typ, name string) string {
	return "urn:pulumi:dev::gridos-infra::gridos-infra:network:Network$" + typ + "::" + name
}

// step is an event as the engine sends it before it works on a resource.
func step(op apitype.OpType, typ, name string, old, made map[string]any, diff map[string]apitype.PropertyDiff) apitype.EngineEvent {
	state := func(inputs map[string]any) *apitype.StepEventStateMetadata {
		if inputs == nil {
			return nil
		}
		return &apitype.StepEventStateMetadata{
			Type: typ, URN: urnOf(typ, name), Custom: true, Inputs: inputs,
			Parent: "urn:pulumi:dev::gridos-infra::gridos-infra:network:Network::dev-network",
		}
	}
	return apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
		Op: op, URN: urnOf(typ, name), Type: typ, Old: state(old), New: state(made), DetailedDiff: diff,
	}}}
}

func collected(state []apitype.ResourceV3, events ...apitype.EngineEvent) changes.Project {
	var c changes.Collector
	for _, event := range events {
		c.See(event)
	}
	return c.Project("gridos-infra", state)
}

// renamedSubnet is what the engine sends when a subnet gets another name: three steps for the one replacement, and the cluster,
// which stands in the subnet.
func renamedSubnet() ([]apitype.ResourceV3, []apitype.EngineEvent) {
	before, after := map[string]any{"subnetName": "aks"}, map[string]any{"subnetName": "nodes"}
	replaced := map[string]apitype.PropertyDiff{"subnetName": {Kind: apitype.DiffUpdateReplace, InputDiff: true}}
	state := []apitype.ResourceV3{{
		URN: resource.URN(urnOf(cluster, "cluster")), Dependencies: []resource.URN{resource.URN(urnOf(subnet, "aks"))},
	}}
	pools := func(id string) map[string]any {
		return map[string]any{"agentPoolProfiles": []any{map[string]any{"name": "system", "vnetSubnetID": id}}}
	}
	return state, []apitype.EngineEvent{
		step(apitype.OpCreateReplacement, subnet, "aks", before, after, replaced),
		step(apitype.OpReplace, subnet, "aks", before, after, replaced),
		step(apitype.OpUpdate, cluster, "cluster", pools("/subnets/aks"), pools(unknown), map[string]apitype.PropertyDiff{
			"agentPoolProfiles[0].vnetSubnetID": {Kind: apitype.DiffUpdate, InputDiff: true},
		}),
		step(apitype.OpDeleteReplaced, subnet, "aks", before, nil, nil),
		step(apitype.OpSame, identity, "id", map[string]any{}, map[string]any{}, nil),
	}
}

func TestUnit_AReplacementIsOneChangeAndWhatStandsOnItFollows(t *testing.T) {
	t.Parallel()
	state, events := renamedSubnet()
	p := collected(state, events...)
	require.Len(t, p.Changes, 2)
	assert.Equal(t, 1, p.Same)
	first, second := p.Changes[0], p.Changes[1]
	assert.Equal(t, changes.Replace, first.Op)
	assert.Equal(t, changes.Dangerous, first.Level)
	assert.Equal(t, "dev-network", first.Component)
	assert.Equal(t, []changes.Property{{Path: "subnetName", Old: "aks", New: "nodes", Replaces: true}}, first.Properties)
	assert.False(t, first.Follows)
	assert.Equal(t, changes.Update, second.Op)
	assert.True(t, second.Follows)
	assert.Equal(t, []string{urnOf(subnet, "aks")}, second.DependsOn)
	assert.Equal(t, []changes.Property{{
		Path: "agentPoolProfiles[0].vnetSubnetID", Old: "/subnets/aks", New: changes.Unknown,
	}}, second.Properties)
}

func TestUnit_ADifferenceOfItsOwnDoesNotFollow(t *testing.T) {
	t.Parallel()
	state, events := renamedSubnet()
	metadata := &events[2].ResourcePreEvent.Metadata
	metadata.Old.Inputs["kubernetesVersion"], metadata.New.Inputs["kubernetesVersion"] = "1.34", "1.35"
	metadata.DetailedDiff["kubernetesVersion"] = apitype.PropertyDiff{Kind: apitype.DiffUpdate, InputDiff: true}
	for _, c := range collected(state, events...).Changes {
		assert.False(t, c.Follows, c.Name)
	}
}

func TestUnit_WhatIsGuardedIsDangerousOnlyWhenItIsTakenAway(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{
		cluster, subnet,
		"azure-native:network/v20240501:VirtualNetwork",
		"azure-native:dbforpostgresql/v20240801:Server",
		"azure-native:keyvault/v20241101:Vault",
		"azure-native:containerregistry/v20230701:Registry",
		"azure-native:containerregistry:Registry", // of the API's default version
	} {
		for op, want := range map[apitype.OpType]bool{
			apitype.OpCreate: false, apitype.OpUpdate: false, apitype.OpReplace: true, apitype.OpDelete: true,
		} {
			old, made := map[string]any{"a": "1"}, map[string]any{"a": "2"}
			switch op {
			case apitype.OpCreate:
				old = nil
			case apitype.OpDelete:
				made = nil
			}
			diff := map[string]apitype.PropertyDiff{"a": {Kind: apitype.DiffUpdate, InputDiff: true}}
			p := collected(nil, step(op, typ, "it", old, made, diff))
			require.Len(t, p.Changes, 1, "%s %s", op, typ)
			assert.Equal(t, want, p.Changes[0].Level == changes.Dangerous, "%s %s", op, typ)
		}
	}
}

func TestUnit_PropertiesSayWhatIsRiskyAndWhatCostsMoney(t *testing.T) {
	t.Parallel()
	const release = "kubernetes:helm.sh/v3:Release"
	for _, test := range []struct {
		typ, path string
		want      changes.Level
	}{
		{cluster, "agentPoolProfiles[0].vmSize", changes.Costly},
		{cluster, "apiServerAccessProfile.authorizedIPRanges[1]", changes.Risky},
		{cluster, "tags.owner", changes.Plain},
		{"azure-native:dbforpostgresql/v20240801:Server", "storage.storageSizeGB", changes.Costly},
		{release, "version", changes.Risky},
		{release, "values.server.replicas", changes.Plain},
		{"kubernetes:core/v1:ConfigMap", "data.count", changes.Plain},
	} {
		p := collected(nil, step(apitype.OpUpdate, test.typ, "it", map[string]any{}, map[string]any{},
			map[string]apitype.PropertyDiff{test.path: {Kind: apitype.DiffUpdateReplace, InputDiff: true}}))
		require.Len(t, p.Changes, 1)
		assert.Equal(t, test.want, p.Changes[0].Level, "%s %s", test.typ, test.path)
	}
}

func TestUnit_AResourceUnderAnotherNameIsOneChange(t *testing.T) {
	t.Parallel()
	inputs := func(name string) map[string]any {
		return map[string]any{"resourceName": name, "location": "westeurope", "properties": map[string]any{"a": "1", "b": []any{"2"}}}
	}
	p := collected(nil,
		step(apitype.OpCreate, identity, "new", nil, inputs("new-id"), nil),
		step(apitype.OpDelete, identity, "old", inputs("old-id"), nil, nil),
		step(apitype.OpDelete, subnet, "other", inputs("old-id"), nil, nil),
	)
	require.Len(t, p.Changes, 2)
	assert.Equal(t, changes.Delete, p.Changes[0].Op)
	renamed := p.Changes[1]
	assert.Equal(t, changes.Replace, renamed.Op)
	assert.Equal(t, urnOf(identity, "old"), renamed.Was)
	assert.Equal(t, []changes.Property{{Path: "resourceName", Old: "old-id", New: "new-id"}}, renamed.Properties)
	assert.Contains(t, strings.Join(renamed.Reasons, "; "), "an alias of old would keep it")

	p = collected(nil,
		step(apitype.OpCreate, identity, "new", nil, map[string]any{"x": "1", "y": "2"}, nil),
		step(apitype.OpDelete, identity, "old", map[string]any{"x": "3", "y": "2"}, nil, nil),
	)
	assert.Len(t, p.Changes, 2, "what has little in common is not the same resource")
}

// report has one of everything, and names that would be Markdown, HTML, a mention or the end of a code block.
func report() changes.Report {
	state, events := renamedSubnet()
	infra := collected(state, append(events,
		step(apitype.OpCreate, identity, "a|b`c <img src=x> @everyone", nil, map[string]any{}, nil),
		step(apitype.OpUpdate, identity, "fence", map[string]any{"note": "```"}, map[string]any{"note": "````\n</details>"},
			map[string]apitype.PropertyDiff{"note": {Kind: apitype.DiffUpdate, InputDiff: true}}),
	)...)
	return changes.Report{Environment: "dev", Base: "main (abc1234)", Projects: []changes.Project{
		infra, {Name: "gridos-bootstrap", Same: 16}, {Name: "gridos", Error: "preview failed: <script>"},
	}}
}

func TestUnit_ReportsLookLikeThis(t *testing.T) {
	t.Parallel()
	var markdown, plain bytes.Buffer
	require.NoError(t, changes.WriteMarkdown(&markdown, []changes.Report{report(), {Environment: "prod"}}))
	require.NoError(t, report().WriteText(&plain, false))
	for name, got := range map[string][]byte{"report.md": markdown.Bytes(), "report.txt": plain.Bytes()} {
		file := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(file, got, 0o600))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), "%s; if it is meant, go test ./changes -update writes it", file)
	}
}

func TestUnit_WordsThatGitHubWouldActOnAreCode(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"deletes it; the owner's and/or what stands on it": "deletes it; the owner's and/or what stands on it",
		"agentPoolProfiles[0].count is paid for":           "`agentPoolProfiles[0].count` is paid for",
		"only if it needs dev-network, dev-network-2, é":   "only if it needs dev-network, `dev-network-2`, é",
		"thanks @all, &#64;all: @gridos/admins":            "thanks `@all`, `&#64;all`: `@gridos/admins`",
		"see #12 and GH-12 or gridos/sharedinfra#12.":      "see `#12` and `GH-12` or `gridos/sharedinfra#12`.",
		"at https://a.example www.a.example www. a@b.c":    "at `https://a.example` `www.a.example` `www`. `a@b.c`",
		"of abc1234 deadbeef x-deadbeef decade":            "of `abc1234` `deadbeef` `x-deadbeef` decade",
		":warning: $x$ <b> *e* _f_ ~g~ [a](b) a|b \\ ` .":  "`:warning`: `$x$` `<b>` `*e*` `_f_` `~g~` `[a](b)` `a\\|b` `\\` `'` `.`",
	} {
		var markdown bytes.Buffer
		require.NoError(t, changes.WriteMarkdown(&markdown, []changes.Report{{Environment: "dev", Projects: []changes.Project{{
			Name: "gridos@infra", Changes: []changes.Change{{
				Op: changes.Create, Level: changes.Plain, Type: "t", Name: "n", Reasons: []string{reason},
			}},
		}}}}))
		assert.Contains(t, markdown.String(), "| plain | create | `t n` | "+want+" |\n")
		assert.Contains(t, markdown.String(), "| `gridos@infra/dev` | 1 |")
	}
}

func TestUnit_AReportSurvivesItsJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(report())
	require.NoError(t, err)
	var read changes.Report
	require.NoError(t, json.Unmarshal(text, &read))
	var want, got bytes.Buffer
	require.NoError(t, changes.WriteMarkdown(&want, []changes.Report{report()}))
	require.NoError(t, changes.WriteMarkdown(&got, []changes.Report{read}))
	assert.Equal(t, want.String(), got.String())
}
