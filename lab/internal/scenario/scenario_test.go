package scenario

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_EverySuccessCriterionHasAScenarioAndEveryScenarioIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/GITOPS_COMPLETE_FLOW.md")
	require.NoError(t, err)
	_, document, found := strings.Cut(string(text), "## The scenarios")
	require.True(t, found)
	document, criteria, found := strings.Cut(document, "\n## Success criteria")
	require.True(t, found)
	evidence, names := map[Criterion]int{}, map[string]bool{}
	for _, s := range All() {
		assert.False(t, names[s.Name], "two scenarios are called %s", s.Name)
		names[s.Name] = true
		assert.Contains(t, document, "| `"+s.Name+"` | "+s.Promise+" |")
		assert.NotEmpty(t, s.Criteria, s.Name)
		for _, criterion := range s.Criteria {
			assert.Contains(t, Criteria(), criterion, s.Name)
			evidence[criterion]++
		}
	}
	assert.Equal(t, len(All()), strings.Count(document, "\n| `"), "scenarios that are documented")
	for _, criterion := range Criteria() {
		assert.Positive(t, evidence[criterion], criterion)
		assert.Contains(t, criteria, "| "+string(criterion)+" | `", criterion)
	}
}
