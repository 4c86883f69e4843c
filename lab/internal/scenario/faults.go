package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
)

// kill ends a component without a chance to tidy up, and returns how to wait until the kubelet's stand-in has started it again.
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

// rolloutsKilled kills Argo Rollouts in the pause at the second weight.
func rolloutsKilled(ctx context.Context, s *Stage) (string, error) {
	b, err := s.build(ctx)
	if err != nil {
		return "", err
	}
	var c course
	seen, err := s.users(ctx, func() error {
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
	requests, failed := total(seen)
	if failed > 0 {
		return "", fmt.Errorf("%d of %d requests failed meanwhile", failed, requests)
	}
	return fmt.Sprintf("killed at 25 %%; %v %% in all, 0 of %d requests failed", c.Weights, requests), nil
}

// pollingLimit is what the documents promise; bootstrap/argocd sets the interval that keeps it.
const pollingLimit = 3 * time.Minute

// polling pushes without telling Argo CD.
func polling(ctx context.Context, s *Stage) (string, error) {
	if err := s.options.Lab.SetWebhook(ctx, false); err != nil {
		return "", err
	}
	if err := s.addConfigMap("gridos-polled", ""); err != nil {
		return "", err
	}
	commit, err := s.commit(ctx, "feat: a ConfigMap that nobody announces")
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
	if took < time.Second {
		return "", fmt.Errorf("the commit was synced after %s: somebody told Argo CD", took)
	}
	return fmt.Sprintf("synced %.0f s after the push, with Argo CD's own interval", took.Seconds()), nil
}
