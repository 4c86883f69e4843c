package enginetest

import (
	"strings"
	"testing"
	"time"

	postgres "github.com/pulumi/pulumi-azure-native-sdk/dbforpostgresql/v2/v20240801"
	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	dns "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240601"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

func TestEngine_N1_SubnetsDoNotOverlap(t *testing.T) {
	t.Parallel()
	e := valid()
	e.appgw.AddressPrefix = pulumi.String("10.10.8.0/24")
	upRefuses(t, e, mistake{
		rule: "N1", code: "NetcfgSubnetRangesOverlap", property: "addressPrefix",
		says: []string{"(10.10.8.0/24) overlaps with subnet '" + nodesID + "'", "give it a range of its own"},
	}, "nodes", "appgw")
}

func TestEngine_N1_SubnetsLieInsideTheNetwork(t *testing.T) {
	t.Parallel()
	e := valid()
	e.nodes.AddressPrefix = pulumi.String("10.11.0.0/20")
	upRefuses(t, e, mistake{
		rule: "N1", code: "NetcfgSubnetRangesOverlap", property: "addressPrefix",
		says: []string{"Subnet '" + nodesID + "' (10.11.0.0/20) is outside of the address space 10.10.0.0/16"},
	}, "nodes")
}

func TestEngine_N1_TheNetworkKeepsRoomForItsSubnets(t *testing.T) {
	t.Parallel()
	e := valid()
	e.space.AddressPrefixes = pulumi.StringArray{pulumi.String("10.10.128.0/17")}
	thenPreviewRefuses(t, e, mistake{
		resource: "network", rule: "N1", code: "NetcfgSubnetRangeOutsideVnet", property: "addressSpace",
		says: []string{nodesID, "would be outside of the address space", "keep its range or delete it first"},
	}, "nodes")
}

// Node labels have at most 63 characters, and AKS makes some of these names.
func TestEngine_N1_NamesBecomeNodeLabels(t *testing.T) {
	t.Parallel()
	long := pulumi.String("a" + strings.Repeat("0", 63))
	for goal, property := range map[string]string{
		"group": "resourceGroupName", "network": "virtualNetworkName", "nodes": "subnetName",
	} {
		t.Run(goal, func(t *testing.T) {
			t.Parallel()
			e := valid()
			switch goal {
			case "group":
				e.group.ResourceGroupName = long
			case "network":
				e.network.VirtualNetworkName = long
			case "nodes":
				e.nodes.SubnetName = long
			}
			previewRefuses(t, e, goal, mistake{
				rule: "N1", code: invalidName, property: property,
				says: []string{"Resource name '" + string(long) + "' is invalid", "use 1 to 63 letters"},
			})
		})
	}
}

// Azure keeps five addresses of each subnet.
func TestEngine_N1_SubnetsAreLargeEnough(t *testing.T) {
	t.Parallel()
	e := valid()
	e.endpoints.AddressPrefix = pulumi.String("10.10.18.0/30")
	previewRefuses(t, e, "endpoints", mistake{
		rule: "N1", code: "NetcfgInvalidSubnet", property: "addressPrefix",
		says: []string{"Subnet 'endpoints' is not valid: 10.10.18.0/30 is too small", "the smallest subnet is /29"},
	})
}

func TestEngine_N1_SomeRangesAreAzures(t *testing.T) {
	t.Parallel()
	e := valid()
	e.space.AddressPrefixes = pulumi.ToStringArray([]string{"10.10.0.0/16", "127.0.0.0/16"})
	previewRefuses(t, e, "network", mistake{
		rule: "N1", code: "ReservedAddressPrefix", property: "addressSpace.addressPrefixes[1]",
		says: []string{"127.0.0.0/16 overlaps with 127.0.0.0/8, which is for loopback", "choose another range"},
	})
}

func inSubnet(id string) network.ApplicationGatewayIPConfigurationArray {
	return network.ApplicationGatewayIPConfigurationArray{network.ApplicationGatewayIPConfigurationArgs{
		Name: pulumi.String("ip"), Subnet: network.SubResourceArgs{Id: pulumi.String(id)},
	}}
}

func TestEngine_N2_AGatewayHasItsSubnetAlone(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.GatewayIPConfigurations = inSubnet(postgresID)
	e.postgres.NetworkSecurityGroup = nil // its rules are not for gateways
	upRefuses(t, e, mistake{
		rule: "N2", code: "ApplicationGatewaySubnetCannotBeUsedByOtherResources", property: "gatewayIPConfigurations[0]",
		says: []string{"subnet '" + postgresID + "' is delegated to " + postgresService, "use a subnet for gateways"},
	}, "postgres", "gateway")
}

func TestEngine_N2_NodesStayOutOfTheGatewaysSubnet(t *testing.T) {
	t.Parallel()
	e := valid()
	e.systemPool.VnetSubnetID = pulumi.String(appgwID)
	upRefuses(t, e, mistake{
		rule: "N2/N4", code: "SubnetIsDelegated", property: "vnetSubnetID",
		says: []string{"subnet '" + appgwID + "' is used by", gatewayID, "give the gateway a subnet of its own"},
	}, "gateway", "cluster")
}

const managementBlocked = "ApplicationGatewaySubnetInboundTrafficBlockedByNetworkSecurityGroup"

func TestEngine_N3_GatewayManagerMustGetIn(t *testing.T) {
	t.Parallel()
	e := valid()
	e.appgwNSG.SecurityRules = network.SecurityRuleTypeArray{inbound("web", 120, "Allow", "Internet", "443")}
	upRefuses(t, e, mistake{
		rule: "N3", code: managementBlocked, property: "networkSecurityGroup",
		says: []string{"subnet '" + appgwID + "'", appgwNSGID, "Allow inbound TCP 65200-65535 from GatewayManager"},
	}, "gateway")
}

func TestEngine_N3_ProbesMustGetIn(t *testing.T) {
	t.Parallel()
	e := valid()
	e.appgwNSG.SecurityRules = network.SecurityRuleTypeArray{
		inbound("manager", 100, "Allow", "GatewayManager", "65200-65535"),
		inbound("closed", 110, "Deny", "AzureLoadBalancer", "*"),
	}
	upRefuses(t, e, mistake{
		rule: "N3", code: managementBlocked, property: "networkSecurityGroup",
		says: []string{appgwNSGID, "denies AzureLoadBalancer by rule 'closed'", "Allow inbound traffic from AzureLoadBalancer before it"},
	}, "gateway")
}

func TestEngine_N3_ALiveGatewayIsNotCutOff(t *testing.T) {
	t.Parallel()
	e := valid()
	e.appgwNSG.SecurityRules = network.SecurityRuleTypeArray{inbound("web", 120, "Allow", "Internet", "443")}
	thenRefuses(t, e, mistake{
		resource: "appgw-nsg", rule: "N3", code: managementBlocked, property: "networkSecurityGroup",
		says: []string{appgwNSGID, "Allow inbound TCP 65200-65535 from GatewayManager"},
	}, "gateway")
}

const badServerSubnet = "InvalidSubnetForFlexibleServer"

func TestEngine_N4_TheSubnetIsDelegated(t *testing.T) {
	t.Parallel()
	e := valid()
	e.postgres.Delegations = nil
	upRefuses(t, e, mistake{
		rule: "N4", code: badServerSubnet, property: "network.delegatedSubnetResourceId",
		says: []string{"subnet '" + postgresID + "' is delegated to ''", "delegate it to " + postgresService},
	}, "server")
}

func TestEngine_N4_TheSubnetIsLargeEnough(t *testing.T) {
	t.Parallel()
	e := valid()
	e.postgres.AddressPrefix = pulumi.String("10.10.17.0/29")
	upRefuses(t, e, mistake{
		rule: "N4", code: badServerSubnet, property: "network.delegatedSubnetResourceId",
		says: []string{"(10.10.17.0/29) is too small", "it must be /28 or larger"},
	}, "server")
}

func TestEngine_N4_NodesStayOutOfTheServersSubnet(t *testing.T) {
	t.Parallel()
	e := valid()
	e.systemPool.VnetSubnetID = pulumi.String(postgresID)
	e.postgres.NetworkSecurityGroup = nil // its rules are not for nodes
	upRefuses(t, e, mistake{
		rule: "N2/N4", code: "SubnetIsDelegated", property: "vnetSubnetID",
		says: []string{"subnet '" + postgresID + "' is delegated to " + postgresService, "use a subnet for nodes"},
	}, "postgres", "cluster")
}

func TestEngine_N5_PrivateDNSIsGlobal(t *testing.T) {
	t.Parallel()
	e := valid()
	e.zone.Location = region
	previewRefuses(t, e, "zone", mistake{
		rule: "N5", code: "LocationNotAvailableForResourceType", property: "location",
		says: []string{"the location of private DNS is 'westeurope'", "set it to Global"},
	})
}

func TestEngine_N5_TheZoneIsPostgreSQLs(t *testing.T) {
	t.Parallel()
	e := valid()
	e.serverNetwork.PrivateDnsZoneArmResourceId = pulumi.String(strings.ReplaceAll(zoneID, zoneName, "gridos.example.com"))
	previewRefuses(t, e, "server", mistake{
		rule: "N5", code: "InvalidPrivateDnsZoneName", property: "network.privateDnsZoneArmResourceId",
		says: []string{"'gridos.example.com' must end with .postgres.database.azure.com", "use <name>.private.postgres.database.azure.com"},
	})
}

func TestEngine_N5_TheZoneIsNotTheServersName(t *testing.T) {
	t.Parallel()
	e := valid()
	e.serverNetwork.PrivateDnsZoneArmResourceId = pulumi.String(
		strings.ReplaceAll(zoneID, zoneName, "gridos-pg.postgres.database.azure.com"))
	previewRefuses(t, e, "server", mistake{
		rule: "N5", code: "InvalidPrivateDnsZoneName", property: "network.privateDnsZoneArmResourceId",
		says: []string{"has the name of the server itself", "use <name>.private.postgres.database.azure.com"},
	})
}

func TestEngine_N5_TheZoneIsLinkedFirst(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().only("group", "network", "postgres-nsg", "postgres", "zone", "server")).refused(mistake{
		resource: "server", rule: "N5", code: "PrivateDnsZoneNotLinked", property: "network.privateDnsZoneArmResourceId",
		says: []string{"'" + zoneID + "' is not linked to '" + networkID + "'", "Create the VirtualNetworkLink first"},
	})
}

