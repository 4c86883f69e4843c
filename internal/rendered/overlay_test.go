package rendered_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/rendered"
)

// The application's own manifests, and an edit of them.
func TestUnit_AnEditOfTheApplicationDiffersInExactlyTheseObjects(t *testing.T) {
	t.Parallel()
	const overlays = "gridos/overlays/"
	for name, test := range map[string]struct {
		file, old, new string
		dev, prod      []string
	}{
		"a budget goes": {
			"gridos/base/kustomization.yaml", "- disruption-budget.yaml\n", "",
			[]string{"risky delete PodDisruptionBudget gridos/gridos"},
			nil,
		},
		"an image in one environment": {
			overlays + "dev/kustomization.yaml", "newTag: dev-0000000", "newTag: dev-abcdefa",
			[]string{
				"plain update CronJob gridos/gridos-migrate", "plain update CronJob gridos/gridos-smoke",
				"plain update Rollout gridos/gridos",
			},
			nil,
		},
		"fewer pods in another": {
			overlays + "prod/kustomization.yaml", "value: 5\n", "value: 2\n",
			nil,
			[]string{"risky update HorizontalPodAutoscaler gridos/gridos"},
		},
		"a comment": {"gridos/base/service.yaml", "# The two ends", "# Both ends", nil, nil},
	} {
		root := t.TempDir()
		require.NoError(t, os.CopyFS(root, os.DirFS(filepath.Join("..", "..", "applications"))))
		file := filepath.Join(root, filepath.FromSlash(test.file))
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(content), test.old), name)
		require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(content), test.old, test.new, 1)), 0o600))
		for environment, want := range map[string][]string{"dev": test.dev, "prod": test.prod} {
			was, err := rendered.Overlay(filepath.Join("..", "..", "applications", overlays, environment))
			require.NoError(t, err)
			require.Greater(t, len(was), 10)
			is, err := rendered.Overlay(filepath.Join(root, overlays, environment))
			require.NoError(t, err)
			assert.Equal(t, want, told(rendered.Compare(was, is, "")), "%s, %s", name, environment)
		}
	}
	_, err := rendered.Overlay(t.TempDir())
	require.ErrorContains(t, err, "kustomization")
}
