package alerts

import (
	"cmp"

	metrics "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20180301"
	activity "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20201001"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// manual is the section of the operator's manual that an alert leads to, without its anchor.
const manual = "https://github.com/gridos/sharedinfra/blob/main/docs/OPERATIONS.md#"

// urgency says how soon a person has to act, and how Azure looks at the figures for that.
type urgency struct {
	// severity is 0 (critical) to 4 (verbose).
	severity int
	// window is what is looked at together, and every how often. Azure takes some periods only
	// (azure-monitor-docs, resource-manager-alerts-metric.md, 16 February 2024).
	window, every string
}

var (
	// page: users notice, a person acts now.
	page = urgency{0, "PT5M", "PT1M"}
	// ticket: a person acts on the next working day.
	ticket = urgency{2, "PT15M", "PT5M"}
)

// The types of what is watched, which are the namespaces of their metrics.
const (
	cluster  = "Microsoft.ContainerService/managedClusters"
	database = "Microsoft.DBforPostgreSQL/flexibleServers"
	gateway  = "Microsoft.Network/applicationGateways"
	vault    = "Microsoft.KeyVault/vaults"
)

// rule is an alert about a metric. docs/metrics.md has the source of each metric.
type rule struct {
	// name ends the alert's name, and means is what has happened. section is the anchor in the manual,
	// if that is not the name.
	name, means, section string
	urgency
	// of is the type of the resource, and id its ARM id.
	of string
	id pulumi.StringInput
	// metric is aggregated over the window, and compared with the threshold.
	metric, aggregation, operator string
	threshold                     float64
	// dimension and values, if set, restrict the metric. Each value is compared by itself.
	dimension string
	values    []string
}

func rules(args Args) []rule {
	return []rule{
		{
			// The greatest value of a minute is 1 while the server is up (azure-databases-docs,
			// postgresql/monitor/concepts-monitoring.md, 2 February 2026).
			name: "database-is-down", means: "The database server has been down for five minutes.",
			urgency: page, of: database, id: args.DatabaseID,
			metric: "is_db_alive", aggregation: "Maximum", operator: "LessThan", threshold: 1,
		},
		{
			// Azure enlarges storage that grows by itself before that, with 20 % or 64 GiB left, and at
			// 95 % the server only answers reads (azure-databases-docs, "Configure storage autogrow",
			// 14 July 2026, and "Premium SSD", 16 January 2025).
			name: "database-fills", means: "More than 85 % of the database server's storage are used.",
			urgency: ticket, of: database, id: args.DatabaseID,
			metric: "storage_percent", aggregation: "Average", operator: "GreaterThan", threshold: 85,
		},
		{
			name:    "database-refuses-connections",
			means:   "The database server has refused more than twenty connections in a quarter of an hour.",
			urgency: ticket, of: database, id: args.DatabaseID,
			metric: "connections_failed", aggregation: "Total", operator: "GreaterThan", threshold: 20,
		},
		{
			// There is one host: the load balancer of the mesh's gateway.
			name: "gateway-reaches-nothing", means: "The gateway has not reached the cluster for more than half of five minutes.",
			urgency: page, of: gateway, id: args.GatewayID,
			metric: "UnhealthyHostCount", aggregation: "Average", operator: "GreaterThan", threshold: 0.5,
		},
		{
			name:    "gateway-answers-with-errors",
			means:   "The gateway has answered more than ten requests with a code from 500 on within five minutes.",
			urgency: page, of: gateway, id: args.GatewayID,
			metric: "ResponseStatus", aggregation: "Total", operator: "GreaterThan", threshold: 10,
			dimension: "HttpStatusGroup", values: []string{"5xx"},
		},
		{
			// A node counts once a minute, inferred `node-conditions`: one that joins does not count so
			// often.
			name: "nodes-are-not-ready", means: "A node has not been ready for more than ten of fifteen minutes.",
			urgency: ticket, of: cluster, id: args.ClusterID,
			metric: "kube_node_status_condition", aggregation: "Total", operator: "GreaterThan", threshold: 10,
			dimension: "status2", values: []string{"NotReady", "Unknown"},
		},
		{
			name: "processors-are-used-up", section: "nodes-are-used-up",
			means:   "The nodes of a pool have used more than 90 % of their processors for a quarter of an hour.",
			urgency: ticket, of: cluster, id: args.ClusterID,
			metric: "node_cpu_usage_percentage", aggregation: "Average", operator: "GreaterThan", threshold: 90,
			dimension: "nodepool", values: args.NodePools,
		},
		{
			name: "memory-is-used-up", section: "nodes-are-used-up",
			means:   "The nodes of a pool have used more than 90 % of their memory for a quarter of an hour.",
			urgency: ticket, of: cluster, id: args.ClusterID,
			metric: "node_memory_working_set_percentage", aggregation: "Average", operator: "GreaterThan", threshold: 90,
			dimension: "nodepool", values: args.NodePools,
		},
		{
			// The kubelet removes images from 85 % on, and pods when a tenth is left (Kubernetes,
			// KubeletConfiguration v1beta1, imageGCHighThresholdPercent and evictionHard).
			name: "disk-fills", section: "nodes-are-used-up", means: "A node has less than a tenth of a disk left.",
			urgency: ticket, of: cluster, id: args.ClusterID,
			metric: "node_disk_usage_percentage", aggregation: "Maximum", operator: "GreaterThan", threshold: 90,
			dimension: "nodepool", values: args.NodePools,
		},
		{
			// Microsoft recommends 100 %, and says that long operations count as failed
			// (azure-docs, key-vault/general/alert.md, 30 January 2024).
			name: "key-vault-fails", means: "The key vault has not served one request of ten in a quarter of an hour.",
			urgency: ticket, of: vault, id: args.VaultID,
			metric: "Availability", aggregation: "Average", operator: "LessThan", threshold: 90,
		},
	}
}

func (r rule) alert(args Args, recipients pulumi.StringInput) *metrics.MetricAlertArgs {
	criterion := metrics.MetricCriteriaArgs{
		CriterionType:   pulumi.String("StaticThresholdCriterion"),
		Name:            pulumi.String(r.metric),
		MetricNamespace: pulumi.String(r.of),
		MetricName:      pulumi.String(r.metric),
		TimeAggregation: pulumi.String(r.aggregation),
		Operator:        pulumi.String(r.operator),
		Threshold:       pulumi.Float64(r.threshold),
	}
	if r.dimension != "" {
		criterion.Dimensions = metrics.MetricDimensionArray{metrics.MetricDimensionArgs{
			Name: pulumi.String(r.dimension), Operator: pulumi.String("Include"), Values: pulumi.ToStringArray(r.values),
		}}
	}
	return &metrics.MetricAlertArgs{
		ResourceGroupName:   args.ResourceGroupName,
		RuleName:            pulumi.String(args.Names.Alert(r.name)),
		Location:            everywhere,
		Description:         pulumi.String(r.means + " What to do: " + manual + cmp.Or(r.section, r.name)),
		Severity:            pulumi.Int(r.severity),
		Enabled:             pulumi.Bool(true),
		Scopes:              pulumi.StringArray{r.id},
		WindowSize:          pulumi.String(r.window),
		EvaluationFrequency: pulumi.String(r.every),
		Criteria: metrics.MetricAlertSingleResourceMultipleMetricCriteriaArgs{
			OdataType: pulumi.String("Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria"),
			AllOf:     metrics.MetricCriteriaArray{criterion},
		},
		// It ends by itself when the condition has not been met three times
		// (azure-monitor-docs, alerts-troubleshoot-metric.md, 28 February 2024).
		AutoMitigate: pulumi.Bool(true),
		Actions:      metrics.MetricAlertActionArray{metrics.MetricAlertActionArgs{ActionGroupId: recipients}},
		Tags:         args.Tags,
	}
}

// event is an alert about what Azure says of itself, in the activity log.
type event struct {
	// name and means are those of a rule; the section has the name.
	name, means string
	// scope is the ARM id of what the event is about.
	scope pulumi.StringInput
	// category is that of the event. Its field has one of the values.
	category, field string
	values          []string
}

// events are about the environment's own resources, and about Azure. A state that is not known says
// nothing of a resource. Sources: azure-docs, service-health, the articles
// resource-health-alert-arm-template-guide of 4 September 2018 and
// alerts-activity-log-service-notifications-arm of 29 June 2020.
func events(args Args) []event {
	return []event{
		{
			name: "resource-is-unhealthy", means: "Azure says that a resource of the environment is not available, or works badly.",
			scope: args.GroupID, category: "ResourceHealth",
			field: "properties.currentHealthStatus", values: []string{"Unavailable", "Degraded"},
		},
		{
			name:  "azure-has-an-incident",
			means: "Azure has an incident, or asks for a change, in a service and a region of the subscription.",
			scope: pulumi.String("/subscriptions/" + args.SubscriptionID), category: "ServiceHealth",
			field: "properties.incidentType", values: []string{"Incident", "ActionRequired"},
		},
	}
}

func (e event) alert(args Args, recipients pulumi.StringInput) *activity.ActivityLogAlertArgs {
	var anyOf activity.AlertRuleLeafConditionArray
	for _, value := range e.values {
		anyOf = append(anyOf, activity.AlertRuleLeafConditionArgs{Field: pulumi.String(e.field), Equals: pulumi.String(value)})
	}
	return &activity.ActivityLogAlertArgs{
		ResourceGroupName:    args.ResourceGroupName,
		ActivityLogAlertName: pulumi.String(args.Names.Alert(e.name)),
		Location:             everywhere,
		Description:          pulumi.String(e.means + " What to do: " + manual + e.name),
		Enabled:              pulumi.Bool(true),
		Scopes:               pulumi.StringArray{e.scope},
		Condition: activity.AlertRuleAllOfConditionArgs{AllOf: activity.AlertRuleAnyOfOrLeafConditionArray{
			activity.AlertRuleAnyOfOrLeafConditionArgs{Field: pulumi.String("category"), Equals: pulumi.String(e.category)},
			activity.AlertRuleAnyOfOrLeafConditionArgs{AnyOf: anyOf},
		}},
		Actions: activity.ActionListArgs{ActionGroups: activity.ActionGroupArray{activity.ActionGroupArgs{ActionGroupId: recipients}}},
		Tags:    args.Tags,
	}
}