func TestEngine_N6_OverlayBelongsToAzuresPlugin(t *testing.T) {
	t.Parallel()
	e := valid()
	e.clusterNetwork.NetworkPlugin = pulumi.String("kubenet")
	previewRefuses(t, e, "cluster", mistake{
		rule: "N6", code: "InvalidNetworkProfile", property: "networkProfile.networkPlugin",
		says: []string{"networkPluginMode overlay needs networkPlugin azure, not 'kubenet'"},
	})
}

func TestEngine_N6_PodsHaveARangeOfTheirOwn(t *testing.T) {
	t.Parallel()
	e := valid()
	e.clusterNetwork.PodCidr = pulumi.String("10.10.0.0/16")
	e.nodesNSG.SecurityRules = nil // they are for the other range
	upRefuses(t, e, mistake{
		rule: "N6/N7", code: "ServiceCidrOverlapExistingSubnetsCidr", property: "networkProfile.podCidr",
		says: []string{"podCidr 10.10.0.0/16 overlaps with the address space 10.10.0.0/16 of '" + networkID + "'", "choose another range"},
	}, "cluster")
}

func TestEngine_N6_EachNodeTakesARange(t *testing.T) {
	t.Parallel()
	e := valid()
	e.clusterNetwork.PodCidr = pulumi.String("10.244.0.0/22") // four ranges of /24, for three nodes and two
	upRefuses(t, e, mistake{
		rule: "N6", code: "InsufficientPodCidr", property: "maxCount",
		says: []string{"podCidr 10.244.0.0/22 is too small for 5 nodes", "enlarge it or lower the maximum of nodes"},
	}, "pool")
}

