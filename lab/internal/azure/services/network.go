package services

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// ARM types that rules look for.
const (
	typeNetwork = "Microsoft.Network/virtualNetworks"
	typeSubnet  = "Microsoft.Network/virtualNetworks/subnets"
	typeGateway = "Microsoft.Network/applicationGateways"

	typePeering = "Microsoft.Network/virtualNetworks/virtualNetworkPeerings"

	typeSecurityGroup = "Microsoft.Network/networkSecurityGroups"
	typeAddress       = "Microsoft.Network/publicIPAddresses"
)

const networkProvider = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Network/"

// networkName is the rule for names in Microsoft.Network.
var networkName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$`)

// labelName is the same rule for virtual networks and subnets, whose names AKS makes node labels
// of.
var labelName = arm.NameRule{
	Pattern: regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?$`), ID: "N1",
	Say: "1 to 63 letters, digits, underscores, periods and hyphens, a letter or digit first (it becomes a node label)",
}

var anyNetworkName = arm.NameRule{
	Pattern: networkName,
	Say:     "1 to 80 letters, digits, underscores, periods and hyphens, a letter or digit first",
}

// oneAtATime: a virtual network takes one operation at a time, those on its subnets included.
var oneAtATime = &arm.Serial{
	Owner: typeNetwork, Code: "AnotherOperationInProgress",
	Remedy: "Chain the operations on a virtual network and its subnets with DependsOn",
}

// networkTypes are virtual networks and the resources in and around them.
func networkTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[network.VirtualNetwork, network.VirtualNetworkArgs](arm.Definition{
			Path:      networkProvider + "virtualNetworks/{virtualNetworkName}",
			Name:      labelName,
			Immutable: []string{"location"},
			Serial:    oneAtATime,
			Checks:    []arm.Rule{networkSpace, inlineSubnets, rangesOfAzure, subnetsLargeEnough},
			Demands:   []arm.Rule{subnetsOneWay},
			Standing:  []arm.Rule{subnetsStayInside},
			InUse:     "InUseVirtualNetworkCannotBeDeleted",
		}),
		arm.Typed[network.Subnet, network.SubnetArgs](arm.Definition{
			Path:   networkProvider + "virtualNetworks/{virtualNetworkName}/subnets/{subnetName}",
			Name:   labelName,
			Serial: oneAtATime,
			Refers: map[string]string{"networkSecurityGroup.id": typeSecurityGroup, "natGateway.id": typeNATGateway},
			Checks: []arm.Rule{subnetPrefix, subnetsLargeEnough},
			Demands: []arm.Rule{
				subnetFits, subnetNotInline, subnetKeepsGateways, subnetKeepsServers, subnetKeepsNodes,
			},
			Standing:  []arm.Rule{subnetKeepsItsUsers, subnetKeepsNATGateway},
			Farewells: []arm.Rule{subnetIsLeft},
			InUse:     "InUseSubnetCannotBeDeleted",
		}),
		arm.Typed[network.VirtualNetworkPeering, network.VirtualNetworkPeeringArgs](arm.Definition{
			Path:    networkProvider + "virtualNetworks/{virtualNetworkName}/virtualNetworkPeerings/{virtualNetworkPeeringName}",
			Name:    anyNetworkName,
			Serial:  oneAtATime,
			Refers:  map[string]string{"remoteVirtualNetwork.id": typeNetwork},
			Frozen:  map[string]string{"remoteVirtualNetwork.id": "create another peering to the other network"},
			Compute: func(arm.Subject) arm.Document { return arm.Document{"peeringState": "Connected"} },
		}),
		arm.Typed[network.NetworkSecurityGroup, network.NetworkSecurityGroupArgs](arm.Definition{
			Path:      networkProvider + "networkSecurityGroups/{networkSecurityGroupName}",
			Name:      anyNetworkName,
			Immutable: []string{"location"},
			Checks:    []arm.Rule{securityRules, securityPorts, securityRanges},
			Demands:   []arm.Rule{gatewaysStayReachable, serversStayReachable, nodesStayReachable},
			InUse:     "InUseNetworkSecurityGroupCannotBeDeleted",
		}),
		arm.Typed[network.PublicIPAddress, network.PublicIPAddressArgs](arm.Definition{
			Path:      networkProvider + "publicIPAddresses/{publicIpAddressName}",
			Name:      anyNetworkName,
			Immutable: []string{"location", "sku", "publicIPAddressVersion", "publicIPPrefix"},
			Checks:    []arm.Rule{standardIsStatic, addressTimeout, availabilityZones, zonesStay},
			InUse:     "PublicIPAddressCannotBeDeleted",
			Compute:   publicAddress,
		}),
		natGateways(),
	}
}

