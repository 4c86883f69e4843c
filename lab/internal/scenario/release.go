package scenario

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/lab/internal/argo"
	"github.com/gridos/sharedinfra/lab/internal/traffic"
	"github.com/gridos/sharedinfra/naming"
)

// webhookLimit is what the time from a push to its sync must stay below when a webhook tells of it.
const webhookLimit = 10 * time.Second

// goodRelease plays the whole flow, from a commit to all requests.
func goodRelease(ctx context.Context, s *Stage) (string, error) {
	b, err := s.build(ctx)
	if err != nil {
		return "", err
	}
	before, err := s.observer.State()
	if err != nil {
		return "", err
	}
	var c course
	var commit string
	seen, err := s.users(ctx, func() (err error) {
		if commit, err = s.release(ctx, b); err != nil {
			return err
		}
		if _, err := s.synced(ctx, commit); err != nil {
			return err
		}
		c, err = s.follow(ctx, b.Tag, throughout)
		return err
	})
	if err != nil {
		return "", err
	}
	if took := s.clock.synced.Sub(s.clock.pushed); took > webhookLimit {
		return "", fmt.Errorf("the commit was synced after %s, and should be within %s", took.Round(time.Second/10), webhookLimit)
	}
	if !s.promoted(c.State) {
		return "", fmt.Errorf("it was not promoted: %s", c.State.Rollout.Status.Message)
	}
	if want := c.State.Rollout.Weights(); !slices.Equal(c.Weights, want) {
		return "", fmt.Errorf("the canary got %v %% of the requests, and should get %v %%", c.Weights, want)
	}
	if len(c.Analyses) != 3 {
		return "", fmt.Errorf("there were %d analyses, and there should be one after each of three pauses", len(c.Analyses))
	}
	for _, analysis := range c.Analyses {
		if analysis.Status.Phase != "Successful" || len(analysis.Status.Metrics) != 2 {
			return "", fmt.Errorf("%s is %s with %d metrics: %s",
				analysis.Name, analysis.Status.Phase, len(analysis.Status.Metrics), analysis.Status.Message)
		}
	}
	if image := c.State.Rollout.Image(); image != b.Reference {
		return "", fmt.Errorf("the Rollout has the image %s, and %s was pushed", image, b.Reference)
	}
	s.keep, s.last = true, &promotion{b.Tag, commit, before}
	requests, failed := seen.Requests()
	if failed > 0 || len(seen.Revisions) != 2 {
		return "", fmt.Errorf("%d of the users' %d requests failed, and %d versions answered instead of two",
			failed, requests, len(seen.Revisions))
	}
	return fmt.Sprintf("%s at %v %%; 3 analyses of 2 metrics Successful; 0 of %d requests failed", b.Tag, c.Weights, requests), nil
}

// badErrors releases a version that answers half of its requests with an error.
func badErrors(ctx context.Context, s *Stage) (string, error) {
	return badRelease(ctx, s, 1, "Failed", func(ctx context.Context, tag string) error {
		return s.options.Lab.SetBehaviour(ctx, tag, traffic.Behaviour{ErrorShare: .5, P50: traffic.Good.P50, P95: traffic.Good.P95})
	}, nil)
}

// badLatency releases a version that gets slow with its second share of the requests.
func badLatency(ctx context.Context, s *Stage) (string, error) {
	slow := traffic.Behaviour{P50: time.Second, P95: 3 * time.Second}
	said := false
	return badRelease(ctx, s, 2, "Failed", nil, func(state argo.State, tag string) error {
		if said || len(state.AnalysesOf(state.Rollout.Status.CurrentPodHash)) == 0 || state.Routing.Canary <= state.Rollout.Weights()[0] {
			return nil
		}
		said = true
		return s.options.Lab.SetBehaviour(ctx, tag, slow)
	})
}

// badRelease releases a version that is to be aborted at an analysis, counted from 1, with that verdict. prepare and during may be nil.
func badRelease(
	ctx context.Context, s *Stage, failing int, verdict string,
	prepare func(ctx context.Context, tag string) error, during func(state argo.State, tag string) error,
) (string, error) {
	stable, err := s.stable(ctx)
	if err != nil {
		return "", err
	}
	b, err := s.build(ctx)
	if err != nil {
		return "", err
	}
	if prepare != nil {
		if err := prepare(ctx, b.Tag); err != nil {
			return "", err
		}
	}
	commit, err := s.release(ctx, b)
	if err != nil {
		return "", err
	}
	if _, err := s.synced(ctx, commit); err != nil {
		return "", err
	}
	c, err := s.follow(ctx, b.Tag, func(state argo.State) (bool, error) {
		if during == nil {
			return false, nil
		}
		return false, during(state, b.Tag)
	})
	if err != nil {
		return "", err
	}
	r := c.State.Rollout
	if !r.Status.Abort || r.Status.StableRS != stable.hash || c.State.Routing != (argo.Routing{Stable: 100}) {
		return "", fmt.Errorf("it was not aborted in favour of %s: the Rollout is %s, stable is %s, requests go %s",
			stable.hash, r.Status.Phase, r.Status.StableRS, c.State.Routing)
	}
	if want := r.Weights()[:failing]; !slices.Equal(c.Weights, want) {
		return "", fmt.Errorf("the canary got %v %% of the requests, and should get %v %%", c.Weights, want)
	}
	if len(c.Analyses) != failing {
		return "", fmt.Errorf("there were %d analyses, and it should be aborted at number %d", len(c.Analyses), failing)
	}
	for i, analysis := range c.Analyses {
		want := "Successful"
		if i == failing-1 {
			want = verdict
		}
		if analysis.Status.Phase != want {
			return "", fmt.Errorf("analysis %d is %s, and should be %s: %s", i+1, analysis.Status.Phase, want, analysis.Status.Message)
		}
	}
	if err := s.keptItsPods(ctx, stable); err != nil {
		return "", err
	}
	last := c.Analyses[failing-1]
	return fmt.Sprintf("aborted at %d %%, %.0f s after the sync (%s); %d stable pods untouched, 100 %% of the requests",
		c.Weights[failing-1], time.Since(s.clock.synced).Seconds(), last.Status.Message, len(stable.pods)), nil
}

