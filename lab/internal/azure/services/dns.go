package services

import (
	"regexp"
	"strings"

	dns "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240601"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// ARM types that rules look for.
const (
	typeZone     = "Microsoft.Network/privateDnsZones"
	typeZoneLink = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
)

// dnsTypes are private DNS zones and their links to virtual networks.
func dnsTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[dns.PrivateZone, dns.PrivateZoneArgs](arm.Definition{
			Path: networkProvider + "privateDnsZones/{privateZoneName}",
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`),
				Say:     "a domain name of two labels or more, such as dev.private.postgres.database.azure.com",
			},
			Immutable: []string{"location"},
			Checks:    []arm.Rule{globalLocation},
			InUse:     "CannotDeleteResource", // nested resources: links of others count (rule N11)
		}),
		arm.Typed[dns.VirtualNetworkLink, dns.VirtualNetworkLinkArgs](arm.Definition{
			Path:      networkProvider + "privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}",
			Name:      anyNetworkName,
			Immutable: []string{"location", "virtualNetwork"},
			Refers:    map[string]string{"virtualNetwork.id": typeNetwork},
			Checks:    []arm.Rule{globalLocation, linkedNetwork, linkFallback},
			Demands:   []arm.Rule{linksOfNetwork},
			Compute:   func(arm.Subject) arm.Document { return arm.Document{"virtualNetworkLinkState": "Completed"} },
		}),
	}
}

// globalLocation is N5: private DNS is not in a region, and the location must be written out as
// Global.
var globalLocation = arm.Rule{ID: "N5", Code: "LocationNotAvailableForResourceType", Broken: func(s arm.Subject) []arm.Finding {
	if s.In.Unsure("location") || strings.EqualFold(s.In.Text("location"), "global") {
		return nil
	}
	return arm.Found("location", "the location of private DNS is '%s'; set it to Global", s.In.Text("location"))
}}

// linkedNetwork: a link without a network links nothing.
var linkedNetwork = arm.Rule{ID: "N5", Code: "MissingVirtualNetwork", Broken: func(s arm.Subject) []arm.Finding {
	if s.In.Has("virtualNetwork.id") {
		return nil
	}
	return arm.Found("virtualNetwork", "a virtual network link needs virtualNetwork.id; set it")
}}

// linksOfNetwork is N5: a virtual network is linked to a zone once, to no two zones of one name,
// and registers its machines in at most one zone.
var linksOfNetwork = arm.Rule{ID: "N5", Code: "VirtualNetworkLinkConflict", Broken: func(s arm.Subject) []arm.Finding {
	zone := s.In.Text("privateZoneName")
	var result []arm.Finding
	for _, other := range s.Cloud.Present() {
		if other.Kind != typeZoneLink || arm.Key(other.ID) == arm.Key(s.ID) ||
			arm.Key(other.Inputs.Text("virtualNetwork.id")) != arm.Key(s.In.Text("virtualNetwork.id")) {
			continue
		}
		if strings.EqualFold(other.Inputs.Text("privateZoneName"), zone) {
			result = append(result, arm.Found("virtualNetwork", "the virtual network is linked to a zone '%s' already by '%s'; drop one of the two",
				zone, other.ID)...)
		}
		if s.In.Flag("registrationEnabled") && other.Inputs.Flag("registrationEnabled") {
			result = append(result, arm.Found("registrationEnabled", "the virtual network registers its machines by '%s' already, and one zone is the "+
				"most; set registrationEnabled to false", other.ID)...)
		}
	}
	return result
}}

// linkFallback: only zones of private links may fall back to public DNS for names that they do not
// have.
var linkFallback = arm.Rule{ID: "N5", Code: "InvalidResolutionPolicy", Broken: func(s arm.Subject) []arm.Finding {
	const path = "resolutionPolicy"
	if s.In.Text(path) == "NxDomainRedirect" && !s.In.Unsure("privateZoneName") && !strings.HasPrefix(s.In.Text("privateZoneName"), "privatelink.") {
		return arm.Found(path, "zone '%s' is no zone of private links and has no fallback; drop resolutionPolicy", s.In.Text("privateZoneName"))
	}
	return s.OneOf(path, "Default", "NxDomainRedirect")
}}