// networkSpace: a virtual network has an address space of valid prefixes that do not overlap. N7's
// reserved ranges are refused when a cluster joins the network.
var networkSpace = arm.Rule{ID: "N1", Code: "InvalidAddressPrefixFormat", Broken: func(s arm.Subject) []arm.Finding {
	if !s.In.Has("addressSpace") {
		return arm.Found("addressSpace", "'%s' has no address space; set addressSpace.addressPrefixes", s.Label())
	}
	var result []arm.Finding
	prefixes := s.In.Texts("addressSpace.addressPrefixes")
	for i, text := range prefixes {
		if _, err := parsePrefix(text); err != nil {
			result = append(result, arm.Finding{Property: arm.Indexed("addressSpace.addressPrefixes", i), Message: err.Error()})
		}
		for _, other := range prefixes[:i] {
			if overlap(text, other) {
				result = append(result, arm.Finding{
					Property: arm.Indexed("addressSpace.addressPrefixes", i), Message: fmt.Sprintf("address prefixes %s and %s overlap", other, text),
				})
			}
		}
	}
	return result
}}

// inlineSubnets applies N1 to subnets that the virtual network declares itself.
var inlineSubnets = arm.Rule{ID: "N1", Code: "NetcfgSubnetRangesOverlap", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	subnets := s.In.Documents("subnets")
	for i, subnet := range subnets {
		path := arm.Indexed("subnets", i)
		for _, prefix := range prefixesOf(subnet) {
			if !s.In.Unsure("addressSpace.addressPrefixes") && !insideAny(prefix, s.In.Texts("addressSpace.addressPrefixes")) {
				result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("Subnet '%s' (%s) is outside of the address space of its network",
					subnet.Text("name"), prefix)})
			}
			for _, other := range subnets[:i] {
				if overlapsAny(prefix, prefixesOf(other)) {
					result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("Subnets '%s' and '%s' overlap (%s)",
						other.Text("name"), subnet.Text("name"), prefix)})
				}
			}
		}
	}
	return result
}}

// subnetsStayInside: an address space cannot shrink below the subnets that are in it.
var subnetsStayInside = arm.Rule{ID: "N1", Code: "NetcfgSubnetRangeOutsideVnet", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for _, subnet := range s.Cloud.Children(s.ID) {
		for _, prefix := range prefixesOf(subnet.Inputs) {
			if !insideAny(prefix, s.In.Texts("addressSpace.addressPrefixes")) {
				result = append(result, arm.Finding{Property: "addressSpace", Message: fmt.Sprintf(
					"Subnet '%s' (%s) would be outside of the address space; keep its range or delete it first", subnet.ID, prefix)})
			}
		}
	}
	return result
}}

// subnetPrefix: a subnet has exactly one form of address prefix, and it is valid.
var subnetPrefix = arm.Rule{ID: "N1", Code: "InvalidAddressPrefixFormat", Broken: func(s arm.Subject) []arm.Finding {
	if !s.In.Has("addressPrefix") && !s.In.Has("addressPrefixes") {
		return arm.Found("addressPrefix", "'%s' has no address prefix; set addressPrefix", s.Label())
	}
	var result []arm.Finding
	for _, text := range prefixesOf(s.In) {
		if _, err := parsePrefix(text); err != nil {
			result = append(result, arm.Finding{Property: "addressPrefix", Message: err.Error()})
		}
	}
	return result
}}

// azuresRanges are in no virtual network. Source: azure-docs virtual-network/virtual-networks-faq,
// 12 February 2019.
var azuresRanges = map[string]string{
	"224.0.0.0/4": "multicast", "255.255.255.255/32": "broadcast", "127.0.0.0/8": "loopback", "169.254.0.0/16": "link-local",
	"168.63.129.16/32": "Azure's DNS",
}

// rangesOfAzure is N1: the address space has none of the ranges that Azure keeps. The code is
// inferred `refusal-codes`.
var rangesOfAzure = arm.Rule{ID: "N1", Code: "ReservedAddressPrefix", Broken: func(s arm.Subject) []arm.Finding {
	const path = "addressSpace.addressPrefixes"
	var result []arm.Finding
	for i, text := range s.In.Texts(path) {
		for _, kept := range slices.Sorted(maps.Keys(azuresRanges)) {
			if overlap(text, kept) {
				result = append(result, arm.Found(arm.Indexed(path, i), "%s overlaps with %s, which is for %s; choose another range", text, kept, azuresRanges[kept])...)
			}
		}
	}
	return result
}}

