package enginetest

import (
	"testing"

	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20230311"
	queries "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20190901"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

const collectionRuleID = groupID + "/providers/Microsoft.Insights/dataCollectionRules/pod-logs"

// collecting are a data collection rule, its association and a saved query, in a form that Azure
// accepts. If a test changes something inside of an argument, that inside has a field of its own.
type collecting struct {
	rule        *insights.DataCollectionRuleArgs
	source      *insights.ExtensionDataSourceArgs
	flow        *insights.DataFlowArgs
	association *insights.DataCollectionRuleAssociationArgs
	pack        *queries.QueryPackArgs
	query       *queries.QueryArgs
}

func collection() *collecting {
	logs := pulumi.ToStringArray([]string{"Microsoft-ContainerLogV2"})
	c := &collecting{
		source: &insights.ExtensionDataSourceArgs{
			Name: pulumi.String("agent"), ExtensionName: pulumi.String("ContainerInsights"), Streams: logs,
		},
		flow: &insights.DataFlowArgs{
			Streams: logs, Destinations: pulumi.ToStringArray([]string{"workspace"}),
			TransformKql: pulumi.String("source | where PodNamespace == 'gridos'"),
		},
		association: &insights.DataCollectionRuleAssociationArgs{
			AssociationName: pulumi.String("ContainerInsightsExtension"), ResourceUri: pulumi.String(clusterID),
			DataCollectionRuleId: pulumi.String(collectionRuleID),
		},
		pack: &queries.QueryPackArgs{ResourceGroupName: groupName, QueryPackName: pulumi.String("queries"), Location: region},
		query: &queries.QueryArgs{
			ResourceGroupName: groupName, QueryPackName: pulumi.String("queries"), Id: pulumi.String("00000000-0000-0000-0000-000000000001"),
			DisplayName: pulumi.String("Volume"), Body: pulumi.String("Usage"),
		},
	}
	c.rule = &insights.DataCollectionRuleArgs{
		ResourceGroupName: groupName, DataCollectionRuleName: pulumi.String("pod-logs"), Location: region,
		DataSources: insights.DataCollectionRuleDataSourcesArgs{Extensions: insights.ExtensionDataSourceArray{c.source}},
		Destinations: insights.DataCollectionRuleDestinationsArgs{LogAnalytics: insights.LogAnalyticsDestinationArray{
			insights.LogAnalyticsDestinationArgs{Name: pulumi.String("workspace"), WorkspaceResourceId: pulumi.String(workspaceID)},
		}},
		DataFlows: insights.DataFlowArray{c.flow},
	}
	return c
}

// added returns the environment with them.
func (c *collecting) added() *environment {
	return valid().with(
		of("rule", c.rule, insights.NewDataCollectionRule, "workspace"),
		of("association", c.association, insights.NewDataCollectionRuleAssociation, "rule", "cluster"),
		of("pack", c.pack, queries.NewQueryPack, "group"),
		of("query", c.query, queries.NewQuery, "pack"),
	)
}

func TestEngine_Collection_ComesUpAndGoes(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	c := collection()
	l.up(c.added().program("association", "query")).accepted()
	c.query.Body = pulumi.String("Usage | where IsBillable")
	l.up(c.added().program("association", "query")).accepted()
	l.down().accepted()
}

func TestEngine_Collection_StreamsAreKnown(t *testing.T) {
	t.Parallel()
	c := collection()
	c.source.Streams = pulumi.ToStringArray([]string{"Microsoft-ContainerLogV3", "Microsoft-ContainerLogV2"})
	previewRefuses(t, c.added(), "rule", mistake{
		rule: "Collection", code: "InvalidPayload", property: "dataSources.extensions[0].streams[0]",
		says: []string{"'Streams' stream 'Microsoft-ContainerLogV3' must be a custom stream or one of", "Microsoft-KubeEvents"},
	})
}

func TestEngine_Collection_FlowsAreConnected(t *testing.T) {
	t.Parallel()
	source, place := collection(), collection()
	source.source.Streams = pulumi.ToStringArray([]string{"Microsoft-KubeEvents"})
	place.flow.Destinations = pulumi.ToStringArray([]string{"elsewhere"})
	previewRefuses(t, source.added(), "rule", mistake{
		rule: "Collection", code: "InvalidPayload", property: "dataFlows[0].streams[0]",
		says: []string{"Data flows cannot reference stream id 'Microsoft-ContainerLogV2', which no data source sends", "add it to a data source"},
	})
	previewRefuses(t, place.added(), "rule", mistake{
		rule: "Collection", code: "InvalidPayload", property: "dataFlows[0].destinations[0]",
		says: []string{"the destination 'elsewhere' is not one of the rule", "it has: workspace"},
	})
}

func TestEngine_Collection_AGroupIsNotTransformed(t *testing.T) {
	t.Parallel()
	c := collection()
	group := pulumi.ToStringArray([]string{"Microsoft-ContainerInsights-Group-Default"})
	c.source.Streams, c.flow.Streams = group, group
	previewRefuses(t, c.added(), "rule", mistake{
		rule: "Collection", code: "InvalidPayload", property: "dataFlows[0].transformKql",
		says: []string{"Data flows containing stream groups cannot have custom transformation", "name each stream"},
	})
}

func TestEngine_Collection_ARuleIsBesideItsWorkspace(t *testing.T) {
	t.Parallel()
	c := collection()
	c.rule.Location = pulumi.String("northeurope")
	upRefuses(t, c.added(), mistake{
		rule: "Collection", code: "InvalidPayload", property: "destinations.logAnalytics[0].workspaceResourceId",
		says: []string{"the workspace is in westeurope and the data collection rule in northeurope", "put the rule there"},
	}, "rule")
}

func TestEngine_Collection_AnAssociationIsOfACluster(t *testing.T) {
	t.Parallel()
	vault, nothing := collection(), collection()
	vault.association.ResourceUri = pulumi.String(vaultID)
	nothing.association.DataCollectionRuleId = nil
	previewRefuses(t, vault.added(), "association", mistake{
		rule: "Collection", code: "InvalidPayload", property: "resourceUri",
		says: []string{"Association cannot be created for resource of type 'Microsoft.KeyVault/vaults'", "Microsoft.ContainerService/managedClusters"},
	})
	previewRefuses(t, nothing.added(), "association", mistake{
		rule: "Collection", code: "InvalidPayload", property: "dataCollectionRuleId",
		says: []string{"the association names neither a data collection rule nor an endpoint", "name one"},
	})
}

func TestEngine_Collection_QueriesHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	c := collection()
	second := *c.query
	second.Id = pulumi.String("00000000-0000-0000-0000-000000000002")
	e := c.added().with(of("second", &second, queries.NewQuery, "query"))
	upRefuses(t, e, mistake{
		rule: "Collection", code: "Conflict", property: "displayName",
		says: []string{"'Volume' is the name of another query of the pack", "choose another"},
	}, "second")
}

