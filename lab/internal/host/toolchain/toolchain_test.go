package toolchain

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
)

// fakeModule is a nested module like those in tools/, small enough to be built in a second and
// without a network. Its program prints its version.
var fakeModule = map[string]string{
	"go.mod": `module example.com/tools/fake

go 1.26.0

require example.com/pin v1.2.3

replace example.com/pin => ./pin
`,
	"go.sum": "",
	"main.go": `package main

import (
	_ "embed"
	"fmt"
)

//go:embed words.txt
var words string

var version string

func main() { fmt.Println(words, version) }
`,
	"words.txt":  "fake version",
	"pin/go.mod": "module example.com/pin\n\ngo 1.26.0\n",
}

// bench is a resolver over the fake module, with folders of its own and nothing on PATH but the Go
// command.
type bench struct {
	*Resolver
	pathDir string // an empty folder that comes first on PATH
	out     *bytes.Buffer
	display *progress.Display
}

func newBench(t *testing.T) *bench {
	t.Helper()
	goCommand, err := exec.LookPath("go")
	require.NoError(t, err)
	goOnly := t.TempDir()
	require.NoError(t, os.Symlink(goCommand, filepath.Join(goOnly, "go")))

	b := &bench{pathDir: t.TempDir(), out: &bytes.Buffer{}}
	t.Setenv("PATH", b.pathDir+string(filepath.ListSeparator)+goOnly)
	t.Setenv(EnvOffline, "")
	b.display = progress.New(b.out)
	b.Resolver = &Resolver{
		ToolsDir: t.TempDir(), CacheDir: t.TempDir(), Progress: b.display,
		catalogue: []Tool{{
			Name: "fake", Module: "fake", Package: ".", Pin: "example.com/pin", LDFlags: "-X main.version=v{version}",
			Match: SameMinor, versionArgs: []string{"--version"},
		}},
	}
	for name, content := range fakeModule {
		b.write(t, filepath.Join(b.ToolsDir, "fake", name), content, 0o600)
	}
	return b
}

func (b *bench) write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), mode))
}

// script writes a program that prints a version to the given path.
func (b *bench) script(t *testing.T, path, version string) string {
	t.Helper()
	b.write(t, path, "#!/bin/sh\necho fake version "+version+"\n", 0o700)
	return path
}

func (b *bench) resolve(t *testing.T) string {
	t.Helper()
	paths, err := b.Resolve(t.Context(), "fake")
	require.NoError(t, err)
	require.Contains(t, paths, "fake")
	return paths["fake"]
}

func TestUnit_LookUpTakesSourcesInOrder(t *testing.T) {
	b := newBench(t)
	u := newUpstream(t)
	b.pin(t, u.program("1.2.9"))

	// The tool is nowhere, and the network works: it is downloaded.
	downloaded := b.resolve(t)
	assert.True(t, strings.HasPrefix(downloaded, b.CacheDir), downloaded)
	assert.Contains(t, b.out.String(), "fake 1.2.3: done  downloaded")
	assert.Equal(t, 1, u.requests())
	// The downloaded tool is found the next time.
	assert.Equal(t, downloaded, b.resolve(t))
	assert.Equal(t, 1, u.requests(), "no second download")
	// The cache of the tool's own installer comes before it, and PATH before both.
	own := b.script(t, filepath.Join(t.TempDir(), "fake"), "1.2.1")
	b.catalogue[0].ownCache = func(*Resolver, string) ([]string, error) { return []string{own}, nil }
	assert.Equal(t, own, b.resolve(t))
	onPath := b.script(t, filepath.Join(b.pathDir, "fake"), "v1.2.0")
	assert.Equal(t, onPath, b.resolve(t))
	// A copy of another minor version on PATH does not count.
	b.script(t, onPath, "v1.3.0")
	assert.Equal(t, own, b.resolve(t))
	// If the archive has another version than the file says, the tool is built.
	require.NoError(t, os.Remove(own))
	b.pin(t, u.program("1.1.0"))
	built := b.resolve(t)
	assert.True(t, strings.HasPrefix(built, b.CacheDir), built)
	assert.Contains(t, b.out.String(), onPath+" is version 1.3.0", "the step says why PATH was passed over")
	assert.Contains(t, b.out.String(), "fake 1.2.3: done  built")
	// A build is found before a download is tried again.
	requests := u.requests()
	assert.Equal(t, built, b.resolve(t))
	assert.Equal(t, requests, u.requests())
}

