package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// An upgrade adds a tenth of the nodes, rounded up (azure-aks-docs, upgrade-aks-cluster, "Customize
// node surge upgrade").
func TestUnit_AnUpgradeAddsATenthOfTheNodes(t *testing.T) {
	t.Parallel()
	for nodes, want := range map[int]int{1: 2, 10: 11, 11: 13, 20: 22} {
		assert.Equal(t, want, Pool{Max: nodes}.Most(), "of %d", nodes)
	}
}
