package engine

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
)

// The inputs of a release are spelled by hand; this is the provider's own word for them, from the version that the lab runs.
func TestEngine_TheListOfAReleasesInputsIsTheProviders(t *testing.T) {
	t.Parallel()
	resolver := toolchain.Resolver{ToolsDir: filepath.Join(repository, "tools")}
	version, err := resolver.Version(toolchain.PulumiKubernetes)
	require.NoError(t, err)
	dir, err := resolver.ModuleDir(t.Context(), toolchain.PulumiKubernetes, "github.com/pulumi/pulumi-kubernetes/provider/v4")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "cmd", toolchain.PulumiKubernetes, "schema.json"))
	require.NoError(t, err)
	var schema struct {
		Resources map[string]struct {
			InputProperties map[string]json.RawMessage `json:"inputProperties"`
		} `json:"resources"`
	}
	require.NoError(t, json.Unmarshal(text, &schema))

	list, err := os.ReadFile(filepath.Join(repository, "bootstrap", "helm", "testdata", "release-inputs-"+version+".txt"))
	require.NoError(t, err)
	assert.Equal(t, slices.Sorted(maps.Keys(schema.Resources[helm.ReleaseToken].InputProperties)), strings.Fields(string(list)))
}
