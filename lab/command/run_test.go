package command

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

func TestUnit_AnEndHasItsExitCode(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, test := range []struct {
		err     error
		code    int
		message string
	}{
		{nil, 0, ""},
		{broken, 1, "Error: broken"},
		{cli.UsageError{Err: broken}, 2, "Error: broken"},
		{foundChanges{}, 3, ""},
		{foundChanges{dangerous: 1}, 4, ""},
		{foundChanges{dangerous: 1, refused: 1}, 5, ""},
		{interruptedError{verb: "status", site: site.Site{Environment: "dev"}, err: cli.UsageError{Err: broken}}, 130, "Stopped.\nError: broken"},
	} {
		code, message := outcome(test.err)
		assert.Equal(t, test.code, code, "%v", test.err)
		assert.Equal(t, test.message, message)
	}
}

// The side of a pseudo-terminal that a terminal emulator holds is a terminal, too.
func TestUnit_OnlyATerminalWhoseUserWantsColoursHasThem(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	defer terminal.Close()
	file, err := os.Create(t.TempDir() + "/report")
	require.NoError(t, err)
	defer file.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	assert.True(t, inColour(terminal))
	assert.False(t, inColour(file))
	t.Setenv("NO_COLOR", "1")
	assert.False(t, inColour(terminal))
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	assert.False(t, inColour(terminal))
}
