package argo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/gridos/sharedinfra/internal/naming"
)

// Kinds of the objects.
var (
	Applications    = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
	Rollouts        = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
	AnalysisRuns    = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "analysisruns"}
	VirtualServices = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}
	events          = schema.GroupVersionResource{Version: "v1", Resource: "events"}
)

// Names of the application's objects, in applications/gridos/base.
const (
	// RolloutName is also the name of the VirtualService.
	RolloutName = "gridos"
	// StableService and CanaryService are the two ends of the traffic.
	StableService = "gridos-stable"
	CanaryService = "gridos-canary"
	// RevisionLabel is the label with which Argo Rollouts distinguishes the objects of a revision: its
	// ReplicaSet, its pods and its analyses.
	RevisionLabel = "rollouts-pod-template-hash"
)

// Observer follows the objects of one environment's release.
type Observer struct {
	name         string // of the Application
	applications cache.GenericNamespaceLister
	rollouts     cache.GenericNamespaceLister
	analyses     cache.GenericNamespaceLister
	virtual      cache.GenericNamespaceLister
	kinds        []kind
	events       dynamic.ResourceInterface
	stop         func()

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, at each change
	moves   []Move
}

// kind has the objects of a kind that its watch has shown, and the means to ask the API server for
// them.
type kind struct {
	known cache.GenericNamespaceLister
	live  dynamic.ResourceInterface
}

// Observe begins to follow the Application of a name, and the objects that it deploys. The caller
// stops it.
func Observe(ctx context.Context, objects dynamic.Interface, application string) (*Observer, error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	platform := dynamicinformer.NewFilteredDynamicSharedInformerFactory(objects, 0, naming.NamespaceArgoCD, nil)
	workloads := dynamicinformer.NewFilteredDynamicSharedInformerFactory(objects, 0, naming.NamespaceGridOS, nil)
	o := &Observer{
		name: application, changed: make(chan struct{}),
		applications: platform.ForResource(Applications).Lister().ByNamespace(naming.NamespaceArgoCD),
		rollouts:     workloads.ForResource(Rollouts).Lister().ByNamespace(naming.NamespaceGridOS),
		analyses:     workloads.ForResource(AnalysisRuns).Lister().ByNamespace(naming.NamespaceGridOS),
		virtual:      workloads.ForResource(VirtualServices).Lister().ByNamespace(naming.NamespaceGridOS),
		events:       objects.Resource(events).Namespace(naming.NamespaceGridOS),
		stop: func() {
			cancel()
			platform.Shutdown()
			workloads.Shutdown()
		},
	}
	o.kinds = []kind{
		{o.applications, objects.Resource(Applications).Namespace(naming.NamespaceArgoCD)},
		{o.rollouts, objects.Resource(Rollouts).Namespace(naming.NamespaceGridOS)},
		{o.analyses, objects.Resource(AnalysisRuns).Namespace(naming.NamespaceGridOS)},
		{o.virtual, objects.Resource(VirtualServices).Namespace(naming.NamespaceGridOS)},
	}
	for _, informer := range []cache.SharedIndexInformer{
		platform.ForResource(Applications).Informer(), workloads.ForResource(Rollouts).Informer(),
		workloads.ForResource(AnalysisRuns).Informer(), workloads.ForResource(VirtualServices).Informer(),
	} {
		handler := cache.ResourceEventHandlerFuncs{
			AddFunc: o.note, UpdateFunc: func(_, object any) { o.note(object) }, DeleteFunc: o.note,
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			cancel()
			return nil, fmt.Errorf("follow the release: %w", err)
		}
	}
	platform.Start(running.Done())
	workloads.Start(running.Done())
	platform.WaitForCacheSync(ctx.Done())
	workloads.WaitForCacheSync(ctx.Done())
	if ctx.Err() != nil {
		o.Stop()
		return nil, context.Cause(ctx)
	}
	return o, nil
}

// Stop ends the following.
func (o *Observer) Stop() { o.stop() }

// note wakes the waiting calls, and records the routing of requests: a step may be over before a
// caller looks.
func (o *Observer) note(object any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if virtual, ok := object.(*unstructured.Unstructured); ok && virtual.GetKind() == "VirtualService" {
		if routing, err := routingOf(virtual, StableService, CanaryService); err == nil {
			if len(o.moves) == 0 || o.moves[len(o.moves)-1].Routing != routing {
				o.moves = append(o.moves, Move{routing, time.Now()})
			}
		}
	}
	close(o.changed)
	o.changed = make(chan struct{})
}

// Moves returns the changes of the routing since a time.
func (o *Observer) Moves(since time.Time) []Move {
	o.mu.Lock()
	defer o.mu.Unlock()
	var later []Move
	for _, m := range o.moves {
		if m.At.After(since) {
			later = append(later, m)
		}
	}
	return later
}

