package plugins_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"

	"github.com/gridos/sharedinfra/plugins"
)

func TestUnit_PluginsAreThoseOfTheSDKs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	file, err := modfile.Parse("go.mod", text, nil)
	require.NoError(t, err)
	versions := map[string]string{}
	for _, r := range file.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	assert.Equal(t, "v"+plugins.AzureNative, versions["github.com/pulumi/pulumi-azure-native-sdk/v2"])
	assert.Equal(t, "v"+plugins.Kubernetes, versions["github.com/pulumi/pulumi-kubernetes/sdk/v4"])
	assert.Equal(t, "v"+plugins.Random, versions["github.com/pulumi/pulumi-random/sdk/v4"])
}
