package monitoring

import (
	"fmt"
	"regexp"

	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20230311"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/scope"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
)

// workspaceID is the form of the id of an Azure Monitor workspace.
var workspaceID = regexp.MustCompile(`(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft\.Monitor/accounts/[^/]+$`)

func loadWorkspace(r *config.Reader) string {
	const key = "metricsWorkspaceId"
	id := r.String(key, "")
	if id != "" && !workspaceID.MatchString(id) {
		r.Check(key, fmt.Errorf("%q is not the id of an Azure Monitor workspace; write what "+
			"`az monitor account show --query id` prints, "+
			"/subscriptions/<subscription>/resourceGroups/<group>/providers/Microsoft.Monitor/accounts/<workspace>", id))
	}
	return id
}

// metricStream is what Prometheus sends. Source: Azure/prometheus-collector at efb03e9,
// remote-write instructions for an endpoint and a rule of one's own.
const metricStream = "Microsoft-PrometheusMetrics"

// MetricsArgs is what Metrics need. Every field is required.
type MetricsArgs struct {
	scope.Scope
	// WorkspaceID is the ARM id of an Azure Monitor workspace in the region of the environment.
	WorkspaceID string
	// SubscriptionID is the GUID of the subscription.
	SubscriptionID string
	// Issuer is the OIDC issuer of the cluster.
	Issuer pulumi.StringInput
}

// Metrics are the metrics of the cluster's Prometheus on their way to an Azure Monitor workspace.
type Metrics struct {
	pulumi.ResourceState

	// WriteURL is where Prometheus writes to, and ClientID the GUID that it signs in as.
	WriteURL, ClientID pulumi.StringOutput
}

// NewMetrics registers the way to the workspace, and the identity that may take it. The endpoint is
// public, as that of every workspace: who writes shows a token of Entra, and the role is for this
// one rule.
func NewMetrics(ctx *pulumi.Context, name string, args MetricsArgs, opts ...pulumi.ResourceOption) (*Metrics, error) {
	m := &Metrics{}
	if err := ctx.RegisterComponentResource("gridos-infra:monitoring:Metrics", name, m, opts...); err != nil {
		return nil, err
	}
	if err := m.provision(ctx, name, args); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return m, ctx.RegisterResourceOutputs(m, pulumi.Map{"writeUrl": m.WriteURL, "clientId": m.ClientID})
}

func (m *Metrics) provision(ctx *pulumi.Context, name string, args MetricsArgs) error {
	endpoint, err := insights.NewDataCollectionEndpoint(ctx, name+"-endpoint", &insights.DataCollectionEndpointArgs{
		ResourceGroupName:          args.ResourceGroupName,
		DataCollectionEndpointName: pulumi.String(args.Names.Metrics),
		Location:                   pulumi.String(args.Location),
		NetworkAcls:                insights.DataCollectionEndpointNetworkAclsArgs{PublicNetworkAccess: pulumi.String("Enabled")},
		Tags:                       args.Tags,
	}, pulumi.Parent(m))
	if err != nil {
		return err
	}
	rule, err := insights.NewDataCollectionRule(ctx, name+"-rule", metricRule(args, endpoint.ID()), pulumi.Parent(m))
	if err != nil {
		return err
	}
	writer, err := identity.NewWorkload(ctx, name+"-writer", identity.WorkloadArgs{
		Scope: args.Scope, Name: args.Names.MetricsIdentity,
		Credentials: []identity.Credential{{
			Name: "kubernetes", Issuer: args.Issuer,
			Subject: identity.ServiceAccount(naming.NamespaceMonitoring, naming.ServiceAccountPrometheus),
		}},
	}, pulumi.Parent(m))
	if err != nil {
		return err
	}
	if _, err := identity.Assign(ctx, name+"-writer-role", identity.Assignment{
		SubscriptionID: args.SubscriptionID,
		Scope:          rule.ID().ToStringOutput(),
		Principal:      identity.Principal{ID: writer.PrincipalID, Type: identity.ServicePrincipal},
		Role:           identity.MetricsPublisher,
	}, pulumi.Parent(writer)); err != nil {
		return err
	}
	m.ClientID = writer.ClientID
	// The form of the address: azure-monitor-docs, metrics/prometheus-remote-write, 16 September 2025.
	m.WriteURL = pulumi.Sprintf("%s/dataCollectionRules/%s/streams/"+metricStream+"/api/v1/write?api-version=2023-04-24",
		endpoint.MetricsIngestion.Endpoint().Elem(), rule.ImmutableId)
	return nil
}

// metricRule is made as Azure makes that of a workspace. Source: Azure/ARO-HCP,
// dev-infrastructure/modules/metrics/datacollection.bicep, read 30 November 2026.
func metricRule(args MetricsArgs, endpoint pulumi.IDOutput) *insights.DataCollectionRuleArgs {
	const workspace = "workspace"
	streams := pulumi.ToStringArray([]string{metricStream})
	return &insights.DataCollectionRuleArgs{
		ResourceGroupName:        args.ResourceGroupName,
		DataCollectionRuleName:   pulumi.String(args.Names.Metrics),
		Location:                 pulumi.String(args.Location),
		Kind:                     pulumi.String("Linux"),
		DataCollectionEndpointId: endpoint.ToStringOutput(),
		DataSources: insights.DataCollectionRuleDataSourcesArgs{
			PrometheusForwarder: insights.PrometheusForwarderDataSourceArray{insights.PrometheusForwarderDataSourceArgs{
				Name: pulumi.String("prometheus"), Streams: streams,
			}},
		},
		Destinations: insights.DataCollectionRuleDestinationsArgs{
			MonitoringAccounts: insights.MonitoringAccountDestinationArray{insights.MonitoringAccountDestinationArgs{
				Name: pulumi.String(workspace), AccountResourceId: pulumi.String(args.WorkspaceID),
			}},
		},
		DataFlows: insights.DataFlowArray{insights.DataFlowArgs{
			Streams: streams, Destinations: pulumi.ToStringArray([]string{workspace}),
		}},
		Tags: args.Tags,
	}
}
