package scenario

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitserver"
	"github.com/gridos/sharedinfra/lab/internal/delivery/image"
	"github.com/gridos/sharedinfra/lab/internal/delivery/traffic"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
)

// Options say where scenarios are played, and with which programs.
type Options struct {
	// Environment is the lab's environment.
	Environment string
	// Dir is the folder for the clone of the repository; it is empty or missing.
	Dir string
	// Kubeconfig is the file that signs in to the lab's cluster.
	Kubeconfig string
	// Lab is the lab's background process.
	Lab *gitops.Client
	// Kustomize, Kubectl, RolloutsPlugin and ArgoCD are the paths of the programs that people and
	// pipelines use.
	Kustomize, Kubectl, RolloutsPlugin, ArgoCD string
	// Infrastructure returns the number of resources in the simulated Azure, and those that no
	// stack of gridos-infra has.
	Infrastructure func(ctx context.Context) (resources int, unknown []string, err error)
	// Log gets an event per line, in JSON. Show gets lines for people, and Detail the present wait.
	Log          io.Writer
	Show, Detail func(text string)
}

// Stage is a lab with an environment that delivers from Git, and a clone of its repository. One
// scenario is played at a time.
type Stage struct {
	options  Options
	status   gitops.Status
	cluster  *kube.Clients
	observer *argo.Observer
	work     *gitserver.Workspace

	scenario string
	began    time.Time
	clock    clock
	// keep says that the scenario leaves a good release, which need not be undone.
	keep     bool
	start    string // the commit at which it began
	releases int
	last     *promotion // nil if there is none that can be undone
	rules    delivery.Rules
}

// promotion is a release that was promoted.
type promotion struct {
	what   string
	commit string
	before argo.State // the stable version until then
}

