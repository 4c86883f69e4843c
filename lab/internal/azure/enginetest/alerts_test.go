package enginetest

import (
	"fmt"
	"testing"

	metrics "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20180301"
	activity "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20201001"
	groups "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20230101"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

const (
	everywhere   = pulumi.String("Global")
	recipientsID = groupID + "/providers/Microsoft.Insights/actionGroups/recipients"
)

// watch are alerts in a form that Azure accepts. If a test changes something inside of an argument,
// that inside has a field of its own.
type watch struct {
	recipients *groups.ActionGroupArgs
	email      *groups.EmailReceiverArgs
	metric     *metrics.MetricAlertArgs
	criterion  *metrics.MetricCriteriaArgs
	event      *activity.ActivityLogAlertArgs
	category   *activity.AlertRuleAnyOfOrLeafConditionArgs
}

func watching() *watch {
	w := &watch{
		email: &groups.EmailReceiverArgs{Name: pulumi.String("mail"), EmailAddress: pulumi.String("oncall@gridos.example")},
		criterion: &metrics.MetricCriteriaArgs{
			CriterionType: pulumi.String("StaticThresholdCriterion"), Name: pulumi.String("fails"), MetricName: pulumi.String("Availability"),
			TimeAggregation: pulumi.String("Average"), Operator: pulumi.String("LessThan"), Threshold: pulumi.Float64(90),
		},
		category: &activity.AlertRuleAnyOfOrLeafConditionArgs{Field: pulumi.String("category"), Equals: pulumi.String("ServiceHealth")},
	}
	w.recipients = &groups.ActionGroupArgs{
		ResourceGroupName: groupName, ActionGroupName: pulumi.String("recipients"), GroupShortName: pulumi.String("gridos"),
		Location: everywhere, EmailReceivers: groups.EmailReceiverArray{w.email},
	}
	w.metric = &metrics.MetricAlertArgs{
		ResourceGroupName: groupName, RuleName: pulumi.String("vault-fails"), Location: everywhere, Severity: pulumi.Int(2),
		Enabled: pulumi.Bool(true), Scopes: pulumi.ToStringArray([]string{vaultID}), WindowSize: pulumi.String("PT15M"),
		EvaluationFrequency: pulumi.String("PT5M"),
		Criteria: metrics.MetricAlertSingleResourceMultipleMetricCriteriaArgs{
			OdataType: pulumi.String("Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria"),
			AllOf:     metrics.MetricCriteriaArray{w.criterion},
		},
		Actions: metrics.MetricAlertActionArray{metrics.MetricAlertActionArgs{ActionGroupId: pulumi.String(recipientsID)}},
	}
	told := activity.ActionGroupArray{activity.ActionGroupArgs{ActionGroupId: pulumi.String(recipientsID)}}
	w.event = &activity.ActivityLogAlertArgs{
		ResourceGroupName: groupName, ActivityLogAlertName: pulumi.String("incident"), Location: everywhere,
		Scopes:    pulumi.ToStringArray([]string{subscription}),
		Condition: activity.AlertRuleAllOfConditionArgs{AllOf: activity.AlertRuleAnyOfOrLeafConditionArray{w.category}},
		Actions:   activity.ActionListArgs{ActionGroups: told},
	}
	return w
}

// added returns the environment with the alerts.
func (w *watch) added() *environment {
	return valid().with(
		of("recipients", w.recipients, groups.NewActionGroup, "group"),
		of("metric", w.metric, metrics.NewMetricAlert, "recipients", "vault"),
		of("event", w.event, activity.NewActivityLogAlert, "recipients"),
	)
}

func TestEngine_Alerts_ComeUpAndGo(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(watching().added().program("metric", "event")).accepted()
	l.down().accepted()
}

func TestEngine_Alerts_AreGlobal(t *testing.T) {
	t.Parallel()
	w := watching()
	w.metric.Location = pulumi.String("francecentral")
	previewRefuses(t, w.added(), "metric", mistake{
		rule: "Alerts", code: "LocationNotAvailableForResourceType", property: "location",
		says: []string{"the location of a Microsoft.Insights/metricAlerts is 'francecentral'", "set it to Global"},
	})
}

func TestEngine_Alerts_WatchMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	w := watching()
	w.criterion.MetricName = pulumi.String("availability_percent")
	previewRefuses(t, w.added(), "metric", mistake{
		rule: "Alerts", code: "BadRequest", property: "criteria.allOf[0].metricName",
		says: []string{"Couldn't find a metric named availability_percent of a Microsoft.KeyVault/vaults", "Make sure the name is correct"},
	})
}

