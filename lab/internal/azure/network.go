package azure

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
)

// ARM types that rules look for.
const (
	typeNetwork = "Microsoft.Network/virtualNetworks"
	typeSubnet  = "Microsoft.Network/virtualNetworks/subnets"
	typeGateway = "Microsoft.Network/applicationGateways"

	typeSecurityGroup = "Microsoft.Network/networkSecurityGroups"
	typeAddress       = "Microsoft.Network/publicIPAddresses"
)

const networkProvider = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Network/"

// networkName is the rule for names in Microsoft.Network.
var networkName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$`)

// labelName is the same rule for virtual networks and subnets, whose names AKS makes node labels of.
var labelName = nameRule{
	pattern: regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?$`), id: "N1",
	say: "1 to 63 letters, digits, underscores, periods and hyphens, a letter or digit first (it becomes a node label)",
}

var anyNetworkName = nameRule{
	pattern: networkName,
	say:     "1 to 80 letters, digits, underscores, periods and hyphens, a letter or digit first",
}

// oneAtATime: a virtual network takes one operation at a time, those on its subnets included.
var oneAtATime = &serial{
	owner: typeNetwork, code: "AnotherOperationInProgress",
	remedy: "Chain the operations on a virtual network and its subnets with DependsOn",
}

// networkTypes are virtual networks and what is in and around them.
func networkTypes() []definition {
	return []definition{
		typed[network.VirtualNetwork, network.VirtualNetworkArgs](definition{
			path:      networkProvider + "virtualNetworks/{virtualNetworkName}",
			name:      labelName,
			immutable: []string{"location"},
			serial:    oneAtATime,
			checks:    []rule{networkSpace, inlineSubnets},
			demands:   []rule{subnetsStayInside, subnetsOneWay},
			inUse:     "InUseVirtualNetworkCannotBeDeleted",
		}),
		typed[network.Subnet, network.SubnetArgs](definition{
			path:    networkProvider + "virtualNetworks/{virtualNetworkName}/subnets/{subnetName}",
			name:    labelName,
			serial:  oneAtATime,
			refers:  map[string]string{"networkSecurityGroup.id": typeSecurityGroup},
			checks:  []rule{subnetPrefix},
			demands: []rule{subnetFits, subnetNotInline, subnetKeepsItsUsers, subnetKeepsGateways, subnetKeepsServers, subnetKeepsNodes},
			inUse:   "InUseSubnetCannotBeDeleted",
		}),
		typed[network.NetworkSecurityGroup, network.NetworkSecurityGroupArgs](definition{
			path:      networkProvider + "networkSecurityGroups/{networkSecurityGroupName}",
			name:      anyNetworkName,
			immutable: []string{"location"},
			checks:    []rule{securityRules},
			demands:   []rule{gatewaysStayReachable, serversStayReachable, nodesStayReachable},
			inUse:     "InUseNetworkSecurityGroupCannotBeDeleted",
		}),
		typed[network.PublicIPAddress, network.PublicIPAddressArgs](definition{
			path:      networkProvider + "publicIPAddresses/{publicIpAddressName}",
			name:      anyNetworkName,
			immutable: []string{"location", "sku", "publicIPAddressVersion", "publicIPPrefix"},
			checks:    []rule{standardIsStatic, availabilityZones},
			inUse:     "PublicIPAddressCannotBeDeleted",
			compute:   publicAddress,
		}),
	}
}

// networkSpace: a virtual network has an address space of valid prefixes that do not overlap. N7's reserved ranges are refused
// when a cluster joins the network.
var networkSpace = rule{id: "N1", code: "InvalidAddressPrefixFormat", broken: func(s subject) []finding {
	if !s.in.has("addressSpace") {
		return found("addressSpace", "'%s' has no address space; set addressSpace.addressPrefixes", s.label())
	}
	var result []finding
	prefixes := s.in.texts("addressSpace.addressPrefixes")
	for i, text := range prefixes {
		if _, err := parsePrefix(text); err != nil {
			result = append(result, finding{indexed("addressSpace.addressPrefixes", i), err.Error()})
		}
		for _, other := range prefixes[:i] {
			if overlap(text, other) {
				result = append(result, finding{
					indexed("addressSpace.addressPrefixes", i), fmt.Sprintf("address prefixes %s and %s overlap", other, text),
				})
			}
		}
	}
	return result
}}

