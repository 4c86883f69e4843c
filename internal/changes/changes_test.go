package changes_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
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

// renamedSubnet is what the engine sends when a subnet gets another name: three steps for the one
// replacement, and the cluster, which stands in the subnet.
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

// The report names a secret that differs, without the text that the engine writes in its place.
func TestUnit_ASecretThatChangesIsTold(t *testing.T) {
	t.Parallel()
	hidden := func() map[string]any { return map[string]any{sig.Key: sig.Secret, "ciphertext": "[secret]"} }
	p := collected(nil, step(apitype.OpUpdate, identity, "id", map[string]any{"password": hidden()}, map[string]any{"password": hidden()},
		map[string]apitype.PropertyDiff{"password": {Kind: apitype.DiffUpdate, InputDiff: true}}))
	require.Len(t, p.Changes, 1)
	assert.Equal(t, []changes.Property{{Path: "password", Old: "[secret]", New: "[secret]"}}, p.Changes[0].Properties)
}

// A value that was unknown before is no consequence of this change.
func TestUnit_WhatNothingChangedForDoesNotFollow(t *testing.T) {
	t.Parallel()
	state, events := renamedSubnet()
	p := collected(state, events[2])
	require.Len(t, p.Changes, 1)
	assert.Equal(t, "cluster", p.Changes[0].Name)
	assert.Empty(t, p.Changes[0].DependsOn)
	assert.False(t, p.Changes[0].Follows)
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

// The report marks resources that cost money by existing when they are created, and logs, which
// cost by their volume.
func TestUnit_WhatCostsMoneyIsToldWhenItComes(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]changes.Level{
		cluster: changes.Costly,
		"azure-native:insights/v20210501preview:DiagnosticSetting": changes.Costly,
		"azure-native:insights/v20180301:MetricAlert":              changes.Costly,
		"azure-native:insights:Workbook":                           changes.Plain,
	} {
		p := collected(nil, step(apitype.OpCreate, typ, "it", nil, map[string]any{"a": "1"}, nil))
		require.Len(t, p.Changes, 1)
		assert.Equal(t, want, p.Changes[0].Level, typ)
	}
}

// Texts for people are bounded, and say where they were cut; a value of exactly the greatest width
// stays whole.
func TestUnit_ALongValueIsCut(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]string{120: strings.Repeat("x", 120), 121: strings.Repeat("x", 119) + "…"} {
		p := collected(nil, step(apitype.OpUpdate, cluster, "it", map[string]any{"a": "y"}, map[string]any{"a": strings.Repeat("x", length)},
			map[string]apitype.PropertyDiff{"a": {Kind: apitype.DiffUpdate, InputDiff: true}}))
		var text strings.Builder
		require.NoError(t, changes.Report{Environment: "dev", Projects: []changes.Project{p}}.WriteText(&text, false))
		shown := regexp.MustCompile("x{9,}…?").FindString(text.String())
		assert.Equal(t, want, shown)
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

// A deletion that a refresh finds has already happened: people should look at it, but it cannot be
// stopped. A change that it finds is rated as usual.
func TestUnit_WhatARefreshFindsGoneIsLookedAt(t *testing.T) {
	t.Parallel()
	diff := map[string]apitype.PropertyDiff{"a": {Kind: apitype.DiffUpdate, InputDiff: true}}
	for _, test := range []struct {
		op        apitype.OpType
		old, made map[string]any
		want      changes.Level
		reasons   []string
	}{
		{apitype.OpDelete, map[string]any{"a": "1"}, nil, changes.Risky, []string{"is not there any more"}},
		{apitype.OpUpdate, map[string]any{"a": "1"}, map[string]any{"a": "2"}, changes.Plain, nil},
	} {
		found := step(test.op, subnet, "it", test.old, test.made, diff).ResourcePreEvent.Metadata
		c := changes.Collector{Refresh: true}
		c.See(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: found}})
		all := c.Project("gridos-infra", nil).Changes
		require.Len(t, all, 1)
		assert.Equal(t, test.want, all[0].Level, test.op)
		assert.Equal(t, test.reasons, all[0].Reasons, test.op)
	}
	// Before an update nothing is gone yet.
	deleted := collected(nil, step(apitype.OpDelete, "azure-native:insights:Workbook", "it", map[string]any{"a": "1"}, nil, diff))
	assert.Equal(t, changes.Plain, deleted.Changes[0].Level, deleted.Changes[0].Reasons)
}

