package region

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_RegionsAreJudgedAsFarAsTheyAreKnown(t *testing.T) {
	t.Parallel()
	require.NoError(t, CheckZones("westeurope"))
	require.ErrorContains(t, CheckZones("westus"), "westus has no availability zones")
	require.ErrorContains(t, CheckZones("WestUS"), "has no availability zones")
	require.NoError(t, CheckZones("atlantis"), "Azure may have opened it since")
	require.NoError(t, CheckPair("northeurope"))
	require.ErrorContains(t, CheckPair("qatarcentral"), "paired with no other region")
	require.ErrorContains(t, CheckPair("brazilsouth"), "Azure copies no backups of PostgreSQL from brazilsouth to its pair")
	require.NoError(t, CheckStandby("francecentral"))
	require.ErrorContains(t, CheckStandby("JapanWest"), "no standby in another zone in JapanWest")
}

// West Europe, North Europe and Germany West Central may hold the data, but may refuse resources
// that prod needs.
func TestUnit_ARegionThatBlocksStandbysIsNamed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"westeurope", "WestEurope", "northeurope", "germanywestcentral"} {
		assert.Contains(t, StandbyRestriction(name), "Azure blocks new zone-redundant PostgreSQL servers in "+name)
		assert.Contains(t, StandbyRestriction(name), "az postgres flexible-server list-skus -l "+name, "the remedy")
		require.NoError(t, CheckStandby(name), "it may be lifted")
	}
	for _, name := range []string{"francecentral", "swedencentral", "atlantis"} {
		assert.Empty(t, StandbyRestriction(name))
	}
	for _, name := range restricted {
		assert.NotContains(t, zoneless, name, "what it blocks needs zones")
	}
}

// The lists are written down a second time: a slip in one of the two shows here.
func TestUnit_RegionsAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	for _, name := range strings.Fields(`australiacentral australiasoutheast canadaeast francesouth germanynorth koreasouth northcentralus
		norwaywest southafricawest southindia switzerlandwest uaecentral ukwest westcentralus westindia westus`) {
		require.ErrorContains(t, CheckZones(name), name+" has no availability zones")
	}
	for _, name := range strings.Fields(`israelcentral italynorth mexicocentral newzealandnorth polandcentral qatarcentral spaincentral westus3`) {
		require.ErrorContains(t, CheckPair(name), name+" is paired with no other region")
	}
	for _, name := range strings.Fields("australiacentral2 brazilsouth brazilsoutheast") {
		require.ErrorContains(t, CheckPair(name), "Azure copies no backups of PostgreSQL from "+name)
	}
	for _, name := range strings.Fields(`brazilsouth centralindia eastasia eastus eastus2 germanywestcentral mexicocentral northeurope
		qatarcentral southcentralus southeastasia westeurope westus2`) {
		assert.Contains(t, StandbyRestriction(name), "Azure blocks new zone-redundant PostgreSQL servers in "+name)
	}
}
