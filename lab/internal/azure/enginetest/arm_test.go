package enginetest

import (
	"strings"
	"testing"

	containerregistry "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"
	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	postgres "github.com/pulumi/pulumi-azure-native-sdk/dbforpostgresql/v2/v20240801"
	keyvault "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"
	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	resources "github.com/pulumi/pulumi-azure-native-sdk/resources/v2/v20240301"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// The rules of Azure Resource Manager for all types have no ids.

func TestEngine_ARM_TheResourceGroupExists(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().only("network")).refused(mistake{
		resource: "network", code: "ResourceGroupNotFound",
		says: []string{"Resource group 'rg' could not be found", "Create it first, and let '" + networkID + "' depend on it"},
	})
	require.Empty(t, l.cloud.Inventory())
}

func TestEngine_ARM_TheParentExists(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().only("group", "nodes-nsg", "nodes")).refused(mistake{
		resource: "nodes", code: "ParentResourceNotFound",
		says: []string{"the parent resource '" + networkID + "' is not found", "Create it first, and let this one depend on it"},
	})
	require.Len(t, l.cloud.Inventory(), 2)
}

func TestEngine_ARM_WhatIsReferredToExists(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().only("group", "network", "appgw")).refused(mistake{
		resource: "appgw", code: "InvalidResourceReference", property: "networkSecurityGroup.id",
		says: []string{"Resource '" + appgwNSGID + "' referenced by '" + appgwID + "' was not found", "Create it first, and take its id from there"},
	})
	require.Len(t, l.cloud.Inventory(), 2)
}

// If a program writes an id as text instead of taking it from the resource, the engine does not
// learn about the dependency.
func TestEngine_ARM_WhatIsInUseStays(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().program("appgw")).accepted()
	l.up(valid().only("group", "network", "appgw")).refused(mistake{
		resource: "appgw-nsg", code: "InUseNetworkSecurityGroupCannotBeDeleted",
		says: []string{"'" + appgwNSGID + "' is in use by " + appgwID + " and cannot be deleted", "Delete or change these first"},
	})
	require.Len(t, l.cloud.Inventory(), 4)
}

func TestEngine_ARM_AnIdExistsOnce(t *testing.T) {
	t.Parallel()
	e := valid().with(of("second", subnet("nodes", "10.10.64.0/24"), network.NewSubnet, "nodes"))
	upRefuses(t, e, mistake{
		code: "Conflict",
		says: []string{"cannot create already existing resource '" + nodesID + "'", "Import it, or delete it first"},
	}, "second")
}

func TestEngine_ARM_SomeNamesExistOnceInAllOfAzure(t *testing.T) {
	t.Parallel()
	e := valid()
	elsewhere := pulumi.String("other")
	registry, vault, server := *e.registry, *e.vault, *e.server
	registry.ResourceGroupName, vault.ResourceGroupName, server.ResourceGroupName = elsewhere, elsewhere, elsewhere
	server.Network = nil
	e.server.Network = nil
	e.with(
		of("other", &resources.ResourceGroupArgs{ResourceGroupName: elsewhere, Location: region}, resources.NewResourceGroup),
		of("other-registry", &registry, containerregistry.NewRegistry, "other", "registry"),
		of("other-vault", &vault, keyvault.NewVault, "other", "vault"),
		of("other-server", &server, postgres.NewServer, "other", "server"),
	)
	for goal, taken := range map[string]struct{ id, property string }{
		"other-registry": {registryID, "registryName"},
		"other-vault":    {vaultID, "vaultName"},
		"other-server":   {serverID, "serverName"},
	} {
		t.Run(goal, func(t *testing.T) {
			t.Parallel()
			upRefuses(t, e, mistake{
				code: "NameAlreadyInUse", property: taken.property,
				says: []string{"is already in use by '" + taken.id + "'", "it must be unique in all of Azure", "choose another one"},
			}, goal)
		})
	}
}

func TestEngine_ARM_ANetworkTakesOneOperationAtATime(t *testing.T) {
	t.Parallel()
	e := valid().with(
		of("first", subnet("first", "10.10.64.0/24"), network.NewSubnet, "network"),
		of("second", subnet("second", "10.10.65.0/24"), network.NewSubnet, "network"),
	)
	togetherRefuses(t, e, 0.15, "network", mistake{
		resource: "first or second", code: "AnotherOperationInProgress",
		says: []string{"'" + networkID + "' is busy with", "Chain the operations on a virtual network and its subnets with DependsOn"},
	}, "first", "second")
}

