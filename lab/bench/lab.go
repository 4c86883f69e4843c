package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gridos/sharedinfra/lab/bench/figures"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

// environment is measured where the environments do not differ in anything that takes time.
const environment = "dev"

// interruptedEnd is how long a command of the lab may take to end after an interruption.
const interruptedEnd = time.Minute

// bench is what all measurements share.
type bench struct {
	rounds  int
	dir     string // temporary
	site    site.Site
	tools   []string // directories of programs
	display *progress.Display
	command string // the lab, built; empty before the first use
}

// newBench finds the tools.
func newBench(ctx context.Context, rounds int, display *progress.Display) (*bench, error) {
	here, err := site.Open(environment)
	if err != nil {
		return nil, err
	}
	resolver := &toolchain.Resolver{ToolsDir: here.ToolsDir(), Progress: display}
	paths, err := resolver.Resolve(ctx, toolchain.All()...)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gridos-bench-*")
	if err != nil {
		return nil, err
	}
	return &bench{rounds: rounds, dir: dir, site: here, tools: paths.Dirs(), display: display}, nil
}

// lab runs a command of the lab as its users do, and returns what it printed.
func (b *bench) lab(ctx context.Context, args ...string) ([]byte, error) {
	if b.command == "" {
		command := filepath.Join(b.dir, "lab")
		if err := b.build(ctx, command); err != nil {
			return nil, err
		}
		b.command = command
	}
	command := exec.CommandContext(ctx, b.command, args...)
	command.Dir = b.site.Repository
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = interruptedEnd
	printed, err := command.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("lab %v: %w\n%s", args, err, failed.Stderr)
	}
	return printed, err
}

func (b *bench) build(ctx context.Context, path string) error {
	step := b.display.Start("build of the lab")
	command := exec.CommandContext(ctx, "go", "build", "-o", path, "./lab")
	command.Dir = b.site.Repository
	if printed, err := command.CombinedOutput(); err != nil {
		step.Fail(errors.New("see below"))
		return fmt.Errorf("%w\n%s", err, printed)
	}
	step.Done("")
	return nil
}

// withLab brings the lab up, lets do work with it, and takes it down.
func (b *bench) withLab(ctx context.Context, up []string, do func(ctx context.Context) error) (err error) {
	if b.site.Exists() {
		return fmt.Errorf("%s is up in this checkout, and would be taken down; run make lab-down first", environment)
	}
	defer func() {
		step := b.display.Start("lab down")
		_, downErr := b.lab(context.WithoutCancel(ctx), "down")
		step.Done("")
		err = errors.Join(err, downErr)
	}()
	step := b.display.Start("lab up")
	if _, err := b.lab(ctx, up...); err != nil {
		step.Fail(errors.New("see below"))
		return err
	}
	step.Done("")
	return do(ctx)
}

// inLab is withLab for what only reads the lab: if it is up in this checkout, do works with it, and
// it stays up.
func (b *bench) inLab(ctx context.Context, up []string, do func(ctx context.Context) error) error {
	if b.site.Exists() {
		return do(ctx)
	}
	return b.withLab(ctx, up, do)
}

// running returns an engine for the lab that is up.
func (b *bench) running() (*engine.Engine, error) {
	record, ok, err := b.site.Running()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s does not run", environment)
	}
	return engine.New(b.site, record, b.display)
}

// labUp measures how long the lab takes to come up from nothing, and to find that there is nothing
// to do. It is the lab that `make lab` brings up, with delivery from Git.
func labUp(ctx context.Context, b *bench) ([]figures.Row, error) {
	up := []string{"up", "--gitops"}
	var first, again []float64
	for round := range b.rounds {
		began := time.Now()
		err := b.withLab(ctx, up, func(ctx context.Context) error {
			first = append(first, time.Since(began).Seconds())
			step := b.display.Start(fmt.Sprintf("lab up again, %d of %d", round+1, b.rounds))
			seconds, err := took(func() error {
				_, err := b.lab(ctx, append(up, "--expect-no-changes")...)
				return err
			})
			again = append(again, seconds)
			step.Done("")
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return []figures.Row{
		figures.Single("lab/up", "lab: `up` from stopped, tools built", "a minute", 60, figures.Seconds, first),
		figures.Single("lab/up-again", "lab: `up` without changes", "ten seconds", 10, figures.Seconds, again),
	}, nil
}

// release is the measured part of a scenario's result.
type release struct {
	Passed           bool    `json:"passed"`
	Evidence         string  `json:"evidence"`
	PushToSynced     float64 `json:"pushToSyncedSeconds"`
	SyncedToPromoted float64 `json:"syncedToPromotedSeconds"`
}

// flow measures how long a commit takes to go live.
func flow(ctx context.Context, b *bench) (rows []figures.Row, err error) {
	var synced, promoted []float64
	var waits time.Duration
	err = b.withLab(ctx, []string{"up", "--gitops"}, func(ctx context.Context) error {
		for round := range b.rounds {
			step := b.display.Start(fmt.Sprintf("release, %d of %d", round+1, b.rounds))
			printed, err := b.lab(ctx, "scenarios", "good-release", "--json")
			if err != nil {
				step.Fail(errors.New("see below"))
				return err
			}
			var results []release
			if err := json.Unmarshal(printed, &results); err != nil {
				return err
			}
			if len(results) != 1 || !results[0].Passed {
				return fmt.Errorf("the release was not promoted: %s", printed)
			}
			step.Done(results[0].Evidence)
			if waits, err = configuredWaits(ctx, b.site.KubeconfigFile()); err != nil {
				return err
			}
			synced = append(synced, results[0].PushToSynced)
			promoted = append(promoted, results[0].SyncedToPromoted-waits.Seconds())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []figures.Row{
		figures.Single("flow/synced", "push → synced, by webhook", "five seconds", 5, figures.Seconds, synced),
		figures.Single("flow/promoted",
			fmt.Sprintf("synced → promoted, without the %.0f s of scaled pauses and measurements", waits.Seconds()),
			"ten seconds", 10, figures.Seconds, promoted),
	}, nil
}
