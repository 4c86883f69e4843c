// Package alerts has Azure tell people what it sees of an environment: the figures of the database,
// the gateway, the nodes and the key vault, and what it says of its own health. Prometheus watches
// what runs in the cluster (apps/monitoring).
package alerts

import (
	"fmt"

	metrics "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20180301"
	activity "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20201001"
	groups "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20230101"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/scope"
)

// Args is what Alerts need. Every field is required.
type Args struct {
	scope.Scope
	// Settings has a recipient.
	Settings Settings
	// SubscriptionID is the GUID of the subscription. Azure tells its incidents by subscription.
	SubscriptionID string
	// GroupID, ClusterID, DatabaseID, GatewayID and VaultID are ARM ids.
	GroupID, ClusterID, DatabaseID, GatewayID, VaultID pulumi.StringInput
	// NodePools are the names of the cluster's pools.
	NodePools []string
}

// Alerts are the alerts of one environment, and who is told.
type Alerts struct{ pulumi.ResourceState }

// everywhere is the location of all three types: Azure processes them in any region. Only a global
// action group takes alerts about Azure's own health (azure-monitor-docs, action-groups.md, 21 July
// 2026).
const everywhere = pulumi.String("Global")

// New registers the recipients and the alerts.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Alerts, error) {
	a := &Alerts{}
	if err := ctx.RegisterComponentResource("gridos-infra:alerts:Alerts", name, a, opts...); err != nil {
		return nil, err
	}
	if err := a.provision(ctx, name, args); err != nil {
		return nil, fmt.Errorf("alerts: %w", err)
	}
	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{})
}

func (a *Alerts) provision(ctx *pulumi.Context, name string, args Args) error {
	recipients, err := groups.NewActionGroup(ctx, name+"-recipients", recipients(args), pulumi.Parent(a))
	if err != nil {
		return err
	}
	told := recipients.ID().ToStringOutput()
	for _, rule := range rules(args) {
		if _, err := metrics.NewMetricAlert(ctx, name+"-"+rule.name, rule.alert(args, told), pulumi.Parent(a)); err != nil {
			return err
		}
	}
	for _, event := range events(args) {
		if _, err := activity.NewActivityLogAlert(ctx, name+"-"+event.name, event.alert(args, told), pulumi.Parent(a)); err != nil {
			return err
		}
	}
	if args.Settings.Budget.Amount > 0 {
		return a.newBudget(ctx, name, args, told)
	}
	return nil
}

func recipients(args Args) *groups.ActionGroupArgs {
	group := &groups.ActionGroupArgs{
		ResourceGroupName: args.ResourceGroupName,
		ActionGroupName:   pulumi.String(args.Names.ActionGroup),
		// Twelve characters at most: messages begin with it.
		GroupShortName: pulumi.String("gridos-" + args.Names.Environment),
		Location:       everywhere,
		Enabled:        pulumi.Bool(true),
		Tags:           args.Tags,
	}
	var emails groups.EmailReceiverArray
	for i, address := range args.Settings.Emails {
		emails = append(emails, groups.EmailReceiverArgs{
			Name: pulumi.String(fmt.Sprintf("mail-%d", i+1)), EmailAddress: pulumi.String(address), UseCommonAlertSchema: pulumi.Bool(true),
		})
	}
	group.EmailReceivers = emails
	if args.Settings.Webhook != "" {
		group.WebhookReceivers = groups.WebhookReceiverArray{groups.WebhookReceiverArgs{
			Name:                 pulumi.String("webhook"),
			ServiceUri:           pulumi.ToSecret(pulumi.String(args.Settings.Webhook)).(pulumi.StringOutput),
			UseCommonAlertSchema: pulumi.Bool(true),
		}}
	}
	return group
}