func TestEngine_ARM_AClusterTakesOneOperationAtATime(t *testing.T) {
	t.Parallel()
	e := valid()
	second := *e.pool
	second.AgentPoolName = pulumi.String("second")
	e.with(of("second", &second, containerservice.NewAgentPool, "cluster"))
	togetherRefuses(t, e, 0.005, "cluster", mistake{
		resource: "pool or second", code: "OperationNotAllowed",
		says: []string{"'" + clusterID + "' is busy with", "Chain the agent pools of a cluster with DependsOn"},
	}, "pool", "second")
}

func TestEngine_ARM_SomePropertiesAreFrozen(t *testing.T) {
	t.Parallel()
	e := valid()
	e.pool.MaxPods = pulumi.Int(50)
	thenPreviewRefuses(t, e, mistake{
		code: "PropertyChangeNotAllowed", property: "maxPods",
		says: []string{"Changing property 'maxPods' of '" + clusterID + "/agentPools/user' is not allowed", "create a new pool with the other limit"},
	}, "pool")
}

func TestEngine_ARM_ASubnetInUseKeepsItsRange(t *testing.T) {
	t.Parallel()
	e := valid()
	e.nodes.AddressPrefix = pulumi.String("10.10.0.0/21")
	thenPreviewRefuses(t, e, mistake{
		resource: "nodes", code: "InUsePrefixCannotBeDeleted", property: "addressPrefix",
		says: []string{"'" + nodesID + "' cannot be changed while it is in use by " + clusterID, "move what uses it to another subnet first"},
	}, "cluster")
}

func TestEngine_ARM_BuiltInsGoWithTheirParent(t *testing.T) {
	t.Parallel()
	e := valid().with(of("removable", valid().setting, postgres.NewConfiguration, "server"))
	l := open(t, azure.Options{})
	l.up(e.program("removable")).accepted()
	l.up(e.program("server")).refused(mistake{
		resource: "removable", code: "MethodNotAllowed",
		says: []string{"cannot be deleted: server parameters exist as long as their server", "Set the resource option RetainOnDelete"},
	})
}

func TestEngine_ARM_UnknownTypesAreErrors(t *testing.T) {
	t.Parallel()
	e := valid().with(of("webhook", &containerregistry.WebhookArgs{
		ResourceGroupName: groupName, RegistryName: pulumi.String("gridosacr"), WebhookName: pulumi.String("pushed"),
		ServiceUri: pulumi.String("https://example.com"), Actions: pulumi.ToStringArray([]string{"push"}),
	}, containerregistry.NewWebhook, "registry"))
	previewRefuses(t, e, "webhook", mistake{says: []string{
		`the simulated Azure has no resource type "azure-native:containerregistry/v20230701:Webhook"`,
		"add it to the table in lab/internal/azure",
	}})
}

func untyped(token string, properties pulumi.Map, into pulumi.CustomResource) part {
	return part{name: "untyped", needs: []string{"group"}, register: func(
		ctx *pulumi.Context, _ made, options ...pulumi.ResourceOption,
	) (pulumi.Resource, error) {
		return into, ctx.RegisterResource(token, "untyped", properties, into, options...)
	}}
}

// The typed SDK cannot send these; a transform, or a program in YAML, can.
func TestEngine_ARM_UnknownPropertiesAreErrors(t *testing.T) {
	t.Parallel()
	e := valid().with(untyped("azure-native:network/v20240501:VirtualNetwork", pulumi.Map{
		"resourceGroupName": groupName, "virtualNetworkName": pulumi.String("vnet"),
		"addressSpace": pulumi.Map{"addressPrefix": pulumi.String("10.10.0.0/16")},
	}, &network.VirtualNetwork{}))
	previewRefuses(t, e, "untyped", mistake{says: []string{
		"addressSpace.addressPrefix is no property of AddressSpace", "it has addressPrefixes",
	}})
}

func TestEngine_ARM_PropertiesHaveTypes(t *testing.T) {
	t.Parallel()
	e := valid().with(untyped("azure-native:network/v20240501:VirtualNetwork", pulumi.Map{
		"resourceGroupName": groupName, "virtualNetworkName": pulumi.String("vnet"),
		"addressSpace": pulumi.String("10.10.0.0/16"),
	}, &network.VirtualNetwork{}))
	previewRefuses(t, e, "untyped", mistake{says: []string{"addressSpace is a string", "it must be an object"}})
}

