package page

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitserver"
)

const (
	// mostReleases is how many releases the page shows.
	mostReleases = 8
	// mostPoints is how many points the chart of a release has: with more, two neighbours become one.
	mostPoints = 240
	// rememberedSeconds is how much the page shows of users between releases.
	rememberedSeconds = 120
	// unmoved is how long a synced change must leave the Rollout as it is to be one without new pods.
	// Each kind of object has a watch of its own, so the Rollout may show a sync later.
	unmoved = 5 * time.Second
)

// Names of the stages.
const (
	stageCommit = "commit"
	stageBuild  = "build"
	stagePush   = "push"
	stageSync   = "sync"
	stageCanary = "canary"
)

// recorder makes releases of what the Git server, the registry, Argo CD, Argo Rollouts and users
// show. The caller keeps its calls apart.
type recorder struct {
	releases []*release // the oldest first
	answered map[string]Answers
	users    []Requests
	counted  time.Time
	weight   int
}

// release is a Release with what decides how it goes on.
type release struct {
	Release
	source string // the commit that changed the service
	head   string // the commit that Argo CD has to sync
	pushed time.Time
	synced time.Time
	hash   string // of the new pods
	// problem is what Argo CD said while it could not sync the commit.
	problem string
}

func (r *release) open() bool { return r.Outcome == UnderWay }

