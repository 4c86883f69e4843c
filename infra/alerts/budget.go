package alerts

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	consumption "github.com/pulumi/pulumi-azure-native-sdk/consumption/v2/v20240801"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/config"
)

// Budget is what an environment may cost before people are told. It stops nothing.
type Budget struct {
	// Amount is money a month, in the currency of the subscription; 0 is no budget.
	Amount int
	// From is the first day of the month in which the budget was created, such as 2026-12-01. It is
	// configured, and not today's date: Azure refuses another one for a budget that exists
	// (CanadaPubSecALZ#317, June 2022), and for a new one each before the present month
	// (azurerm#12121, June 2021).
	From string
}

// mostMoney is a month of prod a thousand times: more is a slip.
const mostMoney = 10_000_000

var firstDay = regexp.MustCompile(`^\d{4}-\d{2}-01$`)

func loadBudget(r *config.Reader, told bool) Budget {
	const amount, from = "monthlyBudget", "budgetFrom"
	b := Budget{Amount: r.IntBetween(amount, 0, 0, mostMoney), From: r.String(from, "")}
	if b.Amount == 0 {
		return b
	}
	if !told {
		r.Check(amount, errors.New("has no one to tell; set alertEmails or alertWebhook"))
	}
	if _, err := time.Parse(time.DateOnly, b.From); err != nil || !firstDay.MatchString(b.From) {
		r.Check(from, fmt.Errorf("%q is not the first day of a month; set it to that of the month in which you create the budget, "+
			"such as 2026-12-01, and leave it so", b.From))
	}
	return b
}

// limits are when people are told, by what has been spent and by what Azure expects until the end
// of the month, in percent of the amount. A budget has five at most (specification consumption
// 2024-08-01, BudgetProperties).
func limits() map[string]consumption.NotificationArgs {
	at := func(threshold float64, of string) consumption.NotificationArgs {
		return consumption.NotificationArgs{
			Enabled: pulumi.Bool(true), Operator: pulumi.String("GreaterThanOrEqualTo"),
			Threshold: pulumi.Float64(threshold), ThresholdType: pulumi.String(of),
		}
	}
	return map[string]consumption.NotificationArgs{
		"spent-80": at(80, "Actual"), "spent-100": at(100, "Actual"), "expected-100": at(100, "Forecasted"),
	}
}

// newBudget registers the budget. It is of the subscription, because the nodes are in AKS' own
// resource group, and counts the environment's two groups alone. Its name has the month in which it
// begins, so that another one replaces the budget.
func (a *Alerts) newBudget(ctx *pulumi.Context, name string, args Args, recipients pulumi.StringInput) error {
	notifications := consumption.NotificationMap{}
	for key, limit := range limits() {
		// The recipients are in the group. The list is required all the same (specification consumption
		// 2024-08-01, Notification).
		limit.ContactEmails, limit.ContactGroups = pulumi.StringArray{}, pulumi.StringArray{recipients}
		notifications[key] = limit
	}
	_, err := consumption.NewBudget(ctx, name+"-budget", &consumption.BudgetArgs{
		BudgetName: pulumi.String(args.Names.Alert("budget-" + args.Settings.Budget.From[:len("2026-12")])),
		Scope:      pulumi.String("/subscriptions/" + args.SubscriptionID),
		Category:   pulumi.String("Cost"),
		Amount:     pulumi.Float64(float64(args.Settings.Budget.Amount)),
		TimeGrain:  pulumi.String("Monthly"),
		TimePeriod: consumption.BudgetTimePeriodArgs{StartDate: pulumi.String(args.Settings.Budget.From + "T00:00:00Z")},
		Filter: consumption.BudgetFilterArgs{Dimensions: consumption.BudgetComparisonExpressionArgs{
			Name: pulumi.String("ResourceGroupName"), Operator: pulumi.String("In"),
			Values: pulumi.ToStringArray([]string{args.Names.ResourceGroup, args.Names.NodeResourceGroup}),
		}},
		Notifications: notifications,
	}, pulumi.Parent(a))
	return err
}
