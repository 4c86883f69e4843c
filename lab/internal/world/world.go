// Package world is the lab's machinery: it brings an environment up, previews, compares, recovers
// and removes it. It shows progress and returns results; the commands print them and choose exit
// codes.
package world

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/cluster/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// timeScale is the factor on Azure's durations: a cluster that takes five minutes there takes one
// and a half seconds here, and everything else in proportion.
const timeScale = 0.005

// rolePropagation is how long programs wait in the lab for a new role assignment: a little more
// than the simulated Azure takes.
const rolePropagation = 200 * time.Millisecond

// Mistake is an error in a person's input: the configuration or the name of a commit. Nothing was
// changed.
type Mistake struct{ error }

// Unwrap gives access to the single mistakes.
func (m Mistake) Unwrap() error { return m.error }

// machine is the lab's machinery for one environment, found but not started.
type machine struct {
	site     site.Site
	display  *progress.Display
	resolver *toolchain.Resolver
	paths    toolchain.Paths
	gitops   *gitops.Options // nil without delivery from Git
}

// FindTools makes sure that all programs of an environment are there, and downloads or builds
// missing ones. It starts nothing.
func FindTools(ctx context.Context, s site.Site, display *progress.Display, wanted Delivery) error {
	return newMachine(s, display).prepare(ctx, wanted)
}

// Up brings the environment up, and waits until Argo CD, if it runs, has synced the application. If
// an engine was killed, it recovers first; strangers are then the resources in Azure that neither a
// state nor the program has.
func Up(ctx context.Context, s site.Site, display *progress.Display, wanted Delivery,
) (results []engine.Result, strangers []azure.Resource, err error) {
	if err := engine.CheckConfiguration(ctx, s); err != nil {
		return nil, nil, Mistake{err}
	}
	m, infra, err := prepareWithInfra(ctx, s, display, wanted)
	if err != nil {
		return nil, nil, err
	}
	e, overrides, err := m.begin(ctx)
	if err != nil {
		return nil, nil, err
	}
	killed, err := e.Killed()
	if err == nil && killed {
		_, strangers, err = m.recover(ctx, e, overrides)
	}
	if err != nil {
		return nil, nil, err
	}
	control, err := daemon.Control(m.site)
	if err != nil {
		return nil, strangers, err
	}
	results, err = e.Up(ctx, overrides, m.find(ctx, control))
	if infra != nil && len(results) > 0 && results[0].Changed() == 0 {
		results[0] = *infra // what this command did, and not that nothing was left to do
	}
	if err = errors.Join(err, control.Close()); err == nil {
		err = m.awaitDelivery(ctx)
	}
	return results, strangers, err
}

// Preview plans the environment. If it is not up, Preview plans it from nothing, in a temporary
// site.
func Preview(ctx context.Context, s site.Site, display *progress.Display) (results []engine.Result, err error) {
	if err := engine.CheckConfiguration(ctx, s); err != nil {
		return nil, Mistake{err}
	}
	if !s.Exists() {
		if s, err = s.Temporary(); err != nil {
			return nil, err
		}
		defer func() {
			var failure *engine.Failure
			if errors.As(err, &failure) { // its log is deleted with the site
				err = errors.Join(err, failure.QuoteLog())
			}
			err = errors.Join(err, Discard(context.WithoutCancel(ctx), s))
		}()
	}
	m := newMachine(s, display)
	if err := m.prepare(ctx, DeliveryAsItIs); err != nil {
		return nil, err
	}
	others, err := engine.Existing(ctx, s)
	if err != nil {
		return nil, err
	}
	e, err := m.start(ctx, others...)
	if err != nil {
		return nil, err
	}
	overrides, err := m.overrides(ctx)
	if err != nil {
		return nil, err
	}
	return e.Preview(ctx, overrides)
}

// Configure brings the plain Pulumi CLI's configuration up to date with the stack files of an
// environment that is up.
func Configure(ctx context.Context, s site.Site, display *progress.Display) error {
	if err := engine.CheckConfiguration(ctx, s); err != nil {
		return Mistake{err}
	}
	m := newMachine(s, display)
	if err := m.prepare(ctx, DeliveryAsItIs); err != nil {
		return err
	}
	overrides, err := m.overrides(ctx)
	if err != nil {
		return err
	}
	e, err := Running(s, display)
	if err != nil {
		return err
	}
	return e.Configure(ctx, overrides)
}

func newMachine(s site.Site, display *progress.Display) *machine {
	return &machine{site: s, display: display, resolver: &toolchain.Resolver{ToolsDir: s.ToolsDir(), Progress: display}}
}

// prepare finds the tools.
func (m *machine) prepare(ctx context.Context, wanted Delivery) (err error) {
	if m.paths, err = m.resolver.Resolve(ctx, toolchain.All()...); err != nil {
		return err
	}
	return m.prepareGitOps(ctx, wanted)
}