func TestEngine_N6_PodsPerNode(t *testing.T) {
	t.Parallel()
	e := valid()
	e.pool.MaxPods = pulumi.Int(251)
	previewRefuses(t, e, "pool", mistake{
		rule: "N6", code: "InvalidParameter", property: "maxPods", says: []string{"maxPods is 251", "use 10 to 250"},
	})
}

func TestEngine_N7_ServicesAreFewerThanASlash12(t *testing.T) {
	t.Parallel()
	e := valid()
	e.clusterNetwork.ServiceCidr = pulumi.String("10.96.0.0/12")
	previewRefuses(t, e, "cluster", mistake{
		rule: "N7", code: "InvalidServiceCidr", property: "networkProfile.serviceCidr",
		says: []string{"serviceCidr 10.96.0.0/12 is too large", "it must be smaller than /12"},
	})
}

func TestEngine_N7_DNSIsNotTheFirstAddress(t *testing.T) {
	t.Parallel()
	e := valid()
	e.clusterNetwork.DnsServiceIP = pulumi.String("10.96.0.1")
	previewRefuses(t, e, "cluster", mistake{
		rule: "N7", code: "InvalidServiceCidr", property: "networkProfile.dnsServiceIP",
		says: []string{"dnsServiceIP 10.96.0.1 must be an address in serviceCidr 10.96.0.0/16, and not its first"},
	})
}

