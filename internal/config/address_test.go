package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
)

func TestUnit_AnAddressCarriesNoCredentials(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"https://github.com/o/r.git", "https://org@dev.azure.com/org/project/_git/r", "git@github.com:o/r.git",
		"ssh://git@github.com/o/r.git", "charts", "oci://registry.example.com/charts", "https://example.com/a:b@c",
	} {
		require.NoError(t, config.CheckPublic(address), address)
	}
	for _, address := range []string{
		"https://x-access-token:hunter2@github.com/o/r.git", "https://:hunter2@example.com/r", "http://a:hunter2@b@example.com",
		"https://ghp_hunter2@github.com/o/r.git", "https://github_pat_hunter2@github.com/o/r.git", "https://glpat-hunter2@gitlab.com/o/r",
		"oci://user:hunter2@registry.example.com/charts", "ssh://git:hunter2@example.com/r.git",
	} {
		err := config.CheckPublic(address)
		require.Error(t, err, address)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}
