package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/checkout/gittest"
	"github.com/gridos/sharedinfra/stacks"
)

// cloud is an environment that the commands deploy to: a checkout, and a Pulumi CLI on PATH. The
// CLI reads what it is to do from files beside it.
type cloud struct {
	t             *testing.T
	dir, checkout string
}

// pulumi answers as the Pulumi CLI does if this process was started as pulumi.
func pulumi() (code int, started bool) {
	if filepath.Base(os.Args[0]) != "pulumi" {
		return 0, false
	}
	program, err := exec.LookPath(os.Args[0])
	if err == nil {
		err = pulumiRuns(filepath.Dir(program), slices.DeleteFunc(os.Args[1:], func(arg string) bool { return arg == "--non-interactive" }))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 255, true
	}
	return 0, true
}

func pulumiRuns(dir string, args []string) error {
	work, err := os.Getwd()
	if err != nil {
		return err
	}
	line := filepath.Base(work) + ": " + strings.Join(args, " ")
	if fault, err := os.ReadFile(filepath.Join(dir, "fault")); err == nil && regexp.MustCompile(string(fault)).MatchString(line) {
		return errors.New("broken on purpose")
	}
	value := func(flag string) string {
		for _, arg := range args {
			if found, ok := strings.CutPrefix(arg, flag+"="); ok {
				return found
			}
		}
		if i := slices.Index(args, flag); i >= 0 {
			return args[i+1]
		}
		return ""
	}
	say := func(name, otherwise string) error {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			text, err = []byte(otherwise), nil
		}
		return errors.Join(err, json.NewEncoder(os.Stdout).Encode(json.RawMessage(text)))
	}
	switch {
	case args[0] == "version":
		fmt.Println("v3.246.0")
		return nil
	case args[0] == "preview", args[0] == "refresh":
		return previewed(value("--event-log"), filepath.Join(dir, "events-"+filepath.Base(work)))
	case args[0] == "config" && args[1] == "set":
		text, err := io.ReadAll(os.Stdin)
		sealed := fmt.Sprintf("config:\n  %s:planKey:\n    secure: %q\n", stacks.Infra.Name, "v1:"+string(text))
		return errors.Join(err, os.WriteFile(value("--config-file"), []byte(sealed), 0o600))
	case args[0] == "config" && args[1] == "get":
		text, err := os.ReadFile(value("--config-file"))
		fmt.Println(regexp.MustCompile(`v1:([\w+/=]+)`).FindStringSubmatch(string(text))[1])
		return err
	case slices.Contains(args, "export"):
		return say("state", `{"version": 3, "deployment": {}}`)
	case slices.Contains(args, "history"):
		return say("history", `[]`)
	case slices.Contains(args, "output"):
		return say("outputs", `{}`)
	default:
		return say("none", `{}`)
	}
}

