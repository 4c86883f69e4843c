package services

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	metrics "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20180301"
	activity "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20201001"
	groups "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20230101"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// ARM types that rules look for.
const (
	typeActionGroup      = "Microsoft.Insights/actionGroups"
	typeMetricAlert      = "Microsoft.Insights/metricAlerts"
	typeActivityLogAlert = "Microsoft.Insights/activityLogAlerts"
)

const insightsProvider = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Insights/"

// alertTypes are alerts on metrics and on the activity log, and the groups of those who are told.
func alertTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[groups.ActionGroup, groups.ActionGroupArgs](arm.Definition{
			Path:   insightsProvider + "actionGroups/{actionGroupName}",
			Name:   nameWithout(`:<>+/&%\?`),
			Checks: []arm.Rule{placed(regionsOfActionGroups...), receivers},
		}),
		arm.Typed[metrics.MetricAlert, metrics.MetricAlertArgs](arm.Definition{
			Path:   insightsProvider + "metricAlerts/{ruleName}",
			Name:   nameWithout(`*#&+:<>?@%{}\/`),
			Refers: map[string]string{"actions.actionGroupId": typeActionGroup},
			Checks: []arm.Rule{placed(regionsOfMetricAlerts...), alertPeriods, alertForm, alertMetrics},
		}),
		arm.Typed[activity.ActivityLogAlert, activity.ActivityLogAlertArgs](arm.Definition{
			Path:   insightsProvider + "activityLogAlerts/{activityLogAlertName}",
			Name:   nameWithout(`<>*%{}&:\?+/#`),
			Refers: map[string]string{"actions.actionGroups.actionGroupId": typeActionGroup},
			Checks: []arm.Rule{placed("westeurope", "northeurope"), conditionOfAlert},
		}),
	}
}

// nameWithout is the rule for names in Microsoft.Insights: some characters are not allowed.
func nameWithout(refused string) arm.NameRule {
	class := regexp.QuoteMeta(refused) + `\x00-\x1f`
	return arm.NameRule{
		Pattern: regexp.MustCompile(`^[^` + class + `]{0,259}[^` + class + `. ]$`),
		Say:     "1 to 260 characters, none of " + strings.Join(strings.Split(refused, ""), " ") + ", no space or period last",
	}
}

var (
	// regionsOfActionGroups process an action group, if it is not global.
	regionsOfActionGroups = []string{
		"eastus", "westus", "eastus2", "westus2", "southcentralus", "northcentralus", "swedencentral", "germanywestcentral",
		"centralindia", "southindia",
	}
	// regionsOfMetricAlerts process alerts about metrics of one's own.
	regionsOfMetricAlerts = []string{"northeurope", "westeurope", "swedencentral", "germanywestcentral"}
)

// placed: alerts are global, or in one of a few regions. The location is written out.
func placed(regions ...string) arm.Rule {
	return arm.Rule{ID: "Alerts", Code: "LocationNotAvailableForResourceType", Broken: func(s arm.Subject) []arm.Finding {
		location := strings.ToLower(strings.ReplaceAll(s.In.Text("location"), " ", ""))
		if s.In.Unsure("location") || location == "global" || slices.Contains(regions, location) {
			return nil
		}
		return arm.Found("location", "the location of a %s is '%s'; set it to Global", s.Kind, s.In.Text("location"))
	}}
}

// mostReceivers are how many receivers of a kind an action group has at most.
var mostReceivers = map[string]int{
	"armRoleReceivers": 10, "automationRunbookReceivers": 10, "azureAppPushReceivers": 10, "emailReceivers": 1000, "eventHubReceivers": 10,
	"itsmReceivers": 10, "logicAppReceivers": 10, "smsReceivers": 10, "voiceReceivers": 10, "webhookReceivers": 10,
}

// longestEmail is how many characters an address has at most.
const longestEmail = 64

// receivers: an action group has some receivers of each kind, with names of their own.
var receivers = arm.Rule{ID: "Alerts", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	named := map[string]bool{}
	for _, kind := range slices.Sorted(maps.Keys(mostReceivers)) {
		if most, n := mostReceivers[kind], len(s.In.Items(kind)); n > most {
			result = append(result, arm.Found(kind, "the action group has %d of %s; it can have %d", n, kind, most)...)
		}
		for i, receiver := range s.In.Documents(kind) {
			name := strings.ToLower(receiver.Text("name"))
			if name != "" && named[name] {
				result = append(result, arm.Found(arm.Indexed(kind, i)+".name", "two receivers are called '%s'; name them differently",
					receiver.Text("name"))...)
			}
			named[name] = true
			if address := receiver.Text("emailAddress"); len(address) > longestEmail {
				result = append(result, arm.Found(arm.Indexed(kind, i)+".emailAddress", "the address has %d characters; it can have %d",
					len(address), longestEmail)...)
			}
		}
	}
	return result
}}

// periods are those that Azure looks at, and how often it looks, from short to long.
var (
	windows     = []string{"PT1M", "PT5M", "PT15M", "PT30M", "PT1H", "PT6H", "PT12H", "P1D"}
	frequencies = windows[:5]
)

