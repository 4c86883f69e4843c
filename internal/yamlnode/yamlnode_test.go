package yamlnode_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/yamlnode"
)

func TestUnit_AChangeKeepsCommentsAndOrder(t *testing.T) {
	t.Parallel()
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte("# why\nlast: 1 # of all\nfirst:\n  gone: 2\n  kept: 3\n"), &document))
	root := document.Content[0]
	first := yamlnode.Field(root, "first")
	yamlnode.Remove(first, "gone")
	yamlnode.Remove(first, "gone")
	yamlnode.Add(first, "new", yamlnode.Mapping("a", "4", "b", "5"))
	text, err := yamlnode.Marshal(&document)
	require.NoError(t, err)
	assert.Equal(t, "# why\nlast: 1 # of all\nfirst:\n  kept: 3\n  new:\n    a: 4\n    b: 5\n", string(text))
	assert.Nil(t, yamlnode.Field(root, "kept"), "which is deeper")
	assert.Nil(t, yamlnode.Field(yamlnode.Field(root, "none"), "kept"))
	assert.Len(t, maps.Collect(yamlnode.Pairs(root)), 2)
}