func TestUnit_NoDownloadWhenSwitchedOffOrUnreachable(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *bench, *upstream){
		"field":       func(_ *testing.T, b *bench, _ *upstream) { b.Offline = true },
		"environment": func(t *testing.T, _ *bench, _ *upstream) { t.Helper(); t.Setenv(EnvOffline, "1") },
		// A closed port of this machine.
		"closed network": func(_ *testing.T, _ *bench, u *upstream) { u.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			u := newUpstream(t)
			b.pin(t, u.program("1.2.3"))
			prepare(t, b, u)
			b.resolve(t)
			assert.Contains(t, b.out.String(), "fake 1.2.3: done  built", "it is built instead")
			assert.Zero(t, u.requests())
		})
	}
}

func TestUnit_BuildIsMadeOnceForEachPin(t *testing.T) {
	b := newBench(t)
	first := b.resolve(t)
	output, err := exec.Command(first).Output()
	require.NoError(t, err)
	assert.Equal(t, "fake version v1.2.3\n", string(output), "the pinned version is linked in")
	assert.Contains(t, b.out.String(), "fake 1.2.3: done  built")

	// A second checkout with the same pin shares the build, silently.
	b.out.Reset()
	other := *b.Resolver
	other.ToolsDir = t.TempDir()
	require.NoError(t, os.CopyFS(other.ToolsDir, os.DirFS(b.ToolsDir)))
	t.Setenv("PATH", b.pathDir) // no go command: nothing can be built
	paths, err := other.Resolve(t.Context(), "fake")
	require.NoError(t, err)
	assert.Equal(t, first, paths["fake"])
	assert.Empty(t, b.out.String())

	// Every change that changes the binary changes the key.
	for file, content := range map[string]string{
		"go.mod":  strings.Replace(fakeModule["go.mod"], "v1.2.3", "v1.2.4", 1),
		"go.sum":  "example.com/pin v1.2.3 h1:0000000000000000000000000000000000000000000=\n",
		"main.go": fakeModule["main.go"] + "\n// changed\n",
	} {
		path := filepath.Join(other.ToolsDir, "fake", file)
		b.write(t, path, content, 0o600)
		s, err := other.newSearch("fake")
		require.NoError(t, err)
		assert.NotEqual(t, first, s.cached, file)
		b.write(t, path, fakeModule[file], 0o600)
	}
	other.catalogue = []Tool{b.catalogue[0]}
	other.catalogue[0].LDFlags += " -s"
	s, err := other.newSearch("fake")
	require.NoError(t, err)
	assert.NotEqual(t, first, s.cached, "flags")
}

func TestUnit_EmbeddedFilesComeFromTheDependency(t *testing.T) {
	b := newBench(t)
	require.NoError(t, os.Remove(filepath.Join(b.ToolsDir, "fake", "words.txt")))
	elsewhere := t.TempDir()
	b.write(t, filepath.Join(elsewhere, "gen", "words.txt"), "generated", 0o600)
	// The stand-in answers "go mod download" and leaves all other commands to the real go command.
	goCommand, err := exec.LookPath("go")
	require.NoError(t, err)
	b.write(t, filepath.Join(b.pathDir, "go"), `#!/bin/sh
if [ "$1" = mod ]; then echo '{"Dir":"`+elsewhere+`"}'; exit; fi
exec `+goCommand+` "$@"
`, 0o700)
	b.catalogue[0].Embed = Embed{Module: "example.com/pin", Dir: "gen", Files: []string{"words.txt"}}
	// This happens in a copy of a checkout: the go command compares paths without links.
	link := filepath.Join(t.TempDir(), "tools")
	require.NoError(t, os.Symlink(b.ToolsDir, link))
	b.ToolsDir = link

	output, err := exec.Command(b.resolve(t)).Output()
	require.NoError(t, err)
	assert.Equal(t, "generated v1.2.3\n", string(output))
}

// gate is a patch of the fake module's dependency: a stand-in for "go mod download" says that the
// dependency is in the folder that gate returns.
func (b *bench) gate(t *testing.T) Patch {
	t.Helper()
	elsewhere := t.TempDir()
	b.write(t, filepath.Join(elsewhere, "go.mod"), "module example.com/pin\n\ngo 1.26.0\n", 0o600)
	b.write(t, filepath.Join(elsewhere, "gate.go"), "package pin\n\nvar Gate = \"open\"\n", 0o600)
	goCommand, err := exec.LookPath("go")
	require.NoError(t, err)
	b.write(t, filepath.Join(b.pathDir, "go"), `#!/bin/sh
if [ "$1" = mod ]; then echo '{"Dir":"`+elsewhere+`"}'; exit; fi
exec `+goCommand+` "$@"
`, 0o700)
	b.write(t, filepath.Join(b.ToolsDir, "fake", "main.go"), `package main

import (
	"fmt"

	"example.com/pin"
)

var version string

func main() { fmt.Println("gate", pin.Gate, version) }
`, 0o600)
	return Patch{Module: "example.com/pin", File: "gate.go", Old: `"open"`, New: `"shut"`}
}

