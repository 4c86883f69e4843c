package deployed_test

import (
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/deployed"
)

// An update sends the number of nodes in the state. A refresh first reads the number that the
// autoscaler has set, and only in the project with the cluster: a refresh would record a
// half-deleted Helm release as complete. A plan describes the update, so it begins with a refresh
// if the update does; the update is bound to the plan.
func TestUnit_OnlyTheUpdateOfTheClusterRefreshes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 22))
	e := &engine{events: generate(random, false).events(random)}
	environment := deployed.With(e, projects(t), "prod", io.Discard)
	plan, _, err := environment.Plan(t.Context(), commit)
	require.NoError(t, err)
	results, err := environment.Up(t.Context(), plan, commit, []string{plan.Consent})
	require.NoError(t, err)
	require.Len(t, results, len(everywhere))

	refreshes, held := map[string]bool{}, 0
	for _, command := range e.commands {
		words := strings.Fields(command)
		project := strings.TrimSuffix(words[0], ":")
		switch words[1] {
		case "up":
			refreshes[project] = slices.Contains(words, "--refresh")
			held += strings.Count(command, "--plan=")
		case "preview":
			assert.Equal(t, project == everywhere[0], slices.Contains(words, "--refresh"), command)
		}
	}
	assert.Equal(t, map[string]bool{everywhere[0]: true, everywhere[1]: false, everywhere[2]: false, everywhere[3]: false}, refreshes)
	assert.Equal(t, len(everywhere), held)
}
