package services

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// typePrivateEndpoint is the ARM type of a private endpoint.
const typePrivateEndpoint = "Microsoft.Network/privateEndpoints"

// privateService describes how a private endpoint reaches a resource of an ARM type.
type privateService struct {
	// group is the only group id that the type has, and zone the private DNS zone that its names
	// resolve in.
	group, zone string
	// hosts returns the public host names that resolve to the endpoint.
	hosts func(target *arm.Record, location string) []string
	// refuse, if set, says why one resource of the type cannot be reached, or returns "".
	refuse func(inputs arm.Document) string
}

// privateServices are the types that private endpoints lead to (rule N9), by ARM type.
// Source: azure-docs private-link/private-endpoint-overview and private-link/private-endpoint-dns.
var privateServices = map[string]privateService{
	typeVault: {
		group: "vault", zone: "privatelink.vaultcore.azure.net",
		hosts: func(target *arm.Record, _ string) []string { return []string{target.Name() + ".vault.azure.net"} },
	},
	typeRegistry: {
		group: "registry", zone: "privatelink.azurecr.io",
		hosts: func(target *arm.Record, location string) []string {
			return []string{target.Name() + "." + location + ".data.azurecr.io", target.Name() + ".azurecr.io"}
		},
		refuse: func(inputs arm.Document) string {
			if sku := inputs.Text("sku.name"); sku != "Premium" {
				return "private endpoints need SKU Premium, but its SKU is " + sku
			}
			return ""
		},
	},
	typeServer: {
		group: "postgresqlServer", zone: "privatelink" + postgresDomain,
		hosts: func(target *arm.Record, _ string) []string { return []string{target.Name() + postgresDomain} },
		refuse: func(inputs arm.Document) string {
			if inputs.Has("network.delegatedSubnetResourceId") {
				return "a server in a virtual network of its own takes no private endpoint"
			}
			return ""
		},
	},
}

// privateLinkTypes are private endpoints and the DNS records that they keep.
func privateLinkTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[network.PrivateEndpoint, network.PrivateEndpointArgs](arm.Definition{
			Path:      networkProvider + "privateEndpoints/{privateEndpointName}",
			Name:      anyNetworkName,
			Immutable: []string{"location"},
			Frozen: map[string]string{
				"subnet.id":                  "create a new private endpoint in the other subnet",
				"customNetworkInterfaceName": "create a new private endpoint with the other name",
			},
			Refers:  map[string]string{"subnet.id": typeSubnet},
			Checks:  []arm.Rule{endpointParts},
			Demands: []arm.Rule{networkSettled, endpointTarget, endpointSubnet},
			Compute: endpointOutputs,
		}),
		arm.Typed[network.PrivateDnsZoneGroup, network.PrivateDnsZoneGroupArgs](arm.Definition{
			Path:    networkProvider + "privateEndpoints/{privateEndpointName}/privateDnsZoneGroups/{privateDnsZoneGroupName}",
			Name:    anyNetworkName,
			Refers:  map[string]string{"privateDnsZoneConfigs.privateDnsZoneId": typeZone},
			Checks:  []arm.Rule{zoneGroupParts},
			Demands: []arm.Rule{zoneGroupAlone, zoneGroupZones},
			Compute: zoneGroupOutputs,
		}),
	}
}

// connectionsOf returns the connections of a private endpoint, approved automatically or by hand.
func connectionsOf(in arm.Document) []arm.Document {
	return slices.Concat(in.Documents("privateLinkServiceConnections"), in.Documents("manualPrivateLinkServiceConnections"))
}