func TestUnit_OnlyAPatchForbidsAnInstalledCopy(t *testing.T) {
	b := newBench(t)
	change := b.gate(t)
	b.catalogue[0].Cuts = []Patch{change}
	cut := b.resolve(t)
	output, err := exec.Command(cut).Output()
	require.NoError(t, err)
	assert.Equal(t, "gate shut v1.2.3\n", string(output), "the lab builds with the change")
	// A complete copy serves as well as one from which something was left out.
	complete := b.script(t, filepath.Join(b.pathDir, "fake"), "1.2.3")
	assert.Equal(t, complete, b.resolve(t))
	// A patch is needed, and an installed copy lacks it.
	b.catalogue[0].Patches, b.catalogue[0].Cuts = []Patch{change}, nil
	assert.Equal(t, cut, b.resolve(t), "the same change gives the same binary")
}

func TestUnit_AChangeThatDoesNotFitIsAnError(t *testing.T) {
	for old, times := range map[string]string{`"closed"`: "0 times", `n`: "2 times"} {
		b := newBench(t)
		change := b.gate(t)
		change.Old = old
		b.catalogue[0].Cuts = []Patch{change}
		_, err := b.Resolve(t.Context(), "fake")
		require.ErrorContains(t, err, times+" in gate.go of example.com/pin")
	}
}

// The sources of the pinned versions are what the changes expect, so that a new pin is refused here
// and not after minutes of building.
func TestEngine_TheChangesFitThePins(t *testing.T) {
	r := &Resolver{ToolsDir: filepath.Join("..", "..", "..", "..", "tools"), CacheDir: t.TempDir()}
	changed := 0
	for _, tool := range tools() {
		work := t.TempDir()
		for _, change := range tool.changes() {
			dir, err := r.ModuleDir(t.Context(), tool.Module, change.Module)
			require.NoError(t, err)
			file := filepath.FromSlash(change.File)
			if _, err := os.Stat(filepath.Join(work, file)); errors.Is(err, fs.ErrNotExist) {
				content, err := os.ReadFile(filepath.Join(dir, file))
				require.NoError(t, err, "%s of %s", change.File, tool.Name)
				b := &bench{}
				b.write(t, filepath.Join(work, file), string(content), 0o600)
			}
			require.NoError(t, change.apply(work), tool.Name)
			changed++
		}
	}
	assert.Greater(t, changed, 30, "the tools that the lab changes")
}

func TestUnit_WhatIsMissingIsAnnouncedOnce(t *testing.T) {
	b := newBench(t)
	missing, err := b.Announce(t.Context(), "fake")
	require.NoError(t, err)
	assert.Equal(t, []string{"fake"}, missing)
	b.resolve(t)
	missing, err = b.Announce(t.Context(), "fake")
	require.NoError(t, err)
	assert.Empty(t, missing)
	_, err = b.Announce(t.Context(), "unknown")
	require.ErrorContains(t, err, `there is no tool "unknown"`)
}

func TestUnit_TwoLabsDoNotBuildTheSameToolTwice(t *testing.T) {
	b := newBench(t)
	goCommand, err := exec.LookPath("go")
	require.NoError(t, err)
	log := filepath.Join(t.TempDir(), "log")
	b.write(t, filepath.Join(b.pathDir, "go"), "#!/bin/sh\necho $1 >>"+log+"\nexec "+goCommand+" \"$@\"\n", 0o700)

	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			_, err := b.Resolve(t.Context(), "fake")
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	calls, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(calls), "build"), string(calls))
}

func TestUnit_CancelEndsTheBuildAndLeavesNothing(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	// This go command has a child, as with a compiler, and a half-written output.
	b.write(t, filepath.Join(b.pathDir, "go"), `#!/bin/sh
[ $1 = build ] || exit 0
echo half >$4
/bin/sleep 60 &
echo $! >`+pidFile+`.new && /bin/mv `+pidFile+`.new `+pidFile+`
wait
`, 0o700)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := b.Resolve(ctx, "fake")
		failed <- err
	}()
	var child int
	require.Eventually(t, func() bool {
		content, err := os.ReadFile(pidFile)
		if err != nil {
			return false
		}
		child, err = strconv.Atoi(strings.TrimSpace(string(content)))
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)
	cancel()

	select {
	case err := <-failed:
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, "building fake 1.2.3: context canceled", err.Error())
	case <-time.After(20 * time.Second):
		require.Fail(t, "Resolve goes on")
	}
	assert.Eventually(t, func() bool { return errors.Is(syscall.Kill(child, 0), syscall.ESRCH) || isZombie(child) },
		5*time.Second, 10*time.Millisecond, "the child of the go command runs on")
	entries, err := os.ReadDir(filepath.Join(b.CacheDir, "tools"))
	require.NoError(t, err)
	for _, entry := range entries {
		assert.Equal(t, ".lock", entry.Name(), "left behind")
	}
}

