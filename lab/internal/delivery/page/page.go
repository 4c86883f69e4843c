// Package page serves the page on which a person watches the lab: the four stacks, what is in the
// simulated Azure, Argo CD's Applications, the Rollout, and each release on its way from a commit to
// all requests. It only shows, and changes nothing.
package page

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitserver"
	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

// interval is how often users' requests are counted, and the page is brought up to date at least.
const interval = time.Second

// Options say what the page shows of an environment, apart from its delivery.
type Options struct {
	// Port is the wanted port of the loopback interface; where it is taken, or 0, the page has another.
	Port int
	// Environment is dev, test or prod.
	Environment string
	// Documents is the folder of the documents that the page links to.
	Documents string
	// Scenarios is the log of the scenarios that are played, if there is one.
	Scenarios string
	// Stacks and Azure return what exists at present.
	Stacks func() ([]Stack, error)
	Azure  func() []Kind
}

// Server is a running page.
type Server struct {
	options Options
	server  *loopback.Server
	address string
	end     context.CancelFunc
	ended   chan struct{} // closed when no stream goes on
	ticking sync.WaitGroup

	mu       sync.Mutex
	recorder recorder
	source   *Source // nil until Argo CD runs
	state    argo.State
	apps     []argo.Application
	problems []Refusal
	played   scenarios
	viewers  map[chan []byte]bool
	sent     []byte
	// published is when the last state was made.
	published time.Time
	told      string
}

// Serve begins to serve. The caller stops the server.
func Serve(ctx context.Context, options Options) (*Server, error) {
	listener, err := loopback.Listen(ctx, "the lab's page", options.Port)
	if err != nil && options.Port != 0 {
		listener, err = loopback.Listen(ctx, "the lab's page", 0)
	}
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{
		options: options, address: listener.Address(), end: cancel, ended: make(chan struct{}),
		viewers: map[chan []byte]bool{}, played: scenarios{file: options.Scenarios},
	}
	s.server = listener.Serve(s.handler(), log.Default())
	s.ticking.Go(func() { s.tick(running) })
	return s, nil
}

// Address is where the page is, host:port.
func (s *Server) Address() string { return s.address }

// Stop ends the page. Stopping twice is no error.
func (s *Server) Stop() error {
	s.mu.Lock()
	select {
	case <-s.ended:
	default:
		close(s.ended)
	}
	s.mu.Unlock()
	s.end()
	s.ticking.Wait()
	return s.server.Stop()
}

// PushedCommits says that commits were pushed to the branch that Argo CD follows.
func (s *Server) PushedCommits(commits []gitserver.PushedCommit) {
	s.record(func(r *recorder) { r.pushedCommits(commits, time.Now()) })
}

// Receiving says that the registry gets an image.
func (s *Server) Receiving() { s.record(func(r *recorder) { r.receiving(time.Now()) }) }

// PushedImage says that the registry has got an image.
func (s *Server) PushedImage(tag string) {
	s.record(func(r *recorder) { r.pushedImage(tag, time.Now()) })
}

func (s *Server) record(what func(*recorder)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what(&s.recorder)
	s.publish()
}

// Source is where the page finds the delivery of an environment.
type Source struct {
	// Observer follows the objects of the release.
	Observer *argo.Observer
	// Branch is the branch that Argo CD follows.
	Branch string
	// Application is the address of the dashboard, or empty if the application's pods do not run.
	Application string
	// Object returns an object of the cluster by its kind, as in kubectl, and its name, as YAML.
	Object func(ctx context.Context, kind, name string) ([]byte, error)
	// Answers returns the users' requests so far.
	Answers func() []Answers
}

// Follow shows a delivery until ctx is done.
func (s *Server) Follow(ctx context.Context, source Source) {
	s.mu.Lock()
	s.source = &source
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.source = nil
	}()
	for ctx.Err() == nil {
		// It ends when ctx does, or by an object that cannot be read: the page must not end the lab.
		_, err := source.Observer.Until(ctx, "the delivery ends", func(state argo.State) (bool, error) {
			return false, s.observe(source.Observer, state)
		})
		s.complain(ctx, err)
		select {
		case <-ctx.Done():
		case <-time.After(interval):
		}
	}
}

// complain logs a problem once, although it lasts.
func (s *Server) complain(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told != err.Error() {
		s.told = err.Error()
		log.Printf("the lab's page is not up to date: %v", err)
	}
}

func (s *Server) observe(observer *argo.Observer, state argo.State) error {
	apps, err := observer.Applications()
	if err != nil {
		return err
	}
	moves := observer.Moves(time.Time{})
	s.record(func(r *recorder) {
		now := time.Now()
		s.state, s.apps = state, apps
		r.observe(state, moves, now)
		s.judge(now)
	})
	return nil
}

// mostProblems is how many problems of Applications the page remembers.
const mostProblems = 12