func (r *release) stage(name string) *Stage {
	i := slices.IndexFunc(r.Stages, func(s Stage) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Stages[i]
}

func (r *release) start(name string, at time.Time) {
	if s := r.stage(name); s != nil && s.State == Waiting {
		s.State, s.From = Active, &at
	}
}

func (r *release) finish(name string, state State, text string, at time.Time) {
	s := r.stage(name)
	if s == nil || s.State == Done || s.State == Failed {
		return
	}
	if s.From == nil {
		s.From = &at
	}
	s.State, s.To, s.Text = state, &at, cmp.Or(text, s.Text)
}

// end ends a release; stages that have begun end with it.
func (r *release) end(outcome Outcome, why string, at time.Time) {
	r.Outcome, r.Why, r.Ended = outcome, why, &at
	state := Done
	if outcome == Aborted || outcome == Superseded {
		state = Failed
	}
	for i := range r.Stages {
		if r.Stages[i].State == Active {
			r.finish(r.Stages[i].Name, state, "", at)
		}
	}
	for i := range r.Steps {
		if r.Steps[i].State == Active {
			r.Steps[i].State = state
		}
	}
	if r.Background != nil && r.Background.Phase == "Running" {
		r.Background.Phase = "Stopped" // with the release, which a later state of it would say
	}
}

func (r *recorder) add(title, id string, at time.Time, stages ...string) *release {
	made := &release{Release: Release{ID: id, Title: title, Began: at, Outcome: UnderWay, Users: []Requests{}, Steps: []Step{}}}
	for _, name := range stages {
		made.Stages = append(made.Stages, Stage{Name: name, State: Waiting})
	}
	r.releases = append(r.releases, made)
	if over := len(r.releases) - mostReleases; over > 0 {
		r.releases = slices.Delete(r.releases, 0, over)
	}
	return made
}

// find returns the newest release under way that has a property.
func (r *recorder) find(has func(*release) bool) *release {
	for _, known := range slices.Backward(r.releases) {
		if known.open() && has(known) {
			return known
		}
	}
	return nil
}

// pushedCommits takes the commits of one push. A change of src/ is built into an image, whose tag a
// change of applications/ names; Argo CD syncs the last commit.
func (r *recorder) pushedCommits(commits []gitserver.PushedCommit, at time.Time) {
	if len(commits) == 0 {
		return
	}
	head := commits[len(commits)-1].ID
	for _, c := range commits {
		title, _, _ := strings.Cut(c.Message, "\n")
		switch {
		case touches(c, "applications/"):
			named := r.find(func(known *release) bool {
				return known.source != "" && known.head == "" && strings.Contains(c.Message, short(known.source))
			})
			if named == nil {
				named = r.add(title, short(c.ID), at, stageCommit, stageSync, stageCanary)
				named.finish(stageCommit, Done, short(c.ID), at)
			}
			named.head, named.pushed = head, at
			named.start(stageSync, at)
			named.stage(stageSync).Text = short(c.ID)
		case touches(c, "src/"):
			built := r.add(title, short(c.ID), at, stageCommit, stageBuild, stagePush, stageSync, stageCanary)
			built.source = c.ID
			built.finish(stageCommit, Done, short(c.ID), at)
			built.start(stageBuild, at)
		}
	}
}

func touches(c gitserver.PushedCommit, folder string) bool {
	return slices.ContainsFunc(c.Files, func(file string) bool { return strings.HasPrefix(file, folder) })
}

func short(commit string) string { return commit[:min(7, len(commit))] }

// receiving says that the registry gets the layers of an image: a build has ended.
func (r *recorder) receiving(at time.Time) {
	if built := r.find(func(known *release) bool {
		s := known.stage(stageBuild)
		return s != nil && s.State == Active
	}); built != nil {
		built.finish(stageBuild, Done, "", at)
		built.start(stagePush, at)
	}
}

// pushedImage says that the registry has an image. Its tag ends with the commit.
func (r *recorder) pushedImage(tag string, at time.Time) {
	built := r.find(func(known *release) bool { return known.source != "" && strings.HasSuffix(tag, short(known.source)) })
	if built == nil {
		return
	}
	built.Tag = tag
	built.finish(stageBuild, Done, "", at)
	built.finish(stagePush, Done, tag, at)
}

// observe takes what the live objects say. moves are the changes of the routing.
func (r *recorder) observe(state argo.State, moves []argo.Move, at time.Time) {
	r.weight = state.Routing.Canary
	for i, known := range r.releases {
		switch {
		case !known.open() || known.head == "" || !known.synced.IsZero():
		case state.Application.Synced(known.head):
			known.synced = at
			known.finish(stageSync, Done, "", at)
			for _, earlier := range r.releases[:i] {
				if earlier.open() && earlier.head != "" && earlier.synced.IsZero() {
					earlier.end(Superseded, cmp.Or(earlier.problem, "another commit was synced in its place"), at)
				}
			}
		default:
			known.problem = cmp.Or(problemOf(state.Application), known.problem)
		}
	}
	rollout := state.Rollout
	if !rollout.Seen() || rollout.Status.CurrentPodHash == "" {
		return
	}
	moving := rollout.Status.CurrentPodHash != rollout.Status.StableRS && rollout.Status.StableRS != ""
	if moving && !rollout.Status.Abort && r.find(func(*release) bool { return true }) == nil {
		// By hand, or from before the page: an aborted one that Git still asks for is no news.
		found := r.add("a change of the Rollout without a commit", rollout.Status.CurrentPodHash, at, stageCanary)
		found.pushed, found.synced = at, at
	}
	for _, known := range r.releases {
		if known.open() && !known.synced.IsZero() {
			r.follow(known, state, moves, at)
		}
	}
}

// follow brings a synced release up to date.
func (r *recorder) follow(current *release, state argo.State, moves []argo.Move, at time.Time) {
	rollout := state.Rollout
	present := rollout.Status.CurrentPodHash
	if current.hash == "" {
		// A change of the routes may be synced while another change is a canary.
		others := r.find(func(known *release) bool { return known.hash == present }) != nil
		switch {
		case !others && present != rollout.Status.StableRS && rollout.Status.Abort:
			return // the Rollout is still as the release before has left it
		case !others && present != rollout.Status.StableRS:
			current.hash, current.Object = present, objectOf("rollouts", argo.RolloutName)
			current.Tag = cmp.Or(current.Tag, tagOf(rollout.Image()))
			current.start(stageCanary, at)
			for _, weight := range rollout.Weights() {
				current.Steps = append(current.Steps, Step{Weight: weight, State: Waiting})
			}
		case (others || rollout.Status.Phase == "Healthy") && at.Sub(current.synced) > unmoved:
			current.Stages = slices.DeleteFunc(current.Stages, func(s Stage) bool { return s.Name == stageCanary })
			current.end(Synced, "", at)
			return
		default:
			return
		}
	}
	if current.hash != present {
		current.end(Superseded, "another version took its place", at)
		return
	}
	current.judge(state, moves)
	switch {
	case rollout.Status.Abort && rollout.Status.Phase == "Degraded" && state.Routing.Canary == 0:
		current.end(Aborted, rollout.Status.Message, at)
	case rollout.Status.Phase == "Healthy" && present == rollout.Status.StableRS && state.Routing.Canary == 0:
		current.end(Promoted, "", at)
	}
}

// judge brings the steps of a canary, and what judges them, up to date.
func (r *release) judge(state argo.State, moves []argo.Move) {
	reached := -1
	for _, move := range moves {
		i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Weight == move.Canary })
		if i < 0 || move.At.Before(r.pushed) {
			continue
		}
		reached = max(reached, i)
		if r.Steps[i].At == nil {
			r.Steps[i].At = &move.At
		}
	}
	for i := range r.Steps {
		switch {
		case i < reached:
			r.Steps[i].State = Done
		case i == reached:
			r.Steps[i].State = Active
		}
	}
	judging := 0 // the step whose analysis comes next: each has one, in their order
	for _, analysis := range state.AnalysesOf(r.hash, r.pushed) {
		if judging < len(r.Steps) {
			r.Steps[judging].Analysis = described(analysis)
			judging++
		}
	}
	if background := state.BackgroundOf(r.hash, r.pushed); len(background) > 0 {
		r.Background = described(background[len(background)-1])
	}
}

