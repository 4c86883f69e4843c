package services

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// gatewayPorts are the ports on which Azure manages an Application Gateway v2.
const (
	gatewayPortFirst = 65200
	gatewayPortLast  = 65535
)

// securityRules: priorities are 100 to 4096 and unique per direction.
var securityRules = arm.Rule{Code: "SecurityRuleInvalidPriority", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	taken := map[string]string{}
	for i, r := range s.In.Documents("securityRules") {
		path := arm.Indexed("securityRules", i)
		if r.Text("name") == "" && !r.Unsure("name") {
			result = append(result, arm.Finding{Property: path + ".name", Message: "a security rule has no name; set it"})
		}
		priority, ok := r.Number("priority")
		if !ok {
			continue
		}
		if priority < 100 || priority > 4096 {
			result = append(result, arm.Finding{Property: path + ".priority", Message: fmt.Sprintf(
				"security rule '%s' has priority %g; use 100 to 4096", r.Text("name"), priority)})
		}
		slot := fmt.Sprintf("%s %g", r.Text("direction"), priority)
		if other, ok := taken[slot]; ok {
			result = append(result, arm.Finding{Property: path + ".priority", Message: fmt.Sprintf(
				"security rules '%s' and '%s' have the same priority and direction (%s); each needs its own", other, r.Text("name"), slot)})
		}
		taken[slot] = r.Text("name")
	}
	return result
}}

// securityPorts: a port is *, a number or a range of numbers, and a list of ports has a property of
// its own.
var securityPorts = arm.Rule{Code: "SecurityRuleInvalidPortRange", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for i, r := range s.In.Documents("securityRules") {
		for _, name := range []string{"sourcePortRange", "destinationPortRange", "sourcePortRanges", "destinationPortRanges"} {
			texts := r.Texts(name)
			if text := r.Text(name); text != "" {
				texts = []string{text}
			}
			for _, text := range texts {
				if !portRange(text) {
					result = append(result, arm.Found(arm.Indexed("securityRules", i)+"."+name, "Security rule has invalid Port range. Value provided: %s. "+
						"Value should be an integer OR integer range with '-' delimiter. Valid range 0-65535", text)...)
				}
			}
		}
	}
	return result
}}

