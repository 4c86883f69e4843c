package monitoring

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/promtool"
)

var root = filepath.Join("..", "..")

// rule is a rule of Prometheus: one that alerts, or one that records.
type rule struct {
	Alert, Record, Expr, For string
	Labels, Annotations      map[string]string
}

func allRules(t *testing.T) []rule {
	t.Helper()
	groups, err := Groups()
	require.NoError(t, err)
	text, err := json.Marshal(groups)
	require.NoError(t, err)
	var parsed []struct {
		Name  string
		Rules []rule
	}
	require.NoError(t, json.Unmarshal(text, &parsed))
	var all []rule
	names := map[string]bool{}
	for _, group := range parsed {
		assert.False(t, names[group.Name], "two groups are called %s, and one file may have each once", group.Name)
		names[group.Name] = true
		all = append(all, group.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	require.NoError(t, err)
	return text
}

// anchors are those that GitHub gives the headings of a page.
func anchors(page []byte) []string {
	var all []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllSubmatch(page, -1) {
		text := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(string(heading[1])), "")
		all = append(all, strings.ReplaceAll(text, " ", "-"))
	}
	return all
}

// A person who is woken reads how bad it is, what it is, and what to do.
func TestUnit_EveryAlertSaysHowBadItIsAndWhatToDo(t *testing.T) {
	t.Parallel()
	const page = "https://github.com/gridos/sharedinfra/blob/main/docs/OPERATIONS.md#"
	runbook := read(t, "docs", "OPERATIONS.md")
	_, alerts, found := strings.Cut(string(runbook), "\n## Alerts\n")
	require.True(t, found)
	alerts, _, _ = strings.Cut(alerts, "\n## ")
	headings := anchors([]byte(alerts))
	led := map[string]bool{}
	for _, r := range allRules(t) {
		if r.Alert == "" {
			continue
		}
		assert.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
		assert.NotEmpty(t, r.Annotations["summary"], r.Alert)
		anchor, ours := strings.CutPrefix(r.Annotations["runbook_url"], page)
		assert.True(t, ours, "%s: runbook_url does not begin with %s", r.Alert, page)
		assert.Contains(t, headings, anchor, "%s: OPERATIONS.md has no such section under Alerts", r.Alert)
		led[anchor] = true
	}
	for _, heading := range headings {
		assert.True(t, led[heading], "no alert leads to the section %s of OPERATIONS.md", heading)
	}
}

// Each alert has a case in which it fires and a case in which it does not. That the cases hold,
// promtool finds.
func TestUnit_EveryAlertIsTested(t *testing.T) {
	t.Parallel()
	type tested struct{ fires, silent bool }
	seen := map[string]tested{}
	files, err := filepath.Glob(filepath.Join("rules", "*.test.yaml"))
	require.NoError(t, err)
	for _, file := range files {
		var content struct {
			Tests []struct {
				Rules []struct {
					Name   string `json:"alertname"`
					Alerts []any  `json:"exp_alerts"`
				} `json:"alert_rule_test"`
			}
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(text, &content), file)
		for _, test := range content.Tests {
			for _, r := range test.Rules {
				one := seen[r.Name]
				one.fires = one.fires || len(r.Alerts) > 0
				one.silent = one.silent || len(r.Alerts) == 0
				seen[r.Name] = one
			}
		}
	}
	for _, r := range allRules(t) {
		if r.Alert != "" {
			assert.Equal(t, tested{fires: true, silent: true}, seen[r.Alert], "%s needs a case of each", r.Alert)
		}
	}
}

// Prometheus, in the version of the chart, evaluates the rules.
func TestCluster_AlertsFireWhenTheyShould(t *testing.T) {
	t.Parallel()
	run := func(kind, pattern string) {
		files, err := filepath.Glob(filepath.Join("rules", pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		runPromtool(t, kind, files...)
	}
	run("check", "*.rules.yaml")
	run("test", "*.test.yaml")
}

func runPromtool(t *testing.T, kind string, files ...string) {
	t.Helper()
	output, err := promtool.Command(t.Context(), root, append([]string{kind, "rules"}, files...)...).CombinedOutput()
	require.NoError(t, err, "%s", output)
}

// A panel shows 0 while nothing fails, and a row for each alert.
func TestCluster_PanelsShowWhatThereIs(t *testing.T) {
	t.Parallel()
	const requests = `istio_requests_total{namespace="aks-istio-ingress",response_code="200",destination_service="gridos-`
	const rest = `.gridos.svc.cluster.local"}`
	const alert = `ALERTS{alertname="DatabaseConnectionsRunOut",alertstate="firing",severity="ticket",namespace="gridos",container="`
	delivery, platform := filepath.Join("dashboards", "delivery.json"), filepath.Join("dashboards", "platform.json")
	series := []any{
		map[string]string{"series": requests + "canary" + rest, "values": "0+10x10"},
		map[string]string{"series": requests + "stable" + rest, "values": "0+10x10"},
		map[string]string{"series": alert + `a"}`, "values": "1x10"},
		map[string]string{"series": alert + `b"}`, "values": "1x10"},
	}
	type sample struct {
		Labels string `json:"labels"`
		Value  int    `json:"value"`
	}
	queries := dashboardQueries(t)
	var asked []any
	for panel, samples := range map[string][]sample{
		delivery + ": Canary: failed requests A": {{"{}", 0}},
		delivery + ": Canary: failed requests B": {{"{}", 0}},
		platform + ": Alerts A":                  {{alert + `a"}`, 1}, {alert + `b"}`, 1}},
	} {
		require.Contains(t, queries, panel)
		asked = append(asked, map[string]any{"expr": queries[panel], "eval_time": "10m", "exp_samples": samples})
	}
	text, err := yaml.Marshal(map[string]any{
		"tests": []any{map[string]any{"interval": "1m", "input_series": series, "promql_expr_test": asked}},
	})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "panels.test.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	runPromtool(t, "test", file)
}

// The table of docs/metrics.md has what rules, dashboards and analyses ask for, and nothing else.
// The parser is that of the cluster's Prometheus.
func TestCluster_EveryMetricIsInTheTable(t *testing.T) {
	t.Parallel()
	table := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]+ \\| [^|]+ \\|$").FindAllSubmatch(read(t, "docs", "metrics.md"), -1) {
		assert.False(t, table[string(row[1])], "docs/metrics.md has two rows for %s", row[1])
		table[string(row[1])] = false
	}
	require.NotEmpty(t, table)

	recorded := map[string]bool{}
	var places, queries []string
	add := func(place, query string) {
		places, queries = append(places, place), append(queries, query)
	}
	for _, r := range allRules(t) {
		add("rule "+r.Alert+r.Record, r.Expr)
		if r.Record != "" {
			recorded[r.Record] = true
		}
	}
	for panel, query := range dashboardQueries(t) {
		add(panel, query)
	}
	for name, query := range analysisQueries(t) {
		add("analysis "+name, query)
	}
	for i, names := range namesIn(t, queries) {
		for _, name := range names {
			if recorded[name] {
				continue
			}
			_, known := table[name]
			assert.True(t, known, "%s asks for %s, which docs/metrics.md does not have", places[i], name)
			table[name] = true
		}
	}
	for name, used := range table {
		assert.True(t, used, "docs/metrics.md has %s, for which nothing asks", name)
	}
}

// analysisQueries are the queries that judge a canary, with a text in place of each argument.
func analysisQueries(t *testing.T) map[string]string {
	t.Helper()
	queries := map[string]string{}
	for _, document := range strings.Split(string(read(t, "applications", "gridos", "base", "analysis-templates.yaml")), "\n---\n") {
		var template struct {
			Spec struct {
				Metrics []struct {
					Name     string
					Provider struct{ Prometheus struct{ Query string } }
				}
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &template))
		for _, metric := range template.Spec.Metrics {
			if query := metric.Provider.Prometheus.Query; query != "" {
				query = strings.ReplaceAll(query, "{{args.window}}", "1m")
				query = strings.ReplaceAll(query, "{{args.most-seconds}}", "1")
				queries[metric.Name] = query
			}
		}
	}
	require.Len(t, queries, 4)
	return queries
}

// namesIn returns the metrics for which each query asks.
func namesIn(t *testing.T, queries []string) [][]string {
	t.Helper()
	input, err := json.Marshal(queries)
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), "go", "run", "./names")
	command.Dir = filepath.Join(root, "tools", "prometheus")
	var problems bytes.Buffer
	command.Stdin, command.Stderr = bytes.NewReader(input), &problems
	output, err := command.Output()
	require.NoError(t, err, "%s", problems.String())
	var names [][]string
	require.NoError(t, json.Unmarshal(output, &names))
	require.Len(t, names, len(queries))
	return names
}

// dashboardQueries are the queries of all panels, by dashboard and panel.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("dashboards", "*.json"))
	require.NoError(t, err)
	queries := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var dashboard struct {
			UID, Title string
			Panels     []struct {
				Title   string
				Targets []struct{ Expr, RefID string }
			}
		}
		require.NoError(t, json.Unmarshal(text, &dashboard), file)
		assert.Equal(t, "gridos-"+strings.TrimSuffix(filepath.Base(file), ".json"), dashboard.UID)
		for _, panel := range dashboard.Panels {
			assert.NotEmpty(t, panel.Title, file)
			for _, target := range panel.Targets {
				query := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
				queries[file+": "+panel.Title+" "+target.RefID] = query
			}
		}
	}
	require.Greater(t, len(queries), 20)
	return queries
}
