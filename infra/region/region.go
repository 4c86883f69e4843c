// Package region knows what Azure's regions offer, as far as the platform's choices depend on it.
package region

import (
	"fmt"
	"slices"
	"strings"
)

// zoned are regions with availability zones, and zoneless those without. Azure opens regions and adds zones: what is in neither
// list is not judged. Source: learn.microsoft.com, reliability/regions-list.
var (
	zoned = []string{
		"australiaeast", "brazilsouth", "canadacentral", "centralindia", "centralus", "eastasia", "eastus", "eastus2",
		"francecentral", "germanywestcentral", "israelcentral", "italynorth", "japaneast", "japanwest", "koreacentral",
		"mexicocentral", "newzealandnorth", "northeurope", "norwayeast", "polandcentral", "qatarcentral", "southafricanorth",
		"southcentralus", "southeastasia", "spaincentral", "swedencentral", "switzerlandnorth", "uaenorth", "uksouth",
		"westeurope", "westus2", "westus3",
	}
	zoneless = []string{
		"australiacentral", "australiasoutheast", "canadaeast", "francesouth", "germanynorth", "koreasouth", "northcentralus",
		"norwaywest", "southafricawest", "southindia", "switzerlandwest", "uaecentral", "ukwest", "westcentralus", "westindia",
		"westus",
	}
	// unpaired are regions that Azure pairs with no other, so that nothing is copied to a second region. Source: the same page.
	unpaired = []string{
		"israelcentral", "italynorth", "mexicocentral", "newzealandnorth", "polandcentral", "qatarcentral", "spaincentral", "westus3",
	}
)

// CheckZones returns an error when location has no availability zones.
func CheckZones(location string) error {
	if slices.Contains(zoneless, strings.ToLower(location)) {
		return fmt.Errorf("%s has no availability zones; choose another location, or do without zones", location)
	}
	return nil
}

// CheckPair returns an error when location is paired with no other region.
func CheckPair(location string) error {
	if slices.Contains(unpaired, strings.ToLower(location)) {
		return fmt.Errorf("%s is paired with no other region; choose another location, or do without copies there", location)
	}
	return nil
}
