package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/charts"
	"github.com/gridos/sharedinfra/lab/internal/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/engine"
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

// repositoryTimeout bounds the question whether the chart repository can be reached.
const repositoryTimeout = 5 * time.Second

// machine is the lab's machinery for one environment, found but not started.
type machine struct {
	site     site.Site
	display  *progress.Display
	resolver *toolchain.Resolver
	paths    toolchain.Paths
}

// prepare finds the tools.
func prepare(ctx context.Context, s site.Site, display *progress.Display) (*machine, error) {
	m := &machine{site: s, display: display, resolver: &toolchain.Resolver{ToolsDir: s.ToolsDir(), Progress: display}}
	var err error
	m.paths, err = m.resolver.Resolve(ctx, toolchain.All()...)
	return m, err
}

// start runs the background process, or finds it running, and returns an engine that uses it.
func (m *machine) start(ctx context.Context) (*engine.Engine, error) {
	kwok, err := m.resolver.ModuleDir(ctx, toolchain.Kwok, "sigs.k8s.io/kwok")
	if err != nil {
		return nil, err
	}
	if err := m.site.Prepare(); err != nil {
		return nil, err
	}
	others, err := engine.Existing(ctx, m.site)
	if err != nil {
		return nil, err
	}
	record, err := daemon.Start(ctx, daemon.Config{
		Site:     m.site,
		Existing: others,
		Binaries: controlplane.Binaries{
			Etcd:                  m.paths[toolchain.Etcd],
			KubeAPIServer:         m.paths[toolchain.KubeAPIServer],
			KubeControllerManager: m.paths[toolchain.KubeControllerManager],
			KubeScheduler:         m.paths[toolchain.KubeScheduler],
			Kwok:                  m.paths[toolchain.Kwok],
		},
		KwokModuleDir: kwok,
		Tools:         m.paths.Dirs(),
		TimeScale:     timeScale,
	})
	if err != nil {
		return nil, err
	}
	overrides, err := m.overrides(ctx)
	if err != nil {
		return nil, err
	}
	return engine.New(m.site, record, m.display, overrides)
}

// startToChange is start for a command that changes something. After an engine was killed it first takes away what the
// simulated Azure has and no state knows: in the real one somebody would have to import it, or delete it by hand.
func (m *machine) startToChange(ctx context.Context) (*engine.Engine, error) {
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
	known, err := e.AzureIDs(ctx)
	if err != nil {
		return 0, err
	}
	if err := daemon.Stop(ctx, m.site); err != nil {
		return 0, err
	}
	cloud, err := azure.Open(azure.Options{StateFile: m.site.AzureFile()})
	if err != nil {
		return 0, err
	}
	orphans := slices.DeleteFunc(azure.Unseeded(cloud.Inventory()), func(r azure.Resource) bool {
		return slices.ContainsFunc(known, func(id string) bool { return strings.EqualFold(id, r.ID) }) // as ids compare in ARM
	})
	slices.SortFunc(orphans, func(a, b azure.Resource) int { return len(b.ID) - len(a.ID) }) // children before their parents
	for _, r := range orphans {
		if err := cloud.Forget(r.ID); err != nil {
			return 0, err
		}
	}
	return len(orphans), nil
}

// overrides are what the lab changes in its copies of the configuration.
func (m *machine) overrides(ctx context.Context) (engine.Overrides, error) {
	overrides := engine.Overrides{
		// Argo CD's controllers do not run here: nothing would remove the finalizer that deletes workloads first.
		stacks.Apps.Name: {"cascadeDelete": false},
		// The simulated Azure has one subscription, which is nobody's.
		// What Azure takes half a minute for takes the simulated one less.
		stacks.Infra.Name: {"subscriptionId": "", "rolePropagation": rolePropagation.String()},
	}
	wrapped, err := m.charts(ctx)
	if err != nil {
		return nil, err
	}
	if wrapped != nil {
		overrides[stacks.Bootstrap.Name] = wrapped
	}
	return overrides, nil
}

// charts returns nil when the chart repository answers; otherwise the official manifests are wrapped as charts, and the
// configuration that points at them is returned. What was decided for an environment stays: a release does not change its
// chart because the network does.
func (m *machine) charts(ctx context.Context) (map[string]any, error) {
	dir := m.site.ChartsDir()
	reached := filepath.Join(dir, "from-the-repository")
	if _, err := os.Stat(reached); err == nil {
		return nil, nil
	}
	if _, err := os.Stat(dir); err != nil {
		values, err := projectfile.Config(ctx, m.site.ProjectDir(stacks.Bootstrap.Directory), m.site.Environment)
		if err != nil {
			return nil, err
		}
		settings, err := bootstrap.Load(config.FromMap(stacks.Bootstrap.Name, m.site.Environment, values))
		if err != nil {
			return nil, err
		}
		repository := settings.ArgoCD.Chart.Repository
		if os.Getenv(toolchain.EnvOffline) == "" && charts.Reachable(ctx, repository, repositoryTimeout) {
			return nil, errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(reached, nil, 0o600))
		}
		if err := m.wrapCharts(ctx, dir); err != nil {
			return nil, err
		}
	}
	overrides := map[string]any{"chartRepository": ""}
	for prefix, name := range wrappedCharts {
		path := filepath.Join(dir, name)
		version, err := chartVersion(path)
		if err != nil {
			return nil, err
		}
		overrides[prefix+"Chart"] = path
		overrides[prefix+"ChartVersion"] = version
	}
	return overrides, nil
}

// wrappedCharts are the charts that the official manifests can stand in for, by the prefix of their configuration keys.
var wrappedCharts = map[string]string{"argocd": "argo-cd", "argoRollouts": "argo-rollouts"}

func chartVersion(path string) (string, error) {
	text, err := os.ReadFile(filepath.Join(path, "Chart.yaml"))
	if err != nil {
		return "", err
	}
	var chart struct {
		Version string `json:"version"`
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return chart.Version, nil
}

func (m *machine) wrapCharts(ctx context.Context, dir string) error {
	step := m.display.Start("charts")
	step.Update("the repository does not answer; wrapping the official manifests")
	unfinished := dir + ".unfinished"
	err := func() error {
		if err := os.RemoveAll(unfinished); err != nil {
			return err
		}
		cd, err := m.resolver.ModuleDir(ctx, "argo-cd", "github.com/argoproj/argo-cd/v3")
		if err != nil {
			return err
		}
		if _, err := charts.WrapArgoCD(cd, unfinished); err != nil {
			return err
		}
		rollouts, err := m.resolver.ModuleDir(ctx, "argo-rollouts", "github.com/argoproj/argo-rollouts")
		if err != nil {
			return err
		}
		if _, err := charts.WrapArgoRollouts(rollouts, unfinished); err != nil {
			return err
		}
		return os.Rename(unfinished, dir)
	}()
	if err != nil {
		step.Fail(err)
		return fmt.Errorf("wrap the official manifests as charts: %w", err)
	}
	step.Done("official manifests, because the chart repository does not answer")
	return nil
}
