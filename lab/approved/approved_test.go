package approved_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// checkout is a repository with the four projects; their stacks are in a backend of files. More
// tools than the engine may be on its PATH.
type checkout struct {
	t                       *testing.T
	dir, journal, said, out string
	variables               []string
}

func newCheckout(t *testing.T, more ...string) *checkout {
	t.Helper()
	tools, err := filepath.Abs("../../tools")
	require.NoError(t, err)
	resolver := toolchain.Resolver{ToolsDir: tools}
	paths, err := resolver.Resolve(t.Context(), append(more, toolchain.Pulumi)...)
	require.NoError(t, err)
	bin, self := t.TempDir(), os.Args[0]
	if !filepath.IsAbs(self) {
		self, err = filepath.Abs(self)
		require.NoError(t, err)
	}
	require.NoError(t, os.Symlink(self, filepath.Join(bin, language)))
	require.NoError(t, os.Symlink(self, filepath.Join(bin, provider)))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "pipeline"), "github.com/gridos/sharedinfra/pipeline")
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))

	c := &checkout{t: t, dir: t.TempDir()}
	scratch := t.TempDir()
	c.journal, c.out = filepath.Join(scratch, "journal"), filepath.Join(scratch, "outputs")
	c.variables = append(os.Environ(),
		"PATH="+strings.Join(append([]string{bin}, append(paths.Dirs(), os.Getenv("PATH"))...), string(os.PathListSeparator)),
		"PULUMI_BACKEND_URL=file://"+t.TempDir(), "PULUMI_CONFIG_PASSPHRASE=of a test", "PULUMI_HOME="+t.TempDir(),
		"PULUMI_SKIP_UPDATE_CHECK=true", "GRPC_ENABLE_TXT_SERVICE_CONFIG=false", // as in site.Site.Variables
		"GIT_CONFIG_GLOBAL=/dev/null", journal+"="+c.journal, "GITHUB_OUTPUT="+c.out,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	c.must("git init -q")
	for _, p := range stacks.Projects() {
		require.NoError(t, os.MkdirAll(filepath.Join(c.dir, p.Directory), 0o700))
		c.write(p, "Pulumi.yaml", "name: "+p.Name+"\nruntime: drill\n")
		c.must("pulumi -C " + p.Directory + " stack init --non-interactive dev")
	}
	return c
}

func (c *checkout) write(p stacks.Project, name, text string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(filepath.Join(c.dir, p.Directory, name), []byte(text), 0o600))
}

// want lets a project's program do something else.
func (c *checkout) want(p stacks.Project, what desired) {
	c.t.Helper()
	text, err := json.Marshal(what)
	require.NoError(c.t, err)
	c.write(p, "desired.json", string(text))
}

// sh runs a script in the checkout.
func (c *checkout) sh(script string) (said string, code int) {
	c.t.Helper()
	command := exec.CommandContext(c.t.Context(), "bash", "-c", script)
	command.Dir, command.Env = c.dir, c.variables
	output, err := command.CombinedOutput()
	if err != nil {
		require.ErrorAs(c.t, err, new(*exec.ExitError))
	}
	c.said += string(output)
	c.t.Logf("$ %s\n%s", script, output)
	return string(output), command.ProcessState.ExitCode()
}

func (c *checkout) must(script string) {
	c.t.Helper()
	said, code := c.sh(script)
	require.Zero(c.t, code, said)
}

// plan commits and plans. It returns the digest, as a job hands it to the next.
func (c *checkout) plan() string {
	c.t.Helper()
	require.NoError(c.t, os.RemoveAll(c.out))
	c.must("git add -A && git commit -q --allow-empty -m change && pipeline plan -s dev --out " + c.out + ".json")
	planned, err := os.ReadFile(c.out + ".json")
	require.NoError(c.t, err)
	c.said += string(planned)
	text, err := os.ReadFile(c.out)
	require.NoError(c.t, err)
	digest, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "digest=")
	require.True(c.t, ok, string(text))
	return digest
}

