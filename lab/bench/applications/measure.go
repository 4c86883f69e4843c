package applications

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/apps/catalogue"
	"github.com/gridos/sharedinfra/lab/bench/floor"
	"github.com/gridos/sharedinfra/lab/bench/memory"
	"github.com/gridos/sharedinfra/lab/internal/argocluster"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/progress"
	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
	"github.com/gridos/sharedinfra/naming"
	"github.com/gridos/sharedinfra/stacks"
)

// environment is the one that is measured; they differ in nothing that takes time.
const environment = "dev"

// bench is what all sizes are measured with.
type bench struct {
	dir        string
	tools      []string
	kubeconfig string
	noopPort   int
	display    *progress.Display
}

// measureAll measures one size after the other: at the same time they would take it from each other. After a failure the folder
// stays, because the error names logs in it.
func measureAll(ctx context.Context, o options, display *progress.Display) (all []rounds, err error) {
	here, err := site.Open(environment)
	if err != nil {
		return nil, err
	}
	resolver := &toolchain.Resolver{ToolsDir: here.ToolsDir(), Progress: display}
	paths, err := resolver.Resolve(ctx, toolchain.Pulumi, toolchain.PulumiKubernetes)
	if err != nil {
		return nil, err
	}
	if !o.checkpoints {
		if err := os.Setenv("PULUMI_SKIP_CHECKPOINTS", "true"); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "gridos-benchapps-*")
	if err != nil {
		return nil, err
	}
	step := display.Start("API server")
	cluster, err := argocluster.Start(ctx, resolver, filepath.Join(dir, "kubernetes"), naming.ProjectGridOS, naming.ProjectPlatform)
	if err != nil {
		step.Fail(errors.New("see below"))
		return nil, err
	}
	step.Done("ready")
	defer func() {
		err = errors.Join(err, cluster.Stop())
		if err == nil {
			err = os.RemoveAll(dir)
		}
	}()
	noops, err := providers.Serve(ctx, floor.Provider())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, noops.Stop()) }()
	b := bench{
		dir: dir, tools: paths.Dirs(), kubeconfig: string(cluster.Kubeconfig), noopPort: noops.Port, display: display,
	}
	for _, n := range o.counts {
		var of rounds
		for round := range o.roundsOf(n) {
			s, err := b.measure(ctx, n, round)
			if err != nil {
				return nil, fmt.Errorf("%d Applications: %w", n, err)
			}
			of = append(of, s)
		}
		all = append(all, of)
	}
	return all, nil
}

// measure previews and updates n Applications from nothing, and as many resources that do nothing.
func (b bench) measure(ctx context.Context, n, round int) (size, error) {
	s := size{Applications: n}
	name := fmt.Sprintf("%d-%d", n, round)
	e, err := b.engine(name + "-engine")
	if err != nil {
		return s, err
	}
	e.StandIn(stacks.Apps, floor.Many(n))
	if s.EnginePreview, s.EngineUp, err = b.both(ctx, e, nil, n); err != nil {
		return s, err
	}
	if e, err = b.engine(name + "-applications"); err != nil {
		return s, err
	}
	if err := b.upstream(ctx, e); err != nil {
		return s, err
	}
	s.Preview, s.Up, err = b.both(ctx, e, overrides(n, round), n)
	return s, err
}

// engine returns an engine with empty stacks.
func (b bench) engine(name string) (*engine.Engine, error) {
	place, err := site.Open(environment)
	if err != nil {
		return nil, err
	}
	place.Dir = filepath.Join(b.dir, name)
	if err := place.Prepare(); err != nil {
		return nil, err
	}
	return engine.New(place, site.Record{AzurePort: b.noopPort, RandomPort: b.noopPort, Tools: b.tools}, b.display)
}

// upstream brings stacks up that export what gridos-apps reads, without what they stand for.
func (b bench) upstream(ctx context.Context, e *engine.Engine) error {
	infra := map[string]pulumi.Input{}
	for _, o := range stacks.OutputsOf[stacks.InfraOutputs]() {
		infra[o.Key] = pulumi.String("the " + o.Key)
	}
	infra["kubeconfig"] = pulumi.ToSecret(pulumi.String(b.kubeconfig))
	platform := map[string]pulumi.Input{}
	for _, o := range stacks.OutputsOf[stacks.BootstrapOutputs]() {
		platform[o.Key] = pulumi.String("the " + o.Key)
	}
	platform["argocdNamespace"] = pulumi.String(naming.NamespaceArgoCD)
	platform["projectName"] = pulumi.String(naming.ProjectGridOS)
	platform["workloadNamespace"] = pulumi.String(naming.NamespaceGridOS)
	e.StandIn(stacks.Infra, engine.Exporting(infra))
	e.StandIn(stacks.Bootstrap, engine.Exporting(platform))
	for _, project := range []stacks.Project{stacks.Infra, stacks.Bootstrap} {
		if _, err := e.UpOne(ctx, project, nil, 0); err != nil {
			return err
		}
	}
	return nil
}

// overrides configure a catalogue of exactly n Applications, whose names no other round has: they stay in the cluster.
func overrides(n, round int) engine.Overrides {
	no := false
	entries := []catalogue.Entry{{Name: "prometheus", Enabled: &no}, {Name: naming.Application + "-" + environment, Enabled: &no}}
	for i := range n {
		name := fmt.Sprintf("bench-%d-%d-%04d", n, round, i)
		entries = append(entries, catalogue.Entry{Name: name, Path: "applications/" + name})
	}
	return engine.Overrides{stacks.Apps.Name: {"applications": entries, "cascadeDelete": false}}
}

// both measures a preview and an update from nothing.
func (b bench) both(ctx context.Context, e *engine.Engine, o engine.Overrides, n int) (preview, up cost, err error) {
	preview, err = watched(n, func() (engine.Result, error) { return e.PreviewOne(ctx, stacks.Apps, o, 0) })
	if err != nil {
		return preview, up, err
	}
	up, err = watched(n, func() (engine.Result, error) { return e.UpOne(ctx, stacks.Apps, o, 0) })
	return preview, up, err
}

// watched runs an operation that must create n resources and the provider that they go through.
func watched(n int, operation func() (engine.Result, error)) (cost, error) {
	debug.FreeOSMemory() // what earlier measurements left is not this one's
	stop := memory.Watch("pulumi")
	result, err := operation()
	c := cost{Seconds: result.Alone.Seconds()}
	peak, watchErr := stop()
	c.EngineMiB, c.ProgramMiB = peak.Others, peak.Self
	if err := errors.Join(err, watchErr); err != nil {
		return c, err
	}
	// The stack itself is a resource too.
	if created := result.Changes["create"]; created != n+2 {
		return c, fmt.Errorf("%d resources were created instead of %d Applications, their provider and the stack; "+
			"the catalogue is not what was meant to be measured", created, n)
	}
	return c, nil
}
