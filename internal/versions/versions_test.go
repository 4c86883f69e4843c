package versions_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/versions"
)

// go.mod and documents cannot read Go, and the simulated Azure imports nothing of the programs.
func TestUnit_FilesThatCannotReadTheVersionsRepeatThem(t *testing.T) {
	t.Parallel()
	for _, repeated := range []struct{ file, pattern, want string }{
		{"go.mod", `pulumi-azure-native-sdk/v2 v(\S+)`, versions.AzureNative},
		{"go.mod", `pulumi-kubernetes/sdk/v4 v(\S+)`, versions.Kubernetes},
		{"go.mod", `pulumi-random/sdk/v4 v(\S+)`, versions.Random},
		{"lab/internal/azure/arm/provider.go", `providerVersion = "(.*)"`, versions.AzureNative},
		{"docs/configuration.md", "chart `prometheus` ([0-9.]+)", versions.Prometheus.Version},
		{"docs/INFRA_PIPELINE_SETUP.md", `'platformRepositories\[1\]' (\S+)`, versions.Prometheus.Repository},
		{"docs/OPERATIONS.md", `argo-cd-([0-9.]+)\.keys\.txt`, versions.ArgoCD.Version},
		{"README.md", `'platformRepositories\[1\]' (\S+)`, versions.Prometheus.Repository},
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(repeated.file)))
		require.NoError(t, err)
		found := regexp.MustCompile(repeated.pattern).FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, found, "%s has no %s", repeated.file, repeated.pattern)
		for _, f := range found {
			assert.Equal(t, repeated.want, f[1], repeated.file)
		}
	}
}
