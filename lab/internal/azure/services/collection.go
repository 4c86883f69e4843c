package services

import (
	"regexp"
	"slices"
	"strings"

	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20230311"
	queries "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20190901"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// ARM types that rules look for.
const (
	typeCollectionRule = "Microsoft.Insights/dataCollectionRules"
	typeEndpoint       = "Microsoft.Insights/dataCollectionEndpoints"
	typeAssociation    = "Microsoft.Insights/dataCollectionRuleAssociations"
	typeQueryPack      = "Microsoft.OperationalInsights/queryPacks"
	typeQuery          = "Microsoft.OperationalInsights/queryPacks/queries"

	typeMetricsWorkspace = "Microsoft.Monitor/accounts"
)

const packPath = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.OperationalInsights/queryPacks/{queryPackName}"

// collectionTypes are the rules by which agents collect data, what they apply to, and saved
// queries.
func collectionTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[insights.DataCollectionRule, insights.DataCollectionRuleArgs](arm.Definition{
			Path: insightsProvider + "dataCollectionRules/{dataCollectionRuleName}",
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{1,62}[A-Za-z0-9]$`),
				Say:     "3 to 64 letters, digits, hyphens, underscores and periods, a letter or digit first and last",
			},
			Immutable: []string{"location"},
			Refers: map[string]string{
				logPlaces + ".workspaceResourceId": typeWorkspace, metricPlaces + ".accountResourceId": typeMetricsWorkspace,
				"dataCollectionEndpointId": typeEndpoint,
			},
			Checks:  []arm.Rule{streamsKnown, flowsConnected},
			Demands: []arm.Rule{ruleBesideItsWorkspace},
			Compute: func(s arm.Subject) arm.Document {
				return arm.Document{"immutableId": "dcr-" + strings.ReplaceAll(s.Issued("rule"), "-", "")}
			},
		}),
		arm.Typed[insights.DataCollectionEndpoint, insights.DataCollectionEndpointArgs](arm.Definition{
			Path: insightsProvider + "dataCollectionEndpoints/{dataCollectionEndpointName}",
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{1,42}[A-Za-z0-9]$`),
				Say:     "3 to 44 letters, digits and hyphens, a letter or digit first and last",
			},
			Immutable: []string{"location"},
			Compute: func(s arm.Subject) arm.Document {
				host := s.ID[strings.LastIndex(s.ID, "/")+1:] + "-" + s.Issued("endpoint")[:4] + "." + s.Location() + "-1."
				return arm.Document{
					"immutableId":         "dce-" + strings.ReplaceAll(s.Issued("id"), "-", ""),
					"configurationAccess": map[string]any{"endpoint": "https://" + host + "handler.control.monitor.azure.com"},
					"logsIngestion":       map[string]any{"endpoint": "https://" + host + "ingest.monitor.azure.com"},
					"metricsIngestion":    map[string]any{"endpoint": "https://" + host + "metrics.ingest.monitor.azure.com"},
				}
			},
		}),
		arm.Typed[insights.DataCollectionRuleAssociation, insights.DataCollectionRuleAssociationArgs](arm.Definition{
			Path:   "{resourceUri}/providers/Microsoft.Insights/dataCollectionRuleAssociations/{associationName}",
			Name:   nameWithout(`:<>+/&%\?`),
			Refers: map[string]string{"dataCollectionRuleId": typeCollectionRule},
			Checks: []arm.Rule{associated},
		}),
		arm.Typed[queries.QueryPack, queries.QueryPackArgs](arm.Definition{
			Path:      packPath,
			Name:      nameWithout(`:<>+/&%\?`),
			Immutable: []string{"location"},
		}),
		arm.Typed[queries.Query, queries.QueryArgs](arm.Definition{
			Path:    packPath + "/queries/{id}",
			Name:    arm.NameRule{Pattern: arm.GUID, Say: "a GUID"},
			Demands: []arm.Rule{queryNamedOnce},
		}),
	}
}

// metricsWorkspace is the type of Azure Monitor workspaces. It has the required inputs of
// azure-native's (pulumi.com, azure-native.monitor.AzureMonitorWorkspace, API version 2023-04-03).
func metricsWorkspace() arm.Definition {
	return arm.Beforehand[struct {
		ResourceGroupName         string `pulumi:"resourceGroupName"`
		AzureMonitorWorkspaceName string `pulumi:"azureMonitorWorkspaceName"`
		Location                  string `pulumi:"location"`
	}](arm.Definition{
		Path: "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/" +
			typeMetricsWorkspace + "/{azureMonitorWorkspaceName}",
	})
}

// ExistingMetricsWorkspace is an Azure Monitor workspace of another owner.
func ExistingMetricsWorkspace(group, name, location string) arm.Existing {
	return arm.Existing{Type: typeMetricsWorkspace, Inputs: map[string]any{
		"resourceGroupName": group, "azureMonitorWorkspaceName": name, "location": location,
	}}
}

// streams are those that the agent of AKS sends, and that of Prometheus. The first is the group of
// all logs. Source: azure-monitor-docs, containers/kubernetes-monitoring-enable-arm, 11 March 2024.
var streams = []string{
	streamGroup, "Microsoft-ContainerInventory", "Microsoft-ContainerLog", "Microsoft-ContainerLogV2",
	"Microsoft-ContainerLogV2-HighScale", "Microsoft-ContainerNodeInventory", "Microsoft-InsightsMetrics", "Microsoft-KubeEvents",
	"Microsoft-KubeMonAgentEvents", "Microsoft-KubeNodeInventory", "Microsoft-KubePodInventory", "Microsoft-KubePVInventory",
	"Microsoft-KubeServices", "Microsoft-Perf", "Microsoft-PrometheusMetrics",
}

