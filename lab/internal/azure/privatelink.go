package azure

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
)

// typePrivateEndpoint is the ARM type of a private endpoint.
const typePrivateEndpoint = "Microsoft.Network/privateEndpoints"

// privateService is what a private endpoint can reach of an ARM type.
type privateService struct {
	// group is the only group id that the type has, and zone the private DNS zone that its names resolve in.
	group, zone string
	// hosts returns the public host names that resolve to the endpoint.
	hosts func(target *record, location string) []string
	// refuse, if set, says why one resource of the type cannot be reached, or returns "".
	refuse func(inputs document) string
}

// privateServices are the types that private endpoints lead to (rule N9), by ARM type.
// Source: azure-docs private-link/private-endpoint-overview and private-link/private-endpoint-dns.
var privateServices = map[string]privateService{
	typeVault: {
		group: "vault", zone: "privatelink.vaultcore.azure.net",
		hosts: func(target *record, _ string) []string { return []string{target.name() + ".vault.azure.net"} },
	},
	typeRegistry: {
		group: "registry", zone: "privatelink.azurecr.io",
		hosts: func(target *record, location string) []string {
			return []string{target.name() + "." + location + ".data.azurecr.io", target.name() + ".azurecr.io"}
		},
		refuse: func(inputs document) string {
			if sku := inputs.text("sku.name"); sku != "Premium" {
				return "private endpoints need SKU Premium, but its SKU is " + sku
			}
			return ""
		},
	},
	typeServer: {
		group: "postgresqlServer", zone: "privatelink" + postgresDomain,
		hosts: func(target *record, _ string) []string { return []string{target.name() + postgresDomain} },
		refuse: func(inputs document) string {
			if inputs.has("network.delegatedSubnetResourceId") {
				return "a server in a virtual network of its own takes no private endpoint"
			}
			return ""
		},
	},
}

// privateLinkTypes are private endpoints and the DNS records that they keep.
func privateLinkTypes() []definition {
	return []definition{
		typed[network.PrivateEndpoint, network.PrivateEndpointArgs](definition{
			path:      networkProvider + "privateEndpoints/{privateEndpointName}",
			name:      anyNetworkName,
			immutable: []string{"location"},
			frozen: map[string]string{
				"subnet.id":                  "create a new private endpoint in the other subnet",
				"customNetworkInterfaceName": "create a new private endpoint with the other name",
			},
			refers:  map[string]string{"subnet.id": typeSubnet},
			checks:  []rule{endpointParts},
			demands: []rule{endpointTarget, endpointSubnet},
			compute: endpointOutputs,
		}),
		typed[network.PrivateDnsZoneGroup, network.PrivateDnsZoneGroupArgs](definition{
			path:    networkProvider + "privateEndpoints/{privateEndpointName}/privateDnsZoneGroups/{privateDnsZoneGroupName}",
			name:    anyNetworkName,
			refers:  map[string]string{"privateDnsZoneConfigs.privateDnsZoneId": typeZone},
			checks:  []rule{zoneGroupParts},
			demands: []rule{zoneGroupAlone, zoneGroupZones},
			compute: zoneGroupOutputs,
		}),
	}
}

// connectionsOf returns the connections of a private endpoint, approved automatically or by hand.
func connectionsOf(in document) []document {
	return slices.Concat(in.documents("privateLinkServiceConnections"), in.documents("manualPrivateLinkServiceConnections"))
}

