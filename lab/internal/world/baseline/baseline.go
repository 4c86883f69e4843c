// Package baseline brings up the code of an earlier commit in a lab of its own, to compare the
// working tree with it. It keeps what the commit made, and begins with a copy of it the next time.
package baseline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// folder is the folder of all baselines, inside of the lab's. Each commit has a folder there.
const folder = "base"

// Baseline is an earlier commit, checked out and built.
type Baseline struct {
	// Commit is the full hash of the commit.
	Commit string
	// Name is its name for people: the ref that they gave, and the beginning of the hash.
	Name string

	site site.Site // the environment of the commit's own lab
	dir  string
	lab  string // the digest of the working tree's lab
	lock *flock.Flock
	made time.Time // when the environment was made that is to be kept; zero if none is
}

// Find returns the full hash of the commit at which the checkout's history branched off ref. Later
// commits on ref are no change of the working tree. The errors say what is wrong with ref.
func Find(ctx context.Context, s site.Site, ref string) (string, error) {
	if err := readable(ctx, s.Repository); err != nil {
		return "", err
	}
	tip, err := git(ctx, s.Repository, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("there is no commit %q in this checkout; fetch it, or name another", ref)
	}
	base, err := git(ctx, s.Repository, "merge-base", tip, "HEAD")
	if err != nil {
		return "", fmt.Errorf("%s and HEAD have no commit in common here; in a shallow checkout, git fetch --unshallow first", ref)
	}
	return base, nil
}

// Open checks out a commit that Find has found for ref, and builds that commit's lab. No other
// command works with a baseline of this checkout until Close is called.
func Open(ctx context.Context, s site.Site, ref, commit string, display *progress.Display) (*Baseline, error) {
	all := filepath.Join(filepath.Dir(s.Dir), folder)
	b := &Baseline{
		Commit: commit, Name: fmt.Sprintf("%s (%.7s)", ref, commit),
		dir: filepath.Join(all, commit), lock: flock.New(all + ".lock"),
	}
	if err := os.MkdirAll(all, 0o700); err != nil {
		return nil, err
	}
	if strings.HasPrefix(commit, ref) {
		b.Name = commit[:7]
	}
	locked, err := b.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", b.lock.Path(), err)
	}
	if !locked {
		return nil, errors.New("another command compares this checkout with a commit; wait for it, or stop it")
	}
	b.site = site.Site{
		// The previewed programs are the working tree's, instead of the commit's own.
		Repository:  s.Repository,
		Environment: s.Environment,
		Dir:         filepath.Join(b.Checkout(), filepath.Base(filepath.Dir(s.Dir)), s.Environment),
	}
	if err := b.prepare(ctx, display); err != nil {
		return nil, errors.Join(err, b.lock.Unlock())
	}
	return b, nil
}

// title is the name of the step that brings the environment up.
func (b *Baseline) title() string { return b.site.Environment + " of " + b.Name }

// Checkout is the folder with the commit's files.
func (b *Baseline) Checkout() string { return filepath.Join(b.dir, "checkout") }

func (b *Baseline) binary() string { return filepath.Join(b.dir, "lab") }

// prepare checks out the commit's files and builds its lab, unless they are there. It also stops
// everything that an earlier comparison left running, and deletes the commits of old ones.
func (b *Baseline) prepare(ctx context.Context, display *progress.Display) (err error) {
	if b.lab, err = digest(ctx, b.site.Repository, "lab"); err != nil {
		return err
	}
	now := time.Now()
	if err := errors.Join(os.MkdirAll(b.dir, 0o700), os.Chtimes(b.dir, now, now), b.discard(ctx), b.forgetOld()); err != nil {
		return err
	}
	built := filepath.Join(b.dir, "commit") // the last file to be written
	if text, err := os.ReadFile(built); err == nil && string(text) == b.Commit {
		return nil
	}
	step := display.Start("build of " + b.Name)
	err = errors.Join(os.RemoveAll(b.dir), os.MkdirAll(b.Checkout(), 0o700))
	if err == nil {
		err = Extract(ctx, b.site.Repository, b.Commit, b.Checkout())
	}
	if err == nil {
		err = b.build(ctx)
	}
	if err == nil {
		err = os.WriteFile(built, []byte(b.Commit), 0o600)
	}
	if err != nil {
		step.Fail(errors.New("see below"))
		return fmt.Errorf("make %s ready to be compared with: %w", b.Name, err)
	}
	step.Done("")
	return nil
}

