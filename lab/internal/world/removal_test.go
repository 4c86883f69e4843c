package world

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/stacks"
)

func TestMain(m *testing.M) {
	// The lab starts itself as its background process, and here "itself" is the test binary.
	if len(os.Args) == 3 && os.Args[1] == daemon.Command {
		config, err := daemon.ReadConfig(os.Args[2])
		if err == nil {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			err = daemon.Serve(ctx, config)
			stop()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A removal that is stopped after its last resource leaves a soft-deleted vault without a group to
// recover it into.
func TestEngine_ARemovalThatWasStoppedAtItsEndIsNotInTheWay(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := checkout(t, "dev")
	t.Cleanup(func() { assert.NoError(t, Discard(context.Background(), s)) })
	bringUp := func() *engine.Engine {
		_, e, overrides, err := begin(t.Context(), s, progress.New(t.Output()), DeliveryNo)
		require.NoError(t, err)
		_, err = e.UpOne(t.Context(), stacks.Infra, overrides, 0)
		require.NoError(t, err)
		return e
	}
	_, err := bringUp().Down(t.Context()) // without a purge
	require.NoError(t, err)
	cloud, err := azure.Open(azure.Options{StateFile: s.AzureFile()})
	require.NoError(t, err)
	require.NotEmpty(t, cloud.SoftDeleted())

	bringUp()
}
