package workflows_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

func TestUnit_EveryMistakeIsFound(t *testing.T) {
	t.Parallel()
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
	require.NoError(t, workflows.Check(filepath.Join("..", "..", "..")))
}
