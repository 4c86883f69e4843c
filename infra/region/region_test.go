package region

import (
	"slices"
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
	for _, name := range zoned {
		assert.False(t, slices.Contains(zoneless, name), name)
	}
}
