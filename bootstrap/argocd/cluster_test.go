package argocd

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/stacks"
)

func TestUnit_ApplicationSetsKnowTheEnvironment(t *testing.T) {
	t.Parallel()
	recorded, err := mocks.Run{
		Project: stacks.Bootstrap, Root: "../..", Stack: "test",
		Stacks: map[string]map[string]any{stacks.Infra.Name: mocks.InfraOutputs()},
	}.Do(func(ctx *pulumi.Context) error {
		infra, err := stacks.Read[stacks.InfraOutputs](ctx, stacks.Infra)
		if err != nil {
			return err
		}
		return newCluster(ctx, "cluster", "test", infra, pulumi.String("argocd"))
	})
	require.NoError(t, err)
	secrets := recorded.OfType("kubernetes:core/v1:Secret")
	require.Len(t, secrets, 1)
	// The address and the configuration of the cluster that Argo CD runs in (argo-cd 3.4,
	// docs/operator-manual/declarative-setup.md, "Clusters", 2026-11).
	data := secrets[0].Inputs["stringData"].SecretValue().Element.ObjectValue()
	assert.Equal(t, "https://kubernetes.default.svc", data["server"].StringValue())
	assert.Equal(t, "in-cluster", data["name"].StringValue())
	assert.JSONEq(t, `{"tlsClientConfig": {"insecure": false}}`, data["config"].StringValue(), "its certificate is checked")
	metadata := secrets[0].Inputs["metadata"].ObjectValue()
	labels := metadata["labels"].ObjectValue()
	assert.Equal(t, "cluster", labels["argocd.argoproj.io/secret-type"].StringValue())
	assert.Equal(t, "test", labels["environment"].StringValue())
	annotations := metadata["annotations"].ObjectValue()
	for annotation, output := range map[resource.PropertyKey]string{
		"region": "location", "tenant_id": "tenantId", "subscription_id": "subscriptionId", "resource_group": "resourceGroupName",
		"cluster_name": "clusterName", "key_vault_uri": "keyVaultUri", "registry_login_server": "registryLoginServer",
		"workload_client_id": "workloadClientId", "secrets_client_id": "secretsClientId", "ingress_ip": "ingressIp",
	} {
		assert.Equal(t, "the "+output, annotations[annotation].StringValue())
	}
	for annotation, value := range annotations {
		assert.False(t, value.IsSecret(), "%s can be read by whoever lists clusters", annotation)
		assert.Regexp(t, `^[a-z_]+$`, string(annotation), "a name that templates write after a dot")
	}
}