func described(analysis argo.Analysis) *Analysis {
	made := &Analysis{
		Name: analysis.Name, Phase: cmp.Or(analysis.Status.Phase, "Pending"), Message: analysis.Status.Message,
		Metrics: []Metric{}, Object: objectOf("analysisruns", analysis.Name),
	}
	for _, metric := range analysis.Status.Metrics {
		m := Metric{Name: metric.Name, Phase: metric.Phase, All: len(metric.Measurements)}
		for _, measurement := range metric.Measurements {
			if measurement.Phase == "Successful" {
				m.Good++
			}
		}
		made.Metrics = append(made.Metrics, m)
	}
	slices.SortFunc(made.Metrics, func(a, b Metric) int { return cmp.Compare(a.Name, b.Name) })
	return made
}

// tagOf returns the tag of an image.
func tagOf(image string) string {
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return tag
}

// count takes what users got so far. Before the application has answered for the first time there
// is nothing that could fail.
func (r *recorder) count(answers []Answers, at time.Time) {
	if r.answered == nil && !slices.ContainsFunc(answers, func(a Answers) bool { return a.Revision != "" && a.Requests > a.Failed }) {
		return
	}
	before, since := r.answered, r.counted
	r.answered, r.counted = map[string]Answers{}, at
	current := r.find(func(known *release) bool { return known.hash != "" })
	if current == nil {
		current = r.find(func(known *release) bool { return known.head != "" })
	}
	point := Requests{At: at, Seconds: at.Sub(since).Seconds(), Weight: r.weight}
	for _, a := range answers {
		r.answered[a.Revision] = a
		was := before[a.Revision]
		if before == nil || a.Requests < was.Requests || a.Failed < was.Failed {
			continue // the count begins
		}
		requests, failed := a.Requests-was.Requests, a.Failed-was.Failed
		point.All, point.Failed = point.All+requests, point.Failed+failed
		if current != nil && a.Revision != "" && a.Revision == current.hash {
			point.Canary = requests
			current.answered(requests, failed)
		}
	}
	if before == nil {
		return
	}
	r.users = append(r.users, point)
	if over := len(r.users) - rememberedSeconds; over > 0 {
		r.users = slices.Delete(r.users, 0, over)
	}
	if current != nil {
		current.users(point)
	}
}

// answered adds what the canary answered at its present share.
func (r *release) answered(requests, failed uint64) {
	for i := range r.Steps {
		if r.Steps[i].State == Active {
			r.Steps[i].Requests += requests
			r.Steps[i].Failed += failed
		}
	}
}

func (r *release) users(point Requests) {
	r.Requests, r.Failed = r.Requests+point.All, r.Failed+point.Failed
	if point.Failed > 0 {
		r.FailedSeconds += point.Seconds
	}
	r.Users = append(r.Users, point)
	if len(r.Users) <= mostPoints {
		return
	}
	var half []Requests
	for pair := range slices.Chunk(r.Users, 2) {
		joined := pair[0]
		for _, second := range pair[1:] {
			joined.At, joined.Seconds, joined.Weight = second.At, joined.Seconds+second.Seconds, second.Weight
			joined.All, joined.Failed, joined.Canary = joined.All+second.All, joined.Failed+second.Failed, joined.Canary+second.Canary
		}
		half = append(half, joined)
	}
	r.Users = half
}

// shown returns copies, the newest first.
func (r *recorder) shown() []Release {
	all := []Release{}
	for _, known := range slices.Backward(r.releases) {
		all = append(all, known.Release)
	}
	return all
}