// previewed sends the events in a file, and then that there are no more.
func previewed(address, file string) error {
	connection, err := grpc.NewClient(strings.TrimPrefix(address, "tcp://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	stream, err := pulumirpc.NewEventsClient(connection).StreamEvents(context.Background())
	if err != nil {
		return err
	}
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text) + `{"summaryEvent": {}}`) {
		if err := stream.Send(&pulumirpc.EventRequest{Event: line}); err != nil {
			return err
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

func (c *cloud) git(args ...string) string {
	c.t.Helper()
	command := exec.CommandContext(c.t.Context(), "git", args...)
	command.Dir = c.checkout
	output, err := command.CombinedOutput()
	require.NoError(c.t, err, "git %v: %s", args, output)
	return strings.TrimSpace(string(output))
}

func (c *cloud) has(name, text string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600))
}

// commit makes a commit, and returns it.
func (c *cloud) commit() string {
	c.git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "-m", "one more")
	return c.git("rev-parse", "HEAD")
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{t: t, dir: t.TempDir(), checkout: t.TempDir()}
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(c.dir, "pulumi")))
	for _, p := range stacks.Projects() {
		work := filepath.Join(c.checkout, p.Directory)
		require.NoError(t, os.MkdirAll(work, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(work, "Pulumi.yaml"), []byte("name: "+p.Name+"\nruntime: go\n"), 0o600))
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("GITHUB_STEP_SUMMARY", "")
	t.Setenv("GITHUB_OUTPUT", "")
	t.Setenv("PATH", c.dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	c.git("init", "--quiet")
	c.git("add", ".")
	t.Chdir(c.checkout)
	return c
}

// step is the event of one step on a resource.
func step(op, typ string) string {
	urn := "urn:pulumi:dev::gridos-infra::" + typ + "::it"
	state := fmt.Sprintf(`{"type": %q, "urn": %q, "custom": true, "inputs": {"a": 1}}`, typ, urn)
	sides := map[string]string{"create": `"new": ` + state, "delete": `"old": ` + state}
	return fmt.Sprintf(`{"resourcePreEvent": {"planning": true, "metadata": {"op": %q, "urn": %q, "type": %q, %s}}}`+"\n", op, urn, typ, sides[op])
}

// The commands of one deployment, as the workflow runs them, and what each of them makes of a
// failure.
func TestUnit_AnEnvironmentIsPreviewedPlannedAndDeployed(t *testing.T) {
	text.EnableColors() // the library has none where standard output is no terminal
	c := newCloud(t)
	c.has("fault", "nothing at all")
	first := stacks.Infra.Directory
	commit := c.commit()

	code, said := runs(t, "preview", "-s", "dev")
	require.Zero(t, code, said)
	code, said = runs(t, "drift", "-s", "dev", "--json")
	require.Zero(t, code, said)
	assert.Contains(t, said, `"drift": true`)
	c.has("events-"+first, step("create", "kubernetes:core/v1:ConfigMap"))
	code, said = runs(t, "preview", "-s", "dev", "--json")
	assert.Equal(t, exitChanges, code, said)
	assert.Contains(t, said, `"op": "create"`)
	deafly(t, "preview", "-s", "dev")
	deafly(t, "preview", "-s", "dev", "--json")
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	assert.Equal(t, cli.Interrupted, run(interrupted, newCommand(), []string{"preview", "-s", "dev"}))
	c.has("fault", ": preview")
	code, said = runs(t, "preview", "-s", "dev")
	assert.Equal(t, cli.Failed, code, said)
	code, said = runs(t, "plan", "-s", "dev")
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, "there is no plan, because not everything could be previewed: ")
	assert.NoFileExists(t, "plan.json")
	for fault, says := range map[string]string{
		"config set":          "seal the plan's key with the secrets provider of gridos-infra/dev",
		"infra: .*history":    "ask which commit dev was last updated from",
		"infra: stack select": "gridos-infra/dev: ",
	} {
		c.has("fault", fault)
		code, said = runs(t, "plan", "-s", "dev")
		assert.Equal(t, cli.Failed, code, fault)
		assert.Contains(t, said, says, fault)
	}
	c.has("fault", "nothing at all")

	c.has("events-"+first, step("delete", "azure-native:keyvault:Vault"))
	code, said = runs(t, "plan", "-s", "dev", "--out", filepath.Join("none", "plan.json"))
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, "write the plan: ")
	assert.Contains(t, said, "dangerous  delete   Vault it")
	assert.NotContains(t, said, "\x1b", "a log of a workflow has no colours")
	outputs, summaries := filepath.Join(c.dir, "outputs.txt"), filepath.Join(c.dir, "summary.md")
	for variable, says := range map[string]string{"GITHUB_OUTPUT": "open the step's outputs", "GITHUB_STEP_SUMMARY": "open the job's summary"} {
		t.Setenv(variable, filepath.Join("none", "file"))
		code, said = runs(t, "plan", "-s", "dev", "--out", filepath.Join(c.dir, "plan.json"))
		assert.Equal(t, cli.Failed, code)
		assert.Contains(t, said, says)
		t.Setenv(variable, "")
	}
	t.Setenv("GITHUB_OUTPUT", outputs)
	t.Setenv("GITHUB_STEP_SUMMARY", summaries)
	file := filepath.Join(c.dir, "plan.json")
	code, said = runs(t, "plan", "-s", "dev", "--out", file)
	require.Zero(t, code, said)
	digest := regexp.MustCompile("^digest=([0-9a-f]{64})\n$").FindStringSubmatch(read(t, outputs))[1]
	assert.Contains(t, read(t, summaries), "\nCommit `"+commit+"`, plan `"+digest+"`\n")
	consent := regexp.MustCompile(`deploying needs --consent (dev-[0-9a-f]{20})\n`).FindStringSubmatch(said)[1]

	deploy := func(more ...string) (int, string) {
		return runs(t, append([]string{"deploy", "-s", "dev", "--plan", file, "--digest", digest}, more...)...)
	}
	for _, args := range [][]string{{"--plan", file}, {"--digest", digest}, nil} {
		code, said = runs(t, append([]string{"deploy", "-s", "dev"}, args...)...)
		assert.Equal(t, cli.Mistake, code, args)
		assert.Contains(t, said, "name what was approved with --plan and --digest")
	}
	code, said = runs(t, "deploy", "-s", "dev", "--plan", file+".none", "--digest", digest)
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, "read the plan: ")
	code, said = runs(t, "deploy", "-s", "dev", "--plan", file, "--digest", "another")
	assert.Equal(t, exitNotApproved, code)
	assert.Contains(t, said, "is not the one that was approved")
	code, said = deploy()
	assert.Equal(t, exitNotApproved, code)
	assert.Contains(t, said, "its dangerous changes need the consent "+consent)
	require.NoError(t, os.WriteFile("Pulumi.yaml", []byte("name: other\n"), 0o600))
	code, said = deploy("--consent", consent)
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, "Pulumi.yaml differs from commit "+commit)
	c.git("checkout", "--quiet", "Pulumi.yaml")

	for fault, says := range map[string]string{
		"config get":     "unseal the plan's key with the secrets provider of gridos-infra/dev",
		"bootstrap: up ": "gridos-bootstrap/dev failed; what Pulumi said is above",
		"output":         "broken on purpose",
	} {
		c.has("fault", fault)
		code, said = deploy("--consent", consent)
		assert.Equal(t, cli.Failed, code, fault)
		assert.Contains(t, said, says, fault)
	}
	assert.Contains(t, read(t, summaries), "### The update has ended in `bootstrap`")
	c.has("fault", "nothing at all")
	c.has("outputs", `{"long": "`+strings.Repeat("x", 201)+`", "fits": "`+strings.Repeat("y", 200)+`"}`)
	c.has("history", `[{"kind": "update", "result": "succeeded", "resourceChanges": {"delete": 7, "same": 5}}]`)
	code, said = deploy("--consent", consent)
	require.Zero(t, code, said)
	assert.Regexp(t, `gridos-infra +0 +0 +0 +7 +5`, said)
	for _, p := range stacks.Projects() {
		assert.Contains(t, said, p.Name)
	}
	assert.Contains(t, read(t, summaries), "| fits | "+strings.Repeat("y", 200)+" |\n| long | "+strings.Repeat("x", 199)+"… |")
	t.Setenv("GITHUB_STEP_SUMMARY", filepath.Join("none", "file"))
	code, said = deploy("--consent", consent)
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, "open the job's summary")
}

