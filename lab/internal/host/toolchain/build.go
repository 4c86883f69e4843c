package toolchain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/blang/semver"
	"github.com/gofrs/flock"
	"golang.org/x/mod/modfile"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
)

// errNoGo is the only cause of a failed build whose remedy is not about the network.
var errNoGo = errors.New("there is no go command on PATH")

// unfinished begins the name of a folder in which a build is under way.
const unfinished = ".unfinished-"

// build makes the binary at s.cached. A file lock makes all labs of a user build one after the
// other. So two labs that start together neither build the same tool twice nor compete for memory
// (the provider's build takes 1.8 GB). The binary appears when its finished folder is renamed, so
// an interrupted build is never mistaken for a binary.
func (s *search) build(ctx context.Context, step *progress.Step) (err error) {
	goCommand, err := findGo()
	if err != nil {
		return err
	}
	final := filepath.Dir(s.cached)
	cache := filepath.Dir(final)
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return fmt.Errorf("the cache folder cannot be made, set %s to one that can: %w", EnvCache, err)
	}
	unlock, err := lock(ctx, filepath.Join(cache, ".lock"), func() { step.Update("waiting for a build by another lab") })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if isExecutable(s.cached) {
		return nil
	}
	if err := sweep(cache); err != nil {
		return err
	}
	work, err := os.MkdirTemp(cache, unfinished+s.tool.Name+"-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	binDir, goTemp := filepath.Join(work, "bin"), filepath.Join(work, "tmp")
	for _, dir := range []string{binDir, goTemp} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	dir, err := realPath(filepath.Join(s.ToolsDir, s.tool.Module))
	if err != nil {
		return err
	}
	run := &goRun{
		command: goCommand, dir: dir, temp: goTemp,
		update: func(detail string) { step.Update(s.explain(detail)) },
	}
	flags := s.tool.buildFlags(s.version)
	if len(s.tool.changes()) > 0 {
		file, err := s.patchedModfile(ctx, run, work)
		if err != nil {
			return err
		}
		flags = append(flags, "-modfile="+file)
	}
	if len(s.tool.Embed.Files) > 0 {
		overlay, err := s.writeOverlay(ctx, run, work)
		if err != nil {
			return err
		}
		flags = append(flags, "-overlay="+overlay)
	}
	run.update("looking at what to compile")
	flags = append(flags, s.tool.Package)
	list, err := run.output(ctx, append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, flags...))
	if err != nil {
		return err
	}
	run.total = len(strings.Fields(string(list)))
	output := filepath.Join(binDir, s.tool.Name)
	if _, err := run.output(ctx, append([]string{"build", "-v", "-o", output}, flags...)); err != nil {
		return err
	}
	return os.Rename(binDir, final)
}

