package scenario

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/traffic"
)

// fault is a mistake in the service's source; nil is none.
type fault func(work Source) error

// Source is a checkout, whose files a mistake changes.
type Source interface {
	// Replace changes a text that is in a file exactly once.
	Replace(name, old, replacement string) error
	// WriteFile writes a file.
	WriteFile(name string, content []byte) error
}

const (
	apiFile = "src/internal/api/api.go"
	// reads is where a request that reads is served, among them those for the page.
	reads = "\t\tclient := a.access.Networks.Client(r)\n"
)

// readsWith is a fault in all requests that read.
func readsWith(statements string) fault {
	return func(work Source) error { return work.Replace(apiFile, reads, statements+reads) }
}

var (
	// failing answers half of the requests that read with 500.
	failing = readsWith(`		if a.now().UnixMicro()%2 == 0 {
			a.fail(w, r, errors.New("a mistake of this version"))
			return
		}
`)
	// sluggish answers half of them after a second and a half.
	sluggish = readsWith(`		if a.now().UnixMicro()%2 == 0 {
			time.Sleep(1500 * time.Millisecond)
		}
`)
)

// queueing lets one request that reads wait for the other, so that a pod answers 16 a second: a
// canary has enough of that for its first share of the requests, and not for its second.
func queueing(work Source) error {
	const turn = "package api\n\nvar turn = make(chan struct{}, 1)\n"
	return errors.Join(
		work.WriteFile(path.Join(path.Dir(apiFile), "turn.go"), []byte(turn)),
		readsWith("\t\tturn <- struct{}{}\n\t\ttime.Sleep(60 * time.Millisecond)\n\t\t<-turn\n")(work),
	)
}

// crashing ends at its start.
func crashing(work Source) error {
	const begin = "func serve(ctx context.Context, s settings.Settings, logger *slog.Logger) error {\n"
	return work.Replace("src/main.go", begin, begin+"\tif ctx.Err() == nil {\n\t\treturn errors.New(\"a mistake of this version\")\n\t}\n")
}

// unready never says that it is ready.
func unready(work Source) error {
	return work.Replace("src/internal/service/service.go", "\tcase !r.prepared.Load():\n", "\tcase true:\n")
}

// badRelease is a release that must be aborted.
type badRelease struct {
	// fault is the mistake in its source.
	fault fault
	// shares is how many shares of the requests the canary gets, and verdict that of the analysis
	// that aborts it.
	shares  int
	verdict string
	// during is called at each change while it is a canary; it may be nil.
	during func(state argo.State) error
	// users judges what users got of the canary and of the stable version; it may be nil.
	users func(canary, stable traffic.Revision) error
}

func (b badRelease) play(ctx context.Context, s *Stage) (string, error) {
	stable, err := s.stable(ctx)
	if err != nil {
		return "", err
	}
	built, err := s.build(ctx, b.fault)
	if err != nil {
		return "", err
	}
	var c course
	var commit string
	seen, err := s.users(ctx, func() (err error) {
		if commit, err = s.release(ctx, built); err != nil {
			return err
		}
		if _, err = s.synced(ctx, commit); err != nil {
			return err
		}
		c, err = s.follow(ctx, built.Tag, func(state argo.State) (bool, error) {
			if b.during == nil {
				return false, nil
			}
			return false, b.during(state)
		})
		return err
	})
	if err != nil {
		return "", err
	}
	judged, err := c.aborted(stable.hash, b.shares, b.verdict)
	if err != nil {
		return "", err
	}
	took := s.sinceSync()
	if err := s.keptItsPods(ctx, stable); err != nil {
		return "", err
	}
	if err := errors.Join(s.told(ctx, "release-aborted", built.Reference), s.told(ctx, "degraded", commit)); err != nil {
		return "", err
	}
	var ofCanary, ofStable traffic.Revision
	for _, revision := range seen.Revisions {
		switch revision.Hash {
		case c.State.Rollout.Status.CurrentPodHash:
			ofCanary = revision
		case stable.hash:
			ofStable = revision
		}
	}
	if b.users != nil {
		if err := b.users(ofCanary, ofStable); err != nil {
			return "", fmt.Errorf("of the canary users got %+v, of the stable version %+v: %w", ofCanary, ofStable, err)
		}
	}
	requests, failed := seen.Requests()
	return fmt.Sprintf("aborted at %d %%, %.0f s after the sync (%s); %d stable pods untouched, 100 %% of the requests; "+
		"%d of the users' %d requests failed, and %d of the canary's %d took more than half a second; people told once",
		c.Weights[b.shares-1], took.Seconds(), judged.Status.Message, len(stable.pods),
		failed, requests, ofCanary.Slow, ofCanary.Requests), nil
}

// badErrors releases a version that fails from the beginning.
func badErrors(ctx context.Context, s *Stage) (string, error) {
	return badRelease{fault: failing, shares: 1, verdict: "Failed", users: func(canary, stable traffic.Revision) error {
		if 5*canary.Failed < canary.Requests || stable.Failed > 0 {
			return errors.New("a fifth or more of the canary's should have failed, and none of the stable version's")
		}
		return nil
	}}.play(ctx, s)
}

