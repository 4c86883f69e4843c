package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cli"
)

// This program has every command that a workflow runs, with its flags; the same holds for make's
// targets.
func TestUnit_WorkflowsRunCommandsThatExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join("..", "Makefile"))
	require.NoError(t, err)
	files, err := filepath.Glob("../.github/workflows/*.yml")
	require.NoError(t, err)
	commands, targets := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range regexp.MustCompile(`(?:\./pipeline|bin/pipeline) ([a-z][^\n|>]*)`).FindAllStringSubmatch(string(text), -1) {
			commands++
			words := strings.Fields(found[1])
			command, rest, err := newCommand().Find(words)
			require.NoError(t, err, "%s: %s", file, found[1])
			assert.NotEqual(t, "pipeline", command.Name(), "%s: %s", file, found[1])
			for _, word := range rest {
				switch {
				case strings.HasPrefix(word, "--"):
					assert.NotNil(t, command.Flags().Lookup(strings.TrimPrefix(word, "--")), "%s: %s", file, found[1])
				case strings.HasPrefix(word, "-"):
					assert.NotNil(t, command.Flags().ShorthandLookup(strings.TrimPrefix(word, "-")), "%s: %s", file, found[1])
				}
			}
		}
		for _, found := range regexp.MustCompile(`run: make ([a-z- ]+)`).FindAllStringSubmatch(string(text), -1) {
			for _, target := range strings.Fields(found[1]) {
				targets++
				assert.Contains(t, string(makefile), "\n"+target+":", file)
			}
		}
	}
	assert.Greater(t, commands, 8)
	assert.Greater(t, targets, 3)
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// runs runs a command, and returns all that it printed.
func runs(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	var out strings.Builder
	return into(t, &out, &out, args...), out.String()
}

// ran runs a command, and returns apart what it printed and what it told people.
func ran(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, said strings.Builder
	return into(t, &out, &said, args...), out.String(), said.String()
}