func (b *Baseline) build(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(b.Checkout(), "lab")); errors.Is(err, fs.ErrNotExist) {
		return errors.New("it has no lab; choose a later commit")
	}
	// The go command compiles a package again for every directory in which it finds the package. So
	// it gets the commit's files at the paths of the working tree's, and compiles only the
	// differences. The result is not debugged, so it has no symbols, which links faster.
	overlay := filepath.Join(b.dir, "overlay.json")
	if err := b.writeOverlay(ctx, overlay); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-overlay", overlay, "-o", b.binary(), "./lab")
	command.Dir = b.site.Repository
	return explain(command.CombinedOutput())
}

// Up brings the environment up, and returns its site: from what an earlier comparison has kept, if
// that fits, or else with the commit's own lab.
func (b *Baseline) Up(ctx context.Context, display *progress.Display, fits Fits) (site.Site, error) {
	if resumed, err := b.resume(ctx, display, fits); resumed || err != nil {
		return b.site, err
	}
	if err := b.bringUp(ctx, display); err != nil {
		return b.site, err
	}
	if err := b.beginToKeep(ctx); err != nil {
		display.Printf("What %s made is not kept for the next time: %v", b.Name, err)
	}
	return b.site, nil
}

// bringUp brings the environment up from nothing, with the commit's own lab.
func (b *Baseline) bringUp(ctx context.Context, display *progress.Display) error {
	step := display.Start(b.title())
	log := b.binary() + ".log"
	output, err := os.Create(log)
	if err != nil {
		step.Fail(err)
		return err
	}
	defer output.Close() // it is read only after the command failed
	// The command has a process group of its own, so that a Ctrl-C interrupts it only once.
	command := exec.CommandContext(ctx, b.binary(), "up", "-s", b.site.Environment)
	command.Dir = b.Checkout()
	command.Env = append(os.Environ(), "CI=true") // plain lines
	// What it waits for is this step's detail: it may have to build the tools first.
	command.Stdout = io.MultiWriter(output, step.Lines())
	command.Stderr = command.Stdout
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = interruptedEnd
	if err := command.Run(); err != nil {
		step.Fail(errors.New("see below"))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		end, logErr := site.EndOfLog(log)
		return errors.Join(
			fmt.Errorf("%s of %s does not come up in the lab, so that nothing can be compared with it: %w\n%s",
				b.site.Environment, b.Name, err, end),
			logErr)
	}
	step.Done("")
	return nil
}

// interruptedEnd is how long an interrupted lab may take to finish its present work.
const interruptedEnd = time.Minute

// Stop ends the processes that Up left running. Their files stay until Close.
func (b *Baseline) Stop(ctx context.Context) error { return daemon.Stop(ctx, b.site) }

// Forget is called after a preview that failed or was interrupted: Close keeps nothing then,
// because it is not known what the preview did to the cluster.
func (b *Baseline) Forget() { b.made = time.Time{} }

// Close stops and removes everything that Up left. The built files stay, and so does what a new
// environment had before the comparison, for the next one with the same commit.
func (b *Baseline) Close(ctx context.Context, display *progress.Display) error {
	if !b.made.IsZero() {
		err := b.Stop(ctx)
		if err == nil {
			err = b.keep()
		}
		if err != nil {
			display.Printf("What %s made is not kept for the next time: %v", b.Name, err)
		}
	}
	return errors.Join(b.discard(ctx), b.lock.Unlock())
}

// discard removes every environment of the commits' labs, those of a killed command too.
func (b *Baseline) discard(ctx context.Context) error {
	inside, err := filepath.Rel(b.dir, filepath.Dir(b.site.Dir))
	if err != nil {
		return err
	}
	labs, err := filepath.Glob(filepath.Join(filepath.Dir(b.dir), "*", inside, "*", "backend"))
	if err != nil {
		return err
	}
	for _, backend := range labs {
		s := b.site
		s.Dir = filepath.Dir(backend)
		if err := errors.Join(daemon.Stop(ctx, s), s.Remove()); err != nil {
			return fmt.Errorf("remove an earlier comparison: %w", err)
		}
	}
	return nil
}