func (c *checkout) deploy(digest string) (said string, code int) {
	c.t.Helper()
	return c.sh("pipeline deploy -s dev --plan " + c.out + ".json --digest " + digest)
}

// done returns what the provider has done since it was asked the last time.
func (c *checkout) done() []string {
	c.t.Helper()
	text, err := os.ReadFile(c.journal)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(c.t, err)
	require.NoError(c.t, os.Remove(c.journal))
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// A user's environment goes through its deployments, from nothing on.
func TestEngine_WhatIsApprovedIsWhatRuns(t *testing.T) {
	c := newCheckout(t)
	const secret = "a-secret-that-is-nowhere"
	for _, p := range stacks.Projects() {
		c.want(p, desired{Value: "one", Secret: secret + p.Name})
	}

	digest := c.plan()
	assert.Empty(t, c.done(), "a plan does nothing")
	_, code := c.deploy(digest)
	require.Zero(t, code)
	assert.ElementsMatch(t, []string{
		"create gridos-infra first", "create gridos-infra second", "create gridos-bootstrap first", "create gridos-bootstrap reader",
		"create gridos-apps first", "create gridos first",
	}, c.done())

	// The values that a later stack reads are not known yet. The plan says so, and they turn out
	// harmless.
	c.want(stacks.Infra, desired{Value: "two", Secret: secret + "two"})
	digest = c.plan()
	text, err := os.ReadFile(c.out + ".json")
	require.NoError(t, err)
	assert.Contains(t, string(text), "gridos-bootstrap::drill:index:Thing::reader")
	_, code = c.deploy(digest)
	require.Zero(t, code)
	assert.ElementsMatch(t, []string{
		"update gridos-infra first", "update gridos-infra second", "update gridos-bootstrap reader",
	}, c.done())

	// Another user has updated one of the later stacks since the plan was made.
	c.want(stacks.Infra, desired{Value: "three"})
	c.want(stacks.Apps, desired{Value: "three"})
	digest = c.plan()
	c.want(stacks.Apps, desired{Value: "by hand"})
	c.must("pulumi -C apps up -s dev --yes --skip-preview")
	c.must("git checkout -q apps")
	c.done()
	said, code := c.deploy(digest)
	assert.Equal(t, 7, code)
	assert.Contains(t, said, "value has another value now than when the plan was made")
	assert.Empty(t, c.done(), "nothing was touched")

	// The plan is of another commit, it is not the plan that was approved, or the working tree is
	// not that of the commit.
	_, code = c.deploy(strings.Repeat("0", 64))
	assert.Equal(t, 7, code)
	c.want(stacks.Apps, desired{Value: "not committed"})
	said, code = c.deploy(digest)
	assert.Equal(t, 1, code)
	assert.Contains(t, said, "apps/desired.json differs from commit")
	c.must("git checkout -q apps && git commit -q --allow-empty -m another")
	said, code = c.deploy(digest)
	assert.Equal(t, 7, code)
	assert.Contains(t, said, "the plan is of commit")
	assert.Empty(t, c.done(), "nothing was touched")

	// A value that becomes known while the stack is updated would replace a resource. The engine is
	// held to the plan, and the plan has no replacement.
	c.want(stacks.Infra, desired{Value: "four", Moves: true})
	digest = c.plan()
	said, code = c.deploy(digest)
	assert.NotZero(t, code)
	assert.Contains(t, said, "is not allowed by the plan")
	assert.Equal(t, []string{"update gridos-infra first"}, c.done())
	// Now the value is known, so the next plan has the replacement.
	_, code = c.deploy(c.plan())
	assert.Zero(t, code)
	assert.ElementsMatch(t, []string{
		"create gridos-infra second", "delete gridos-infra second", "update gridos-bootstrap reader", "update gridos-apps first",
	}, c.done())

	// A run that is started again has an older commit.
	said, code = c.sh("git checkout -q HEAD^ && pipeline plan -s dev --out old.json")
	assert.Equal(t, 1, code)
	assert.Contains(t, said, "was deployed already, and is newer than commit")

	assert.NotContains(t, c.said, secret, "neither a plan nor a log has a secret")
}
