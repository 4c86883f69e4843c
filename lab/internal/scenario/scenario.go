// Package scenario plays releases and their failures in a lab that delivers from Git, and checks in
// the live objects what the documents promise.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Scenario is an event in the life of a release, with the promise about it.
type Scenario struct {
	// Name is its name on the command line.
	Name string
	// Promise is the checked promise, in a sentence.
	Promise string
	// Criteria are the success criteria of the delivery flow that it proves.
	Criteria []Criterion
	// play returns the observations, or the reason why the promise does not hold.
	play func(ctx context.Context, s *Stage) (evidence string, err error)
}

// GoodRelease is the name of the scenario in which everything succeeds.
const GoodRelease = "good-release"

// Criterion is one of the flow's success criteria; docs/GITOPS_COMPLETE_FLOW.md lists them.
type Criterion string

// The success criteria.
const (
	Infrastructure  Criterion = "Pulumi manages the infrastructure"
	BootstrapOnce   Criterion = "Helm installs Argo CD, once"
	ArgoManagesApps Criterion = "Argo CD manages the applications, continuously"
	Kustomize       Criterion = "Kustomize has the differences between environments"
	Progressive     Criterion = "Argo Rollouts delivers progressively"
	GitIsTheTruth   Criterion = "Git is the single source of truth"
	NoManualKubectl Criterion = "no manual kubectl to deploy"
	AutoRollback    Criterion = "automatic rollback on failure"
	Audit           Criterion = "full audit trail in Git's history"
)

// Criteria returns all of them, in the order of the documents.
func Criteria() []Criterion {
	return []Criterion{
		Infrastructure, BootstrapOnce, ArgoManagesApps, Kustomize, Progressive, GitIsTheTruth, NoManualKubectl, AutoRollback, Audit,
	}
}

// All returns the scenarios, in the order in which they are played.
func All() []Scenario {
	return []Scenario{
		{
			"infrastructure", "every Azure resource is in a Pulumi stack, and no stack knows another",
			[]Criterion{Infrastructure},
			infrastructure,
		},
		{
			"bootstrap", "Helm has installed Argo CD once, and Argo CD does not manage itself",
			[]Criterion{BootstrapOnce},
			bootstrap,
		},
		{
			"environments", "the environments differ in what their overlays say",
			[]Criterion{Kustomize},
			environments,
		},
		{
			"secrets", "secrets come from the key vault, and none is in Git",
			[]Criterion{GitIsTheTruth},
			secrets,
		},
		{
			GoodRelease, "a commit is built, pushed, synced, promoted over 10, 25, 50 and 100 %, and told once",
			[]Criterion{ArgoManagesApps, Progressive, NoManualKubectl},
			goodRelease,
		},
		{
			"git-revert", "git revert brings the version before back, with the steps and analyses of a release",
			[]Criterion{GitIsTheTruth, NoManualKubectl},
			gitRevert,
		},
		{
			"config-change", "a change of dev's configuration is released in dev and leaves prod's manifests alone",
			[]Criterion{Kustomize},
			configChange,
		},
		{
			"base-promotion", "a change of the base reaches dev, and test and prod one after the other when it is promoted",
			[]Criterion{Kustomize, GitIsTheTruth},
			basePromotion,
		},
		{
			"undo", "kubectl argo rollouts undo and promote --full go back within seconds in an emergency, and Git catches up",
			[]Criterion{GitIsTheTruth},
			undo,
		},
		{
			"config-abort", "pods restart and are added while a change of the configuration is a canary, and after it is aborted",
			[]Criterion{Progressive, GitIsTheTruth},
			configAbort,
		},
		{
			"bad-errors", "a canary that answers with errors is aborted at its first share of the requests, and told once",
			[]Criterion{AutoRollback, Progressive},
			badErrors,
		},
		{
			"bad-latency", "a canary that gets slow with its second share of the requests is aborted at it",
			[]Criterion{AutoRollback, Progressive},
			badLatency,
		},
		{
			"canary-crashes", "a canary whose pods end at their start is aborted at its deadline without any request, and told",
			[]Criterion{AutoRollback, Progressive},
			canaryCrashes,
		},
		{
			"canary-unready", "a canary whose pods do not get ready is aborted at its deadline without any request, and told",
			[]Criterion{AutoRollback, Progressive},
			canaryUnready,
		},
		{
			"long-read", "while a long query reads all telemetry no request waits for the days that come and go, and a release is promoted",
			[]Criterion{Progressive},
			longRead,
		},
		{
			"condemned", "a version is released on top of an aborted one, and a revert to the aborted one is analysed and aborted again",
			[]Criterion{AutoRollback, GitIsTheTruth},
			condemned,
		},
		{
			"drift", "what was changed or deleted by hand is put back, and told once",
			[]Criterion{GitIsTheTruth, ArgoManagesApps},
			drift,
		},
		{
			"routing", "routes that Git changes arrive, and one that is removed by hand comes back",
			[]Criterion{GitIsTheTruth, ArgoManagesApps},
			routing,
		},
		{
			"routing-canary", "routes change in the middle of a canary, which has its share of the requests back within five seconds",
			[]Criterion{GitIsTheTruth, Progressive},
			routingCanary,
		},
		{
			"smoke-test", "a smoke test that fails makes the Application Degraded, until one succeeds",
			[]Criterion{ArgoManagesApps},
			smokeTest,
		},
		{
			"prune", "what is removed from Git disappears from the cluster",
			[]Criterion{GitIsTheTruth, ArgoManagesApps},
			prune,
		},
		{
			"broken-manifest", "a broken manifest leaves the old version serving, and the error says what is broken; people are told once",
			[]Criterion{ArgoManagesApps},
			brokenManifest,
		},
		{
			"argocd-killed", "Argo CD's controller, killed in the middle of a sync, finishes it",
			[]Criterion{ArgoManagesApps},
			argoCDKilled,
		},
		{
			"rollouts-killed", "Argo Rollouts, killed in the middle of a canary, goes on from there",
			[]Criterion{Progressive},
			rolloutsKilled,
		},
		{
			"git-down", "while the Git host is away what runs goes on, and a commit is synced when it is back",
			[]Criterion{ArgoManagesApps, GitIsTheTruth},
			gitDown,
		},
		{
			"registry-down", "a version that the registry does not take is never asked for by Git",
			[]Criterion{GitIsTheTruth},
			registryDown,
		},
		{
			"prometheus-down", "a canary that Prometheus cannot judge is aborted",
			[]Criterion{AutoRollback, Progressive},
			prometheusDown,
		},
		{
			"intruder", "an Application that reaches beyond its project is refused",
			[]Criterion{GitIsTheTruth},
			intruders,
		},
		{
			"no-group", "who is in no group, or not signed in, may do nothing in Argo CD",
			[]Criterion{GitIsTheTruth},
			withoutGroup,
		},
		{
			"foreign-account", "another service account than that of External Secrets cannot read the key vault",
			[]Criterion{GitIsTheTruth},
			foreignServiceAccount,
		},
		{
			"polling", "without a webhook Argo CD finds a commit within three minutes",
			[]Criterion{ArgoManagesApps},
			polling,
		},
		{
			"status", "kubectl shows where a release stands",
			[]Criterion{Progressive},
			status,
		},
		{
			"audit", "every state that was deployed is a commit, with an author and a reason",
			[]Criterion{Audit, GitIsTheTruth},
			audit,
		},
	}
}