// realPath returns the name that the go command uses for a folder when it runs there. An overlay
// names files by absolute paths without links, and a checkout, or its folder of tools, may be a
// link.
func realPath(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// buildFlags are part of the pin: any change here changes the binary.
func (t Tool) buildFlags(version string) []string {
	// The binary has no paths of this machine and no commit of this repository, so the same pin
	// gives the same bytes. Without DWARF, which the linker would leave out again, the compiler works
	// a tenth less.
	flags := []string{"-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false"}
	if len(t.Tags) > 0 {
		flags = append(flags, "-tags="+strings.Join(t.Tags, ","))
	}
	if t.LDFlags == "" {
		return flags
	}
	var major, minor, patch string
	if v, err := semver.ParseTolerant(version); err == nil {
		major, minor, patch = fmt.Sprint(v.Major), fmt.Sprint(v.Minor), fmt.Sprint(v.Patch)
	}
	ldflags := strings.NewReplacer("{version}", version, "{major}", major, "{minor}", minor, "{patch}", patch).Replace(t.LDFlags)
	return append(flags, "-ldflags="+ldflags)
}

// cachedPath returns the path of this pin's binary in the lab's cache after it has been built. The
// key is a hash over everything that determines the binary: the nested module's files, the package
// and flags, the Go version and the platform.
func (r *Resolver) cachedPath(t Tool, version string) (string, error) {
	cache := r.CacheDir
	if cache == "" {
		var err error
		if cache, err = DefaultCacheDir(); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(r.ToolsDir, t.Module)
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", fmt.Errorf("the pin of %s cannot be read: %w", t.Name, err)
	}
	hash := sha256.New() // writing to a hash never fails
	for _, file := range append([]string{filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")}, files...) {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("the pin of %s cannot be read; is this a complete checkout of the repository?: %w", t.Name, err)
		}
		fmt.Fprintf(hash, "%s %d\n%s\n", filepath.Base(file), len(content), content)
	}
	fmt.Fprintf(hash, "%q %q %+v %s %s/%s\n",
		t.Package, t.buildFlags(version), t.Embed, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, patch := range t.changes() {
		fmt.Fprintf(hash, "%q\n", patch)
	}
	key := hex.EncodeToString(hash.Sum(nil))[:16]
	return filepath.Join(cache, "tools", t.Name+"-"+key, t.Name), nil
}

// writeOverlay presents the embedded files, which are in a dependency, to the go command as if they
// were beside the main package. It returns the path of the overlay file (see "go help build",
// -overlay).
func (s *search) writeOverlay(ctx context.Context, run *goRun, work string) (string, error) {
	from, err := run.moduleDir(ctx, s.tool.Embed.Module)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, file := range s.tool.Embed.Files {
		replace[filepath.Join(run.dir, file)] = filepath.Join(from, filepath.FromSlash(s.tool.Embed.Dir), file)
	}
	content, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(work, "overlay.json")
	return path, os.WriteFile(path, content, 0o600)
}

// patchedModfile makes copies of the modules that patches change, and returns the path of a go.mod
// that uses the copies. An overlay cannot do it, because the go command lets no overlay replace a
// file in its module cache.
func (s *search) patchedModfile(ctx context.Context, run *goRun, work string) (string, error) {
	content, err := os.ReadFile(filepath.Join(run.dir, "go.mod"))
	if err != nil {
		return "", err
	}
	file, err := modfile.Parse("go.mod", content, nil)
	if err != nil {
		return "", err
	}
	copies := map[string]string{}
	for _, patch := range s.tool.changes() {
		if copies[patch.Module] == "" {
			from, err := run.moduleDir(ctx, patch.Module)
			if err != nil {
				return "", err
			}
			copies[patch.Module] = filepath.Join(work, "patched", path.Base(patch.Module))
			if err := os.CopyFS(copies[patch.Module], os.DirFS(from)); err != nil {
				return "", fmt.Errorf("patch %s: %w", s.title(), err)
			}
			if err := file.AddReplace(patch.Module, "", copies[patch.Module], ""); err != nil {
				return "", err
			}
		}
		if err := patch.apply(copies[patch.Module]); err != nil {
			return "", fmt.Errorf("patch %s: %w", s.title(), err)
		}
	}
	if content, err = file.Format(); err != nil {
		return "", err
	}
	sums, err := os.ReadFile(filepath.Join(run.dir, "go.sum"))
	if err != nil {
		return "", err
	}
	to := filepath.Join(work, "go.mod") // the go command looks for go.sum beside it
	return to, errors.Join(os.WriteFile(to, content, 0o600), os.WriteFile(filepath.Join(work, "go.sum"), sums, 0o600))
}

// changes are all changes of dependencies.
func (t Tool) changes() []Patch { return slices.Concat(t.Patches, t.Cuts) }

// apply changes the file in the copy of its module in dir.
func (p Patch) apply(dir string) error {
	file := filepath.Join(dir, filepath.FromSlash(p.File))
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if n := strings.Count(string(content), p.Old); n != 1 {
		return fmt.Errorf("%q stands %d times in %s of %s, and must stand there once; mend the patch in the lab's toolchain",
			p.Old, n, p.File, p.Module)
	}
	return os.WriteFile(file, []byte(strings.Replace(string(content), p.Old, p.New, 1)), 0o600)
}

// ModuleDir returns the folder, in the Go module cache, of a module that the nested module
// tools/<folder> pins, for example one with manifests. It downloads the module if it is missing.
func (r *Resolver) ModuleDir(ctx context.Context, folder, modulePath string) (string, error) {
	goCommand, err := findGo()
	if err != nil {
		return "", fmt.Errorf("the module %s cannot be looked up: %w; remedy: install Go (https://go.dev/dl)", modulePath, err)
	}
	run := &goRun{command: goCommand, dir: filepath.Join(r.ToolsDir, folder), update: func(string) {}}
	dir, err := run.moduleDir(ctx, modulePath)
	if err != nil && ctx.Err() == nil {
		return "", fmt.Errorf("%w; remedy: connect to the Go module proxy (GOPROXY)", err)
	}
	return dir, err
}

func findGo() (string, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return "", errNoGo
	}
	return path, nil
}

// lock takes the file lock. If another process holds it, lock calls waiting once.
func lock(ctx context.Context, path string, waiting func()) (unlock func() error, err error) {
	l := flock.New(path)
	locked, err := l.TryLock()
	if err == nil && !locked {
		waiting()
		_, err = l.TryLockContext(ctx, 500*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("the lock %s cannot be taken: %w", path, err)
	}
	return l.Unlock, nil
}

// sweep removes the files that a killed lab has left. The caller holds the lock, so no build is
// under way.
func sweep(cache string) error {
	left, err := filepath.Glob(filepath.Join(cache, unfinished+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// goRun runs the go command in a nested module and turns its output into progress.
type goRun struct {
	command, dir, temp string
	update             func(detail string)

	total    int // packages to compile
	compiled int
	fetched  int // modules downloaded
	tail     []string
}

// tailLines is how many lines of a failed go command's output the error has: the last ones, with
// the reason.
const tailLines = 15

func (g *goRun) output(ctx context.Context, args []string) ([]byte, error) {
	g.tail = nil
	var stdout bytes.Buffer
	stderr := &lineWriter{line: g.line}
	cmd := exec.CommandContext(ctx, g.command, args...)
	cmd.Dir = g.dir
	// A go.work file around the checkout must not change the pin. With GOTMPDIR the lab can remove
	// the leftovers of a killed build. The go command trusts PWD, which may be a link to this very
	// folder.
	cmd.Env = append(os.Environ(), "GOWORK=off", "PWD="+g.dir)
	if g.temp != "" {
		cmd.Env = append(cmd.Env, "GOTMPDIR="+g.temp)
	}
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	ownGroup(cmd)
	err := cmd.Run()
	stderr.flush()
	if err != nil {
		return stdout.Bytes(), fmt.Errorf("go %s in %s: %w%s", args[0], g.dir, err, indent(g.tail))
	}
	return stdout.Bytes(), nil
}

// line reads one line of the go command's messages: "go: downloading <module> <version>" for a
// module and, with -v, the import path of each compiled package. Any other line may be the reason
// of a failure.
func (g *goRun) line(line string) {
	switch {
	case line == "":
	case strings.HasPrefix(line, "go: downloading "):
		g.fetched++
		g.update(fmt.Sprintf("downloading modules (%d)", g.fetched))
	case g.total > 0 && !strings.ContainsAny(line, " \t:"):
		g.compiled++
		if g.compiled < g.total {
			g.update(fmt.Sprintf("compiling, %d of %d packages", g.compiled, g.total))
		} else {
			g.update("linking")
		}
	default:
		g.tail = append(g.tail, line)
		if len(g.tail) > tailLines {
			g.tail = g.tail[1:]
		}
	}
}

func (g *goRun) moduleDir(ctx context.Context, modulePath string) (string, error) {
	output, err := g.output(ctx, []string{"mod", "download", "-json", modulePath})
	var module struct{ Dir, Error string }
	// The output describes a failed download; only err describes an exit without any output.
	if decodeErr := json.Unmarshal(output, &module); decodeErr != nil && err == nil {
		err = decodeErr
	}
	if module.Error != "" {
		err = errors.New(module.Error)
	}
	if err != nil {
		return "", fmt.Errorf("the module %s cannot be had: %w", modulePath, err)
	}
	return module.Dir, nil
}

func indent(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "\n    " + strings.Join(lines, "\n    ") + "\n"
}

// lineWriter passes complete lines to a function.
type lineWriter struct {
	line func(string)
	rest []byte
}

var _ io.Writer = (*lineWriter)(nil)

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.line(strings.TrimRight(string(line), "\r"))
		w.rest = rest
	}
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.line(string(w.rest))
		w.rest = nil
	}
}