// metricsWorkspaceID is that of an Azure Monitor workspace of another owner.
const metricsWorkspaceID = subscription + "/resourceGroups/watch-rg/providers/Microsoft.Monitor/accounts/metrics"

// workspaceIn has that workspace in a region.
func workspaceIn(location string) azure.Options {
	return azure.Options{Existing: []azure.Existing{
		azure.ExistingGroup("watch-rg", location), azure.ExistingMetricsWorkspace("watch-rg", "metrics", location),
	}}
}

// metered are the endpoint and the rule by which Prometheus sends metrics, in a form that Azure
// accepts.
type metered struct {
	endpoint *insights.DataCollectionEndpointArgs
	rule     *insights.DataCollectionRuleArgs
	source   *insights.PrometheusForwarderDataSourceArgs
	place    *insights.MonitoringAccountDestinationArgs
}

func metering() *metered {
	streams := pulumi.ToStringArray([]string{"Microsoft-PrometheusMetrics"})
	m := &metered{
		endpoint: &insights.DataCollectionEndpointArgs{
			ResourceGroupName: groupName, DataCollectionEndpointName: pulumi.String("metrics"), Location: region,
		},
		source: &insights.PrometheusForwarderDataSourceArgs{Name: pulumi.String("prometheus"), Streams: streams},
		place: &insights.MonitoringAccountDestinationArgs{
			Name: pulumi.String("workspace"), AccountResourceId: pulumi.String(metricsWorkspaceID),
		},
	}
	m.rule = &insights.DataCollectionRuleArgs{
		ResourceGroupName: groupName, DataCollectionRuleName: pulumi.String("metrics"), Location: region,
		DataCollectionEndpointId: pulumi.String(groupID + "/providers/Microsoft.Insights/dataCollectionEndpoints/metrics"),
		DataSources: insights.DataCollectionRuleDataSourcesArgs{
			PrometheusForwarder: insights.PrometheusForwarderDataSourceArray{m.source},
		},
		Destinations: insights.DataCollectionRuleDestinationsArgs{
			MonitoringAccounts: insights.MonitoringAccountDestinationArray{m.place},
		},
		DataFlows: insights.DataFlowArray{insights.DataFlowArgs{Streams: streams, Destinations: pulumi.ToStringArray([]string{"workspace"})}},
	}
	return m
}

// added returns the environment with them.
func (m *metered) added() *environment {
	return valid().with(
		of("endpoint", m.endpoint, insights.NewDataCollectionEndpoint, "group"),
		of("rule", m.rule, insights.NewDataCollectionRule, "endpoint", "workspace"),
	)
}

func TestEngine_Collection_MetricsHaveASourceAndAnEndpoint(t *testing.T) {
	t.Parallel()
	m := metering()
	l := open(t, workspaceIn("westeurope"))
	l.up(m.added().program("rule")).accepted()
	l.down().accepted()

	m.source.Streams = pulumi.ToStringArray([]string{"Microsoft-Perf"})
	previewRefuses(t, m.added(), "rule", mistake{
		rule: "Collection", code: "InvalidPayload", property: "dataFlows[0].streams[0]",
		says: []string{"Data flows cannot reference stream id 'Microsoft-PrometheusMetrics', which no data source sends"},
	})
}

func TestEngine_Collection_MetricsGoToAWorkspaceOfTheirRegion(t *testing.T) {
	t.Parallel()
	const at = "destinations.monitoringAccounts[0].accountResourceId"
	upRefuses(t, metering().added(), mistake{
		code: "InvalidResourceReference", property: at, says: []string{"the resource '" + metricsWorkspaceID + "' was not found"},
	}, "rule")
	l := open(t, workspaceIn("northeurope"))
	l.up(metering().added().program("rule")).refused(mistake{
		resource: "rule", rule: "Collection", code: "InvalidPayload", property: at,
		says: []string{"the workspace is in northeurope and the data collection rule in westeurope"},
	})
	logs := metering()
	logs.place.AccountResourceId = pulumi.String(workspaceID)
	upRefuses(t, logs.added(), mistake{
		code: "LinkedInvalidPropertyId", property: at, says: []string{"takes a Microsoft.Monitor/accounts"},
	}, "rule")
}
