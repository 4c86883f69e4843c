package scenario

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
)

// webhookLimit is the maximum time from a push to its sync if a webhook announces the push.
const webhookLimit = 10 * time.Second

// goodRelease plays the whole flow, from a commit to all requests.
func goodRelease(ctx context.Context, s *Stage) (string, error) {
	b, err := s.build(ctx, nil)
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
	requests, failed := seen.Requests()
	var noticed error
	if failed > 0 {
		noticed = fmt.Errorf("%d of the users' %d requests failed, the last: %s", failed, requests, seen.LastFailure)
	}
	if took := s.clock.synced.Sub(s.clock.pushed); took > webhookLimit {
		return "", fmt.Errorf("the commit was synced after %s, and should be within %s", took.Round(time.Second/10), webhookLimit)
	}
	if !s.promoted(c.State) {
		return "", errors.Join(fmt.Errorf("it was not promoted: %s", c.State.Rollout.Status.Message), noticed)
	}
	if want := c.State.Rollout.Weights(); !slices.Equal(c.Weights, want) {
		return "", fmt.Errorf("the canary got %v %% of the requests, and should get %v %%", c.Weights, want)
	}
	if len(c.Analyses) != 3 {
		return "", fmt.Errorf("there were %d analyses, and there should be one after each of three pauses", len(c.Analyses))
	}
	for _, analysis := range c.Analyses {
		if analysis.Status.Phase != "Successful" || len(analysis.Status.Metrics) != 4 {
			return "", fmt.Errorf("%s is %s with %d metrics: %s",
				analysis.Name, analysis.Status.Phase, len(analysis.Status.Metrics), analysis.Status.Message)
		}
	}
	if len(c.Background) != 1 || len(c.Background[0].Status.Metrics) != 6 {
		return "", fmt.Errorf("there were %d analyses in the background, and there should be one with 6 metrics", len(c.Background))
	}
	if image := c.State.Rollout.Image(); image != b.Reference {
		return "", fmt.Errorf("the Rollout has the image %s, and %s was pushed", image, b.Reference)
	}
	s.keep, s.last = true, &promotion{b.Tag, commit, before}
	if err := s.told(ctx, "deployed", commit); err != nil {
		return "", err
	}
	if noticed != nil {
		return "", noticed
	}
	if len(seen.Revisions) != 2 {
		return "", fmt.Errorf("%d versions answered the users instead of two", len(seen.Revisions))
	}
	return fmt.Sprintf("%s at %v %%; 3 analyses of 4 metrics Successful, one of 6 in the background; 0 of %d requests failed; "+
		"people told once",
		b.Tag, c.Weights, requests), nil
}

// aborted returns the analysis that aborted a canary in favour of a stable version, with that
// verdict, after that many shares of the requests. The error says how the canary ended instead.
func (c course) aborted(stable string, shares int, verdict string) (argo.Analysis, error) {
	r := c.State.Rollout
	if !r.Status.Abort || r.Status.StableRS != stable || c.State.Routing != (argo.Routing{Stable: 100}) {
		return argo.Analysis{}, fmt.Errorf("it was not aborted in favour of %s: the Rollout is %s, stable is %s, requests go %s",
			stable, r.Status.Phase, r.Status.StableRS, c.State.Routing)
	}
	if want := r.Weights()[:shares]; !slices.Equal(c.Weights, want) {
		return argo.Analysis{}, fmt.Errorf("the canary got %v %% of the requests, and should get %v %%", c.Weights, want)
	}
	var judged *argo.Analysis
	for _, analysis := range slices.Concat(c.Background, c.Analyses) {
		switch analysis.Status.Phase {
		case verdict:
			judged = &analysis
		case "Failed", "Error", "Inconclusive":
			return argo.Analysis{}, fmt.Errorf("%s is %s, and should be %s or Successful: %s",
				analysis.Name, analysis.Status.Phase, verdict, analysis.Status.Message)
		}
	}
	if judged == nil {
		return argo.Analysis{}, fmt.Errorf("no analysis is %s: %s", verdict, r.Status.Message)
	}
	return *judged, nil
}

// promotion returns the last promotion, by an earlier scenario or a new one. It can be undone once,
// because its commit can be reverted once.
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
	b, err := s.build(ctx, nil)
	if err != nil {
		return err
	}
	c, commit, err := s.deliver(ctx, b)
	if err != nil {
		return err
	}
	if !s.promoted(c.State) {
		return fmt.Errorf("%s was not promoted: %s", b.Tag, c.State.Rollout.Status.Message)
	}
	s.last = &promotion{b.Tag, commit, before}
	return nil
}

// back waits until the version of a state is stable again, and returns the number of analyses until
// then.
func (s *Stage) back(ctx context.Context, to argo.State) (analyses int, err error) {
	had := len(to.AnalysesOf(to.Rollout.Status.StableRS, time.Time{}))
	ctx, cancel := soon(ctx)
	defer cancel()
	state, err := s.observer.UntilSettled(ctx, to.Rollout.Image()+" is back", func(state argo.State) (bool, error) {
		s.options.Detail(detail(state))
		return state.Rollout.Status.StableRS == to.Rollout.Status.StableRS && s.promoted(state), nil
	})
	return len(state.AnalysesOf(to.Rollout.Status.StableRS, time.Time{})) - had, err
}