// Result is the result of a scenario.
type Result struct {
	Scenario string      `json:"scenario"`
	Promise  string      `json:"promise"`
	Criteria []Criterion `json:"criteria"`
	Passed   bool        `json:"passed"`
	// Evidence has the observations, or the reason why the promise does not hold.
	Evidence string `json:"evidence"`
	// PushToSynced and SyncedToPromoted are in seconds, of the scenario's release; nil if it has none.
	PushToSynced     *float64 `json:"pushToSyncedSeconds,omitempty"`
	SyncedToPromoted *float64 `json:"syncedToPromotedSeconds,omitempty"`
	// Seconds is how long it took, including the restoring of the start.
	Seconds float64 `json:"seconds"`
}

// timeout bounds one scenario. The longest is the one that waits for Argo CD to poll.
const timeout = 5 * time.Minute

// Play plays one scenario, and undoes its changes: the next one begins with a healthy release. The
// result reports a promise that does not hold; the error says that the lab itself does not work, or
// that ctx is done. Every scenario has one promise in common: the objects that pods need to start
// exist.
func (s *Stage) Play(ctx context.Context, scenario Scenario) (Result, error) {
	result := Result{Scenario: scenario.Name, Promise: scenario.Promise, Criteria: scenario.Criteria}
	began := time.Now()
	s.begin(scenario.Name, scenario.Promise)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.settle(limited); err != nil {
		return result, fmt.Errorf("before %s the application is not healthy: %w", scenario.Name, err)
	}
	start, err := s.work.Head(limited)
	if err != nil {
		return result, err
	}
	s.start = start
	stop := s.watchReferences(limited)
	evidence, failure := scenario.play(limited, s)
	failure = errors.Join(failure, stop())
	if ctx.Err() != nil {
		// Play does not wait for the present release, but Git must not keep asking for a bad
		// version.
		back, cancel := soon(context.WithoutCancel(ctx))
		defer cancel()
		return result, errors.Join(context.Cause(ctx), s.restore(back, start))
	}
	result.Passed, result.Evidence = failure == nil, evidence
	if failure != nil {
		result.Evidence = failure.Error()
	}
	result.PushToSynced, result.SyncedToPromoted = s.clock.intervals()
	if result.Passed && s.keep {
		start = "" // the released version stays
	}
	back, cancelBack := context.WithTimeout(ctx, timeout)
	defer cancelBack()
	if err := s.putBack(back, start); err != nil {
		return result, errors.Join(fmt.Errorf("after %s: %w", scenario.Name, err), failure)
	}
	result.Seconds = time.Since(began).Seconds()
	s.say("result", result)
	return result, nil
}

// PlayOn plays a scenario while Git has a mistake in the manifests or the service, and ends when
// Git is as before and the application healthy. It releases no version of the service: the scenario
// builds its own.
func (s *Stage) PlayOn(ctx context.Context, mistake func(work Source) error, scenario Scenario) (result Result, err error) {
	s.begin(scenario.Name, "it notices a mistake in Git")
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.settle(limited); err != nil {
		return result, err
	}
	start, err := s.work.Head(limited)
	if err != nil {
		return result, err
	}
	defer func() {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		put := s.putBack(back, start)
		if put == nil {
			// The pods of a version with the mistake may lack what Git no longer has.
			put = s.forgetMistake(back)
		}
		err = errors.Join(err, put)
	}()
	if err := mistake(s.work); err != nil {
		return result, err
	}
	commit, err := s.commit(limited, "feat: a mistake")
	if err != nil {
		return result, err
	}
	if _, err := s.synced(limited, commit); err != nil {
		return result, err
	}
	return s.Play(ctx, scenario)
}

// forgetMistake ends the pods of all versions but the stable one.
func (s *Stage) forgetMistake(ctx context.Context) error {
	stable, err := s.stable(ctx)
	if err != nil {
		return err
	}
	return s.forgetOldReleases(ctx, stable.hash)
}
