package services

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// zonedRegions says for some regions, by short name, whether they have availability zones. Regions
// that are not listed are not checked. Source: azure-docs
// reliability/availability-zones-region-support.
var zonedRegions = map[string]bool{
	"westeurope": true, "northeurope": true, "germanywestcentral": true, "francecentral": true, "swedencentral": true,
	"norwayeast": true, "switzerlandnorth": true, "uksouth": true, "italynorth": true, "polandcentral": true, "spaincentral": true,
	"eastus": true, "eastus2": true, "centralus": true, "southcentralus": true, "westus2": true, "westus3": true,
	"canadacentral": true, "brazilsouth": true, "australiaeast": true, "japaneast": true, "koreacentral": true,
	"southeastasia": true, "eastasia": true, "centralindia": true, "southafricanorth": true, "uaenorth": true, "qatarcentral": true,

	"westus": false, "northcentralus": false, "westcentralus": false, "ukwest": false, "germanynorth": false,
	"francesouth": false, "switzerlandwest": false, "norwaywest": false, "canadaeast": false, "australiasoutheast": false,
	"australiacentral": false, "southindia": false, "westindia": false, "koreasouth": false, "southafricawest": false,
	"uaecentral": false, "brazilsoutheast": false, "swedensouth": false,
}

// zonePaths are the inputs that name availability zones.
var zonePaths = []string{"zones", "availabilityZones", "availabilityZone", "highAvailability.standbyAvailabilityZone"}

// availabilityZones: zones are 1, 2 and 3, and only some regions have them.
var availabilityZones = arm.Rule{ID: "Zones", Code: "AvailabilityZoneNotSupported", Broken: func(s arm.Subject) []arm.Finding {
	return zoneFindings(s.In, s.In.Text("location"))
}}

// poolZones applies availabilityZones to an agent pool, in the region of its cluster.
var poolZones = arm.Rule{ID: "Zones", Code: "AvailabilityZoneNotSupported", Broken: func(s arm.Subject) []arm.Finding {
	owner, _ := arm.Ancestor(s.ID, typeCluster)
	cluster := s.Cloud.Find(owner)
	if cluster == nil {
		return nil // reported as a missing parent
	}
	return zoneFindings(s.In, s.Cloud.LocationOf(cluster))
}}

func zoneFindings(in arm.Document, location string) []arm.Finding {
	zoned, listed := zonedRegions[regionOf(location)]
	var result []arm.Finding
	look := func(path string, zones []string) {
		if len(zones) == 0 {
			return
		}
		if listed && !zoned {
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("region %s has no availability zones; drop %s, or use another region", location, path)})
			return
		}
		for i, zone := range zones {
			if !slices.Contains([]string{"1", "2", "3"}, zone) || slices.Contains(zones[:i], zone) {
				result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("availability zones are %s; use 1, 2 and 3, each once", strings.Join(zones, ", "))})
				return
			}
		}
	}
	for _, path := range zonePaths {
		zones := in.Texts(path)
		if zone := in.Text(path); zone != "" {
			zones = append(zones, zone)
		}
		look(path, zones)
	}
	if in.Text("highAvailability.mode") == "ZoneRedundant" && listed && !zoned {
		look("highAvailability.mode", []string{"1"})
	}
	if in.Text("zoneRedundancy") == "Enabled" && listed && !zoned {
		look("zoneRedundancy", []string{"1"})
	}
	for i, pool := range in.Documents("agentPoolProfiles") {
		look(arm.Indexed("agentPoolProfiles", i)+".availabilityZones", pool.Texts("availabilityZones"))
	}
	return result
}
