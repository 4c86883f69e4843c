package world

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_TheCatalogueIsTheUsersButForPrometheus(t *testing.T) {
	t.Parallel()
	off := map[string]any{"name": "prometheus", "enabled": false}
	for catalogue, want := range map[string][]map[string]any{
		"":   {off},
		"[]": {off},
		`[{"name": "reports", "path": "applications/reports"}, {"name": "prometheus", "chart": {"version": "1.2.3"}}]`: {
			{"name": "reports", "path": "applications/reports"}, off,
		},
	} {
		entries, err := withoutPrometheus(catalogue)
		require.NoError(t, err)
		assert.Equal(t, want, entries)
	}
	_, err := withoutPrometheus("{")
	require.ErrorContains(t, err, "gridos-apps:applications")
}

func TestUnit_ACommitIsFollowedOnABranch(t *testing.T) {
	t.Parallel()
	for revision, branch := range map[string]string{
		"main": "main", "release/2": "release/2", "v1.2.3": "v1.2.3", "develop": "develop",
		"0123456789abcdef0123456789abcdef01234567": "main", "1234e56": "main",
	} {
		assert.Equal(t, branch, branchFor(revision), revision)
	}
}
