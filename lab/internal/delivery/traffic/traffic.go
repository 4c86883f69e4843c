// Package traffic is the way of users to the reference service: through the Application Gateway's
// backend and the load balancer to the mesh's gateway, and from there by the VirtualService. A
// request to the gateway's address is answered by a pod that runs. The mass of users is simulated:
// their requests take the same way, and for each pod the package serves to Prometheus the counters
// that it would have.
package traffic

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

const (
	// application is the name of the VirtualService.
	application = "gridos"
	// revisionLabel is the label with which Argo Rollouts distinguishes the pods of a revision.
	revisionLabel = "rollouts-pod-template-hash"
	// tick is the interval at which requests are sent.
	tick = 200 * time.Millisecond
)

// Traffic sends the users' requests. Set the exported fields, call Start, and Stop at the end.
// Several goroutines may call the other methods.
type Traffic struct {
	// Cluster is the cluster.
	Cluster *kube.Clients
	// Rate is the number of requests per second at the start; SetRate changes it.
	Rate float64
	// Backends returns the targets to which the Application Gateway sends requests at present;
	// without one the requests are not answered. It may be called several times a second.
	Backends func() []Backend
	// Pods are the pods that run; nil if none does.
	Pods Pods
	// GatewayPort is the port of the mesh's gateway on the loopback interface; 0 is a free one.
	GatewayPort int

	pods     corelisters.PodNamespaceLister
	services corelisters.ServiceNamespaceLister
	virtual  cache.GenericNamespaceLister
	entrance entrance
	address  string
	gateway  string
	end      func() error

	mu         sync.Mutex
	rate       float64
	behaviours map[string]Behaviour
	replicas   map[types.UID]*replica
	gateways   map[types.UID]*gateway
	transports map[string]http.RoundTripper // to the pods, by the addresses of the gateway's pods
	revisions  map[string]*Revision
	unanswered float64
	// refused is, for each Service, the uncounted fraction of a request that found no pod.
	refused map[string]float64
	ticks   int
	lost    error
}

// Pods are the pods of the cluster that run as processes.
type Pods interface {
	// Runs reports whether a pod does.
	Runs(namespace, name string) bool
	// Transport is the way to the pods' own addresses, from an address of the cluster.
	Transport(from netip.Addr) *http.Transport
}

// Revision is the users' experience with one revision of the service.
type Revision struct {
	// Hash is Argo Rollouts' hash of the revision, the value of the label
	// rollouts-pod-template-hash.
	Hash string
	// Tag is the tag of the image.
	Tag string
	// Requests is the number of answered requests, and Failed the number of those answered with an
	// error.
	Requests, Failed uint64
}

// Seen is the users' experience since the start; the difference of two is that of the time between.
type Seen struct {
	// Revisions are all revisions that answered, sorted by hash; those whose pods are gone are
	// included.
	Revisions []Revision
	// Unanswered is the number of requests that found no ready pod, or no way to one.
	Unanswered uint64
}

// Enough is the number of requests that makes "none failed" meaningful.
const Enough = 100

// Since returns the experience since before.
func (s Seen) Since(before Seen) (between Seen) {
	between.Unanswered = s.Unanswered - before.Unanswered
	for _, revision := range s.Revisions {
		i := slices.IndexFunc(before.Revisions, func(r Revision) bool { return r.Hash == revision.Hash })
		if i >= 0 {
			revision.Requests -= before.Revisions[i].Requests
			revision.Failed -= before.Revisions[i].Failed
		}
		if revision.Requests > 0 {
			between.Revisions = append(between.Revisions, revision)
		}
	}
	return between
}

// Requests returns the number of all requests, and of those that were not answered or were answered
// with an error.
func (s Seen) Requests() (all, failed uint64) {
	all, failed = s.Unanswered, s.Unanswered
	for _, r := range s.Revisions {
		all, failed = all+r.Requests, failed+r.Failed
	}
	return all, failed
}

