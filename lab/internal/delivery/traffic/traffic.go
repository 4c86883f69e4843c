// Package traffic is the way of users to the reference service, and the users. Their requests are
// real: they come to the simulated Application Gateway, which sends them over its backend and the
// load balancer to the mesh's gateway. That sends them by the VirtualService to the pods, which
// answer. What Prometheus reads is what the gateway counted of them, and what the pods tell.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/netip"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/scraping"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

// Traffic serves the two gateways and sends the users' requests. Set the exported fields, call
// Start, and Stop at the end. Several goroutines may call the other methods.
type Traffic struct {
	// Cluster is the cluster.
	Cluster *kube.Clients
	// Rate is the number of users' requests per second at the start; SetRate changes it.
	Rate float64
	// Backends returns the targets to which the Application Gateway sends requests at present;
	// without one the requests are not answered. It is called several times a second.
	Backends func() []Backend
	// Pods are the pods that run. If none does, Pods is nil, and there are no users.
	Pods Pods
	// Port is the port of the Application Gateway on the loopback interface; 0 is a free one.
	Port int

	pods     corelisters.PodNamespaceLister
	services corelisters.ServiceNamespaceLister
	secrets  corelisters.SecretNamespaceLister
	virtual  cache.GenericNamespaceLister
	entrance entrance
	mesh     string // the addresses of the servers
	front    string
	scrapes  *http.Transport // Prometheus' way to the pods
	end      func() error

	mu         sync.Mutex
	rate       float64
	gateways   map[types.UID]*gateway
	transports map[string]http.RoundTripper // to the pods, by the address that they are called from
	arrived    arrival
	routes     *virtualService
	revisions  map[string]*Revision
	unanswered uint64
	failure    string // of the last request that failed
	lost       error
}

// Pods are the pods of the cluster that run as processes.
type Pods interface {
	// Transport is the way to the pods' own addresses, from an address of the cluster.
	Transport(from netip.Addr) *http.Transport
}

