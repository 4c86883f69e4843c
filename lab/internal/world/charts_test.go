package world

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/lab/proofs/scratch"
	"github.com/gridos/sharedinfra/stacks"
)

// checkout makes a checkout with only the files that the lab reads, and returns an environment in
// it.
func checkout(t *testing.T, environment string) site.Site {
	t.Helper()
	repository, err := filepath.Abs("../../..")
	require.NoError(t, err)
	s, err := scratch.Copy(repository, t.TempDir(), environment)
	require.NoError(t, err)
	return s
}

// chartsOf returns the machine of a prod environment whose bootstrap is configured with values, in
// a checkout that is not up.
func chartsOf(t *testing.T, values map[string]any) *machine {
	t.Helper()
	s := checkout(t, "prod")
	values["gridos-bootstrap:notificationsRecipients"] = []string{"teams"} // prod has one
	text, err := yaml.Marshal(map[string]any{"config": values})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(projectfile.StackFile(s.ProjectDir(stacks.Bootstrap.Directory), s.Environment), text, 0o600))
	require.NoError(t, s.Prepare())
	return &machine{site: s}
}

func TestUnit_ChartsOfARepositoryThatAnsweredOnceAreNotReplaced(t *testing.T) {
	t.Setenv(toolchain.EnvOffline, "")
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := fmt.Fprintln(w, "apiVersion: v1")
		assert.NoError(t, err)
	}))
	m := chartsOf(t, map[string]any{
		"gridos-bootstrap:chartRepository": repository.URL, "gridos-bootstrap:externalSecretsChartRepository": repository.URL,
	})
	// A lab that is killed while it decides leaves this folder.
	unfinished := filepath.Join(m.site.ChartsDir(), "chartRepository.unfinished")
	require.NoError(t, os.MkdirAll(filepath.Join(unfinished, "argo-cd"), 0o700))
	overrides, err := m.charts(t.Context())
	require.NoError(t, err)
	assert.Empty(t, overrides)
	require.NoError(t, sameCharts(t.Context(), m.site))

	repository.Close()
	overrides, err = m.charts(t.Context())
	require.NoError(t, err)
	assert.Empty(t, overrides)
	assert.NoDirExists(t, unfinished)
	// A diff makes its base again, as a new environment would be.
	require.ErrorContains(t, sameCharts(t.Context(), m.site), "answers: true then, false now")
}

func TestUnit_ChartsWithoutARepositoryAreTheUsersOwn(t *testing.T) {
	m := chartsOf(t, map[string]any{
		"gridos-bootstrap:chartRepository":                "",
		"gridos-bootstrap:argocdChart":                    "charts/argo-cd",
		"gridos-bootstrap:argoRolloutsChart":              "oci://registry.example.com/argo-rollouts",
		"gridos-bootstrap:externalSecretsChartRepository": "mirror",
	})
	_, err := m.charts(t.Context())
	path := filepath.Join(m.site.ProjectDir("bootstrap"), "charts", "argo-cd")
	require.ErrorContains(t, err, "gridos-bootstrap:argocdChart: there is no chart "+path)

	require.NoError(t, os.MkdirAll(path, 0o700))
	overrides, err := m.charts(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"argocdChart":                    path,
		"externalSecretsChartRepository": filepath.Join(m.site.ProjectDir("bootstrap"), "mirror"),
	}, overrides, "the engine works elsewhere; nothing else changes")
}
