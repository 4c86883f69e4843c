package azure

import (
	"regexp"
	"strings"

	dns "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240601"
)

// ARM types that rules look for.
const (
	typeZone     = "Microsoft.Network/privateDnsZones"
	typeZoneLink = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
)

// dnsTypes are private DNS zones and their links to virtual networks.
func dnsTypes() []Definition {
	return []Definition{
		Typed[dns.PrivateZone, dns.PrivateZoneArgs](Definition{
			Path: networkProvider + "privateDnsZones/{privateZoneName}",
			Name: NameRule{
				Pattern: regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`),
				Say:     "a domain name of two labels or more, such as dev.private.postgres.database.azure.com",
			},
			Immutable: []string{"location"},
			Checks:    []Rule{globalLocation},
			InUse:     "CannotDeletePrivateZoneInUse",
		}),
		Typed[dns.VirtualNetworkLink, dns.VirtualNetworkLinkArgs](Definition{
			Path:      networkProvider + "privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}",
			Name:      anyNetworkName,
			Immutable: []string{"location", "virtualNetwork"},
			Refers:    map[string]string{"virtualNetwork.id": typeNetwork},
			Checks:    []Rule{globalLocation, linkedNetwork},
			Demands:   []Rule{linksOfNetwork},
			Compute:   func(Subject) Document { return Document{"virtualNetworkLinkState": "Completed"} },
		}),
	}
}

// globalLocation is N5: private DNS is not in a region, and the location must be written out as Global.
var globalLocation = Rule{ID: "N5", Code: "LocationNotAvailableForResourceType", Broken: func(s Subject) []Finding {
	if s.In.Unsure("location") || strings.EqualFold(s.In.Text("location"), "global") {
		return nil
	}
	return Found("location", "the location of private DNS is '%s'; set it to Global", s.In.Text("location"))
}}

// linkedNetwork: a link without a network links nothing.
var linkedNetwork = Rule{ID: "N5", Code: "MissingVirtualNetwork", Broken: func(s Subject) []Finding {
	if s.In.Has("virtualNetwork.id") {
		return nil
	}
	return Found("virtualNetwork", "a virtual network link needs virtualNetwork.id; set it")
}}

// linksOfNetwork is N5: a virtual network is linked to a zone once, to no two zones of one name, and registers its machines in at
// most one zone.
var linksOfNetwork = Rule{ID: "N5", Code: "VirtualNetworkLinkConflict", Broken: func(s Subject) []Finding {
	zone := s.In.Text("privateZoneName")
	var result []Finding
	for _, other := range s.Cloud.Present() {
		if other.Kind != typeZoneLink || Key(other.ID) == Key(s.ID) ||
			Key(other.Inputs.Text("virtualNetwork.id")) != Key(s.In.Text("virtualNetwork.id")) {
			continue
		}
		if strings.EqualFold(other.Inputs.Text("privateZoneName"), zone) {
			result = append(result, Found("virtualNetwork", "the virtual network is linked to a zone '%s' already by '%s'; drop one of the two",
				zone, other.ID)...)
		}
		if s.In.Flag("registrationEnabled") && other.Inputs.Flag("registrationEnabled") {
			result = append(result, Found("registrationEnabled", "the virtual network registers its machines by '%s' already, and one zone is the "+
				"most; set registrationEnabled to false", other.ID)...)
		}
	}
	return result
}}