// inlineSubnets applies N1 to subnets that the virtual network declares itself.
var inlineSubnets = rule{id: "N1", code: "NetcfgSubnetRangesOverlap", broken: func(s subject) []finding {
	var result []finding
	subnets := s.in.documents("subnets")
	for i, subnet := range subnets {
		path := indexed("subnets", i)
		for _, prefix := range prefixesOf(subnet) {
			if !s.in.unsure("addressSpace.addressPrefixes") && !insideAny(prefix, s.in.texts("addressSpace.addressPrefixes")) {
				result = append(result, finding{path, fmt.Sprintf("Subnet '%s' (%s) is outside of the address space of its network",
					subnet.text("name"), prefix)})
			}
			for _, other := range subnets[:i] {
				if overlapsAny(prefix, prefixesOf(other)) {
					result = append(result, finding{path, fmt.Sprintf("Subnets '%s' and '%s' overlap (%s)",
						other.text("name"), subnet.text("name"), prefix)})
				}
			}
		}
	}
	return result
}}

// subnetsStayInside: an address space cannot shrink below the subnets that are in it.
var subnetsStayInside = rule{id: "N1", code: "NetcfgSubnetRangeOutsideVnet", broken: func(s subject) []finding {
	var result []finding
	for _, subnet := range s.cloud.children(s.id) {
		for _, prefix := range prefixesOf(subnet.Inputs) {
			if !insideAny(prefix, s.in.texts("addressSpace.addressPrefixes")) {
				result = append(result, finding{"addressSpace", fmt.Sprintf(
					"Subnet '%s' (%s) would be outside of the address space; keep its range or delete it first", subnet.ID, prefix)})
			}
		}
	}
	return result
}}

// subnetPrefix: a subnet has exactly one form of address prefix, and it is valid.
var subnetPrefix = rule{id: "N1", code: "InvalidAddressPrefixFormat", broken: func(s subject) []finding {
	if !s.in.has("addressPrefix") && !s.in.has("addressPrefixes") {
		return found("addressPrefix", "'%s' has no address prefix; set addressPrefix", s.label())
	}
	var result []finding
	for _, text := range prefixesOf(s.in) {
		if _, err := parsePrefix(text); err != nil {
			result = append(result, finding{"addressPrefix", err.Error()})
		}
	}
	return result
}}

// subnetFits is N1: all subnets are inside the virtual network and pairwise disjoint.
var subnetFits = rule{id: "N1", code: "NetcfgSubnetRangesOverlap", broken: func(s subject) []finding {
	owner, ok := ancestor(s.id, typeNetwork)
	network := s.cloud.find(owner)
	if !ok || network == nil {
		return nil // reported as a missing parent
	}
	var result []finding
	for _, prefix := range prefixesOf(s.in) {
		if space := network.Inputs.texts("addressSpace.addressPrefixes"); !insideAny(prefix, space) {
			result = append(result, finding{"addressPrefix", fmt.Sprintf(
				"Subnet '%s' (%s) is outside of the address space %s of its virtual network", s.id, prefix, strings.Join(space, ", "))})
		}
		for _, other := range s.cloud.children(owner) {
			if key(other.ID) != key(s.id) && overlapsAny(prefix, prefixesOf(other.Inputs)) {
				result = append(result, finding{"addressPrefix", fmt.Sprintf(
					"Subnet '%s' (%s) overlaps with subnet '%s'; give it a range of its own", s.id, prefix, other.ID)})
			}
		}
		for _, other := range network.Inputs.documents("subnets") {
			if !strings.EqualFold(other.text("name"), s.in.text("subnetName")) && overlapsAny(prefix, prefixesOf(other)) {
				result = append(result, finding{"addressPrefix", fmt.Sprintf(
					"Subnet '%s' (%s) overlaps with subnet '%s' of the same network", s.id, prefix, other.text("name"))})
			}
		}
	}
	return result
}}

// subnetNotInline and subnetsOneWay: subnets are declared in their network or as resources, not both ways: each update of the
// network would delete those that it does not declare. Azure does so in silence; here it is an error.
var subnetNotInline = rule{id: "N1", code: "SubnetsDeclaredTwice", broken: func(s subject) []finding {
	owner, _ := ancestor(s.id, typeNetwork)
	network := s.cloud.find(owner)
	if network == nil || len(network.Inputs.items("subnets")) == 0 {
		return nil
	}
	return found("virtualNetworkName", "virtual network '%s' declares subnets inline, and its next update would delete this one; declare all "+
		"subnets in one way", owner)
}}

var subnetsOneWay = rule{id: "N1", code: "SubnetsDeclaredTwice", broken: func(s subject) []finding {
	children := slices.DeleteFunc(s.cloud.children(s.id), func(r *record) bool { return r.Kind != typeSubnet })
	if len(children) == 0 || len(s.in.items("subnets")) == 0 {
		return nil
	}
	return found("subnets", "the subnets %s are resources of their own, and inline subnets would delete them; declare all subnets in one way",
		nameList(children))
}}

