package program_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
)

const (
	metricsWorkspace = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/watch-rg/providers/Microsoft.Monitor/accounts/watch"

	endpoint       = "azure-native:insights/v20230311:DataCollectionEndpoint"
	collectionRule = "azure-native:insights/v20230311:DataCollectionRule"
)

// sending runs the program of an environment whose Prometheus writes to a workspace of metrics.
func sending(environment string) (*mocks.Recorded, error) {
	r := of(environment, map[string]string{"metricsWorkspaceId": metricsWorkspace, "podLogNamespaces": "[]"})
	r.Computed[endpoint] = map[string]any{"metricsIngestion": map[string]any{"endpoint": "https://e.metrics.example"}}
	r.Computed[collectionRule] = map[string]any{"immutableId": "dcr-1"}
	return r.Do(program.Program)
}

// exported returns the text that the program exports.
func exported(t *testing.T, recorded *mocks.Recorded, key string) string {
	t.Helper()
	output, ok := recorded.Exports[key].(pulumi.StringOutput)
	require.True(t, ok, key)
	text := make(chan string, 1)
	output.ApplyT(func(s string) string { text <- s; return s })
	return <-text
}

// A wrong part of the way shows in the logs of Prometheus alone, when the metrics are missed.
func TestUnit_PrometheusHasAWayToTheWorkspaceThatIsNamed(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		recorded, err := sending(environment)
		require.NoError(t, err)
		require.Len(t, recorded.OfType(endpoint), 1)
		require.Len(t, recorded.OfType(collectionRule), 1)
		made, rule := recorded.OfType(endpoint)[0], recorded.OfType(collectionRule)[0]
		assert.Equal(t, "Enabled", mocks.At(made.Inputs.Mappable(), "networkAcls", "publicNetworkAccess"), "no private link scope holds it")

		in := rule.Inputs.Mappable()
		assert.Contains(t, in["dataCollectionEndpointId"], made.Name)
		destination := mocks.At(in, "destinations", "monitoringAccounts").([]any)[0].(map[string]any)
		assert.Equal(t, metricsWorkspace, destination["accountResourceId"])
		streams := []any{"Microsoft-PrometheusMetrics"}
		source := mocks.At(in, "dataSources", "prometheusForwarder").([]any)[0].(map[string]any)
		assert.Equal(t, streams, source["streams"])
		assert.Equal(t, []any{map[string]any{"streams": streams, "destinations": []any{destination["name"]}}}, in["dataFlows"])
		assert.Equal(t, "https://e.metrics.example/dataCollectionRules/dcr-1"+
			"/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24", exported(t, recorded, "metricsWriteUrl"))
		assert.Equal(t, environment+"-metrics-writer-identity-client", exported(t, recorded, "metricsClientId"))
	}
}

// The pods of Prometheus may write by this rule, and nothing else may or can.
func TestUnit_OnlyPrometheusMayWriteMetricsAndNothingElse(t *testing.T) {
	t.Parallel()
	recorded, err := sending("prod")
	require.NoError(t, err)
	for _, r := range recorded.OfType(credential) {
		if r.Name == "prod-metrics-writer-kubernetes" {
			assert.Equal(t, "system:serviceaccount:monitoring:prometheus-server", r.Inputs["subject"].StringValue())
			assert.Equal(t, "https://issuer", r.Inputs["issuer"].StringValue())
		}
	}
	var roles []string
	for _, r := range recorded.OfType(role) {
		if r.Inputs["principalId"].StringValue() == "prod-metrics-writer-identity-principal" {
			roles = append(roles, r.Inputs["roleDefinitionId"].StringValue())
			assert.Contains(t, r.Inputs["scope"].StringValue(), recorded.OfType(collectionRule)[0].Name)
		}
	}
	assert.Equal(t, []string{
		// Monitoring Metrics Publisher (learn.microsoft.com, "Azure built-in roles").
		"/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/3913510d-42f4-4e42-8a64-420c390055eb",
	}, roles)
}

func TestUnit_MetricsStayInTheClusterUnlessAWorkspaceIsNamed(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		recorded, err := run(environment, nil)
		require.NoError(t, err)
		assert.Empty(t, recorded.OfType(endpoint))
		assert.Empty(t, exported(t, recorded, "metricsWriteUrl"))
		assert.Empty(t, exported(t, recorded, "metricsClientId"))
	}
	for _, id := range []string{
		"watch", "/subscriptions/s/resourceGroups/r/providers/Microsoft.Monitor/accounts/watch", metricsWorkspace + "/x",
	} {
		_, err := run("dev", map[string]string{"metricsWorkspaceId": id})
		require.ErrorContains(t, err, "gridos-infra:metricsWorkspaceId: ")
		require.ErrorContains(t, err, "is not the id of an Azure Monitor workspace; write what `az monitor account show --query id` prints")
	}
}
