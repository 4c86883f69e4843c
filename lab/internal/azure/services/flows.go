package services

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// flow is traffic that a security group must let through.
type flow struct {
	// label names it in messages, such as "from nodes to pods".
	label string
	// direction is Inbound or Outbound as seen from the subnet.
	direction string
	// protocol is Tcp, or * for all.
	protocol string
	// first and last are the destination ports.
	first, last int
	// from and to are address ranges or service tags.
	from, to string
}

const allPorts = gatewayPortLast

// deniedBy returns the name of the security rule that denies a flow, or a part of it, before
// another allows all of it, or "". The caller must consider Azure's default rules.
func deniedBy(group arm.Document, f flow) string {
	for _, r := range byPriority(group, f.direction) {
		allPorts, somePorts := portsCover(r, f.first, f.last)
		protocol := r.Text("protocol")
		allProtocols := protocol == "*" || strings.EqualFold(protocol, f.protocol)
		allFrom, someFrom := endsCover(append(r.Texts("sourceAddressPrefixes"), r.Text("sourceAddressPrefix")), f.from)
		allTo, someTo := endsCover(append(r.Texts("destinationAddressPrefixes"), r.Text("destinationAddressPrefix")), f.to)
		if !somePorts || !someFrom || !someTo || !allProtocols && f.protocol != "*" {
			continue
		}
		if strings.EqualFold(r.Text("access"), "Deny") {
			return r.Text("name")
		}
		if allPorts && allProtocols && allFrom && allTo && r.Text("sourcePortRange") == "*" {
			return ""
		}
	}
	return ""
}

// endsCover says whether the prefixes of a security rule include all, or some, of one end of a
// flow.
func endsCover(prefixes []string, end string) (all, some bool) {
	for _, prefix := range prefixes {
		a, s := endCovers(prefix, end)
		all, some = all || a, some || s
	}
	return all, some
}

func endCovers(prefix, end string) (all, some bool) {
	switch {
	case prefix == "":
		return false, false
	case prefix == "*", prefix == "0.0.0.0/0", strings.EqualFold(prefix, end):
		return true, true
	}
	theirs, errTheirs := netip.ParsePrefix(end)
	ours, errOurs := netip.ParsePrefix(prefix)
	if address, err := netip.ParseAddr(prefix); err == nil {
		ours, errOurs = netip.PrefixFrom(address, address.BitLen()), nil
	}
	switch {
	case errTheirs == nil && errOurs == nil:
		return ours.Bits() <= theirs.Bits() && ours.Contains(theirs.Addr()), ours.Overlaps(theirs)
	case errTheirs == nil:
		return strings.EqualFold(prefix, "VirtualNetwork"), strings.EqualFold(prefix, "VirtualNetwork")
	case errOurs == nil:
		return false, false
	}
	// Both are service tags. The load balancer probes from the address of the host, which is in the
	// virtual network.
	if strings.EqualFold(end, "AzureLoadBalancer") {
		host := strings.EqualFold(prefix, "VirtualNetwork")
		return host, host
	}
	// Azure's services are in the internet, and a tag may be narrowed to a region: Storage.WestEurope.
	region := strings.HasPrefix(strings.ToLower(prefix), strings.ToLower(end)+".")
	wider := strings.EqualFold(prefix, "Internet") || strings.EqualFold(prefix, "AzureCloud") && !strings.EqualFold(end, "Internet")
	return region || wider, region || wider
}

// guarded returns the findings against a security group, which may be nil, for the sake of the
// resources in a subnet.
type guarded func(v *arm.View, tenant *arm.Record, subnet, group arm.Document) []string

// groupOf returns the inputs of the security group of a subnet, or nil.
func groupOf(v *arm.View, subnet arm.Document) *arm.Record {
	return v.Find(subnet.Text("networkSecurityGroup.id"))
}

// keptByGroup makes the rule that a change of a security group must not cut off the resources in
// its subnets.
func keptByGroup(id, code string, kinds []string, refuse guarded) arm.Rule {
	return arm.Rule{ID: id, Code: code, Broken: func(s arm.Subject) []arm.Finding {
		var result []arm.Finding
		for _, user := range s.Cloud.Users(s.ID) {
			if user.Kind != typeSubnet {
				continue
			}
			for _, tenant := range tenantsOf(s.Cloud, user.ID) {
				if !slices.Contains(kinds, tenant.Kind) {
					continue
				}
				for _, why := range refuse(s.Cloud, tenant, user.Inputs, s.In) {
					result = append(result, arm.Found("securityRules", "network security group '%s' %s", s.ID, why)...)
				}
			}
		}
		return result
	}}
}