func TestEngine_Alerts_NameDimensionsThatTheMetricHas(t *testing.T) {
	t.Parallel()
	w := watching()
	w.criterion.Dimensions = metrics.MetricDimensionArray{metrics.MetricDimensionArgs{
		Name: pulumi.String("nodepool"), Operator: pulumi.String("Include"), Values: pulumi.ToStringArray([]string{"user"}),
	}}
	previewRefuses(t, w.added(), "metric", mistake{
		rule: "Alerts", code: "BadRequest", property: "criteria.allOf[0].dimensions[0].name",
		says: []string{"the metric Availability has no dimension nodepool", "it has: ActivityType, ActivityName"},
	})
}

func TestEngine_Alerts_LookAtSomePeriodsOnly(t *testing.T) {
	t.Parallel()
	w := watching()
	w.metric.WindowSize = pulumi.String("PT10M")
	previewRefuses(t, w.added(), "metric", mistake{
		rule: "Alerts", code: "BadRequest", property: "windowSize", says: []string{"the period is 'PT10M'", "use PT1M, PT5M, PT15M"},
	})
}

func TestEngine_Alerts_LookAtALongPeriodEveryFiveMinutes(t *testing.T) {
	t.Parallel()
	w := watching()
	w.metric.WindowSize, w.metric.EvaluationFrequency = pulumi.String("PT6H"), pulumi.String("PT1M")
	previewRefuses(t, w.added(), "metric", mistake{
		rule: "Alerts", code: "BadRequest", property: "evaluationFrequency",
		says: []string{"must be greater than or equal to five minutes since the period is greater than four hours", "use PT5M"},
	})
}

func TestEngine_Alerts_HaveASeverity(t *testing.T) {
	t.Parallel()
	w := watching()
	w.metric.Severity = pulumi.Int(5)
	previewRefuses(t, w.added(), "metric", mistake{
		rule: "Alerts", code: "BadRequest", property: "severity", says: []string{"the severity is 5", "use 0 to 4"},
	})
}

func TestEngine_Alerts_OnWhatPeopleDoSayWhatTheyMean(t *testing.T) {
	t.Parallel()
	w := watching()
	w.category.Equals = pulumi.String("Administrative")
	previewRefuses(t, w.added(), "event", mistake{
		rule: "Alerts", code: "UnsupportedCondition", property: "condition.allOf",
		says: []string{"Specify additional conditions for this category: Administrative"},
	})
}

func TestEngine_Alerts_TellReceiversOfDifferentNames(t *testing.T) {
	t.Parallel()
	w := watching()
	w.recipients.WebhookReceivers = groups.WebhookReceiverArray{groups.WebhookReceiverArgs{
		Name: pulumi.String("mail"), ServiceUri: pulumi.String("https://hooks.gridos.example"),
	}}
	previewRefuses(t, w.added(), "recipients", mistake{
		rule: "Alerts", code: "BadRequest", property: "webhookReceivers[0].name",
		says: []string{"two receivers are called 'mail'", "name them differently"},
	})
}

func TestEngine_Alerts_TellSoManyReceivers(t *testing.T) {
	t.Parallel()
	w := watching()
	var hooks groups.WebhookReceiverArray
	for i := range 11 {
		hooks = append(hooks, groups.WebhookReceiverArgs{
			Name: pulumi.String(fmt.Sprint("hook-", i)), ServiceUri: pulumi.String("https://hooks.gridos.example"),
		})
	}
	w.recipients.WebhookReceivers = hooks
	previewRefuses(t, w.added(), "recipients", mistake{
		rule: "Alerts", code: "BadRequest", property: "webhookReceivers",
		says: []string{"the action group has 11 of webhookReceivers", "it can have 10"},
	})
}