const (
	streamGroup = "Microsoft-ContainerInsights-Group-Default"
	extensions  = "dataSources.extensions"
	forwarders  = "dataSources.prometheusForwarder"
	flows       = "dataFlows"

	logPlaces    = "destinations.logAnalytics"
	metricPlaces = "destinations.monitoringAccounts"
)

// streamsKnown: a stream is one that Azure knows, or begins with Custom-.
var streamsKnown = arm.Rule{ID: "Collection", Code: "InvalidPayload", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for _, list := range []string{extensions, forwarders, flows} {
		for i, entry := range s.In.Documents(list) {
			for j, stream := range entry.Texts("streams") {
				if !containsFold(streams, stream) && !strings.HasPrefix(stream, "Custom-") {
					result = append(result, arm.Found(arm.Indexed(list, i)+"."+arm.Indexed("streams", j),
						"'Streams' stream '%s' must be a custom stream or one of: %s", stream, strings.Join(streams, ","))...)
				}
			}
		}
	}
	return result
}}

// flowsConnected: what flows comes from a source under the same name, and goes to a destination of
// the rule. The group of all streams flows as it is.
var flowsConnected = arm.Rule{ID: "Collection", Code: "InvalidPayload", Broken: func(s arm.Subject) []arm.Finding {
	var sent, places []string
	for _, source := range slices.Concat(s.In.Documents(extensions), s.In.Documents(forwarders)) {
		sent = append(sent, source.Texts("streams")...)
	}
	for _, place := range slices.Concat(s.In.Documents(logPlaces), s.In.Documents(metricPlaces)) {
		places = append(places, place.Text("name"))
	}
	var result []arm.Finding
	for i, flow := range s.In.Documents(flows) {
		at := arm.Indexed(flows, i)
		for j, stream := range flow.Texts("streams") {
			if containsFold(streams, stream) && !containsFold(sent, stream) {
				result = append(result, arm.Found(at+"."+arm.Indexed("streams", j),
					"Data flows cannot reference stream id '%s', which no data source sends; add it to a data source", stream)...)
			}
		}
		for j, place := range flow.Texts("destinations") {
			if !slices.Contains(places, place) {
				result = append(result, arm.Found(at+"."+arm.Indexed("destinations", j),
					"the destination '%s' is not one of the rule; it has: %s", place, strings.Join(places, ", "))...)
			}
		}
		if flow.Has("transformKql") && containsFold(flow.Texts("streams"), streamGroup) {
			result = append(result, arm.Found(at+".transformKql",
				"Data flows containing stream groups cannot have custom transformation; name each stream")...)
		}
	}
	return result
}}

// ruleBesideItsWorkspace: a rule is in the region of each workspace that it sends to, of logs or of
// metrics. The code is inferred `collection-refusals`.
var ruleBesideItsWorkspace = arm.Rule{ID: "Collection", Code: "InvalidPayload", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for _, places := range []struct{ list, id string }{{logPlaces, "workspaceResourceId"}, {metricPlaces, "accountResourceId"}} {
		for i, place := range s.In.Documents(places.list) {
			workspace := s.Cloud.Find(place.Text(places.id))
			if workspace == nil {
				continue
			}
			if location := s.Cloud.LocationOf(workspace); !strings.EqualFold(location, s.Location()) {
				result = append(result, arm.Found(arm.Indexed(places.list, i)+"."+places.id,
					"the workspace is in %s and the data collection rule in %s; put the rule there", location, s.Location())...)
			}
		}
	}
	return result
}}

// associated: an association names what applies to a resource. Of the types here only clusters have
// an agent.
var associated = arm.Rule{ID: "Collection", Code: "InvalidPayload", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	if !s.In.Has("dataCollectionRuleId") && !s.In.Has("dataCollectionEndpointId") {
		result = append(result, arm.Found("dataCollectionRuleId", "the association names neither a data collection rule nor an endpoint; name one")...)
	}
	if target, err := arm.ParseID(s.In.Text("resourceUri")); err == nil && !strings.EqualFold(target.Kind(), typeCluster) {
		result = append(result, arm.Found("resourceUri", "Association cannot be created for resource of type '%s'. Supported types are: %s",
			target.Kind(), typeCluster)...)
	}
	return result
}}

// queryNamedOnce: no two queries of a pack have the same name.
var queryNamedOnce = arm.Rule{ID: "Collection", Code: "Conflict", Broken: func(s arm.Subject) []arm.Finding {
	pack, _ := arm.Ancestor(s.ID, typeQueryPack)
	for _, other := range s.Cloud.All(typeQuery) {
		if owner, _ := arm.Ancestor(other.ID, typeQueryPack); arm.Key(owner) == arm.Key(pack) && arm.Key(other.ID) != arm.Key(s.ID) &&
			other.Inputs.Text("displayName") == s.In.Text("displayName") {
			return arm.Found("displayName", "'%s' is the name of another query of the pack; choose another", s.In.Text("displayName"))
		}
	}
	return nil
}}