// badLatency releases a version that becomes slow with its second share of the requests.
func badLatency(ctx context.Context, s *Stage) (string, error) {
	return badRelease{fault: queueing, shares: 2, verdict: "Failed", users: func(canary, stable traffic.Revision) error {
		if 10*canary.Slow < canary.Requests || stable.Failed > 0 || 20*stable.Slow > stable.Requests {
			return errors.New("a tenth or more of the canary's should have been slow, and hardly any of the stable version's")
		}
		return nil
	}}.play(ctx, s)
}

// canaryCrashes releases a version that ends at its start, canaryUnready one that never gets ready.
func canaryCrashes(ctx context.Context, s *Stage) (string, error) { return stillborn(ctx, s, crashing) }

func canaryUnready(ctx context.Context, s *Stage) (string, error) { return stillborn(ctx, s, unready) }

// heldUntil has, on a ReplicaSet, when Argo Rollouts may scale it down after an abort or a
// promotion.
const heldUntil = "scale-down-deadline"

// forgetOldReleases ends the pods of earlier releases, which would stay for a quarter of an hour
// after a promotion, and deletes their ReplicaSets. While one of them has the annotation, Argo
// Rollouts 1.9.0 does not abort a canary at its deadline (rollout/sync.go,
// isWaitingForReplicaSetScaleDown), and it never takes the annotation off one of an aborted release
// (argo-rollouts issue 4971 of August 2026). docs/OPERATIONS.md says what to do.
func (s *Stage) forgetOldReleases(ctx context.Context, stable string) error {
	s.last = nil // undo would need one of them
	began := time.Now().UTC().Format(time.RFC3339)
	sets := s.cluster.Core.AppsV1().ReplicaSets(naming.NamespaceGridOS)
	return wait.PollUntilContextCancel(ctx, lookStep, true, func(ctx context.Context) (bool, error) {
		all, err := sets.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		forgotten := true
		for _, set := range all.Items {
			_, held := set.Annotations[heldUntil]
			switch {
			case !held || set.Labels[argo.RevisionLabel] == stable:
			case set.Status.Replicas > 0:
				s.options.Detail("waiting for the end of " + set.Name)
				forgotten = false
				due := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, heldUntil, began)
				if _, err := sets.Patch(ctx, set.Name, types.MergePatchType, []byte(due), metav1.PatchOptions{}); err != nil {
					return false, err
				}
			default:
				if err := sets.Delete(ctx, set.Name, metav1.DeleteOptions{}); err != nil {
					return false, err
				}
			}
		}
		return forgotten, nil
	})
}

// stillborn releases a version whose pods do not get ready. The commit shortens the time after
// which Argo Rollouts gives up to a tenth.
func stillborn(ctx context.Context, s *Stage, bad fault) (string, error) {
	stable, err := s.stable(ctx)
	if err != nil {
		return "", err
	}
	if err := s.forgetOldReleases(ctx, stable.hash); err != nil {
		return "", err
	}
	built, err := s.build(ctx, bad)
	if err != nil {
		return "", err
	}
	const field, deadline = "progressDeadlineSeconds: ", time.Minute
	file := path.Join(naming.Manifests(s.options.Environment), "rollout.yaml")
	if err := s.work.Replace(file, field+"600\n", fmt.Sprintf("%s%.0f\n", field, deadline.Seconds())); err != nil {
		return "", err
	}
	var c course
	requests, err := s.unnoticed(ctx, func() (err error) {
		commit, err := s.release(ctx, built)
		if err != nil {
			return err
		}
		if _, err := s.synced(ctx, commit); err != nil {
			return err
		}
		waiting, cancel := context.WithTimeout(ctx, 2*deadline)
		defer cancel()
		if c, err = s.follow(waiting, built.Tag, throughout); err != nil && waiting.Err() != nil {
			err = fmt.Errorf("its deadline is %s, and it was not aborted: %w", deadline, err)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	r := c.State.Rollout.Status
	if !r.Abort || r.StableRS != stable.hash || len(c.Weights) > 0 {
		return "", fmt.Errorf("the Rollout is %s with %s stable, and the canary got %v %% of the requests; "+
			"it should be aborted with %s, and none", r.Phase, r.StableRS, c.Weights, stable.hash)
	}
	took := s.sinceSync()
	// Argo Rollouts sends the event at the deadline, and again when it has aborted (argo-rollouts
	// v1.9.0, rollout/sync.go, calculateRolloutConditions). No condition of a trigger tells the two
	// apart without keeping back the only event of another abort.
	const events = 2
	if err := errors.Join(s.keptItsPods(ctx, stable), s.toldTimes(ctx, events, "release-aborted", built.Reference)); err != nil {
		return "", err
	}
	return fmt.Sprintf("aborted %.0f s after the sync (%s) without a share of the requests; %d stable pods untouched, 0 of %d requests "+
		"failed; people told", took.Seconds(), r.Message, len(stable.pods), requests), nil
}