func into(t *testing.T, out, said io.Writer, args ...string) int {
	t.Helper()
	command := newCommand()
	command.SetOut(out)
	command.SetErr(said)
	return run(t.Context(), command, args)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

func guarded(t *testing.T, args ...string) string {
	t.Helper()
	_, output := runs(t, append([]string{"guard"}, args...)...)
	return output
}

func TestUnit_TheGuardAsksForConsent(t *testing.T) {
	t.Parallel()
	plain := write(t, "dev.json", `{"environment":"dev","projects":[{"name":"gridos-apps","changes":[{"op":"create","urn":"u","level":"plain"}]}]}`)
	dangerous := write(t, "prod.json", `{"environment":"prod","projects":[{"name":"gridos-infra","changes":[
		{"op":"replace","urn":"urn:of:the:cluster","level":"dangerous","reasons":["deletes and makes again the cluster"]}]}]}`)
	// The same changes of another environment, and more of the same: their consents are others.
	elsewhere := write(t, "elsewhere.json", strings.Replace(read(t, dangerous), `"prod"`, `"test"`, 1))
	wider := write(t, "wider.json", strings.Replace(read(t, dangerous), `"changes":[`,
		`"changes":[{"op":"delete","urn":"urn:of:the:vault","level":"dangerous"},`, 1))
	because := write(t, "because.json", strings.Replace(read(t, dangerous), `"reasons"`, `"properties":[{"path":"zone","replaces":true}],"reasons"`, 1))
	added := write(t, "added.json", strings.Replace(read(t, plain), `"projects"`, `"contract":{"before":1,"after":1,"added":["gridos.x"]},"projects"`, 1))
	breaks := write(t, "breaks.json", strings.Replace(read(t, plain), `"projects"`, `"contract":{"before":1,"after":1,"breaks":[
		{"project":"gridos","output":"databaseHost","what":"is gone","consumers":["reports (https://a, @b)"],"refused":"keep it"}]},"projects"`, 1))
	label := regexp.MustCompile(`allow-dangerous-change:prod-[0-9a-f]{20}\b`).FindString(guarded(t, dangerous))
	require.NotEmpty(t, label)
	require.LessOrEqual(t, len(label), 50, "GitHub takes no longer labels")
	lost := write(t, "lost.json", strings.Replace(read(t, dangerous), `"projects"`, `"rendered":[{"kind":"release","name":"shop","urn":"urn:of:the:shop",
		"objects":[{"op":"delete","kind":"PersistentVolumeClaim","name":"photos","risk":"dangerous","reasons":["with its data"]}]}],"projects"`, 1))
	both := regexp.MustCompile(`allow-dangerous-change:prod-[0-9a-f]{20}\b`).FindAllString(guarded(t, lost), -1)
	require.Len(t, both, 2)
	require.Equal(t, label, both[0], "which the deployment needs too")
	unknown := write(t, "test.json", `{"environment":"test","projects":[{"name":"gridos-infra","error":"no stack"}]}`)
	broken := write(t, "broken.json", `no report`)
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{plain}, 0, "Nothing dangerous."},
		{[]string{added, plain}, 0, "Nothing dangerous."},
		{[]string{plain, breaks}, exitBreaks, "Refused: gridos.databaseHost is gone, which concerns reports (https://a, @b). keep it"},
		{[]string{"--labels", label, dangerous, breaks}, exitBreaks, "Refused: gridos.databaseHost"},
		{[]string{plain, dangerous}, exitDangerous, "prod: replace urn:of:the:cluster: deletes and makes again the cluster"},
		{[]string{"--labels", "bug," + label, plain, dangerous}, 0, "Allowed by labels for exactly these changes"},
		{[]string{"--labels", "bug,allow-dangerous-change", plain, dangerous}, exitDangerous, "would allow it"},
		{[]string{"--labels", label, elsewhere}, exitDangerous, "allow-dangerous-change:test-"},
		{[]string{"--labels", label, wider}, exitDangerous, "would allow it"},
		{[]string{"--labels", label, because}, exitDangerous, "would allow it"},
		{[]string{"--labels", "bug", plain, dangerous}, exitDangerous, "would allow it"},
		{[]string{"--labels", label, lost}, exitDangerous, "prod: delete urn:of:the:shop::PersistentVolumeClaim photos: with its data"},
		{[]string{"--labels", strings.Join(both, ","), lost}, 0, "Allowed by labels for exactly these changes"},
		{[]string{"--labels", "allow-dangerous-change", unknown}, cli.Failed, "test: gridos-infra: no stack"},
		{[]string{broken}, cli.Failed, "is no report"},
		{[]string{write(t, "empty.json", "{}")}, cli.Failed, "no environment"},
		{[]string{write(t, "none.json", `{"environment":"dev"}`)}, cli.Failed, "no projects"},
		{
			[]string{write(t, "op.json", `{"environment":"dev","projects":[{"name":"x","changes":[{"op":"<b>","level":"plain"}]}]}`)},
			cli.Failed, "has a change with op",
		},
		{nil, cli.Mistake, "name the reports"},
	} {
		code, output := runs(t, append([]string{"guard"}, test.args...)...)
		assert.Equal(t, test.code, code, "%v: %s", test.args, output)
		assert.Contains(t, output, test.says)
	}
}

// A report comes from code that is not reviewed yet, and messages about it are in the log of a job
// that may write.
func TestUnit_NoReportCommandsTheRunner(t *testing.T) {
	t.Parallel()
	const command = `\n::add-mask::x\n  ::error::x\r::error::x\n##[error]x`
	folder := filepath.Join(t.TempDir(), "x\n::error::x ##[error]x.json")
	require.NoError(t, os.Mkdir(folder, 0o700))
	files := []string{folder, write(t, "x\n::error::x ##[error]x.json", "[]")}
	for _, text := range []string{
		`{"environment":"@"}`,
		`{"environment":"dev","projects":[{"name":"@","changes":[{"op":"@","level":"@"}]}]}`,
		`{"environment":"dev","projects":[{"name":"@","error":"@"}]}`,
		`{"environment":"dev","projects":[{"name":"x","changes":[{"op":"delete","urn":"@","level":"dangerous","reasons":["@"]}]}]}`,
		`{"environment":"dev","rendered":[{"kind":"@","name":"@"}],"projects":[{"name":"@"}]}`,
		`{"environment":"dev","rendered":[{"kind":"overlay","name":"@","objects":[{"op":"@","risk":"@"}]}],"projects":[{"name":"@"}]}`,
		`{"environment":"dev","rendered":[{"kind":"overlay","name":"x@","objects":[{"op":"delete","kind":"@","name":"@","risk":"dangerous",` +
			`"reasons":["@"]}]}],"projects":[{"name":"@"}]}`,
		`{"environment":"dev","projects":[{"name":"x"}],"contract":{"breaks":[{"project":"@","output":"@","what":"@","consumers":["@"],"refused":"@"}]}}`,
	} {
		files = append(files, write(t, "dev.json", strings.ReplaceAll(text, "@", command)))
	}
	for _, file := range files {
		code, output := runs(t, "guard", file)
		assert.NotZero(t, code)
		assert.Contains(t, output, "x", "it is said")
		assert.NotRegexp(t, `(?m)(^|\r)\s*::|##\[`, output)
	}
}

