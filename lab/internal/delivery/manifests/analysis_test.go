package manifests

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

// The revisions of the cases. A step is the time between two scrapes, 15 seconds.
const canaryHash, stableHash = "new", "old"

// figures are series, with their samples in promtool's notation.
type figures map[string]string

// and returns both; if both have a series, that of more counts.
func (f figures) and(more figures) figures {
	all := maps.Clone(f)
	maps.Copy(all, more)
	return all
}

// gateway is the series in which the mesh's gateway counts the requests to a revision.
func gateway(revision, code string) string {
	return `istio_requests_total{namespace="aks-istio-ingress",pod="gateway-1",reporter="source",response_code="` + code +
		`",destination_service="gridos-` + map[string]string{canaryHash: "canary", stableHash: "stable"}[revision] + `.gridos.svc.cluster.local"}`
}

func podOf(revision string) string {
	return `namespace="gridos",pod="` + revision + `-1",rollouts_pod_template_hash="` + revision + `"`
}

// counted is the series in which a revision's pod counts the requests to a route.
func counted(revision, route, code string) string {
	return `gridos_http_requests_total{` + podOf(revision) + `,method="GET",route="` + route + `",code="` + code + `"}`
}

// timed is the series of the requests to a route that a revision's pod answered within a time, in
// seconds.
func timed(revision, route, within string) string {
	return `gridos_http_request_duration_seconds_bucket{` + podOf(revision) + `,method="GET",route="` + route + `",le="` + within + `"}`
}

// timedAll is the series of all requests to a route.
func timedAll(revision, route string) string {
	return `gridos_http_request_duration_seconds_count{` + podOf(revision) + `,method="GET",route="` + route + `"}`
}

// scraped is the series in which Prometheus records each pod that it scrapes.
func scraped(revision string) string { return `up{` + podOf(revision) + `}` }

// answers are the figures of a revision that answers so many requests to a route in each step,
// within a time.
func answers(revision, route, each, within string) figures {
	grows := "0+" + each + "x40"
	return figures{
		gateway(revision, "200"): grows, counted(revision, route, "200"): grows,
		timed(revision, route, within): grows, timed(revision, route, "+Inf"): grows, timedAll(revision, route): grows,
		scraped(revision): "1x40",
	}
}

// fails are the figures of requests to a route that a revision's pod answers with an error.
func fails(revision, route, code, samples string) figures {
	return figures{gateway(revision, code): samples, counted(revision, route, code): samples}
}

// lost are the figures of a canary whose counters Prometheus has for one minute only.
func lost(up string) figures {
	const samples = "0+3x4 stale"
	return figures{counted(canaryHash, "/version", "200"): samples, timedAll(canaryHash, "/version"): samples, scraped(canaryHash): up}
}

// asked are the figures of a release without users: only the controller asks each revision for its
// version, every five seconds.
func asked(revision string) figures { return answers(revision, "/version", "3", "0.1") }

const (
	series  = "/api/v1/substations/{substation}/points/{point}/series"
	ingest  = "/api/v1/telemetry"
	still   = "0+100x4 400x36"
	nothing = "" // an empty answer
)