// Start begins to send requests, and to serve metrics on a free port of the loopback interface.
func (t *Traffic) Start(ctx context.Context) error {
	if t.end != nil {
		return errors.New("traffic: already started; stop it first")
	}
	if t.Backends == nil {
		return errors.New("traffic: Backends is not set, so that requests have nowhere to go; set it to the Application Gateway's")
	}
	for _, kind := range []schema.GroupVersionResource{virtualServices, configs} { // without the kind an informer would wait for ever
		_, err := t.Cluster.Objects.Resource(kind).Namespace(naming.NamespaceGridOS).List(ctx, metav1.ListOptions{Limit: 1})
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("traffic: the cluster knows no %s of networking.istio.io/v1; bring the mesh up, as infra does, first",
				kind.Resource)
		}
		if err != nil {
			return fmt.Errorf("traffic: look for %s: %w", kind.Resource, err)
		}
	}

	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	core := informers.NewSharedInformerFactoryWithOptions(t.Cluster.Core, 0, informers.WithNamespace(naming.NamespaceGridOS))
	t.pods = core.Core().V1().Pods().Lister().Pods(naming.NamespaceGridOS)
	t.services = core.Core().V1().Services().Lister().Services(naming.NamespaceGridOS)
	other := dynamicinformer.NewFilteredDynamicSharedInformerFactory(t.Cluster.Objects, 0, naming.NamespaceGridOS, nil)
	t.virtual = other.ForResource(virtualServices).Lister().ByNamespace(naming.NamespaceGridOS)
	inMesh := informers.NewSharedInformerFactoryWithOptions(t.Cluster.Core, 0, informers.WithNamespace(naming.NamespaceIstioIngress))
	everywhere := dynamicinformer.NewDynamicSharedInformerFactory(t.Cluster.Objects, 0)
	t.entrance = entrance{
		backends: t.Backends,
		services: inMesh.Core().V1().Services().Lister(), pods: inMesh.Core().V1().Pods().Lister(),
		configs: everywhere.ForResource(configs).Lister(),
	}
	watches := []watch{core, other, inMesh, everywhere}
	for _, w := range watches {
		w.Start(running.Done())
	}
	stopWatching := func() {
		cancel()
		for _, w := range watches {
			w.Shutdown()
		}
	}
	core.WaitForCacheSync(ctx.Done())
	inMesh.WaitForCacheSync(ctx.Done())
	other.WaitForCacheSync(ctx.Done())
	everywhere.WaitForCacheSync(ctx.Done())
	if ctx.Err() != nil {
		stopWatching()
		return fmt.Errorf("traffic: start interrupted: %w", context.Cause(ctx))
	}
	listener, err := loopback.Listen(ctx, "what Prometheus asks for traffic", 0)
	if err != nil {
		stopWatching()
		return err
	}
	t.address = listener.Address()
	t.reset()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /sd", t.serveTargets)
	mux.HandleFunc("GET "+metricsPath("{pod}"), t.serveMetrics)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	gate, err := loopback.Listen(ctx, "the mesh's gateway", t.GatewayPort)
	if err != nil {
		stopWatching()
		return errors.Join(err, listener.Close())
	}
	t.gateway = gate.Address()
	answering := gate.Serve(http.HandlerFunc(t.answerOne), log.Default())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	ticked := make(chan struct{})
	go func() {
		defer close(ticked)
		t.run(running)
	}()
	t.end = func() error {
		stopWatching()
		<-ticked
		closed := errors.Join(server.Close(), answering.Stop())
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			closed = errors.Join(err, closed)
		}
		if closed != nil {
			return fmt.Errorf("traffic: serve metrics: %w", closed)
		}
		return nil
	}
	return nil
}

// watch is a factory of informers.
type watch interface {
	Start(stop <-chan struct{})
	Shutdown()
}

// Stop ends the requests and the serving of metrics. Stopping a stopped Traffic is no error.
func (t *Traffic) Stop() error {
	if t.end == nil {
		return nil
	}
	end := t.end
	t.end = nil
	return end()
}

// SDURL is the URL at which Prometheus finds the pods, by HTTP service discovery. It is known after
// Start has returned.
func (t *Traffic) SDURL() string { return "http://" + t.address + "/sd" }

// GatewayURL is the URL of the mesh's gateway. It is known after Start has returned.
func (t *Traffic) GatewayURL() string { return "http://" + t.gateway }

// SetRate sets the number of requests per second from now on; with 0 there are no users.
func (t *Traffic) SetRate(perSecond float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rate = max(perSecond, 0)
}

// SetBehaviour sets how pods whose image has a tag answer from now on, future pods included. It may
// be called before Start.
func (t *Traffic) SetBehaviour(tag string, behaviour Behaviour) error {
	if err := behaviour.check(); err != nil {
		return fmt.Errorf("behaviour of %s: %w", tag, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.behaviours == nil {
		t.behaviours = map[string]Behaviour{}
	}
	t.behaviours[tag] = behaviour
	return nil
}

// PerSecond is the number of requests per second that a pod gets at present.
func (t *Traffic) PerSecond(pod string) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.replicas {
		if r.pod.Name == pod {
			return r.perSecond
		}
	}
	return 0
}

// Seen returns the users' experience since Start.
func (t *Traffic) Seen() Seen {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := Seen{Unanswered: uint64(math.Round(t.unanswered))}
	for _, revision := range t.revisions {
		seen.Revisions = append(seen.Revisions, *revision)
	}
	slices.SortFunc(seen.Revisions, func(a, b Revision) int { return cmp.Compare(a.Hash, b.Hash) })
	return seen
}

// Lost returns the reason why requests do not reach the mesh's gateway at present, or nil if all
// do.
func (t *Traffic) Lost() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

func (t *Traffic) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rate, t.unanswered, t.lost = max(t.Rate, 0), 0, nil
	t.replicas, t.revisions = map[types.UID]*replica{}, map[string]*Revision{}
	t.gateways, t.refused = map[types.UID]*gateway{}, map[string]float64{}
	t.transports = map[string]http.RoundTripper{}
}

