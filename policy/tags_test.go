package policy

import (
	"reflect"
	"slices"
	"testing"

	locks "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20200501"
	authorization "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220401"
	policies "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220601"
	consumption "github.com/pulumi/pulumi-azure-native-sdk/consumption/v2/v20240801"
	containerregistry "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"
	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	dbforpostgresql "github.com/pulumi/pulumi-azure-native-sdk/dbforpostgresql/v2/v20240801"
	metrics "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20180301"
	activity "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20201001"
	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20210501preview"
	groups "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20230101"
	collection "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20230311"
	keyvault "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"
	managedidentity "github.com/pulumi/pulumi-azure-native-sdk/managedidentity/v2/v20230131"
	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	dns "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240601"
	queries "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20190901"
	operationalinsights "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20230901"
	resources "github.com/pulumi/pulumi-azure-native-sdk/resources/v2/v20240301"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
)

// The SDK is generated from Azure's own descriptions: the arguments of a type say whether it has
// tags.
func TestUnit_WhichTypesHaveTagsIsWhatTheSDKSays(t *testing.T) {
	t.Parallel()
	assert.True(t, slices.IsSorted(untaggable))
	known := map[string]any{
		"authorization:ManagementLockByScope":         locks.ManagementLockByScopeArgs{},
		"authorization:PolicyAssignment":              policies.PolicyAssignmentArgs{},
		"authorization:RoleAssignment":                authorization.RoleAssignmentArgs{},
		"consumption:Budget":                          consumption.BudgetArgs{},
		"containerregistry:CacheRule":                 containerregistry.CacheRuleArgs{},
		"containerregistry:Registry":                  containerregistry.RegistryArgs{},
		"containerregistry:ScopeMap":                  containerregistry.ScopeMapArgs{},
		"containerregistry:Token":                     containerregistry.TokenArgs{},
		"containerservice:AgentPool":                  containerservice.AgentPoolArgs{},
		"containerservice:MaintenanceConfiguration":   containerservice.MaintenanceConfigurationArgs{},
		"containerservice:ManagedCluster":             containerservice.ManagedClusterArgs{},
		"dbforpostgresql:Administrator":               dbforpostgresql.AdministratorArgs{},
		"dbforpostgresql:Configuration":               dbforpostgresql.ConfigurationArgs{},
		"dbforpostgresql:Database":                    dbforpostgresql.DatabaseArgs{},
		"dbforpostgresql:FirewallRule":                dbforpostgresql.FirewallRuleArgs{},
		"dbforpostgresql:Server":                      dbforpostgresql.ServerArgs{},
		"dbforpostgresql:VirtualEndpoint":             dbforpostgresql.VirtualEndpointArgs{},
		"insights:ActionGroup":                        groups.ActionGroupArgs{},
		"insights:ActivityLogAlert":                   activity.ActivityLogAlertArgs{},
		"insights:DataCollectionEndpoint":             collection.DataCollectionEndpointArgs{},
		"insights:DataCollectionRule":                 collection.DataCollectionRuleArgs{},
		"insights:DataCollectionRuleAssociation":      collection.DataCollectionRuleAssociationArgs{},
		"insights:DiagnosticSetting":                  insights.DiagnosticSettingArgs{},
		"insights:MetricAlert":                        metrics.MetricAlertArgs{},
		"keyvault:Secret":                             keyvault.SecretArgs{},
		"keyvault:Vault":                              keyvault.VaultArgs{},
		"managedidentity:FederatedIdentityCredential": managedidentity.FederatedIdentityCredentialArgs{},
		"managedidentity:UserAssignedIdentity":        managedidentity.UserAssignedIdentityArgs{},
		"network:ApplicationGateway":                  network.ApplicationGatewayArgs{},
		"network:NetworkSecurityGroup":                network.NetworkSecurityGroupArgs{},
		"network:PrivateDnsZoneGroup":                 network.PrivateDnsZoneGroupArgs{},
		"network:PrivateEndpoint":                     network.PrivateEndpointArgs{},
		"network:PrivateRecordSet":                    dns.PrivateRecordSetArgs{},
		"network:PrivateZone":                         dns.PrivateZoneArgs{},
		"network:PublicIPAddress":                     network.PublicIPAddressArgs{},
		"network:Route":                               network.RouteArgs{},
		"network:SecurityRule":                        network.SecurityRuleArgs{},
		"network:Subnet":                              network.SubnetArgs{},
		"network:VirtualNetwork":                      network.VirtualNetworkArgs{},
		"network:VirtualNetworkLink":                  dns.VirtualNetworkLinkArgs{},
		"network:VirtualNetworkPeering":               network.VirtualNetworkPeeringArgs{},
		"network:WebApplicationFirewallPolicy":        network.WebApplicationFirewallPolicyArgs{},
		"operationalinsights:Query":                   queries.QueryArgs{},
		"operationalinsights:QueryPack":               queries.QueryPackArgs{},
		"operationalinsights:Workspace":               operationalinsights.WorkspaceArgs{},
		"resources:ResourceGroup":                     resources.ResourceGroupArgs{},
	}
	for kind, args := range known {
		field, has := reflect.TypeOf(args).FieldByName("Tags")
		has = has && field.Type == reflect.TypeFor[pulumi.StringMapInput]()
		assert.Equal(t, has, !slices.Contains(untaggable, kind), "%s has tags: %v", kind, has)
	}
	for _, kind := range untaggable {
		assert.Contains(t, known, kind, "no test says whether the type has tags")
	}
}
