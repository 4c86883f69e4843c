package services

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	consumption "github.com/pulumi/pulumi-azure-native-sdk/consumption/v2/v20240801"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

const typeBudget = "Microsoft.Consumption/budgets"

// budgetTypes are budgets, which belong to a scope.
func budgetTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[consumption.Budget, consumption.BudgetArgs](arm.Definition{
			Path:   "{scope}/providers/Microsoft.Consumption/budgets/{budgetName}",
			Name:   arm.NameRule{Pattern: regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`), Say: "1 to 63 letters, digits, underscores and hyphens"},
			Frozen: map[string]string{"timePeriod.startDate": "Start date of budgets cannot be updated. Please delete and create a new budget"},
			Checks: []arm.Rule{budgetForm, budgetRecipients},
		}),
	}
}

const (
	mostNotifications = 5
	mostThreshold     = 1000
	// earliestBudget is the first day that a budget may begin on.
	earliestBudget = "2017-06-01"
)

// budgetForm: the amount, the beginning and the thresholds, which the specification has in prose.
var budgetForm = arm.Rule{ID: "Budgets", Code: "400", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	if amount, ok := s.In.Number("amount"); ok && amount <= 0 {
		result = append(result, arm.Found("amount", "the amount is %g; a budget is more than nothing", amount)...)
	}
	if text := s.In.Text("timePeriod.startDate"); text != "" {
		day, _, _ := strings.Cut(text, "T")
		start, err := time.Parse(time.DateOnly, day)
		if err != nil || start.Day() != 1 || day < earliestBudget {
			result = append(result, arm.Found("timePeriod.startDate", "the budget begins at '%s'; let it begin on the first of a month, from %s on",
				text, earliestBudget)...)
		}
	}
	notifications := notificationsOf(s.In)
	if len(notifications) > mostNotifications {
		result = append(result, arm.Found("notifications", "the budget has %d notifications; it can have %d", len(notifications), mostNotifications)...)
	}
	for _, key := range slices.Sorted(maps.Keys(notifications)) {
		if threshold, ok := notifications[key].Number("threshold"); ok && (threshold < 0 || threshold > mostThreshold) {
			result = append(result, arm.Found("notifications."+key+".threshold", "the threshold is %g; use 0 to %d percent", threshold, mostThreshold)...)
		}
	}
	return result
}}

// budgetRecipients: at a subscription or a resource group each notification has an address or an
// action group.
var budgetRecipients = arm.Rule{ID: "Budgets", Code: "400", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	notifications := notificationsOf(s.In)
	for _, key := range slices.Sorted(maps.Keys(notifications)) {
		n, path := notifications[key], "notifications."+key
		if s.In.Unsure("notifications") || n.Unsure("contactGroups") || n.Unsure("contactEmails") {
			continue
		}
		if len(n.Items("contactEmails")) == 0 && len(n.Items("contactGroups")) == 0 {
			result = append(result, arm.Found(path, "the notification '%s' tells no one; set contactEmails or contactGroups", key)...)
		}
	}
	return result
}}

func notificationsOf(in arm.Document) map[string]arm.Document {
	all := map[string]arm.Document{}
	given, _ := in.At("notifications").(map[string]any)
	for key, value := range given {
		if one, ok := value.(map[string]any); ok {
			all[key] = one
		}
	}
	return all
}