// A plan is of the newest commit, as far as the checkout can tell.
func TestUnit_ACommitThatWasReplacedIsNotPlanned(t *testing.T) {
	c := newCloud(t)
	older, newer := c.commit(), c.commit()
	deployed := func(commit string) {
		c.has("history", fmt.Sprintf(`[{"kind": "update", "result": "succeeded", "environment": {"git.head": %q}}]`, commit))
	}
	for name, test := range map[string]struct {
		last, at string
		code     int
		says     string
	}{
		"the same commit":  {newer, newer, 0, ""},
		"a newer commit":   {older, newer, 0, ""},
		"an older commit":  {newer, older, cli.Failed, "commit " + newer + " was deployed already, and is newer than commit " + older},
		"another checkout": {strings.Repeat("0", 40), newer, 0, "which was deployed last, is not in this checkout"},
	} {
		deployed(test.last)
		c.git("checkout", "--quiet", test.at)
		code, said := runs(t, "plan", "-s", "dev", "--out", filepath.Join(c.dir, "plan.json"))
		assert.Equal(t, test.code, code, "%s: %s", name, said)
		assert.Contains(t, said, test.says, name)
		assert.Equal(t, name == "another checkout", strings.Contains(said, "cannot be told"), name)
	}
	deployed(older)
	c.git("checkout", "--quiet", newer)
	broken := gittest.Install(t)
	for n := 1; ; n++ {
		if n == 2 || n == 6 { // who commits, which has a default
			continue
		}
		broken.FailAt(n)
		code, said := runs(t, "plan", "-s", "dev", "--out", filepath.Join(c.dir, "plan.json"))
		if !broken.Failed() {
			require.Zero(t, code, said)
			assert.Greater(t, n, 7)
			broken.FailAt(0)
			break
		}
		assert.NotZero(t, code, "command %d", n)
		assert.Contains(t, said, gittest.Said, "command %d", n)
	}
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("Pulumi.yaml", nil, 0o600))
	code, said := runs(t, "plan", "-s", "dev")
	assert.Equal(t, cli.Mistake, code)
	assert.Contains(t, said, "is in no Git repository")
	t.Setenv("PATH", t.TempDir())
	code, said = runs(t, "preview", "-s", "dev")
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, "the Pulumi CLI is needed; install it")
}
