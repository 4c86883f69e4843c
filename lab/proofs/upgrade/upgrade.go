// Package upgrade takes an environment of the lab from a release to the working tree while users
// send requests, and judges whether they notice, and whether anything is lost.
package upgrade

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/scenario"
	"github.com/gridos/sharedinfra/lab/internal/world"
	"github.com/gridos/sharedinfra/lab/internal/world/baseline"
)

// Options say what is upgraded.
type Options struct {
	// Site is a new environment in a copy of the working tree; its manifests and its service are
	// replaced by those of the release.
	Site site.Site
	// Repository is the working tree.
	Repository string
	// Release is where the environment begins, and Built are the release's programs.
	Release baseline.Release
	Built   engine.Built
	Display *progress.Display
}

// Play brings the environment up as the release has it, and upgrades it. The error is about what
// did not work at all; the report's verdict is the caller's to ask for.
func Play(ctx context.Context, o Options) (Report, error) {
	report := Report{Environment: o.Site.Environment, From: o.Release.Name, Commit: o.Release.Commit, Again: []string{}}
	announced, err := o.announced()
	if err != nil {
		return report, err
	}
	// The lab's Git server begins with these folders.
	for _, folder := range scenario.Folders() {
		to := filepath.Join(o.Site.Repository, folder)
		if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(filepath.Join(o.Built.Checkout, folder)))); err != nil {
			return report, err
		}
	}
	if err := world.UpBuilt(ctx, o.Site, o.Display, o.Built); err != nil {
		return report, fmt.Errorf("%s of %s does not come up in the lab: %w", o.Site.Environment, o.Release, err)
	}
	users, err := seen(o.Site)
	if err != nil {
		return report, err
	}
	if err := users.SetRate(ctx, gitops.RequestRate); err != nil {
		return report, err
	}
	before, err := users.Seen(ctx)
	if err != nil {
		return report, err
	}
	began := time.Now()
	if err := o.upgrade(ctx, &report, announced); err != nil {
		return report, err
	}
	err = site.WaitFor(ctx, func() (bool, error) {
		now, err := users.Seen(ctx)
		since := now.Since(before)
		report.Requests, report.Failed = since.Requests()
		report.LastFailure = since.LastFailure
		return report.Requests >= Least, err
	})
	report.Seconds = time.Since(began).Seconds()
	return report, err
}

// announced are the names of what the working tree's changelog announces and that of the release
// does not.
func (o Options) announced() ([]string, error) {
	earlier, err := os.ReadFile(filepath.Join(o.Built.Checkout, baseline.Changelog))
	if err != nil {
		return nil, err
	}
	now, err := os.ReadFile(filepath.Join(o.Repository, baseline.Changelog))
	return Announced(string(earlier), string(now)), err
}

// seen returns the client that tells how users fare.
func seen(s site.Site) (*gitops.Client, error) {
	client, ok, err := gitops.Connect(s.GitOpsDir())
	if err == nil && !ok {
		err = fmt.Errorf("%s has no users: its background process does not deliver from Git", s.Environment)
	}
	return client, err
}

// upgrade makes the steps of the pipeline: the projects, in their order, then the manifests and the
// service. While the release of the service makes its pauses, it looks whether anything is left to
// do.
func (o Options) upgrade(ctx context.Context, report *Report, announced []string) error {
	updates, err := world.UpdateAll(ctx, o.Site, o.Display)
	for _, update := range updates {
		report.Projects = append(report.Projects, ProjectOf(update.Result, update.Made, announced))
	}
	if err != nil {
		return err
	}
	var promoted error
	var release sync.WaitGroup
	release.Go(func() { promoted = o.application(ctx, &report.Application) })
	results, _, err := world.Up(ctx, o.Site, o.Display, world.DeliveryAsItIs)
	for _, r := range results {
		if r.Changed() > 0 {
			report.Again = append(report.Again, r.Project.Name+": "+r.Summary())
		}
	}
	release.Wait()
	return errors.Join(err, promoted)
}

func (o Options) application(ctx context.Context, to *Application) (err error) {
	began := time.Now()
	step := o.Display.Start("manifests and service")
	defer func() {
		if err != nil {
			step.Fail(err)
			return
		}
		to.Seconds = time.Since(began).Seconds()
		step.Done(to.String())
	}()
	return world.Play(ctx, o.Site, o.Display, step.Update, func(stage *scenario.Stage) (err error) {
		to.Upgraded, err = stage.Upgrade(ctx, o.Repository)
		return err
	})
}

// String says it in a line.
func (a Application) String() string {
	switch {
	case a.Image != "":
		return fmt.Sprintf("%s released, at %v %% of the requests", a.Image, a.Weights)
	case len(a.Changed) > 0:
		return "synced"
	default:
		return "no change"
	}
}
