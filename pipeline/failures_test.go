package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/cli"
)

// A step of a workflow is green when its command ends with 0: no command does so unless it has done
// its work.
func TestUnit_ACommandThatDidNotDoItsWorkFails(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message": "not today"}`, http.StatusForbidden)
	}))
	t.Cleanup(broken.Close)
	t.Setenv("GITHUB_TOKEN", "a token")
	t.Setenv("GITHUB_REPOSITORY", "gridos/sharedinfra")
	t.Setenv("GITHUB_API_URL", broken.URL)
	report := write(t, "dev.json", `{"environment": "dev", "projects": [{"name": "gridos-infra"}]}`)
	t.Chdir(t.TempDir()) // no checkout
	require.NoError(t, os.MkdirAll(filepath.Join(".github", "workflows"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(".github", "workflows", "w.yml"), []byte("on: push\njobs: {}\npermissions: write-all\n"), 0o600))
	image := []string{"--image", "devgridosacr.azurecr.io/gridos", "--tag"}
	for _, test := range []struct {
		code int
		args []string
	}{
		{cli.Failed, []string{"workflows"}},
		{cli.Failed, []string{"comment", "--head-sha", "0123456789abcdef0123456789abcdef01234567", "--head-repository", "gridos/sharedinfra", report}},
		{cli.Failed, []string{"drift-issue", "--expect", "dev", report}},
		{cli.Failed, []string{"drift-issue", "--expect", "dev", write(t, "broken.json", "{")}},
		{cli.Mistake, append([]string{"release", "--environment", "dev"}, append(image, "dev-abc1234")...)},
		{cli.Mistake, append([]string{"release", "--environment", "dev"}, append(image, "prod-abc1234")...)},
		{cli.Mistake, append([]string{"promote", "--check", "--from", "dev", "--to", "test"}, append(image, "test-abc1234")...)},
		{cli.Mistake, append([]string{"promote", "--from", "dev", "--to", "test"}, append(image, "test-abc1234")...)},
		{cli.Mistake, []string{"preview", "-s", "dev"}},
		{cli.Mistake, []string{"preflight", "-s", "dev"}},
	} {
		code, output := runs(t, test.args...)
		assert.Equal(t, test.code, code, "%v: %s", test.args, output)
		assert.NotEmpty(t, output, "%v", test.args)
	}
	_, output := runs(t, append([]string{"release", "--environment", "dev"}, append(image, "prod-abc1234")...)...)
	assert.Contains(t, output, `--tag "prod-abc1234" is no tag of the environment dev`)
}

// A command ends with the exit code of the worst entry in its report.
func TestUnit_AReportEndsWithTheWorstThatItHas(t *testing.T) {
	t.Parallel()
	of := func(projects ...changes.Project) changes.Report {
		return changes.Report{Environment: "dev", Projects: projects}
	}
	all := []changes.Change{{Op: changes.Update, Level: changes.Plain}, {Op: changes.Delete, Level: changes.Dangerous}}
	require.NoError(t, outcome(of(changes.Project{Name: "p", Same: 1})))
	assert.Equal(t, verdict(exitChanges), outcome(of(changes.Project{Name: "p", Changes: all[:1]})))
	assert.Equal(t, verdict(exitDangerous), outcome(of(changes.Project{Name: "p", Changes: all[1:]})))
	assert.Equal(t, verdict(exitDangerous), outcome(of(changes.Project{Name: "p", Changes: all})))
	err := outcome(of(changes.Project{Name: "p", Changes: all}, changes.Project{Name: "q", Error: "no stack"}))
	require.Error(t, err)
	assert.NotErrorAs(t, err, new(verdict))
}