// prepareWithInfra is prepare, but does not let the user of a new machine wait for tools that only
// the cluster and later projects need: while they are downloaded or built, gridos-infra of a new
// environment comes up. Infra is what that did, or nil if no tool was missing.
func prepareWithInfra(ctx context.Context, s site.Site, display *progress.Display, wanted Delivery,
) (m *machine, infra *engine.Result, err error) {
	m = newMachine(s, display)
	later := append(toolchain.ForCluster(), toolchain.PulumiKubernetes)
	if wanted == DeliveryYes || wanted == DeliveryAuto {
		later = slices.Concat(later, toolchain.GitOps(), toolchain.ForManifests())
		if !s.Exists() {
			err = announcePrograms(display, os.Geteuid() == 0)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	missing, err := m.resolver.Announce(ctx, append(toolchain.ForInfra(), later...)...)
	if err != nil {
		return nil, nil, err
	}
	if s.Exists() || !slices.ContainsFunc(missing, func(tool string) bool { return slices.Contains(later, tool) }) {
		return m, nil, m.prepare(ctx, wanted)
	}
	early := &machine{site: s, display: display, resolver: m.resolver}
	if early.paths, err = early.resolver.Resolve(ctx, toolchain.ForInfra()...); err != nil {
		return nil, nil, err
	}
	background, stop := context.WithCancel(ctx)
	defer stop()
	var prepared error
	var wait sync.WaitGroup
	wait.Go(func() { prepared = m.prepare(background, wanted) })
	e, overrides, err := early.begin(ctx)
	if err == nil {
		var result engine.Result
		result, err = e.UpOne(ctx, stacks.Infra, overrides, 0)
		infra = &result
	}
	if err != nil {
		stop()
		wait.Wait()
		return nil, nil, err
	}
	wait.Wait()
	return m, infra, prepared
}

// begin prepares work on the environment: it checks the configuration, finds the tools, starts the
// background process, and returns the lab's overrides of the stack files.
func begin(ctx context.Context, s site.Site, display *progress.Display, wanted Delivery,
) (m *machine, e *engine.Engine, overrides engine.Overrides, err error) {
	if err := engine.CheckConfiguration(ctx, s); err != nil {
		return nil, nil, nil, Mistake{err}
	}
	m = newMachine(s, display)
	if err = m.prepare(ctx, wanted); err != nil {
		return nil, nil, nil, err
	}
	e, overrides, err = m.begin(ctx)
	return m, e, overrides, err
}

// begin is the part of the function begin that follows the look-up of the tools.
func (m *machine) begin(ctx context.Context) (*engine.Engine, engine.Overrides, error) {
	others, err := engine.Existing(ctx, m.site)
	if err != nil {
		return nil, nil, err
	}
	e, err := m.start(ctx, others...)
	if err != nil {
		return nil, nil, err
	}
	if err := m.endRemoval(ctx); err != nil {
		return nil, nil, err
	}
	overrides, err := m.overrides(ctx)
	return e, overrides, err
}

// start runs the background process, or finds it running, and returns an engine that uses it. The
// resources of other owners are in the simulated Azure from the first start on.
func (m *machine) start(ctx context.Context, others ...azure.Existing) (*engine.Engine, error) {
	if err := m.site.Prepare(); err != nil {
		return nil, err
	}
	config := daemon.Config{Site: m.site, GitOps: m.gitops, Existing: others, Tools: m.paths.Dirs(), TimeScale: timeScale}
	if err := m.addCluster(ctx, &config); err != nil {
		return nil, err
	}
	record, err := daemon.Start(ctx, config)
	if err != nil {
		return nil, err
	}
	// A running process may have been started with other pins, or before the later tools were there.
	// `lab env` reads the record; a command that needs fewer tools takes none from it.
	known := record.Tools
	record.Tools = m.paths.Dirs()
	if slices.ContainsFunc(record.Tools, func(dir string) bool { return !slices.Contains(known, dir) }) {
		if err := m.site.Write(record); err != nil {
			return nil, err
		}
	}
	return engine.New(m.site, record, m.display)
}

// addCluster adds what the control plane runs with, unless that is still being built.
func (m *machine) addCluster(ctx context.Context, to *daemon.Config) (err error) {
	if m.paths[toolchain.Etcd] == "" {
		return nil
	}
	to.Binaries = controlplane.Binaries{
		Etcd:                  m.paths[toolchain.Etcd],
		KubeAPIServer:         m.paths[toolchain.KubeAPIServer],
		KubeControllerManager: m.paths[toolchain.KubeControllerManager],
		KubeScheduler:         m.paths[toolchain.KubeScheduler],
	}
	to.IstioModuleDir, err = m.resolver.ModuleDir(ctx, "istio", "istio.io/api")
	return err
}

// awaitAzure waits until Azure has finished its operations.
func (m *machine) awaitAzure(ctx context.Context) error {
	control, err := daemon.Control(m.site)
	if err != nil {
		return err
	}
	return errors.Join(control.AwaitIdle(ctx), control.Close())
}

// overrides are the lab's changes in its copies of the configuration.
func (m *machine) overrides(ctx context.Context) (engine.Overrides, error) {
	charts, err := m.charts(ctx)
	if err != nil {
		return nil, err
	}
	overrides := engine.Overrides{
		// The simulated Azure has one subscription, whatever the stack files name, and makes a role
		// assignment effective faster than Azure, which takes half a minute.
		stacks.Infra.Name:     {"subscriptionId": "", "rolePropagation": rolePropagation.String()},
		stacks.Bootstrap.Name: charts,
		stacks.Apps.Name:      {},
	}
	if m.gitops != nil {
		return overrides, m.deliverFromOwnGit(ctx, overrides)
	}
	// Without Argo CD's controllers nothing would remove the finalizers of Applications and
	// AppProjects.
	overrides[stacks.Apps.Name]["cascadeDelete"] = false
	overrides[stacks.Bootstrap.Name]["keepUsedProjects"] = false
	return overrides, nil
}
