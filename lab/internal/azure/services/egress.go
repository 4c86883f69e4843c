package services

import (
	"fmt"
	"slices"
	"strings"

	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// typeNATGateway is the ARM type of NAT gateways.
const typeNATGateway = "Microsoft.Network/natGateways"

// outboundNAT is AKS' name for a NAT gateway that AKS has not made itself.
const outboundNAT = "userAssignedNATGateway"

// natGateways is the type of NAT gateways.
func natGateways() arm.Definition {
	return arm.Typed[network.NatGateway, network.NatGatewayArgs](arm.Definition{
		Path:      networkProvider + "natGateways/{natGatewayName}",
		Name:      anyNetworkName,
		Immutable: []string{"location"},
		Frozen:    map[string]string{"zones": "create a new gateway in the other zone, and give it to the subnets"},
		Refers:    map[string]string{"publicIpAddresses.id": typeAddress},
		Checks:    []arm.Rule{natGatewayForm, availabilityZones},
		Demands:   []arm.Rule{natGatewayAddresses, inRegion},
		InUse:     "InUseNatGatewayCannotBeDeleted",
	})
}

// natGatewayForm is N13, as far as the gateway's own inputs show.
var natGatewayForm = arm.Rule{ID: "N13", Code: "InvalidNatGateway", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	if minutes, ok := s.In.Number("idleTimeoutInMinutes"); ok && (minutes < 4 || minutes > 120) {
		result = append(result, arm.Finding{Property: "idleTimeoutInMinutes", Message: fmt.Sprintf(
			"idleTimeoutInMinutes is %g; use 4 to 120", minutes)})
	}
	if zones := s.In.Texts("zones"); len(zones) > 1 {
		result = append(result, arm.Finding{Property: "zones", Message: fmt.Sprintf(
			"a NAT gateway of SKU Standard is in one zone, not in %s; name one or none", strings.Join(zones, ", "))})
	}
	if addresses := s.In.Items("publicIpAddresses"); len(addresses) > 16 {
		result = append(result, arm.Finding{Property: "publicIpAddresses", Message: fmt.Sprintf(
			"a NAT gateway has up to 16 addresses, not %d", len(addresses))})
	}
	return result
}}

// natGatewayAddresses is N13: the addresses are of SKU Standard, and those of a gateway in a zone
// are of that zone or redundant.
var natGatewayAddresses = arm.Rule{ID: "N13", Code: "InvalidNatGateway", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	zones := s.In.Texts("zones")
	for i, reference := range s.In.Documents("publicIpAddresses") {
		path := arm.Indexed("publicIpAddresses", i) + ".id"
		address := s.Cloud.Find(reference.Text("id"))
		if address == nil {
			continue // reported as a missing reference
		}
		if !strings.EqualFold(address.Inputs.Text("sku.name"), "Standard") {
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf(
				"address '%s' is not of SKU Standard, which a NAT gateway needs", address.ID)})
		}
		if of := address.Inputs.Texts("zones"); len(zones) == 1 && !slices.Contains(of, zones[0]) {
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf(
				"address '%s' is not of zone %s, in which the NAT gateway is; use one of that zone, or one of all zones", address.ID, zones[0])})
		}
	}
	return result
}}

// natGatewayOfNodes is N13: with the outbound type for it, the subnet of the nodes has a NAT
// gateway before the cluster exists.
var natGatewayOfNodes = arm.Rule{ID: "N13", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	const path = "networkProfile.outboundType"
	if s.In.Text(path) != outboundNAT {
		return nil
	}
	var result []arm.Finding
	for _, id := range poolSubnetIDs(s.In) {
		if subnet, ok := subnetOf(s.Cloud, id); ok && !subnet.Has("natGateway.id") {
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf(
				"outboundType is %s, but subnet '%s' has no NAT gateway; give it one first", outboundNAT, id)})
		}
	}
	return result
}}

// nodesReachAPIServer is K7: the nodes of a cluster that is not private call the API server from
// outside. AKS adds the addresses of its own load balancer to the authorized ranges. It does not
// know those of a NAT gateway, so the nodes never register.
var nodesReachAPIServer = arm.Rule{ID: "K7", Code: "K8SAPIServerConnFailVMExtensionError", Broken: func(s arm.Subject) []arm.Finding {
	const path = "apiServerAccessProfile.authorizedIPRanges"
	ranges := s.In.Texts(path)
	if len(ranges) == 0 || s.In.Text("networkProfile.outboundType") != outboundNAT {
		return nil
	}
	var result []arm.Finding
	for _, id := range poolSubnetIDs(s.In) {
		subnet, _ := subnetOf(s.Cloud, id)
		gateway := s.Cloud.Find(subnet.Text("natGateway.id"))
		if gateway == nil {
			continue // reported by another rule, or as a missing reference
		}
		for _, reference := range gateway.Inputs.Documents("publicIpAddresses") {
			address := s.Cloud.Find(reference.Text("id"))
			if address == nil {
				continue // reported as a missing reference of the gateway
			}
			ip := address.Outputs.Text("ipAddress")
			if slices.Contains(ranges, ip) || insideAny(ip+"/32", ranges) {
				continue
			}
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf(
				"Agents are unable to talk to API server: they come from %s, the address of '%s', which is in none of the ranges; add it",
				ip, address.ID)})
		}
	}
	return result
}}

// subnetKeepsNATGateway is N13: if the nodes of a cluster leave through a NAT gateway, their subnet
// must keep one as long as the cluster lives.
var subnetKeepsNATGateway = arm.Rule{ID: "N13", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	if s.Creating() || s.In.Has("natGateway.id") {
		return nil
	}
	var result []arm.Finding
	for _, user := range tenantsOf(s.Cloud, s.ID) {
		if user.Kind == typeCluster && user.Inputs.Text("networkProfile.outboundType") == outboundNAT {
			result = append(result, arm.Finding{Property: "natGateway", Message: fmt.Sprintf(
				"the nodes of '%s' leave by the NAT gateway of '%s'; replace it by another, and do not take it away", user.ID, s.ID)})
		}
	}
	return result
}}
