package engine

import (
	"os"
	"slices"
	"strings"
	"testing"

	registry "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"
	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20210501preview"
	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	workspaces "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20230901"
	resources "github.com/pulumi/pulumi-azure-native-sdk/resources/v2/v20240301"
	azurenative "github.com/pulumi/pulumi-azure-native-sdk/v2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/policy"
	"github.com/gridos/sharedinfra/stacks"
)

// guarded is the part of gridos-infra with a program of this test, guarded as the real ones are.
func guarded(t *testing.T, program func(ctx *pulumi.Context, provider pulumi.ResourceOption) error) part {
	t.Helper()
	p := partOf(t, stacks.Infra)
	p.program = func(ctx *pulumi.Context) error {
		r := config.FromContext(ctx)
		settings := policy.Load(r, ctx.Stack())
		if err := r.Err(); err != nil {
			return err
		}
		return policy.Guard(ctx, settings, func(ctx *pulumi.Context) error {
			provider, err := azurenative.NewProvider(ctx, "azure", &azurenative.ProviderArgs{
				Location: pulumi.String("westeurope"),
			}, pulumi.Version(versions.AzureNative))
			if err != nil {
				return err
			}
			return program(ctx, pulumi.Provider(provider))
		})
	}
	return p
}

func goodTags() pulumi.StringMap {
	return pulumi.StringMap{
		"environment": pulumi.String("dev"), "owner": pulumi.String("platform"),
		"cost-centre": pulumi.String("gridos"), "managed-by": pulumi.String("pulumi"),
	}
}

// offending breaks six rules in three resources; the group and the security group obey the rules
// about themselves.
func offending(ctx *pulumi.Context, provider pulumi.ResourceOption) error {
	group, err := resources.NewResourceGroup(ctx, "group", &resources.ResourceGroupArgs{
		ResourceGroupName: pulumi.String("dev-rg"), Location: pulumi.String("westeurope"), Tags: goodTags(),
	}, provider)
	if err != nil {
		return err
	}
	_, err = registry.NewRegistry(ctx, "images", &registry.RegistryArgs{
		ResourceGroupName: group.Name, RegistryName: pulumi.String("devimages"), Location: pulumi.String("westus"),
		Sku: registry.SkuArgs{Name: pulumi.String("Basic")}, AdminUserEnabled: pulumi.Bool(true), Tags: goodTags(),
	}, provider)
	if err != nil {
		return err
	}
	_, err = network.NewPublicIPAddress(ctx, "backdoor", &network.PublicIPAddressArgs{
		ResourceGroupName: group.Name, PublicIpAddressName: pulumi.String("backdoor"), Location: pulumi.String("westeurope"),
		Sku:                      network.PublicIPAddressSkuArgs{Name: pulumi.String("Standard")},
		PublicIPAllocationMethod: pulumi.String("Static"),
		Tags:                     pulumi.StringMap{"environment": pulumi.String("dev"), "managed-by": pulumi.String("pulumi")},
	}, provider)
	if err != nil {
		return err
	}
	_, err = network.NewNetworkSecurityGroup(ctx, "unwatched", &network.NetworkSecurityGroupArgs{
		ResourceGroupName: group.Name, NetworkSecurityGroupName: pulumi.String("dev-nsg"), Location: pulumi.String("westeurope"),
		Tags: goodTags(),
	}, provider)
	return err
}

func TestEngine_APreviewReportsEveryViolationInOneMessage(t *testing.T) {
	e := newEngine(t, azure.Options{})
	_, err := e.one(t.Context(), previewOperation(waivers()), guarded(t, offending))
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	t.Log(failure)
	require.Len(t, failure.Messages, 1)
	message := failure.Messages[0]
	var found []string
	for line := range strings.Lines(message) {
		if rule, rest, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && strings.Contains(rest, "(azure-native:") {
			names, _, _ := strings.Cut(rest, ": ")
			for _, name := range strings.Split(names, ", ") {
				resource, _, _ := strings.Cut(name, " ")
				found = append(found, resource+" "+rule)
			}
		}
	}
	slices.Sort(found)
	assert.Equal(t, []string{
		"backdoor diagnostics", "backdoor no-public-endpoint", "backdoor tags",
		"images allowed-regions", "images allowed-skus", "images diagnostics", "images no-admin-user", "images no-public-endpoint",
		"unwatched diagnostics",
	}, found)
	assert.Contains(t, message, "set adminUserEnabled to false", "the remedy")
	assert.Contains(t, message, "gridos-infra:policyWaivers in Pulumi.dev.yaml", "how to waive")
}

func TestEngine_AnUpdateWithoutPreviewCreatesNothingThatBreaksARule(t *testing.T) {
	e := newEngine(t, azure.Options{})
	p := guarded(t, offending)
	_, err := e.one(t.Context(), upOperation(nil), p)
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	t.Log(failure)
	all := strings.Join(failure.Messages, "\n")
	for _, rule := range []string{"no-public-endpoint: backdoor", "no-admin-user: images", "allowed-skus: images"} {
		assert.Contains(t, all, rule)
	}
	names := created(t, e, p)
	assert.Contains(t, names, "group")
	assert.NotContains(t, names, "images")
	assert.NotContains(t, names, "backdoor")
}

// created returns the names of the resources in the state of p.
func created(t *testing.T, e *Engine, p part) []string {
	t.Helper()
	state, err := askOne(t.Context(), e, p, readState)
	require.NoError(t, err)
	names := make([]string, len(state.Resources))
	for i, r := range state.Resources {
		names[i] = r.URN.Name()
	}
	return names
}

