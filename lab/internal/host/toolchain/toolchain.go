// Package toolchain finds the programs that the lab runs: the Pulumi CLI, its Kubernetes provider,
// and the parts of a Kubernetes control plane.
//
// The user does not install them. Each is looked for in this order, and the first hit is taken:
//
//  1. on PATH, or in the tool's own cache (Pulumi's, envtest's), if it has the pinned version;
//  2. in the lab's cache folder, where an earlier build or download of the same pin lies;
//  3. downloaded, if tools/downloads.yaml has the checksum of the pinned version and the network
//     allows: upstream's own archive, or a bundle of builds of these pins;
//  4. built from its pinned Go module in tools/ into the lab's cache folder.
//
// The pin is the tool's go.mod and go.sum. They are the key of the cache, so every checkout with
// the same pin shares one build, and a changed pin never uses an old binary.
package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
)

const (
	// EnvCache names the environment variable that moves the lab's cache folder away from the user's
	// cache folder.
	EnvCache = "GRIDOS_LAB_CACHE"
	// EnvOffline names the environment variable that, set to anything but "0", switches downloads off.
	// Builds still ask the Go module proxy for what the module cache lacks; GOPROXY=off forbids that.
	EnvOffline = "GRIDOS_LAB_OFFLINE"
)

// Resolver finds tools. ToolsDir is required; the other fields have useful zero values.
type Resolver struct {
	// ToolsDir is the repository's tools/ folder with the nested Go modules that pin the tools.
	ToolsDir string
	// CacheDir is where builds are kept; DefaultCacheDir if empty.
	CacheDir string
	// Progress shows one step for each tool that takes long; if it is nil, nothing is shown. Tools
	// that are found at once have no step.
	Progress *progress.Display
	// Offline switches downloads off, as EnvOffline does.
	Offline bool
	// DownloadOnly switches builds off: a tool that can neither be found nor downloaded is an error.
	DownloadOnly bool

	plan *plan // what was announced; nil before

	// Tests replace these.
	catalogue  []Tool      // the package's catalogue if nil
	downloader *downloader // one for the internet if nil
}

// Paths maps a tool's name to the absolute path of its binary.
type Paths map[string]string

// Dirs returns the folders of the binaries, each once, in the order in which they belong on a PATH.
// Folders on the caller's own PATH come last, because they may also have other tools in other
// versions.
func (p Paths) Dirs() []string {
	var own, shared []string
	onPath := filepath.SplitList(os.Getenv("PATH"))
	for _, name := range slices.Sorted(maps.Keys(p)) {
		dir := filepath.Dir(p[name])
		switch {
		case slices.Contains(own, dir) || slices.Contains(shared, dir):
		case slices.Contains(onPath, dir):
			shared = append(shared, dir)
		default:
			own = append(own, dir)
		}
	}
	return append(own, shared...)
}

// DefaultCacheDir returns the folder that all labs of this user share: the value of EnvCache, or
// gridos-lab in the user's cache folder ($XDG_CACHE_HOME or ~/.cache on Linux).
func DefaultCacheDir() (string, error) {
	if dir := os.Getenv(EnvCache); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep the lab's tools in, set %s: %w", EnvCache, err)
	}
	return filepath.Join(dir, "gridos-lab"), nil
}