// subnetKeepsItsUsers: a subnet in use keeps its range and its delegation.
var subnetKeepsItsUsers = rule{code: "InUsePrefixCannotBeDeleted", broken: func(s subject) []finding {
	if s.creating() {
		return nil
	}
	tenants := tenantsOf(s.cloud, s.id)
	if len(tenants) == 0 {
		return nil
	}
	var result []finding
	if !slices.Equal(prefixesOf(s.before), prefixesOf(s.in)) {
		result = append(result, finding{"addressPrefix", fmt.Sprintf(
			"the address prefix of '%s' cannot be changed while it is in use by %s", s.id, nameList(tenants))})
	}
	if delegationOf(s.before) != delegationOf(s.in) {
		result = append(result, finding{"delegations", fmt.Sprintf(
			"the delegation of '%s' cannot be changed while it is in use by %s", s.id, nameList(tenants))})
	}
	return result
}}

// tenants are the types whose resources have their network interfaces in a subnet. What else refers to one, such as a role
// assignment or the firewall of a vault, is not in it.
var tenants = []string{typeGateway, typeCluster, typePool, typeServer, typePrivateEndpoint}

// tenantsOf returns the resources that have their network interfaces in a subnet.
func tenantsOf(v *view, subnet string) []*record {
	return slices.DeleteFunc(v.users(subnet), func(r *record) bool { return !slices.Contains(tenants, r.Kind) })
}

// subnetOf returns the inputs of a subnet, be it a resource or inline in its network.
func subnetOf(v *view, id string) (document, bool) {
	if r := v.find(id); r != nil {
		return r.Inputs, true
	}
	owner, ok := ancestor(id, typeNetwork)
	if network := v.find(owner); ok && network != nil {
		for _, subnet := range network.Inputs.documents("subnets") {
			if strings.EqualFold(owner+"/subnets/"+subnet.text("name"), id) {
				return subnet, true
			}
		}
	}
	return nil, false
}

// prefixesOf returns the address prefixes of a subnet.
func prefixesOf(subnet document) []string {
	prefixes := subnet.texts("addressPrefixes")
	if prefix := subnet.text("addressPrefix"); prefix != "" && !slices.Contains(prefixes, prefix) {
		prefixes = append(prefixes, prefix)
	}
	return prefixes
}

// delegationOf returns the service that a subnet is delegated to, or "".
func delegationOf(subnet document) string {
	for _, delegation := range subnet.documents("delegations") {
		return delegation.text("serviceName")
	}
	return ""
}

// hasServiceEndpoint says whether a subnet has the service endpoint of a service, such as Microsoft.Storage.
func hasServiceEndpoint(subnet document, service string) bool {
	return slices.ContainsFunc(subnet.documents("serviceEndpoints"), func(endpoint document) bool {
		return strings.EqualFold(endpoint.text("service"), service)
	})
}

// publicAddress hands out an address of the range that is reserved for documentation (RFC 5737), so that nothing in a lab
// points at somebody's machine.
func publicAddress(s subject) document {
	if !strings.EqualFold(s.in.text("publicIPAllocationMethod"), "Static") {
		return nil
	}
	if existing := s.cloud.find(s.id); existing != nil && existing.Outputs.has("ipAddress") {
		return document{"ipAddress": existing.Outputs.text("ipAddress")}
	}
	address := netip.MustParseAddr("203.0.113.10")
	for taken := true; taken; {
		taken = slices.ContainsFunc(s.cloud.all(s.kind), func(r *record) bool { return r.Outputs.text("ipAddress") == address.String() })
		if taken {
			address = address.Next()
		}
	}
	return document{"ipAddress": address.String()}
}

// standardIsStatic: a public IP address of SKU Standard is allocated statically.
var standardIsStatic = rule{id: "G3", code: "PublicIPAllocationMethodNotSupported", broken: func(s subject) []finding {
	if !strings.EqualFold(s.in.text("sku.name"), "Standard") || s.in.unsure("publicIPAllocationMethod") ||
		strings.EqualFold(s.in.text("publicIPAllocationMethod"), "Static") {
		return nil
	}
	return found("publicIPAllocationMethod", "a public IP address of SKU Standard is Static; set publicIPAllocationMethod to Static")
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

// overlap says whether two valid prefixes share addresses. What is invalid is reported elsewhere.
func overlap(a, b string) bool {
	one, errOne := parsePrefix(a)
	two, errTwo := parsePrefix(b)
	return errOne == nil && errTwo == nil && one.Overlaps(two)
}

func overlapsAny(prefix string, others []string) bool {
	return slices.ContainsFunc(others, func(other string) bool { return overlap(prefix, other) })
}

// insideAny says whether a prefix is part of one of the others. An invalid one counts as inside: it is reported elsewhere.
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