// alertPeriods: an alert is evaluated every so often, and over a period that is no shorter.
var alertPeriods = arm.Rule{ID: "Alerts", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	window, every := s.In.Text("windowSize"), s.In.Text("evaluationFrequency")
	if window == "PT24H" {
		window = "P1D"
	}
	var result []arm.Finding
	if window != "" && !slices.Contains(windows, window) {
		result = append(result, arm.Found("windowSize", "the period is '%s'; use %s", window, strings.Join(windows, ", "))...)
	}
	if every != "" && !slices.Contains(frequencies, every) {
		result = append(result, arm.Found("evaluationFrequency", "the frequency is '%s'; use %s", every, strings.Join(frequencies, ", "))...)
	}
	if len(result) > 0 || window == "" || every == "" {
		return result
	}
	if slices.Index(windows, window) < slices.Index(frequencies, every) {
		return arm.Found("windowSize", "the period %s is shorter than the frequency %s; lengthen it", window, every)
	}
	if (window == "PT6H" || window == "PT12H" || window == "P1D") && every == "PT1M" {
		return arm.Found("evaluationFrequency", "Evaluation frequency must be greater than or equal to five minutes since the period is greater "+
			"than four hours; use PT5M")
	}
	return nil
}}

// What one alert on metrics has at most.
const (
	mostCriteria        = 5
	mostGroups          = 5
	longestDescription  = 2048
	leastSevere         = 4
	singleResource      = "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria"
	severalResources    = "Microsoft.Azure.Monitor.MultipleResourceMultipleMetricCriteria"
	availabilityOfATest = "Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria"
)

// alertForm: the bounds of an alert that the specification has in prose only.
var alertForm = arm.Rule{ID: "Alerts", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	result := s.OneOf("criteria.odataType", singleResource, severalResources, availabilityOfATest)
	if severity, ok := s.In.Number("severity"); ok && (severity < 0 || severity > leastSevere) {
		result = append(result, arm.Found("severity", "the severity is %g; use 0 to %d", severity, leastSevere)...)
	}
	if n := len(s.In.Items("criteria.allOf")); n > mostCriteria {
		result = append(result, arm.Found("criteria.allOf", "the alert has %d criteria; it can have %d", n, mostCriteria)...)
	}
	if n := len(s.In.Items("actions")); n > mostGroups {
		result = append(result, arm.Found("actions", "the alert tells %d action groups; it can tell %d", n, mostGroups)...)
	}
	if n := len(s.In.Text("description")); n > longestDescription {
		result = append(result, arm.Found("description", "the description has %d characters; it can have %d", n, longestDescription)...)
	}
	return result
}}

// alertMetrics: Azure looks for the metric among those of the type of the resource. A type that the
// table does not have is not judged.
var alertMetrics = arm.Rule{ID: "Alerts", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	scopes := s.In.Texts("scopes")
	if len(scopes) == 0 {
		return nil
	}
	watched, err := arm.ParseID(scopes[0])
	if err != nil {
		return nil // reported as a bad reference
	}
	known, ok := metricsOf[strings.ToLower(watched.Kind())]
	if !ok {
		return nil
	}
	var result []arm.Finding
	for i, criterion := range s.In.Documents("criteria.allOf") {
		at, name := arm.Indexed("criteria.allOf", i), criterion.Text("metricName")
		if name == "" || criterion.Flag("skipMetricValidation") {
			continue
		}
		dimensions, ok := known[strings.ToLower(name)]
		if !ok {
			result = append(result, arm.Found(at+".metricName", "Couldn't find a metric named %s of a %s. Make sure the name is correct",
				name, watched.Kind())...)
			continue
		}
		for j, dimension := range criterion.Documents("dimensions") {
			if own := dimension.Text("name"); own != "" && !containsFold(dimensions, own) {
				result = append(result, arm.Found(fmt.Sprintf("%s.%s.name", at, arm.Indexed("dimensions", j)),
					"the metric %s has no dimension %s; it has: %s", name, own, strings.Join(dimensions, ", "))...)
			}
		}
	}
	return result
}}

// conditionOfAlert: the category Administrative has too many events for an alert on all of them. A
// condition is a field with its value, or several of these, one of which is met.
var conditionOfAlert = arm.Rule{ID: "Alerts", Code: "UnsupportedCondition", Broken: func(s arm.Subject) []arm.Finding {
	all := s.In.Documents("condition.allOf")
	if len(s.In.Items("condition.allOf")) == 1 && len(all) == 1 && strings.EqualFold(all[0].Text("field"), "category") &&
		strings.EqualFold(all[0].Text("equals"), "Administrative") {
		return arm.Found("condition.allOf", "Specify additional conditions for this category: Administrative")
	}
	// Source: specification insights 2020-10-01, AlertRuleAnyOfOrLeafCondition.
	var result []arm.Finding
	for i, condition := range all {
		at := arm.Indexed("condition.allOf", i)
		if condition["anyOf"] != nil {
			continue
		}
		if condition["field"] == nil {
			result = append(result, arm.Found(at+".field", "the condition has neither field nor anyOf; add one")...)
		}
		if condition["equals"] == nil && condition["containsAny"] == nil {
			result = append(result, arm.Found(at+".equals", "the condition has none of equals, containsAny and anyOf; add one")...)
		}
	}
	return result
}}
