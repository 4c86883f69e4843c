package alerts_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/stacks"
)

const (
	group    = "azure-native:insights/v20230101:ActionGroup"
	metric   = "azure-native:insights/v20180301:MetricAlert"
	activity = "azure-native:insights/v20201001:ActivityLogAlert"
)

const subscription = "11111111-1111-1111-1111-111111111111"

// run runs the program against mocks.
func run(environment string, overrides map[string]string, secrets ...string) (*mocks.Recorded, error) {
	values := map[string]string{"rolePropagation": "0s"} // the SDK's mocks know no hooks, and the wait is in a hook
	maps.Copy(values, overrides)
	return mocks.Run{
		Project: stacks.Infra, Root: "../..", Stack: environment, Config: values, Secrets: secrets,
		Functions: map[string]map[string]any{
			"azure-native:authorization:getClientConfig": {"objectId": "o", "tenantId": "t", "subscriptionId": subscription},
		},
		Preview: true,
	}.Do(program.Program)
}

// all returns the alerts that an environment registers.
func all(r *mocks.Recorded) []mocks.Resource {
	return slices.Concat(r.OfType(metric), r.OfType(activity))
}

// nameOf is the name of an alert in Azure.
func nameOf(alert mocks.Resource) string {
	for _, key := range []resource.PropertyKey{"ruleName", "activityLogAlertName"} {
		if name := alert.Inputs[key]; name.IsString() {
			return name.StringValue()
		}
	}
	return ""
}

// An alert without a recipient is of no use, and costs money: an environment has all or none.
func TestUnit_ThereAreAlertsWhereThereIsARecipient(t *testing.T) {
	t.Parallel()
	for _, environment := range []string{"dev", "test"} {
		recorded, err := run(environment, nil)
		require.NoError(t, err)
		assert.Empty(t, slices.Concat(recorded.OfType(group), all(recorded)), environment)
	}
	for name, overrides := range map[string]map[string]string{
		"mail":    {"alertEmails": `["oncall@gridos.example"]`},
		"webhook": {"alertWebhook": "https://hooks.gridos.example/alerts?token=t"},
	} {
		recorded, err := run("dev", overrides, "alertWebhook")
		require.NoError(t, err, name)
		assert.Len(t, recorded.OfType(group), 1, name)
		assert.Greater(t, len(all(recorded)), 10, name)
	}
}

// Azure accepts an alert that is off, or that has no recipient.
func TestUnit_EveryAlertIsOnAndTellsTheRecipients(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", map[string]string{"alertEmails": `["a@gridos.example", "b@gridos.example"]`})
	require.NoError(t, err)
	recipients := recorded.OfType(group)[0]
	in := recipients.Inputs.Mappable()
	assert.Equal(t, true, in["enabled"])
	assert.LessOrEqual(t, len(in["groupShortName"].(string)), 12)
	var addresses []any
	for _, receiver := range in["emailReceivers"].([]any) {
		addresses = append(addresses, mocks.At(receiver.(map[string]any), "emailAddress"))
	}
	assert.Equal(t, []any{"a@gridos.example", "b@gridos.example"}, addresses)
	names := map[string]bool{}
	for _, alert := range all(recorded) {
		in := alert.Inputs.Mappable()
		assert.Equal(t, true, in["enabled"], alert.Name)
		assert.Equal(t, "Global", in["location"], alert.Name)
		assert.Contains(t, fmt.Sprint(in["actions"]), recipients.Name, alert.Name)
		assert.Len(t, in["scopes"], 1, alert.Name)
		if strings.HasSuffix(nameOf(alert), "azure-has-an-incident") {
			assert.Equal(t, []any{"/subscriptions/" + subscription}, in["scopes"], "an incident is of no resource group")
		}
		assert.False(t, names[nameOf(alert)], "two alerts have the name of %s", alert.Name)
		names[nameOf(alert)] = true
	}
}

