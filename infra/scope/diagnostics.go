package scope

import (
	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20210501preview"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Sink is the Log Analytics workspace that diagnostic settings send logs and metrics to.
type Sink struct {
	// WorkspaceID is the ARM id of the workspace.
	WorkspaceID pulumi.StringInput
}

// Telemetry is the logs and metrics that a type of resource sends.
type Telemetry struct {
	groups     []string // category groups
	categories []string // where groups would cost more than they are worth
	metrics    bool
	tables     bool // the type has tables of its own
}

// The telemetry of the platform's resources. Azure refuses a category that a type does not have.
// Source: "Supported resource log categories for Azure Monitor".
var (
	// Logs are all of a resource's logs.
	Logs = Telemetry{groups: []string{"allLogs"}}
	// LogsAndMetrics are all of a resource's logs and its metrics.
	LogsAndMetrics = Telemetry{groups: []string{"allLogs"}, metrics: true}
	// Tabled is the same of a type whose logs have tables of their own, with a column for each value.
	// The others share the table AzureDiagnostics. Source: "Supported resource log categories for
	// Azure Monitor", the column of tables.
	Tabled = Telemetry{groups: []string{"allLogs"}, metrics: true, tables: true}
	// Cluster is the telemetry of the control plane of AKS. kube-audit-admin leaves out the reads
	// of kube-audit, which would be nine tenths of the bill.
	Cluster = Telemetry{categories: []string{
		"kube-apiserver", "kube-audit-admin", "kube-controller-manager", "kube-scheduler",
		"cluster-autoscaler", "cloud-controller-manager", "guard",
	}, metrics: true, tables: true}
)

// Watch sends a resource's telemetry to the workspace: it registers the diagnostic setting
// <name>-diagnostics on the resource with the ARM id target.
func (s Sink) Watch(
	ctx *pulumi.Context, name string, target pulumi.StringInput, telemetry Telemetry, opts ...pulumi.ResourceOption,
) error {
	logs := insights.LogSettingsArray{}
	for _, group := range telemetry.groups {
		logs = append(logs, insights.LogSettingsArgs{CategoryGroup: pulumi.String(group), Enabled: pulumi.Bool(true)})
	}
	for _, category := range telemetry.categories {
		logs = append(logs, insights.LogSettingsArgs{Category: pulumi.String(category), Enabled: pulumi.Bool(true)})
	}
	args := &insights.DiagnosticSettingArgs{
		Name:        pulumi.String("log-analytics"),
		ResourceUri: target,
		WorkspaceId: s.WorkspaceID,
		Logs:        logs,
	}
	if telemetry.tables {
		args.LogAnalyticsDestinationType = pulumi.String("Dedicated")
	}
	if telemetry.metrics {
		args.Metrics = insights.MetricSettingsArray{insights.MetricSettingsArgs{
			Category: pulumi.String("AllMetrics"), Enabled: pulumi.Bool(true),
		}}
	}
	_, err := insights.NewDiagnosticSetting(ctx, name+"-diagnostics", args, opts...)
	return err
}