// Start serves the gateways, and lets the users begin.
func (t *Traffic) Start(ctx context.Context) error {
	if t.end != nil {
		return errors.New("traffic: already started; stop it first")
	}
	if t.Backends == nil {
		return errors.New("traffic: Backends is not set, so that requests have nowhere to go; set it to the Application Gateway's")
	}
	for _, kind := range []schema.GroupVersionResource{argo.VirtualServices, configs} { // without the kind an informer would wait for ever
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
	stops := []func() error{t.watch(running, ctx)}
	end := func() error {
		cancel()
		var errs []error
		for _, stop := range slices.Backward(stops) {
			errs = append(errs, stop())
		}
		return errors.Join(errs...)
	}
	if ctx.Err() != nil {
		return errors.Join(fmt.Errorf("traffic: start interrupted: %w", context.Cause(ctx)), end())
	}
	t.rate, t.lost, t.unanswered, t.failure, t.revisions = max(t.Rate, 0), nil, 0, "", map[string]*Revision{}
	t.arrived, t.routes = arrival{}, nil
	t.gateways, t.transports = map[types.UID]*gateway{}, map[string]http.RoundTripper{}
	for _, server := range []struct {
		what    string
		port    int
		handler http.Handler
		address *string
	}{
		{"the mesh's gateway", 0, http.HandlerFunc(t.meshGateway), &t.mesh},
		{"the Application Gateway", t.Port, http.HandlerFunc(t.applicationGateway), &t.front},
	} {
		listener, err := loopback.Listen(ctx, server.what, server.port)
		if err != nil {
			return errors.Join(err, end())
		}
		*server.address = listener.Address()
		stops = append(stops, listener.Serve(server.handler, log.Default()).Stop)
	}
	if t.Pods != nil {
		t.scrapes = t.Pods.Transport(scraping.Address)
		t.scrapes.DisableKeepAlives = true // so that network policies decide about each
		stops = append(stops, t.beginUsers(running))
	}
	t.end = end
	return nil
}

// watch follows the objects that decide about requests, until ctx is done; wait returns then.
func (t *Traffic) watch(ctx, starting context.Context) (wait func() error) {
	core := informers.NewSharedInformerFactoryWithOptions(t.Cluster.Core, 0, informers.WithNamespace(naming.NamespaceGridOS))
	t.pods = core.Core().V1().Pods().Lister().Pods(naming.NamespaceGridOS)
	t.services = core.Core().V1().Services().Lister().Services(naming.NamespaceGridOS)
	t.secrets = core.Core().V1().Secrets().Lister().Secrets(naming.NamespaceGridOS)
	other := dynamicinformer.NewFilteredDynamicSharedInformerFactory(t.Cluster.Objects, 0, naming.NamespaceGridOS, nil)
	t.virtual = other.ForResource(argo.VirtualServices).Lister().ByNamespace(naming.NamespaceGridOS)
	inMesh := informers.NewSharedInformerFactoryWithOptions(t.Cluster.Core, 0, informers.WithNamespace(naming.NamespaceIstioIngress))
	everywhere := dynamicinformer.NewDynamicSharedInformerFactory(t.Cluster.Objects, 0)
	t.entrance = entrance{
		services: inMesh.Core().V1().Services().Lister(), pods: inMesh.Core().V1().Pods().Lister(),
		configs: everywhere.ForResource(configs).Lister(),
	}
	for _, factory := range []informers.SharedInformerFactory{core, inMesh} {
		factory.Start(ctx.Done())
		factory.WaitForCacheSync(starting.Done())
	}
	for _, factory := range []dynamicinformer.DynamicSharedInformerFactory{other, everywhere} {
		factory.Start(ctx.Done())
		factory.WaitForCacheSync(starting.Done())
	}
	return func() error {
		core.Shutdown()
		inMesh.Shutdown()
		other.Shutdown()
		everywhere.Shutdown()
		return nil
	}
}

// Stop ends the requests and the gateways. Stopping a stopped Traffic is no error.
func (t *Traffic) Stop() error {
	if t.end == nil {
		return nil
	}
	end := t.end
	t.end = nil
	if err := end(); err != nil {
		return fmt.Errorf("traffic: %w", err)
	}
	return nil
}

// URL is where users find the service: the Application Gateway's. It is known after Start has
// returned.
func (t *Traffic) URL() string { return "http://" + t.front }

// MeshURL is the URL of the mesh's gateway. It is known after Start has returned.
func (t *Traffic) MeshURL() string { return "http://" + t.mesh }

// SetRate sets the number of users' requests per second from now on; with 0 there are no users.
func (t *Traffic) SetRate(perSecond float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rate = max(perSecond, 0)
}

// Silent reports whether there are no users.
func (t *Traffic) Silent() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rate == 0
}

// Lost returns the reason why the last request did not reach the mesh's gateway, or nil if it did.
func (t *Traffic) Lost() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

// lose notes why a request was lost, or that none was. Each reason is reported once, although it
// lasts.
func (t *Traffic) lose(ctx context.Context, why error) {
	t.mu.Lock()
	isNew := why != nil && (t.lost == nil || t.lost.Error() != why.Error())
	t.lost = why
	t.mu.Unlock()
	if isNew {
		utilruntime.HandleErrorWithContext(ctx, why, "traffic: requests do not reach the mesh's gateway")
	}
}

// virtualService returns nil if there is none.
func (t *Traffic) virtualService() (*virtualService, error) {
	object, err := t.virtual.Get(argo.RolloutName)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	virtual, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("VirtualService %s is a %T", argo.RolloutName, object)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.routes == nil || t.routes.object != virtual { // an informer has another object after a change
		if t.routes, err = read(virtual); err != nil {
			return nil, err
		}
	}
	return t.routes, nil
}