// endpointParts is N9: a private endpoint has a subnet and exactly one connection, to one group of one resource, which stays.
var endpointParts = rule{id: "N9", code: "PrivateEndpointInvalidConfiguration", broken: func(s subject) []finding {
	const path = "privateLinkServiceConnections"
	var result []finding
	if !s.in.has("subnet.id") {
		result = append(result, found("subnet", "a private endpoint needs subnet.id; set it")...)
	}
	if s.in.unsure(path) || s.in.unsure("manualPrivateLinkServiceConnections") {
		return result
	}
	if count := len(s.in.items(path)) + len(s.in.items("manualPrivateLinkServiceConnections")); count != 1 {
		return append(result, found(path, "a private endpoint has exactly one connection, not %d; set one", count)...)
	}
	for i, connection := range connectionsOf(s.in) {
		at := indexed(path, i) + "."
		if !connection.has("name") {
			result = append(result, found(at+"name", "a connection needs a name; set it")...)
		}
		if !connection.has("privateLinkServiceId") {
			result = append(result, found(at+"privateLinkServiceId", "a connection needs the id of what it leads to; set privateLinkServiceId")...)
		}
		if groups := connection.items("groupIds"); !connection.unsure("groupIds") && len(groups) != 1 {
			result = append(result, found(at+"groupIds", "a connection has exactly one group id, not %d; set one", len(groups))...)
		}
		if message := connection.text("requestMessage"); len(message) > 140 {
			result = append(result, found(at+"requestMessage", "a request message has at most 140 characters, not %d; shorten it", len(message))...)
		}
		for _, before := range connectionsOf(s.before) {
			if key(before.text("privateLinkServiceId")) != key(connection.text("privateLinkServiceId")) && !connection.unsure("privateLinkServiceId") ||
				!slices.Equal(before.texts("groupIds"), connection.texts("groupIds")) && !connection.unsure("groupIds") {
				result = append(result, found(at+"privateLinkServiceId",
					"what a private endpoint leads to cannot be changed; create a new private endpoint")...)
			}
		}
	}
	return result
}}

// endpointTarget is N9: the resource is of a type, and has a SKU, that can be reached privately, and has the group.
var endpointTarget = rule{id: "N9", code: "PrivateEndpointCannotBeCreatedForResource", broken: func(s subject) []finding {
	var result []finding
	for i, connection := range connectionsOf(s.in) {
		at := indexed("privateLinkServiceConnections", i) + "."
		target := s.cloud.find(connection.text("privateLinkServiceId"))
		if target == nil {
			continue // reported as a missing reference
		}
		service, ok := privateServices[target.Kind]
		if !ok {
			result = append(result, found(at+"privateLinkServiceId",
				"'%s' is a %s, which no private endpoint of the simulated Azure can lead to", target.ID, target.Kind)...)
			continue
		}
		if groups := connection.texts("groupIds"); !slices.Equal(groups, []string{service.group}) {
			result = append(result, found(at+"groupIds", "group ids %v are invalid for '%s'; use %s", groups, target.ID, service.group)...)
		}
		if service.refuse != nil {
			if why := service.refuse(target.Inputs); why != "" {
				result = append(result, found(at+"privateLinkServiceId", "'%s' cannot be reached by a private endpoint: %s", target.ID, why)...)
			}
		}
	}
	return result
}}

// endpointSubnet is N9: a private endpoint goes neither into a delegated subnet nor into one of gateways, and is in the region of
// its network.
var endpointSubnet = rule{id: "N9", code: "PrivateEndpointCannotBeCreatedInSubnet", broken: func(s subject) []finding {
	id := s.in.text("subnet.id")
	subnet, ok := subnetOf(s.cloud, id)
	if !ok {
		return nil // reported as a missing reference
	}
	var result []finding
	if service := delegationOf(subnet); service != "" {
		result = append(result, found("subnet.id", "subnet '%s' is delegated to %s; use another subnet for private endpoints", id, service)...)
	}
	others := slices.DeleteFunc(tenantsOf(s.cloud, id), func(r *record) bool { return r.Kind != typeGateway && r.Kind != typeServer })
	if len(others) > 0 {
		result = append(result, found("subnet.id", "subnet '%s' is used by %s, which want it for themselves; use another subnet for private endpoints",
			id, nameList(others))...)
	}
	return append(result, sameRegion(s, "subnet.id", id)...)
}}

// sameRegion finds a resource that is in another region than the virtual network whose subnet it uses.
func sameRegion(s subject, path, subnet string) []finding {
	owner, _ := ancestor(subnet, typeNetwork)
	joined := s.cloud.find(owner)
	if joined == nil {
		return nil // reported as a missing reference
	}
	location := s.location()
	if theirs := s.cloud.cloud.locationOfRecord(joined); regionOf(location) != regionOf(theirs) {
		return found(path, "'%s' is in %s, but its virtual network '%s' is in %s; use one region for both", s.id, location, owner, theirs)
	}
	return nil
}

// inRegion is N1: what is in a subnet is in the region of its virtual network.
var inRegion = rule{id: "N1", code: "InvalidResourceReference", broken: func(s subject) []finding {
	var result []finding
	for i, configuration := range s.in.documents("gatewayIPConfigurations") {
		result = append(result, sameRegion(s, indexed("gatewayIPConfigurations", i), configuration.text("subnet.id"))...)
	}
	for _, id := range append(poolSubnetIDs(s.in), s.in.text("network.delegatedSubnetResourceId")) {
		result = append(result, sameRegion(s, "location", id)...)
	}
	return result
}}