// endpointParts is N9: a private endpoint has a subnet and exactly one connection, to one group of
// one resource, which stays.
var endpointParts = arm.Rule{ID: "N9", Code: "PrivateEndpointInvalidConfiguration", Broken: func(s arm.Subject) []arm.Finding {
	const path = "privateLinkServiceConnections"
	var result []arm.Finding
	if !s.In.Has("subnet.id") {
		result = append(result, arm.Found("subnet", "a private endpoint needs subnet.id; set it")...)
	}
	if s.In.Unsure(path) || s.In.Unsure("manualPrivateLinkServiceConnections") {
		return result
	}
	if count := len(s.In.Items(path)) + len(s.In.Items("manualPrivateLinkServiceConnections")); count != 1 {
		return append(result, arm.Found(path, "a private endpoint has exactly one connection, not %d; set one", count)...)
	}
	for i, connection := range connectionsOf(s.In) {
		at := arm.Indexed(path, i) + "."
		if !connection.Has("name") {
			result = append(result, arm.Found(at+"name", "a connection needs a name; set it")...)
		}
		if !connection.Has("privateLinkServiceId") {
			result = append(result, arm.Found(at+"privateLinkServiceId", "a connection needs the id of what it leads to; set privateLinkServiceId")...)
		}
		if groups := connection.Items("groupIds"); !connection.Unsure("groupIds") && len(groups) != 1 {
			result = append(result, arm.Found(at+"groupIds", "a connection has exactly one group id, not %d; set one", len(groups))...)
		}
		if message := connection.Text("requestMessage"); len(message) > 140 {
			result = append(result, arm.Found(at+"requestMessage", "a request message has at most 140 characters, not %d; shorten it", len(message))...)
		}
		for _, before := range connectionsOf(s.Before) {
			if arm.Key(before.Text("privateLinkServiceId")) != arm.Key(connection.Text("privateLinkServiceId")) && !connection.Unsure("privateLinkServiceId") ||
				!slices.Equal(before.Texts("groupIds"), connection.Texts("groupIds")) && !connection.Unsure("groupIds") {
				result = append(result, arm.Found(at+"privateLinkServiceId",
					"what a private endpoint leads to cannot be changed; create a new private endpoint")...)
			}
		}
	}
	return result
}}

// endpointTarget is N9: the resource is of a type, and has a SKU, that can be reached privately,
// and has the group.
var endpointTarget = arm.Rule{ID: "N9", Code: "PrivateEndpointCannotBeCreatedForResource", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for i, connection := range connectionsOf(s.In) {
		at := arm.Indexed("privateLinkServiceConnections", i) + "."
		target := s.Cloud.Find(connection.Text("privateLinkServiceId"))
		if target == nil {
			continue // reported as a missing reference
		}
		service, ok := privateServices[target.Kind]
		if !ok {
			result = append(result, arm.Found(at+"privateLinkServiceId",
				"'%s' is a %s, which no private endpoint of the simulated Azure can lead to", target.ID, target.Kind)...)
			continue
		}
		if groups := connection.Texts("groupIds"); !slices.Equal(groups, []string{service.group}) {
			result = append(result, arm.Found(at+"groupIds", "group ids %v are invalid for '%s'; use %s", groups, target.ID, service.group)...)
		}
		if service.refuse != nil {
			if why := service.refuse(target.Inputs); why != "" {
				result = append(result, arm.Found(at+"privateLinkServiceId", "'%s' cannot be reached by a private endpoint: %s", target.ID, why)...)
			}
		}
	}
	return result
}}

// endpointSubnet is N9: a private endpoint goes neither into a delegated subnet nor into one of
// gateways, and is in the region of its network.
var endpointSubnet = arm.Rule{ID: "N9", Code: "PrivateEndpointCannotBeCreatedInSubnet", Broken: func(s arm.Subject) []arm.Finding {
	id := s.In.Text("subnet.id")
	subnet, ok := subnetOf(s.Cloud, id)
	if !ok {
		return nil // reported as a missing reference
	}
	var result []arm.Finding
	if service := delegationOf(subnet); service != "" {
		result = append(result, arm.Found("subnet.id", "subnet '%s' is delegated to %s; use another subnet for private endpoints", id, service)...)
	}
	others := slices.DeleteFunc(tenantsOf(s.Cloud, id), func(r *arm.Record) bool { return r.Kind != typeGateway && r.Kind != typeServer })
	if len(others) > 0 {
		result = append(result, arm.Found("subnet.id", "subnet '%s' is used by %s, which want it for themselves; use another subnet for private endpoints",
			id, arm.NameList(others))...)
	}
	return append(result, sameRegion(s, "subnet.id", id)...)
}}

// sameRegion finds a resource that is in another region than the virtual network whose subnet it
// uses.
func sameRegion(s arm.Subject, path, subnet string) []arm.Finding {
	owner, _ := arm.Ancestor(subnet, typeNetwork)
	joined := s.Cloud.Find(owner)
	if joined == nil {
		return nil // reported as a missing reference
	}
	location := s.Location()
	if theirs := s.Cloud.LocationOf(joined); regionOf(location) != regionOf(theirs) {
		return arm.Found(path, "'%s' is in %s, but its virtual network '%s' is in %s; use one region for both", s.ID, location, owner, theirs)
	}
	return nil
}