// isZombie reports whether a process has ended but was not collected by its parent, as happens to
// orphans in a container without an init.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && bytes.Contains(stat, []byte(") Z "))
}

func TestUnit_UnavailableToolIsOneClearSentence(t *testing.T) {
	b := newBench(t)
	b.script(t, filepath.Join(b.pathDir, "fake"), "0.9.0")

	// Code that does not compile represents every failing build.
	b.write(t, filepath.Join(b.ToolsDir, "fake", "main.go"), "package main\n\nfunc main() { undefined() }\n", 0o600)
	_, err := b.Resolve(t.Context(), "fake")
	require.Error(t, err)
	assert.Regexp(t, `^no fake 1\.2\.3: \S+/fake is version 0\.9\.0; not downloaded: downloads.yaml has no archive of it; `+
		`downloads.yaml has no bundle for \S+; `+
		`building it failed: go build in `, err.Error())
	assert.Contains(t, err.Error(), "undefined: undefined", "the go command's own words")
	assert.Contains(t, err.Error(), "remedy: put fake 1.2.3 on PATH")

	t.Setenv("PATH", b.pathDir)
	_, err = b.Resolve(t.Context(), "fake")
	require.ErrorIs(t, err, errNoGo)
	assert.Regexp(t, `^no fake 1\.2\.3: .*; building it failed: there is no go command on PATH; `+
		`remedy: put fake 1\.2\.3 on PATH, or install Go \(https://go\.dev/dl\) so that it can be built$`, err.Error())

	_, err = b.Resolve(t.Context(), "unknown")
	assert.ErrorContains(t, err, `there is no tool "unknown"`)
}

func TestUnit_MatchAcceptsOnlyWhatThePinAllows(t *testing.T) {
	for _, c := range []struct {
		match         Match
		pinned, found string
		want          bool
	}{
		{Exact, "3.246.0", "v3.246.0", true},
		{Exact, "3.246.0", "3.246.1", false},
		{SameMinor, "1.35.0", "1.35.7", true},
		{SameMinor, "1.35.0", "1.34.9", false},
		{SameMinor, "1.35.0", "2.35.0", false},
		{SameMinor, "1.35.0", "1.35.1-rc.0", false},
		{SameMinor, "1.35.0", "nonsense", false},
	} {
		assert.Equal(t, c.want, c.match.accepts(c.pinned, c.found), "%+v", c)
	}
}

// Every tool of the repository has a readable pin, and the two numbers that the engine compares are
// the same.
func TestUnit_CatalogueMatchesTheNestedModules(t *testing.T) {
	r := &Resolver{ToolsDir: filepath.Join("..", "..", "..", "..", "tools"), CacheDir: t.TempDir()}
	for _, name := range append(append(All(), GitOps()...), ForManifests()...) {
		s, err := r.newSearch(name)
		require.NoError(t, err, name)
		assert.Regexp(t, `^\d+\.\d+\.\d+$`, s.version, name)
	}
	root, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "go.mod"))
	require.NoError(t, err)
	for tool, module := range map[string]string{
		Pulumi: "github.com/pulumi/pulumi/sdk/v3", PulumiKubernetes: "github.com/pulumi/pulumi-kubernetes/sdk/v4",
	} {
		version, err := r.Version(tool)
		require.NoError(t, err)
		assert.Contains(t, string(root), module+" v"+version+"\n", "%s and the SDK in go.mod go together", tool)
	}
}

func TestUnit_FoldersOnTheUsersPATHComeLast(t *testing.T) {
	t.Setenv("PATH", "/usr/bin")
	paths := Paths{"a": "/usr/bin/a", "b": "/cache/b/b", "c": "/cache/c/c", "d": "/cache/b/d"}
	assert.Equal(t, []string{"/cache/b", "/cache/c", "/usr/bin"}, paths.Dirs())
}

// A container may have no home. Then the lab has no files of the user's, and finds or builds its
// tools as on a new machine.
func TestUnit_WithoutAHomeNothingIsFoundThere(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "KUBEBUILDER_ASSETS"} {
		t.Setenv(name, "")
	}
	t.Setenv("PULUMI_HOME", "")
	r := &Resolver{ToolsDir: "../../../../tools"}
	for _, name := range []string{Pulumi, Etcd, KubeAPIServer} {
		tool, err := r.tool(name)
		require.NoError(t, err)
		places, err := tool.ownCache(r, "1.2.3")
		require.NoError(t, err, name)
		assert.Empty(t, places, name)
	}
	t.Setenv(EnvCache, "")
	_, err := DefaultCacheDir()
	require.ErrorContains(t, err, "no folder to keep the lab's tools in, set "+EnvCache)
}
