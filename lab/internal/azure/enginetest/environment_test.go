package enginetest

import (
	"fmt"
	"slices"
	"testing"

	authorization "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220401"
	containerregistry "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"
	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	postgres "github.com/pulumi/pulumi-azure-native-sdk/dbforpostgresql/v2/v20240801"
	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20210501preview"
	keyvault "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"
	managedidentity "github.com/pulumi/pulumi-azure-native-sdk/managedidentity/v2/v20230131"
	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	dns "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240601"
	operationalinsights "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20230901"
	resources "github.com/pulumi/pulumi-azure-native-sdk/resources/v2/v20240301"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// Ids of the environment's resources. The tests' programs write them as text, where real programs
// take them from outputs. So a mistake in them, or in the order of resources, is one line.
const (
	subscription      = "/subscriptions/" + azure.DefaultSubscriptionID
	groupID           = subscription + "/resourceGroups/rg"
	networkID         = groupID + "/providers/Microsoft.Network/virtualNetworks/vnet"
	nodesID           = networkID + "/subnets/nodes"
	appgwID           = networkID + "/subnets/appgw"
	postgresID        = networkID + "/subnets/postgres"
	endpointsID       = networkID + "/subnets/endpoints"
	nodesNSGID        = groupID + "/providers/Microsoft.Network/networkSecurityGroups/nodes-nsg"
	appgwNSGID        = groupID + "/providers/Microsoft.Network/networkSecurityGroups/appgw-nsg"
	postgresNSGID     = groupID + "/providers/Microsoft.Network/networkSecurityGroups/postgres-nsg"
	addressID         = groupID + "/providers/Microsoft.Network/publicIPAddresses/pip"
	policyID          = groupID + "/providers/Microsoft.Network/ApplicationGatewayWebApplicationFirewallPolicies/waf"
	gatewayID         = groupID + "/providers/Microsoft.Network/applicationGateways/agw"
	zoneName          = "dev.private.postgres.database.azure.com"
	endpointID        = groupID + "/providers/Microsoft.Network/privateEndpoints/vault-endpoint"
	vaultZoneName     = "privatelink.vaultcore.azure.net"
	vaultZoneID       = groupID + "/providers/Microsoft.Network/privateDnsZones/" + vaultZoneName
	gatewayIdentityID = groupID + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/agw-id"
	zoneID            = groupID + "/providers/Microsoft.Network/privateDnsZones/" + zoneName
	identityID        = groupID + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/aks-id"
	clusterID         = groupID + "/providers/Microsoft.ContainerService/managedClusters/gridos-aks"
	workspaceID       = groupID + "/providers/Microsoft.OperationalInsights/workspaces/gridos-log"
	registryID        = groupID + "/providers/Microsoft.ContainerRegistry/registries/gridosacr"
	vaultID           = groupID + "/providers/Microsoft.KeyVault/vaults/gridos-kv"
	serverID          = groupID + "/providers/Microsoft.DBforPostgreSQL/flexibleServers/gridos-pg"
)

// Built-in roles.
const (
	networkContributor = "4d97b98b-1d4f-4787-a291-c67834d212e7"
	acrPull            = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
	contributor        = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	secretsUser        = "4633458b-17de-408a-b874-0445c86b69e6"
	secretsOfficer     = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
)

const (
	region            = pulumi.String("westeurope")
	groupName         = pulumi.String("rg")
	postgresService   = "Microsoft.DBforPostgreSQL/flexibleServers"
	exchangeAudience  = "api://AzureADTokenExchange"
	kubeletIdentity   = "kubeletidentity"
	nodesRoleName     = "8f0c1c6e-0000-4000-8000-000000000001"
	pullRoleName      = "8f0c1c6e-0000-4000-8000-000000000002"
	secretsRoleName   = "8f0c1c6e-0000-4000-8000-000000000003"
	anotherRoleName   = "8f0c1c6e-0000-4000-8000-000000000004"
	gatewayRoleName   = "8f0c1c6e-0000-4000-8000-000000000005"
	nobodysPrincipal  = "8f0c1c6e-dead-4000-8000-000000000000"
	administratorName = "8f0c1c6e-beef-4000-8000-000000000000"
)

// environment holds the arguments of all resources of the platform, in a form that Azure accepts.
// If a test changes something inside of an argument, that inside has a field of its own.
type environment struct {
	group *resources.ResourceGroupArgs

	network               *network.VirtualNetworkArgs
	space                 *network.AddressSpaceArgs
	appgwNSG              *network.NetworkSecurityGroupArgs
	nodesNSG, postgresNSG *network.NetworkSecurityGroupArgs
	nodes                 *network.SubnetArgs
	appgw                 *network.SubnetArgs
	postgres              *network.SubnetArgs
	endpoints             *network.SubnetArgs
	address               *network.PublicIPAddressArgs
	policy                *network.WebApplicationFirewallPolicyArgs
	gateway               *network.ApplicationGatewayArgs
	gatewayIdentity       *managedidentity.UserAssignedIdentityArgs
	gatewayRole           *authorization.RoleAssignmentArgs // its principal is gatewayIdentity
	listener              *network.ApplicationGatewayHttpListenerArgs
	backend               *network.ApplicationGatewayBackendHttpSettingsArgs
	routing               *network.ApplicationGatewayRequestRoutingRuleArgs
	zone                  *dns.PrivateZoneArgs
	link                  *dns.VirtualNetworkLinkArgs
	workspace             *operationalinsights.WorkspaceArgs
	logs                  *insights.DiagnosticSettingArgs

	identity       *managedidentity.UserAssignedIdentityArgs
	nodesRole      *authorization.RoleAssignmentArgs // its principal is identity, unless it is set
	cluster        *containerservice.ManagedClusterArgs
	clusterNetwork *containerservice.ContainerServiceNetworkProfileArgs
	systemPool     *containerservice.ManagedClusterAgentPoolProfileArgs
	pool           *containerservice.AgentPoolArgs
	upkeep         *containerservice.MaintenanceConfigurationArgs
	window         *containerservice.MaintenanceWindowArgs
	registry       *containerregistry.RegistryArgs
	pullRole       *authorization.RoleAssignmentArgs                // its principal is the kubelet's, unless it is set
	credential     *managedidentity.FederatedIdentityCredentialArgs // its issuer is the cluster's, unless it is set

	vault           *keyvault.VaultArgs
	vaultProperties *keyvault.VaultPropertiesArgs
	secretsRole     *authorization.RoleAssignmentArgs
	secret          *keyvault.SecretArgs
	certificate     *keyvault.SecretArgs
	vaultZone       *dns.PrivateZoneArgs
	vaultLink       *dns.VirtualNetworkLinkArgs
	endpoint        *network.PrivateEndpointArgs
	connection      *network.PrivateLinkServiceConnectionArgs
	zoneGroup       *network.PrivateDnsZoneGroupArgs

	server        *postgres.ServerArgs
	serverNetwork *postgres.NetworkArgs
	serverBackup  *postgres.BackupTypeArgs
	database      *postgres.DatabaseArgs
	setting       *postgres.ConfigurationArgs
	administrator *postgres.AdministratorArgs

	// more are further resources of a test.
	more []part
	// first are resources of a test that come before the others and replace those of the same
	// names; needs is what other resources need of them.
	first []part
	needs map[string][]string
	// left are the properties, by the resource's name, whose changes the program ignores.
	left map[string][]string
}

func valid() *environment {
	e := &environment{
		group: &resources.ResourceGroupArgs{ResourceGroupName: groupName, Location: region},
		space: &network.AddressSpaceArgs{AddressPrefixes: pulumi.StringArray{pulumi.String("10.10.0.0/16")}},
		appgwNSG: &network.NetworkSecurityGroupArgs{
			ResourceGroupName: groupName, NetworkSecurityGroupName: pulumi.String("appgw-nsg"), Location: region,
			SecurityRules: network.SecurityRuleTypeArray{
				inbound("manager", 100, "Allow", "GatewayManager", "65200-65535"),
				inbound("balancer", 110, "Allow", "AzureLoadBalancer", "*"),
				inbound("web", 120, "Allow", "Internet", "443"),
			},
		},
		nodesNSG: &network.NetworkSecurityGroupArgs{
			ResourceGroupName: groupName, NetworkSecurityGroupName: pulumi.String("nodes-nsg"), Location: region,
			SecurityRules: network.SecurityRuleTypeArray{
				allTraffic("nodes", 100, "10.10.0.0/20", "10.10.0.0/20"), allTraffic("pods", 110, "10.10.0.0/20", "10.244.0.0/16"),
				allTraffic("overlay", 120, "10.244.0.0/16", "10.244.0.0/16"), allTraffic("probes", 130, "AzureLoadBalancer", "*"),
				inbound("closed", 4000, "Deny", "*", "*"),
			},
		},
		postgresNSG: &network.NetworkSecurityGroupArgs{
			ResourceGroupName: groupName, NetworkSecurityGroupName: pulumi.String("postgres-nsg"), Location: region,
			SecurityRules: network.SecurityRuleTypeArray{
				inbound("postgres", 100, "Allow", "VirtualNetwork", "5432"), inbound("closed", 4000, "Deny", "*", "*"),
			},
		},
		endpoints: subnet("endpoints", "10.10.18.0/24"),
		nodes:     subnet("nodes", "10.10.0.0/20"),
		appgw:     subnet("appgw", "10.10.16.0/24"),
		postgres:  subnet("postgres", "10.10.17.0/28"),
		address: &network.PublicIPAddressArgs{
			ResourceGroupName: groupName, PublicIpAddressName: pulumi.String("pip"), Location: region,
			Sku:                      network.PublicIPAddressSkuArgs{Name: pulumi.String("Standard")},
			PublicIPAllocationMethod: pulumi.String("Static"),
		},
		policy: &network.WebApplicationFirewallPolicyArgs{
			ResourceGroupName: groupName, PolicyName: pulumi.String("waf"), Location: region,
			PolicySettings: network.PolicySettingsArgs{State: pulumi.String("Enabled"), Mode: pulumi.String("Prevention")},
			ManagedRules: network.ManagedRulesDefinitionArgs{ManagedRuleSets: network.ManagedRuleSetArray{
				network.ManagedRuleSetArgs{
					RuleSetType: pulumi.String("Microsoft_DefaultRuleSet"), RuleSetVersion: pulumi.String("2.1"),
				},
			}},
		},
		gatewayIdentity: &managedidentity.UserAssignedIdentityArgs{
			ResourceGroupName: groupName, ResourceName: pulumi.String("agw-id"), Location: region,
		},
		gatewayRole: role(gatewayRoleName, vaultID, secretsUser),
		listener: &network.ApplicationGatewayHttpListenerArgs{
			Name: pulumi.String("https"), Protocol: pulumi.String("Https"),
			FrontendIPConfiguration: gatewayPart("frontendIPConfigurations", "public"),
			FrontendPort:            gatewayPart("frontendPorts", "https"),
			SslCertificate:          gatewayPart("sslCertificates", "site"),
		},
		backend: &network.ApplicationGatewayBackendHttpSettingsArgs{
			Name: pulumi.String("edge"), Port: pulumi.Int(80), Protocol: pulumi.String("Http"), Probe: gatewayPart("probes", "edge"),
		},
		routing: &network.ApplicationGatewayRequestRoutingRuleArgs{
			Name: pulumi.String("all"), RuleType: pulumi.String("Basic"), Priority: pulumi.Int(100),
			HttpListener:        gatewayPart("httpListeners", "https"),
			BackendAddressPool:  gatewayPart("backendAddressPools", "edge"),
			BackendHttpSettings: gatewayPart("backendHttpSettingsCollection", "edge"),
		},
		zone: &dns.PrivateZoneArgs{
			ResourceGroupName: groupName, PrivateZoneName: pulumi.String(zoneName), Location: pulumi.String("Global"),
		},
		link: &dns.VirtualNetworkLinkArgs{
			ResourceGroupName: groupName, PrivateZoneName: pulumi.String(zoneName), VirtualNetworkLinkName: pulumi.String("vnet"),
			Location: pulumi.String("Global"), RegistrationEnabled: pulumi.Bool(false),
			VirtualNetwork: dns.SubResourceArgs{Id: pulumi.String(networkID)},
		},
		workspace: &operationalinsights.WorkspaceArgs{
			ResourceGroupName: groupName, WorkspaceName: pulumi.String("gridos-log"), Location: region,
			Sku: operationalinsights.WorkspaceSkuArgs{Name: pulumi.String("PerGB2018")}, RetentionInDays: pulumi.Int(30),
		},
		logs: &insights.DiagnosticSettingArgs{
			Name: pulumi.String("logs"), ResourceUri: pulumi.String(networkID), WorkspaceId: pulumi.String(workspaceID),
			Logs: insights.LogSettingsArray{insights.LogSettingsArgs{
				CategoryGroup: pulumi.String("allLogs"), Enabled: pulumi.Bool(true),
			}},
		},
		identity: &managedidentity.UserAssignedIdentityArgs{
			ResourceGroupName: groupName, ResourceName: pulumi.String("aks-id"), Location: region,
		},
		nodesRole: role(nodesRoleName, networkID, networkContributor),
		clusterNetwork: &containerservice.ContainerServiceNetworkProfileArgs{
			NetworkPlugin: pulumi.String("azure"), NetworkPluginMode: pulumi.String("overlay"),
			PodCidr:     pulumi.String("10.244.0.0/16"),
			ServiceCidr: pulumi.String("10.96.0.0/16"), DnsServiceIP: pulumi.String("10.96.0.10"),
		},
		systemPool: &containerservice.ManagedClusterAgentPoolProfileArgs{
			Name: pulumi.String("system"), Mode: pulumi.String("System"), VmSize: pulumi.String("Standard_D4s_v5"),
			EnableAutoScaling: pulumi.Bool(true), Count: pulumi.Int(2), MinCount: pulumi.Int(2), MaxCount: pulumi.Int(3),
			AvailabilityZones: pulumi.ToStringArray([]string{"1", "2"}), VnetSubnetID: pulumi.String(nodesID),
		},
		pool: &containerservice.AgentPoolArgs{
			ResourceGroupName: groupName, ResourceName: pulumi.String("gridos-aks"), AgentPoolName: pulumi.String("user"),
			Mode: pulumi.String("User"), VmSize: pulumi.String("Standard_D4s_v5"), Count: pulumi.Int(2),
			VnetSubnetID: pulumi.String(nodesID),
		},
		window: &containerservice.MaintenanceWindowArgs{
			DurationHours: pulumi.Int(4), StartTime: pulumi.String("01:00"), UtcOffset: pulumi.String("+01:00"),
			Schedule: containerservice.ScheduleArgs{Weekly: containerservice.WeeklyScheduleArgs{
				DayOfWeek: pulumi.String("Sunday"), IntervalWeeks: pulumi.Int(1),
			}},
		},
		registry: &containerregistry.RegistryArgs{
			ResourceGroupName: groupName, RegistryName: pulumi.String("gridosacr"), Location: region,
			Sku: containerregistry.SkuArgs{Name: pulumi.String("Standard")},
		},
		pullRole: role(pullRoleName, registryID, acrPull),
		credential: &managedidentity.FederatedIdentityCredentialArgs{
			ResourceGroupName: groupName, ResourceName: pulumi.String("aks-id"),
			FederatedIdentityCredentialResourceName: pulumi.String("gridos"),
			Subject:                                 pulumi.String("system:serviceaccount:gridos:gridos"),
			Audiences:                               pulumi.ToStringArray([]string{exchangeAudience}),
		},
		vaultProperties: &keyvault.VaultPropertiesArgs{
			TenantId: pulumi.String(azure.DefaultTenantID), EnableRbacAuthorization: pulumi.Bool(true),
			Sku: keyvault.SkuArgs{Family: pulumi.String("A"), Name: keyvault.SkuNameStandard},
		},
		secretsRole: role(secretsRoleName, vaultID, secretsOfficer),
		secret: &keyvault.SecretArgs{
			ResourceGroupName: groupName, VaultName: pulumi.String("gridos-kv"), SecretName: pulumi.String("password"),
			Properties: keyvault.SecretPropertiesArgs{Value: pulumi.String("correct horse")},
		},
		certificate: &keyvault.SecretArgs{
			ResourceGroupName: groupName, VaultName: pulumi.String("gridos-kv"), SecretName: pulumi.String("site"),
			Properties: keyvault.SecretPropertiesArgs{Value: pulumi.String("a certificate with its key")},
		},
		vaultZone: &dns.PrivateZoneArgs{
			ResourceGroupName: groupName, PrivateZoneName: pulumi.String(vaultZoneName), Location: pulumi.String("Global"),
		},
		vaultLink: &dns.VirtualNetworkLinkArgs{
			ResourceGroupName: groupName, PrivateZoneName: pulumi.String(vaultZoneName), VirtualNetworkLinkName: pulumi.String("vnet"),
			Location: pulumi.String("Global"), RegistrationEnabled: pulumi.Bool(false),
			VirtualNetwork: dns.SubResourceArgs{Id: pulumi.String(networkID)},
		},
		connection: &network.PrivateLinkServiceConnectionArgs{
			Name: pulumi.String("vault"), PrivateLinkServiceId: pulumi.String(vaultID), GroupIds: pulumi.ToStringArray([]string{"vault"}),
		},
		zoneGroup: &network.PrivateDnsZoneGroupArgs{
			ResourceGroupName: groupName, PrivateEndpointName: pulumi.String("vault-endpoint"),
			PrivateDnsZoneGroupName: pulumi.String("default"), PrivateDnsZoneConfigs: inZone(vaultZoneID),
		},
		serverNetwork: &postgres.NetworkArgs{
			DelegatedSubnetResourceId: pulumi.String(postgresID), PrivateDnsZoneArmResourceId: pulumi.String(zoneID),
		},
		serverBackup: &postgres.BackupTypeArgs{
			BackupRetentionDays: pulumi.Int(7), GeoRedundantBackup: pulumi.String("Disabled"),
		},
		database: &postgres.DatabaseArgs{
			ResourceGroupName: groupName, ServerName: pulumi.String("gridos-pg"), DatabaseName: pulumi.String("gridos"),
			Charset: pulumi.String("UTF8"), Collation: pulumi.String("en_US.utf8"),
		},
		setting: &postgres.ConfigurationArgs{
			ResourceGroupName: groupName, ServerName: pulumi.String("gridos-pg"), ConfigurationName: pulumi.String("azure.extensions"),
			Value: pulumi.String("PGCRYPTO"), Source: pulumi.String("user-override"),
		},
		administrator: &postgres.AdministratorArgs{
			ResourceGroupName: groupName, ServerName: pulumi.String("gridos-pg"), ObjectId: pulumi.String(administratorName),
			PrincipalName: pulumi.String("operators"), PrincipalType: pulumi.String("Group"),
			TenantId: pulumi.String(azure.DefaultTenantID),
		},
	}
	e.appgw.NetworkSecurityGroup = network.NetworkSecurityGroupTypeArgs{Id: pulumi.String(appgwNSGID)}
	e.postgres.Delegations = delegatedTo(postgresService)
	e.nodes.NetworkSecurityGroup = network.NetworkSecurityGroupTypeArgs{Id: pulumi.String(nodesNSGID)}
	e.postgres.NetworkSecurityGroup = network.NetworkSecurityGroupTypeArgs{Id: pulumi.String(postgresNSGID)}
	e.endpoint = &network.PrivateEndpointArgs{
		ResourceGroupName: groupName, PrivateEndpointName: pulumi.String("vault-endpoint"), Location: region,
		Subnet:                        network.SubnetTypeArgs{Id: pulumi.String(endpointsID)},
		PrivateLinkServiceConnections: network.PrivateLinkServiceConnectionArray{e.connection},
	}
	e.upkeep = &containerservice.MaintenanceConfigurationArgs{
		ResourceGroupName: groupName, ResourceName: pulumi.String("gridos-aks"),
		ConfigName: pulumi.String("aksManagedAutoUpgradeSchedule"), MaintenanceWindow: e.window,
	}
	e.secretsRole.PrincipalId = pulumi.String(azure.DefaultObjectID)
	e.secretsRole.PrincipalType = pulumi.String("User")
	e.network = &network.VirtualNetworkArgs{
		ResourceGroupName: groupName, VirtualNetworkName: pulumi.String("vnet"), Location: region, AddressSpace: e.space,
	}
	e.gateway = &network.ApplicationGatewayArgs{
		ResourceGroupName: groupName, ApplicationGatewayName: pulumi.String("agw"), Location: region,
		Sku: network.ApplicationGatewaySkuArgs{Name: pulumi.String("WAF_v2"), Tier: pulumi.String("WAF_v2")},
		AutoscaleConfiguration: network.ApplicationGatewayAutoscaleConfigurationArgs{
			MinCapacity: pulumi.Int(1), MaxCapacity: pulumi.Int(2),
		},
		FirewallPolicy: network.SubResourceArgs{Id: pulumi.String(policyID)},
		SslPolicy: network.ApplicationGatewaySslPolicyArgs{
			PolicyType: pulumi.String("Predefined"), PolicyName: pulumi.String("AppGwSslPolicy20220101S"),
		},
		GatewayIPConfigurations: network.ApplicationGatewayIPConfigurationArray{network.ApplicationGatewayIPConfigurationArgs{
			Name: pulumi.String("ip"), Subnet: network.SubResourceArgs{Id: pulumi.String(appgwID)},
		}},
		FrontendIPConfigurations: network.ApplicationGatewayFrontendIPConfigurationArray{
			network.ApplicationGatewayFrontendIPConfigurationArgs{
				Name: pulumi.String("public"), PublicIPAddress: network.SubResourceArgs{Id: pulumi.String(addressID)},
			},
		},
		FrontendPorts: network.ApplicationGatewayFrontendPortArray{network.ApplicationGatewayFrontendPortArgs{
			Name: pulumi.String("https"), Port: pulumi.Int(443),
		}},
		BackendAddressPools: network.ApplicationGatewayBackendAddressPoolArray{
			network.ApplicationGatewayBackendAddressPoolArgs{Name: pulumi.String("edge")},
		},
		BackendHttpSettingsCollection: network.ApplicationGatewayBackendHttpSettingsArray{e.backend},
		Probes: network.ApplicationGatewayProbeArray{network.ApplicationGatewayProbeArgs{
			Name: pulumi.String("edge"), Protocol: pulumi.String("Http"), Host: pulumi.String("10.10.0.200"), Path: pulumi.String("/healthz"),
			Interval: pulumi.Int(10), Timeout: pulumi.Int(5), UnhealthyThreshold: pulumi.Int(3),
		}},
		Identity: network.ManagedServiceIdentityArgs{
			Type:                   network.ResourceIdentityTypeUserAssigned,
			UserAssignedIdentities: pulumi.ToStringArray([]string{gatewayIdentityID}),
		},
		SslCertificates:     fromVault("https://gridos-kv.vault.azure.net/secrets/site"),
		HttpListeners:       network.ApplicationGatewayHttpListenerArray{e.listener},
		RequestRoutingRules: network.ApplicationGatewayRequestRoutingRuleArray{e.routing},
	}
	e.cluster = &containerservice.ManagedClusterArgs{
		ResourceGroupName: groupName, ResourceName: pulumi.String("gridos-aks"), Location: region,
		DnsPrefix: pulumi.String("gridos"), KubernetesVersion: pulumi.String("1.35"),
		Sku: containerservice.ManagedClusterSKUArgs{Name: pulumi.String("Base"), Tier: pulumi.String("Standard")},
		Identity: containerservice.ManagedClusterIdentityArgs{
			Type:                   containerservice.ResourceIdentityTypeUserAssigned,
			UserAssignedIdentities: pulumi.ToStringArray([]string{identityID}),
		},
		DisableLocalAccounts: pulumi.Bool(true),
		AadProfile: containerservice.ManagedClusterAADProfileArgs{
			Managed: pulumi.Bool(true), EnableAzureRBAC: pulumi.Bool(true),
		},
		OidcIssuerProfile: containerservice.ManagedClusterOIDCIssuerProfileArgs{Enabled: pulumi.Bool(true)},
		SecurityProfile: containerservice.ManagedClusterSecurityProfileArgs{
			WorkloadIdentity: containerservice.ManagedClusterSecurityProfileWorkloadIdentityArgs{Enabled: pulumi.Bool(true)},
		},
		NetworkProfile:    e.clusterNetwork,
		AgentPoolProfiles: containerservice.ManagedClusterAgentPoolProfileArray{e.systemPool},
	}
	e.vault = &keyvault.VaultArgs{
		ResourceGroupName: groupName, VaultName: pulumi.String("gridos-kv"), Location: region, Properties: e.vaultProperties,
	}
	e.server = &postgres.ServerArgs{
		ResourceGroupName: groupName, ServerName: pulumi.String("gridos-pg"), Location: region, Version: pulumi.String("16"),
		Sku:                postgres.SkuArgs{Name: pulumi.String("Standard_D2ds_v5"), Tier: pulumi.String("GeneralPurpose")},
		Storage:            postgres.StorageArgs{StorageSizeGB: pulumi.Int(64)},
		AuthConfig:         postgres.AuthConfigArgs{ActiveDirectoryAuth: pulumi.String("Enabled"), PasswordAuth: pulumi.String("Enabled"), TenantId: pulumi.String(azure.DefaultTenantID)},
		AdministratorLogin: pulumi.String("gridos"), AdministratorLoginPassword: pulumi.String("Correct horse"),
		Backup: e.serverBackup, Network: e.serverNetwork,
	}
	return e
}

func subnet(name, prefix string) *network.SubnetArgs {
	return &network.SubnetArgs{
		ResourceGroupName: groupName, VirtualNetworkName: pulumi.String("vnet"), SubnetName: pulumi.String(name),
		AddressPrefix: pulumi.String(prefix),
	}
}

func delegatedTo(service string) network.DelegationArray {
	return network.DelegationArray{network.DelegationArgs{Name: pulumi.String("service"), ServiceName: pulumi.String(service)}}
}

// allTraffic allows everything from one range to another.
func allTraffic(name string, priority int, from, to string) network.SecurityRuleTypeArgs {
	all := securityRule(name, "Inbound", priority, "Allow", from, to, "*")
	all.Protocol = pulumi.String("*")
	return all
}

// fromVault returns the gateway's certificate.
func fromVault(url string) network.ApplicationGatewaySslCertificateArray {
	return network.ApplicationGatewaySslCertificateArray{network.ApplicationGatewaySslCertificateArgs{
		Name: pulumi.String("site"), KeyVaultSecretId: pulumi.String(url),
	}}
}

// inZone returns the configuration of a zone group for one zone.
func inZone(id string) network.PrivateDnsZoneConfigArray {
	return network.PrivateDnsZoneConfigArray{network.PrivateDnsZoneConfigArgs{
		Name: pulumi.String("vault"), PrivateDnsZoneId: pulumi.String(id),
	}}
}

func inbound(name string, priority int, access, source, ports string) network.SecurityRuleTypeArgs {
	return securityRule(name, "Inbound", priority, access, source, "*", ports)
}

func securityRule(name, direction string, priority int, access, source, destination, ports string) network.SecurityRuleTypeArgs {
	return network.SecurityRuleTypeArgs{
		Name: pulumi.String(name), Priority: pulumi.Int(priority), Access: pulumi.String(access),
		Direction: pulumi.String(direction), Protocol: pulumi.String("Tcp"),
		SourceAddressPrefix: pulumi.String(source), SourcePortRange: pulumi.String("*"),
		DestinationAddressPrefix: pulumi.String(destination), DestinationPortRange: pulumi.String(ports),
	}
}

// gatewayPart returns a reference to a part of the gateway.
func gatewayPart(collection, name string) network.SubResourceArgs {
	return network.SubResourceArgs{Id: pulumi.String(gatewayID + "/" + collection + "/" + name)}
}

func role(name, scope, definition string) *authorization.RoleAssignmentArgs {
	return &authorization.RoleAssignmentArgs{
		RoleAssignmentName: pulumi.String(name), Scope: pulumi.String(scope), PrincipalType: pulumi.String("ServicePrincipal"),
		RoleDefinitionId: pulumi.String(subscription + "/providers/Microsoft.Authorization/roleDefinitions/" + definition),
	}
}

// made has the resources that a program has registered, by name.
type made map[string]pulumi.Resource

// part is one resource of a program.
type part struct {
	name string
	// needs are parts that are registered with it, and before it. Parts in after come before it
	// only if they are registered anyway.
	needs, after []string
	// ignores are the properties whose changes the program ignores.
	ignores  []string
	register func(ctx *pulumi.Context, m made, options ...pulumi.ResourceOption) (pulumi.Resource, error)
}

// of returns a part whose arguments need no outputs.
func of[A any, R pulumi.Resource](
	name string, args *A, create func(*pulumi.Context, string, *A, ...pulumi.ResourceOption) (R, error), needs ...string,
) part {
	return part{name: name, needs: needs, register: func(
		ctx *pulumi.Context, _ made, options ...pulumi.ResourceOption,
	) (pulumi.Resource, error) {
		return create(ctx, name, args, options...)
	}}
}

// following adds parts that must come before this one, if they are registered: Azure takes one
// operation at a time on some owners.
func (p part) following(names ...string) part {
	p.after = names
	return p
}

// parts returns the resources of the environment in an order in which they can be registered.
func (e *environment) parts() []part {
	return append([]part{
		of("group", e.group, resources.NewResourceGroup),
		of("network", e.network, network.NewVirtualNetwork, "group"),
		of("nodes-nsg", e.nodesNSG, network.NewNetworkSecurityGroup, "group"),
		of("appgw-nsg", e.appgwNSG, network.NewNetworkSecurityGroup, "group"),
		of("postgres-nsg", e.postgresNSG, network.NewNetworkSecurityGroup, "group"),
		of("nodes", e.nodes, network.NewSubnet, "network", "nodes-nsg"),
		of("appgw", e.appgw, network.NewSubnet, "network", "appgw-nsg").following("nodes"),
		of("postgres", e.postgres, network.NewSubnet, "network", "postgres-nsg").following("nodes", "appgw"),
		of("endpoints", e.endpoints, network.NewSubnet, "network").following("nodes", "appgw", "postgres"),
		of("vault", e.vault, keyvault.NewVault, "group"),
		of("secrets-role", e.secretsRole, authorization.NewRoleAssignment, "vault"),
		of("secret", e.secret, keyvault.NewSecret, "vault", "secrets-role"),
		of("certificate", e.certificate, keyvault.NewSecret, "vault", "secrets-role"),
		of("vault-zone", e.vaultZone, dns.NewPrivateZone, "group"),
		of("vault-link", e.vaultLink, dns.NewVirtualNetworkLink, "vault-zone", "network"),
		of("vault-endpoint", e.endpoint, network.NewPrivateEndpoint, "vault", "endpoints").following("nodes", "appgw", "postgres"),
		of("zone-group", e.zoneGroup, network.NewPrivateDnsZoneGroup, "vault-endpoint", "vault-link"),
		of("address", e.address, network.NewPublicIPAddress, "group"),
		of("policy", e.policy, network.NewWebApplicationFirewallPolicy, "group"),
		of("gateway-identity", e.gatewayIdentity, managedidentity.NewUserAssignedIdentity, "group"),
		roleOf("gateway-role", e.gatewayRole, "gateway-identity", "vault"),
		of("gateway", e.gateway, network.NewApplicationGateway, "appgw", "address", "policy", "gateway-role", "certificate").
			following("nodes", "postgres", "endpoints"),
		of("zone", e.zone, dns.NewPrivateZone, "group"),
		of("link", e.link, dns.NewVirtualNetworkLink, "zone", "network"),
		of("workspace", e.workspace, operationalinsights.NewWorkspace, "group"),
		of("logs", e.logs, insights.NewDiagnosticSetting, "workspace", "network"),
		of("identity", e.identity, managedidentity.NewUserAssignedIdentity, "group"),
		roleOf("nodes-role", e.nodesRole, "identity", "network"),
		of("cluster", e.cluster, containerservice.NewManagedCluster, "nodes", "nodes-role").following("appgw", "postgres", "endpoints", "gateway"),
		of("pool", e.pool, containerservice.NewAgentPool, "cluster"),
		of("upkeep", e.upkeep, containerservice.NewMaintenanceConfiguration, "cluster").following("pool"),
		of("registry", e.registry, containerregistry.NewRegistry, "group"),
		{name: "pull-role", needs: []string{"registry", "cluster"}, register: e.registerPullRole},
		{name: "credential", needs: []string{"cluster"}, register: e.registerCredential},
		of("server", e.server, postgres.NewServer, "postgres", "link").following("nodes", "appgw", "endpoints"),
		of("database", e.database, postgres.NewDatabase, "server"),
		{name: "setting", needs: []string{"server"}, after: []string{"database"}, register: e.registerSetting},
		of("administrator", e.administrator, postgres.NewAdministrator, "server").following("database", "setting"),
	}, e.more...)
}

// roleOf returns an assignment to the principal of an identity, unless the arguments name another.
func roleOf(name string, args *authorization.RoleAssignmentArgs, identity string, needs ...string) part {
	return part{name: name, needs: append(needs, identity), register: func(
		ctx *pulumi.Context, m made, options ...pulumi.ResourceOption,
	) (pulumi.Resource, error) {
		complete := *args
		if complete.PrincipalId == nil {
			assigned, ok := m[identity].(*managedidentity.UserAssignedIdentity)
			if !ok {
				return nil, fmt.Errorf("%s is a %T", identity, m[identity])
			}
			complete.PrincipalId = assigned.PrincipalId
		}
		return authorization.NewRoleAssignment(ctx, name, &complete, options...)
	}}
}

func (e *environment) registerPullRole(ctx *pulumi.Context, m made, options ...pulumi.ResourceOption) (pulumi.Resource, error) {
	args := *e.pullRole
	if args.PrincipalId == nil {
		cluster, ok := m["cluster"].(*containerservice.ManagedCluster)
		if !ok {
			return nil, fmt.Errorf("cluster is a %T", m["cluster"])
		}
		args.PrincipalId = cluster.IdentityProfile.MapIndex(pulumi.String(kubeletIdentity)).ObjectId().Elem()
	}
	return authorization.NewRoleAssignment(ctx, "pull-role", &args, options...)
}

func (e *environment) registerCredential(ctx *pulumi.Context, m made, options ...pulumi.ResourceOption) (pulumi.Resource, error) {
	args := *e.credential
	if args.Issuer == nil {
		cluster, ok := m["cluster"].(*containerservice.ManagedCluster)
		if !ok {
			return nil, fmt.Errorf("cluster is a %T", m["cluster"])
		}
		args.Issuer = cluster.OidcIssuerProfile.IssuerURL().Elem()
	}
	return managedidentity.NewFederatedIdentityCredential(ctx, "credential", &args, options...)
}

func (e *environment) registerSetting(ctx *pulumi.Context, _ made, options ...pulumi.ResourceOption) (pulumi.Resource, error) {
	return postgres.NewConfiguration(ctx, "setting", e.setting, append(options, pulumi.RetainOnDelete(true))...)
}

// with adds resources together with their needs.
func (e *environment) with(parts ...part) *environment {
	e.more = append(e.more, parts...)
	return e
}

// leave makes the program ignore changes of a property of a resource.
func (e *environment) leave(name, property string) {
	if e.left == nil {
		e.left = map[string][]string{}
	}
	e.left[name] = append(e.left[name], property)
}

// everything names all resources of the valid environment.
func everything() []string {
	var names []string
	for _, p := range valid().parts() {
		names = append(names, p.name)
	}
	return names
}

// program registers the named resources and all that they need.
func (e *environment) program(goals ...string) pulumi.RunFunc {
	parts := e.parts()
	if len(e.first) > 0 {
		parts = slices.DeleteFunc(parts, func(p part) bool {
			return slices.ContainsFunc(e.first, func(f part) bool { return f.name == p.name })
		})
		parts = slices.Insert(parts, 1, e.first...) // after the group
	}
	for i := range parts {
		parts[i].ignores = e.left[parts[i].name]
		parts[i].needs = append(parts[i].needs, e.needs[parts[i].name]...)
	}
	wanted := map[string]bool{}
	for _, name := range goals {
		wanted[name] = true
	}
	for _, p := range slices.Backward(parts) { // a part needs only what is before it
		if wanted[p.name] {
			for _, name := range p.needs {
				wanted[name] = true
			}
		}
	}
	return register(slices.DeleteFunc(parts, func(p part) bool { return !wanted[p.name] }))
}

// only registers the named resources and nothing else, even if they need more.
func (e *environment) only(names ...string) pulumi.RunFunc {
	return register(slices.DeleteFunc(e.parts(), func(p part) bool { return !slices.Contains(names, p.name) }))
}

func register(parts []part) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		m := made{}
		for _, p := range parts {
			var first []pulumi.Resource
			for _, name := range slices.Concat(p.needs, p.after) {
				if r, ok := m[name]; ok {
					first = append(first, r)
				}
			}
			resource, err := p.register(ctx, m, pulumi.DependsOn(first), pulumi.IgnoreChanges(p.ignores))
			if err != nil {
				return err
			}
			m[p.name] = resource
		}
		return nil
	}
}

// TestEngine_TheValidEnvironmentComesUp: every other test changes one thing in this environment, so
// its result is due to that change.
func TestEngine_TheValidEnvironmentComesUp(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.preview(valid().program(everything()...)).accepted()
	up := l.up(valid().program(everything()...)).accepted()
	for _, name := range everything() {
		assert.Equal(t, apitype.OpCreate, up.ops[name], name)
	}
	require.Len(t, l.cloud.Inventory(), len(everything()))
	again := l.preview(valid().program(everything()...)).accepted()
	for _, name := range everything() {
		assert.Equal(t, apitype.OpSame, again.ops[name], name)
	}
	l.down().accepted()
	assert.Empty(t, l.cloud.Inventory())
}
