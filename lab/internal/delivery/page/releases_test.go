package page

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitserver"
)

const (
	sourceCommit   = "aaaaaaa0000000000000000000000000000000aa"
	manifestCommit = "bbbbbbb0000000000000000000000000000000bb"
	otherCommit    = "ccccccc0000000000000000000000000000000cc"
	oldPods        = "old"
	newPods        = "new"
)

// play is a release as the recorder sees it, second by second.
type play struct {
	recorder
	now   time.Time
	state argo.State
	moves []argo.Move
	users map[string]Answers
}

func newPlay(t *testing.T) *play {
	t.Helper()
	p := &play{now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), users: map[string]Answers{}}
	require.NoError(t, json.Unmarshal([]byte(`{"Rollout": {
		"metadata": {"name": "gridos", "generation": 1},
		"spec": {"strategy": {"canary": {"steps": [{"setWeight": 10}, {}, {"setWeight": 25}, {"setWeight": 100}]}}},
		"status": {"phase": "Healthy", "observedGeneration": "1", "currentPodHash": "old", "stableRS": "old"}},
		"Routing": {"Stable": 100}}`), &p.state))
	p.tell(t, "http://registry/gridos:dev-0000000")
	p.serve(oldPods, 100, 0)
	return p
}

// tell changes the wanted image.
func (p *play) tell(t *testing.T, image string) {
	t.Helper()
	require.NoError(t, json.Unmarshal(fmt.Appendf(nil, `{"containers": [{"image": %q}]}`, image), &p.state.Rollout.Spec.Template.Spec))
}

// after lets time pass, and shows the recorder the state of then.
func (p *play) after(seconds int) {
	p.now = p.now.Add(time.Duration(seconds) * time.Second)
	p.observe(p.state, p.moves, p.now)
}

func (p *play) serve(pods string, requests, failed uint64) {
	was := p.users[pods]
	p.users[pods] = Answers{pods, was.Requests + requests, was.Failed + failed}
	var all []Answers
	for _, a := range p.users {
		all = append(all, a)
	}
	p.now = p.now.Add(time.Second)
	p.count(all, p.now)
}

func (p *play) push(id, message string, files ...string) {
	p.pushedCommits([]gitserver.PushedCommit{{ID: id, Message: message, Files: files}}, p.now)
}

func (p *play) sync(commit string) {
	p.state.Application.Status.Sync.Status, p.state.Application.Status.Sync.Revision = "Synced", commit
}

// begin shows a canary at a share of the requests.
func (p *play) weigh(canary int) {
	p.state.Rollout.Status.CurrentPodHash, p.state.Rollout.Status.Phase = newPods, "Paused"
	p.state.Routing = argo.Routing{Stable: 100 - canary, Canary: canary}
	p.moves = append(p.moves, argo.Move{Routing: p.state.Routing, At: p.now})
}

func (p *play) judged(name, phase string, background bool) {
	kind := "Step"
	if background {
		kind = "Background"
	}
	a := argo.Analysis{ObjectMeta: metav1.ObjectMeta{
		Name: name, CreationTimestamp: metav1.NewTime(p.now),
		Labels: map[string]string{"rollout-type": kind, "rollouts-pod-template-hash": newPods},
	}}
	a.Status.Phase = phase
	p.state.Analyses = append(p.state.Analyses, a)
}

func (p *play) newest(t *testing.T) Release {
	t.Helper()
	all := p.shown()
	require.NotEmpty(t, all)
	return all[0]
}

func states(r Release) string {
	text := ""
	for _, s := range r.Stages {
		text += s.Name + " " + string(s.State) + ", "
	}
	return text
}