// inRegion is N1: a resource in a subnet is in the region of its virtual network.
var inRegion = arm.Rule{ID: "N1", Code: "InvalidResourceReference", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for i, configuration := range s.In.Documents("gatewayIPConfigurations") {
		result = append(result, sameRegion(s, arm.Indexed("gatewayIPConfigurations", i), configuration.Text("subnet.id"))...)
	}
	for _, id := range append(poolSubnetIDs(s.In), s.In.Text("network.delegatedSubnetResourceId")) {
		result = append(result, sameRegion(s, "location", id)...)
	}
	return result
}}

// regionOf returns a location in the form in which locations are compared: West Europe is
// westeurope.
func regionOf(location string) string { return strings.ToLower(strings.ReplaceAll(location, " ", "")) }

// endpointOutputs are the addresses and host names that a private endpoint gets.
func endpointOutputs(s arm.Subject) arm.Document {
	name := s.In.Text("customNetworkInterfaceName")
	if name == "" {
		name = s.In.Text("privateEndpointName") + ".nic." + s.Issued("nic")
	}
	group := arm.ResourceGroupOf(s.ID)
	result := arm.Document{"networkInterfaces": []any{map[string]any{"id": group + "/providers/Microsoft.Network/networkInterfaces/" + name}}}
	for collection, state := range map[string]string{
		"privateLinkServiceConnections": "Approved", "manualPrivateLinkServiceConnections": "Pending",
	} {
		var items []any
		for _, connection := range s.In.Documents(collection) {
			items = append(items, map[string]any{
				"id":                s.ID + "/" + collection + "/" + connection.Text("name"),
				"provisioningState": "Succeeded", "type": typePrivateEndpoint + "/" + collection, "etag": s.Issued(collection),
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

// customConfigs returns the private address of each host name. An endpoint keeps its addresses over
// updates.
func customConfigs(s arm.Subject) []any {
	if existing := s.Cloud.Find(s.ID); existing != nil && existing.Outputs.Has("customDnsConfigs") {
		return existing.Outputs.Items("customDnsConfigs")
	}
	subnet, _ := subnetOf(s.Cloud, s.In.Text("subnet.id"))
	prefixes := prefixesOf(subnet)
	connections := connectionsOf(s.In)
	if len(prefixes) == 0 || len(connections) == 0 {
		return nil
	}
	prefix, err := parsePrefix(prefixes[0])
	target := s.Cloud.Find(connections[0].Text("privateLinkServiceId"))
	if err != nil || target == nil {
		return nil
	}
	var result []any
	taken := privateAddresses(s.Cloud)
	for _, host := range privateServices[target.Kind].hosts(target, regionOf(s.Cloud.LocationOf(target))) {
		address := firstFree(prefix, taken)
		taken[address] = true
		result = append(result, map[string]any{"fqdn": strings.ToLower(host), "ipAddresses": []any{address.String()}})
	}
	return result
}

// privateAddresses returns the addresses of all private endpoints.
func privateAddresses(v *arm.View) map[netip.Addr]bool {
	result := map[netip.Addr]bool{}
	for _, endpoint := range v.All(typePrivateEndpoint) {
		for _, config := range endpoint.Outputs.Documents("customDnsConfigs") {
			for _, text := range config.Texts("ipAddresses") {
				if address, err := netip.ParseAddr(text); err == nil {
					result[address] = true
				}
			}
		}
	}
	return result
}

// reservedAtStart is how many addresses at the start of a subnet Azure keeps: the network, the
// router and two for DNS.
const reservedAtStart = 4

// firstFree returns the first address of a subnet that is neither reserved by Azure nor taken.
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
var zoneGroupParts = arm.Rule{ID: "N9", Code: "PrivateDnsZoneGroupInvalidConfiguration", Broken: func(s arm.Subject) []arm.Finding {
	const path = "privateDnsZoneConfigs"
	if s.In.Unsure(path) {
		return nil
	}
	var result []arm.Finding
	if count := len(s.In.Items(path)); count < 1 || count > 5 {
		result = append(result, arm.Found(path, "a zone group has 1 to 5 zones, not %d; set %s", count, path)...)
	}
	for i, config := range s.In.Documents(path) {
		for _, name := range []string{"name", "privateDnsZoneId"} {
			if !config.Has(name) {
				result = append(result, arm.Found(arm.Indexed(path, i)+"."+name, "an entry of a zone group needs %s; set it", name)...)
			}
		}
	}
	return result
}}

// zoneGroupAlone is N9: an endpoint has one zone group.
var zoneGroupAlone = arm.Rule{ID: "N9", Code: "PrivateDnsZoneGroupLimitReached", Broken: func(s arm.Subject) []arm.Finding {
	owner, _ := arm.Ancestor(s.ID, typePrivateEndpoint)
	others := slices.DeleteFunc(s.Cloud.Children(owner), func(r *arm.Record) bool { return r.Kind != s.Kind || arm.Key(r.ID) == arm.Key(s.ID) })
	if len(others) == 0 {
		return nil
	}
	return arm.Found("privateDnsZoneGroupName", "private endpoint '%s' has the zone group %s already; add the zones to that one", owner, arm.NameList(others))
}}

// zoneGroupZones is N9: the names of the service resolve in this zone, and it is linked to the
// endpoint's virtual network. Azure checks neither, and the names silently resolve to public
// addresses; here it is an error, as for N5.
var zoneGroupZones = arm.Rule{ID: "N9", Code: "PrivateDnsZoneUnusable", Broken: func(s arm.Subject) []arm.Finding {
	owner, _ := arm.Ancestor(s.ID, typePrivateEndpoint)
	endpoint := s.Cloud.Find(owner)
	if endpoint == nil {
		return nil // reported as a missing parent
	}
	joined, _ := arm.Ancestor(endpoint.Inputs.Text("subnet.id"), typeNetwork)
	var result []arm.Finding
	for i, config := range s.In.Documents("privateDnsZoneConfigs") {
		path := arm.Indexed("privateDnsZoneConfigs", i) + ".privateDnsZoneId"
		zone := s.Cloud.Find(config.Text("privateDnsZoneId"))
		if zone == nil {
			continue // reported as a missing reference
		}
		for _, connection := range connectionsOf(endpoint.Inputs) {
			target := s.Cloud.Find(connection.Text("privateLinkServiceId"))
			if target == nil {
				continue
			}
			if want := privateServices[target.Kind].zone; !strings.EqualFold(zone.Name(), want) {
				result = append(result, arm.Found(path, "the names of '%s' do not resolve in zone '%s'; use %s", target.ID, zone.Name(), want)...)
			}
		}
		if !linked(s.Cloud, zone.ID, joined) {
			result = append(result, arm.Found(path, "private DNS zone '%s' is not linked to '%s', so that names would resolve to public addresses. "+
				"Create the VirtualNetworkLink first, and let the zone group depend on it", zone.ID, joined)...)
		}
	}
	return result
}}

// linked says whether a private DNS zone is linked to a virtual network.
func linked(v *arm.View, zone, network string) bool {
	return slices.ContainsFunc(v.All(typeZoneLink), func(link *arm.Record) bool {
		return arm.Within(link.ID, zone) && arm.Key(link.Inputs.Text("virtualNetwork.id")) == arm.Key(network) && v.Find(link.ID) != nil
	})
}

// zoneGroupOutputs are the records that the zone group keeps.
func zoneGroupOutputs(s arm.Subject) arm.Document {
	owner, _ := arm.Ancestor(s.ID, typePrivateEndpoint)
	endpoint := s.Cloud.Find(owner)
	if endpoint == nil {
		return nil
	}
	var configs []any
	for _, config := range s.In.Documents("privateDnsZoneConfigs") {
		zone := strings.ToLower(config.Text("privateDnsZoneId"))
		zone = zone[strings.LastIndex(zone, "/")+1:]
		var records []any
		for _, host := range endpoint.Outputs.Documents("customDnsConfigs") {
			name := strings.TrimSuffix(host.Text("fqdn"), "."+publicDomain(zone))
			records = append(records, map[string]any{
				"recordType": "A", "recordSetName": name, "fqdn": fmt.Sprintf("%s.%s", name, zone), "ttl": 10.0,
				"ipAddresses": host.Items("ipAddresses"), "provisioningState": "Succeeded",
			})
		}
		configs = append(configs, map[string]any{"recordSets": records})
	}
	return arm.Document{"privateDnsZoneConfigs": configs}
}

// publicDomain returns the public domain that belongs to a privatelink zone.
func publicDomain(zone string) string {
	if zone == privateServices[typeVault].zone {
		return "vault.azure.net"
	}
	return strings.TrimPrefix(zone, "privatelink.")
}