// Resolve returns the paths of the named tools. It downloads or builds missing tools one after the
// other, because a build uses all cores by itself. For the first unavailable tool it fails with one
// sentence: what was tried, and what to do. With DownloadOnly it fails after the last one, with a
// sentence for each. A cancelled ctx ends a running build and leaves no partial result; the error
// then wraps ctx.Err().
func (r *Resolver) Resolve(ctx context.Context, names ...string) (Paths, error) {
	paths, missing, err := r.lookUp(ctx, names)
	if err != nil || len(missing) == 0 {
		return paths, err
	}
	r.announce(missing)
	failed := map[string]error{}
	var unavailable []error
	for _, s := range missing {
		path, err := s.obtain(ctx, failed)
		if err != nil && r.DownloadOnly && ctx.Err() == nil {
			unavailable = append(unavailable, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		paths[s.tool.Name] = path
	}
	if err := errors.Join(unavailable...); err != nil {
		return nil, err
	}
	return paths, nil
}

// Announce returns those of the names whose tools Resolve would have to download or build, and says
// so to the user: once for each tool, so that a later Resolve of the same tools says it no more.
func (r *Resolver) Announce(ctx context.Context, names ...string) ([]string, error) {
	_, missing, err := r.lookUp(ctx, names)
	if err != nil {
		return nil, err
	}
	r.announce(missing)
	var missed []string
	for _, s := range missing {
		missed = append(missed, s.tool.Name)
	}
	return missed, nil
}

// lookUp finds the tools that need no work.
func (r *Resolver) lookUp(ctx context.Context, names []string) (found Paths, missing []*search, err error) {
	found = Paths{}
	for _, name := range names {
		s, err := r.newSearch(name)
		if err != nil {
			return nil, nil, err
		}
		path, err := s.find(ctx)
		if err != nil {
			return nil, nil, err
		}
		if path == "" {
			missing = append(missing, s)
			continue
		}
		found[name] = path
	}
	return found, missing, nil
}

// search is the look-up of one tool: it collects the reasons why the earlier sources did not have
// it.
type search struct {
	*Resolver
	tool    Tool
	version string // the pinned version, without a leading v
	cached  string // the path in the lab's cache, whether it exists or not
	tried   []string
}

func (r *Resolver) newSearch(name string) (*search, error) {
	tool, err := r.tool(name)
	if err != nil {
		return nil, err
	}
	version, err := r.Version(name)
	if err != nil {
		return nil, err
	}
	cached, err := r.cachedPath(tool, version)
	if err != nil {
		return nil, err
	}
	return &search{Resolver: r, tool: tool, version: version, cached: cached}, nil
}

// title names the tool and its pin, as in "etcd 3.6.6".
func (s *search) title() string { return s.tool.Name + " " + s.version }

// find looks in the places that need no work, and returns "" if the tool is in none. Its only error
// is a cancelled ctx.
func (s *search) find(ctx context.Context) (string, error) {
	if len(s.tool.Patches) > 0 {
		s.tried = append(s.tried, "other copies lack the changes that the lab needs")
	} else if path, err := exec.LookPath(s.tool.Name); err != nil {
		s.tried = append(s.tried, "it is not on PATH")
	} else if s.accept(ctx, path) {
		return filepath.Abs(path)
	}
	if path := s.findInOwnCache(ctx); path != "" {
		return path, nil
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("looking for %s: %w", s.title(), err)
	}
	if isExecutable(s.cached) {
		return s.cached, nil
	}
	if a, err := s.archive(); err == nil && isExecutable(s.downloadedPath(a)) {
		return s.downloadedPath(a), nil
	}
	return "", nil
}

// findInOwnCache looks where the tool's own installer puts it.
func (s *search) findInOwnCache(ctx context.Context) string {
	if s.tool.ownCache == nil {
		return ""
	}
	places, err := s.tool.ownCache(s.Resolver, s.version)
	if err != nil {
		s.tried = append(s.tried, err.Error())
		return ""
	}
	for _, path := range places {
		if isExecutable(path) && s.accept(ctx, path) {
			return path
		}
	}
	return ""
}

// accept reports whether the binary has the pinned version, and records it if not.
func (s *search) accept(ctx context.Context, path string) bool {
	found, err := s.tool.readVersion(ctx, path)
	if err != nil {
		s.tried = append(s.tried, fmt.Sprintf("%s does not tell its version (%v)", path, err))
		return false
	}
	if !s.tool.Match.accepts(s.version, found) {
		s.tried = append(s.tried, fmt.Sprintf("%s is version %s", path, found))
		return false
	}
	return true
}

// start shows a step, if steps are shown.
func (r *Resolver) start(name string) *progress.Step {
	display := r.Progress
	if display == nil {
		display = progress.New(io.Discard)
	}
	return display.Start(name)
}

// obtain downloads or builds the tool. failed has the hosts, and the bundle, that gave nothing to
// another tool already.
func (s *search) obtain(ctx context.Context, failed map[string]error) (string, error) {
	step := s.start(s.title())
	path, how, err := s.downloadOrBuild(ctx, step, failed)
	if err != nil {
		// The caller prints the sentence itself, once.
		outcome := errors.New("not available")
		if ctx.Err() != nil {
			outcome = errors.New("interrupted")
		}
		step.Fail(outcome)
		return "", err
	}
	if how == built {
		how += s.plan.built(s.tool)
	} else {
		s.plan.got(s.tool)
	}
	step.Done(s.explain(how))
	return path, nil
}

func (s *search) downloadOrBuild(
	ctx context.Context, step *progress.Step, failed map[string]error,
) (path, how string, err error) {
	path, err = s.download(ctx, step, failed)
	if err == nil {
		return path, "downloaded", nil
	}
	s.tried = append(s.tried, "not downloaded: "+err.Error())
	if err := ctx.Err(); err != nil {
		return "", "", fmt.Errorf("getting %s: %w", s.title(), err)
	}
	if s.DownloadOnly {
		return "", "", fmt.Errorf("no %s: %s; remedy: put it on PATH, or let the lab build it", s.title(), strings.Join(s.tried, "; "))
	}
	if err = s.build(ctx, step); err != nil {
		if ctx.Err() != nil {
			return "", "", fmt.Errorf("building %s: %w", s.title(), ctx.Err())
		}
		return "", "", s.unavailable(err)
	}
	return s.cached, built, nil
}

// built is how a tool was got that was not downloaded.
const built = "built"

// explain adds to a step's detail that an installed version was rejected.
func (s *search) explain(detail string) string {
	for _, note := range s.tried {
		if strings.HasPrefix(note, string(filepath.Separator)) {
			return detail + " (" + note + ")"
		}
	}
	return detail
}

// unavailable is the final error about a tool that no source has.
func (s *search) unavailable(cause error) error {
	remedy := fmt.Sprintf("put %s on PATH, or connect to the Go module proxy (GOPROXY) so that it can be built", s.title())
	if errors.Is(cause, errNoGo) {
		remedy = fmt.Sprintf("put %s on PATH, or install Go (https://go.dev/dl) so that it can be built", s.title())
	}
	return fmt.Errorf("no %s: %s; building it failed: %w; remedy: %s", s.title(), strings.Join(s.tried, "; "), cause, remedy)
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
