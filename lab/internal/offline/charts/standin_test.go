package charts_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/offline/charts"
)

func TestUnit_AStandInHasTheVersionThatIsPinnedAndSaysWhatItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "Chart.yaml")
	require.NoError(t, os.WriteFile(file, []byte("appVersion: v3.2.11\nname: argo-cd\nversion: 0.0.0+3.2.11\n"), 0o600))
	for _, test := range []struct{ pinned, want string }{
		{"10.1.1", "10.1.1+stand-in.3.2.11"},
		{"10.1.1", "10.1.1+stand-in.3.2.11"},
		{"10.2.0", "10.2.0+stand-in.3.2.11"},
		{">= 10.1.0", "10.2.0+stand-in.3.2.11"},
	} {
		version, err := charts.StandInFor(test.pinned, dir)
		require.NoError(t, err)
		assert.Equal(t, test.want, version, test.pinned)
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, "appVersion: v3.2.11\nname: argo-cd\nversion: "+test.want+"\n", string(content), "Helm reads it from there")
	}
}
