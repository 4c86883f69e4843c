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
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

// providerSchema has the parts of the schema that the tests compare.
type providerSchema struct {
	Resources map[string]struct {
		InputProperties map[string]json.RawMessage `json:"inputProperties"`
	} `json:"resources"`
	Types map[string]struct {
		Properties map[string]json.RawMessage `json:"properties"`
	} `json:"types"`
}

// readSchema returns the schema of the Kubernetes provider, and the version, that the lab runs.
func readSchema(t *testing.T) (providerSchema, string) {
	t.Helper()
	resolver := toolchain.Resolver{ToolsDir: filepath.Join(repository, "tools")}
	version, err := resolver.Version(toolchain.PulumiKubernetes)
	require.NoError(t, err)
	dir, err := resolver.ModuleDir(t.Context(), toolchain.PulumiKubernetes, "github.com/pulumi/pulumi-kubernetes/provider/v4")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "cmd", toolchain.PulumiKubernetes, "schema.json"))
	require.NoError(t, err)
	var schema providerSchema
	require.NoError(t, json.Unmarshal(text, &schema))
	return schema, version
}

// The inputs of a release are written by hand; here they are compared with the provider's own
// schema.
func TestEngine_TheListOfAReleasesInputsIsTheProviders(t *testing.T) {
	t.Parallel()
	schema, version := readSchema(t)
	list, err := os.ReadFile(filepath.Join(repository, "bootstrap", "helm", "testdata", "release-inputs-"+version+".txt"))
	require.NoError(t, err)
	assert.Equal(t, slices.Sorted(maps.Keys(schema.Resources[helm.ReleaseToken].InputProperties)), strings.Fields(string(list)))
}

// The tokens and fields of objects are compared as well.
func TestEngine_TheFieldsOfObjectsAreTheProviders(t *testing.T) {
	t.Parallel()
	schema, _ := readSchema(t)
	for token, fields := range map[string][]string{
		object.NamespaceToken: nil,
		object.SecretToken:    {"stringData"},
		object.ServiceToken:   {"spec"},
	} {
		require.Contains(t, schema.Resources, token)
		for _, field := range append(fields, "apiVersion", "kind", "metadata") {
			assert.Contains(t, schema.Resources[token].InputProperties, field, token)
		}
	}
	for token, fields := range map[string][]string{
		"kubernetes:meta/v1:ObjectMeta":  {"name", "namespace", "labels", "annotations", "finalizers"},
		"kubernetes:core/v1:ServiceSpec": {"type", "selector", "externalTrafficPolicy", "ports"},
		"kubernetes:core/v1:ServicePort": {"name", "protocol", "port", "targetPort"},
	} {
		for _, field := range fields {
			assert.Contains(t, schema.Types[token].Properties, field, token)
		}
	}
}