// location returns the region of a resource: its own, or that of its resource group.
func (s subject) location() string {
	if location := s.in.text("location"); location != "" {
		return location
	}
	return s.cloud.cloud.locationOf(s.id)
}

// regionOf returns a location in the form in which locations are compared: West Europe is westeurope.
func regionOf(location string) string { return strings.ToLower(strings.ReplaceAll(location, " ", "")) }

// endpointOutputs are the addresses and host names that a private endpoint gets.
func endpointOutputs(s subject) document {
	name := s.in.text("customNetworkInterfaceName")
	if name == "" {
		name = s.in.text("privateEndpointName") + ".nic." + s.issued("nic")
	}
	group := resourceGroupOf(s.id)
	result := document{"networkInterfaces": []any{map[string]any{"id": group + "/providers/Microsoft.Network/networkInterfaces/" + name}}}
	for collection, state := range map[string]string{
		"privateLinkServiceConnections": "Approved", "manualPrivateLinkServiceConnections": "Pending",
	} {
		var items []any
		for _, connection := range s.in.documents(collection) {
			items = append(items, map[string]any{
				"id":                s.id + "/" + collection + "/" + connection.text("name"),
				"provisioningState": "Succeeded", "type": typePrivateEndpoint + "/" + collection, "etag": s.issued(collection),
				"privateLinkServiceConnectionState": map[string]any{"status": state, "description": "", "actionsRequired": "None"},
			})
		}
		if items != nil {
			result[collection] = items
		}
	}
	if configs := customConfigs(s); configs != nil {
		result["customDnsConfigs"] = configs
	}
	return result
}

// customConfigs returns which host name has which private address. An endpoint keeps its addresses over updates.
func customConfigs(s subject) []any {
	if existing := s.cloud.find(s.id); existing != nil && existing.Outputs.has("customDnsConfigs") {
		return existing.Outputs.items("customDnsConfigs")
	}
	subnet, _ := subnetOf(s.cloud, s.in.text("subnet.id"))
	prefixes := prefixesOf(subnet)
	connections := connectionsOf(s.in)
	if len(prefixes) == 0 || len(connections) == 0 {
		return nil
	}
	prefix, err := parsePrefix(prefixes[0])
	target := s.cloud.find(connections[0].text("privateLinkServiceId"))
	if err != nil || target == nil {
		return nil
	}
	var result []any
	taken := s.cloud.privateAddresses()
	for _, host := range privateServices[target.Kind].hosts(target, regionOf(s.cloud.cloud.locationOfRecord(target))) {
		address := firstFree(prefix, taken)
		taken[address] = true
		result = append(result, map[string]any{"fqdn": strings.ToLower(host), "ipAddresses": []any{address.String()}})
	}
	return result
}

// privateAddresses returns the addresses that private endpoints have.
func (v *view) privateAddresses() map[netip.Addr]bool {
	result := map[netip.Addr]bool{}
	for _, endpoint := range v.all(typePrivateEndpoint) {
		for _, config := range endpoint.Outputs.documents("customDnsConfigs") {
			for _, text := range config.texts("ipAddresses") {
				if address, err := netip.ParseAddr(text); err == nil {
					result[address] = true
				}
			}
		}
	}
	return result
}

// reservedAtStart is how many addresses at the start of a subnet Azure keeps: the network, the router and two for DNS.
const reservedAtStart = 4

// firstFree returns the first address of a subnet that is neither Azure's nor taken.
func firstFree(prefix netip.Prefix, taken map[netip.Addr]bool) netip.Addr {
	address := prefix.Addr()
	for range reservedAtStart {
		address = address.Next()
	}
	for taken[address] {
		address = address.Next()
	}
	return address
}

// zoneGroupParts is N9: a zone group has one to five zones.
var zoneGroupParts = rule{id: "N9", code: "PrivateDnsZoneGroupInvalidConfiguration", broken: func(s subject) []finding {
	const path = "privateDnsZoneConfigs"
	if s.in.unsure(path) {
		return nil
	}
	var result []finding
	if count := len(s.in.items(path)); count < 1 || count > 5 {
		result = append(result, found(path, "a zone group has 1 to 5 zones, not %d; set %s", count, path)...)
	}
	for i, config := range s.in.documents(path) {
		for _, name := range []string{"name", "privateDnsZoneId"} {
			if !config.has(name) {
				result = append(result, found(indexed(path, i)+"."+name, "an entry of a zone group needs %s; set it", name)...)
			}
		}
	}
	return result
}}