// smallestSubnet is the highest number of bits in the prefix of a subnet, and ip6Subnet that of
// IPv6.
const (
	smallestSubnet = 29
	ip6Subnet      = 64
)

// subnetsLargeEnough is N1: a subnet is /29 or larger, because Azure keeps five addresses of each,
// and with IPv6 exactly /64. It applies to subnets with a resource of their own and to those in a
// network.
var subnetsLargeEnough = arm.Rule{ID: "N1", Code: "NetcfgInvalidSubnet", Broken: func(s arm.Subject) []arm.Finding {
	if s.Kind == typeSubnet {
		return sizeFindings("addressPrefix", s.In.Text("subnetName"), s.In)
	}
	var result []arm.Finding
	for i, subnet := range s.In.Documents("subnets") {
		result = append(result, sizeFindings(arm.Indexed("subnets", i)+".addressPrefix", subnet.Text("name"), subnet)...)
	}
	return result
}}

func sizeFindings(path, name string, subnet arm.Document) []arm.Finding {
	var result []arm.Finding
	for _, text := range prefixesOf(subnet) {
		prefix, err := parsePrefix(text)
		switch {
		case err != nil: // reported by another rule
		case prefix.Addr().Is4() && prefix.Bits() > smallestSubnet:
			result = append(result, arm.Found(path, "Subnet '%s' is not valid: %s is too small; the smallest subnet is /%d", name, text, smallestSubnet)...)
		case prefix.Addr().Is6() && prefix.Bits() != ip6Subnet:
			result = append(result, arm.Found(path, "Subnet '%s' is not valid: %s has another size than /%d, which a subnet with IPv6 has", name, text, ip6Subnet)...)
		}
	}
	return result
}

// subnetFits is N1: all subnets are inside the virtual network and pairwise disjoint.
var subnetFits = arm.Rule{ID: "N1", Code: "NetcfgSubnetRangesOverlap", Broken: func(s arm.Subject) []arm.Finding {
	owner, ok := arm.Ancestor(s.ID, typeNetwork)
	network := s.Cloud.Find(owner)
	if !ok || network == nil {
		return nil // reported as a missing parent
	}
	var result []arm.Finding
	for _, prefix := range prefixesOf(s.In) {
		if space := network.Inputs.Texts("addressSpace.addressPrefixes"); !insideAny(prefix, space) {
			result = append(result, arm.Finding{Property: "addressPrefix", Message: fmt.Sprintf(
				"Subnet '%s' (%s) is outside of the address space %s of its virtual network", s.ID, prefix, strings.Join(space, ", "))})
		}
		for _, other := range s.Cloud.Children(owner) {
			if arm.Key(other.ID) != arm.Key(s.ID) && overlapsAny(prefix, prefixesOf(other.Inputs)) {
				result = append(result, arm.Finding{Property: "addressPrefix", Message: fmt.Sprintf(
					"Subnet '%s' (%s) overlaps with subnet '%s'; give it a range of its own", s.ID, prefix, other.ID)})
			}
		}
		for _, other := range network.Inputs.Documents("subnets") {
			if !strings.EqualFold(other.Text("name"), s.In.Text("subnetName")) && overlapsAny(prefix, prefixesOf(other)) {
				result = append(result, arm.Finding{Property: "addressPrefix", Message: fmt.Sprintf(
					"Subnet '%s' (%s) overlaps with subnet '%s' of the same network", s.ID, prefix, other.Text("name"))})
			}
		}
	}
	return result
}}

// subnetNotInline and subnetsOneWay: subnets are declared in their network or as resources, not
// both ways. Each update of the network would delete the subnets that it does not declare. Azure
// does so silently; here it is an error.
var subnetNotInline = arm.Rule{ID: "N1", Code: "SubnetsDeclaredTwice", Broken: func(s arm.Subject) []arm.Finding {
	owner, _ := arm.Ancestor(s.ID, typeNetwork)
	network := s.Cloud.Find(owner)
	if network == nil || len(network.Inputs.Items("subnets")) == 0 {
		return nil
	}
	return arm.Found("virtualNetworkName", "virtual network '%s' declares subnets inline, and its next update would delete this one; declare all "+
		"subnets in one way", owner)
}}

var subnetsOneWay = arm.Rule{ID: "N1", Code: "SubnetsDeclaredTwice", Broken: func(s arm.Subject) []arm.Finding {
	children := slices.DeleteFunc(s.Cloud.Children(s.ID), func(r *arm.Record) bool { return r.Kind != typeSubnet })
	if len(children) == 0 || len(s.In.Items("subnets")) == 0 {
		return nil
	}
	return arm.Found("subnets", "the subnets %s are resources of their own, and inline subnets would delete them; declare all subnets in one way",
		arm.NameList(children))
}}

