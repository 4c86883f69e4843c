package monitoring_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/stacks"
)

const (
	cluster     = "azure-native:containerservice/v20240901:ManagedCluster"
	rule        = "azure-native:insights/v20230311:DataCollectionRule"
	association = "azure-native:insights/v20230311:DataCollectionRuleAssociation"
	query       = "azure-native:operationalinsights/v20190901:Query"
	setting     = "azure-native:insights/v20210501preview:DiagnosticSetting"
)

// run runs the program against mocks.
func run(environment string, overrides map[string]string) (*mocks.Recorded, error) {
	values := map[string]string{"rolePropagation": "0s"} // the SDK's mocks know no hooks, and the wait is in a hook
	maps.Copy(values, overrides)
	return mocks.Run{
		Project: stacks.Infra, Root: "../..", Stack: environment, Config: values,
		Functions: map[string]map[string]any{
			"azure-native:authorization:getClientConfig": {"objectId": "o", "tenantId": "t", "subscriptionId": "s"},
		},
		Preview: true,
	}.Do(program.Program)
}

// An agent without a rule collects nothing, and a rule without an agent as well.
func TestUnit_TheClusterSendsTheLogsOfTheChosenNamespaces(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		recorded, err := run(environment, map[string]string{"podLogNamespaces": `["gridos", "reports"]`})
		require.NoError(t, err)
		agent := mocks.At(recorded.OfType(cluster)[0].Inputs.Mappable(), "addonProfiles", "omsagent")
		assert.Equal(t, true, mocks.At(agent.(map[string]any), "enabled"), environment)
		assert.Equal(t, "true", mocks.At(agent.(map[string]any), "config", "useAADAuth"), "without a key of the workspace")
		rules, associations := recorded.OfType(rule), recorded.OfType(association)
		require.Len(t, rules, 1)
		require.Len(t, associations, 1)
		flows := mocks.At(rules[0].Inputs.Mappable(), "dataFlows").([]any)
		kept := map[string]any{}
		for _, flow := range flows {
			for _, stream := range mocks.At(flow.(map[string]any), "streams").([]any) {
				kept[stream.(string)] = mocks.At(flow.(map[string]any), "transformKql")
			}
		}
		assert.Equal(t, map[string]any{
			"Microsoft-ContainerLogV2": "source | where PodNamespace in ('gridos', 'reports')", "Microsoft-KubeEvents": nil,
		}, kept)
		in := associations[0].Inputs.Mappable()
		assert.Equal(t, "ContainerInsightsExtension", in["associationName"], "by this name the agent finds it")
		assert.Contains(t, in["resourceUri"], recorded.OfType(cluster)[0].Name)
		assert.Contains(t, in["dataCollectionRuleId"], rules[0].Name)
	}
	recorded, err := run("dev", map[string]string{"podLogNamespaces": `[]`})
	require.NoError(t, err)
	assert.Equal(t, false, mocks.At(recorded.OfType(cluster)[0].Inputs.Mappable(), "addonProfiles", "omsagent", "enabled"))
	assert.Empty(t, slices.Concat(recorded.OfType(rule), recorded.OfType(association)))
}

func TestUnit_NamespacesThatSendNothingAreRefused(t *testing.T) {
	t.Parallel()
	for namespaces, why := range map[string]string{
		`["kube-system"]`:       "Azure's agent does not read the logs of kube-system; remove it",
		`["gridos", "gridos"]`:  "gridos is listed twice; list each namespace once",
		`["Grid OS"]`:           `"Grid OS" is not the name of a namespace; write it like gridos`,
		`["x') or true or ('"]`: "is not the name of a namespace",
	} {
		_, err := run("dev", map[string]string{"podLogNamespaces": namespaces})
		require.ErrorContains(t, err, "gridos-infra:podLogNamespaces: ")
		require.ErrorContains(t, err, why)
	}
}

// In the table AzureDiagnostics the queries would find nothing.
func TestUnit_LogsWithATableOfTheirOwnGoThere(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	var tabled []string
	for _, s := range recorded.OfType(setting) {
		if s.Inputs["logAnalyticsDestinationType"].IsString() {
			assert.Equal(t, "Dedicated", s.Inputs["logAnalyticsDestinationType"].StringValue())
			tabled = append(tabled, s.Name)
		}
	}
	assert.ElementsMatch(t, []string{
		"prod-cluster-aks-diagnostics", "prod-database-server-diagnostics", "prod-gateway-agw-diagnostics", "prod-vault-vault-diagnostics",
	}, tabled)
}

// queries are the texts of the saved queries, by what people see of them.
func queries(t *testing.T) map[string]string {
	t.Helper()
	recorded, err := run("dev", nil)
	require.NoError(t, err)
	texts, ids := map[string]string{}, map[string]bool{}
	for _, q := range recorded.OfType(query) {
		texts[q.Inputs["displayName"].StringValue()] = q.Inputs["body"].StringValue()
		ids[q.Inputs["id"].StringValue()] = true
		assert.NotEmpty(t, q.Inputs["description"].StringValue(), q.Name)
	}
	require.Len(t, texts, len(recorded.OfType(query)), "Azure takes a name once")
	require.Len(t, ids, len(texts))
	return texts
}

func read(t *testing.T, document string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", document))
	require.NoError(t, err)
	return string(text)
}

var quoted = regexp.MustCompile("`([^`]+)`")

