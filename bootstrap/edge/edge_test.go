package edge_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/bootstrap/edge"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/stacks"
)

// lab/internal/delivery/traffic tests where its ports lead: it knows AKS' own Service, and how
// Envoy uses both.
func TestUnit_TheGatewayIsReachedAtTheAddressThatInfraChoseAndAtNoOther(t *testing.T) {
	t.Parallel()
	recorded, err := mocks.Run{Project: stacks.Bootstrap, Root: "../..", Stack: "prod"}.Do(func(ctx *pulumi.Context) error {
		_, err := edge.New(ctx, "edge", edge.Args{IngressIP: pulumi.String("10.10.18.10")})
		return err
	})
	require.NoError(t, err)
	services := recorded.OfType(object.ServiceToken)
	require.Len(t, services, 1)
	metadata := services[0].Inputs["metadata"].ObjectValue().Mappable()
	assert.Equal(t, naming.NamespaceIstioIngress, metadata["namespace"], "a Service selects pods of its own namespace")
	annotations, ok := metadata["annotations"].(map[string]any)
	require.True(t, ok)
	assert.Equal(t, "10.10.18.10", annotations["service.beta.kubernetes.io/azure-load-balancer-ipv4"])
	assert.Equal(t, naming.SubnetIngress, annotations["service.beta.kubernetes.io/azure-load-balancer-internal-subnet"],
		"the address is of this subnet")
	spec := services[0].Inputs["spec"].ObjectValue().Mappable()
	assert.Equal(t, "Local", spec["externalTrafficPolicy"], "the mesh is to see the Application Gateway's address")

	assert.Empty(t, recorded.Violations(), "the load balancer has no public address")
	registered := services[0].Inputs["metadata"].ObjectValue()["annotations"].ObjectValue()
	delete(registered, "service.beta.kubernetes.io/azure-load-balancer-internal")
	violations := recorded.Violations()
	require.Len(t, violations, 1, "and without the annotation it would have one")
	assert.Equal(t, "no-public-endpoint", violations[0].Rule)
	assert.Equal(t, "edge-service", violations[0].Resource)
}