// A property that protects, opens or records something is never plain when it is switched off, and
// no risk when it is switched on.
func TestUnit_WhatProtectsIsLookedAtWhenItIsTakenBack(t *testing.T) {
	t.Parallel()
	const (
		server     = "azure-native:dbforpostgresql/v20240801:Server"
		vault      = "azure-native:keyvault/v20241101:Vault"
		pool       = "azure-native:containerservice/v20240901:AgentPool"
		setting    = "azure-native:insights/v20210501preview:DiagnosticSetting"
		alert      = "azure-native:insights/v20180301:MetricAlert"
		recipients = "azure-native:insights/v20230101:ActionGroup"
		budget     = "azure-native:consumption/v20240801:Budget"
		logs       = "azure-native:operationalinsights/v20230901:Workspace"
		gateway    = "azure-native:network/v20240501:ApplicationGateway"
		firewall   = "azure-native:network/v20240501:WebApplicationFirewallPolicy"
		network    = "azure-native:network/v20240501:VirtualNetwork"
		images     = "azure-native:containerregistry/v20230701:Registry"
		release    = "kubernetes:helm.sh/v3:Release"
		service    = "kubernetes:core/v1:Service"
		internal   = "service.beta.kubernetes.io/azure-load-balancer-internal"
		namespace  = "kubernetes:core/v1:Namespace"
		app        = "kubernetes:argoproj.io/v1alpha1:Application"
	)
	for _, test := range []struct {
		typ, path string
		old, made any
		there     changes.Level // from old to made
		back      changes.Level
	}{
		// Access and reachability: risky in both directions.
		{cluster, "enableRBAC", true, false, changes.Risky, changes.Risky},
		{cluster, "aadProfile.managed", true, false, changes.Risky, changes.Risky},
		{cluster, "aadProfile.enableAzureRBAC", true, false, changes.Risky, changes.Risky},
		{cluster, "aadProfile.adminGroupObjectIDs[0]", "a", "b", changes.Risky, changes.Risky},
		{cluster, "aadProfile", map[string]any{"managed": true}, nil, changes.Risky, changes.Risky},
		{cluster, "disableLocalAccounts", true, false, changes.Risky, changes.Risky},
		{cluster, "oidcIssuerProfile.enabled", true, false, changes.Risky, changes.Risky},
		{cluster, "apiServerAccessProfile.enablePrivateClusterPublicFQDN", false, true, changes.Risky, changes.Risky},
		{cluster, "networkProfile.networkPolicy", "cilium", "none", changes.Risky, changes.Risky},
		{cluster, "serviceMeshProfile.istio.components.ingressGateways[0].mode", "Internal", "External", changes.Risky, changes.Risky},
		{cluster, "agentPoolProfiles[0].enableNodePublicIP", false, true, changes.Risky, changes.Risky},
		{vault, "properties.publicNetworkAccess", "Disabled", "Enabled", changes.Risky, changes.Risky},
		{vault, "properties.networkAcls.defaultAction", "Deny", "Allow", changes.Risky, changes.Risky},
		{vault, "properties.enabledForDeployment", false, true, changes.Risky, changes.Risky},
		{images, "networkRuleBypassOptions", "None", "AzureServices", changes.Risky, changes.Risky},
		{server, "authConfig.activeDirectoryAuth", "Enabled", "Disabled", changes.Risky, changes.Risky},
		{"azure-native:dbforpostgresql/v20240801:Configuration", "value", "TLSv1.2", "TLSv1.1", changes.Risky, changes.Risky},
		{"azure-native:storage/v20230101:StorageAccount", "minimumTlsVersion", "TLS1_2", "TLS1_0", changes.Risky, changes.Risky},
		{gateway, "sslPolicy.policyName", "AppGwSslPolicy20220101S", "AppGwSslPolicy20150501", changes.Risky, changes.Risky},
		{gateway, "redirectConfigurations[0].includePath", true, false, changes.Risky, changes.Risky},
		{gateway, "httpListeners[1].protocol", "Https", "Http", changes.Risky, changes.Risky},
		{firewall, "policySettings.mode", "Prevention", "Detection", changes.Risky, changes.Risky},
		{firewall, "policySettings.state", "Enabled", "Disabled", changes.Risky, changes.Risky},
		{subnet, "privateEndpointNetworkPolicies", "NetworkSecurityGroupEnabled", "Disabled", changes.Risky, changes.Risky},
		{release, `values.configs.cm["exec.enabled"]`, false, true, changes.Risky, changes.Risky},
		{release, `values.configs.cm["users.anonymous.enabled"]`, false, true, changes.Risky, changes.Risky},
		{release, "values.crds.keep", true, false, changes.Risky, changes.Risky},
		{release, `values.configs.rbac["policy.default"]`, "", "role:admin", changes.Risky, changes.Risky},
		{service, `metadata.annotations["` + internal + `"]`, "true", "false", changes.Risky, changes.Risky},
		{app, "spec.syncPolicy.automated.prune", true, false, changes.Risky, changes.Risky},
		{app, "metadata.finalizers[0]", "resources-finalizer.argocd.argoproj.io", nil, changes.Risky, changes.Risky},
		{namespace, `metadata.labels["pod-security.kubernetes.io/enforce"]`, "restricted", "privileged", changes.Risky, changes.Risky},

		// Protection, and values that are known only later.
		{vault, "properties.enableSoftDelete", false, unknown, changes.Risky, changes.Risky},
		{vault, "properties.enablePurgeProtection", true, unknown, changes.Risky, changes.Risky},

		// Protection, records and retention: risky only when reduced.
		{vault, "properties.enableSoftDelete", true, false, changes.Risky, changes.Plain},
		{vault, "properties.enablePurgeProtection", true, nil, changes.Risky, changes.Plain},
		{vault, "properties.softDeleteRetentionInDays", 90.0, 7.0, changes.Risky, changes.Risky},
		{cluster, "securityProfile.workloadIdentity.enabled", true, false, changes.Risky, changes.Plain},
		{cluster, "securityProfile.defender", map[string]any{"securityMonitoring": "on"}, nil, changes.Risky, changes.Plain},
		{cluster, "securityProfile.defender.securityMonitoring.enabled", true, false, changes.Risky, changes.Plain},
		{cluster, "addonProfiles.azurepolicy.enabled", true, false, changes.Risky, changes.Plain},
		{cluster, "autoUpgradeProfile.nodeOSUpgradeChannel", "NodeImage", "None", changes.Risky, changes.Plain},
		{cluster, "autoUpgradeProfile.nodeOSUpgradeChannel", "None", nil, changes.Risky, changes.Risky}, // Azure then chooses
		{pool, "enableEncryptionAtHost", true, false, changes.Risky, changes.Plain},
		{setting, "logs[0].enabled", true, false, changes.Risky, changes.Plain},
		{setting, "metrics[0].enabled", true, false, changes.Risky, changes.Plain},
		{setting, "logs[2]", map[string]any{"category": "guard", "enabled": true}, nil, changes.Risky, changes.Plain},
		{setting, "logs[0].category", "kube-audit-admin", "kube-scheduler", changes.Risky, changes.Risky},
		{setting, "workspaceId", "/workspaces/a", "/workspaces/b", changes.Risky, changes.Risky},
		{alert, "enabled", true, false, changes.Risky, changes.Plain},
		{alert, "actions[0]", map[string]any{"actionGroupId": "g"}, nil, changes.Risky, changes.Plain},
		{recipients, "emailReceivers[1]", map[string]any{"emailAddress": "a"}, nil, changes.Risky, changes.Plain},
		{budget, `notifications["spent-80"].enabled`, true, false, changes.Risky, changes.Plain},
		{budget, `notifications["spent-80"].contactGroups[0]`, "g", nil, changes.Risky, changes.Plain},
		{budget, "filter.dimensions.values[1]", "nodes", nil, changes.Risky, changes.Plain},
		{budget, "amount", 100.0, 200.0, changes.Plain, changes.Plain},
		{network, "enableDdosProtection", true, false, changes.Risky, changes.Plain},
		{images, "policies.retentionPolicy.days", 30.0, 1.0, changes.Risky, changes.Costly},

		// The same kind, where more of it costs money.
		{server, "backup.geoRedundantBackup", "Enabled", "Disabled", changes.Risky, changes.Costly},
		{server, "backup.backupRetentionDays", 35.0, 7.0, changes.Risky, changes.Costly},
		{server, "highAvailability.mode", "ZoneRedundant", "Disabled", changes.Risky, changes.Costly},
		{logs, "retentionInDays", 90.0, 30.0, changes.Risky, changes.Costly},
		{logs, "workspaceCapping.dailyQuotaGb", -1.0, 2.0, changes.Risky, changes.Costly},

		// Properties of no such kind.
		{cluster, "tags.encryption", "a", "b", changes.Plain, changes.Plain},
		{"kubernetes:core/v1:ConfigMap", "data.project", "a", "b", changes.Plain, changes.Plain},
		{release, "values.server.replicas", 1.0, 2.0, changes.Plain, changes.Plain},
	} {
		for _, way := range []struct {
			from, to any
			want     changes.Level
		}{{test.old, test.made, test.there}, {test.made, test.old, test.back}} {
			p := collected(nil, step(apitype.OpUpdate, test.typ, "it", at(test.path, way.from), at(test.path, way.to),
				map[string]apitype.PropertyDiff{test.path: {Kind: apitype.DiffUpdate, InputDiff: true}}))
			require.Len(t, p.Changes, 1)
			assert.Equal(t, way.want, p.Changes[0].Level, "%s %s from %v to %v: %v", test.typ, test.path, way.from, way.to, p.Changes[0].Reasons)
		}
	}
}

