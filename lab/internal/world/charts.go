package world

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/lab/internal/offline/charts"
	"github.com/gridos/sharedinfra/stacks"
)

// repositoryTimeout bounds the question whether the chart repository can be reached.
const repositoryTimeout = 5 * time.Second

// chartSource is a chart repository with the charts that the platform takes from it. They are
// replaced together or not at all, because they share one key of the configuration.
type chartSource struct {
	// key is the configuration key of the repository's address.
	key    string
	charts []standIn
}

// standIn replaces a chart whose repository does not answer.
type standIn struct {
	// prefix is the prefix of the chart's keys in the configuration.
	prefix string
	// of returns the chart's settings.
	of func(s bootstrap.Settings) helm.Chart
	// name is the chart's name.
	name string
	// folder is the one in tools/ that pins module.
	folder, module string
	// wrap makes the chart from the module.
	wrap func(moduleDir, dest string) (string, error)
}

var chartSources = []chartSource{
	{"chartRepository", []standIn{
		{
			"argocd", func(s bootstrap.Settings) helm.Chart { return s.ArgoCD.Chart },
			"argo-cd", toolchain.ArgoModule, "github.com/argoproj/argo-cd/v3", charts.WrapArgoCD,
		},
		{
			"argoRollouts", func(s bootstrap.Settings) helm.Chart { return s.Rollouts.Chart },
			"argo-rollouts", toolchain.ArgoModule, "github.com/argoproj/argo-rollouts", charts.WrapArgoRollouts,
		},
	}},
	{"externalSecretsChartRepository", []standIn{{
		"externalSecrets", func(s bootstrap.Settings) helm.Chart { return s.ExternalSecrets.Chart },
		"external-secrets", "external-secrets", "github.com/external-secrets/external-secrets", charts.WrapExternalSecrets,
	}}},
}

// charts returns the lab's changes to the configuration of the charts. If a chart repository
// answers, there are none. Otherwise the lab makes charts from the sources of the projects. The
// decision holds for the life of the environment, so that the network's state does not change a
// release's chart.
func (m *machine) charts(ctx context.Context) (map[string]any, error) {
	settings, err := m.bootstrapSettings(ctx)
	if err != nil {
		return nil, err
	}
	overrides := map[string]any{}
	for _, source := range chartSources {
		changes, err := m.chartsOf(ctx, source, settings)
		if err != nil {
			return nil, err
		}
		maps.Copy(overrides, changes)
	}
	return overrides, nil
}

func (m *machine) bootstrapSettings(ctx context.Context) (bootstrap.Settings, error) {
	values, err := projectfile.Config(ctx, m.site.ProjectDir(stacks.Bootstrap.Directory), m.site.Environment)
	if err != nil {
		return bootstrap.Settings{}, err
	}
	return bootstrap.Load(config.FromMap(stacks.Bootstrap.Name, m.site.Environment, values), m.site.Environment)
}

func (m *machine) chartsOf(ctx context.Context, source chartSource, settings bootstrap.Settings) (map[string]any, error) {
	switch first := source.charts[0].of(settings); {
	case first.Repository == "":
		return m.ownCharts(source, settings)
	case first.InFolder():
		return map[string]any{source.key: m.inBootstrap(first.Repository)}, nil
	default:
		return m.repositoryCharts(ctx, source, settings)
	}
}

// inBootstrap returns the absolute form of a path in the configuration. The path is relative to the
// project's directory, and the lab's engine works in another.
func (m *machine) inBootstrap(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(m.site.ProjectDir(stacks.Bootstrap.Directory), path)
}

// repositoryCharts is for charts in a repository that may not answer.
func (m *machine) repositoryCharts(ctx context.Context, source chartSource, settings bootstrap.Settings) (map[string]any, error) {
	dir := filepath.Join(m.site.ChartsDir(), source.key)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := m.decideCharts(ctx, dir, source, source.charts[0].of(settings).Repository); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, fromRepository)); !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	overrides := map[string]any{source.key: ""}
	for _, chart := range source.charts {
		path := filepath.Join(dir, chart.name)
		version, err := charts.StandInFor(chart.of(settings).Version, path)
		if err != nil {
			return nil, err
		}
		overrides[chart.prefix+"Chart"] = path
		overrides[chart.prefix+"ChartVersion"] = version
	}
	return overrides, nil
}

// sameCharts returns an error if the site's decision whether to replace a repository's charts is
// not the one that a new environment would make now.
func sameCharts(ctx context.Context, s site.Site) error {
	m := &machine{site: s}
	settings, err := m.bootstrapSettings(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, source := range chartSources {
		dir := filepath.Join(s.ChartsDir(), source.key)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			continue // the charts are not from a repository
		}
		group.Go(func() error {
			_, err := os.Stat(filepath.Join(dir, fromRepository))
			answered, answers := err == nil, answers(ctx, source.charts[0].of(settings).Repository)
			if answered != answers {
				return fmt.Errorf("whether the chart repository of %s answers: %t then, %t now", source.charts[0].name, answered, answers)
			}
			return nil
		})
	}
	return group.Wait()
}

// ownCharts is for charts that are not in a repository.
func (m *machine) ownCharts(source chartSource, settings bootstrap.Settings) (map[string]any, error) {
	overrides := map[string]any{}
	for _, chart := range source.charts {
		name := chart.of(settings).Name
		if filepath.IsAbs(name) || strings.Contains(name, "://") {
			continue
		}
		path := m.inBootstrap(name)
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%s:%sChart: there is no chart %s; name the directory of one, or set %s: %w",
				stacks.Bootstrap.Name, chart.prefix, path, source.key, err)
		}
		overrides[chart.prefix+"Chart"] = path
	}
	return overrides, nil
}

// fromRepository is a file in the folder of a repository's charts. It says that the environment
// uses the repository's own charts.
const fromRepository = "from-the-repository"

// decideCharts fills dir with the charts that replace the repository's, or records there that the
// repository answers. The folder appears in one step, so that a killed lab leaves no half of a
// decision.
func (m *machine) decideCharts(ctx context.Context, dir string, source chartSource, repository string) error {
	unfinished := dir + ".unfinished"
	if err := errors.Join(os.RemoveAll(unfinished), os.MkdirAll(unfinished, 0o700)); err != nil {
		return err
	}
	fill := func() error { return m.wrapCharts(ctx, unfinished, source) }
	if answers(ctx, repository) {
		fill = func() error { return os.WriteFile(filepath.Join(unfinished, fromRepository), nil, 0o600) }
	}
	// An interrupted request to the repository is no answer.
	if err := errors.Join(fill(), ctx.Err()); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
}

// answers reports whether the charts of a repository can be used.
func answers(ctx context.Context, repository string) bool {
	return !toolchain.Offline() && charts.Reachable(ctx, repository, repositoryTimeout)
}

// wrapCharts writes the charts that replace those of source into dir.
func (m *machine) wrapCharts(ctx context.Context, dir string, source chartSource) error {
	step := m.display.Start("charts")
	for _, chart := range source.charts {
		step.Update("the repository does not answer; wrapping the source of " + chart.name)
		moduleDir, err := m.resolver.ModuleDir(ctx, chart.folder, chart.module)
		if err == nil {
			_, err = chart.wrap(moduleDir, dir)
		}
		if err != nil {
			step.Fail(err)
			return fmt.Errorf("wrap the source of %s as a chart: %w", chart.name, err)
		}
	}
	step.Done("from the projects' sources, because the chart repository does not answer")
	return nil
}
