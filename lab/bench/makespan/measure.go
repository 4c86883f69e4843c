package makespan

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/offline/random"
	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/stacks"
)

// setup is what all environments are measured with.
type setup struct {
	// scale is the part of Azure's time that the measurement waits here.
	scale float64
	// parallel is how many resources the engine works on at once.
	parallel int
	// dir is where everything is written, and tools are the directories of the engine's programs.
	dir   string
	tools []string
	// display shows the progress.
	display *progress.Display
}

// measurement is one update of one environment, from nothing.
type measurement struct {
	environment string
	tasks       []*task
	// real is how long the update took here, including the start of the engine and the program.
	real time.Duration
}

// measure brings gridos-infra up in the environment.
func (s setup) measure(ctx context.Context, environment string) (m measurement, err error) {
	m.environment = environment
	place, err := site.Open(environment)
	if err != nil {
		return m, err
	}
	place.Dir = filepath.Join(s.dir, environment)
	if err := place.Prepare(); err != nil {
		return m, err
	}
	overrides, propagation, err := s.overrides(ctx, place)
	if err != nil {
		return m, err
	}
	var seen recorder
	ports, stop, err := s.serve(ctx, place, seen.record)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	e, err := engine.New(place, ports, s.display)
	if err != nil {
		return m, err
	}
	result, err := e.UpOne(ctx, stacks.Infra, overrides, s.parallel)
	if err != nil {
		return m, err
	}
	m.real = result.Duration
	state, err := e.State(ctx, stacks.Infra)
	if err != nil {
		return m, err
	}
	m.tasks, err = graph(seen.events, state.Resources, s.scale, propagation)
	return m, err
}

// overrides are the differences from the stack's file: those of the lab itself, and waits that are
// scaled as Azure is. propagation is the wait for role assignments, in Azure's time.
func (s setup) overrides(ctx context.Context, place site.Site) (o engine.Overrides, propagation time.Duration, err error) {
	settings, err := engine.InfraSettings(ctx, place)
	if err != nil {
		return nil, 0, err
	}
	return engine.Overrides{stacks.Infra.Name: {
		"subscriptionId":  "", // the one of the simulated Azure, which belongs to no real account
		"rolePropagation": time.Duration(float64(settings.Propagation) * s.scale).String(),
	}}, settings.Propagation, nil
}

// serve starts a simulated Azure for this environment alone, and the provider of random values.
func (s setup) serve(ctx context.Context, place site.Site, observe func(azure.Event)) (site.Record, func() error, error) {
	existing, err := engine.Existing(ctx, place)
	if err != nil {
		return site.Record{}, nil, err
	}
	cloud, err := azure.Open(azure.Options{TimeScale: s.scale, Kubernetes: standIn{}, Observe: observe, Existing: existing})
	if err != nil {
		return site.Record{}, nil, err
	}
	azureServer, err := providers.Serve(ctx, cloud.Provider())
	if err != nil {
		return site.Record{}, nil, err
	}
	randomServer, err := providers.Serve(ctx, random.New())
	if err != nil {
		return site.Record{}, nil, errors.Join(err, azureServer.Stop())
	}
	stop := func() error { return errors.Join(azureServer.Stop(), randomServer.Stop()) }
	return site.Record{AzurePort: azureServer.Port, RandomPort: randomServer.Port, Tools: s.tools}, stop, nil
}

// recorder collects events.
type recorder struct {
	mu     sync.Mutex
	events []azure.Event
}

func (r *recorder) record(e azure.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// standIn is a Kubernetes without any client: gridos-infra only hands its kubeconfig on.
type standIn struct{}

// Kubeconfig implements azure.Kubernetes.
func (standIn) Kubeconfig(context.Context) ([]byte, error) {
	return []byte(`apiVersion: v1
kind: Config
current-context: none
contexts: [{name: none, context: {cluster: none, user: none}}]
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: none, user: {}}]
`), nil
}

// SetNodes implements azure.Kubernetes.
func (standIn) SetNodes(context.Context, []azure.Node) error { return nil }

// SetIngressGateways implements azure.Kubernetes.
func (standIn) SetIngressGateways(context.Context, []azure.IngressGateway) error { return nil }