// run sends the requests for the time that has passed, so that the rate is right on a machine that
// is too busy for each tick.
func (t *Traffic) run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last, said := time.Now(), ""
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := t.advance(now.Sub(last)); err != nil {
				utilruntime.HandleErrorWithContext(ctx, err, "traffic: requests have no way to the pods")
			}
			last = now
			// Each reason is reported once, although it lasts.
			if lost := t.Lost(); lost != nil && lost.Error() != said {
				said = lost.Error()
				utilruntime.HandleErrorWithContext(ctx, lost, "traffic: requests do not reach the mesh's gateway")
			}
		}
	}
}

// advance sends the requests for the passed time.
func (t *Traffic) advance(passed time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	replicas, err := t.look()
	if err != nil {
		return err
	}
	gateways, err := t.lookAtGateways()
	if err != nil {
		return err
	}
	in, err := t.entrance.arrive()
	t.lost = errors.Join(in.Lost, err)
	shares, shareErr := t.shares(in.Configs)
	err = errors.Join(err, shareErr)
	reached := 0.
	t.ticks++
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		share := shares[name] * in.Share
		service, serviceErr := t.services.Get(name)
		if serviceErr != nil && !apierrors.IsNotFound(serviceErr) {
			err = errors.Join(err, serviceErr)
		}
		to := endpoints(service, replicas)
		if len(to) > 0 {
			reached += share
		}
		t.send(name, t.rate*share, passed, to, gateways)
	}
	t.unanswered += t.rate * (1 - reached) * passed.Seconds()
	return err
}

// send sends requests for a Service at a rate per second, through one of the gateways. All gateways
// take turns.
func (t *Traffic) send(service string, perSecond float64, passed time.Duration, to []*replica, gateways []*gateway) {
	count := func(int, float64) {}
	if len(gateways) > 0 { // without one none arrives
		through := gateways[t.ticks%len(gateways)]
		count = func(code int, seconds float64) { through.count(service, code, seconds) }
	}
	if len(to) == 0 {
		whole, rest := math.Modf(t.refused[service] + perSecond*passed.Seconds())
		t.refused[service] = rest
		for range uint64(whole) {
			count(http.StatusServiceUnavailable, 0)
		}
	}
	for _, r := range to {
		each := perSecond / float64(len(to))
		r.perSecond += each
		answered, failed := r.answer(each*passed.Seconds(), t.behaviour(r.tag), count)
		if answered > 0 {
			revision := t.revision(r)
			revision.Requests += answered
			revision.Failed += failed
		}
	}
}

// behaviour returns the behaviour of the version with a tag.
func (t *Traffic) behaviour(tag string) Behaviour {
	if behaviour, said := t.behaviours[tag]; said {
		return behaviour
	}
	return Good
}

// look finds the running pods, and returns them without any requests yet. The counters of a deleted
// pod are lost.
func (t *Traffic) look() ([]*replica, error) {
	pods, err := t.pods.List(k8slabels.Everything())
	if err != nil {
		return nil, err
	}
	present := map[types.UID]*replica{}
	var replicas []*replica
	for _, pod := range pods {
		if pod.Status.Phase != corev1.PodRunning {
			continue
		}
		r := t.replicas[pod.UID]
		if r == nil {
			r = newReplica(pod)
		}
		r.pod, r.perSecond = pod, 0
		present[pod.UID] = r
		replicas = append(replicas, r)
	}
	t.replicas = present
	return replicas, nil
}

// shares returns each Service's part of the requests that came in through one of gateways. Without
// a VirtualService it is 0.
func (t *Traffic) shares(gateways []types.NamespacedName) (map[string]float64, error) {
	virtual, err := t.virtualService()
	if err != nil || virtual == nil {
		return nil, err
	}
	return shareOf(virtual, gateways)
}

// virtualService returns nil if there is none.
func (t *Traffic) virtualService() (*unstructured.Unstructured, error) {
	object, err := t.virtual.Get(application)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	virtual, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("VirtualService %s is a %T", application, object)
	}
	return virtual, nil
}

func (t *Traffic) revision(r *replica) *Revision {
	hash := r.pod.Labels[revisionLabel]
	if t.revisions[hash] == nil {
		t.revisions[hash] = &Revision{Hash: hash, Tag: r.tag}
	}
	return t.revisions[hash]
}
