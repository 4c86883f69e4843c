package rollouts

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
	unknown, err := valuekeys.Unknown(newValues(s), filepath.Join("testdata", "argo-rollouts-"+s.Chart.Version+".keys.txt"))
	require.NoError(t, err)
	assert.Empty(t, unknown)
}

func TestUnit_TheValuesAreThoseOfTheGoldenFile(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile(filepath.Join("testdata", "values.yaml"))
	require.NoError(t, err)
	text, err := yaml.Marshal(newValues(defaults(t)))
	require.NoError(t, err)
	assert.YAMLEq(t, string(golden), string(text))
}

func TestUnit_OneControllerAloneCanBeMoved(t *testing.T) {
	t.Parallel()
	s := defaults(t)
	s.Replicas = 1
	assert.False(t, newValues(s).Controller.PDB.Enabled, "a budget of one out of one would hold its node for ever")
}