// promotion returns what was promoted last, by an earlier scenario or now. It can be taken back once: what was before it is one of the
// last revisions then.
func (s *Stage) promotion(ctx context.Context) (promotion, error) {
	if s.last == nil {
		if err := s.promote(ctx); err != nil {
			return promotion{}, err
		}
	}
	p := *s.last
	s.last = nil
	return p, nil
}

// promote releases a good version and waits until it is promoted.
func (s *Stage) promote(ctx context.Context) error {
	before, err := s.observer.State()
	if err != nil {
		return err
	}
	b, err := s.build(ctx)
	if err != nil {
		return err
	}
	commit, err := s.release(ctx, b)
	if err != nil {
		return err
	}
	if _, err := s.synced(ctx, commit); err != nil {
		return err
	}
	c, err := s.follow(ctx, b.Tag, throughout)
	if err != nil {
		return err
	}
	if !s.promoted(c.State) {
		return fmt.Errorf("%s was not promoted: %s", b.Tag, c.State.Rollout.Status.Message)
	}
	s.last = &promotion{b.Tag, commit, before}
	return nil
}

// back waits until the version of a state is stable again, and returns how many analyses that took.
func (s *Stage) back(ctx context.Context, to argo.State) (analyses int, err error) {
	had := len(to.AnalysesOf(to.Rollout.Status.StableRS))
	ctx, cancel := soon(ctx)
	defer cancel()
	state, err := s.observer.UntilSettled(ctx, to.Rollout.Image()+" is back", func(state argo.State) (bool, error) {
		s.options.Detail(detail(state))
		return state.Rollout.Status.StableRS == to.Rollout.Status.StableRS && s.promoted(state), nil
	})
	return len(state.AnalysesOf(to.Rollout.Status.StableRS)) - had, err
}

// gitRevert reverts the commit of a version that was promoted.
func gitRevert(ctx context.Context, s *Stage) (string, error) {
	p, err := s.promotion(ctx)
	if err != nil {
		return "", err
	}
	reverted, err := s.work.Revert(ctx, p.commit)
	if err != nil {
		return "", err
	}
	if err := s.push(ctx, reverted, "git revert "+short(p.commit)); err != nil {
		return "", err
	}
	pushed := s.clock.pushed
	if _, err := s.synced(ctx, reverted); err != nil {
		return "", err
	}
	analyses, err := s.back(ctx, p.before)
	if err != nil {
		return "", err
	}
	s.clock.promoted = time.Now()
	if analyses > 0 {
		return "", fmt.Errorf("going back took %d analyses, and should take none", analyses)
	}
	s.keep = true
	return fmt.Sprintf("%s replaced by what was before it %.1f s after the push, without steps", p.what, time.Since(pushed).Seconds()), nil
}

// skipReconcile makes Argo CD leave an Application alone.
const skipReconcile = "argocd.argoproj.io/skip-reconcile"

// undo goes back by hand, as docs/GITOPS_COMPLETE_FLOW.md tells to: Argo CD would put back what Git says within seconds.
func undo(ctx context.Context, s *Stage) (evidence string, err error) {
	p, err := s.promotion(ctx)
	if err != nil {
		return "", err
	}
	if err := s.annotate(ctx, skipReconcile, `"true"`); err != nil {
		return "", err
	}
	defer func() {
		if release := s.annotate(context.WithoutCancel(ctx), skipReconcile, "null"); err == nil {
			err = release
		}
	}()
	began := time.Now()
	if _, err := s.run(ctx, s.options.RolloutsPlugin, "undo", argo.RolloutName, "--namespace", naming.NamespaceGridOS); err != nil {
		return "", err
	}
	s.tell("undo", "kubectl argo rollouts undo %s", argo.RolloutName)
	analyses, err := s.back(ctx, p.before)
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	if analyses > 0 {
		return "", fmt.Errorf("going back took %d analyses, and should take none", analyses)
	}
	reverted, err := s.work.Revert(ctx, p.commit)
	if err != nil {
		return "", err
	}
	if err := s.push(ctx, reverted, "git revert "+short(p.commit)); err != nil {
		return "", err
	}
	state, err := s.observer.State()
	if err != nil {
		return "", err
	}
	generation := state.Rollout.Generation
	if err := s.annotate(ctx, skipReconcile, "null"); err != nil {
		return "", err
	}
	if state, err = s.synced(ctx, reverted); err != nil {
		return "", err
	}
	if state.Rollout.Generation != generation {
		return "", fmt.Errorf("Git's catching up changed the Rollout again (generation %d, then %d)", generation, state.Rollout.Generation)
	}
	s.keep = true
	return fmt.Sprintf("%s replaced by what was before it in %.1f s; git revert then changed nothing in the cluster",
		p.what, took.Seconds()), nil
}

// annotate sets an annotation of the Application; value is JSON, and null removes it.
func (s *Stage) annotate(ctx context.Context, key, value string) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, key, value)
	_, err := s.objects.Resource(argo.Applications).Namespace(naming.NamespaceArgoCD).
		Patch(ctx, s.application(), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// run runs a program against the lab's cluster, and returns what it prints.
func (s *Stage) run(ctx context.Context, program string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, program, append(args, "--kubeconfig", s.options.Kubeconfig)...)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, strings.TrimSpace(string(output)))
	}
	return string(output), nil
}
