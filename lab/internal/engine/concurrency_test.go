package engine

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/stacks"
)

// gate holds an update in the middle: the creation of the cluster begins and does not end until the
// gate is opened.
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

// Two people update one stack at once, while a pull request is previewed.
func TestEngine_AnUpdateKeepsOthersOutAndPreviewsDoNotMind(t *testing.T) {
	g := newGate()
	e := newEngine(t, azure.Options{Faults: g.hold, Kubernetes: standIn{}, RolePropagation: &soonEffective})
	infra := partOf(t, stacks.Infra)
	done := make(chan error, 1)
	go func() {
		_, err := e.one(t.Context(), upOperation(promptly()), infra)
		done <- err
	}()
	<-g.reached

	_, err := e.one(t.Context(), upOperation(promptly()), infra)
	require.ErrorContains(t, err, "works on stack gridos-infra/dev; wait for it")
	// The plain CLI reports it in its own words, and names the holder of the lock.
	stack, ok, err := e.existing(t.Context(), infra.Name)
	require.NoError(t, err)
	require.True(t, ok)
	var said strings.Builder
	_, err = command(t.Context(), stack, &said, "refresh", "--yes", "--skip-preview")
	require.Error(t, err)
	assert.Contains(t, said.String(), "the stack is currently locked by 1 lock(s)")
	assert.Contains(t, said.String(), "created by ")

	var before string
	require.Eventually(t, func() bool { // what does not wait for the cluster is made now
		earlier := before
		before = stateFile(t, e)
		return before == earlier
	}, time.Minute, time.Second)
	preview, err := e.one(t.Context(), previewOperation(promptly()), infra)
	require.NoError(t, err)
	assert.Positive(t, preview.Changes["create"], "what is not there yet: %v", preview.Changes)
	assert.Positive(t, preview.Changes["same"], "what is there already: %v", preview.Changes)
	assert.Len(t, preview.Changes, 2, "nothing is updated, replaced or deleted: %v", preview.Changes)
	assert.Equal(t, before, stateFile(t, e), "a preview writes nothing")

	close(g.opened)
	require.NoError(t, <-done)
	again, err := e.one(t.Context(), upOperation(promptly()), infra)
	require.NoError(t, err)
	assert.Zero(t, again.Changed(), again.Summary())
}

// stateFile is the file of gridos-infra's state in the backend.
func stateFile(t *testing.T, e *Engine) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(
		e.site.BackendDir(), ".pulumi", "stacks", stacks.Infra.Name, e.site.Environment+".json"))
	require.NoError(t, err)
	return string(text)
}

// Two environments with states in one backend are brought up at the same time: each is held in the
// middle until the other is there.
func TestEngine_DifferentStacksAreUpdatedAtOnce(t *testing.T) {
	environments := []string{"dev", "test"}
	gates := []*gate{newGate(), newGate()}
	engines, clouds := make([]*Engine, 2), make([]*azure.Cloud, 2)
	for i, environment := range environments {
		engines[i], clouds[i] = newEngineFor(t, environment, azure.Options{
			Faults: gates[i].hold, Kubernetes: standIn{}, RolePropagation: &soonEffective,
		})
	}
	require.NoError(t, os.RemoveAll(engines[1].site.BackendDir()))
	require.NoError(t, os.Symlink(engines[0].site.BackendDir(), engines[1].site.BackendDir()))

	var both sync.WaitGroup
	errs := make([]error, 2)
	for i, e := range engines {
		both.Go(func() {
			_, errs[i] = e.one(t.Context(), upOperation(promptly()), partOf(t, stacks.Infra))
			gates[i].once.Do(func() { close(gates[i].reached) }) // it failed early; the other must not wait for ever
		})
		both.Go(func() {
			<-gates[1-i].reached
			close(gates[i].opened)
		})
	}
	both.Wait()
	for i, e := range engines {
		require.NoError(t, errs[i], environments[i])
		known, err := e.AzureIDs(t.Context())
		require.NoError(t, err)
		for _, r := range azure.Unseeded(clouds[i].Inventory()) {
			assert.Contains(t, known, r.ID, environments[i])
		}
		again, err := e.one(t.Context(), upOperation(promptly()), partOf(t, stacks.Infra))
		require.NoError(t, err)
		assert.Zero(t, again.Changed(), "%s: %s", environments[i], again.Summary())
	}
}
