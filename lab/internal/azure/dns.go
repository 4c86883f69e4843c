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
func dnsTypes() []definition {
	return []definition{
		typed[dns.PrivateZone, dns.PrivateZoneArgs](definition{
			path: networkProvider + "privateDnsZones/{privateZoneName}",
			name: nameRule{
				pattern: regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`),
				say:     "a domain name of two labels or more, such as dev.private.postgres.database.azure.com",
			},
			immutable: []string{"location"},
			checks:    []rule{globalLocation},
			inUse:     "CannotDeletePrivateZoneInUse",
		}),
		typed[dns.VirtualNetworkLink, dns.VirtualNetworkLinkArgs](definition{
			path:      networkProvider + "privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}",
			name:      anyNetworkName,
			immutable: []string{"location", "virtualNetwork"},
			refers:    map[string]string{"virtualNetwork.id": typeNetwork},
			checks:    []rule{globalLocation, linkedNetwork},
			demands:   []rule{linksOfNetwork},
			compute:   func(subject) document { return document{"virtualNetworkLinkState": "Completed"} },
		}),
	}
}

// globalLocation is N5: private DNS is not in a region, and the location must be written out as Global.
var globalLocation = rule{id: "N5", code: "LocationNotAvailableForResourceType", broken: func(s subject) []finding {
	if s.in.unsure("location") || strings.EqualFold(s.in.text("location"), "global") {
		return nil
	}
	return found("location", "the location of private DNS is '%s'; set it to Global", s.in.text("location"))
}}

// linkedNetwork: a link without a network links nothing.
var linkedNetwork = rule{id: "N5", code: "MissingVirtualNetwork", broken: func(s subject) []finding {
	if s.in.has("virtualNetwork.id") {
		return nil
	}
	return found("virtualNetwork", "a virtual network link needs virtualNetwork.id; set it")
}}

// linksOfNetwork is N5: a virtual network is linked to a zone once, to no two zones of one name, and registers its machines in at
// most one zone.
var linksOfNetwork = rule{id: "N5", code: "VirtualNetworkLinkConflict", broken: func(s subject) []finding {
	zone := s.in.text("privateZoneName")
	var result []finding
	for _, other := range s.cloud.present() {
		if other.Kind != typeZoneLink || key(other.ID) == key(s.id) ||
			key(other.Inputs.text("virtualNetwork.id")) != key(s.in.text("virtualNetwork.id")) {
			continue
		}
		if strings.EqualFold(other.Inputs.text("privateZoneName"), zone) {
			result = append(result, found("virtualNetwork", "the virtual network is linked to a zone '%s' already by '%s'; drop one of the two",
				zone, other.ID)...)
		}
		if s.in.flag("registrationEnabled") && other.Inputs.flag("registrationEnabled") {
			result = append(result, found("registrationEnabled", "the virtual network registers its machines by '%s' already, and one zone is the "+
				"most; set registrationEnabled to false", other.ID)...)
		}
	}
	return result
}}