func portRange(text string) bool {
	if text == "*" {
		return true
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	from, errFrom := strconv.ParseUint(low, 10, 16)
	to, errTo := strconv.ParseUint(high, 10, 16)
	return errFrom == nil && errTo == nil && from <= to
}

// serviceTag is a name such as AzureLoadBalancer or Storage.WestEurope.
var serviceTag = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z0-9]+)*$`)

// securityRanges: the source and the destination of traffic are *, an address, a range without host
// bits or one service tag.
var securityRanges = arm.Rule{Code: "SecurityRuleInvalidAddressPrefix", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for i, r := range s.In.Documents("securityRules") {
		for _, name := range []string{"sourceAddressPrefix", "destinationAddressPrefix", "sourceAddressPrefixes", "destinationAddressPrefixes"} {
			texts, path := r.Texts(name), arm.Indexed("securityRules", i)+"."+name
			if text := r.Text(name); text != "" {
				texts = []string{text}
			}
			var tags []string
			for _, text := range texts {
				_, errPrefix := parsePrefix(text)
				_, errAddress := netip.ParseAddr(text)
				switch {
				case text == "*" || errPrefix == nil || errAddress == nil:
				case serviceTag.MatchString(text):
					tags = append(tags, text)
				default:
					result = append(result, arm.Found(path, "Security rule '%s' has invalid Address prefix. Value provided: %s; "+
						"use an address, a range such as 10.0.0.0/24 or a service tag", r.Text("name"), text)...)
				}
			}
			if len(tags) > 1 {
				result = append(result, arm.Found(path, "security rule '%s' has the service tags %s; a rule has one, make a rule for each",
					r.Text("name"), strings.Join(tags, ", "))...)
			}
		}
	}
	return result
}}

// gatewaysStayReachable is N3 from the side of the security group: no change may cut off a gateway
// behind it.
var gatewaysStayReachable = arm.Rule{
	ID: "N3", Code: "ApplicationGatewaySubnetInboundTrafficBlockedByNetworkSecurityGroup",
	Broken: func(s arm.Subject) []arm.Finding {
		var result []arm.Finding
		for _, subnet := range s.Cloud.Users(s.ID) {
			for _, tenant := range tenantsOf(s.Cloud, subnet.ID) {
				if tenant.Kind == typeGateway {
					result = append(result, gatewayCutOff(s.ID, s.In, subnet.Inputs, tenant.Inputs)...)
				}
			}
		}
		return result
	},
}

// closedToClients is N3: a listener on a public address can be reached from somewhere outside.
// Azure would accept a gateway without reachable listeners; here it is an error.
func closedToClients(id string, group, gateway arm.Document) []arm.Finding {
	public := slices.ContainsFunc(gateway.Documents("frontendIPConfigurations"), func(f arm.Document) bool { return f.Has("publicIPAddress") })
	if !public {
		return nil
	}
	numbers := map[string]float64{}
	for _, port := range gateway.Documents("frontendPorts") {
		numbers[port.Text("name")], _ = port.Number("port")
	}
	var result []arm.Finding
	for _, listener := range gateway.Documents("httpListeners") {
		port := int(numbers[refersToPart(listener, "frontendPort")])
		if port != 0 && !openToClients(group, port) {
			result = append(result, arm.Finding{Property: "networkSecurityGroup", Message: fmt.Sprintf(
				"Network security group '%s' lets no client reach listener '%s' on port %d. Allow inbound TCP %d to the subnet", id,
				listener.Text("name"), port, port)})
		}
	}
	return result
}

// gatewayCutOff is N3 in full. It checks the clients' access only if Azure has access.
func gatewayCutOff(id string, group, subnet, gateway arm.Document) []arm.Finding {
	if result := slices.Concat(closedToGatewayManager(id, group), gatewayOutbound(id, group, subnet)); len(result) > 0 {
		return result
	}
	return closedToClients(id, group, gateway)
}

// openToClients reports whether a rule lets clients other than Azure itself and the virtual network
// reach a port, before another rule denies it to all.
func openToClients(group arm.Document, port int) bool {
	azures := []string{"GatewayManager", "AzureLoadBalancer", "VirtualNetwork"}
	for _, r := range byPriority(group, "Inbound") {
		sources := append(r.Texts("sourceAddressPrefixes"), r.Text("sourceAddressPrefix"))
		outside := slices.ContainsFunc(sources, func(source string) bool { return source != "" && !containsFold(azures, source) })
		if covers, _ := portsCover(r, port, port); !covers || !outside || !overTCP(r) {
			continue
		}
		if strings.EqualFold(r.Text("access"), "Allow") {
			return true
		}
		if slices.Contains(sources, "*") || slices.Contains(sources, "0.0.0.0/0") || containsFold(sources, "Internet") {
			return false
		}
	}
	return false
}

// byPriority returns the security rules of a direction in the order in which Azure applies them.
func byPriority(group arm.Document, direction string) []arm.Document {
	rules := slices.DeleteFunc(group.Documents("securityRules"), func(r arm.Document) bool {
		return !strings.EqualFold(r.Text("direction"), direction)
	})
	slices.SortStableFunc(rules, func(a, b arm.Document) int {
		one, _ := a.Number("priority")
		two, _ := b.Number("priority")
		return cmp.Compare(one, two)
	})
	return rules
}

// gatewaySubnetOpen is N3: the security group of a gateway's subnet, if there is one, allows Azure
// to manage the gateway and clients to reach it.
func gatewaySubnetOpen(v *arm.View, id string, subnet, gateway arm.Document) []arm.Finding {
	group := groupOf(v, subnet)
	if group == nil {
		return nil // none, or reported as a missing reference of the subnet
	}
	findings := gatewayCutOff(group.ID, group.Inputs, subnet, gateway)
	for i := range findings {
		findings[i].Message = fmt.Sprintf("subnet '%s': %s", id, findings[i].Message)
	}
	return findings
}

// closedToGatewayManager evaluates the inbound rules of a security group, in the order of their
// priority, for the management traffic of gateways and for the probes of Azure's load balancer.
func closedToGatewayManager(id string, group arm.Document) []arm.Finding {
	inbound := byPriority(group, "Inbound")
	var result []arm.Finding
	managed := false
	for _, r := range inbound {
		all, some := portsCover(r, gatewayPortFirst, gatewayPortLast)
		if !fromTag(r, "GatewayManager") || !overTCP(r) || !some {
			continue
		}
		if strings.EqualFold(r.Text("access"), "Allow") && all {
			managed = true
		}
		break
	}
	if !managed {
		result = append(result, arm.Finding{Property: "networkSecurityGroup", Message: fmt.Sprintf(
			"Network security group '%s' blocks incoming internet traffic on ports 65200 - 65535 to the subnet of an Application "+
				"Gateway. Allow inbound TCP 65200-65535 from GatewayManager to any destination", id)})
	}
	for _, r := range inbound {
		if !fromTag(r, "AzureLoadBalancer") || strings.EqualFold(r.Text("sourceAddressPrefix"), "Internet") {
			continue
		}
		if strings.EqualFold(r.Text("access"), "Deny") {
			result = append(result, arm.Finding{Property: "networkSecurityGroup", Message: fmt.Sprintf(
				"Network security group '%s' denies AzureLoadBalancer by rule '%s'. Allow inbound traffic from AzureLoadBalancer before it",
				id, r.Text("name"))})
		}
		if all, _ := portsCover(r, 0, gatewayPortLast); all {
			break
		}
	}
	return result
}

// fromTag says whether a security rule applies to traffic of a service tag.
func fromTag(r arm.Document, tag string) bool {
	sources := append(r.Texts("sourceAddressPrefixes"), r.Text("sourceAddressPrefix"))
	return slices.ContainsFunc(sources, func(source string) bool {
		return source == "*" || source == "0.0.0.0/0" || strings.EqualFold(source, tag) ||
			strings.EqualFold(source, "Internet") && tag == "GatewayManager"
	})
}

func overTCP(r arm.Document) bool {
	protocol := r.Text("protocol")
	return protocol == "*" || strings.EqualFold(protocol, "Tcp")
}

// portsCover says whether the destination ports of a security rule include all, or some, of the
// ports first to last.
func portsCover(r arm.Document, first, last int) (all, some bool) {
	for _, text := range append(r.Texts("destinationPortRanges"), r.Text("destinationPortRange")) {
		from, to := 0, gatewayPortLast
		if text != "*" {
			low, high, isRange := strings.Cut(text, "-")
			if !isRange {
				high = low
			}
			var errLow, errHigh error
			from, errLow = strconv.Atoi(low)
			to, errHigh = strconv.Atoi(high)
			if errLow != nil || errHigh != nil {
				continue
			}
		}
		all = all || from <= first && to >= last
		some = some || from <= last && to >= first
	}
	return all, some
}
