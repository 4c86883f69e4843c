// Package azuretest is a subscription for tests: a stand-in for the Azure CLI that gives prepared
// answers. It knows only the commands that it has answers for. Each answer has the shape of a
// published example, which its file names; a test changes answers to create a fault.
package azuretest

import (
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the answers of the subscription are about.
const (
	// Subscription and Deployer are the GUIDs of the subscription and of who is signed in.
	Subscription = "9a1c0a52-6c1e-4d4c-9f2e-0c4f6b1d7e11"
	Deployer     = "3f0b7a86-55b0-4c8e-9a5d-2f2d0a7c9b21"
	// Location is the only region.
	Location = "francecentral"
)

//go:embed answers/*.json
var answers embed.FS

// answer is what the stand-in says to one command.
type answer struct {
	Args   []string `json:"args"`
	Stdout string   `json:"stdout"`
	Stderr string   `json:"stderr"`
	Code   int      `json:"code"`
	// Hang says that it does not answer.
	Hang bool `json:"hang"`
	// Times is how often this is the answer, before that of the next file; 0 means always.
	Times int `json:"times"`
}

// published is a file of answers.
type published struct {
	Source, Read, Changed string
	Args                  []string
	Body                  map[string]any
}

// Azure is a subscription that has everything, until a test changes an answer.
type Azure struct {
	// Folder has the stand-in, which is called az.
	Folder string
	t      testing.TB
	files  map[string]published
}

// StandIn answers as the Azure CLI does if this process was started as az, and then returns true
// and the exit code. A test's TestMain calls it first.
func StandIn() (code int, started bool) {
	if filepath.Base(os.Args[0]) != "az" {
		return 0, false
	}
	program, err := exec.LookPath(os.Args[0]) // a name without a folder was found on PATH
	if err != nil {
		fmt.Fprintln(os.Stderr, "ERROR:", err)
		return 2, true
	}
	return reply(filepath.Dir(program), os.Args[1:]), true
}

// New returns a subscription that has everything.
func New(t testing.TB) *Azure {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	a := &Azure{Folder: t.TempDir(), t: t, files: map[string]published{}}
	require.NoError(t, os.Symlink(self, a.Program()))
	names, err := answers.ReadDir("answers")
	require.NoError(t, err)
	for _, name := range names {
		text, err := answers.ReadFile("answers/" + name.Name())
		require.NoError(t, err)
		var file published
		require.NoError(t, json.Unmarshal(text, &file))
		require.NotEmpty(t, file.Source, "%s names no source", name.Name())
		require.NotEmpty(t, file.Read, "%s has no date", name.Name())
		key := strings.TrimSuffix(name.Name(), ".json")
		a.files[key] = file
		a.Change(key, func(map[string]any) {})
	}
	return a
}

// Program is the path of the stand-in.
func (a *Azure) Program() string { return filepath.Join(a.Folder, "az") }

// Names are the names of the answers.
func (a *Azure) Names() []string {
	var names []string
	for name := range a.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Text is an answer as it is without changes.
func (a *Azure) Text(name string) []byte {
	a.t.Helper()
	text, err := json.Marshal(a.files[name].Body)
	require.NoError(a.t, err)
	return text
}

// Path is the path of Azure Resource Manager that an answer belongs to, or "" if az asks for it in
// another way.
func (a *Azure) Path(name string) string {
	a.t.Helper()
	if args := a.file(name).Args; args[0] == "rest" {
		return args[len(args)-1]
	}
	return ""
}

// Change changes the body of an answer.
func (a *Azure) Change(name string, change func(body map[string]any)) {
	a.t.Helper()
	file := a.file(name)
	change(file.Body)
	a.files[name] = file
	a.write(name, answer{Args: file.Args, Stdout: string(a.Text(name))})
}

// Says replaces an answer by a text, which need not be JSON.
func (a *Azure) Says(name, text string) {
	a.t.Helper()
	a.write(name, answer{Args: a.file(name).Args, Stdout: text})
}

// Fails replaces an answer by an error.
func (a *Azure) Fails(name, said string) {
	a.t.Helper()
	a.write(name, answer{Args: a.file(name).Args, Stderr: said, Code: 1})
}

// FailsFirst gives an error so many times before the answer.
func (a *Azure) FailsFirst(name string, times int, said string) {
	a.t.Helper()
	a.write("0-"+name, answer{Args: a.file(name).Args, Stderr: said, Code: 1, Times: times})
}

// Hangs makes the stand-in wait instead of answering.
func (a *Azure) Hangs(name string) {
	a.t.Helper()
	a.write(name, answer{Args: a.file(name).Args, Hang: true})
}

// Paged gives the first item of a list on a page of its own.
func (a *Azure) Paged(name string) {
	a.t.Helper()
	file := a.file(name)
	items, ok := file.Body["value"].([]any)
	require.True(a.t, ok && len(items) > 0, "%s is no list", name)
	last := len(file.Args) - 1
	next := slices.Clone(file.Args)
	next[last] += "&$skiptoken=second%20page"
	page := func(link any, items ...any) string {
		text, err := json.Marshal(map[string]any{"value": append([]any{}, items...), "nextLink": link})
		require.NoError(a.t, err)
		return string(text)
	}
	// The link may name any host: the request goes to that of the first one.
	a.write(name, answer{Args: file.Args, Stdout: page("https://elsewhere.example.com"+next[last], items[0])})
	a.write(name+"-2", answer{Args: next, Stdout: page(nil, items[1:]...)})
}

// Endless makes every page of a list name the same next page.
func (a *Azure) Endless(name string) {
	a.t.Helper()
	file := a.file(name)
	link := "https://elsewhere.example.com" + file.Args[len(file.Args)-1]
	text, err := json.Marshal(map[string]any{"value": file.Body["value"], "nextLink": link})
	require.NoError(a.t, err)
	a.write(name, answer{Args: file.Args, Stdout: string(text)})
}

// Calls returns how often an answer was given.
func (a *Azure) Calls(name string) int {
	a.t.Helper()
	return calls(filepath.Join(a.Folder, name+".json"))
}

func (a *Azure) file(name string) published {
	a.t.Helper()
	file, ok := a.files[name]
	require.True(a.t, ok, "there is no answer %q", name)
	return file
}

func (a *Azure) write(name string, one answer) {
	a.t.Helper()
	text, err := json.Marshal(one)
	require.NoError(a.t, err)
	require.NoError(a.t, os.WriteFile(filepath.Join(a.Folder, name+".json"), text, 0o600))
}

func calls(file string) int {
	if info, err := os.Stat(file + ".calls"); err == nil {
		return int(info.Size())
	}
	return 0
}

// reply is the stand-in.
func reply(folder string, args []string) int {
	always := []string{"--output", "json", "--only-show-errors"}
	if len(args) < len(always) || !slices.Equal(args[len(args)-len(always):], always) {
		fmt.Fprintf(os.Stderr, "ERROR: the stand-in wants %v at the end, and has %v\n", always, args)
		return 2
	}
	args = args[:len(args)-len(always)]
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "ERROR:", err)
		return 2
	}
	for _, file := range files {
		var one answer
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &one)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "ERROR:", err)
			return 2
		}
		if !slices.Equal(one.Args, args) || one.Times > 0 && calls(file) >= one.Times {
			continue
		}
		if log, err := os.OpenFile(file+".calls", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			_, _ = log.WriteString(".")
			_ = log.Close()
		}
		if one.Hang {
			time.Sleep(time.Minute)
		}
		_, _ = os.Stderr.WriteString(one.Stderr)
		_, _ = os.Stdout.WriteString(one.Stdout)
		return one.Code
	}
	fmt.Fprintf(os.Stderr, "ERROR: Not Found({\"error\":{\"code\":\"NotFound\",\"message\":\"the stand-in has no answer to az %s\"}})\n",
		strings.Join(args, " "))
	return 3
}