// The typed SDK sends empty texts for a required object that a program leaves out.
func TestEngine_ARM_RequiredPropertiesAreThere(t *testing.T) {
	t.Parallel()
	e := valid()
	e.vaultProperties.Sku = nil
	previewRefuses(t, e, "vault", mistake{says: []string{"properties.sku.family is empty; it is required"}})
}

// azure-native makes up a missing name, and the program could not find the resource again.
func TestEngine_ARM_NamesAreWrittenOut(t *testing.T) {
	t.Parallel()
	e := valid()
	e.network.VirtualNetworkName = nil
	previewRefuses(t, e, "network", mistake{says: []string{
		"virtualNetworkName is missing", "set it, or azure-native would make up a name with a random suffix",
	}})
}

func TestEngine_ARM_SecurityRulesHavePrioritiesOfTheirOwn(t *testing.T) {
	t.Parallel()
	e := valid()
	e.appgwNSG.SecurityRules = network.SecurityRuleTypeArray{
		inbound("one", 100, "Allow", "Internet", "443"), inbound("two", 100, "Allow", "Internet", "80"),
	}
	previewRefuses(t, e, "appgw-nsg", mistake{
		code: "SecurityRuleInvalidPriority", property: "securityRules[1].priority",
		says: []string{"security rules 'one' and 'two' have the same priority and direction (Inbound 100)", "each needs its own"},
	})
}

func TestEngine_ARM_SecurityRulesNamePortsAndRanges(t *testing.T) {
	t.Parallel()
	ports, ranges := valid(), valid()
	ports.appgwNSG.SecurityRules = network.SecurityRuleTypeArray{inbound("web", 100, "Allow", "Internet", "80,443")}
	ranges.appgwNSG.SecurityRules = network.SecurityRuleTypeArray{inbound("web", 100, "Allow", "203.0.113.7/24", "443")}

	previewRefuses(t, ports, "appgw-nsg", mistake{
		code: "SecurityRuleInvalidPortRange", property: "securityRules[0].destinationPortRange",
		says: []string{"Security rule has invalid Port range. Value provided: 80,443", "Value should be an integer OR integer range"},
	})
	previewRefuses(t, ranges, "appgw-nsg", mistake{
		code: "SecurityRuleInvalidAddressPrefix", property: "securityRules[0].sourceAddressPrefix",
		says: []string{"Security rule 'web' has invalid Address prefix. Value provided: 203.0.113.7/24", "use an address, a range"},
	})
}

func TestEngine_ARM_TagsHaveLimits(t *testing.T) {
	t.Parallel()
	e := valid()
	e.group.Tags = pulumi.StringMap{"owner": pulumi.String(strings.Repeat("a", 257))}
	previewRefuses(t, e, "group", mistake{
		code: "InvalidTags", property: "tags", says: []string{"the value of the tag 'owner' has 257 characters; it can have 256"},
	})
}

func TestEngine_ARM_AutoscaledPoolsSayHowMany(t *testing.T) {
	t.Parallel()
	e := valid()
	e.systemPool.Count = nil
	previewRefuses(t, e, "cluster", mistake{
		code: "InvalidParameter", property: "agentPoolProfiles[0].count",
		says: []string{"count is missing", "set it, even with autoscaling"},
	})
}

// All mistakes of a resource are reported at once, so that a user does not find them one by one.
func TestEngine_ARM_AllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.Storage = postgres.StorageArgs{StorageSizeGB: pulumi.Int(100)}
	e.serverBackup.BackupRetentionDays = pulumi.Int(3)
	e.server.AdministratorLogin = pulumi.String("admin")
	o := open(t, azure.Options{}).preview(e.program("server"))
	require.Error(t, o.err)
	for _, rule := range []string{"Target=storage.storageSizeGB (rule P2)", "Target=backup.backupRetentionDays (rule P2)", "Target=administratorLogin (rule P3)"} {
		assert.Contains(t, o.printed, rule)
	}
}

func TestEngine_ARM_ReferencesAreToTheRightType(t *testing.T) {
	t.Parallel()
	e := valid()
	e.appgw.NetworkSecurityGroup = network.NetworkSecurityGroupTypeArgs{Id: pulumi.String(addressID)}
	upRefuses(t, e, mistake{
		code: "LinkedInvalidPropertyId", property: "networkSecurityGroup.id",
		says: []string{
			"'" + addressID + "' is a Microsoft.Network/publicIPAddresses", "takes a Microsoft.Network/networkSecurityGroups", "Refer to one",
		},
	}, "address", "appgw")
}