// judge notes the problems that Argo CD reports, and those that are over.
func (s *Server) judge(at time.Time) {
	present := map[string]string{}
	for _, app := range s.apps {
		if problem := problemOf(app); problem != "" {
			present[app.Name] = problem
		}
	}
	for i := range s.problems {
		p := &s.problems[i]
		if why, still := present[p.What]; p.Now && still {
			p.Why = why // a retried sync says a little more each time
			delete(present, p.What)
		} else {
			p.Now = false
		}
	}
	for _, name := range slices.Sorted(maps.Keys(present)) {
		s.problems = append(s.problems, Refusal{
			At: at, By: "Argo CD", What: name, Why: present[name], Now: true, Object: objectOf("applications", name),
		})
	}
	if over := len(s.problems) - mostProblems; over > 0 {
		s.problems = slices.Delete(s.problems, 0, over)
	}
}

// problemOf returns what Argo CD reports of an Application, apart from a sync that is under way and
// well.
func problemOf(app argo.Application) string {
	sync := app.Status.OperationState
	for _, r := range sync.SyncResult.Resources {
		if r.Status == "SyncFailed" { // it will be retried
			return app.Problem()
		}
	}
	if sync.Phase == "Running" && len(app.Status.Conditions) == 0 {
		return ""
	}
	return app.Problem()
}

// tick counts users' requests, and brings the page up to date, until ctx is done.
func (s *Server) tick(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.mu.Lock()
		source := s.source
		s.mu.Unlock()
		var answers []Answers
		if source != nil {
			answers = source.Answers()
		}
		s.record(func(r *recorder) {
			if source == nil {
				return
			}
			now := time.Now()
			r.count(answers, now)
			r.observe(s.state, nil, now) // what has lasted for long enough
		})
	}
}

// atLeast is the time between two states that are sent: objects of the cluster change in bursts. The
// next tick sends what was left out.
const atLeast = interval / 5

// publish sends the present state to those who look, if it has changed. It must be called with s.mu
// held.
func (s *Server) publish() {
	if len(s.viewers) == 0 || time.Since(s.published) < atLeast {
		return
	}
	s.published = time.Now()
	text, err := json.Marshal(s.snapshot())
	if err != nil {
		log.Printf("the lab's page: %v", err) // no value in it can fail
		return
	}
	if bytes.Equal(text, s.sent) {
		return
	}
	s.sent = text
	for viewer := range s.viewers {
		select { // who is slow gets the newest only
		case <-viewer:
		default:
		}
		viewer <- text
	}
}

// view returns a channel with the states from now on, the present one first.
func (s *Server) view() (states chan []byte, leave func()) {
	states = make(chan []byte, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.viewers[states] = true
	if text, err := json.Marshal(s.snapshot()); err == nil {
		s.sent = text
		states <- text
	}
	return states, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.viewers, states)
	}
}

// snapshot must be called with s.mu held.
func (s *Server) snapshot() Snapshot {
	shown := Snapshot{
		Environment: s.options.Environment, Azure: s.options.Azure(), Stacks: []Stack{}, Releases: s.recorder.shown(),
		Scenario: s.played.last(), Refused: []Refusal{},
	}
	stacks, err := s.options.Stacks()
	if err != nil {
		if s.told != err.Error() {
			s.told = err.Error()
			log.Printf("the lab's page does not know the stacks: %v", err)
		}
	} else {
		shown.Stacks = stacks
	}
	if s.source != nil {
		shown.Delivery = s.delivery()
	}
	shown.Refused = append(shown.Refused, s.problems...)
	for _, r := range shown.Releases {
		if r.Outcome == Aborted {
			shown.Refused = append(shown.Refused, Refusal{At: *r.Ended, By: "Argo Rollouts", What: r.Tag, Why: r.Why, Object: r.Object})
		}
	}
	for _, stack := range stacks {
		if stack.Result == "failed" && !stack.Running {
			shown.Refused = append(shown.Refused, Refusal{
				At: stack.Ended, By: "Pulumi", What: stack.Name, Now: true,
				Why: "the last " + stack.Operation + " failed: " + cmp.Or(stack.Why, "its log has the reason"),
			})
		}
	}
	slices.SortStableFunc(shown.Refused, func(a, b Refusal) int { return b.At.Compare(a.At) })
	return shown
}

func (s *Server) delivery() *Delivery {
	rollout := s.state.Rollout
	shown := &Delivery{
		Branch: s.source.Branch, Application: s.source.Application, Applications: []Application{},
		Users: append([]Requests{}, s.recorder.users...),
		Rollout: Rollout{
			Phase: rollout.Status.Phase, Message: rollout.Status.Message, Image: tagOf(rollout.Image()),
			Stable: s.state.Routing.Stable, Canary: s.state.Routing.Canary,
			Step: rollout.Status.CurrentStepIndex, Steps: len(rollout.Spec.Strategy.Canary.Steps),
			Object: objectOf("rollouts", argo.RolloutName), Routing: objectOf("virtualservices", argo.RolloutName),
		},
	}
	for _, app := range s.apps {
		shown.Applications = append(shown.Applications, Application{
			Name: app.Name, Sync: app.Status.Sync.Status, Health: app.Status.Health.Status, Revision: short(app.Status.Sync.Revision),
			Problem: problemOf(app), Object: objectOf("applications", app.Name),
		})
	}
	return shown
}

// objectOf is the address of an object.
func objectOf(kind, name string) string { return "/objects/" + kind + "/" + name }