// keptBySubnet makes the rule that a subnet's resources stay reachable when it gets another
// security group.
func keptBySubnet(id, code string, kinds []string, refuse guarded) arm.Rule {
	return arm.Rule{ID: id, Code: code, Broken: func(s arm.Subject) []arm.Finding {
		group := groupOf(s.Cloud, s.In)
		if s.Creating() || group == nil {
			return nil
		}
		var result []arm.Finding
		for _, tenant := range tenantsOf(s.Cloud, s.ID) {
			if !slices.Contains(kinds, tenant.Kind) {
				continue
			}
			for _, why := range refuse(s.Cloud, tenant, s.In, group.Inputs) {
				result = append(result, arm.Found("networkSecurityGroup", "network security group '%s' %s", group.ID, why)...)
			}
		}
		return result
	}}
}

const (
	nodeTrafficBlocked   = "NodeSubnetTrafficBlockedByNetworkSecurityGroup"
	serverTrafficBlocked = "DelegatedSubnetTrafficBlockedByNetworkSecurityGroup"
	gatewayBlocked       = "ApplicationGatewaySubnetInboundTrafficBlockedByNetworkSecurityGroup"
)

var (
	nodeKinds   = []string{typeCluster, typePool}
	serverKinds = []string{typeServer}

	// nodesStayReachable and subnetKeepsNodes are N8 from the side of the group and of the subnet.
	nodesStayReachable = keptByGroup("N8", nodeTrafficBlocked, nodeKinds, nodesCutOff)
	subnetKeepsNodes   = keptBySubnet("N8", nodeTrafficBlocked, nodeKinds, nodesCutOff)
	// serversStayReachable and subnetKeepsServers are N4 from the same two sides.
	serversStayReachable = keptByGroup("N4", serverTrafficBlocked, serverKinds, serverCutOff)
	subnetKeepsServers   = keptBySubnet("N4", serverTrafficBlocked, serverKinds, serverCutOff)
)

// subnetKeepsGateways is N3 from the side of the subnet.
var subnetKeepsGateways = arm.Rule{ID: "N3", Code: gatewayBlocked, Broken: func(s arm.Subject) []arm.Finding {
	if s.Creating() {
		return nil
	}
	var result []arm.Finding
	for _, tenant := range tenantsOf(s.Cloud, s.ID) {
		if tenant.Kind == typeGateway {
			result = append(result, gatewaySubnetOpen(s.Cloud, s.ID, s.In, tenant.Inputs)...)
		}
	}
	return result
}}

// nodeTraffic is N8: a security group with denies lets nodes and pods talk to one another.
var nodeTraffic = arm.Rule{ID: "N8", Code: nodeTrafficBlocked, Broken: func(s arm.Subject) []arm.Finding {
	tenant := &arm.Record{ID: s.ID, Kind: s.Kind, Inputs: s.In}
	var result []arm.Finding
	for _, id := range poolSubnetIDs(s.In) {
		subnet, _ := subnetOf(s.Cloud, id)
		group := groupOf(s.Cloud, subnet)
		if group == nil {
			continue
		}
		for _, why := range nodesCutOff(s.Cloud, tenant, subnet, group.Inputs) {
			result = append(result, arm.Found("vnetSubnetID", "network security group '%s' of subnet '%s' %s", group.ID, id, why)...)
		}
	}
	return result
}}

