package checks_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/checks"
)

var update = flag.Bool("update", false, "write the table that the workflows have now")

const checkout = "../../.."

func TestUnit_EveryRequiredCheckDoesItsWorkOrIsNotGreen(t *testing.T) {
	t.Parallel()
	repository, err := checks.Load(checkout)
	require.NoError(t, err)
	require.NoError(t, repository.Check(t.Context()))
	rows, err := repository.Table(t.Context())
	require.NoError(t, err)
	var table strings.Builder
	for _, row := range rows {
		table.WriteString(row.String())
	}
	const golden = "testdata/table.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(table.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), table.String(), "what the checks end as has changed; look at it, and run this test with -update")
}

// Workflows that this repository had, and mistakes that are easily made, each by a change of the
// good ones.
func TestUnit_AGreenCheckWithoutItsWorkIsFound(t *testing.T) {
	t.Parallel()
	const always = "    if: always() # GitHub takes a required check that is skipped for one that is green\n"
	for name, test := range map[string]struct{ old, made, want string }{
		"as it is": {"", "", ""},
		"guard unless a preview was cancelled": {
			always, "    if: always() && needs.preview.result != 'cancelled'\n",
			"required check guard: ends green (skipped)",
		},
		"guard unless the run is cancelled": {always, "    if: ${{ !cancelled() }}\n", "required check guard: ends green (skipped)"},
		"guard unless it is cancelled, for pull requests": {
			always, "    if: ${{ !cancelled() && github.event_name == 'pull_request' }}\n", "required check guard: ends green (skipped)",
		},
		"guard when all went well": {always, "", "required check guard: ends green (skipped)"},
		"guard that does not look at results": {
			`        run: test "$LAB" = success && { test "$AZURE" = success || test "$AZURE_WANTED" = false; }`, "        run: echo \"$LAB\"",
			`required check guard: ends green (success) although "bin/lab diff" was not done`,
		},
		"guard that allows what was cancelled": {`test "$LAB" = success &&`, `test "$LAB" != failure &&`, "required check guard: ends green (success)"},
		"previews that may fail":               {"  preview:\n", "  preview:\n    continue-on-error: true\n", "required check guard: ends green (success)"},
		"a step that may fail":                 {"      - run: .ci/run\n", "      - run: .ci/run\n        continue-on-error: true\n", `required check lab: ends green (success) although ".ci/run"`},
		"work for some branches":               {"      - run: .ci/run\n        if: steps", "      - run: .ci/run\n        if: vars.LAB == 'true' && steps", "required check lab: ends green (success)"},
		"a job for some branches":              {"  lab:\n", "  lab:\n    if: github.event_name == 'pull_request'\n", "required check lab: ends green (skipped)"},
		"a job that leaves drafts out":         {"  lab:\n", "  lab:\n    if: ${{ !github.event.pull_request.draft }}\n", "required check lab: ends green (skipped)"},
		"work that leaves drafts out":          {"      - run: .ci/run\n        if: steps", "      - run: .ci/run\n        if: github.event.pull_request.draft != true && steps", "required check lab: ends green (success) although \".ci/run\" was not done: a draft"},
		"a job that waits for another":         {"  lab:\n", "  lab:\n    needs: check\n", "required check lab: ends green (skipped)"},
		"nothing for a merge queue":            {"  merge_group:\n", "", "required check check: is never reported for: a merge group"},
		"nothing for other paths":              {"  merge_group:\n", "    paths: [infra/**]\n  merge_group:\n", "required check check: is never reported for: a pull request of the service"},
		"nothing for a branch":                 {"  merge_group:\n", "    branches: [develop]\n  merge_group:\n", "required check check: is never reported"},
		"a name of its own":                    {"  guard:\n", "  guard:\n    name: the guard\n", "required check guard: is never reported"},
		"a matrix":                             {"  lab:\n", "  lab:\n    strategy: {matrix: {on: [a, b]}}\n", "required check lab: is never reported"},
		"guard that takes any skipped preview": {
			`test "$AZURE_WANTED" = false`, `test "$AZURE" = skipped`, `required check guard: ends green (success) although "bin/pipeline preview" was not done`,
		},
		"red by itself": {`test "$AZURE_WANTED" = false`, `test "$AZURE" = failure`, "required check guard: ends as failure for: a pull request from a branch"},
		"a base that is not asked for": {
			"        if: github.event_name == 'pull_request'\n", "        if: github.event_name == 'push'\n", `required check guard: ends green (success) although ".base.ref"`,
		},
		"work that is gone": {"      - run: make test-unit manifests\n", "", `required check check: ends green (success) although "make test-unit manifests"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyOf(t, test.old, test.made)
			repository, err := checks.Load(dir)
			require.NoError(t, err)
			err = repository.Check(t.Context())
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

// The workflow of pull requests as it was: guard could be skipped, and a merge queue would have
// waited for ever.
func TestUnit_TheOldWorkflowFails(t *testing.T) {
	t.Parallel()
	dir := copyOf(t, "", "")
	old, err := os.ReadFile("testdata/old-infra-test.yml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".github", "workflows", "infra-test.yml"), old, 0o600))
	repository, err := checks.Load(dir)
	require.NoError(t, err)
	err = repository.Check(t.Context())
	require.ErrorContains(t, err, "required check guard: ends green (skipped)")
	require.ErrorContains(t, err, "is never reported for: a merge group")
}

// Two workflows may report a check of the same name, and a workflow may have an expression that
// cannot be evaluated.
func TestUnit_AnotherWorkflowIsPlayedToo(t *testing.T) {
	t.Parallel()
	const job = "on: pull_request\njobs:\n  %s:\n    runs-on: ubuntu-latest\n    steps: [{run: make, if: %s}]\n"
	for says, text := range map[string]string{
		"required check check: is reported by two workflows for: a pull request from a branch; GitHub takes either": fmt.Sprintf(job, "check", "always()"),
		"another.yml: job other: step 1: ": fmt.Sprintf(job, "other", "vars."),
	} {
		dir := copyOf(t, "", "")
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".github", "workflows", "another.yml"), []byte(text), 0o600))
		repository, err := checks.Load(dir)
		require.NoError(t, err)
		require.ErrorContains(t, repository.Check(t.Context()), says)
		if strings.HasPrefix(says, "another.yml") {
			rows, err := repository.Table(t.Context())
			require.ErrorContains(t, err, says)
			assert.Empty(t, rows)
		}
	}
}

func TestUnit_AWorkflowWithOneMistakeIsNotRead(t *testing.T) {
	t.Parallel()
	dir := copyOf(t, "", "")
	const text = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: []\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".github", "workflows", "mistaken.yml"), []byte(text), 0o600))
	_, err := checks.Load(dir)
	require.ErrorContains(t, err, "mistaken.yml")
}

// copyOf copies the workflows, with one text of infra-test.yml changed.
func copyOf(t *testing.T, old, made string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, ".github"), os.DirFS(filepath.Join(checkout, ".github"))))
	file := filepath.Join(dir, ".github", "workflows", "infra-test.yml")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), old)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), old, made, 1)), 0o600))
	return dir
}

func TestUnit_TheScopeOfAChange(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs(filepath.Join(checkout, ".ci", "scope"))
	require.NoError(t, err)
	for scope, cases := range map[string][][]string{
		"light": {
			{"docs/OPERATIONS.md"},
			{"README.md", "docs/images/a b.png"},
			{"applications/gridos/overlays/prod/kustomization.yaml", "applications/gridos/promoted/prod/x.yaml"},
			{"applications/gridos/base/deployment.yaml", "lab/internal/delivery/manifests/testdata/base.yaml", "lab/internal/delivery/manifests/testdata/dev.diff"},
		},
		"service": {{"src/main.go"}, {"src/go.mod", "docs/service.md", "applications/gridos/base/x.yaml"}},
		"everything": {
			{"infra/main.go"},
			{"docs/docs_test.go"},
			{"docs/support-dates.yaml"},
			{"go.mod"},
			{"Makefile"},
			{".github/workflows/infra-test.yml"},
			{"lab/testdata/README.md"},
			{"new-folder/file"},
			{"new file"},
			{"src/main.go", "policy/x.go"},
			{"infra/Pulumi.prod.yaml", "src/main.go"},
			{"a\nsrc/b"},
			{"lab/internal/delivery/manifests/testdata/fuzz/x"},
			{".ci/scope"},
			{"applications/x.go"},
		},
	} {
		for _, files := range cases {
			t.Run(scope+" "+strings.Join(files, " and "), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				git := func(args ...string) {
					t.Helper()
					command := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b.example"}, args...)...)
					command.Dir = dir
					out, err := command.CombinedOutput()
					require.NoError(t, err, string(out))
				}
				git("init", "-q")
				git("commit", "-q", "--allow-empty", "-m", "base")
				for _, file := range files {
					path := filepath.Join(dir, file)
					require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
					require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
				}
				git("add", ".")
				git("commit", "-q", "-m", "change")
				command := exec.CommandContext(t.Context(), script, "HEAD^1")
				command.Dir = dir
				out, err := command.CombinedOutput()
				require.NoError(t, err, string(out))
				assert.Equal(t, scope+"\n", string(out))
				// A deletion has the same scope as an addition.
				command = exec.CommandContext(t.Context(), script, "HEAD")
				command.Dir = dir
				out, err = command.CombinedOutput()
				require.NoError(t, err, string(out))
				assert.Equal(t, "light\n", string(out), "no change at all")
				git("rm", "-q", "-r", ".")
				git("commit", "-q", "-m", "away")
				command = exec.CommandContext(t.Context(), script, "HEAD^1")
				command.Dir = dir
				out, err = command.CombinedOutput()
				require.NoError(t, err, string(out))
				assert.Equal(t, scope+"\n", string(out))
			})
		}
	}
	command := exec.CommandContext(t.Context(), script, "no-such-commit")
	command.Dir = t.TempDir()
	require.Error(t, command.Run(), "without a base it says nothing")
}