// NewStage prepares to play. The caller closes the stage.
func NewStage(ctx context.Context, options Options) (*Stage, error) {
	s := &Stage{options: options}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

func (s *Stage) open(ctx context.Context) (err error) {
	if s.status, err = s.options.Lab.Status(ctx); err != nil {
		return err
	}
	if !s.status.Ready {
		return errors.New("Argo CD does not run yet; wait for `bin/lab up --gitops`")
	}
	if s.status.Refused != "" {
		return fmt.Errorf("scenarios need users, whom the application's pods answer: %s", s.status.Refused)
	}
	if err := s.options.Lab.SetRate(ctx, gitops.RequestRate); err != nil {
		return err
	}
	if s.cluster, err = kube.Connect(s.options.Kubeconfig); err != nil {
		return err
	}
	if s.observer, err = argo.Observe(ctx, s.cluster.Objects, s.application()); err != nil {
		return err
	}
	s.work, err = gitserver.Clone(ctx, gitserver.Origin{
		URL: s.status.GitURL, Branch: s.status.Branch, User: s.status.User, Token: s.status.Token,
	}, s.options.Dir)
	return err
}

// Close ends what NewStage began, and removes the clone, also if ctx is done.
func (s *Stage) Close(ctx context.Context) error {
	var err error
	if s.status.Ready {
		resting, cancel := soon(context.WithoutCancel(ctx))
		defer cancel()
		err = s.options.Lab.SetRate(resting, gitops.IdleRate)
	}
	if s.observer != nil {
		s.observer.Stop()
	}
	if s.work != nil {
		err = errors.Join(err, s.work.Close())
	}
	return errors.Join(err, os.RemoveAll(s.options.Dir))
}

func (s *Stage) application() string { return naming.NamespaceGridOS + "-" + s.options.Environment }

// overlay is the folder that the Application syncs.
func (s *Stage) overlay() string { return naming.Overlay(s.options.Environment) }

func (s *Stage) begin(scenario, promise string) {
	s.scenario, s.began, s.clock, s.keep = scenario, time.Now(), clock{}, false
	s.say("begin", promise)
}

// event is one line of the log.
type event struct {
	Time     time.Time `json:"time"`
	Scenario string    `json:"scenario"`
	// Seconds is the time since the scenario began.
	Seconds float64 `json:"seconds"`
	Event   string  `json:"event"`
	Detail  any     `json:"detail,omitempty"`
}

// say logs an event. A log that cannot be written must not end the scenario; the function that
// opened the log checks its end.
func (s *Stage) say(what string, detail any) {
	now := time.Now()
	line, err := json.Marshal(event{now.UTC(), s.scenario, now.Sub(s.began).Seconds(), what, detail})
	if err != nil {
		line = []byte(err.Error())
	}
	_, _ = s.options.Log.Write(append(line, '\n'))
}

// tell logs an event and shows it.
func (s *Stage) tell(what, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.say(what, text)
	s.options.Show(fmt.Sprintf("  %5.1fs  %s", time.Since(s.began).Seconds(), text))
}

// clock times a release.
type clock struct{ pushed, synced, promoted time.Time }

func (c clock) intervals() (pushToSynced, syncedToPromoted *float64) {
	between := func(from, to time.Time) *float64 {
		if from.IsZero() || to.IsZero() {
			return nil
		}
		seconds := to.Sub(from).Seconds()
		return &seconds
	}
	return between(c.pushed, c.synced), between(c.synced, c.promoted)
}

// settle waits until the application matches Git and is healthy, and all requests go to the stable
// version.
func (s *Stage) settle(ctx context.Context) error {
	head, err := s.work.Head(ctx)
	if err != nil {
		return err
	}
	_, err = s.observer.UntilSettled(ctx, "the application is healthy at "+short(head), func(state argo.State) (bool, error) {
		s.options.Detail("waiting for a healthy application")
		return state.Application.Synced(head) && state.Application.Healthy() && s.promoted(state), nil
	})
	return err
}

// putBack restores the manifests and the service of a commit, if one is given, and waits until
// everything is healthy again.
func (s *Stage) putBack(ctx context.Context, commit string) error {
	if err := s.options.Lab.SetWebhook(ctx, true); err != nil {
		return err
	}
	if commit != "" {
		if err := s.restore(ctx, commit); err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

// restore makes Git have the manifests and the service of a commit again.
func (s *Stage) restore(ctx context.Context, commit string) error {
	different := false
	for _, folder := range Folders() {
		changed, err := s.work.Restore(ctx, commit, folder)
		if err != nil {
			return err
		}
		different = different || changed
	}
	if !different {
		return nil
	}
	_, err := s.commit(ctx, "revert: back to "+short(commit))
	return err
}

// commit commits the changes, and pushes them.
func (s *Stage) commit(ctx context.Context, message string) (string, error) {
	commit, err := s.work.Commit(ctx, message)
	if err != nil {
		return "", err
	}
	return commit, s.push(ctx, commit, message)
}

// refresh asks Argo CD to compare an Application with Git at once; Argo CD removes it when it has.
const refresh = "argocd.argoproj.io/refresh"

// notDuringComparison waits for the end of a comparison that a webhook has begun. Argo CD forgets a
// webhook that comes before it, and sees the push at its next poll (argo-cd issue 28306 of June
// 2026; the versions here are older than its pull request 28414). A pipeline takes minutes between
// two pushes; a scenario takes a second.
func (s *Stage) notDuringComparison(ctx context.Context) error {
	const most = 10 * time.Second // Argo CD may be the one that a scenario has stopped
	waiting, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	_, err := s.observer.Until(waiting, "Argo CD has compared the last push", func(state argo.State) (bool, error) {
		return state.Application.Annotations[refresh] == "", nil
	})
	if waiting.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (s *Stage) push(ctx context.Context, commit, message string) error {
	if err := s.notDuringComparison(ctx); err != nil {
		return err
	}
	if err := s.work.Push(ctx); err != nil {
		return err
	}
	s.clock = clock{pushed: time.Now()}
	s.tell("pushed", "pushed %s %q", short(commit), message)
	return nil
}

func short(commit string) string { return commit[:min(7, len(commit))] }

// build is a version of the service in the registry.
type build struct {
	// Tag is the image's tag, Reference its whole name and Digest its digest in the registry.
	Tag, Reference, Digest string
}

// build changes the service, with a mistake or without, commits the change, and builds and pushes
// the image, as the pipeline does.
func (s *Stage) build(ctx context.Context, mistake fault) (build, error) {
	if _, err := s.work.Restore(ctx, s.start, serviceFolder); err != nil { // without an earlier mistake
		return build{}, err
	}
	s.releases++
	note := fmt.Sprintf("%s %d\n", time.Now().UTC().Format(time.RFC3339Nano), s.releases)
	err := s.work.WriteFile("src/CHANGE", []byte(note))
	if err == nil && mistake != nil {
		err = mistake(s.work)
	}
	if err != nil {
		return build{}, err
	}
	commit, err := s.work.Commit(ctx, "feat: a new SCADA widget")
	if err != nil {
		return build{}, err
	}
	if err := errors.Join(s.notDuringComparison(ctx), s.work.Push(ctx)); err != nil {
		return build{}, err
	}
	s.tell("source", "pushed %s, a change of the service", short(commit))
	return s.publish(ctx, s.buildOf(commit))
}

// buildOf returns the names of the build of a commit.
func (s *Stage) buildOf(commit string) build {
	tag := s.options.Environment + "-" + short(commit)
	return build{Tag: tag, Reference: s.status.Registry + "/" + naming.NamespaceGridOS + ":" + tag}
}

// publish builds and pushes the image of a commit; b has its names.
func (s *Stage) publish(ctx context.Context, b build) (build, error) {
	s.options.Detail("building " + b.Tag)
	built, err := image.Build(ctx, s.work.Dir+"/src", b.Tag)
	if err != nil {
		return b, err
	}
	b.Digest, err = image.Push(ctx, built, b.Reference, s.status.User, s.status.RegistryToken)
	if err != nil {
		return b, err
	}
	s.tell("built", "built and pushed %s", b.Reference)
	return b, nil
}

// imageName is the image's name in the base.
const imageName = "gridosacr.azurecr.io/gridos"

// release sets the image in the overlay, and pushes the change.
func (s *Stage) release(ctx context.Context, b build) (commit string, err error) {
	if err := s.work.SetImage(ctx, s.options.Kustomize, s.overlay(), imageName+"="+b.Reference); err != nil {
		return "", err
	}
	return s.commit(ctx, fmt.Sprintf("chore: update %s image to %s", s.options.Environment, b.Tag))
}

// sinceSync is how long ago Argo CD had applied the last commit.
func (s *Stage) sinceSync() time.Duration { return time.Since(s.clock.synced) }

// synced waits until Argo CD has applied a commit.
func (s *Stage) synced(ctx context.Context, commit string) (argo.State, error) {
	state, err := s.observer.UntilSettled(ctx, short(commit)+" is synced", func(state argo.State) (bool, error) {
		s.options.Detail("waiting for Argo CD")
		return state.Application.Synced(commit), nil
	})
	if err == nil {
		s.clock.synced = time.Now()
		s.tell("synced", "synced %.1f s after the push", s.clock.synced.Sub(s.clock.pushed).Seconds())
	}
	return state, err
}

// promoted reports whether the Rollout's wanted version is the stable one, and gets all requests.
func (s *Stage) promoted(state argo.State) bool {
	r := state.Rollout
	return r.Seen() && r.Status.Phase == "Healthy" && r.Status.CurrentPodHash == r.Status.StableRS && state.Routing.Canary == 0
}

// course is the course of a canary.
type course struct {
	State argo.State
	// Weights are its shares of the requests, in percent, in their order.
	Weights []int
	// Analyses are its analyses that were steps, and Background those that ran during the steps.
	Analyses, Background []argo.Analysis
}

// follow shows a canary until done returns true, or it is promoted or aborted. The error is that of
// done.
func (s *Stage) follow(ctx context.Context, tag string, done func(argo.State) (bool, error)) (course, error) {
	since := s.clock.pushed
	shown := map[string]bool{}
	once := func(key, what, format string, args ...any) {
		if !shown[key] {
			shown[key] = true
			s.tell(what, format, args...)
		}
	}
	state, err := s.observer.Until(ctx, tag+" is through", func(state argo.State) (bool, error) {
		if !strings.HasSuffix(state.Rollout.Image(), ":"+tag) || !state.Rollout.Seen() {
			return false, nil
		}
		for _, move := range s.observer.Moves(since) {
			once(fmt.Sprint(move.At), "weight", "requests: %d %% stable, %d %% canary", move.Stable, move.Canary)
		}
		hash := state.Rollout.Status.CurrentPodHash
		for _, analysis := range append(state.AnalysesOf(hash, since), state.BackgroundOf(hash, since)...) {
			if analysis.Status.Phase != "Running" && analysis.Status.Phase != "Pending" && analysis.Status.Phase != "" {
				kind := "analysis"
				if analysis.Background() {
					kind = "background analysis"
				}
				once(analysis.Name, "analysis", "%s %s: %s",
					kind, analysis.Status.Phase, cmp.Or(analysis.Summary(), analysis.Status.Message))
			}
		}
		s.options.Detail(detail(state))
		if state.Rollout.Status.Abort && state.Rollout.Status.Phase == "Degraded" && state.Routing.Canary == 0 {
			return true, nil
		}
		if s.promoted(state) {
			return true, nil
		}
		return done(state)
	})
	if err != nil {
		return course{}, err
	}
	hash := state.Rollout.Status.CurrentPodHash
	c := course{State: state, Analyses: state.AnalysesOf(hash, since), Background: state.BackgroundOf(hash, since)}
	for _, move := range s.observer.Moves(since) {
		if move.Canary > 0 {
			c.Weights = append(c.Weights, move.Canary)
		}
	}
	switch {
	case state.Rollout.Status.Abort:
		s.tell("aborted", "aborted: %s", state.Rollout.Status.Message)
	case s.promoted(state):
		s.clock.promoted = time.Now()
		s.tell("promoted", "promoted %.1f s after the sync", s.clock.promoted.Sub(s.clock.synced).Seconds())
	}
	return c, nil
}

// throughout makes follow go on until the canary has ended.
func throughout(argo.State) (bool, error) { return false, nil }

// detail describes the present state of a canary in a line.
func detail(state argo.State) string {
	r := state.Rollout
	text := fmt.Sprintf("%s, step %d of %d, canary %d %%",
		r.Status.Phase, r.Status.CurrentStepIndex, len(r.Spec.Strategy.Canary.Steps), state.Routing.Canary)
	for _, analysis := range state.AnalysesOf(r.Status.CurrentPodHash, time.Time{}) {
		if analysis.Status.Phase == "Running" {
			text += ", analysis: " + analysis.Summary()
		}
	}
	return text
}

// users returns the results of the users' requests during an action. It goes on until there were
// enough requests, because the action may be shorter than the time between two of them.
func (s *Stage) users(ctx context.Context, while func() error) (seen traffic.Seen, err error) {
	before, err := s.options.Lab.Seen(ctx)
	if err != nil {
		return seen, err
	}
	if err := while(); err != nil {
		return seen, err
	}
	err = eventually(ctx, fmt.Sprintf("users have made %d requests", traffic.Enough), func(ctx context.Context) (bool, error) {
		after, err := s.options.Lab.Seen(ctx)
		if err != nil {
			return false, err
		}
		seen = after.Since(before)
		requests, _ := seen.Requests()
		return requests >= traffic.Enough, nil
	})
	return seen, err
}

// unnoticed returns the number of users' requests during an action that they must not notice.
func (s *Stage) unnoticed(ctx context.Context, while func() error) (requests uint64, err error) {
	seen, err := s.users(ctx, while)
	if err != nil {
		return 0, err
	}
	requests, failed := seen.Requests()
	if failed > 0 {
		return 0, fmt.Errorf("%d of the users' %d requests failed during it, the last: %s", failed, requests, seen.LastFailure)
	}
	return requests, nil
}

// component returns a running component.
func (s *Stage) component(ctx context.Context, name string) (delivery.Component, error) {
	status, err := s.options.Lab.Status(ctx)
	if err != nil {
		return delivery.Component{}, err
	}
	i := slices.IndexFunc(status.Components, func(c delivery.Component) bool { return c.Name == name })
	if i < 0 {
		return delivery.Component{}, fmt.Errorf("%s does not run", name)
	}
	return status.Components[i], nil
}

// soon bounds an action that takes seconds if it works.
func soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Minute)
}
