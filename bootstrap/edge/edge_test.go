package edge_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/bootstrap/edge"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/policy"
	"github.com/gridos/sharedinfra/stacks"
)

func TestUnit_TheGatewayIsReachedAtTheAddressThatInfraChose(t *testing.T) {
	t.Parallel()
	recorded, err := mocks.Run{Project: stacks.Bootstrap, Root: "../..", Stack: "dev"}.Do(func(ctx *pulumi.Context) error {
		// The guardrails refuse a load balancer with a public address.
		return policy.Guard(ctx, policy.Settings{}, func(ctx *pulumi.Context) error {
			_, err := edge.New(ctx, "edge", edge.Args{IngressIP: pulumi.String("10.10.18.10")})
			return err
		})
	})
	require.NoError(t, err)
	services := recorded.OfType("kubernetes:core/v1:Service")
	require.Len(t, services, 1)
	service := services[0].Inputs.Mappable()
	assert.Equal(t, map[string]any{
		"name": "gridos-edge", "namespace": "aks-istio-ingress",
		"annotations": map[string]any{
			"service.beta.kubernetes.io/azure-load-balancer-internal":        "true",
			"service.beta.kubernetes.io/azure-load-balancer-internal-subnet": "ingress",
			"service.beta.kubernetes.io/azure-load-balancer-ipv4":            "10.10.18.10",
		},
	}, service["metadata"])
	port := func(name string, number, target float64) any {
		return map[string]any{"name": name, "protocol": "TCP", "port": number, "targetPort": target}
	}
	assert.Equal(t, map[string]any{
		"type": "LoadBalancer", "externalTrafficPolicy": "Local",
		"selector": map[string]any{"istio": "aks-istio-ingressgateway-internal"},
		"ports":    []any{port("status-port", 15021, 15021), port("http2", 80, 8080), port("https", 443, 8443)},
	}, service["spec"])
}
