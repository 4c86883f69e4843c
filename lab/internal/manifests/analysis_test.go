package manifests

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/lab/internal/toolchain"
	"github.com/gridos/sharedinfra/naming"
)

// noNumber is 0/0, as Prometheus writes it.
const noNumber = "NaN"

// requests and answered are the service's metrics of pods of a revision, "new" being the canary's.
func requests(revision, code string) string {
	return `gridos_http_requests_total{namespace="gridos",rollouts_pod_template_hash="` + revision + `",code="` + code + `"}`
}

func answered(revision, within string) string {
	return `gridos_http_request_duration_seconds_bucket{namespace="gridos",rollouts_pod_template_hash="` + revision + `",le="` + within + `"}`
}

// scraped is what Prometheus notes of each pod that it asks.
func scraped(revision string) string {
	return `up{namespace="gridos",rollouts_pod_template_hash="` + revision + `"}`
}

// What the analysis makes of traffic: Prometheus evaluates the queries, and the controller's own evaluator the conditions.
func TestCluster_ACanaryIsJudgedByItsOwnRequests(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "there is no promtool; .ci/run installs it")
		t.Skip("there is no promtool on PATH to evaluate the queries with; it is in Debian's package prometheus")
	}
	kustomize := tool(t, toolchain.Kustomize)
	const (
		idle, busy, fails = "7x20", "0+1000x20", "0+1000x20"
		yes, no           = "1x20", "0x20"
		good, bad, open   = "Successful", "Failed", "Inconclusive"
	)
	type series map[string]string
	cases := []struct {
		name, template string
		traffic        series
		result         string // "" is an empty vector
		phase, inDev   string
	}{
		{"no request fails", "success-rate", series{requests("new", "200"): busy}, "1", good, good},
		{"one in 200 fails", "success-rate", series{requests("new", "200"): "0+995x20", requests("new", "500"): "0+5x20"}, "0.995", good, good},
		{"one in 50 fails", "success-rate", series{requests("new", "200"): "0+980x20", requests("new", "503"): "0+20x20"}, "0.98", bad, bad},
		// There is no counter of good requests then.
		{"every request fails", "success-rate", series{requests("new", "500"): fails}, "0", bad, bad},
		{"users' own mistakes", "success-rate", series{requests("new", "404"): busy}, "1", good, good},
		{"the stable revision fails", "success-rate", series{requests("new", "200"): busy, requests("old", "500"): fails}, "1", good, good},
		{"the stable revision alone has traffic", "success-rate", series{requests("old", "200"): busy, scraped("new"): yes}, noNumber, open, good},
		{"Prometheus does not find the canary", "success-rate", series{requests("old", "200"): busy, scraped("old"): yes}, "", open, open},
		{"Prometheus does not reach the canary", "success-rate", series{scraped("new"): no}, "", open, open},
		{"no request in the last minute", "success-rate", series{requests("new", "200"): idle}, noNumber, open, good},

		{"fast", "latency", series{answered("new", "0.1"): busy, answered("new", "+Inf"): busy}, "0.095", good, good},
		{"slow", "latency", series{
			answered("new", "0.5"): "0+900x20", answered("new", "1"): busy, answered("new", "+Inf"): busy,
		}, "0.75", bad, bad},
		{"slower than the histogram tells", "latency", series{answered("new", "10"): "0x20", answered("new", "+Inf"): busy}, "10", bad, bad},
		{"the stable revision is slow", "latency", series{
			answered("new", "0.1"): busy, answered("new", "10"): busy, answered("new", "+Inf"): busy,
			answered("old", "0.1"): "0x20", answered("old", "10"): "0+9000x20", answered("old", "+Inf"): "0+9000x20",
		}, "0.095", good, good},
		{"not a request yet", "latency", series{scraped("new"): yes}, noNumber, open, good},
		{"Prometheus does not reach the canary", "latency", series{scraped("new"): no}, "", open, open},
		{"no answer in the last minute", "latency", series{answered("new", "0.1"): idle, answered("new", "+Inf"): idle}, noNumber, open, good},
	}
	for _, environment := range naming.Environments() {
		objects, err := Build(t.Context(), kustomize, overlayDir(app, environment))
		require.NoError(t, err)
		metrics := metricsOf(t, objects)
		require.Len(t, metrics, 2)
		var queries []map[string]any
		var measurements []map[string]any
		for _, c := range cases {
			require.Contains(t, metrics, c.template)
			metric := metrics[c.template]
			queries = append(queries, queryTest(c.name, queryOf(t, metric), c.traffic, c.result))
			result := []string{}
			if c.result != "" {
				result = append(result, c.result)
			}
			measurements = append(measurements, map[string]any{"metric": metric, "result": result})
		}
		evaluateQueries(t, promtool, queries)
		phases := judge(t, measurements)
		require.Len(t, phases, len(cases))
		for i, c := range cases {
			want := c.phase
			if environment == "dev" {
				want = c.inDev
			}
			assert.Equal(t, want, phases[i], "%s: %s: %s", environment, c.template, c.name)
		}
	}
}

