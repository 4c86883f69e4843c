// Package monitoring creates the Log Analytics workspace of the environment, with saved queries,
// and what feeds it: diagnostic settings, and the collection of the logs of pods.
package monitoring

import (
	azure "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20230901"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/scope"
	"github.com/gridos/sharedinfra/internal/config"
)

// Settings is the configuration of the workspace.
type Settings struct {
	// RetentionDays is how long logs are kept, 30 to 730 days.
	RetentionDays int
	// DailyCapGB is how much the workspace accepts in a day before it drops data; 0 is no cap.
	DailyCapGB int
	// PodNamespaces are the namespaces whose pods' logs are collected. Without one, the cluster runs
	// no agent, and its events are not collected either.
	PodNamespaces []string
	// MetricsWorkspaceID is the ARM id of the Azure Monitor workspace that Prometheus also writes to,
	// or "" for none.
	MetricsWorkspaceID string
}

// Load reads Settings with the defaults d, recording mistakes in r.
func Load(r *config.Reader, d Settings) Settings {
	return Settings{
		RetentionDays:      r.IntBetween("logRetentionDays", d.RetentionDays, 30, 730),
		DailyCapGB:         r.IntBetween("logDailyCapGb", d.DailyCapGB, 0, mostGB),
		PodNamespaces:      loadNamespaces(r, d.PodNamespaces),
		MetricsWorkspaceID: loadWorkspace(r),
	}
}

// mostGB is the largest cap that we let be set: beyond it a cap caps nothing.
const mostGB = 4000

// Args is what a Monitoring needs. Every field is required.
type Args struct {
	scope.Scope
	Settings Settings
}

// Monitoring is the workspace that the environment's logs go to.
type Monitoring struct {
	pulumi.ResourceState

	// WorkspaceID is the ARM id of the workspace.
	WorkspaceID pulumi.StringOutput
	// Sink sends diagnostics to the workspace.
	Sink scope.Sink
}

// New registers the workspace and its queries.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Monitoring, error) {
	m := &Monitoring{}
	if err := ctx.RegisterComponentResource("gridos-infra:monitoring:Monitoring", name, m, opts...); err != nil {
		return nil, err
	}
	quota := -1.0 // none
	if args.Settings.DailyCapGB > 0 {
		quota = float64(args.Settings.DailyCapGB)
	}
	workspace, err := azure.NewWorkspace(ctx, name+"-workspace", &azure.WorkspaceArgs{
		ResourceGroupName: args.ResourceGroupName,
		WorkspaceName:     pulumi.String(args.Names.Workspace),
		Location:          pulumi.String(args.Location),
		Sku:               azure.WorkspaceSkuArgs{Name: pulumi.String(azure.WorkspaceSkuNameEnumPerGB2018)},
		RetentionInDays:   pulumi.Int(args.Settings.RetentionDays),
		// Set even without a cap, so that removing the cap is a change (azure-docs,
		// azure-monitor/logs/daily-cap.md).
		WorkspaceCapping: azure.WorkspaceCappingArgs{DailyQuotaGb: pulumi.Float64(quota)},
		Tags:             args.Tags,
	}, pulumi.Parent(m))
	if err != nil {
		return nil, err
	}
	m.WorkspaceID = workspace.ID().ToStringOutput()
	m.Sink = scope.Sink{WorkspaceID: m.WorkspaceID}
	if err := m.Sink.Watch(ctx, name+"-workspace", m.WorkspaceID, scope.LogsAndMetrics, pulumi.Parent(m)); err != nil {
		return nil, err
	}
	if err := m.saveQueries(ctx, name, args); err != nil {
		return nil, err
	}
	return m, ctx.RegisterResourceOutputs(m, pulumi.Map{"workspaceId": m.WorkspaceID})
}
