package azure_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/providers"
)

func TestUnit_AResourceIsFoundByWhatAProgramSaysOfIt(t *testing.T) {
	h := open(t, azure.Options{})
	h.must(tokenGroup, groupInputs)
	id, _, exists := h.cloud.Lookup(tokenGroup, in{"resourceGroupName": "RG"})
	assert.True(t, exists, "ids are compared without regard to case")
	assert.Equal(t, group, id)
	for name, c := range map[string]struct {
		typ    string
		inputs in
	}{
		"another name":     {tokenGroup, in{"resourceGroupName": "other"}},
		"no name yet":      {tokenGroup, in{}},
		"an unknown type":  {"azure-native:nothing:Nothing", in{"resourceGroupName": "rg"}},
		"another one's id": {tokenNetwork, in{"resourceGroupName": "rg", "virtualNetworkName": "vnet"}},
	} {
		_, _, exists := h.cloud.Lookup(c.typ, c.inputs)
		assert.False(t, exists, name)
	}
}

func TestUnit_SecretsAreComparedAndNotKept(t *testing.T) {
	h := open(t, azure.Options{})
	h.must(tokenGroup, groupInputs)
	h.must(tokenVault, vaultInputs)
	id, _, err := h.create(t.Context(), tokenSecret, in{
		"resourceGroupName": "rg", "vaultName": "dev-gridos-kv", "secretName": "password", "properties": in{"value": secret("s3cret")},
	})
	require.NoError(t, err)
	for value, want := range map[string]bool{"s3cret": true, "other": false, "": false} {
		holds, err := h.cloud.Holds(id, "properties.value", value)
		require.NoError(t, err)
		assert.Equal(t, want, holds, value)
	}
	_, err = h.cloud.Holds(id, "properties.contentType", "")
	require.ErrorContains(t, err, "takes no properties.contentType that it does not give back")
	_, err = h.cloud.Holds(id+"x", "properties.value", "")
	require.ErrorContains(t, err, "does not exist")
}

func TestUnit_TheLabDoesWhatAPersonDoesWithAz(t *testing.T) {
	h := open(t, azure.Options{})
	server, err := providers.Serve(t.Context(), h.provider)
	require.NoError(t, err)
	control, err := azure.Connect(server.Port)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, control.Close()) })
	require.NoError(t, control.AwaitIdle(t.Context()))

	h.must(tokenGroup, groupInputs)
	vault, _ := h.must(tokenVault, vaultInputs)
	require.NoError(t, h.delete(tokenVault, vault))
	id, softDeleted, exists := h.cloud.Lookup(tokenVault, vaultInputs)
	assert.Equal(t, []any{vault, true, true}, []any{id, softDeleted, exists})
	creation := func() string { return h.cloud.Creation(vault) }
	assert.Empty(t, creation())
	require.NoError(t, control.Undelete(t.Context(), vault))
	before := creation()
	assert.NotEmpty(t, before)
	require.ErrorContains(t, control.Undelete(t.Context(), vault), "is not soft-deleted")

	require.NoError(t, h.delete(tokenVault, vault))
	require.NoError(t, control.Purge(t.Context()))
	assert.Empty(t, h.cloud.SoftDeleted())
	h.must(tokenVault, vaultInputs)
	assert.NotEqual(t, before, creation(), "it is another one")

	require.NoError(t, server.Stop())
	require.ErrorContains(t, control.AwaitIdle(t.Context()), "ask the simulated Azure on port")
}

// A state file that another process serves is of no use to a reader: what it says may be out of
// date.
func TestUnit_TheLabReadsASimulatedAzureThatAnotherProcessServes(t *testing.T) {
	h := open(t, azure.Options{Existing: []azure.Existing{azure.ExistingGroup("hub", "westeurope")}})
	server, err := providers.Serve(t.Context(), h.provider)
	require.NoError(t, err)
	control, err := azure.Connect(server.Port)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, control.Close()) })
	h.must(tokenGroup, groupInputs)
	vault, _ := h.must(tokenVault, vaultInputs)
	password, _ := h.must(tokenSecret, in{
		"resourceGroupName": "rg", "vaultName": "dev-gridos-kv", "secretName": "password", "properties": in{"value": secret("s3cret")},
	})

	inventory, err := control.Inventory(t.Context())
	require.NoError(t, err)
	assert.Equal(t, h.cloud.Inventory(), inventory)
	assert.Len(t, azure.Unseeded(inventory), 3, "what another owner has is marked")

	// A secret of a program has no value in its events, and is passed on all the same.
	inputs := with(vaultInputs, in{"tags": in{"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "x"}})
	id, softDeleted, exists, err := control.Lookup(t.Context(), tokenVault, inputs)
	require.NoError(t, err)
	assert.Equal(t, []any{vault, false, true}, []any{id, softDeleted, exists})
	creation, err := control.Creation(t.Context(), vault)
	require.NoError(t, err)
	assert.Equal(t, h.cloud.Creation(vault), creation)
	require.NotEmpty(t, creation)

	for value, want := range map[string]bool{"s3cret": true, "other": false} {
		holds, err := control.Holds(t.Context(), password, "properties.value", value)
		require.NoError(t, err)
		assert.Equal(t, want, holds, value)
	}
	_, err = control.Holds(t.Context(), password, "properties.contentType", "")
	require.ErrorContains(t, err, "takes no properties.contentType that it does not give back")

	require.ErrorContains(t, control.Forget(t.Context(), vault+"x"), "does not exist, so it cannot be forgotten")
	require.NoError(t, control.Forget(t.Context(), vault))
	left, err := control.Inventory(t.Context())
	require.NoError(t, err)
	assert.Len(t, azure.Unseeded(left), 1, "the secret goes with its vault")
	assert.Len(t, azure.Unseeded(h.cloud.Inventory()), 1, "so does the process that serves it")
}

func TestUnit_TheLabIsToldWhatCannotWork(t *testing.T) {
	h := open(t, azure.Options{})
	h.withCluster()
	server, err := providers.Serve(t.Context(), h.provider)
	require.NoError(t, err)
	control, err := azure.Connect(server.Port)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, control.Close()) })
	reasons, err := control.Unfulfilled(t.Context())
	require.NoError(t, err)
	assert.Equal(t, h.cloud.Unfulfilled(), reasons)
	require.Len(t, reasons, 1)
}