// released brings a new image as far as its canary.
func (p *play) released(t *testing.T) {
	t.Helper()
	p.push(sourceCommit, "feat: a widget\n\nlong", "src/main.go")
	assert.Equal(t, "commit done, build active, push waiting, sync waiting, canary waiting, ", states(p.newest(t)))
	p.after(20)
	p.receiving(p.now)
	assert.Equal(t, "commit done, build done, push active, sync waiting, canary waiting, ", states(p.newest(t)))
	p.after(1)
	p.pushedImage("dev-aaaaaaa", p.now)
	p.push(manifestCommit, "chore: update dev image to dev-aaaaaaa", "applications/gridos/overlays/dev/kustomization.yaml")
	p.after(2)
	require.Len(t, p.shown(), 1, "both commits are one release")
	assert.Equal(t, "commit done, build done, push done, sync active, canary waiting, ", states(p.newest(t)))
	p.sync(manifestCommit)
	p.tell(t, "http://registry/gridos:dev-aaaaaaa")
	p.weigh(0)
	p.after(1)
	assert.Equal(t, "commit done, build done, push done, sync done, canary active, ", states(p.newest(t)))
}

func TestUnit_AReleaseIsShownFromItsCommitToAllRequests(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	p.released(t)
	p.weigh(10)
	p.after(1)
	p.serve(oldPods, 90, 0)
	p.serve(newPods, 10, 2)
	p.judged("run-1", "Successful", false)
	p.judged("run-0", "Running", true)
	p.weigh(25)
	p.after(1)
	p.serve(newPods, 25, 0)
	r := p.newest(t)
	assert.Equal(t, "dev-aaaaaaa", r.Tag)
	assert.Equal(t, "feat: a widget", r.Title)
	require.Len(t, r.Steps, 3)
	assert.Equal(t, []State{Done, Active, Waiting}, []State{r.Steps[0].State, r.Steps[1].State, r.Steps[2].State})
	assert.Equal(t, uint64(10), r.Steps[0].Requests)
	assert.Equal(t, uint64(2), r.Steps[0].Failed)
	assert.Equal(t, uint64(25), r.Steps[1].Requests)
	require.NotNil(t, r.Steps[0].Analysis)
	assert.Equal(t, "Successful", r.Steps[0].Analysis.Phase)
	assert.Equal(t, "/objects/analysisruns/run-1", r.Steps[0].Analysis.Object)
	assert.Nil(t, r.Steps[1].Analysis)
	require.NotNil(t, r.Background)
	assert.Equal(t, uint64(125), r.Requests)
	assert.Equal(t, uint64(2), r.Failed)
	assert.InDelta(t, 1, r.FailedSeconds, .1)

	p.weigh(100)
	p.after(1)
	p.state.Rollout.Status.StableRS, p.state.Rollout.Status.Phase = newPods, "Healthy"
	p.state.Routing = argo.Routing{Stable: 100}
	p.after(1)
	r = p.newest(t)
	assert.Equal(t, Promoted, r.Outcome)
	assert.NotNil(t, r.Ended)
	assert.Equal(t, Done, r.Steps[2].State)
	assert.Equal(t, "commit done, build done, push done, sync done, canary done, ", states(r))
	before := r.Requests
	p.serve(newPods, 100, 0)
	assert.Equal(t, before, p.newest(t).Requests, "later requests are not the release's")
	p.after(60)
	assert.Len(t, p.shown(), 1)
}

func TestUnit_AnAbortedReleaseSaysWhyAndWhatItsRevertDoes(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	p.released(t)
	p.weigh(10)
	p.after(1)
	p.state.Rollout.Status.Abort, p.state.Rollout.Status.Phase = true, "Degraded"
	p.state.Rollout.Status.Message = `Metric "failed" assessed Failed`
	p.state.Routing = argo.Routing{Stable: 100}
	p.after(1)
	r := p.newest(t)
	assert.Equal(t, Aborted, r.Outcome)
	assert.Equal(t, `Metric "failed" assessed Failed`, r.Why)
	assert.Equal(t, Failed, r.Steps[0].State)
	assert.Equal(t, Waiting, r.Steps[1].State)
	assert.Equal(t, Failed, r.Stages[4].State)
	p.after(60)
	assert.Len(t, p.shown(), 1, "Git still asks for it, which is no release")

	p.push(otherCommit, "Revert", "applications/gridos/overlays/dev/kustomization.yaml")
	p.sync(otherCommit)
	p.after(1)
	p.state.Rollout.Status.Abort, p.state.Rollout.Status.Phase, p.state.Rollout.Status.CurrentPodHash = false, "Healthy", oldPods
	p.after(6)
	r = p.newest(t)
	assert.Equal(t, "Revert", r.Title)
	assert.Equal(t, Synced, r.Outcome)
	assert.Equal(t, "commit done, sync done, ", states(r))
}