// gitRevert reverts the commit of a version that was promoted.
func gitRevert(ctx context.Context, s *Stage) (string, error) {
	p, err := s.promotion(ctx)
	if err != nil {
		return "", err
	}
	if _, err := s.revert(ctx, p.commit); err != nil {
		return "", err
	}
	pushed := s.clock.pushed
	c, err := s.follow(ctx, tagOf(p.before.Rollout.Image()), throughout)
	if err != nil {
		return "", err
	}
	if !s.promoted(c.State) || c.State.Rollout.Status.StableRS != p.before.Rollout.Status.StableRS {
		return "", fmt.Errorf("%s is not back: %s", p.before.Rollout.Image(), c.State.Rollout.Status.Message)
	}
	if want := c.State.Rollout.Weights(); !slices.Equal(c.Weights, want) || len(c.Analyses) != 3 {
		return "", fmt.Errorf("going back took %v %% of the requests and %d analyses, and should take %v %% and 3",
			c.Weights, len(c.Analyses), want)
	}
	s.keep = true
	return fmt.Sprintf("%s replaced by what was before it at %v %%, with 3 analyses, %.0f s after the push",
		p.what, c.Weights, time.Since(pushed).Seconds()), nil
}

// revert reverts a commit and waits until the revert is synced.
func (s *Stage) revert(ctx context.Context, commit string) (reverted string, err error) {
	if reverted, err = s.work.Revert(ctx, commit); err != nil {
		return "", err
	}
	if err := s.push(ctx, reverted, "git revert "+short(commit)); err != nil {
		return "", err
	}
	_, err = s.synced(ctx, reverted)
	return reverted, err
}

// tagOf returns the tag of an image.
func tagOf(image string) string {
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return tag
}

// condemned makes Argo Rollouts abort a version, releases a good one on top of it, and reverts
// that, so that Git asks for the aborted version again.
func condemned(ctx context.Context, s *Stage) (string, error) {
	s.last = nil // undo would go back to the version that this scenario condemns
	first, err := s.stable(ctx)
	if err != nil {
		return "", err
	}
	bad, err := s.build(ctx, failing)
	if err != nil {
		return "", err
	}
	c, _, err := s.deliver(ctx, bad)
	if err != nil {
		return "", err
	}
	if _, err := c.aborted(first.hash, 1, "Failed"); err != nil {
		return "", err
	}

	good, err := s.build(ctx, nil)
	if err != nil {
		return "", err
	}
	c, commit, err := s.deliver(ctx, good)
	if err != nil {
		return "", err
	}
	if want := c.State.Rollout.Weights(); !s.promoted(c.State) || !slices.Equal(c.Weights, want) {
		return "", fmt.Errorf("the version on top of the aborted one got %v %% of the requests and should get %v %%: %s",
			c.Weights, want, c.State.Rollout.Status.Message)
	}
	second := c.State.Rollout.Status.StableRS

	reverted, err := s.revert(ctx, commit)
	if err != nil {
		return "", err
	}
	if c, err = s.follow(ctx, bad.Tag, throughout); err != nil {
		return "", err
	}
	judged, err := c.aborted(second, 1, "Failed")
	if err != nil {
		return "", fmt.Errorf("Git asked for the condemned version again: %w", err)
	}
	took := s.sinceSync()
	if _, err := s.revert(ctx, reverted); err != nil {
		return "", err
	}
	if _, err := s.back(ctx, c.State); err != nil {
		return "", err
	}
	s.keep = true
	return fmt.Sprintf("%s was released on top of %s, which was aborted, with all steps; Git's going back to the latter was aborted at "+
		"%v %%, %.0f s after the sync (%s)", good.Tag, bad.Tag, c.Weights, took.Seconds(), judged.Status.Message), nil
}

// deliver releases a version and follows it to its end.
func (s *Stage) deliver(ctx context.Context, b build) (course, string, error) {
	commit, err := s.release(ctx, b)
	if err != nil {
		return course{}, "", err
	}
	if _, err := s.synced(ctx, commit); err != nil {
		return course{}, "", err
	}
	c, err := s.follow(ctx, b.Tag, throughout)
	return c, commit, err
}

// skipReconcile makes Argo CD leave an Application alone.
const skipReconcile = "argocd.argoproj.io/skip-reconcile"

// undo goes back by hand, as docs/GITOPS_COMPLETE_FLOW.md describes. Otherwise Argo CD would
// restore Git's version within seconds.
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
	if err := s.rollouts(ctx, "undo"); err != nil {
		return "", err
	}
	s.tell("undo", "kubectl argo rollouts undo %s", argo.RolloutName)
	if _, err := s.observer.Until(ctx, "Argo Rollouts has begun with it", func(state argo.State) (bool, error) {
		return state.Rollout.Seen() && state.Rollout.Status.CurrentPodHash == p.before.Rollout.Status.StableRS, nil
	}); err != nil {
		return "", err
	}
	if err := s.rollouts(ctx, "promote", "--full"); err != nil {
		return "", err
	}
	s.tell("promote", "kubectl argo rollouts promote %s --full", argo.RolloutName)
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
	_, err := s.cluster.Objects.Resource(argo.Applications).Namespace(naming.NamespaceArgoCD).
		Patch(ctx, s.application(), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// run runs a program against the lab's cluster, and returns its output.
func (s *Stage) run(ctx context.Context, program string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, program, append(args, "--kubeconfig", s.options.Kubeconfig)...)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, strings.TrimSpace(string(output)))
	}
	return string(output), nil
}

// rollouts runs a verb of the plugin of Argo Rollouts on the application's Rollout.
func (s *Stage) rollouts(ctx context.Context, verb string, flags ...string) error {
	args := append([]string{verb, argo.RolloutName, "--namespace", naming.NamespaceGridOS}, flags...)
	_, err := s.run(ctx, s.options.RolloutsPlugin, args...)
	return err
}
