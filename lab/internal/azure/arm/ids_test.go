package arm

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_ParseID(t *testing.T) {
	const sub = "/subscriptions/00000000-0000-0000-0000-000000000001"
	tests := map[string]struct{ kind, name, head string }{
		sub:                        {TypeSubscription, "00000000-0000-0000-0000-000000000001", ""},
		sub + "/resourceGroups/rg": {typeResourceGroup, "rg", sub},
		sub + "/providers/Microsoft.Authorization/roleDefinitions/x": {"Microsoft.Authorization/roleDefinitions", "x", sub},
		sub + "/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v/subnets/s": {
			"Microsoft.Network/virtualNetworks/subnets", "s", sub + "/resourceGroups/rg",
		},
		sub + "/resourceGroups/rg/providers/A.B/c/d/providers/Microsoft.Authorization/roleAssignments/n": {
			"Microsoft.Authorization/roleAssignments", "n", sub + "/resourceGroups/rg/providers/A.B/c/d",
		},
	}
	for text, want := range tests {
		id, err := ParseID(text)
		require.NoError(t, err)
		assert.Equal(t, want.kind, id.Kind())
		assert.Equal(t, want.name, id.Name())
		assert.Equal(t, want.head, id.head)
		assert.Equal(t, text, id.String())
	}
	for _, text := range []string{"", "x", sub + "/resourceGroups", sub + "/resourceGroups/rg/providers/A.B/c", sub + "/providers/A.B//x"} {
		_, err := ParseID(text)
		assert.Error(t, err, text)
	}
}