// nodesCutOff says which traffic between nodes and pods a security group denies, and whether the
// load balancer may probe nodes.
func nodesCutOff(v *arm.View, tenant *arm.Record, subnet, group arm.Document) []string {
	cluster := tenant.Inputs
	if tenant.Kind == typePool {
		owner, _ := arm.Ancestor(tenant.ID, typeCluster)
		r := v.Find(owner)
		if r == nil {
			return nil // reported as a missing parent
		}
		cluster = r.Inputs
	}
	var flows []flow
	pods := podRange(cluster.Document("networkProfile"))
	for _, nodes := range prefixesOf(subnet) {
		flows = append(flows, flow{label: "from nodes to nodes", from: nodes, to: nodes})
		if pods != "" {
			flows = append(flows, flow{label: "from nodes to pods", from: nodes, to: pods}, flow{label: "from pods to pods", from: pods, to: pods})
		}
	}
	var result []string
	refuse := func(f flow, direction string) {
		f.direction, f.protocol, f.first, f.last = direction, "*", 0, allPorts
		if by := deniedBy(group, f); by != "" {
			result = append(result, fmt.Sprintf("denies traffic %s (%s, %s to %s) by rule '%s'; allow all ports and protocols of it before",
				f.label, strings.ToLower(direction), f.from, f.to, by))
		}
	}
	for _, f := range flows {
		refuse(f, "Inbound")
		refuse(f, "Outbound")
	}
	for _, nodes := range prefixesOf(subnet) {
		refuse(flow{label: "from the load balancer's probes to nodes", from: "AzureLoadBalancer", to: nodes}, "Inbound")
	}
	return result
}

// serverTraffic is N4: the security group of a server's subnet allows the traffic of the server,
// and high availability has its service endpoint.
var serverTraffic = arm.Rule{ID: "N4", Code: serverTrafficBlocked, Broken: func(s arm.Subject) []arm.Finding {
	const path = "network.delegatedSubnetResourceId"
	id := s.In.Text(path)
	subnet, ok := subnetOf(s.Cloud, id)
	if !ok {
		return nil // none, or reported as a missing reference
	}
	var result []arm.Finding
	if mode := s.In.Text("highAvailability.mode"); mode != "" && mode != "Disabled" && !hasServiceEndpoint(subnet, "Microsoft.Storage") {
		result = append(result, arm.Found(path, "high availability needs the service endpoint Microsoft.Storage in subnet '%s'; "+
			"add it to the subnet's serviceEndpoints", id)...)
	}
	if group := groupOf(s.Cloud, subnet); group != nil {
		tenant := &arm.Record{ID: s.ID, Kind: s.Kind, Inputs: s.In}
		for _, why := range serverCutOff(s.Cloud, tenant, subnet, group.Inputs) {
			result = append(result, arm.Found(path, "network security group '%s' of subnet '%s' %s", group.ID, id, why)...)
		}
	}
	return result
}}

// serverCutOff says which of the traffic that a server needs is denied by a security group.
func serverCutOff(_ *arm.View, tenant *arm.Record, subnet, group arm.Document) []string {
	services := []string{"Storage"}
	if tenant.Inputs.Text("authConfig.activeDirectoryAuth") == "Enabled" {
		services = append(services, "AzureActiveDirectory")
	}
	var flows []flow
	for _, prefix := range prefixesOf(subnet) {
		for _, service := range services {
			flows = append(flows, flow{label: "to " + service, direction: "Outbound", first: 443, last: 443, from: prefix, to: service})
		}
		for _, direction := range []string{"Inbound", "Outbound"} {
			flows = append(flows, flow{label: "inside the subnet", direction: direction, first: 5432, last: 5432, from: prefix, to: prefix})
		}
	}
	var result []string
	for _, f := range flows {
		f.protocol = "Tcp"
		if by := deniedBy(group, f); by != "" {
			result = append(result, fmt.Sprintf("denies TCP %d %s (%s) by rule '%s'; allow it before", f.first, f.label, strings.ToLower(f.direction), by))
		}
	}
	return result
}

// gatewayOutbound is N3: a gateway reaches the internet, through which Azure manages it.
func gatewayOutbound(id string, group, subnet arm.Document) []arm.Finding {
	var result []arm.Finding
	for _, prefix := range prefixesOf(subnet) {
		if by := deniedBy(group, flow{direction: "Outbound", protocol: "*", last: allPorts, from: prefix, to: "Internet"}); by != "" {
			result = append(result, arm.Found("networkSecurityGroup", "Network security group '%s' denies traffic to the internet by rule '%s', which an "+
				"Application Gateway needs. Drop the rule, or allow outbound traffic to Internet before it", id, by)...)
		}
	}
	return result
}
