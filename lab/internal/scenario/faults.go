package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
)

// kill kills a component without a chance to clean up. It returns a function that waits until the
// kubelet's stand-in has restarted it.
func (s *Stage) kill(ctx context.Context, name string) (restarted func() error, err error) {
	component, err := s.component(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := syscall.Kill(component.PID, syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("kill %s: %w", name, err)
	}
	s.tell("killed", "killed %s (process %d)", name, component.PID)
	return func() error {
		return eventually(ctx, name+" runs again", func(ctx context.Context) (bool, error) {
			now, err := s.component(ctx, name)
			return err == nil && now.PID != component.PID, err
		})
	}, nil
}

// argoCDKilled kills Argo CD's controller between two waves of a sync.
func argoCDKilled(ctx context.Context, s *Stage) (string, error) {
	const first, last = "gridos-first", "gridos-last"
	if err := s.addConfigMap(first, ""); err != nil {
		return "", err
	}
	if err := s.addConfigMap(last, "  annotations:\n    argocd.argoproj.io/sync-wave: \"3\"\n"); err != nil {
		return "", err
	}
	commit, err := s.commit(ctx, "feat: two ConfigMaps, one after the other")
	if err != nil {
		return "", err
	}
	waiting, cancel := soon(ctx)
	defer cancel()
	if err := eventually(waiting, "the sync is under way", func(ctx context.Context) (bool, error) {
		return s.hasConfigMap(ctx, first)
	}); err != nil {
		return "", err
	}
	restarted, err := s.kill(ctx, delivery.ApplicationController)
	if err != nil {
		return "", err
	}
	state, err := s.observer.State()
	if err != nil {
		return "", err
	}
	there, err := s.hasConfigMap(ctx, last)
	if err != nil {
		return "", err
	}
	if phase := state.Application.Status.OperationState.Phase; there || phase != "Running" {
		return "", fmt.Errorf("the sync was %s already; nothing was interrupted", phase)
	}
	if err := restarted(); err != nil {
		return "", err
	}
	again := time.Now()
	if _, err := s.synced(ctx, commit); err != nil {
		return "", err
	}
	if there, err = s.hasConfigMap(ctx, last); err != nil || !there {
		return "", errors.Join(err, fmt.Errorf("after the sync there is no ConfigMap %s", last))
	}
	return fmt.Sprintf("killed between two waves; the second was applied %.1f s after the restart", time.Since(again).Seconds()), nil
}

// rolloutsKilled kills Argo Rollouts during the pause at the second weight.
func rolloutsKilled(ctx context.Context, s *Stage) (string, error) {
	b, err := s.build(ctx, nil)
	if err != nil {
		return "", err
	}
	var c course
	requests, err := s.unnoticed(ctx, func() error {
		commit, err := s.release(ctx, b)
		if err != nil {
			return err
		}
		if _, err := s.synced(ctx, commit); err != nil {
			return err
		}
		const pauseAt = 4 // the step after the second setWeight
		before, err := s.follow(ctx, b.Tag, func(state argo.State) (bool, error) {
			return state.Rollout.Status.CurrentStepIndex == pauseAt && state.Rollout.Status.Phase == "Paused", nil
		})
		if err != nil {
			return err
		}
		restarted, err := s.kill(ctx, delivery.Rollouts)
		if err != nil {
			return err
		}
		if err := restarted(); err != nil {
			return err
		}
		now, err := s.observer.State()
		if err != nil {
			return err
		}
		if now.Routing != before.State.Routing {
			return fmt.Errorf("while it was away requests went %s instead of %s", now.Routing, before.State.Routing)
		}
		c, err = s.follow(ctx, b.Tag, throughout)
		return err
	})
	if err != nil {
		return "", err
	}
	if !s.promoted(c.State) {
		return "", fmt.Errorf("it was not promoted: %s", c.State.Rollout.Status.Message)
	}
	if want := c.State.Rollout.Weights(); !slices.Equal(c.Weights, want) {
		return "", fmt.Errorf("the canary got %v %% of the requests, and should get %v %%, each once", c.Weights, want)
	}
	s.keep, s.last = true, nil
	return fmt.Sprintf("killed at 25 %%; %v %% in all, 0 of %d requests failed", c.Weights, requests), nil
}

// without makes a service unavailable during an action, and returns the number of requests that
// users made in that time without noticing.
func (s *Stage) without(ctx context.Context, service gitops.Service, while func() error) (requests uint64, err error) {
	if err := s.options.Lab.SetAway(ctx, service, true); err != nil {
		return 0, err
	}
	s.tell("away", "%s does not answer", service)
	defer func() {
		back, cancel := soon(context.WithoutCancel(ctx))
		defer cancel()
		err = errors.Join(err, s.options.Lab.SetAway(back, service, false))
		s.tell("back", "%s answers again", service)
	}()
	return s.unnoticed(ctx, while)
}

// gitDown makes the Git host unavailable, asks Argo CD to refresh, and tries to push.
func gitDown(ctx context.Context, s *Stage) (string, error) {
	const name = "gridos-after-the-outage"
	stable, err := s.stable(ctx)
	if err != nil {
		return "", err
	}
	if err := s.addConfigMap(name, ""); err != nil {
		return "", err
	}
	const message = "feat: a ConfigMap that the Git host does not take at first"
	commit, err := s.work.Commit(ctx, message)
	if err != nil {
		return "", err
	}
	requests, err := s.without(ctx, gitops.Git, func() error {
		if err := s.work.Push(ctx); err == nil {
			return errors.New("a push succeeded although the Git host is away")
		}
		if err := s.annotate(ctx, refresh, `"normal"`); err != nil {
			return err
		}
		host := strings.TrimPrefix(s.status.GitURL, "http://")
		problem, err := s.refused(ctx, []string{"ComparisonError", host})
		if err != nil {
			return err
		}
		s.tell("refused", "Argo CD: %s", problem)
		return s.untouched(ctx, stable)
	})
	if err != nil {
		return "", err
	}
	if err := s.push(ctx, commit, message); err != nil {
		return "", err
	}
	if _, err := s.synced(ctx, commit); err != nil {
		return "", err
	}
	if there, err := s.hasConfigMap(ctx, name); err != nil || !there {
		return "", errors.Join(err, fmt.Errorf("after the sync there is no ConfigMap %s", name))
	}
	return fmt.Sprintf("Argo CD named the repository, 0 of %d requests failed, no pod changed; synced %.1f s after the next push",
		requests, s.clock.synced.Sub(s.clock.pushed).Seconds()), nil
}

// registryDown makes the registry unavailable while a version is built, and runs the job again when
// it is back.
func registryDown(ctx context.Context, s *Stage) (string, error) {
	stable, err := s.stable(ctx)
	if err != nil {
		return "", err
	}
	var b build
	requests, err := s.without(ctx, gitops.Registry, func() error {
		var failure error
		if b, failure = s.build(ctx, nil); failure == nil {
			return fmt.Errorf("%s was pushed although the registry is away", b.Reference)
		}
		refused := failure.Error()
		if b.Reference == "" || !strings.Contains(refused, s.status.Registry) {
			return fmt.Errorf("the error does not name the registry %s: %w", s.status.Registry, failure)
		}
		s.tell("refused", "%s", refused)
		return s.untouched(ctx, stable)
	})
	if err != nil {
		return "", err
	}
	if b, err = s.publish(ctx, b); err != nil {
		return "", fmt.Errorf("the registry is back: %w", err)
	}
	commit, err := s.release(ctx, b)
	if err != nil {
		return "", err
	}
	state, err := s.synced(ctx, commit)
	if err != nil {
		return "", err
	}
	if state.Rollout.Image() != b.Reference {
		return "", fmt.Errorf("the Rollout has the image %s, and %s was pushed", state.Rollout.Image(), b.Reference)
	}
	return fmt.Sprintf("the build failed and named %s, nothing was released, 0 of %d requests failed; the same commit was pushed and "+
		"synced afterwards", s.status.Registry, requests), nil
}

// prometheusDown makes Prometheus unavailable as soon as an analysis has begun.
func prometheusDown(ctx context.Context, s *Stage) (evidence string, err error) {
	away := false
	defer func() {
		back, cancel := soon(context.WithoutCancel(ctx))
		defer cancel()
		err = errors.Join(err, s.options.Lab.SetAway(back, gitops.Prometheus, false))
	}()
	return badRelease{shares: 1, verdict: "Error", during: func(state argo.State) error {
		if away || len(state.AnalysesOf(state.Rollout.Status.CurrentPodHash, time.Time{})) == 0 {
			return nil
		}
		away = true
		s.tell("away", "%s does not answer", gitops.Prometheus)
		return s.options.Lab.SetAway(ctx, gitops.Prometheus, true)
	}}.play(ctx, s)
}

// pollingLimit is the time that the documents promise; bootstrap/argocd sets the interval that
// keeps the promise.
const pollingLimit = 3 * time.Minute

// polling pushes without announcing the push to Argo CD.
func polling(ctx context.Context, s *Stage) (string, error) {
	if err := s.options.Lab.SetWebhook(ctx, false); err != nil {
		return "", err
	}
	if err := s.addConfigMap("gridos-polled", ""); err != nil {
		return "", err
	}
	commit, err := s.commit(ctx, "feat: a ConfigMap without a webhook")
	if err != nil {
		return "", err
	}
	if _, err := s.synced(ctx, commit); err != nil {
		return "", err
	}
	took := s.clock.synced.Sub(s.clock.pushed)
	if took > pollingLimit {
		return "", fmt.Errorf("the commit was synced after %s, and should be within %s", took.Round(time.Second), pollingLimit)
	}
	status, err := s.options.Lab.Status(ctx)
	if err != nil {
		return "", err
	}
	if status.Webhook {
		return "", errors.New("the webhook is on again, so Argo CD was told of the push")
	}
	return fmt.Sprintf("synced %.0f s after the push, with Argo CD's own interval", took.Seconds()), nil
}
