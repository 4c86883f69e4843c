package stacks_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/stacks"
	"github.com/gridos/sharedinfra/stacks/contract"
)

// current is the contract as the code has it.
func current() contract.Contract {
	return contract.Contract{Version: stacks.ContractVersion, Projects: map[string]map[string]contract.Output{
		stacks.Infra.Name:     declared[stacks.InfraOutputs](),
		stacks.Bootstrap.Name: declared[stacks.BootstrapOutputs](),
		stacks.Apps.Name:      declared[stacks.AppsOutputs](),
		stacks.Published.Name: declared[stacks.PublishedOutputs](),
	}}
}

func declared[T any]() map[string]contract.Output {
	of := map[string]contract.Output{}
	for _, o := range stacks.OutputsOf[T]() {
		of[o.Key] = contract.Output{Type: o.Type.String(), Secret: o.Secret}
	}
	return of
}

func TestUnit_TheContractChangesOnlyWithItsVersion(t *testing.T) {
	t.Parallel()
	last, err := contract.Read("..")
	require.NoError(t, err)
	now := contract.At{Contract: current(), Consumers: last.Consumers}
	change := contract.Compare(last, now)
	require.Empty(t, change.Refused(), "who reads these outputs breaks; docs/CONSUMING_OUTPUTS.md tells what to do")
	if *mocks.Update {
		text, err := json.MarshalIndent(now.Contract, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join("..", contract.File), append(text, '\n'), 0o600))
		return
	}
	assert.Equal(t, last.Contract, now.Contract, "outputs were added, or the version was moved; go test ./stacks -update writes it down")
}
