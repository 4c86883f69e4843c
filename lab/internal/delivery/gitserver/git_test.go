package gitserver

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnit_AnOldGitIsRefusedByItsVersion(t *testing.T) {
	t.Parallel()
	for _, said := range []string{
		"git version 2.31.0", "git version 2.47.3", "git version 3.0.0", "git version 2.39.5 (Apple Git-154)", "git version 2.45.1.windows.1", "git",
	} {
		require.NoError(t, checkVersion(said), said)
	}
	for _, said := range []string{"git version 2.30.2", "git version 1.8.3.1", "git version 2.17"} {
		require.ErrorContains(t, checkVersion(said), "is too old for the lab; install 2.31.0 or newer", said)
	}
}