func TestEngine_N7_ServicesOverlapNothing(t *testing.T) {
	t.Parallel()
	e := valid()
	e.clusterNetwork.ServiceCidr, e.clusterNetwork.DnsServiceIP = pulumi.String("10.10.128.0/20"), pulumi.String("10.10.128.10")
	upRefuses(t, e, mistake{
		rule: "N6/N7", code: "ServiceCidrOverlapExistingSubnetsCidr", property: "networkProfile.serviceCidr",
		says: []string{"serviceCidr 10.10.128.0/20 overlaps with the address space 10.10.0.0/16", "choose another range"},
	}, "cluster")
}

func TestEngine_N7_AKSKeepsRangesForItself(t *testing.T) {
	t.Parallel()
	e := valid()
	e.clusterNetwork.ServiceCidr, e.clusterNetwork.DnsServiceIP = pulumi.String("172.30.0.0/20"), pulumi.String("172.30.0.10")
	previewRefuses(t, e, "cluster", mistake{
		rule: "N7", code: "InvalidServiceCidr", property: "networkProfile.serviceCidr",
		says: []string{"172.30.0.0/20 overlaps with 172.30.0.0/16, which is reserved for AKS", "choose another range"},
	})
}

func TestEngine_N2_TheSubnetHoldsAllInstances(t *testing.T) {
	t.Parallel()
	e := valid()
	e.appgw.AddressPrefix = pulumi.String("10.10.16.0/29")
	e.gateway.AutoscaleConfiguration = network.ApplicationGatewayAutoscaleConfigurationArgs{
		MinCapacity: pulumi.Int(1), MaxCapacity: pulumi.Int(10),
	}
	upRefuses(t, e, mistake{
		rule: "N2", code: "ApplicationGatewaySubnetTooSmall", property: "gatewayIPConfigurations[0]",
		says: []string{"(10.10.16.0/29) has room for 3 addresses, but the gateway can need 10", "Azure recommends a /24"},
	}, "gateway")
}

