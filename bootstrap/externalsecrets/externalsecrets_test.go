package externalsecrets

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/valuekeys"
)

func defaults(t *testing.T) Settings {
	t.Helper()
	r := config.FromMap("p", "prod", nil)
	s := Load(r)
	require.NoError(t, r.Err())
	return s
}

func TestUnit_TheChartKnowsEveryValue(t *testing.T) {
	t.Parallel()
	s := defaults(t)
	unknown, err := valuekeys.Unknown(newValues(s), filepath.Join("testdata", "external-secrets-"+s.Chart.Version+".keys.txt"))
	require.NoError(t, err)
	assert.Empty(t, unknown)
}

func TestUnit_ValuesAndStoreAreThoseOfTheGoldenFiles(t *testing.T) {
	t.Parallel()
	for file, value := range map[string]any{"values.yaml": newValues(defaults(t)), "store.yaml": newStoreSpec(defaults(t))} {
		golden, err := os.ReadFile(filepath.Join("testdata", file))
		require.NoError(t, err)
		text, err := yaml.Marshal(value)
		require.NoError(t, err)
		assert.YAMLEq(t, string(golden), string(text), file)
	}
}

func TestUnit_MistakesAreReportedTogether(t *testing.T) {
	t.Parallel()
	r := config.FromMap("p", "dev", map[string]string{
		"p:secretStoreNamespaces": `["gridos", "*"]`, "p:externalSecretsReplicas": "0", "p:externalSecretsChartRepository": "oci://x",
	})
	Load(r)
	require.ErrorContains(t, r.Err(), `p:secretStoreNamespaces: "*" is no name of a namespace`)
	require.ErrorContains(t, r.Err(), "p:externalSecretsReplicas: 0 is out of range")
	require.ErrorContains(t, r.Err(), "p:externalSecretsChartRepository: oci://x is no chart repository")

	r = config.FromMap("p", "dev", map[string]string{"p:secretStoreNamespaces": `[]`})
	Load(r)
	require.ErrorContains(t, r.Err(), "p:secretStoreNamespaces: is empty", "a store without conditions is open to all")
}