func TestUnit_MistakesHaveTheirOwnExitCode(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"nothing"}, {"drift"}, {"drift", "-s", "staging"}, {"drift", "--nothing"}, {"workflows", "extra"}, {"consents"}} {
		code, output := runs(t, args...)
		assert.Equal(t, cli.Mistake, code, "%v: %s", args, output)
		assert.Equal(t, 1, strings.Count(output, "Error:"), "%v is told once: %s", args, output)
	}
	for _, without := range []string{"--workflow", "--job", "--head-sha"} {
		args := []string{"again"}
		for _, flag := range []string{"--workflow", "--job", "--head-sha"} {
			if flag != without {
				args = append(args, flag, "x")
			}
		}
		code, output := runs(t, args...)
		assert.Equal(t, cli.Mistake, code, without)
		assert.Contains(t, output, "say what to start again", without)
	}
}

func TestUnit_AnInterruptedCommandHasItsOwnExitCode(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var said strings.Builder
	command := newCommand()
	command.SetErr(&said)
	assert.Equal(t, cli.Interrupted, run(ctx, command, []string{"nothing"}))
	assert.Contains(t, said.String(), "Stopped.")
}

func TestUnit_AnAuditThatDidNotTakePlaceHasItsOwnExitCode(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	code, output := runs(t, "vulnerabilities", "--database", gone.URL)
	assert.Equal(t, exitNotKnown, code, output)
	assert.Contains(t, output, "NOTHING WAS AUDITED: the vulnerability database "+gone.URL+" cannot be read")
	assert.NotContains(t, output, "No vulnerability")
}

// The go command is a stand-in, whose exit code is that of govulncheck.
func TestUnit_AnAuditThatFindsSomethingFails(t *testing.T) {
	database := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, `{"modified":"2026-01-31T12:00:00Z"}`)
		assert.NoError(t, err)
	}))
	t.Cleanup(database.Close)
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\nexit \"$GOVULNCHECK\"\n"), 0o700))
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Chdir("..")
	for says, test := range map[string]struct {
		govulncheck string
		code        int
	}{
		"No vulnerability that the code reaches is known to " + database.URL + ", as of 2026-01-31.\n": {"0", 0},
		"the module in src: its code reaches known vulnerabilities":                                    {"3", cli.Failed},
		"the module in src: could not be looked at":                                                    {"1", cli.Failed},
	} {
		t.Setenv("GOVULNCHECK", test.govulncheck)
		code, said := runs(t, "vulnerabilities", "--database", database.URL, "--module", "src")
		assert.Equal(t, test.code, code, said)
		assert.Contains(t, said, says)
	}
	t.Setenv("GOVULNCHECK", "0")
	deafly(t, "vulnerabilities", "--database", database.URL)
	code, said := runs(t, "vulnerabilities", "--database", database.URL, "--module", "lab")
	assert.Equal(t, cli.Mistake, code)
	assert.Contains(t, said, `there is no module in "lab"; name one of ., src with --module`)
}

func TestUnit_TheWorkflowsAreCheckedAndShown(t *testing.T) {
	t.Chdir("..")
	for says, args := range map[string][]string{
		"The workflows are as they should be.\n":           nil,
		"=> check: success. lab: success. guard: success.": {"--table"},
		`"event": "a pull request from a branch"`:          {"--table", "--json"},
	} {
		args = append([]string{"workflows"}, args...)
		code, out, said := ran(t, args...)
		assert.Zero(t, code, said)
		assert.Contains(t, out, says)
		deafly(t, args...)
	}
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Join(".github", "workflows"), 0o700))
	for says, text := range map[string]string{
		"broken.yml: job j: step 1: ": "on: pull_request\njobs: {j: {runs-on: x, steps: [{run: x, if: vars.}]}}\n",
		"broken.yml: ":                "on: pull_request\njobs: {j: {runs-on: x}}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(".github", "workflows", "broken.yml"), []byte(text), 0o600))
		for _, args := range [][]string{{"workflows"}, {"workflows", "--table"}} {
			code, said := runs(t, args...)
			assert.Equal(t, cli.Failed, code, "%v: %s", args, said)
			assert.Contains(t, said, says, "%v", args)
		}
	}
}
