package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/gitops"
	"github.com/gridos/sharedinfra/lab/internal/progress"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// timeScale is how much of Azure's time the simulated Azure takes: a cluster that takes five minutes there takes one and a
// half seconds here, and everything else in proportion.
const timeScale = 0.005

// rolePropagation is how long programs wait in the lab for a new role assignment: a little more than the simulated Azure takes.
const rolePropagation = 200 * time.Millisecond

// machine is the lab's machinery for one environment, found but not started.
type machine struct {
	site     site.Site
	display  *progress.Display
	resolver *toolchain.Resolver
	paths    toolchain.Paths
	gitops   *gitops.Options // nil without delivery from Git
}

// prepare finds the tools.
func prepare(ctx context.Context, s site.Site, display *progress.Display, wanted gitOpsMode) (*machine, error) {
	m := &machine{site: s, display: display, resolver: &toolchain.Resolver{ToolsDir: s.ToolsDir(), Progress: display}}
	var err error
	if m.paths, err = m.resolver.Resolve(ctx, toolchain.All()...); err != nil {
		return nil, err
	}
	return m, m.prepareGitOps(ctx, wanted)
}

// begin has everything ready to work on the environment: a configuration without mistakes, the tools, the background process, and what
// the lab configures otherwise than the stacks' files do.
func begin(ctx context.Context, s site.Site, display *progress.Display, wanted gitOpsMode,
) (m *machine, e *engine.Engine, overrides engine.Overrides, err error) {
	if err := engine.CheckConfiguration(ctx, s); err != nil {
		return nil, nil, nil, usageError{err}
	}
	if m, err = prepare(ctx, s, display, wanted); err != nil {
		return nil, nil, nil, err
	}
	others, err := engine.Existing(ctx, s)
	if err != nil {
		return nil, nil, nil, err
	}
	if e, err = m.start(ctx, others...); err != nil {
		return nil, nil, nil, err
	}
	if err := m.endRemoval(ctx); err != nil {
		return nil, nil, nil, err
	}
	overrides, err = m.overrides(ctx)
	return m, e, overrides, err
}

// start runs the background process, or finds it running, and returns an engine that uses it. What others have in Azure is
// there from the first start on.
func (m *machine) start(ctx context.Context, others ...azure.Existing) (*engine.Engine, error) {
	kwok, err := m.resolver.ModuleDir(ctx, toolchain.Kwok, "sigs.k8s.io/kwok")
	if err != nil {
		return nil, err
	}
	istio, err := m.resolver.ModuleDir(ctx, "istio", "istio.io/api")
	if err != nil {
		return nil, err
	}
	if err := m.site.Prepare(); err != nil {
		return nil, err
	}
	record, err := daemon.Start(ctx, daemon.Config{
		Site:     m.site,
		GitOps:   m.gitops,
		Existing: others,
		Binaries: controlplane.Binaries{
			Etcd:                  m.paths[toolchain.Etcd],
			KubeAPIServer:         m.paths[toolchain.KubeAPIServer],
			KubeControllerManager: m.paths[toolchain.KubeControllerManager],
			KubeScheduler:         m.paths[toolchain.KubeScheduler],
			Kwok:                  m.paths[toolchain.Kwok],
		},
		KwokModuleDir:  kwok,
		IstioModuleDir: istio,
		Tools:          m.paths.Dirs(),
		TimeScale:      timeScale,
	})
	if err != nil {
		return nil, err
	}
	record.Tools = m.paths.Dirs() // what runs may have been started with other pins
	return engine.New(m.site, record, m.display)
}

// startToDestroy is start for a command that destroys. After an engine was killed it first takes away what the simulated Azure has
// and no state knows: adopting it would need files of the stacks without a mistake.
func (m *machine) startToDestroy(ctx context.Context) (*engine.Engine, error) {
	e, err := m.start(ctx)
	if err != nil {
		return nil, err
	}
	killed, err := e.Killed()
	if err != nil || !killed {
		return e, err
	}
	step := m.display.Start("orphans of a killed engine")
	removed, err := m.removeOrphans(ctx, e)
	if err != nil {
		step.Fail(err)
		return nil, fmt.Errorf("remove what a killed engine left in the simulated Azure: %w", err)
	}
	step.Done(fmt.Sprintf("%d removed", removed))
	return m.start(ctx)
}

// removeOrphans does its work while the background process, which would not notice, is stopped.
func (m *machine) removeOrphans(ctx context.Context, e *engine.Engine) (removed int, err error) {
	if err := m.awaitAzure(ctx); err != nil {
		return 0, err
	}
	known, err := e.AzureIDs(ctx)
	if err != nil {
		return 0, err
	}
	orphans, err := unknownTo(known, m.site)
	if err != nil || len(orphans) == 0 {
		return 0, err
	}
	if err := daemon.Stop(ctx, m.site); err != nil {
		return 0, err
	}
	cloud, err := azure.Open(azure.Options{StateFile: m.site.AzureFile()})
	if err != nil {
		return 0, err
	}
	slices.SortFunc(orphans, func(a, b azure.Resource) int { return len(b.ID) - len(a.ID) }) // children before their parents
	for _, r := range orphans {
		if err := cloud.Forget(r.ID); err != nil {
			return 0, err
		}
	}
	return len(orphans), nil
}

// control returns the control of the simulated Azure that runs; the caller closes it.
func (m *machine) control() (*azure.Control, error) {
	record, running, err := m.site.Running()
	if err == nil && (!running || record.Ending) {
		err = fmt.Errorf("the lab's background process has ended; its log %s tells why", m.site.LogFile(daemon.Command))
	}
	if err != nil {
		return nil, err
	}
	return azure.Connect(record.AzurePort)
}

// endRemoval purges the vault of a destruction that was stopped behind its last resource: with the resource group all is gone that the
// vault's secrets open, and its name is in the way of the next update.
func (m *machine) endRemoval(ctx context.Context) error {
	if err := m.awaitAzure(ctx); err != nil {
		return err
	}
	left, err := leftInAzure(m.site)
	if err != nil || len(left) > 0 {
		return err
	}
	return m.purge(ctx)
}

// awaitAzure waits until Azure has done what it has taken on.
func (m *machine) awaitAzure(ctx context.Context) error {
	control, err := m.control()
	if err != nil {
		return err
	}
	return errors.Join(control.AwaitIdle(ctx), control.Close())
}

// overrides are what the lab changes in its copies of the configuration.
func (m *machine) overrides(ctx context.Context) (engine.Overrides, error) {
	charts, err := m.charts(ctx)
	if err != nil {
		return nil, err
	}
	overrides := engine.Overrides{
		// The simulated Azure has one subscription, which is nobody's.
		// What Azure takes half a minute for takes the simulated one less.
		stacks.Infra.Name:     {"subscriptionId": "", "rolePropagation": rolePropagation.String()},
		stacks.Bootstrap.Name: charts,
		stacks.Apps.Name:      {},
	}
	if m.gitops != nil {
		return overrides, m.deliverFromOwnGit(ctx, overrides)
	}
	// Argo CD's controllers do not run: nothing would remove the finalizers, of Applications and of AppProjects.
	overrides[stacks.Apps.Name]["cascadeDelete"] = false
	overrides[stacks.Bootstrap.Name]["keepUsedProjects"] = false
	return overrides, nil
}
