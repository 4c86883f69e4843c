package scenario

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/apps/monitoring"
)

// Each alert in Git is provoked in the lab, or has a reason why it is not. The document has the
// figures of the former and the reasons of the latter.
func TestUnit_EveryAlertIsProvokedOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/reliability.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## Alerts\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")

	rows := map[string]string{} // what the document must have
	for _, p := range Provocations() {
		require.NotEmpty(t, p.Alerts, p.What)
		for _, alert := range p.Alerts {
			assert.Empty(t, rows[alert], "%s is provoked twice", alert)
			rows[alert] = `\| ` + regexp.QuoteMeta(p.What) + ` \| [0-9]+ s \| [0-9]+ s \|`
		}
	}
	for alert, reason := range NotProvoked() {
		assert.Empty(t, rows[alert], "%s is provoked, and has a reason why it is not", alert)
		rows[alert] = `\| ` + regexp.QuoteMeta(reason) + ` \|`
	}
	for alert, rest := range rows {
		assert.Regexp(t, "(?m)^\\| `"+alert+"` "+rest+"$", section)
	}
	assert.Equal(t, len(rows), strings.Count(section, "\n| `"), "alerts in the document")

	groups, err := monitoring.Groups()
	require.NoError(t, err)
	text, err := json.Marshal(groups)
	require.NoError(t, err)
	var inGit []struct{ Rules []struct{ Alert string } }
	require.NoError(t, json.Unmarshal(text, &inGit))
	for _, group := range inGit {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				assert.NotEmpty(t, rows[rule.Alert], "%s has neither a provocation nor a reason why there is none", rule.Alert)
				delete(rows, rule.Alert)
			}
		}
	}
	assert.Empty(t, rows, "alerts that Git does not have")
}