// metricsOf returns the one metric of each AnalysisTemplate, with the arguments filled in, the canary's hash being "new".
func metricsOf(t *testing.T, objects []Object) map[string]map[string]any {
	t.Helper()
	r := &report{}
	metrics := map[string]map[string]any{}
	for _, template := range sorted(objects, r).templates {
		require.Len(t, template.is.Spec.Metrics, 1)
		text, err := yaml.Marshal(template.is.Spec.Metrics[0])
		require.NoError(t, err)
		filled := string(text)
		for _, argument := range template.is.Spec.Args {
			value := "new"
			if argument.Value != nil {
				value = *argument.Value
			}
			filled = strings.ReplaceAll(filled, "{{args."+argument.Name+"}}", value)
		}
		require.NotContains(t, filled, "{{")
		var metric map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(filled), &metric))
		metrics[template.GetName()] = metric
	}
	require.NoError(t, r.err())
	return metrics
}

func queryOf(t *testing.T, metric map[string]any) string {
	t.Helper()
	text, err := json.Marshal(metric)
	require.NoError(t, err)
	var m struct {
		Provider struct{ Prometheus struct{ Query string } }
	}
	require.NoError(t, json.Unmarshal(text, &m))
	require.NotEmpty(t, m.Provider.Prometheus.Query)
	return m.Provider.Prometheus.Query
}

// queryTest is a test of promtool: what the query answers after five minutes of traffic, with a scrape every 15 seconds as the
// platform's Prometheus has it.
func queryTest(name, query string, traffic map[string]string, result string) map[string]any {
	input := []map[string]any{}
	for series, values := range traffic {
		input = append(input, map[string]any{"series": series, "values": values})
	}
	expression, samples := "round("+query+", 0.001)", []map[string]any{}
	switch result {
	case "":
	case noNumber: // promtool compares numbers, and NaN is equal to none, not to itself either
		expression, samples = "("+query+") == bool ("+query+")", append(samples, map[string]any{"labels": "{}", "value": 0})
	default:
		samples = append(samples, map[string]any{"labels": "{}", "value": json.Number(result)})
	}
	return map[string]any{
		"name": name, "interval": "15s", "input_series": input,
		"promql_expr_test": []map[string]any{{"expr": expression, "eval_time": "5m", "exp_samples": samples}},
	}
}

func evaluateQueries(t *testing.T, promtool string, queries []map[string]any) {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{"evaluation_interval": "15s", "tests": queries})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "queries.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// judge has Argo Rollouts' evaluator, in the pinned version, judge measurements.
func judge(t *testing.T, measurements []map[string]any) []string {
	t.Helper()
	text, err := json.Marshal(measurements)
	require.NoError(t, err)
	var out, problems bytes.Buffer
	command := exec.CommandContext(t.Context(), "go", "run", "./judge")
	command.Dir = filepath.Join(tools, "argo-rollouts")
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(text), &out, &problems
	require.NoError(t, command.Run(), "%s", problems.String())
	t.Log(problems.String()) // why a condition could not be evaluated; its phase is Error
	return strings.Fields(out.String())
}
