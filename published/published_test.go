package published_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/published"
	"github.com/gridos/sharedinfra/stacks"
)

func TestUnit_PublishesTheContractWithoutASecretAndOwnsNothing(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := mocks.Run{
				Project: stacks.Published, Root: "..", Stack: environment,
				Stacks: map[string]map[string]any{
					stacks.Infra.Name:     mocks.InfraOutputs(),
					stacks.Bootstrap.Name: mocks.BootstrapOutputs(),
					stacks.Apps.Name:      mocks.AppsOutputs(),
				},
			}.Do(published.Program)
			require.NoError(t, err)
			assert.Empty(t, recorded.Resources)
			outputs := stacks.OutputsOf[stacks.PublishedOutputs]()
			assert.Len(t, recorded.Exports, len(outputs))
			for key, value := range recorded.Exports {
				if output, ok := value.(pulumi.Output); ok {
					assert.False(t, pulumi.IsSecret(output), key)
				}
			}
		})
	}
}

func TestUnit_ConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	_, err := mocks.Run{
		Project: stacks.Published, Root: "..", Stack: "dev", Config: map[string]string{"location": "x"},
	}.Do(published.Program)
	require.ErrorContains(t, err, "gridos:location: no such key; remove it")
}
