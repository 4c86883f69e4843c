package workflows_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/checks"
	"github.com/gridos/sharedinfra/pipeline/internal/workflows"
)

const good = `
on: push
permissions:
  contents: read
jobs:
  one:
    runs-on: ubuntu-latest
    timeout-minutes: 5
    concurrency:
      group: dev
      cancel-in-progress: false
    steps:
      - uses: actions/checkout@0123456789012345678901234567890123456789 # v1.2.3
        with:
          persist-credentials: false
      - run: go run ./pipeline deploy -s dev
`

// head is the beginning of good, and signsIn another one: begun by other events, with a job that
// may sign in and has more lines.
const head = "on: push\npermissions:\n  contents: read\njobs:\n  one:\n"

func signsIn(on, lines string) string {
	return strings.Replace(head, "on: push", on, 1) + "    permissions: {contents: read, id-token: write}\n" + lines
}

// required is another head, whose job is a required check with more lines.
func required(lines string) string {
	return strings.NewReplacer("on: push", "on: pull_request", "  one:\n", "  guard:\n"+lines).Replace(head)
}

func TestUnit_EveryMistakeIsFound(t *testing.T) {
	t.Parallel()
	const (
		pin    = "Other/Action@9123456789012345678901234567890123456789"
		signs  = "job one: may sign in (id-token: write) for a pull request"
		hash   = "9123456789012345678901234567890123456789"
		noFork = "    if: github.event.pull_request.head.repo.full_name == github.repository && vars.ON == 'true'\n"
	)
	for name, test := range map[string]struct{ old, made, want string }{
		"none":                {"", "", ""},
		"a tag":               {"@0123456789012345678901234567890123456789 # v1.2.3", "@v1", "line 13: actions/checkout@v1 is not pinned"},
		"no version":          {" # v1.2.3", "", "needs its version behind it"},
		"no permissions":      {"permissions:\n  contents: read\n", "", "needs permissions at the top which only read"},
		"all permissions":     {"permissions:\n  contents: read\n", "permissions: write-all\n", "needs permissions at the top which only read"},
		"writing permissions": {"contents: read", "contents: write", "needs permissions at the top which only read"},
		"an expression":       {"-s dev", "-s ${{ github.head_ref }}", "has ${{ }} in it"},
		"the credential":      {"persist-credentials: false", "fetch-depth: 0", "keeps the credential"},
		"a cancelled update":  {"cancel-in-progress: false", "cancel-in-progress: true", "updates an environment"},
		"no group":            {"    concurrency:\n      group: dev\n      cancel-in-progress: false\n", "", "updates an environment"},
		"rights on any code":  {"on: push", "on: pull_request_target", "pull_request_target"},
		"no timeout":          {"    timeout-minutes: 5\n", "", "has no timeout-minutes"},
		"another pin": {
			"      - run:", "      - uses: Actions/Checkout@9123456789012345678901234567890123456789 # v1.2.4\n      - run:",
			"actions/checkout is pinned differently at .github/workflows/one.yml:13 and .github/workflows/one.yml:16",
		},
		"a tag in braces":            {"      - run:", "      - {uses: a/b@v1}\n      - run:", "line 16: a/b@v1 is not pinned"},
		"a tag in braces, later":     {"      - run:", "      - {name: x, uses: 'a/b@v1', with: {c: d}}\n      - run:", "line 16: a/b@v1 is not pinned"},
		"a tag, and a key in quotes": {"      - run:", "      - \"uses\" : a/b@v1\n      - run:", "line 16: a/b@v1 is not pinned"},
		"a tag on a line of its own": {"      - run:", "      - uses:\n          a/b@v1 # v1\n      - run:", "line 17: a/b@v1 is not pinned"},
		"a workflow's branch":        {"  one:\n", "  two: {uses: a/b/.github/workflows/c.yml@main}\n  one:\n", "line 6: a/b/.github/workflows/c.yml@main is not pinned"},
		"no version behind braces":   {"      - run:", "      - {uses: " + pin + "}\n      - run:", "line 16: Other/Action needs its version behind it"},
		"a version behind braces":    {"      - run:", "      - {uses: " + pin + ", with: {c: d}} # v1.2\n      - run:", ""},
		"a use in a script":          {"- run: go", "- run: |\n          uses: a/b@v1\n          go", ""},

		"a required check":                   {head, required("    if: always()\n    needs: [zero]\n"), ""},
		"a required check in braces":         {head, required("    if: ${{ always() }}\n"), ""},
		"a required check alone":             {head, required(""), ""},
		"a required check that needs others": {head, required("    needs: [zero]\n"), "job guard: is a required check, and can be skipped"},
		"a required check unless cancelled":  {head, required("    if: always() && needs.zero.result != 'cancelled'\n"), "job guard: is a required check"},
		"a required check on success":        {head, required("    if: success()\n    needs: zero\n"), "job guard: is a required check"},
		"a runner of deployments":            {"    runs-on: ubuntu-latest", "    runs-on: ${{ vars.RUNNER_PROD }}", ""},
		"a runner of deployments for pull requests": {
			good, strings.NewReplacer("on: push", "on: pull_request", "ubuntu-latest", "${{ vars.RUNNER_PROD || 'ubuntu-latest' }}").Replace(good),
			"code that is not reviewed runs on vars.RUNNER_PROD",
		},
		"a runner of previews": {
			good, strings.NewReplacer("on: push", "on: pull_request", "ubuntu-latest", "${{ vars.RUNNER_PREVIEW_PROD }}").Replace(good), "",
		},
		"an old base": {
			good, strings.NewReplacer("on: push", "on: pull_request", "ubuntu-latest", "ubuntu-latest # ${{ github.event.pull_request.base.sha }}").Replace(good),
			"may be older than what the pull request is merged with",
		},
		"a cache":                     {"      - run:", "      - uses: actions/cache@" + hash + " # v1\n      - run:", "line 16: writes a cache"},
		"a cache that is saved":       {"      - run:", "      - uses: actions/cache/save@" + hash + " # v1\n      - run:", "line 16: writes a cache"},
		"a cache that is restored":    {"      - run:", "      - uses: actions/cache/restore@" + hash + " # v1\n      - run:", ""},
		"setup-go's cache":            {"      - run:", "      - uses: actions/setup-go@" + hash + " # v1\n      - run:", "line 16: writes a cache"},
		"no cache of setup-go":        {"      - run:", "      - uses: actions/setup-go@" + hash + " # v1\n        with: {cache: false}\n      - run:", ""},
		"a cache by the clock":        {"on: push", "on: {schedule: [{cron: '1 2 * * *'}]}\nname: actions/cache", ""},
		"what is left is not said":    {"      - run:", "      - uses: ./.github/actions/setup\n      - run:", "does not say what it had left"},
		"what is left is said":        {"      - run:", "      - uses: ./.github/actions/setup\n      - run: .ci/space\n        if: always()\n      - run:", ""},
		"what is left of what failed": {"      - run:", "      - uses: ./.github/actions/setup\n      - run: .ci/space\n      - run:", "does not say what it had left"},
		"old labels": {
			good, strings.NewReplacer("on: push", "on: pull_request", "ubuntu-latest", "ubuntu-latest # ${{ github.event.pull_request.labels.*.name }}").Replace(good),
			"are old when a run is started again",
		},

		"a token":                        {head, signsIn("on: push", ""), ""},
		"a token for pull requests":      {head, signsIn("on: pull_request", ""), signs},
		"one of a list of events":        {head, signsIn("on: [push, pull_request]", ""), signs},
		"one of several events":          {head, signsIn("on:\n  push:\n  pull_request:\n    branches: [main]", ""), signs},
		"a key in quotes":                {head, signsIn("\"on\": {pull_request: {}}", ""), signs},
		"a token for reviews":            {head, signsIn("on: pull_request_review", ""), signs},
		"a token for previews":           {head, signsIn("on: pull_request", "    environment: preview\n"+noFork), ""},
		"a token for previews, by name":  {head, signsIn("on: pull_request", "    environment: {name: preview}\n"+noFork), ""},
		"a token for previews of forks":  {head, signsIn("on: pull_request", "    environment: preview\n"), signs},
		"a token for no environment":     {head, signsIn("on: pull_request", noFork), signs},
		"a token for dev":                {head, signsIn("on: pull_request", "    environment: dev\n"+noFork), signs},
		"a token for some environment":   {head, signsIn("on: pull_request", "    environment: ${{ github.head_ref }}\n"+noFork), signs},
		"a condition with an exception":  {head, signsIn("on: pull_request", "    environment: preview\n"+strings.Replace(noFork, "'true'", "'true' || vars.OFF", 1)), signs},
		"another condition":              {head, signsIn("on: pull_request", "    environment: preview\n"+strings.Replace(noFork, "==", "!=", 1)), signs},
		"a condition turned around":      {head, signsIn("on: pull_request", "    environment: preview\n    if: ${{ !(vars.A && github.event.pull_request.head.repo.full_name == github.repository && vars.B) }}\n"), signs},
		"a token for pushes":             {head, signsIn("on: [push, pull_request]", "    environment: dev\n    if: ${{ github.event_name == 'push' }}\n"), ""},
		"a token on develop":             {head, signsIn("on: [push, pull_request, workflow_dispatch]", "    environment: dev\n    if: github.ref == 'refs/heads/develop'\n"), ""},
		"a token for pushes, and others": {head, signsIn("on: [push, pull_request]", "    if: ${{ github.event_name == 'push' || vars.OFF }}\n"), signs},
		"a condition that is a text":     {head, signsIn("on: [push, pull_request]", "    if: ${{ github.ref }} && github.event_name == 'push'\n"), signs},
		"a token of a workflow that a pull request calls": {
			head,
			strings.NewReplacer("push", "pull_request", "  one:", "  two: {uses: ./.github/workflows/two.yml, permissions: {id-token: write}}\n  one:").
				Replace(head),
			"job two: may sign in",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.MkdirAll(filepath.Join(dir, ".github", "workflows"), 0o700))
			require.Contains(t, good, test.old)
			text := strings.Replace(good, test.old, test.made, 1)
			require.NoError(t, os.WriteFile(filepath.Join(dir, ".github", "workflows", "one.yml"), []byte(text), 0o600))
			err := workflows.Check(dir)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "\n", "it is the only one")
		})
	}
}

