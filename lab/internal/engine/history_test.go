package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

func TestUnit_TheLastOperationOfEachStackIsRead(t *testing.T) {
	t.Parallel()
	s := site.Site{Environment: "dev", Dir: t.TempDir()}
	history := func(file, text string) {
		dir := filepath.Join(s.BackendDir(), ".pulumi", "history", stacks.Infra.Name, "dev")
		require.NoError(t, os.MkdirAll(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	infra := func() Operation {
		all, err := LastOperations(s)
		require.NoError(t, err)
		require.Len(t, all, len(stacks.Projects()))
		require.Equal(t, stacks.Infra, all[0].Project)
		assert.Empty(t, all[1].Kind)
		return all[0]
	}
	assert.Empty(t, infra().Kind, "nothing has been done")

	const update = `{"kind": %q, "startTime": 1700000000, "endTime": 1700000012, "result": %q, "config": {}, "resourceChanges": {"create": 34, "same": 2}}`
	history("dev-1700000000000000001.history.json", fmt.Sprintf(update, "update", "succeeded"))
	history("dev-1700000000000000001.checkpoint.json", "{}")
	last := infra()
	assert.Equal(t, "update", last.Kind)
	assert.Equal(t, "succeeded", last.Result)
	assert.Equal(t, "34 created", last.Summary())
	assert.Equal(t, 12*time.Second, last.Ended.Sub(last.Began))
	assert.False(t, last.Running)
	history("dev-1700000001000000000.history.json", fmt.Sprintf(update, "destroy", "failed"))
	assert.Equal(t, "failed", infra().Result)
	assert.Empty(t, infra().Why, "it was not the lab's")
	require.NoError(t, os.MkdirAll(filepath.Dir(s.LogFile("any")), 0o700))
	require.NoError(t, os.WriteFile(s.LogFile(stacks.Infra.Name+"-down"), []byte(`Diagnostics:
  azure-native:network:VirtualNetwork (dev-network):
    error: Code="InUseSubnetCannotBeDeleted"
  pulumi:pulumi:Stack (gridos-infra-dev):
    error: destroy failed
`), 0o600))
	assert.Equal(t, `Code="InUseSubnetCannotBeDeleted"`, infra().Why)

	// A lock of a process that is gone is no operation.
	locks := filepath.Join(s.BackendDir(), ".pulumi", "locks", "organization", stacks.Infra.Name, "dev")
	require.NoError(t, os.MkdirAll(locks, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(locks, "1.json"), []byte(`{"pid": 1, "hostname": "another-machine"}`), 0o600))
	assert.False(t, infra().Running)
}
