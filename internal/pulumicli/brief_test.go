package pulumicli

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder is a CLI that notes its commands. It says of each stack that it selects that there is
// none.
type recorder struct{ commands []string }

func (*recorder) Version() semver.Version { return semver.MustParse("3.246.0") }

func (r *recorder) Run(_ context.Context, _ string, _ io.Reader, _, _ []io.Writer, _ []string, args ...string) (string, string, int, error) {
	r.commands = append(r.commands, strings.Join(args[:2], " "))
	if args[0] == "stack" && args[1] == "select" {
		return "", "error: no stack named 'dev' found", 255, io.EOF
	}
	return "", "", 0, nil
}

// A stack that exists is updated by one start of the CLI, and one that does not exist is found to
// be missing, and made.
func TestUnit_ABriefCLIStartsForOperationsOnly(t *testing.T) {
	t.Parallel()
	for exists, want := range map[bool][]string{
		true:  {"up --yes"},
		false: {"stack select", "stack init", "up --yes"},
	} {
		cli := &recorder{}
		space, err := auto.NewLocalWorkspace(t.Context(), auto.WorkDir(t.TempDir()),
			auto.Pulumi(Brief{PulumiCommand: cli, Exists: func(stack string) bool { return exists && stack == "dev" }}))
		require.NoError(t, err)
		stack, err := auto.UpsertStack(t.Context(), "dev", space)
		require.NoError(t, err)
		_, err = stack.Up(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, cli.commands)
	}
}
