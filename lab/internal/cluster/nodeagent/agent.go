// Package nodeagent does the work of the kubelet on every node of the lab. A pod whose images are
// in the lab's registry runs: its binary is taken from the image and started as a process, in
// namespaces of its own, with the pod's environment, volumes, probes and restarts. Every other pod
// is ready at once, and nothing runs in it; its condition ConditionRuns says so.
//
// No container engine and no privileges are needed: each container is a user namespace in which the
// user of the lab is the user of the image. It has an own network, in which the pod has its own
// address, so that nothing in its manifest has to change. See docs/design/0014-running-pods.md.
package nodeagent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
)

// ConditionRuns is the condition of a pod that says whether its containers run as processes.
const ConditionRuns corev1.PodConditionType = "lab.gridos/Runs"

// Options say which pods run, and what they reach.
type Options struct {
	// Dir holds everything that is written: images, volumes, logs. It is created with mode 0700.
	Dir string
	// Registry is the address of the lab's registry, host:port. Without one no pod runs.
	Registry string
	// Mirrored returns the registries, such as devgridosacr.azurecr.io, whose images are taken from
	// Registry. It may be nil.
	Mirrored func() []string
	// Services returns what pods reach by a name although it is no pod. It is asked for at each start
	// of a container, which waits while the result is nil: the servers are not up yet.
	Services func() []Service
	// Beside are the pods that programs beside the cluster have in a real one, by the addresses that
	// these programs call from: network policies concern them as pods.
	Beside map[netip.Addr]*corev1.Pod
	// Roots returns the certificates, in PEM, that containers trust instead of those in their image.
	Roots func() []byte
	// Port is where the API server finds the agent, as a kubelet's, on 127.0.0.1; 0 without one.
	Port int
}

// Service is a server of this machine that pods reach by the name that it has in Azure or in the
// cluster.
type Service struct {
	// Host and Port are the name and the port that pods use.
	Host string
	Port int
	// Address is the server's own, host:port.
	Address string
}

// Agent is the kubelet of all nodes.
type Agent struct {
	options  Options
	client   kubernetes.Interface
	events   record.EventBroadcaster
	images   *images
	refused  error // why no pod runs as a process
	notify   func(*corev1.Pod)
	network  addresses
	lister   corelisters.PodLister
	policies policies
	watching context.Context //nolint:containedctx // it is the life of the agent, which pods outlive their calls with
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu   sync.Mutex
	pods map[types.NamespacedName]*pod
}

// Start begins to do the kubelets' work, and returns when all nodes and pods that exist are known.
// The caller stops the agent.
func Start(ctx context.Context, client kubernetes.Interface, options Options) (*Agent, error) {
	if options.Dir == "" {
		return nil, errors.New("node agent: Dir is empty; name a directory for images, volumes and logs")
	}
	for _, dir := range []string{options.Dir, filepath.Join(options.Dir, podsDir)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("node agent: %w", err)
		}
	}
	found, err := openImages(filepath.Join(options.Dir, "images"), options.Registry, options.Mirrored)
	if err != nil {
		return nil, fmt.Errorf("node agent: %w", err)
	}
	a := &Agent{
		options: options, client: client, images: found, pods: map[types.NamespacedName]*pod{},
		events: record.NewBroadcaster(), notify: func(*corev1.Pod) {},
	}
	if options.Registry != "" {
		a.refused = Supported(ctx)
	}
	a.watching, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.events.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(err, a.Stop())
	}
	return a, nil
}

func (a *Agent) start(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(a.client, 0)
	pods := factory.Core().V1().Pods()
	controller, err := node.NewPodController(node.PodControllerConfig{
		PodClient: a.client.CoreV1(), PodInformer: pods, Provider: provider{a},
		// It would tell of its own work in events that no kubelet writes.
		EventRecorder:     &record.FakeRecorder{},
		ConfigMapInformer: factory.Core().V1().ConfigMaps(), SecretInformer: factory.Core().V1().Secrets(),
		ServiceInformer: factory.Core().V1().Services(),
		// One controller serves all nodes.
		PodEventFilterFunc:                   func(_ context.Context, pod *corev1.Pod) bool { return pod.Spec.NodeName != "" },
		SkipDownwardAPIResolution:            true,
		SyncPodsFromKubernetesRateLimiter:    patience(),
		DeletePodsFromKubernetesRateLimiter:  patience(),
		SyncPodStatusFromProviderRateLimiter: patience(),
	})
	if err != nil {
		return fmt.Errorf("node agent: %w", err)
	}
	nodes, err := a.watchNodes(factory.Core().V1().Nodes().Informer())
	if err != nil {
		return fmt.Errorf("node agent: %w", err)
	}
	pods.Informer() // the controller asks the lister alone before it runs
	a.policies = watchPolicies(factory)
	factory.Start(a.watching.Done())
	factory.WaitForCacheSync(ctx.Done())
	a.lister = pods.Lister()
	if err := a.adopt(a.lister); err != nil {
		return fmt.Errorf("node agent: %w", err)
	}
	ended := make(chan error, 1)
	a.running.Go(func() {
		ended <- controller.Run(a.watching, 8)
		factory.Shutdown()
	})
	a.running.Go(func() { nodes.renew(a.watching) })
	a.running.Go(func() { a.measure(a.watching) })
	select {
	case <-controller.Ready():
		return nil
	case err := <-ended:
		return fmt.Errorf("node agent: it ended at once: %w", err)
	case <-ctx.Done():
		return fmt.Errorf("node agent: start interrupted: %w", context.Cause(ctx))
	}
}