func TestUnit_TheWebhookIsSecret(t *testing.T) {
	t.Parallel()
	const address = "https://hooks.gridos.example/alerts?token=t"
	recorded, err := run("test", map[string]string{"alertWebhook": address}, "alertWebhook")
	require.NoError(t, err)
	for _, r := range recorded.Resources {
		if r.Type != group {
			assert.NotContains(t, fmt.Sprint(r.Inputs), "token=t", r.Name)
			continue
		}
		receiver := r.Inputs["webhookReceivers"].ArrayValue()[0].ObjectValue()
		assert.Equal(t, "webhook", receiver["name"].StringValue())
		assert.True(t, receiver["useCommonAlertSchema"].BoolValue(), "each kind of alert has a form of its own otherwise")
		require.True(t, receiver["serviceUri"].IsSecret())
		assert.Equal(t, resource.NewProperty(address), receiver["serviceUri"].SecretValue().Element)
	}
	_, err = run("test", map[string]string{"alertWebhook": address})
	require.ErrorContains(t, err, "gridos-infra:alertWebhook: is in clear text")
}

func TestUnit_RecipientsThatReceiveNothingAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stack, key, value, want string
	}{
		"no one in prod":  {"prod", "alertEmails", "[]", "is empty, and so is alertWebhook: no person would hear that prod is down"},
		"no address":      {"dev", "alertEmails", `["oncall"]`, `"oncall" is not the address of a mailbox; write it like`},
		"a name with it":  {"dev", "alertEmails", `["On call <oncall@gridos.example>"]`, "is not the address of a mailbox"},
		"twice":           {"dev", "alertEmails", `["a@gridos.example", "A@gridos.example"]`, "A@gridos.example is listed twice"},
		"65 characters":   {"dev", "alertEmails", mailbox(50), "has 65 characters, but an action group takes 64"},
		"1,001 addresses": {"dev", "alertEmails", addresses(1001), "has 1001 addresses, but an action group takes 1000"},
		"webhook by http": {"dev", "alertWebhook", "http://hooks.gridos.example/secret", "alertWebhook: is an address by plain HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := run(test.stack, map[string]string{test.key: test.value}, "alertWebhook")
			var mistakes *config.Error
			require.ErrorAs(t, err, &mistakes)
			require.Len(t, mistakes.Mistakes, 1, "%v", err)
			require.ErrorContains(t, mistakes.Mistakes[0], test.want)
			assert.NotContains(t, err.Error(), "/secret")
		})
	}
	_, err := run("prod", map[string]string{"alertEmails": "[]", "alertWebhook": "https://hooks.gridos.example"}, "alertWebhook")
	require.NoError(t, err, "one kind of recipient is enough")
	_, err = run("dev", map[string]string{"alertEmails": mailbox(49)})
	require.NoError(t, err)
	_, err = run("dev", map[string]string{"alertEmails": addresses(1000)})
	require.NoError(t, err)
}

// The example in prod's file stays as long as the file names no subscription: the platform's own
// tests and previews have none.
func TestUnit_ExamplesAreRefusedWhereASubscriptionIsNamed(t *testing.T) {
	t.Parallel()
	_, err := run("prod", map[string]string{"subscriptionId": subscription})
	require.ErrorContains(t, err, "gridos-infra:alertEmails: oncall@gridos.example is an example, to which no mail is delivered")
	for address, refused := range map[string]bool{
		"a@example.com": true, "a@mail.Example.ORG": true, "a@b.test": true, "a@invalid": true, "a@b.localhost": true,
		"a@example.de": false, "a@myexample.com": false, "example.com@gridos.internal": false, "a@test.gridos.internal": false,
	} {
		_, err := run("dev", map[string]string{"subscriptionId": subscription, "alertEmails": `["` + address + `"]`})
		if refused {
			require.ErrorContains(t, err, address+" is an example", address)
		} else {
			require.NoError(t, err, address)
		}
		_, err = run("dev", map[string]string{"alertEmails": `["` + address + `"]`})
		require.NoError(t, err, address)
	}
}