// watched has a security group with a diagnostic setting, and a registry that breaks one rule.
func watched(ctx *pulumi.Context, provider pulumi.ResourceOption) error {
	group, err := resources.NewResourceGroup(ctx, "group", &resources.ResourceGroupArgs{
		ResourceGroupName: pulumi.String("dev-rg"), Location: pulumi.String("westeurope"), Tags: goodTags(),
	}, provider)
	if err != nil {
		return err
	}
	workspace, err := workspaces.NewWorkspace(ctx, "logs", &workspaces.WorkspaceArgs{
		ResourceGroupName: group.Name, WorkspaceName: pulumi.String("dev-log"), Location: pulumi.String("westeurope"),
		Sku: workspaces.WorkspaceSkuArgs{Name: pulumi.String("PerGB2018")}, RetentionInDays: pulumi.Int(30), Tags: goodTags(),
	}, provider)
	if err != nil {
		return err
	}
	images, err := registry.NewRegistry(ctx, "images", &registry.RegistryArgs{
		ResourceGroupName: group.Name, RegistryName: pulumi.String("devimages"), Location: pulumi.String("westeurope"),
		Sku: registry.SkuArgs{Name: pulumi.String("Standard")}, AdminUserEnabled: pulumi.Bool(false), Tags: goodTags(),
	}, provider)
	if err != nil {
		return err
	}
	firewall, err := network.NewNetworkSecurityGroup(ctx, "firewall", &network.NetworkSecurityGroupArgs{
		ResourceGroupName: group.Name, NetworkSecurityGroupName: pulumi.String("dev-nsg"), Location: pulumi.String("westeurope"),
		Tags: goodTags(),
	}, provider)
	if err != nil {
		return err
	}
	for name, target := range map[string]pulumi.StringInput{
		"images-diagnostics": images.ID().ToStringOutput(), "firewall-diagnostics": firewall.ID().ToStringOutput(),
	} {
		if _, err := insights.NewDiagnosticSetting(ctx, name, &insights.DiagnosticSettingArgs{
			Name: pulumi.String("log-analytics"), ResourceUri: target, WorkspaceId: workspace.ID().ToStringOutput(),
			Logs: insights.LogSettingsArray{insights.LogSettingsArgs{
				CategoryGroup: pulumi.String("allLogs"), Enabled: pulumi.Bool(true),
			}},
		}, provider); err != nil {
			return err
		}
	}
	return nil
}

func waivers(list ...map[string]string) Overrides {
	return Overrides{stacks.Infra.Name: {"policyWaivers": append([]map[string]string{}, list...)}}
}

func TestEngine_AReasonedWaiverPassesWithAWarning(t *testing.T) {
	e := newEngine(t, azure.Options{})
	p := guarded(t, watched)
	_, err := e.one(t.Context(), previewOperation(waivers()), p)
	require.ErrorContains(t, err, "in 1 point\n", "the diagnostic settings are found at the first preview")
	require.ErrorContains(t, err, "no-public-endpoint: images (")

	const reason = "Standard has no firewall; pulls need a token of the directory"
	waived := waivers(map[string]string{"rule": "no-public-endpoint", "resource": "images", "reason": reason})
	for _, step := range []operation{previewOperation(waived), upOperation(waived), upOperation(waived)} {
		result, err := e.one(t.Context(), step, p)
		require.NoError(t, err)
		log, err := os.ReadFile(e.site.LogFile(p.Name + "-" + step.verb))
		require.NoError(t, err)
		assert.Contains(t, string(log), "the guardrail no-public-endpoint is waived for images (the registry is open to the Internet): "+reason)
		t.Log(step.verb, result.Summary())
	}
	result, err := e.one(t.Context(), previewOperation(waived), p)
	require.NoError(t, err)
	assert.Zero(t, result.Changed(), "the guardrails change nothing")

	// A transform must not lose these.
	state, err := askOne(t.Context(), e, p, readState)
	require.NoError(t, err)
	for _, r := range state.Resources {
		switch r.URN.Name() {
		case "images-diagnostics":
			require.Len(t, r.PropertyDependencies["resourceUri"], 1)
			assert.Equal(t, "images", r.PropertyDependencies["resourceUri"][0].Name())
			assert.Len(t, r.Dependencies, 2)
		case "images":
			assert.Len(t, r.PropertyDependencies["resourceGroupName"], 1)
		}
	}
}

func TestEngine_WaiversThatAreWrongAreMistakes(t *testing.T) {
	e := newEngine(t, azure.Options{})
	p := guarded(t, watched)
	wrong := waivers(
		map[string]string{"rule": "no-public-endpiont", "resource": "images", "reason": "a reason that is long enough"},
		map[string]string{"rule": "no-public-endpoint", "resource": "images", "reason": "because"},
	)
	_, err := e.one(t.Context(), previewOperation(wrong), p)
	require.ErrorContains(t, err, `gridos-infra:policyWaivers: "no-public-endpiont" is not a rule; use one of allowed-regions`)
	require.ErrorContains(t, err, `the waiver of no-public-endpoint for "images" gives no reason`)

	const reason = "a reason that is long enough"
	wrong = waivers(
		map[string]string{"rule": "no-public-endpoint", "resource": "images", "reason": reason},
		map[string]string{"rule": "tags", "resource": "image", "reason": reason},
		map[string]string{"rule": "tags", "resource": "group", "reason": reason},
	)
	_, err = e.one(t.Context(), previewOperation(wrong), p)
	require.ErrorContains(t, err, `waives tags for "image", but there is no such resource`)
	require.ErrorContains(t, err, `waives tags for "group", which keeps to it`)
}