// cells are the quoted texts in the second column of a table of docs/logs.md, by the first column.
func cells(t *testing.T, heading string) map[string][]string {
	t.Helper()
	_, section, found := strings.Cut(read(t, "logs.md"), "\n## "+heading+"\n")
	require.True(t, found, heading)
	section, _, _ = strings.Cut(section, "\n## ")
	all := map[string][]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$`).FindAllStringSubmatch(section, -1) {
		for _, cell := range quoted.FindAllStringSubmatch(row[2], -1) {
			all[strings.Trim(row[1], "`")] = append(all[strings.Trim(row[1], "`")], cell[1])
		}
	}
	require.NotEmpty(t, all, heading)
	return all
}

// words are the operators and functions of the query language that the queries use. Source: Kusto
// Query Language, learn.microsoft.com/kusto/query.
var words = strings.Fields("and asc bin by contains count dcount desc extend has in isnotempty isnull let max or order project " +
	"startswith strcat sum summarize take_any toint top tostring union where")

var (
	comment = regexp.MustCompile(`(?m)//.*$`)
	literal = regexp.MustCompile(`"[^"]*"`)
	number  = regexp.MustCompile(`\b\d+[a-z]*\b`)
	name    = regexp.MustCompile(`[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*`)
	defines = regexp.MustCompile(`^\s*=[^=~]`)
)

// namesIn are the names in a query that are neither of the language nor its own.
func namesIn(text string) []string {
	text = number.ReplaceAllString(literal.ReplaceAllString(comment.ReplaceAllString(text, ""), ""), "")
	own := map[string]bool{}
	var all []string
	for _, found := range name.FindAllStringIndex(text, -1) {
		word := text[found[0]:found[1]]
		if defines.MatchString(text[found[1]:]) {
			own[word] = true
		}
		if !slices.Contains(words, word) {
			all = append(all, word)
		}
	}
	return slices.DeleteFunc(all, func(word string) bool { return own[word] })
}

// Azure saves a query with a wrong name, and a person finds out when it is needed.
func TestUnit_QueriesNameOnlyTablesAndColumnsThatAzureDocuments(t *testing.T) {
	t.Parallel()
	columns, lines := cells(t, "Tables and columns"), cells(t, "Lines of JSON")
	var fields []string
	for _, of := range lines {
		fields = append(fields, of...)
	}
	used := map[string]map[string]bool{}
	for title, text := range queries(t) {
		var tables []string
		names := slices.DeleteFunc(namesIn(text), func(word string) bool {
			_, table := columns[word]
			if table {
				tables = append(tables, word)
			}
			return table
		})
		if !assert.NotEmpty(t, tables, "%s asks no table of docs/logs.md", title) {
			continue
		}
		for _, word := range names {
			column, field, dotted := strings.Cut(word, ".")
			if column == "LogMessage" && dotted {
				assert.Contains(t, fields, field, "%s: no line has the field", title)
				word = column
			}
			known := false
			for _, table := range tables {
				if slices.Contains(columns[table], word) {
					if used[table] == nil {
						used[table] = map[string]bool{}
					}
					known, used[table][word] = true, true
				}
			}
			assert.True(t, known, "%s: docs/logs.md has no column %s of %s", title, word, strings.Join(tables, ", "))
		}
	}
	for table, documented := range columns {
		for _, column := range documented {
			assert.True(t, used[table][column], "docs/logs.md: no query asks for %s of %s", column, table)
		}
	}
}

// The check itself finds a wrong name.
func TestUnit_AWrongNameInAQueryIsFound(t *testing.T) {
	t.Parallel()
	text := "// Tabel\nAGWAccessLog\n| where HttpStatus >= 500 and \"a.Name\" == Host and ago1 > 1d // Comment\n" +
		"| summarize Requests = count() by Stauts, LogMessage.path\n| order by Requests desc"
	assert.Equal(t, []string{"AGWAccessLog", "HttpStatus", "Host", "ago1", "Stauts", "LogMessage.path"}, namesIn(text))
}

// No person finds a query that no procedure names, and a name that leads nowhere delays.
func TestUnit_TheManualSaysWhenToRunEachQuery(t *testing.T) {
	t.Parallel()
	manual := strings.Join(strings.Fields(read(t, "OPERATIONS.md")), " ")
	all := queries(t)
	cited := map[string]bool{}
	for _, found := range regexp.MustCompile(`quer(?:y|ies) (\*[^*]+\*(?:(?:, | and )\*[^*]+\*)*)`).FindAllStringSubmatch(manual, -1) {
		for _, title := range regexp.MustCompile(`\*([^*]+)\*`).FindAllStringSubmatch(found[1], -1) {
			assert.Contains(t, all, title[1], "OPERATIONS.md cites a query that is not saved")
			cited[title[1]] = true
		}
	}
	for title := range all {
		assert.True(t, cited[title], "OPERATIONS.md does not say when to run the query %s", title)
	}
}

// The environments differ in how long logs are kept and how many they are at most.
func TestUnit_TheDocumentHasTheLimitsOfEachEnvironment(t *testing.T) {
	t.Parallel()
	text := read(t, "logs.md")
	for _, environment := range naming.Environments() {
		d := program.Defaults(environment).Monitoring
		most := fmt.Sprintf("%d GB", d.DailyCapGB)
		if d.DailyCapGB == 0 {
			most = "no cap"
		}
		assert.Contains(t, text, fmt.Sprintf("| %s | %d days | %s |", environment, d.RetentionDays, most))
	}
}