// patience limits how soon something that failed is tried again, and nothing else.
func patience() workqueue.TypedRateLimiter[any] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[any](10*time.Millisecond, 5*time.Second)
}

// Stop ends the processes of all pods at once, as a machine that is switched off. What the API
// server knows of the pods stays. Stopping twice is no error.
func (a *Agent) Stop() error {
	a.cancel()
	a.running.Wait()
	a.mu.Lock()
	var all []*pod
	for _, p := range a.pods {
		all = append(all, p)
	}
	a.mu.Unlock()
	for _, p := range all {
		p.cancel()
		<-p.ended
	}
	a.events.Shutdown()
	return nil
}

// Refused is the reason why the pods with images of the lab's registry do not run as processes
// here, with the remedy, or nil if they do.
func (a *Agent) Refused() error { return a.refused }

// Runs reports whether a pod runs as a process, and is reached with Dial.
func (a *Agent) Runs(namespace, name string) bool {
	p := a.find(types.NamespacedName{Namespace: namespace, Name: name})
	return p != nil && p.executed
}

// Usage is the processor time, in cores, and the memory, in bytes, that a running pod uses.
func (a *Agent) Usage(namespace, name string) (cores float64, memory uint64, runs bool) {
	p := a.find(types.NamespacedName{Namespace: namespace, Name: name})
	if p == nil || !p.executed {
		return 0, 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cores, p.memory, true
}

// Dial connects to the address of a running pod, as from another address of the cluster, if the
// cluster's network policies let it. No address stands for the pod's node, which they do not
// concern (kubernetes.io, "Network Policies": "traffic to and from the node where a Pod is running
// is always allowed").
func (a *Agent) Dial(ctx context.Context, from netip.Addr, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("%s is no address of a pod: %w", address, err)
	}
	a.mu.Lock()
	var found *pod
	for _, p := range a.pods {
		if p.executed && p.address == to.Addr() {
			found = p
		}
	}
	a.mu.Unlock()
	if found == nil {
		return nil, fmt.Errorf("connect to %s: no pod that runs has the address", address)
	}
	if from.IsValid() {
		if err := a.mayReachPod(from, found.name, to.Port()); err != nil {
			return nil, fmt.Errorf("connect to %s: %w", address, err)
		}
	}
	return found.dial(ctx, from, to.Port())
}

// Transport returns a client's way to the pods, from an address of the cluster.
func (a *Agent) Transport(from netip.Addr) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) { return a.Dial(ctx, from, address) },
		// The default, two, would close most connections of a busy gateway after each request.
		MaxIdleConnsPerHost: 100,
	}
}

func (a *Agent) find(name types.NamespacedName) *pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pods[name]
}

// recorder writes events as the kubelet of a pod's node.
func (a *Agent) recorder(of *corev1.Pod) record.EventRecorder {
	return a.events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: of.Spec.NodeName})
}

// executes reports whether a pod runs as processes, or why it does not.
func (a *Agent) executes(of *corev1.Pod) (bool, string) {
	containers := slices.Concat(of.Spec.InitContainers, of.Spec.Containers)
	for _, c := range containers {
		if _, here := a.images.reference(c.Image); !here {
			return false, "the image " + c.Image + " is not in the lab's registry; the pod is ready at once, and nothing runs in it"
		}
	}
	switch {
	case a.refused != nil:
		return false, a.refused.Error()
	case len(of.Spec.Containers) != 1:
		return false, "the lab runs pods with one container and its init containers; this one is ready at once, and nothing runs in it"
	}
	return true, "its containers run as processes of this machine"
}

// podsDir is the folder of the pods' own folders.
const podsDir = "pods"

func (a *Agent) note(err error, message string, about ...any) {
	utilruntime.HandleErrorWithContext(a.watching, err, "node agent: "+message, about...)
}