// To the engine a resource that is no longer protected is the same as before.
func TestUnit_TheEndOfAProtectionIsAChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		before, after bool
		want          changes.Level
	}{{true, false, changes.Risky}, {false, true, changes.Plain}} {
		same := step(apitype.OpSame, subnet, "aks", map[string]any{}, map[string]any{}, nil)
		metadata := same.ResourcePreEvent.Metadata
		metadata.Old.Protect, metadata.New.Protect = test.before, test.after
		p := collected(nil, same)
		require.Len(t, p.Changes, 1)
		assert.Zero(t, p.Same)
		assert.Equal(t, test.want, p.Changes[0].Level)
		assert.Equal(t, []changes.Property{{Path: "[protect]", Old: test.before, New: test.after}}, p.Changes[0].Properties)
		assert.True(t, p.Changes[0].OfOptions())
	}
}

// at is an object that has the value at the path.
func at(path string, value any) map[string]any {
	parsed, err := resource.ParsePropertyPath(path)
	if err != nil {
		panic(err)
	}
	for _, key := range slices.Backward(parsed) {
		switch key := key.(type) {
		case string:
			value = map[string]any{key: value}
		case int:
			list := make([]any, key+1)
			list[key] = value
			value = list
		}
	}
	object, _ := value.(map[string]any)
	return object
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

	const application = "kubernetes:argoproj.io/v1alpha1:Application"
	p = collected(nil,
		step(apitype.OpCreate, application, "reporting", nil, inputs("reporting"), nil),
		step(apitype.OpDelete, application, "reports", inputs("reports"), nil, nil),
	)
	require.Len(t, p.Changes, 1)
	reasons := strings.Join(p.Changes[0].Reasons, "; ")
	assert.Contains(t, reasons, "reports goes, and takes its workloads along unless cascadeDelete is off")
	assert.NotContains(t, reasons, "alias", "no entry of the catalogue can have one")

	p = collected(nil,
		step(apitype.OpCreate, identity, "new", nil, map[string]any{"x": "1", "y": "2"}, nil),
		step(apitype.OpDelete, identity, "old", map[string]any{"x": "3", "y": "2"}, nil, nil),
	)
	assert.Len(t, p.Changes, 2, "what has little in common is not the same resource")
}

