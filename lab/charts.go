package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/charts"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// repositoryTimeout bounds the question whether the chart repository can be reached.
const repositoryTimeout = 5 * time.Second

// charts returns what the lab changes in the configuration of the charts. Where the chart repository answers that is
// nothing; where it does not, the official manifests are wrapped as charts. What was decided for an environment stays: a
// release does not change its chart because the network does.
func (m *machine) charts(ctx context.Context) (map[string]any, error) {
	values, err := projectfile.Config(ctx, m.site.ProjectDir(stacks.Bootstrap.Directory), m.site.Environment)
	if err != nil {
		return nil, err
	}
	settings, err := bootstrap.Load(config.FromMap(stacks.Bootstrap.Name, m.site.Environment, values), m.site.Environment)
	if err != nil {
		return nil, err
	}
	if settings.ArgoCD.Chart.Repository == "" {
		return m.ownCharts(map[string]string{"argocd": settings.ArgoCD.Chart.Name, "argoRollouts": settings.Rollouts.Chart.Name})
	}
	dir := m.site.ChartsDir()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := m.decideCharts(ctx, dir, settings.ArgoCD.Chart.Repository); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, fromRepository)); !errors.Is(err, fs.ErrNotExist) {
		return nil, err
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

// ownCharts is for charts that are not in a repository. Their directories are relative to the project's, and the lab's
// engine works in another.
func (m *machine) ownCharts(names map[string]string) (map[string]any, error) {
	overrides := map[string]any{}
	for prefix, name := range names {
		if filepath.IsAbs(name) || strings.Contains(name, "://") {
			continue
		}
		path := filepath.Join(m.site.ProjectDir(stacks.Bootstrap.Directory), name)
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%s:%sChart: there is no chart %s; name the directory of one, or set chartRepository: %w",
				stacks.Bootstrap.Name, prefix, path, err)
		}
		overrides[prefix+"Chart"] = path
	}
	return overrides, nil
}

// fromRepository is the file in the folder for charts that says that the environment's charts are the repository's.
const fromRepository = "from-the-repository"

// decideCharts fills dir with the charts that stand in for the repository's, or notes there that the repository answers. The
// folder appears in one step, so that a killed lab leaves no half of a decision.
func (m *machine) decideCharts(ctx context.Context, dir, repository string) error {
	unfinished := dir + ".unfinished"
	if err := errors.Join(os.RemoveAll(unfinished), os.Mkdir(unfinished, 0o700)); err != nil {
		return err
	}
	fill := m.wrapCharts
	if os.Getenv(toolchain.EnvOffline) == "" && charts.Reachable(ctx, repository, repositoryTimeout) {
		fill = func(_ context.Context, unfinished string) error {
			return os.WriteFile(filepath.Join(unfinished, fromRepository), nil, 0o600)
		}
	}
	// An interrupted look at the repository is no answer.
	if err := errors.Join(fill(ctx, unfinished), ctx.Err()); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
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

// wrapCharts writes the official manifests as charts into dir.
func (m *machine) wrapCharts(ctx context.Context, dir string) error {
	step := m.display.Start("charts")
	step.Update("the repository does not answer; wrapping the official manifests")
	err := func() error {
		cd, err := m.resolver.ModuleDir(ctx, "argo-cd", "github.com/argoproj/argo-cd/v3")
		if err != nil {
			return err
		}
		if _, err := charts.WrapArgoCD(cd, dir); err != nil {
			return err
		}
		rollouts, err := m.resolver.ModuleDir(ctx, "argo-rollouts", "github.com/argoproj/argo-rollouts")
		if err != nil {
			return err
		}
		_, err = charts.WrapArgoRollouts(rollouts, dir)
		return err
	}()
	if err != nil {
		step.Fail(err)
		return fmt.Errorf("wrap the official manifests as charts: %w", err)
	}
	step.Done("official manifests, because the chart repository does not answer")
	return nil
}
