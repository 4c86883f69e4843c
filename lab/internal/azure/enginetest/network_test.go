package enginetest

import (
	"strings"
	"testing"

	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

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
	thenRefuses(t, e, mistake{
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

func inSubnet(id string) network.ApplicationGatewayIPConfigurationArray {
	return network.ApplicationGatewayIPConfigurationArray{network.ApplicationGatewayIPConfigurationArgs{
		Name: pulumi.String("ip"), Subnet: network.SubResourceArgs{Id: pulumi.String(id)},
	}}
}

func TestEngine_N2_AGatewayHasItsSubnetAlone(t *testing.T) {
	t.Parallel()
	e := valid()
	e.gateway.GatewayIPConfigurations = inSubnet(postgresID)
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
	l.up(valid().only("group", "network", "postgres", "zone", "server")).refused(mistake{
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
