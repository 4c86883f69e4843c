// Package region knows what Azure's regions offer, as far as the platform's choices depend on it.
package region

import (
	"fmt"
	"slices"
	"strings"
)

// zoneless are regions without availability zones. Azure opens regions and adds zones: what is not
// listed is not judged. Source: learn.microsoft.com, reliability/regions-list.
var (
	zoneless = []string{
		"australiacentral", "australiasoutheast", "canadaeast", "francesouth", "germanynorth", "koreasouth", "northcentralus",
		"norwaywest", "southafricawest", "southindia", "switzerlandwest", "uaecentral", "ukwest", "westcentralus", "westindia",
		"westus",
	}
	// unpaired are regions that Azure pairs with no other, so that nothing is copied to a second
	// region. Source: the same page.
	unpaired = []string{
		"israelcentral", "italynorth", "mexicocentral", "newzealandnorth", "polandcentral", "qatarcentral", "spaincentral", "westus3",
	}
	// restricted are regions where Azure creates no zone-redundant PostgreSQL server for the time
	// being, standbyless those with zones where it offers none at all, and uncopied those with a pair
	// to which it copies no backup of PostgreSQL. Source: azure-databases-docs,
	// articles/postgresql/includes/regions-table.md of 22 December 2025, the columns "Zone-Redundant
	// HA" ($ is "temporarily blocked") and "Geo-Redundant backup".
	restricted = []string{
		"brazilsouth", "centralindia", "eastasia", "eastus", "eastus2", "germanywestcentral", "mexicocentral", "northeurope",
		"qatarcentral", "southcentralus", "southeastasia", "westeurope", "westus2",
	}
	standbyless = []string{"japanwest"}
	uncopied    = []string{"australiacentral2", "brazilsouth", "brazilsoutheast"}
)

// CheckZones returns an error when location has no availability zones.
func CheckZones(location string) error {
	if slices.Contains(zoneless, strings.ToLower(location)) {
		return fmt.Errorf("%s has no availability zones; choose another location, or do without zones", location)
	}
	return nil
}

// CheckPair returns an error when PostgreSQL's backups in location are copied to no other region.
func CheckPair(location string) error {
	switch name := strings.ToLower(location); {
	case slices.Contains(unpaired, name):
		return fmt.Errorf("%s is paired with no other region; choose another location, or do without copies there", location)
	case slices.Contains(uncopied, name):
		return fmt.Errorf("Azure copies no backups of PostgreSQL from %s to its pair; choose another location, or do without copies",
			location)
	}
	return nil
}

// CheckStandby returns an error when location has zones but PostgreSQL offers no standby in another
// zone there.
func CheckStandby(location string) error {
	if slices.Contains(standbyless, strings.ToLower(location)) {
		return fmt.Errorf("PostgreSQL has no standby in another zone in %s; use SameZone, or choose another location", location)
	}
	return nil
}

// StandbyRestriction says why Azure may refuse to create a zone-redundant PostgreSQL server in
// location, or is "". It is no mistake: Azure lifts restrictions, and some subscriptions are exempt
// (azure-docs issue 110085).
func StandbyRestriction(location string) string {
	if !slices.Contains(restricted, strings.ToLower(location)) {
		return ""
	}
	return fmt.Sprintf("Azure blocks new zone-redundant PostgreSQL servers in %s for the time being (documentation of 22 December 2025); "+
		"a server that exists stays. Before you create one, run `az postgres flexible-server list-skus -l %s`: if "+
		"zoneRedundantHaSupported is not Enabled, choose another location, or SameZone until the region opens", location, location)
}