// Argo CD writes the routes in the middle of a canary, which goes on.
func TestUnit_AChangeOfTheRoutesIsNoCanaryAndEndsNone(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	p.released(t)
	p.weigh(10)
	p.after(1)
	p.push(otherCommit, "fix: routes", "applications/gridos/base/ingress.yaml")
	p.sync(otherCommit)
	p.after(1)
	p.after(6)
	all := p.shown()
	require.Len(t, all, 2)
	assert.Equal(t, Synced, all[0].Outcome)
	assert.Empty(t, all[0].Steps)
	assert.Equal(t, UnderWay, all[1].Outcome)
	assert.Equal(t, Active, all[1].Steps[0].State)
}

func TestUnit_ACommitThatCannotBeSyncedSaysWhyOnceAnotherTakesItsPlace(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	p.push(manifestCommit, "break it", "applications/gridos/base/ingress.yaml")
	require.NoError(t, json.Unmarshal([]byte(`{"conditions": [{"type": "ComparisonError", "message": "no such file"}]}`), &p.state.Application.Status))
	p.after(1)
	assert.Equal(t, UnderWay, p.newest(t).Outcome)
	p.state.Application.Status.Conditions = nil
	p.push(otherCommit, "mend it", "applications/gridos/base/ingress.yaml")
	p.sync(otherCommit)
	p.after(1)
	all := p.shown()
	require.Len(t, all, 2)
	assert.Equal(t, Superseded, all[1].Outcome)
	assert.Equal(t, "ComparisonError: no such file", all[1].Why)
}

func TestUnit_AChangeByHandIsShownToo(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	p.weigh(10)
	p.after(1)
	r := p.newest(t)
	assert.Equal(t, UnderWay, r.Outcome)
	assert.Contains(t, r.Title, "without a commit")
	require.Len(t, r.Steps, 3)
}

func TestUnit_ALongReleaseKeepsItsFiguresWithFewerPoints(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	p.released(t)
	p.weigh(10)
	p.after(1)
	const seconds = 3*mostPoints + 1
	for i := range seconds {
		p.serve(oldPods, 100, uint64(i%2))
	}
	r := p.newest(t)
	assert.LessOrEqual(t, len(r.Users), mostPoints)
	var all, failed uint64
	lasted := 0.
	for _, point := range r.Users {
		all, failed, lasted = all+point.All, failed+point.Failed, lasted+point.Seconds
	}
	assert.Equal(t, uint64(100*seconds), all)
	assert.Equal(t, all, r.Requests)
	assert.Equal(t, failed, r.Failed)
	assert.Greater(t, lasted, float64(seconds)-1)
	assert.Len(t, p.recorder.users, rememberedSeconds)
}

func TestUnit_BeforeTheApplicationIsThereNoUserFails(t *testing.T) {
	t.Parallel()
	var r recorder
	now := time.Now()
	for i := range 3 {
		r.count([]Answers{{"", uint64(100 * i), uint64(100 * i)}}, now.Add(time.Duration(i)*time.Second))
	}
	assert.Empty(t, r.users)
	r.count([]Answers{{"", 300, 300}, {oldPods, 10, 0}}, now.Add(3*time.Second))
	r.count([]Answers{{"", 310, 310}, {oldPods, 20, 0}}, now.Add(4*time.Second))
	require.Len(t, r.users, 1)
	assert.Equal(t, uint64(10), r.users[0].Failed)
}

// The count begins again when the lab's process does.
func TestUnit_ACountThatBeginsAgainIsNoRequest(t *testing.T) {
	t.Parallel()
	var r recorder
	now := time.Now()
	r.count([]Answers{{oldPods, 1000, 10}}, now)
	assert.Empty(t, r.users)
	r.count([]Answers{{oldPods, 5, 0}}, now.Add(time.Second))
	r.count([]Answers{{oldPods, 15, 1}}, now.Add(2*time.Second))
	require.Len(t, r.users, 2)
	assert.Zero(t, r.users[0].All)
	assert.Equal(t, uint64(10), r.users[1].All)
	assert.Equal(t, uint64(1), r.users[1].Failed)
}
