package engine

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Only existing resources are imported, together with the components around them.
func TestUnit_OnlyWhatExistsIsImported(t *testing.T) {
	list := importFile{Resources: []map[string]any{
		{"type": "gridos:network:Network", "name": "network", "component": true},
		{"type": "azure:Subnet", "name": "aks", "parent": "network", "id": "<PLACEHOLDER>"},
		{"type": "gridos:vault:Vault", "name": "vault", "component": true},
		{"type": "azure:Vault", "name": "vaultVault", "logicalName": "vault", "parent": "vault", "id": "<PLACEHOLDER>"},
		{"type": "azure:Group", "name": "group", "id": "<PLACEHOLDER>"},
	}}
	planned := map[string]apitype.StepEventStateMetadata{
		importName("azure:Subnet", "aks"):  {Inputs: map[string]any{"subnetName": "aks"}},
		importName("azure:Vault", "vault"): {Inputs: map[string]any{"vaultName": "kv"}},
		importName("azure:Group", "group"): {},
	}
	ids, err := list.keepExisting(planned, func(typ string, inputs map[string]any) (string, bool, error) {
		return "/vaults/kv", typ == "azure:Vault" && inputs["vaultName"] == "kv", nil
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"/vaults/kv"}, ids)
	assert.Equal(t, []map[string]any{
		{"type": "gridos:vault:Vault", "name": "vault", "component": true},
		{"type": "azure:Vault", "name": "vaultVault", "logicalName": "vault", "parent": "vault", "id": "/vaults/kv"},
	}, list.Resources)
}