// The analysis judges the figures of a release. The engine of the cluster's Prometheus version
// evaluates the queries, and that of Argo Rollouts evaluates the conditions.
func TestCluster_ACanaryIsJudgedByWhatUsersGet(t *testing.T) {
	both := asked(stableHash).and(asked(canaryHash))
	fast := asked(stableHash).and(answers(stableHash, series, "900", "0.1"))
	used := both.and(answers(stableHash, series, "900", "0.1")).and(answers(canaryHash, series, "100", "0.1"))
	// The gateway cannot reach the canary's pods, so they no longer count requests.
	unreached := fast.and(figures{
		gateway(canaryHash, "200"): "0+3x4 12x36", gateway(canaryHash, "503"): "_x5 0+2x35",
	})
	failedAtOnce := asked(stableHash).and(figures{
		gateway(canaryHash, "500"): "_x2 12x20", counted(canaryHash, series, "500"): "_x2 12x20", scraped(canaryHash): "1x40",
		timed(canaryHash, series, "0.1"): "_x2 12x20", timed(canaryHash, series, "+Inf"): "_x2 12x20", timedAll(canaryHash, series): "_x2 12x20",
	})
	cases := map[string]struct {
		figures figures
		// at is the time of the query in seconds, 300 if it is 0; window is 1m if it is empty.
		at     int64
		window string
		// bad are the metrics that condemn the canary, with the answer to the query. All others
		// find it good.
		bad map[string]string
	}{
		"good: nobody uses the service":            {figures: both},
		"good: users, and no request fails":        {figures: used},
		"good: users, over three minutes":          {figures: used, window: "3m"},
		"good: the first measurement in a release": {figures: shifted(asked(canaryHash), 20).and(asked(stableHash)), at: 340},
		"good: one in 200 fails":                   {figures: used.and(fails(canaryHash, series, "500", "0+0.5x40"))},
		"good: one request failed":                 {figures: both.and(fails(canaryHash, ingest, "500", "_x18 1x20"))},
		"good: users' own mistakes, on both": {figures: used.and(figures{
			counted(stableHash, series, "404"): "0+2700x40", counted(canaryHash, series, "404"): "0+310x40",
		})},
		"good: three mistakes, on the canary alone":   {figures: used.and(figures{counted(canaryHash, ingest, "400"): "0x18 3x20"})},
		"good: the stable revision fails":             {figures: used.and(fails(stableHash, series, "500", "0+300x40"))},
		"good: the database fails over, no pod ready": {figures: failover()},
		"good: the database fails over, pods answer 503": {figures: used.and(figures{
			gateway(stableHash, "503"): "0x16 0+300x24", counted(stableHash, series, "503"): "0x16 0+300x24",
			gateway(canaryHash, "503"): "0x16 0+50x24", counted(canaryHash, series, "503"): "0x16 0+50x24",
		})},
		"good: the database is slow, on both": {figures: slow(canaryHash, 10, "1", "2.5").and(slow(stableHash, 90, "1", "2.5"))},
		"good: J, one slow request": {figures: both.and(figures{
			timed(canaryHash, series, "0.5"): "0x40", timed(canaryHash, series, "1"): "0x18 1x20", timed(canaryHash, series, "+Inf"): "0x18 1x20",
			timedAll(canaryHash, series): "0x18 1x20", counted(canaryHash, series, "200"): "0x18 1x20",
		})},
		"good: an earlier canary failed, as the gateway remembers": {figures: used.and(figures{gateway(canaryHash, "503"): "5000x40"})},
		"good: Prometheus was away for ten minutes": {
			figures: shifted(used, 44).and(figures{
				gateway(canaryHash, "503"): "5000x3 _x40 5000x40", gateway(canaryHash, "200"): "90000x3 _x40 90000+100x40",
			}), at: 700,
		},
		"good: failures ended before the window": {figures: used.and(fails(canaryHash, series, "500", "0+50x10 500x30"))},
		"good: a pod of the gateway is new": {figures: used.and(figures{
			strings.Replace(gateway(canaryHash, "200"), "gateway-1", "gateway-2", 1): "_x18 70+100x20",
		})},

		"bad: A, all of twelve requests failed before the first scrape": {
			figures: failedAtOnce, at: 75,
			bad: map[string]string{"failed": "1", "failed-by-route": "1", "refused-by-route": nothing, "latency-p95": nothing},
		},
		"bad: A, and none came after it": {
			figures: failedAtOnce, at: 90,
			bad: map[string]string{"failed": noNumber, "failed-by-route": nothing, "refused-by-route": nothing, "latency-p95": nothing},
		},
		"bad: C, every ingest fails beside many reads": {
			figures: used.and(figures{
				counted(canaryHash, series, "200"): "0+105x40", gateway(canaryHash, "200"): "0+108x40",
				counted(canaryHash, ingest, "500"): "0+0.75x40", gateway(canaryHash, "500"): "0+0.75x40",
				counted(stableHash, ingest, "200"): "0+7x40",
			}), at: 360,
			bad: map[string]string{"failed-by-route": "1"},
		},
		"bad: D, every ingest is refused": {
			figures: both.and(figures{
				counted(canaryHash, ingest, "422"): "0+10x40", gateway(canaryHash, "422"): "0+10x40",
				counted(stableHash, ingest, "200"): "0+90x40", gateway(stableHash, "200"): "0+93x40",
			}), at: 360,
			bad: map[string]string{"refused-by-route": "1"},
		},
		"bad: E, Prometheus loses the canary": {
			figures: unreached.and(lost("1x4 stale")),
			bad:     map[string]string{"failed": "1", "failed-by-route": nothing, "refused-by-route": nothing, "latency-p95": nothing},
		},
		"bad: F, Prometheus does not reach the canary": {
			figures: unreached.and(lost("1x4 0x36")),
			bad:     map[string]string{"failed": "1", "failed-by-route": nothing, "refused-by-route": nothing, "latency-p95": nothing},
		},
		"bad: G, pods are not ready under load": {
			figures: unreached.and(figures{
				counted(canaryHash, series, "200"): still, timedAll(canaryHash, series): still, scraped(canaryHash): "1x40",
			}),
			bad: map[string]string{"failed": "1", "failed-by-route": nothing, "refused-by-route": nothing, "latency-p95": nothing},
		},
		"bad: H, one of two pods crashes": {
			figures: used.and(figures{
				gateway(canaryHash, "200"): "0+100x40", gateway(canaryHash, "503"): "0+100x40",
				strings.Replace(scraped(canaryHash), "new-1", "new-2", 1): "0x40",
			}), at: 360,
			bad: map[string]string{"failed": "0.5"},
		},
		"bad: one in 50 fails": {
			figures: used.and(figures{
				gateway(canaryHash, "200"): "0+980x40", gateway(canaryHash, "500"): "0+20x40",
				counted(canaryHash, series, "200"): "0+980x40", counted(canaryHash, series, "500"): "0+20x40",
			}),
			bad: map[string]string{"failed": "0.02", "failed-by-route": "0.02"},
		},
		"bad: every request fails": {
			figures: asked(stableHash).and(figures{
				gateway(canaryHash, "500"): "0+100x40", counted(canaryHash, series, "500"): "0+100x40", scraped(canaryHash): "1x40",
				timed(canaryHash, series, "0.1"): "0+100x40", timed(canaryHash, series, "+Inf"): "0+100x40",
				timedAll(canaryHash, series): "0+100x40",
			}),
			bad: map[string]string{"failed": "1", "failed-by-route": "1"},
		},
		"bad: the canary fails more than both do": {
			figures: used.and(figures{
				gateway(stableHash, "500"): "0+100x40", counted(stableHash, series, "500"): "0+100x40",
				gateway(canaryHash, "500"): "0+100x40", counted(canaryHash, series, "500"): "0+100x40",
			}),
			bad: map[string]string{"failed": "0.3", "failed-by-route": "0.3"},
		},
		"bad: failures in the last of three minutes": {
			figures: used.and(fails(canaryHash, series, "500", "0x16 0+20x24")), window: "3m",
			bad: map[string]string{"failed": "0.048", "failed-by-route": "0.048"},
		},
		"bad: failures in the first of three minutes": {
			figures: used.and(fails(canaryHash, series, "500", "0x8 0+50x4 200x30")), window: "3m",
			bad: map[string]string{"failed": "0.143", "failed-by-route": "0.143"},
		},
		"bad: slow": {figures: fast.and(slow(canaryHash, 10, "0.5", "1")), bad: map[string]string{"latency-p95": "0.75"}},
		"bad: slower than the histogram tells": {
			figures: fast.and(slow(canaryHash, 10, "10", "+Inf")), bad: map[string]string{"latency-p95": "10"},
		},
		"bad: the canary is never asked": {
			figures: asked(stableHash).and(figures{scraped(canaryHash): "1x40"}),
			bad:     map[string]string{"failed": nothing, "failed-by-route": nothing, "refused-by-route": nothing, "latency-p95": nothing},
		},
		"bad: the canary is not asked any more": {
			figures: asked(stableHash).and(figures{
				gateway(canaryHash, "200"): still, counted(canaryHash, "/version", "200"): still,
				timedAll(canaryHash, "/version"): still, scraped(canaryHash): "1x40",
			}),
			bad: map[string]string{"failed": noNumber, "failed-by-route": nothing, "refused-by-route": nothing, "latency-p95": nothing},
		},
		"bad: Prometheus does not see the gateway": {
			figures: without(used, "istio_requests_total"), bad: map[string]string{"failed": nothing},
		},
		"bad: Prometheus does not see the application": {
			figures: without(used, "gridos_", "up"),
			bad:     map[string]string{"failed-by-route": nothing, "refused-by-route": nothing, "latency-p95": nothing},
		},
	}

	metrics := templates(t)
	require.NotEmpty(t, metrics)
	var questions, measurements []map[string]any
	type verdict struct{ situation, metric string }
	var verdicts []verdict
	for _, situation := range slices.Sorted(maps.Keys(cases)) {
		c := cases[situation]
		for _, name := range slices.Sorted(maps.Keys(metrics)) {
			metric := filled(t, metrics[name], c.window)
			measurements = append(measurements, map[string]any{"metric": metric})
			at := c.at
			if at == 0 {
				at = 300
			}
			questions = append(questions, map[string]any{
				"query": "round(" + queryOf(t, metric) + ", 0.001)", "series": c.figures, "interval": 15, "at": at,
			})
			verdicts = append(verdicts, verdict{situation, name})
		}
	}
	var results [][]string
	require.NoError(t, json.Unmarshal(askTool(t, "prometheus", "./evaluate", questions), &results))
	require.Len(t, results, len(questions))
	for i := range measurements {
		measurements[i]["result"] = results[i]
	}
	phases := strings.Fields(string(askTool(t, toolchain.ArgoModule, "./judge", measurements)))
	require.Len(t, phases, len(verdicts))
	for i, v := range verdicts {
		t.Logf("%s: %s: %v %s", v.situation, v.metric, results[i], phases[i])
		want, bad := cases[v.situation].bad[v.metric]
		if !bad {
			assert.Equal(t, "Successful", phases[i], "%s: %s: %v", v.situation, v.metric, results[i])
			continue
		}
		assert.Equal(t, "Failed", phases[i], "%s: %s: %v", v.situation, v.metric, results[i])
		assert.Equal(t, want, strings.Join(results[i], " "), "%s: %s", v.situation, v.metric)
	}
	for situation, c := range cases {
		for name := range c.bad {
			assert.Contains(t, metrics, name, situation)
		}
	}
}

