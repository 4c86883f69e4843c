package monitoring

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20230311"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/scope"
	"github.com/gridos/sharedinfra/internal/config"
)

// namespace is the form of a namespace's name (RFC 1123, label).
var namespace = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// unread are the namespaces whose logs the agent does not read unless a ConfigMap in the cluster
// says so. Source: azure-monitor-docs, containers/kubernetes-data-collection-configmap, 22
// September 2025.
var unread = []string{"gatekeeper-system", "kube-system"}

func loadNamespaces(r *config.Reader, d []string) []string {
	const key = "podLogNamespaces"
	namespaces := r.Strings(key, d)
	for i, name := range namespaces {
		switch {
		case !namespace.MatchString(name):
			r.Check(key, fmt.Errorf("%q is not the name of a namespace; write it like gridos", name))
		case slices.Contains(unread, name):
			r.Check(key, fmt.Errorf("Azure's agent does not read the logs of %s; remove it", name))
		case slices.Contains(namespaces[:i], name):
			r.Check(key, fmt.Errorf("%s is listed twice; list each namespace once", name))
		}
	}
	return namespaces
}

// The streams of the agent, each with the table of its name. Source: azure-monitor-docs,
// containers/kubernetes-monitoring-enable-arm, 11 March 2024.
const (
	logStream   = "Microsoft-ContainerLogV2"
	eventStream = "Microsoft-KubeEvents"
)

// extension is how the agent in the cluster finds its rule: the name of the data source, and of the
// association. Source: azure-monitor-docs, containers/container-insights-transformations, 14
// September 2025; terraform-azurerm-aks at 00b4145 log_analytics.tf for the association.
const extension = "ContainerInsightsExtension"

// PodArgs is what PodLogs need. Every field is required.
type PodArgs struct {
	scope.Scope
	// Namespaces are not empty.
	Namespaces []string
	// WorkspaceID and ClusterID are ARM ids.
	WorkspaceID, ClusterID pulumi.StringInput
}

// PodLogs are the logs of the cluster's pods, and its events, on their way to the workspace.
type PodLogs struct{ pulumi.ResourceState }

// NewPodLogs registers what the agent of the cluster's add-on omsagent collects.
func NewPodLogs(ctx *pulumi.Context, name string, args PodArgs, opts ...pulumi.ResourceOption) (*PodLogs, error) {
	p := &PodLogs{}
	if err := ctx.RegisterComponentResource("gridos-infra:monitoring:PodLogs", name, p, opts...); err != nil {
		return nil, err
	}
	rule, err := insights.NewDataCollectionRule(ctx, name+"-rule", podRule(args), pulumi.Parent(p))
	if err != nil {
		return nil, fmt.Errorf("logs of pods: %w", err)
	}
	if _, err := insights.NewDataCollectionRuleAssociation(ctx, name+"-association", &insights.DataCollectionRuleAssociationArgs{
		AssociationName:      pulumi.String(extension),
		ResourceUri:          args.ClusterID,
		DataCollectionRuleId: rule.ID().ToStringOutput(),
	}, pulumi.Parent(p)); err != nil {
		return nil, fmt.Errorf("logs of pods: %w", err)
	}
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{})
}

func podRule(args PodArgs) *insights.DataCollectionRuleArgs {
	const workspace = "workspace"
	to := pulumi.ToStringArray([]string{workspace})
	return &insights.DataCollectionRuleArgs{
		ResourceGroupName:      args.ResourceGroupName,
		DataCollectionRuleName: pulumi.String(args.Names.PodLogsRule),
		Location:               pulumi.String(args.Location),
		Kind:                   pulumi.String("Linux"),
		DataSources: insights.DataCollectionRuleDataSourcesArgs{
			Extensions: insights.ExtensionDataSourceArray{insights.ExtensionDataSourceArgs{
				Name:          pulumi.String(extension),
				ExtensionName: pulumi.String("ContainerInsights"),
				Streams:       pulumi.ToStringArray([]string{logStream, eventStream}),
				ExtensionSettings: pulumi.Map{"dataCollectionSettings": pulumi.Map{
					"interval":             pulumi.String("1m"),
					"enableContainerLogV2": pulumi.Bool(true),
					// Of all tables here it would concern the events alone, and those of nodes have no namespace
					// of ours.
					"namespaceFilteringMode": pulumi.String("Off"),
				}},
			}},
		},
		Destinations: insights.DataCollectionRuleDestinationsArgs{LogAnalytics: insights.LogAnalyticsDestinationArray{
			insights.LogAnalyticsDestinationArgs{Name: pulumi.String(workspace), WorkspaceResourceId: args.WorkspaceID},
		}},
		DataFlows: insights.DataFlowArray{
			insights.DataFlowArgs{Streams: pulumi.ToStringArray([]string{eventStream}), Destinations: to},
			insights.DataFlowArgs{
				Streams: pulumi.ToStringArray([]string{logStream}), Destinations: to,
				TransformKql: pulumi.String(onlyFrom(args.Namespaces)),
			},
		},
		Tags: args.Tags,
	}
}

// onlyFrom keeps the logs of some namespaces. The filter of the agent itself does not apply to
// ContainerLogV2 (azure-monitor-docs, containers/container-insights-data-collection-filter, 14 May
// 2024), and a ConfigMap can only leave namespaces out.
func onlyFrom(namespaces []string) string {
	return "source | where PodNamespace in ('" + strings.Join(namespaces, "', '") + "')"
}
