package enginetest

import (
	"testing"

	consumption "github.com/pulumi/pulumi-azure-native-sdk/consumption/v2/v20240801"
	groups "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20230101"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// budgeting is a budget in a form that Azure accepts, and its only notification.
func budgeting() (*consumption.BudgetArgs, *consumption.NotificationArgs) {
	told := &consumption.NotificationArgs{
		Enabled: pulumi.Bool(true), Operator: pulumi.String("GreaterThan"), Threshold: pulumi.Float64(80),
		ContactEmails: pulumi.StringArray{}, ContactGroups: pulumi.ToStringArray([]string{recipientsID}),
	}
	return &consumption.BudgetArgs{
		BudgetName: pulumi.String("budget"), Scope: pulumi.String(subscription), Category: pulumi.String("Cost"),
		Amount: pulumi.Float64(1000), TimeGrain: pulumi.String("Monthly"),
		TimePeriod:    consumption.BudgetTimePeriodArgs{StartDate: pulumi.String("2026-12-01T00:00:00Z")},
		Notifications: consumption.NotificationMap{"spent": told},
	}, told
}

// budgeted returns the environment with a budget.
func budgeted(b *consumption.BudgetArgs) *environment {
	return valid().with(
		of("recipients", watching().recipients, groups.NewActionGroup, "group"), of("budget", b, consumption.NewBudget, "recipients"),
	)
}

func TestEngine_Budgets_ComeUpAndGo(t *testing.T) {
	t.Parallel()
	b, _ := budgeting()
	l := open(t, azure.Options{})
	l.up(budgeted(b).program("budget")).accepted()
	l.down().accepted()
}

func TestEngine_Budgets_BeginOnTheFirstOfAMonth(t *testing.T) {
	t.Parallel()
	b, _ := budgeting()
	b.TimePeriod = consumption.BudgetTimePeriodArgs{StartDate: pulumi.String("2026-12-18T00:00:00Z")}
	previewRefuses(t, budgeted(b), "budget", mistake{
		rule: "Budgets", code: "400", property: "timePeriod.startDate",
		says: []string{"the budget begins at '2026-12-18T00:00:00Z'", "the first of a month"},
	})
}

func TestEngine_Budgets_KeepTheirBeginning(t *testing.T) {
	t.Parallel()
	b, _ := budgeting()
	l := open(t, azure.Options{})
	l.up(budgeted(b).program("budget")).accepted()
	b.TimePeriod = consumption.BudgetTimePeriodArgs{StartDate: pulumi.String("2027-01-01T00:00:00Z")}
	l.up(budgeted(b).program("budget")).refused(mistake{
		resource: "budget", code: "PropertyChangeNotAllowed", property: "timePeriod.startDate",
		says: []string{"Please delete and create a new budget"},
	})
}

func TestEngine_Budgets_TellSomeone(t *testing.T) {
	t.Parallel()
	b, told := budgeting()
	told.ContactGroups = nil
	previewRefuses(t, budgeted(b), "budget", mistake{
		rule: "Budgets", code: "400", property: "notifications.spent", says: []string{"tells no one", "set contactEmails or contactGroups"},
	})
}

func TestEngine_Budgets_HaveAnAmount(t *testing.T) {
	t.Parallel()
	b, _ := budgeting()
	b.Amount = pulumi.Float64(0)
	previewRefuses(t, budgeted(b), "budget", mistake{
		rule: "Budgets", code: "400", property: "amount", says: []string{"the amount is 0", "more than nothing"},
	})
}

func TestEngine_Names_Budget(t *testing.T) {
	t.Parallel()
	b, _ := budgeting()
	b.BudgetName = pulumi.String("of dev")
	previewRefuses(t, budgeted(b), "budget", mistake{
		code: invalidName, property: "budgetName", says: []string{"'of dev' is invalid", "use 1 to 63 letters, digits, underscores and hyphens"},
	})
}