// noNumber is 0/0, as Prometheus writes it.
const noNumber = "NaN"

// shifted returns figures that begin so many steps later.
func shifted(f figures, steps int) figures {
	later := figures{}
	for name, samples := range f {
		later[name] = "_x" + strconv.Itoa(steps) + " " + samples
	}
	return later
}

// without returns figures without the series whose names have one of the prefixes.
func without(f figures, prefixes ...string) figures {
	left := maps.Clone(f)
	maps.DeleteFunc(left, func(name, _ string) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
	return left
}

// slow are the figures of a revision that answers so many requests in each step, nine of ten within
// one time and all within another.
func slow(revision string, tens int, most, all string) figures {
	return asked(revision).and(answers(revision, series, strconv.Itoa(10*tens), all)).and(figures{
		timed(revision, series, most): "0+" + strconv.Itoa(9*tens) + "x40",
	})
}

// failover are the figures of a release while the database is down: no pod of either revision is
// ready, and none gets requests.
func failover() figures {
	f := figures{}
	for _, revision := range []string{stableHash, canaryHash} {
		f = f.and(asked(revision))
		for name := range f {
			if strings.HasPrefix(name, "gridos_") {
				f[name] = "0+3x12 36x28"
			}
		}
		f[gateway(revision, "200")], f[gateway(revision, "503")] = "0+3x12 36x28", "_x13 0+2x27"
	}
	return f
}

// templates returns the metrics of the AnalysisTemplates by their names. They are the same in each
// environment.
func templates(t *testing.T) map[string]typed[analysisFields] {
	t.Helper()
	kustomize := tool(t, toolchain.Kustomize)
	var all map[string]typed[analysisFields]
	for _, environment := range naming.Environments() {
		objects, err := Build(t.Context(), kustomize, overlayDir(app, environment))
		require.NoError(t, err)
		r, found := &report{}, map[string]typed[analysisFields]{}
		for _, template := range sorted(objects, r).templates {
			metric := template.is.Spec.Metrics[0]
			if _, ok := metric["provider"].(map[string]any)["prometheus"]; ok {
				require.Len(t, template.is.Spec.Metrics, 1)
				found[metric["name"].(string)] = template
			}
		}
		require.NoError(t, r.err())
		for name, template := range found {
			if all != nil {
				assert.Equal(t, all[name].is, template.is, "%s: %s", environment, name)
			}
		}
		all = found
	}
	return all
}

// filled returns the metric of a template with its arguments.
func filled(t *testing.T, template typed[analysisFields], window string) map[string]any {
	t.Helper()
	text, err := yaml.Marshal(template.is.Spec.Metrics[0])
	require.NoError(t, err)
	metric := string(text)
	for _, argument := range template.is.Spec.Args {
		var value string
		switch {
		case argument.Name == "window" && window != "":
			value = window
		case argument.Value != nil:
			value = *argument.Value
		case strings.HasPrefix(argument.Name, "canary"):
			value = canaryHash
		default:
			value = stableHash
		}
		metric = strings.ReplaceAll(metric, "{{args."+argument.Name+"}}", value)
	}
	require.NotContains(t, metric, "{{")
	var fields map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(metric), &fields))
	return fields
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

// askTool runs one of our programs in the module of a tool, in the version that the cluster runs.
// Input and answer are JSON.
func askTool(t *testing.T, module, program string, input any) []byte {
	t.Helper()
	text, err := json.Marshal(input)
	require.NoError(t, err)
	var out, problems bytes.Buffer
	command := exec.CommandContext(t.Context(), "go", "run", program)
	command.Dir = filepath.Join(tools, module)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(text), &out, &problems
	require.NoError(t, command.Run(), "%s", problems.String())
	t.Log(problems.String()) // why a condition could not be evaluated; its phase is Error
	return out.Bytes()
}
