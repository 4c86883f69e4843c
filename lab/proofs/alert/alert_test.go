package alert

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/apps/monitoring"
	"github.com/gridos/sharedinfra/internal/promtool"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
)

const tools = "../../../tools"

var (
	// duration matches what looks like one, wherever it is; not a part of a name, as in ratio_rate5m.
	duration = regexp.MustCompile(`\b([0-9]+(?:ms|[smhdwy]))+\b`)
	window   = regexp.MustCompile(`\[[0-9a-z]+\]`)
)

// times are the durations in the fields of a rule that Prometheus computes with.
func times(t *testing.T, r delivery.Rule) (all []time.Duration) {
	t.Helper()
	for _, found := range duration.FindAllString(r.For+" "+r.Expr, -1) {
		unit := time.Duration(1)
		if days, whole := strings.CutSuffix(found, "d"); whole {
			found, unit = days+"h", 24
		}
		d, err := time.ParseDuration(found)
		require.NoError(t, err, found)
		all = append(all, d*unit)
	}
	return all
}

// The copy that the drill loads differs from Git in its durations alone, and in each of them.
func TestCluster_EveryDurationOfTheRulesIsDivided(t *testing.T) {
	t.Parallel()
	original, err := monitoring.Groups()
	require.NoError(t, err)
	text, err := json.Marshal(original)
	require.NoError(t, err)
	var groups []delivery.RuleGroup
	require.NoError(t, json.Unmarshal(text, &groups))
	same, err := Scaled(t.Context(), tools, 1)
	require.NoError(t, err)
	assert.Equal(t, "1m0s", same.Interval)
	scaled, err := Scaled(t.Context(), tools, Factor)
	require.NoError(t, err)
	assert.Equal(t, "1s", scaled.Interval)

	require.Len(t, same.Groups, len(groups))
	require.Len(t, scaled.Groups, len(groups))
	durations := 0
	for i, group := range groups {
		require.Len(t, scaled.Groups[i].Rules, len(group.Rules))
		for j, rule := range group.Rules {
			copied := scaled.Groups[i].Rules[j]
			want := times(t, rule)
			for k := range want {
				want[k] /= Factor
			}
			assert.Equal(t, want, times(t, copied), "%s%s", rule.Alert, rule.Record)
			durations += len(want)

			unscaled := same.Groups[i].Rules[j]
			assert.Equal(t, rule.For, unscaled.For)
			copied.For, copied.Expr = unscaled.For, window.ReplaceAllString(copied.Expr, "[]")
			unscaled.Expr = window.ReplaceAllString(unscaled.Expr, "[]")
			assert.Equal(t, unscaled, copied)
		}
	}
	assert.Greater(t, durations, 40)
	checkedByPromtool(t, scaled)
}

// checkedByPromtool has the rules read by the Prometheus that the lab runs.
func checkedByPromtool(t *testing.T, rules delivery.Rules) {
	t.Helper()
	text, err := yaml.Marshal(rules)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, regexp.MustCompile(`(?m)^interval:.*\n`).ReplaceAll(text, nil), 0o600))
	output, err := promtool.Command(t.Context(), filepath.Join("..", "..", ".."), "check", "rules", file).CombinedOutput()
	require.NoError(t, err, "%s", output)
}

// A time that would stay as it is, so that the copy would mean something else, is an error.
func TestCluster_ATimeThatIsNotDividedIsRefused(t *testing.T) {
	t.Parallel()
	rule := func(key, value string) any {
		r := map[string]string{"alert": "A", "expr": "up == 0"}
		r[key] = value
		return []any{map[string]any{"name": "g", "rules": []any{r}}}
	}
	for want, groups := range map[string]any{
		"has an offset or a time":   rule("expr", "up offset 5m == 0"),
		"is a subquery":             rule("expr", "max_over_time(up[1h:1m]) == 0"),
		`unknown field "interval"`:  []any{map[string]any{"name": "g", "interval": "5m"}},
		`unknown field "keep_firi`:  rule("keep_firing_for", "5m"),
		"has no whole milliseconds": rule("for", "10ms"),
	} {
		_, err := scale(t.Context(), tools, Factor, groups)
		assert.ErrorContains(t, err, want)
	}
}
