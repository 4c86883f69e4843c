package integrity

import (
	"errors"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/engine"
)

// inState is a resource as a state has it.
func inState(kind, id string) apitype.ResourceV3 {
	return apitype.ResourceV3{Type: tokens.Type(kind), ID: resource.ID(id), Custom: true}
}

func TestUnit_AzureAndTheStateHaveTheSameResourcesEachOnce(t *testing.T) {
	t.Parallel()
	const network, vault = "/subscriptions/s/Network", "/subscriptions/s/vault"
	state := []apitype.ResourceV3{inState("azure-native:network:VirtualNetwork", network), inState("kubernetes:core/v1:Namespace", "argocd")}
	inventory := []azure.Resource{{ID: "/subscriptions/s/network"}} // ids compare without case
	require.NoError(t, sameResources(state, inventory))
	for want, c := range map[string]struct {
		state     []apitype.ResourceV3
		inventory []azure.Resource
	}{
		vault + " is in Azure and not in the state":           {state, append(inventory, azure.Resource{ID: vault})},
		vault + " is in the state and not in Azure":           {append(state, inState("azure-native:keyvault:Vault", vault)), inventory},
		"the state has /subscriptions/s/network 2 times":      {append(state, state[0]), inventory},
		"/subscriptions/s/network is in Azure and not in the": {nil, inventory},
	} {
		require.ErrorContains(t, sameResources(c.state, c.inventory), want)
	}
}

func TestUnit_AzureHasTheSecretsOfTheState(t *testing.T) {
	t.Parallel()
	secret := inState("azure-native:keyvault:Secret", "/vault/secrets/one")
	secret.Inputs = map[string]any{"properties": map[string]any{"value": map[string]any{"plaintext": `"swordfish"`}}}
	holding := func(value string) func(string, string, string) (bool, error) {
		return func(id, path, asked string) (bool, error) {
			return id == "/vault/secrets/one" && path == "properties.value" && asked == value, nil
		}
	}
	require.NoError(t, sameValues([]apitype.ResourceV3{secret}, holding("swordfish")))
	err := sameValues([]apitype.ResourceV3{secret}, holding("another"))
	require.ErrorContains(t, err, "properties.value of /vault/secrets/one is another one in Azure than in the state")
	assert.NotContains(t, err.Error(), "swordfish")
	unreachable := func(string, string, string) (bool, error) { return false, errors.New("no such resource") }
	require.ErrorContains(t, sameValues([]apitype.ResourceV3{secret}, unreachable), "no such resource")
	secret.Inputs = map[string]any{"properties": map[string]any{}}
	require.ErrorContains(t, sameValues([]apitype.ResourceV3{secret}, holding("swordfish")), "the state has lost properties.value")
	require.ErrorContains(t, sameValues(nil, holding("swordfish")), "there is no secret in Azure")
}

func TestUnit_APasswordThatIsLostIsNamed(t *testing.T) {
	t.Parallel()
	password := inState("random:index/randomPassword:RandomPassword", "none")
	password.URN = "urn:pulumi:dev::gridos-bootstrap::random::admin"
	password.Outputs = map[string]any{"result": map[string]any{"plaintext": `"swordfish"`}}
	found, err := passwords(map[string]engine.State{"gridos-bootstrap": {Resources: []apitype.ResourceV3{password}}})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{string(password.URN): "swordfish"}, found.passwords)
	password.Outputs = nil
	_, err = passwords(map[string]engine.State{"gridos-bootstrap": {Resources: []apitype.ResourceV3{password}}})
	require.ErrorContains(t, err, "has lost the password "+string(password.URN))
	_, err = passwords(nil)
	require.ErrorContains(t, err, "no password at all")
}