func TestEngine_N2_TheAddOnsSubnetIsDelegated(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.AddonProfiles = gatewayAddOn()
	upRefuses(t, e, mistake{
		rule: "N2", code: "IngressApplicationGatewaySubnetInvalid", property: "addonProfiles.ingressApplicationGateway",
		says: []string{
			"subnet '" + appgwID + "' of the gateway is delegated to ''",
			"with overlay networking delegate it to Microsoft.Network/applicationGateways",
		},
	}, "gateway", "cluster")
}

func TestEngine_N3_AGatewayReachesTheInternet(t *testing.T) {
	t.Parallel()
	e := valid()
	e.appgwNSG.SecurityRules = network.SecurityRuleTypeArray{
		inbound("manager", 100, "Allow", "GatewayManager", "65200-65535"),
		securityRule("offline", "Outbound", 100, "Deny", "*", "Internet", "*"),
	}
	upRefuses(t, e, mistake{
		rule: "N3", code: managementBlocked, property: "networkSecurityGroup",
		says: []string{appgwNSGID, "denies traffic to the internet by rule 'offline'", "Drop the rule, or allow outbound traffic to Internet before it"},
	}, "gateway")
}

const serverBlocked = "DelegatedSubnetTrafficBlockedByNetworkSecurityGroup"

func TestEngine_N4_TheSecurityGroupLetsTheServerWork(t *testing.T) {
	t.Parallel()
	e := valid()
	e.postgresNSG.SecurityRules = network.SecurityRuleTypeArray{inbound("closed", 4000, "Deny", "*", "*")}
	upRefuses(t, e, mistake{
		rule: "N4", code: serverBlocked, property: "network.delegatedSubnetResourceId",
		says: []string{postgresNSGID, "denies TCP 5432 inside the subnet (inbound) by rule 'closed'", "allow it before"},
	}, "server")
}

func TestEngine_N4_TheServerReachesStorage(t *testing.T) {
	t.Parallel()
	e := valid()
	e.postgresNSG.SecurityRules = network.SecurityRuleTypeArray{
		securityRule("entra", "Outbound", 100, "Allow", "*", "AzureActiveDirectory", "443"),
		securityRule("offline", "Outbound", 110, "Deny", "*", "Internet", "*"),
	}
	upRefuses(t, e, mistake{
		rule: "N4", code: serverBlocked, property: "network.delegatedSubnetResourceId",
		says: []string{postgresNSGID, "denies TCP 443 to Storage (outbound) by rule 'offline'", "allow it before"},
	}, "server")
}

func TestEngine_N4_HighAvailabilityNeedsStorage(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.HighAvailability = postgres.HighAvailabilityArgs{Mode: pulumi.String("SameZone")}
	upRefuses(t, e, mistake{
		rule: "N4", code: serverBlocked, property: "network.delegatedSubnetResourceId",
		says: []string{"high availability needs the service endpoint Microsoft.Storage", "add it to the subnet's serviceEndpoints"},
	}, "server")
}

func TestEngine_N4_ALiveServerIsNotCutOff(t *testing.T) {
	t.Parallel()
	e := valid()
	e.postgresNSG.SecurityRules = network.SecurityRuleTypeArray{inbound("closed", 4000, "Deny", "*", "*")}
	thenRefuses(t, e, mistake{
		resource: "postgres-nsg", rule: "N4", code: serverBlocked, property: "securityRules",
		says: []string{"denies TCP 5432 inside the subnet (inbound) by rule 'closed'", "allow it before"},
	}, "server")
}

const nodesBlocked = "NodeSubnetTrafficBlockedByNetworkSecurityGroup"

// withoutPods returns security rules that do not allow the traffic between pods.
func withoutPods() network.SecurityRuleTypeArray {
	return network.SecurityRuleTypeArray{
		allTraffic("nodes", 100, "10.10.0.0/20", "10.10.0.0/20"), allTraffic("pods", 110, "10.10.0.0/20", "10.244.0.0/16"),
		allTraffic("probes", 130, "AzureLoadBalancer", "*"), inbound("closed", 4000, "Deny", "*", "*"),
	}
}