// report has one of everything, and names that would be Markdown, HTML, a mention or the end of a
// code block.
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

// matchFile compares a text with a file in testdata.
func matchFile(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "%s; if it is meant, go test ./internal/changes -update writes it", file)
}

func TestUnit_ReportsLookLikeThis(t *testing.T) {
	t.Parallel()
	var markdown, plain bytes.Buffer
	require.NoError(t, changes.WriteMarkdown(&markdown, []changes.Report{report(), {Environment: "prod"}}))
	require.NoError(t, report().WriteText(&plain, false))
	for name, got := range map[string][]byte{"report.md": markdown.Bytes(), "report.txt": plain.Bytes()} {
		matchFile(t, name, got)
	}
}

func TestUnit_OnATerminalDangerIsRedAndBold(t *testing.T) {
	t.Parallel()
	text.EnableColors() // NO_COLOR turns them off for the whole process
	var coloured bytes.Buffer
	require.NoError(t, report().WriteText(&coloured, true))
	assert.Contains(t, coloured.String(), "\x1b[31;1mdangerous\x1b[0m")
	assert.NotContains(t, coloured.String(), "\x1b[31;1mplain")
}

func TestUnit_TheVerdictCounts(t *testing.T) {
	t.Parallel()
	plain := changes.Change{Op: changes.Update, Level: changes.Plain}
	dangerous := changes.Change{Op: changes.Delete, Level: changes.Dangerous}
	follows := changes.Change{Op: changes.Update, Level: changes.Plain, Follows: true}
	of := func(list ...changes.Change) changes.Report {
		return changes.Report{Environment: "dev", Projects: []changes.Project{{Name: "gridos-infra", Changes: list}}}
	}
	drift, failed := of(), of()
	drift.Drift = true
	failed.Projects[0].Error = "no"
	for want, report := range map[string]changes.Report{
		"No change.":                      of(),
		"No drift.":                       drift,
		"1 stack could not be previewed.": failed,
		"1 change, none dangerous.":       of(plain),
		"2 changes, none dangerous.":      of(plain, plain),
		"1 change; 1 dangerous.":          of(dangerous),
		"3 changes; 2 dangerous.":         of(dangerous, plain, dangerous),
		"2 changes, of which 1 may follow from others, none dangerous.": of(plain, follows),
	} {
		assert.Equal(t, want, report.Verdict())
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

// A comment has 65,536 characters, and is cut at its end.
func TestUnit_EveryEnvironmentsDangerIsToldBeforeAnyDetail(t *testing.T) {
	t.Parallel()
	tagged := func(environment, base string) changes.Report {
		var all []changes.Change
		for i := range 120 {
			all = append(all, changes.Change{
				Op: changes.Update, Level: changes.Plain, Type: "azure-native:network:Subnet", Name: fmt.Sprintf("%s-resource-%d", environment, i),
				Properties: []changes.Property{{Path: "tags.costCentre", Old: strings.Repeat("old ", 40), New: strings.Repeat("new ", 40)}},
			})
		}
		all[7].Level, all[7].Op, all[7].Name = changes.Dangerous, changes.Delete, "danger-in-"+environment+base
		return changes.Report{Environment: environment, Base: base, Projects: []changes.Project{{Name: "gridos-infra", Changes: all}}}
	}
	var text strings.Builder
	require.NoError(t, changes.WriteMarkdown(&text, []changes.Report{
		tagged("dev", ""), tagged("prod", ""), tagged("test", ""), tagged("dev", "main"), tagged("prod", "main"), tagged("test", "main"),
	}))
	kept := text.String()[:60_000]
	last := 0
	for _, heading := range []string{
		"dev, as deployed", "dev, in the lab", "test, as deployed", "test, in the lab", "prod, as deployed", "prod, in the lab",
	} {
		row := strings.Index(kept, "| **"+heading+"** |")
		assert.Greater(t, row, last, heading)
		last = row
		assert.Equal(t, 1, strings.Count(kept, "\n### "+heading+"\n"), "its table is not cut")
		assert.Less(t, strings.Index(kept, "> **"+heading+"**"), strings.Index(kept, "### dev"), heading)
	}
	for _, name := range []string{"dev", "devmain", "test", "testmain", "prod", "prodmain"} {
		at := strings.Index(kept, "danger-in-"+name+"`")
		assert.Positive(t, at, name)
		assert.Less(t, at, strings.Index(kept, "### dev"), name)
	}
	assert.Greater(t, strings.Index(text.String(), "<summary>Properties"), strings.LastIndex(text.String(), "\n### "))
}

// differing are the properties of an update that differ.
func differing(t *testing.T, old, made map[string]any, paths ...string) []changes.Property {
	t.Helper()
	diff := map[string]apitype.PropertyDiff{}
	for _, path := range paths {
		diff[path] = apitype.PropertyDiff{Kind: apitype.DiffUpdate, InputDiff: true}
	}
	p := collected(nil, step(apitype.OpUpdate, identity, "id", old, made, diff))
	require.Len(t, p.Changes, 1)
	return p.Changes[0].Properties
}

func TestUnit_WhatIsNamedLikeASecretIsWithheld(t *testing.T) {
	t.Parallel()
	p := differing(t, map[string]any{
		"password": "hunter1", "secretName": "a", "values": map[string]any{"apiKey": "k1", "host": "a", "list": []any{map[string]any{"token": "t1"}}},
		"env": []any{map[string]any{"clientSecret": "c1"}}, "tokenFile": "/a", "enableToken": true,
	}, map[string]any{
		"password": "hunter2", "secretName": "b", "values": map[string]any{"apiKey": "k2", "host": "b", "list": []any{map[string]any{"token": "t2"}}},
		"env": []any{map[string]any{"clientSecret": "c2"}}, "tokenFile": "/b", "enableToken": false,
	}, "password", "secretName", "values", "env[0].clientSecret", "tokenFile", "enableToken")
	text := fmt.Sprint(p)
	for _, hidden := range []string{"hunter", "k1", "k2", "t1", "t2", "c1", "c2"} {
		assert.NotContains(t, text, hidden)
	}
	assert.Len(t, p, 6, "that they change is told")
	for _, seen := range []string{"~ secretName: a → b", `"host":"a"`, `"host":"b"`, "~ tokenFile: /a → /b", "~ enableToken: true → false", "~ password: [withheld] → [withheld]"} {
		assert.Contains(t, text, seen)
	}
}