// zoneGroupAlone is N9: an endpoint has one zone group.
var zoneGroupAlone = rule{id: "N9", code: "PrivateDnsZoneGroupLimitReached", broken: func(s subject) []finding {
	owner, _ := ancestor(s.id, typePrivateEndpoint)
	others := slices.DeleteFunc(s.cloud.children(owner), func(r *record) bool { return r.Kind != s.kind || key(r.ID) == key(s.id) })
	if len(others) == 0 {
		return nil
	}
	return found("privateDnsZoneGroupName", "private endpoint '%s' has the zone group %s already; add the zones to that one", owner, nameList(others))
}}

// zoneGroupZones is N9: the zone is the one in which the names of the service resolve, and it is linked to the endpoint's virtual
// network. Azure does not look at either, and the names silently resolve to public addresses; here it is an error, as for N5.
var zoneGroupZones = rule{id: "N9", code: "PrivateDnsZoneUnusable", broken: func(s subject) []finding {
	owner, _ := ancestor(s.id, typePrivateEndpoint)
	endpoint := s.cloud.find(owner)
	if endpoint == nil {
		return nil // reported as a missing parent
	}
	joined, _ := ancestor(endpoint.Inputs.text("subnet.id"), typeNetwork)
	var result []finding
	for i, config := range s.in.documents("privateDnsZoneConfigs") {
		path := indexed("privateDnsZoneConfigs", i) + ".privateDnsZoneId"
		zone := s.cloud.find(config.text("privateDnsZoneId"))
		if zone == nil {
			continue // reported as a missing reference
		}
		for _, connection := range connectionsOf(endpoint.Inputs) {
			target := s.cloud.find(connection.text("privateLinkServiceId"))
			if target == nil {
				continue
			}
			if want := privateServices[target.Kind].zone; !strings.EqualFold(zone.name(), want) {
				result = append(result, found(path, "the names of '%s' do not resolve in zone '%s'; use %s", target.ID, zone.name(), want)...)
			}
		}
		if !s.cloud.linked(zone.ID, joined) {
			result = append(result, found(path, "private DNS zone '%s' is not linked to '%s', so that names would resolve to public addresses. "+
				"Create the VirtualNetworkLink first, and let the zone group depend on it", zone.ID, joined)...)
		}
	}
	return result
}}

// linked says whether a private DNS zone is linked to a virtual network.
func (v *view) linked(zone, network string) bool {
	return slices.ContainsFunc(v.all(typeZoneLink), func(link *record) bool {
		return within(link.ID, zone) && key(link.Inputs.text("virtualNetwork.id")) == key(network) && v.find(link.ID) != nil
	})
}

// zoneGroupOutputs are the records that the zone group keeps.
func zoneGroupOutputs(s subject) document {
	owner, _ := ancestor(s.id, typePrivateEndpoint)
	endpoint := s.cloud.find(owner)
	if endpoint == nil {
		return nil
	}
	var configs []any
	for _, config := range s.in.documents("privateDnsZoneConfigs") {
		zone := strings.ToLower(config.text("privateDnsZoneId"))
		zone = zone[strings.LastIndex(zone, "/")+1:]
		var records []any
		for _, host := range endpoint.Outputs.documents("customDnsConfigs") {
			name := strings.TrimSuffix(host.text("fqdn"), "."+publicDomain(zone))
			records = append(records, map[string]any{
				"recordType": "A", "recordSetName": name, "fqdn": fmt.Sprintf("%s.%s", name, zone), "ttl": 10.0,
				"ipAddresses": host.items("ipAddresses"), "provisioningState": "Succeeded",
			})
		}
		configs = append(configs, map[string]any{"recordSets": records})
	}
	return document{"privateDnsZoneConfigs": configs}
}

// publicDomain returns the public domain that a privatelink zone stands for.
func publicDomain(zone string) string {
	if zone == privateServices[typeVault].zone {
		return "vault.azure.net"
	}
	return strings.TrimPrefix(zone, "privatelink.")
}