func TestUnit_TheRepositorysWorkflowsAreSafe(t *testing.T) {
	t.Parallel()
	const repository = "../../.."
	require.NoError(t, workflows.Check(repository))
	document, err := os.ReadFile(filepath.Join(repository, "docs", "INFRA_PIPELINE_SETUP.md"))
	require.NoError(t, err)
	protected := regexp.MustCompile(`"contexts": *\[([^]]*)\]`).FindSubmatch(document)
	require.NotNil(t, protected)
	quoted := []string{}
	for _, job := range checks.Required() {
		quoted = append(quoted, `"`+job+`"`)
	}
	assert.Equal(t, strings.Join(quoted, ", "), string(protected[1]))
}

// Versions that several places pin are the same everywhere: Pulumi's command line and SDK,
// kubelogin, and actionlint as program and library.
func TestUnit_PinsInSeveralPlacesAgree(t *testing.T) {
	t.Parallel()
	const repository = "../../.."
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(repository, name))
		require.NoError(t, err)
		return string(text)
	}
	version := func(module, file string) string {
		found := regexp.MustCompile(regexp.QuoteMeta(module) + ` v([^\s]+)`).FindStringSubmatch(read(file))
		require.NotNil(t, found, "%s: %s", file, module)
		return found[1]
	}
	assert.Equal(t, version("github.com/rhysd/actionlint", "tools/actionlint/go.mod"), version("github.com/rhysd/actionlint", "go.mod"))
	files, err := filepath.Glob(filepath.Join(repository, ".github/workflows/*.yml"))
	require.NoError(t, err)
	pulumi, kubelogin := map[string]bool{}, map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range regexp.MustCompile(`pulumi-version: (\S+)`).FindAllStringSubmatch(string(text), -1) {
			pulumi[found[1]] = true
		}
		for _, found := range regexp.MustCompile(`kubelogin-version: (\S+)`).FindAllStringSubmatch(string(text), -1) {
			kubelogin[found[1]] = true
		}
	}
	assert.Equal(t, map[string]bool{version("github.com/pulumi/pulumi/sdk/v3", "go.mod"): true}, pulumi)
	assert.Len(t, kubelogin, 1)
}