func TestEngine_N8_NodesAreProbed(t *testing.T) {
	t.Parallel()
	e := valid()
	e.nodesNSG.SecurityRules = network.SecurityRuleTypeArray{
		allTraffic("nodes", 100, "10.10.0.0/20", "10.10.0.0/20"), allTraffic("pods", 110, "10.10.0.0/20", "10.244.0.0/16"),
		allTraffic("overlay", 120, "10.244.0.0/16", "10.244.0.0/16"), inbound("closed", 4096, "Deny", "VirtualNetwork", "*"),
	}
	upRefuses(t, e, mistake{
		rule: "N8", code: nodesBlocked, property: "vnetSubnetID",
		says: []string{
			nodesNSGID, "denies traffic from the load balancer's probes to nodes (inbound, AzureLoadBalancer to 10.10.0.0/20) by rule 'closed'",
		},
	}, "cluster")
}

func TestEngine_N8_PodsReachOneAnother(t *testing.T) {
	t.Parallel()
	e := valid()
	e.nodesNSG.SecurityRules = withoutPods()
	upRefuses(t, e, mistake{
		rule: "N8", code: nodesBlocked, property: "vnetSubnetID",
		says: []string{
			nodesNSGID, "denies traffic from pods to pods (inbound, 10.244.0.0/16 to 10.244.0.0/16) by rule 'closed'",
			"allow all ports and protocols of it before",
		},
	}, "cluster")
}

func TestEngine_N8_LivePodsAreNotCutOff(t *testing.T) {
	t.Parallel()
	e := valid()
	e.nodesNSG.SecurityRules = withoutPods()
	thenRefuses(t, e, mistake{
		resource: "nodes-nsg", rule: "N8", code: nodesBlocked, property: "securityRules",
		says: []string{nodesNSGID, "denies traffic from pods to pods", "allow all ports and protocols of it before"},
	}, "cluster")
}

func TestEngine_N9_OneConnection(t *testing.T) {
	t.Parallel()
	e := valid()
	e.endpoint.PrivateLinkServiceConnections = nil
	previewRefuses(t, e, "vault-endpoint", mistake{
		rule: "N9", code: "PrivateEndpointInvalidConfiguration", property: "privateLinkServiceConnections",
		says: []string{"a private endpoint has exactly one connection, not 0", "set one"},
	})
}

func TestEngine_N9_TheGroupIsTheServices(t *testing.T) {
	t.Parallel()
	e := valid()
	e.connection.GroupIds = pulumi.ToStringArray([]string{"registry"})
	upRefuses(t, e, mistake{
		rule: "N9", code: "PrivateEndpointCannotBeCreatedForResource", property: "privateLinkServiceConnections[0].groupIds",
		says: []string{"group ids [registry] are invalid for '" + vaultID + "'", "use vault"},
	}, "vault-endpoint")
}

func TestEngine_N9_ARegistryIsPremium(t *testing.T) {
	t.Parallel()
	e := valid()
	e.connection.PrivateLinkServiceId, e.connection.GroupIds = pulumi.String(registryID), pulumi.ToStringArray([]string{"registry"})
	e.with(of("registry-endpoint", e.endpoint, network.NewPrivateEndpoint, "registry", "endpoints"))
	upRefuses(t, e, mistake{
		rule: "N9", code: "PrivateEndpointCannotBeCreatedForResource", property: "privateLinkServiceConnections[0].privateLinkServiceId",
		says: []string{"'" + registryID + "' cannot be reached by a private endpoint", "private endpoints need SKU Premium, but its SKU is Standard"},
	}, "registry-endpoint")
}