// subnetKeepsItsUsers: a subnet in use keeps its range and its delegation.
var subnetKeepsItsUsers = arm.Rule{Code: "InUsePrefixCannotBeDeleted", Broken: func(s arm.Subject) []arm.Finding {
	if s.Creating() {
		return nil
	}
	tenants := tenantsOf(s.Cloud, s.ID)
	if len(tenants) == 0 {
		return nil
	}
	var result []arm.Finding
	if !slices.Equal(prefixesOf(s.Before), prefixesOf(s.In)) {
		result = append(result, arm.Finding{Property: "addressPrefix", Message: fmt.Sprintf(
			"the address prefix of '%s' cannot be changed while it is in use by %s; keep it, or move what uses it to another subnet first",
			s.ID, arm.NameList(tenants))})
	}
	if delegationOf(s.Before) != delegationOf(s.In) {
		result = append(result, arm.Finding{Property: "delegations", Message: fmt.Sprintf(
			"the delegation of '%s' cannot be changed while it is in use by %s; keep it, or move what uses it to another subnet first",
			s.ID, arm.NameList(tenants))})
	}
	return result
}}

// networkSettled is N10: while Azure works on a subnet, it refuses all users of the network, in any
// of its subnets.
var networkSettled = arm.Rule{ID: "N10", Code: "ReferencedResourceNotProvisioned", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	s.In.Walk(func(path, text string) {
		owner, ok := arm.Ancestor(text, typeNetwork)
		if !ok || arm.Key(owner) == arm.Key(text) {
			return // no subnet
		}
		if subnet := s.Cloud.WorkingOn(owner, typeSubnet); subnet != "" {
			result = append(result, arm.Found(path, "Cannot proceed with operation because resource '%s' used by '%s' is not in Succeeded state: "+
				"Azure works on '%s' (PutSubnetOperation). Let what uses a network depend on its last subnet", owner, s.Label(), subnet)...)
		}
	})
	return result
}}

// leaving is how long Azure keeps a delegated subnet for a deleted server: minutes, according to
// users' reports.
const leaving = 3 * time.Minute

// subnetIsLeft is N12: a delegated subnet keeps the link of its service for a while after its last
// server was deleted.
var subnetIsLeft = arm.Rule{ID: "N12", Code: "InUseSubnetCannotBeDeleted", Broken: func(s arm.Subject) []arm.Finding {
	if !s.Cloud.Lingers(s.ID) {
		return nil
	}
	return arm.Found("", "Subnet '%s' is in use by '%s/serviceAssociationLinks/%s' and cannot be deleted: Azure has not yet let go of it after "+
		"the last server was deleted. Wait some minutes and try again", s.ID, s.ID, delegationOf(s.In))
}}

// zonesStay is G10: the availability zones of a public address and of a gateway are chosen once.
var zonesStay = arm.Rule{ID: "G10", Code: "ResourceAvailabilityZonesCannotBeModified", Broken: func(s arm.Subject) []arm.Finding {
	before, after := slices.Sorted(slices.Values(s.Before.Texts("zones"))), slices.Sorted(slices.Values(s.In.Texts("zones")))
	if s.Creating() || s.In.Unsure("zones") || slices.Equal(before, after) {
		return nil
	}
	return arm.Found("zones", "Resource '%s' has an existing availability zone constraint %v and the request has availability zone constraint %v, "+
		"which do not match. Zones cannot be added, updated or removed once the resource is created; keep them, or create another resource",
		s.Label(), before, after)
}}

// tenants are the types whose resources have their network interfaces in a subnet. Other resources
// that refer to a subnet, such as a role assignment or the firewall of a vault, are not in it.
var tenants = []string{typeGateway, typeCluster, typePool, typeServer, typePrivateEndpoint}

// tenantsOf returns the resources that have their network interfaces in a subnet.
func tenantsOf(v *arm.View, subnet string) []*arm.Record {
	return slices.DeleteFunc(v.Users(subnet), func(r *arm.Record) bool { return !slices.Contains(tenants, r.Kind) })
}

// subnetOf returns the inputs of a subnet, be it a resource or inline in its network.
func subnetOf(v *arm.View, id string) (arm.Document, bool) {
	if r := v.Find(id); r != nil {
		return r.Inputs, true
	}
	owner, ok := arm.Ancestor(id, typeNetwork)
	if network := v.Find(owner); ok && network != nil {
		for _, subnet := range network.Inputs.Documents("subnets") {
			if strings.EqualFold(owner+"/subnets/"+subnet.Text("name"), id) {
				return subnet, true
			}
		}
	}
	return nil, false
}

