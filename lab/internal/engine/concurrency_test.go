package engine

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/stacks"
)

// gate holds an update in the middle: the creation of the cluster begins and does not end until the gate is opened.
type gate struct {
	reached, opened chan struct{}
	once            sync.Once
}

func newGate() *gate { return &gate{reached: make(chan struct{}), opened: make(chan struct{})} }

func (g *gate) hold(operation azure.Operation, kind, _ string) error {
	if operation == azure.OperationCreate && strings.EqualFold(kind, "Microsoft.ContainerService/managedClusters") {
		g.once.Do(func() { close(g.reached) })
		<-g.opened
	}
	return nil
}

// Two people update one stack at once, and a pull request is previewed meanwhile.
func TestEngine_AnUpdateKeepsOthersOutAndPreviewsDoNotMind(t *testing.T) {
	g := newGate()
	e := newEngine(t, azure.Options{Faults: g.hold})
	infra := partOf(t, stacks.Infra)
	done := make(chan error, 1)
	go func() {
		_, err := e.one(t.Context(), upOperation(nil), infra)
		done <- err
	}()
	<-g.reached

	_, err := e.one(t.Context(), upOperation(nil), infra)
	require.ErrorContains(t, err, "works on stack gridos-infra/dev; wait for it")
	// The plain CLI says it in its own words, and who has the lock.
	stack, ok, err := e.existing(t.Context(), infra.Name)
	require.NoError(t, err)
	require.True(t, ok)
	_, err = command(t.Context(), stack, nil, "refresh", "--yes", "--skip-preview")
	require.ErrorContains(t, err, "the stack is currently locked by 1 lock(s)")

	before := stateFile(t, e)
	preview, err := e.one(t.Context(), previewOperation(nil), infra)
	require.NoError(t, err)
	assert.Positive(t, preview.Changes["create"], "what is not there yet: %v", preview.Changes)
	assert.Positive(t, preview.Changes["same"], "what is there already: %v", preview.Changes)
	assert.Len(t, preview.Changes, 2, "nothing is updated, replaced or deleted: %v", preview.Changes)
	assert.Equal(t, before, stateFile(t, e), "a preview writes nothing")

	close(g.opened)
	require.NoError(t, <-done)
	again, err := e.one(t.Context(), upOperation(nil), infra)
	require.NoError(t, err)
	assert.Zero(t, again.Changed(), again.Summary())
}

// stateFile is the state of gridos-infra as the backend keeps it.
func stateFile(t *testing.T, e *Engine) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(
		e.site.BackendDir(), ".pulumi", "stacks", stacks.Infra.Name, e.site.Environment+".json"))
	require.NoError(t, err)
	return string(text)
}

// Two environments are brought up in one subscription at the same time.
func TestEngine_DifferentStacksAreUpdatedAtOnce(t *testing.T) {
	dev, cloud := newEngineFor(t, "dev", azure.Options{TimeScale: 0.002})
	test := *dev
	test.site = site.Site{Repository: dev.site.Repository, Environment: "test", Dir: t.TempDir()}
	require.NoError(t, test.site.Prepare())
	others, err := Existing(t.Context(), test.site)
	require.NoError(t, err)
	require.NoError(t, cloud.Seed(others...))

	var both sync.WaitGroup
	errs := make([]error, 2)
	for i, e := range []*Engine{dev, &test} {
		both.Go(func() {
			_, errs[i] = e.one(t.Context(), upOperation(Overrides{stacks.Infra.Name: {"rolePropagation": "200ms"}}), partOf(t, stacks.Infra))
		})
	}
	both.Wait()
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	known := 0
	for _, e := range []*Engine{dev, &test} {
		ids, err := e.AzureIDs(t.Context())
		require.NoError(t, err)
		for _, id := range ids {
			if strings.HasPrefix(id, "/subscriptions/") {
				known++
			}
		}
	}
	assert.Len(t, azure.Unseeded(cloud.Inventory()), known, "both states together know everything that is there")
}