// State returns the present objects.
func (o *Observer) State() (State, error) {
	var state State
	err := errors.Join(
		get(o.applications, o.name, func(u *unstructured.Unstructured) (err error) {
			state.Application, err = read[Application](u)
			return err
		}),
		get(o.rollouts, RolloutName, func(u *unstructured.Unstructured) (err error) {
			state.Rollout, err = read[Rollout](u)
			return err
		}),
		get(o.virtual, RolloutName, func(u *unstructured.Unstructured) (err error) {
			state.Routing, err = routingOf(u, StableService, CanaryService)
			return err
		}),
	)
	if err != nil {
		return state, err
	}
	all, err := o.analyses.List(labels.Everything())
	if err != nil {
		return state, err
	}
	for _, object := range all {
		u, err := asUnstructured(object)
		if err != nil {
			return state, err
		}
		analysis, err := read[Analysis](u)
		if err != nil {
			return state, err
		}
		state.Analyses = append(state.Analyses, analysis)
	}
	slices.SortFunc(state.Analyses, func(a, b Analysis) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return state, nil
}

// Applications returns all Applications of Argo CD, by name.
func (o *Observer) Applications() ([]Application, error) {
	objects, err := o.applications.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	var all []Application
	for _, object := range objects {
		u, err := asUnstructured(object)
		if err != nil {
			return nil, err
		}
		application, err := read[Application](u)
		if err != nil {
			return nil, err
		}
		all = append(all, application)
	}
	slices.SortFunc(all, func(a, b Application) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// get passes an object to take, if it exists.
func get(lister cache.GenericNamespaceLister, name string, take func(*unstructured.Unstructured) error) error {
	object, err := lister.Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	u, err := asUnstructured(object)
	if err != nil {
		return err
	}
	return take(u)
}

func asUnstructured(object runtime.Object) (*unstructured.Unstructured, error) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		accessor, err := meta.Accessor(object)
		return nil, errors.Join(err, fmt.Errorf("%v is a %T", accessor, object))
	}
	return u, nil
}

// change returns a channel that is closed at the next change.
func (o *Observer) change() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}

// Until returns the first state that wanted accepts, though it may be over before the caller acts
// on it. It looks at each change. The error is that of wanted, or says in which state the time ran
// out.
func (o *Observer) Until(ctx context.Context, what string, wanted func(State) (bool, error)) (State, error) {
	for {
		changed := o.change()
		state, err := o.State()
		if err != nil {
			return state, err
		}
		if ok, err := wanted(state); ok || err != nil {
			return state, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state, fmt.Errorf("waiting until %s: %w; %s%s", what, ctx.Err(), state.describe(), o.warnings(ctx))
		}
	}
}

const (
	warningsTimeout = 5 * time.Second
	// mostWarnings is how many warnings are told, and warningAge how old they may be. Some come once,
	// when a wait begins, so that it is longer than all waits.
	mostWarnings = 3
	warningAge   = 10 * time.Minute
)

// warnings returns the newest warnings about the application's objects, such as what pods lack.
func (o *Observer) warnings(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), warningsTimeout)
	defer cancel()
	list, err := o.events.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Sprintf("; what its objects are warned of is not known: %v", err)
	}
	var all []corev1.Event
	for i := range list.Items {
		if event, err := read[corev1.Event](&list.Items[i]); err == nil && event.Type == corev1.EventTypeWarning {
			all = append(all, event)
		}
	}
	slices.SortFunc(all, func(a, b corev1.Event) int { return b.LastTimestamp.Compare(a.LastTimestamp.Time) })
	var told []string
	for _, event := range all {
		text := "; " + event.InvolvedObject.Kind + " " + event.InvolvedObject.Name + ": " + event.Reason + ": " + event.Message
		if len(told) < mostWarnings && time.Since(event.LastTimestamp.Time) < warningAge && !slices.Contains(told, text) {
			told = append(told, text)
		}
	}
	return strings.Join(told, "")
}

// UntilSettled is Until for a state that lasts: the returned state is as wanted, and as new as the
// API server was when asked. Each kind has a watch of its own, and their order is not fixed, so
// Until may see an Application Synced before the Rollout that the sync changed.
func (o *Observer) UntilSettled(ctx context.Context, what string, wanted func(State) (bool, error)) (State, error) {
	for {
		state, err := o.Until(ctx, what, wanted)
		if err != nil {
			return state, err
		}
		if err := o.catchUp(ctx); err != nil {
			return state, fmt.Errorf("waiting until %s, and the watches show what the API server has: %w; %s", what, err, state.describe())
		}
		if state, err = o.State(); err != nil {
			return state, err
		}
		if ok, err := wanted(state); ok || err != nil {
			return state, err
		}
	}
}

// catchUp waits until the watches have shown all changes that the API server has.
func (o *Observer) catchUp(ctx context.Context) error {
	for {
		changed := o.change() // first, so that a change during the question counts
		behind := false
		for _, k := range o.kinds {
			upToDate, err := k.upToDate(ctx)
			if err != nil {
				return err
			}
			behind = behind || !upToDate
		}
		if !behind {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// upToDate reports whether the watch has shown exactly the versions of objects that the API server
// has.
func (k kind) upToDate(ctx context.Context) (bool, error) {
	live, err := k.live.List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	known, err := k.known.List(labels.Everything())
	if err != nil {
		return false, err
	}
	versions := map[string]string{}
	for _, object := range known {
		u, err := asUnstructured(object)
		if err != nil {
			return false, err
		}
		versions[u.GetName()] = u.GetResourceVersion()
	}
	for i := range live.Items {
		if version, there := versions[live.Items[i].GetName()]; !there || version != live.Items[i].GetResourceVersion() {
			return false, nil
		}
	}
	return len(live.Items) == len(versions), nil
}

// describe says in a sentence where a release stands.
func (s State) describe() string {
	text := fmt.Sprintf("the Application is %s at %.7s and %s, the Rollout is %s at step %d with %s",
		cmp.Or(s.Application.Status.Sync.Status, "not there"), s.Application.Status.Sync.Revision, s.Application.Status.Health.Status,
		cmp.Or(s.Rollout.Status.Phase, "not there"), s.Rollout.Status.CurrentStepIndex, s.Routing)
	if problem := s.Application.Problem(); problem != "" {
		text += "; " + problem
	}
	if s.Rollout.Status.Message != "" {
		text += "; " + s.Rollout.Status.Message
	}
	return text
}