func TestUnit_CodeOwnersOwnWhatIsThere(t *testing.T) {
	t.Parallel()
	const repository = "../../.."
	text, err := os.ReadFile(filepath.Join(repository, ".github", "CODEOWNERS"))
	require.NoError(t, err)
	owned := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(line, "#") {
			require.Len(t, fields, 2, line)
			_, err := os.Stat(filepath.Join(repository, fields[0]))
			require.NoError(t, err)
			owned[fields[0]] = true
		}
	}
	for _, decides := range []string{"/.ci/", "/.github/", "/internal/changes/", "/pipeline/", "/policy/", "/lab/internal/azure/"} {
		assert.True(t, owned[decides], "%s decides what the checks of a pull request say", decides)
	}
}

// A change of any package that a deployment is compiled from begins a deployment.
func TestUnit_EveryPackageOfADeploymentBeginsIt(t *testing.T) {
	t.Parallel()
	const repository = "../../.."
	text, err := os.ReadFile(filepath.Join(repository, ".github", "workflows", "infra-deploy.yml"))
	require.NoError(t, err)
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", ".", "./infra", "./bootstrap", "./apps", "./pipeline")
	list.Dir = repository
	packages, err := list.Output()
	require.NoError(t, err)
	folders := map[string]bool{}
	for line := range strings.Lines(string(packages)) {
		if inside, ok := strings.CutPrefix(strings.TrimSpace(line), "github.com/gridos/sharedinfra/"); ok {
			folder, _, _ := strings.Cut(inside, "/")
			folders[folder] = true
		}
	}
	assert.Greater(t, len(folders), 6)
	delete(folders, "docs") // dates of support, which reports tell: what is deployed does not depend on them
	for folder := range folders {
		assert.Contains(t, string(text), `- "`+folder+`/**"`, "a change of %s deploys nothing; add it to the paths of infra-deploy.yml", folder)
	}
}

func TestUnit_WorkflowsThatCannotBeReadAreNotGood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.ErrorContains(t, workflows.Check(dir), dir+" has no workflows in .github/workflows")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".github", "workflows", "folder.yml"), 0o700))
	require.ErrorContains(t, workflows.Check(dir), "read .github/workflows/folder.yml: is a directory")
}
