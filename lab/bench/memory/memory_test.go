package memory

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_OnlyTheChosenChildAndItsDescendantsCount(t *testing.T) {
	t.Parallel()
	all := map[int]process{
		1: {name: "bench"}, 2: {name: "pulumi", parent: 1}, 3: {name: "pulumi-resource", parent: 2}, 4: {name: "plugin (x) y", parent: 3},
		5: {name: "kube-apiserver", parent: 1}, 6: {name: "pulumi", parent: 9}, 7: {name: "loop", parent: 8}, 8: {name: "loop", parent: 7},
	}
	var found []int
	for id := range all {
		if descends(all, id, 1, "pulumi") {
			found = append(found, id)
		}
	}
	assert.ElementsMatch(t, []int{2, 3, 4}, found)

	id, p, ok := parseStat("42 (plugin (x) y) S 7 42 42 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 9 0 1234 99999 25 18446744073709551615 1 1 0")
	require.True(t, ok)
	assert.Equal(t, 42, id)
	assert.Equal(t, "plugin (x) y", p.name)
	assert.Equal(t, 7, p.parent)
	assert.Positive(t, p.resident)
	assert.Zero(t, p.resident%25)
	_, _, ok = parseStat("no such line")
	assert.False(t, ok)
}
