package rollouts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/bootstrap/notifications"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/valuekeys"
)

func defaults(t *testing.T) Settings {
	t.Helper()
	r := config.FromMap("p", "prod", nil)
	s := Load(r, "prod", "https://argocd.example.org", notifications.Settings{Recipients: []string{notifications.GitHub, notifications.Teams}})
	require.NoError(t, r.Err())
	return s
}

func valuesOf(t *testing.T, s Settings) values {
	t.Helper()
	v, err := newValues(s)
	require.NoError(t, err)
	return v
}

func TestUnit_TheChartKnowsEveryValue(t *testing.T) {
	t.Parallel()
	s := defaults(t)
	unknown, err := valuekeys.Unknown(valuesOf(t, s), filepath.Join("testdata", "argo-rollouts-"+s.Chart.Version+".keys.txt"))
	require.NoError(t, err)
	assert.Empty(t, unknown)
}

func TestUnit_TheValuesAreThoseOfTheGoldenFile(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile(filepath.Join("testdata", "values.yaml"))
	require.NoError(t, err)
	text, err := yaml.Marshal(valuesOf(t, defaults(t)))
	require.NoError(t, err)
	assert.YAMLEq(t, string(golden), string(text))
}

func TestUnit_OneControllerAloneCanBeMoved(t *testing.T) {
	t.Parallel()
	s := defaults(t)
	s.Replicas = 1
	assert.False(t, valuesOf(t, s).Controller.PDB.Enabled, "a budget of one out of one would hold its node for ever")
}

// Argo Rollouts fills in the strings of each entry as Go templates, with the functions of sprig.
func TestUnit_NotificationsAreWellFormed(t *testing.T) {
	t.Parallel()
	v := valuesOf(t, defaults(t)).Notifications
	assert.Equal(t, map[string]string{"service.teams-workflows": "recipientUrls:\n  gridos: $teams-url\n"}, v.Notifiers,
		"it knows no commit, which GitHub's statuses are about")
	require.Len(t, v.Subscriptions, 1)
	rollout := map[string]any{
		"rollout": map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{
				"argocd.argoproj.io/tracking-id": "gridos-prod:argoproj.io/Rollout:gridos/gridos",
			}},
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"image": "registry.example.org/gridos:prod-abc1234"}},
			}}},
		},
		"analysisRuns": []any{
			map[string]any{"status": map[string]any{"phase": "Failed", "message": `Metric "success-rate" assessed Failed`}},
			map[string]any{"status": map[string]any{"phase": "Running"}},
		},
	}
	told := 0
	for name, text := range v.Templates {
		parsed, err := template.New(name).Funcs(template.FuncMap{
			"splitList": func(separator, text string) []string { return strings.Split(text, separator) },
		}).Parse(text)
		require.NoError(t, err)
		filled := &strings.Builder{}
		require.NoError(t, parsed.Execute(filled, rollout))
		var sent struct {
			Message string
			GitHub  any
			Webhook map[string]struct{ Body string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(filled.String()), &sent))
		assert.Nil(t, sent.GitHub)
		assert.Regexp(t, `^gridos-prod .* \(prod, registry.example.org/gridos:prod-abc1234\); Metric "success-rate" assessed Failed\n`+
			`https://argocd.example.org/applications/argocd/gridos-prod$`, sent.Message)
		var body map[string]string
		require.NoError(t, json.Unmarshal([]byte(sent.Webhook["gridos"].Body), &body))
		assert.Equal(t, "registry.example.org/gridos:prod-abc1234", body["revision"])
		assert.Equal(t, "template."+body["event"], name)
		told++
	}
	assert.Equal(t, 2, told)
	assert.Contains(t, v.Triggers, "trigger.on-rollout-aborted")
	assert.Contains(t, v.Triggers, "trigger.on-analysis-run-inconclusive")
}