// prefixesOf returns the address prefixes of a subnet.
func prefixesOf(subnet arm.Document) []string {
	prefixes := subnet.Texts("addressPrefixes")
	if prefix := subnet.Text("addressPrefix"); prefix != "" && !slices.Contains(prefixes, prefix) {
		prefixes = append(prefixes, prefix)
	}
	return prefixes
}

// delegationOf returns the service that a subnet is delegated to, or "".
func delegationOf(subnet arm.Document) string {
	for _, delegation := range subnet.Documents("delegations") {
		return delegation.Text("serviceName")
	}
	return ""
}

// hasServiceEndpoint says whether a subnet has the service endpoint of a service, such as
// Microsoft.Storage.
func hasServiceEndpoint(subnet arm.Document, service string) bool {
	return slices.ContainsFunc(subnet.Documents("serviceEndpoints"), func(endpoint arm.Document) bool {
		return strings.EqualFold(endpoint.Text("service"), service)
	})
}

// publicAddress returns an address of the range that is reserved for documentation (RFC 5737), so
// that nothing in a lab points at a real machine.
func publicAddress(s arm.Subject) arm.Document {
	if !strings.EqualFold(s.In.Text("publicIPAllocationMethod"), "Static") {
		return nil
	}
	if existing := s.Cloud.Find(s.ID); existing != nil && existing.Outputs.Has("ipAddress") {
		return arm.Document{"ipAddress": existing.Outputs.Text("ipAddress")}
	}
	address := netip.MustParseAddr("203.0.113.10")
	for taken := true; taken; {
		taken = slices.ContainsFunc(s.Cloud.All(s.Kind), func(r *arm.Record) bool { return r.Outputs.Text("ipAddress") == address.String() })
		if taken {
			address = address.Next()
		}
	}
	return arm.Document{"ipAddress": address.String()}
}

// standardIsStatic: a public IP address of SKU Standard is allocated statically.
var standardIsStatic = arm.Rule{ID: "G3", Code: "PublicIPAllocationMethodNotSupported", Broken: func(s arm.Subject) []arm.Finding {
	if !strings.EqualFold(s.In.Text("sku.name"), "Standard") || s.In.Unsure("publicIPAllocationMethod") ||
		strings.EqualFold(s.In.Text("publicIPAllocationMethod"), "Static") {
		return nil
	}
	return arm.Found("publicIPAllocationMethod", "a public IP address of SKU Standard is Static; set publicIPAllocationMethod to Static")
}}

// addressTimeout is G3: an idle connection to a public IP address is kept for 4 to 30 minutes. The
// code is inferred `refusal-codes`; the words are those of Azure (azurerm#3579).
var addressTimeout = arm.Rule{ID: "G3", Code: "PublicIPAddressInvalidIdleTimeout", Broken: func(s arm.Subject) []arm.Finding {
	const path = "idleTimeoutInMinutes"
	if minutes, ok := s.In.Number(path); ok && (minutes < 4 || minutes > 30) {
		return arm.Found(path, "Public IP address '%s' has invalid Idle Timeout: %g. The value must be between 4 and 30", s.Label(), minutes)
	}
	return nil
}}

// parsePrefix reads a CIDR whose host bits are zero.
func parsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("'%s' is no address prefix; write it as address/bits, such as 10.0.0.0/16", text)
	}
	if prefix.Masked() != prefix {
		return netip.Prefix{}, fmt.Errorf("'%s' has host bits set; the prefix is %s", text, prefix.Masked())
	}
	return prefix, nil
}

// overlap reports whether two valid prefixes share addresses. Other rules report invalid prefixes.
func overlap(a, b string) bool {
	one, errOne := parsePrefix(a)
	two, errTwo := parsePrefix(b)
	return errOne == nil && errTwo == nil && one.Overlaps(two)
}

func overlapsAny(prefix string, others []string) bool {
	return slices.ContainsFunc(others, func(other string) bool { return overlap(prefix, other) })
}

// insideAny reports whether a prefix is part of one of the others. An invalid one counts as inside,
// because another rule reports it.
func insideAny(text string, others []string) bool {
	prefix, err := parsePrefix(text)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(others, func(other string) bool {
		outer, err := parsePrefix(other)
		return err == nil && outer.Bits() <= prefix.Bits() && outer.Contains(prefix.Addr())
	})
}