func TestEngine_N9_TheSubnetIsNotDelegated(t *testing.T) {
	t.Parallel()
	e := valid()
	e.endpoint.Subnet = network.SubnetTypeArgs{Id: pulumi.String(postgresID)}
	upRefuses(t, e, mistake{
		rule: "N9", code: "PrivateEndpointCannotBeCreatedInSubnet", property: "subnet.id",
		says: []string{"subnet '" + postgresID + "' is delegated to " + postgresService, "use another subnet for private endpoints"},
	}, "postgres", "vault-endpoint")
}

func TestEngine_N9_WhatItLeadsToStays(t *testing.T) {
	t.Parallel()
	e := valid()
	e.connection.PrivateLinkServiceId = pulumi.String(registryID)
	thenRefuses(t, e, mistake{
		rule: "N9", code: "PrivateEndpointInvalidConfiguration", property: "privateLinkServiceConnections[0].privateLinkServiceId",
		says: []string{"what a private endpoint leads to cannot be changed", "create a new private endpoint"},
	}, "vault-endpoint")
}

func TestEngine_N9_TheZoneIsTheServices(t *testing.T) {
	t.Parallel()
	e := valid()
	e.zoneGroup.PrivateDnsZoneConfigs = inZone(zoneID)
	upRefuses(t, e, mistake{
		rule: "N9", code: "PrivateDnsZoneUnusable", property: "privateDnsZoneConfigs[0].privateDnsZoneId",
		says: []string{"the names of '" + vaultID + "' do not resolve in zone '" + zoneName + "'", "use " + vaultZoneName},
	}, "link", "zone-group")
}

func TestEngine_N9_TheZoneIsLinked(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().only("group", "network", "endpoints", "vault", "vault-endpoint", "vault-zone", "zone-group")).refused(mistake{
		resource: "zone-group", rule: "N9", code: "PrivateDnsZoneUnusable", property: "privateDnsZoneConfigs[0].privateDnsZoneId",
		says: []string{"'" + vaultZoneID + "' is not linked to '" + networkID + "'", "Create the VirtualNetworkLink first"},
	})
}

func TestEngine_N9_AnEndpointHasOneZoneGroup(t *testing.T) {
	t.Parallel()
	e := valid()
	second := *e.zoneGroup
	second.PrivateDnsZoneGroupName = pulumi.String("second")
	e.with(of("second", &second, network.NewPrivateDnsZoneGroup, "zone-group"))
	upRefuses(t, e, mistake{
		rule: "N9", code: "PrivateDnsZoneGroupLimitReached", property: "privateDnsZoneGroupName",
		says: []string{"'" + endpointID + "' has the zone group", "add the zones to that one"},
	}, "second")
}

func TestEngine_N1_SubnetsAreDeclaredInOneWay(t *testing.T) {
	t.Parallel()
	e := valid()
	e.network.Subnets = network.SubnetTypeArray{network.SubnetTypeArgs{
		Name: pulumi.String("inline"), AddressPrefix: pulumi.String("10.10.64.0/24"),
	}}
	upRefuses(t, e, mistake{
		rule: "N1", code: "SubnetsDeclaredTwice", property: "virtualNetworkName",
		says: []string{"virtual network '" + networkID + "' declares subnets inline, and its next update would delete this one", "declare all subnets in one way"},
	}, "nodes")
}

func TestEngine_N1_WhatIsInASubnetIsInItsRegion(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.Location = elsewhere
	upRefuses(t, e, mistake{
		rule: "N1", code: "InvalidResourceReference", property: "location",
		says: []string{"'" + clusterID + "' is in northeurope, but its virtual network '" + networkID + "' is in westeurope", "use one region for both"},
	}, "cluster")
}

