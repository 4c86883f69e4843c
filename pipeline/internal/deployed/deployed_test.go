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

// An update sends the number of nodes that the state knows. What the autoscaler has made since is
// learned first, and in the project with the cluster alone: a refresh takes a release of Helm that
// is half gone for whole. A plan is of what the update does, and so begins with a refresh where that does; the update is held to it.
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