// The beginning is configured: with today's date each preview of a new month would show a change that
// Azure refuses.
func TestUnit_ABudgetTellsTheRecipientsOfAlerts(t *testing.T) {
	t.Parallel()
	const budget = "azure-native:consumption/v20240801:Budget"
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	assert.Empty(t, recorded.OfType(budget), "it is off")

	recorded, err = run("prod", map[string]string{"monthlyBudget": "9000", "budgetFrom": "2026-12-01"})
	require.NoError(t, err)
	require.Len(t, recorded.OfType(budget), 1)
	in := recorded.OfType(budget)[0].Inputs.Mappable()
	assert.InDelta(t, 9000, in["amount"], 0)
	assert.Equal(t, "/subscriptions/"+subscription, in["scope"])
	assert.Equal(t, "prod-gridos-budget-2026-12", in["budgetName"], "Azure has no other month for a budget that exists")
	assert.Equal(t, "2026-12-01T00:00:00Z", mocks.At(in, "timePeriod", "startDate"))
	assert.Equal(t, []any{"prod-gridos-rg", "prod-gridos-aks-nodes-rg"}, mocks.At(in, "filter", "dimensions", "values"), "the nodes cost most")
	assert.Equal(t, "ResourceGroupName", mocks.At(in, "filter", "dimensions", "name"))
	assert.Equal(t, "In", mocks.At(in, "filter", "dimensions", "operator"))
	assert.Equal(t, "Cost", in["category"])
	assert.Equal(t, "Monthly", in["timeGrain"])
	limits, _ := in["notifications"].(map[string]any)
	var when []string
	for name := range limits {
		limit, _ := limits[name].(map[string]any)
		when = append(when, fmt.Sprintf("%v %v %v", limit["thresholdType"], limit["operator"], limit["threshold"]))
		assert.Equal(t, true, limit["enabled"], name)
		assert.Contains(t, fmt.Sprint(limit["contactGroups"]), recorded.OfType(group)[0].Name, name)
	}
	assert.ElementsMatch(t, []string{
		"Actual GreaterThanOrEqualTo 80", "Actual GreaterThanOrEqualTo 100", "Forecasted GreaterThanOrEqualTo 100",
	}, when)
	for _, test := range []struct{ stack, key, value, want string }{
		{"prod", "budgetFrom", "", `"" is not the first day of a month`},
		{"prod", "budgetFrom", "2026-12-18", `"2026-12-18" is not the first day of a month`},
		{"prod", "budgetFrom", "2026-13-01", `"2026-13-01" is not the first day of a month`},
		{"dev", "monthlyBudget", "9000", "has no one to tell; set alertEmails or alertWebhook"},
	} {
		overrides := map[string]string{"monthlyBudget": "9000", "budgetFrom": "2026-12-01"}
		overrides[test.key] = test.value
		_, err := run(test.stack, overrides)
		require.ErrorContains(t, err, "gridos-infra:"+test.key+": ")
		require.ErrorContains(t, err, test.want)
	}
}

// mailbox is an address with a name of n characters, as a stack's file has it.
func mailbox(n int) string { return `["` + strings.Repeat("a", n) + `@gridos.example"]` }

// addresses are n addresses, as a stack's file has them.
func addresses(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`"p%d@gridos.example"`, i)
	}
	return "[" + strings.Join(list, ",") + "]"
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	require.NoError(t, err)
	return string(text)
}