func TestEngine_N3_ClientsMustGetIn(t *testing.T) {
	t.Parallel()
	e := valid()
	e.appgwNSG.SecurityRules = network.SecurityRuleTypeArray{
		inbound("manager", 100, "Allow", "GatewayManager", "65200-65535"), inbound("web", 120, "Allow", "Internet", "80"),
	}
	upRefuses(t, e, mistake{
		rule: "N3", code: managementBlocked, property: "networkSecurityGroup",
		says: []string{appgwNSGID, "lets no client reach listener 'https' on port 443", "Allow inbound TCP 443 to the subnet"},
	}, "gateway")
}

func TestEngine_N5_ANetworkIsLinkedOnce(t *testing.T) {
	t.Parallel()
	e := valid()
	second := *e.link
	second.VirtualNetworkLinkName = pulumi.String("second")
	e.with(of("second", &second, dns.NewVirtualNetworkLink, "link"))
	upRefuses(t, e, mistake{
		rule: "N5", code: "VirtualNetworkLinkConflict", property: "virtualNetwork",
		says: []string{"the virtual network is linked to a zone '" + zoneName + "' already by '" + zoneID + "/virtualNetworkLinks/vnet'", "drop one of the two"},
	}, "second")
}

// While Azure works on one subnet, it refuses a resource that uses the network by another subnet.
// The resource waits for a role assignment, which takes half as long as a subnet, so it comes while
// the subnet is written.
func TestEngine_N10_UsersWaitForAllSubnets(t *testing.T) {
	t.Parallel()
	e := valid()
	second := *e.endpoint
	second.PrivateEndpointName = pulumi.String("second")
	e.with(of("late", subnet("late", "10.10.64.0/24"), network.NewSubnet, "endpoints"))
	e.with(of("second", &second, network.NewPrivateEndpoint, "endpoints", "vault", "secrets-role"))
	togetherRefuses(t, e, 0.8, "vault-endpoint", mistake{
		resource: "second", rule: "N10", code: "ReferencedResourceNotProvisioned",
		says: []string{"Azure works on '" + networkID + "/subnets/late'", "Let what uses a network depend on its last subnet"},
	}, "late", "second")
}

// A link of another owner keeps the zone, which the program's own link does not.
func TestEngine_N11_ALinkedZoneStays(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().program("link")).accepted()
	foreign := map[string]any{
		"resourceGroupName": "ops", "virtualNetworkName": "ops-vnet", "location": "westeurope",
		"addressSpace": map[string]any{"addressPrefixes": []any{"192.168.0.0/16"}},
	}
	require.NoError(t, l.cloud.Seed(
		azure.ExistingGroup("ops", "westeurope"),
		azure.Existing{Type: "Microsoft.Network/virtualNetworks", Inputs: foreign},
		azure.Existing{Type: "Microsoft.Network/privateDnsZones/virtualNetworkLinks", Inputs: map[string]any{
			"resourceGroupName": "rg", "privateZoneName": zoneName, "virtualNetworkLinkName": "operators", "location": "Global",
			"registrationEnabled": false, "virtualNetwork": map[string]any{
				"id": subscription + "/resourceGroups/ops/providers/Microsoft.Network/virtualNetworks/ops-vnet",
			},
		}},
	))
	l.up(valid().only("group", "network")).refused(mistake{
		resource: "zone", code: "CannotDeleteResource",
		says: []string{"'" + zoneID + "' is in use by " + zoneID + "/virtualNetworkLinks/operators and cannot be deleted"},
	})
}

func TestEngine_N12_ADelegatedSubnetStaysForAWhile(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().program("server")).accepted()
	l.slowly(0.002) // the subnet is free again after a third of a second
	o := l.up(valid().only("group", "network", "nodes-nsg", "appgw-nsg", "postgres-nsg"))
	o.refused(mistake{
		resource: "postgres", rule: "N12", code: "InUseSubnetCannotBeDeleted",
		says: []string{"serviceAssociationLinks", "Wait some minutes and try again"},
	})
	time.Sleep(time.Second)
	l.up(valid().only("group", "network", "nodes-nsg", "appgw-nsg", "postgres-nsg")).accepted()
}