// A person who is woken reads what it is, and where it says what to do.
func TestUnit_EveryAlertLeadsToASectionOfTheManual(t *testing.T) {
	t.Parallel()
	_, section, found := strings.Cut(read(t, "OPERATIONS.md"), "\n## Alerts of Azure\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	var headings []string
	for _, heading := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(section, -1) {
		headings = append(headings, strings.ReplaceAll(strings.ToLower(heading[1]), " ", "-"))
	}
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	led := map[string]bool{}
	for _, alert := range all(recorded) {
		text, _ := alert.Inputs.Mappable()["description"].(string)
		means, anchor, ours := strings.Cut(text, " What to do: https://github.com/gridos/sharedinfra/blob/main/docs/OPERATIONS.md#")
		require.True(t, ours, "%s: %s", alert.Name, text)
		assert.NotEmpty(t, means, alert.Name)
		assert.Contains(t, headings, anchor, alert.Name)
		led[anchor] = true
	}
	// A budget has no text of its own. Its message has its name, and this is the section's.
	led["budget-is-spent"] = true
	for _, heading := range headings {
		assert.True(t, led[heading], "no alert leads to the section %s of OPERATIONS.md", heading)
	}
}

// docs/metrics.md has each metric with its source. A row is what an alert asks for.
func TestUnit_TheDocumentHasTheMetricsOfTheAlerts(t *testing.T) {
	t.Parallel()
	nouns := map[string]string{
		"Microsoft.ContainerService/managedClusters": "AKS cluster", "Microsoft.DBforPostgreSQL/flexibleServers": "PostgreSQL server",
		"Microsoft.Network/applicationGateways": "Application Gateway", "Microsoft.KeyVault/vaults": "key vault",
	}
	documented := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]+) \\| (\\w+) \\| ([^|]+) \\| [^|]+ \\|$")
	for _, row := range row.FindAllStringSubmatch(read(t, "metrics.md"), -1) {
		documented[strings.Join(row[1:], ", ")] = true
	}
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	asked := map[string]bool{}
	for _, alert := range recorded.OfType(metric) {
		criteria, _ := mocks.At(alert.Inputs.Mappable(), "criteria", "allOf").([]any)
		require.Len(t, criteria, 1, alert.Name)
		criterion, _ := criteria[0].(map[string]any)
		dimension := "none"
		if dimensions, _ := criterion["dimensions"].([]any); len(dimensions) > 0 {
			one, _ := dimensions[0].(map[string]any)
			dimension = fmt.Sprintf("`%s`", one["name"])
		}
		space := fmt.Sprint(criterion["metricNamespace"])
		asked[fmt.Sprintf("%s, %s, %s, %s", criterion["metricName"], nouns[space], criterion["timeAggregation"], dimension)] = true
		scopes, _ := alert.Inputs.Mappable()["scopes"].([]any)
		assert.NotEmpty(t, scopes, alert.Name)
	}
	assert.Equal(t, asked, documented, "docs/metrics.md, the metrics of Azure")
}

// The figures of the pools are compared pool by pool: a full one is not hidden by an empty one.
func TestUnit_EachPoolIsWatchedByItself(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", map[string]string{"systemPoolName": "system2"})
	require.NoError(t, err)
	watched := 0
	for _, alert := range recorded.OfType(metric) {
		if text := fmt.Sprint(alert.Inputs.Mappable()["criteria"]); strings.Contains(text, "nodepool") {
			watched++
			assert.Contains(t, text, "[system2 user]", alert.Name)
		}
	}
	assert.Equal(t, 3, watched, "processors, memory, disks")
}

// How the alerts of an environment are named is how people find them among those of the others.
func TestUnit_AlertsAreNamedAfterTheirEnvironment(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		recorded, err := run(environment, map[string]string{"alertEmails": `["oncall@gridos.example"]`})
		require.NoError(t, err)
		assert.Equal(t, environment+"-gridos-alerts", recorded.OfType(group)[0].Inputs["actionGroupName"].StringValue())
		for _, alert := range all(recorded) {
			assert.Regexp(t, `^`+environment+`-gridos-[a-z0-9-]+$`, nameOf(alert))
		}
	}
}
