package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	apps "github.com/gridos/sharedinfra/apps/program"
	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/config/projectfile"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/argo"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/gitops"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
	"github.com/gridos/sharedinfra/naming"
	"github.com/gridos/sharedinfra/stacks"
)

// gitOpsMode says whether an environment shall have what delivers from Git.
type gitOpsMode string

const (
	gitOpsAsItIs gitOpsMode = ""
	gitOpsYes    gitOpsMode = "yes"
	gitOpsNo     gitOpsMode = "no"
	// gitOpsAuto means yes where the programs can be had.
	gitOpsAuto gitOpsMode = "auto"
	// gitOpsToRemove is as it is, for what takes it away: no flag has it.
	gitOpsToRemove gitOpsMode = "remove"
)

const gitOpsFlag = "gitops"

func withGitOpsMode(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String(gitOpsFlag, string(gitOpsAsItIs),
		"run Argo CD, Argo Rollouts, a Git server, a registry and Prometheus too: yes, no, "+
			"or auto (if the programs can be had); as it was if not given")
	cmd.Flags().Lookup(gitOpsFlag).NoOptDefVal = string(gitOpsYes)
	return cmd
}

func gitOpsModeOf(cmd *cobra.Command) (gitOpsMode, error) {
	text, err := cmd.Flags().GetString(gitOpsFlag)
	if err != nil {
		return "", err
	}
	mode := gitOpsMode(text)
	if !slices.Contains([]gitOpsMode{gitOpsAsItIs, gitOpsYes, gitOpsNo, gitOpsAuto}, mode) {
		return "", usageError{fmt.Errorf("--%s=%s: use yes, no or auto", gitOpsFlag, text)}
	}
	return mode, nil
}

// prepareGitOps finds what delivers from Git, if that is wanted.
func (m *machine) prepareGitOps(ctx context.Context, wanted gitOpsMode) error {
	_, err := os.Stat(m.site.GitOpsDir())
	has := err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	switch wanted {
	case gitOpsAsItIs:
		if !has {
			return nil
		}
	case gitOpsNo:
		if has {
			return fmt.Errorf("%s delivers from Git already; take it down first (go run ./lab down%s)",
				m.site.Environment, stackFlag(m.site))
		}
		return nil
	case gitOpsToRemove:
		if !has {
			return nil
		}
		// What was started goes, whatever the stacks' files say, and PATH has, by now.
		if running, err := daemon.ReadConfig(m.site.Dir); err == nil && running.GitOps != nil {
			if _, err := os.Stat(running.GitOps.Binaries.ArgoCD); err == nil {
				m.gitops = running.GitOps
				return nil
			}
		}
	}
	err = m.findGitOps(ctx)
	if err != nil && wanted == gitOpsAuto && !has && ctx.Err() == nil {
		m.display.Printf("Argo CD does not run: %v. Everything else does.", err)
		return nil
	}
	return err
}

// findGitOps finds the programs. Those that are nobody's Go module are the user's to install.
func (m *machine) findGitOps(ctx context.Context) error {
	var missing []string
	found := map[string]string{}
	for _, program := range []struct{ name, debian string }{
		{"git", "git"}, {"redis-server", "redis-server"}, {"prometheus", "prometheus"},
	} {
		path, err := exec.LookPath(program.name)
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s (Debian's package %s)", program.name, program.debian))
			continue
		}
		if found[program.name], err = filepath.Abs(path); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not on PATH: %s; install what is missing", strings.Join(missing, ", "))
	}
	paths, err := m.resolver.Resolve(ctx, append(toolchain.GitOps(), toolchain.ForManifests()...)...)
	if err != nil {
		return err
	}
	settings, err := m.appsSettings(ctx)
	if err != nil {
		return err
	}
	for name, path := range paths {
		m.paths[name] = path
	}
	m.gitops = &gitops.Options{
		Dir: m.site.GitOpsDir(), Repository: m.site.Repository, Branch: settings.TargetRevision,
		Binaries: delivery.Binaries{
			ArgoCD: paths[toolchain.ArgoCD], ArgoRollouts: paths[toolchain.ArgoRollouts], Kustomize: paths[toolchain.Kustomize],
			RedisServer: found["redis-server"], Prometheus: found["prometheus"],
		},
	}
	return nil
}

func (m *machine) appsSettings(ctx context.Context) (apps.Settings, error) {
	values, err := projectfile.Config(ctx, m.site.ProjectDir(stacks.Apps.Directory), m.site.Environment)
	if err != nil {
		return apps.Settings{}, err
	}
	return apps.Load(config.FromMap(stacks.Apps.Name, m.site.Environment, values), m.site.Environment)
}

// deliverFromOwnGit lets Argo CD sync from the lab's Git server.
func (m *machine) deliverFromOwnGit(ctx context.Context, overrides engine.Overrides) error {
	status, err := gitOpsStatus(ctx, m.site)
	if err != nil {
		return err
	}
	overrides[stacks.Bootstrap.Name]["sourceRepositories"] = []string{status.GitURL}
	overrides[stacks.Apps.Name]["repositoryUrl"] = status.GitURL
	// Its chart comes from a repository that the lab may not reach; Prometheus runs beside the cluster instead.
	overrides[stacks.Apps.Name]["applications"] = []map[string]any{{"name": "prometheus", "enabled": false}}
	return nil
}

// errNoGitOps is what commands say that need delivery from Git.
func errNoGitOps(s site.Site) error {
	return fmt.Errorf("%s does not deliver from Git; run `go run ./lab up --gitops%s` first", s.Environment, stackFlag(s))
}

func gitOpsStatus(ctx context.Context, s site.Site) (gitops.Status, error) {
	client, ok, err := gitops.Connect(s.GitOpsDir())
	if err != nil {
		return gitops.Status{}, err
	}
	if !ok {
		return gitops.Status{}, errNoGitOps(s)
	}
	return client.Status(ctx)
}

// deliveryTimeout bounds the wait for the first sync of an environment: Argo CD starts, and the application's pods.
const deliveryTimeout = 5 * time.Minute

// awaitDelivery waits until Argo CD has brought the application to where Git says.
func (m *machine) awaitDelivery(ctx context.Context) (err error) {
	if m.gitops == nil {
		return nil
	}
	name := naming.NamespaceGridOS + "-" + m.site.Environment
	step := m.display.Start("Argo CD syncs " + name)
	defer func() {
		if err != nil {
			step.Fail(err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", m.site.KubeconfigFile())
	if err != nil {
		return err
	}
	observer, err := argo.Observe(ctx, config, name)
	if err != nil {
		return err
	}
	defer observer.Stop()
	state, err := observer.UntilSettled(ctx, name+" is synced and settled", func(state argo.State) (bool, error) {
		sync := state.Application.Status.Sync
		step.Update(strings.Join([]string{
			cmp.Or(sync.Status, "waiting for Argo CD"), state.Application.Status.Health.Status, state.Application.Problem(),
		}, " "))
		// A release that was aborted, or is on its way, is no reason to wait.
		rollout := state.Rollout.Status
		settled := state.Application.Healthy() && rollout.Phase == "Healthy" || rollout.Abort || rollout.Phase == "Paused"
		return sync.Status == "Synced" && settled, nil
	})
	if err != nil {
		return err
	}
	step.Done(strings.TrimSpace(fmt.Sprintf("%.7s, %s %s", state.Application.Status.Sync.Revision,
		strings.ToLower(state.Application.Status.Health.Status), state.Rollout.Status.Message)))
	return nil
}

// gitOpsState is what status says of delivery from Git.
type gitOpsState struct {
	Ready      bool                 `json:"ready"`
	GitURL     string               `json:"gitUrl"`
	Branch     string               `json:"branch"`
	Registry   string               `json:"registry"`
	ArgoCD     string               `json:"argocd,omitempty"`
	Prometheus string               `json:"prometheus,omitempty"`
	Components []delivery.Component `json:"components"`
}

// gitOpsStateOf is nil where nothing delivers from Git.
func gitOpsStateOf(ctx context.Context, s site.Site) (*gitOpsState, error) {
	client, ok, err := gitops.Connect(s.GitOpsDir())
	if err != nil || !ok {
		return nil, err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	return &gitOpsState{
		Ready: status.Ready, GitURL: status.GitURL, Branch: status.Branch, Registry: status.Registry,
		ArgoCD: status.ArgoCD, Prometheus: status.Prometheus, Components: append([]delivery.Component{}, status.Components...),
	}, nil
}

func gitOpsTable(w io.Writer, state *gitOpsState) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"delivery", "address"})
	t.AppendRow(table.Row{"Git, branch " + state.Branch, state.GitURL})
	t.AppendRow(table.Row{"registry", state.Registry})
	t.AppendRow(table.Row{"Argo CD's API", cmp.Or(state.ArgoCD, "not running yet")})
	t.AppendRow(table.Row{"Prometheus", cmp.Or(state.Prometheus, "not running yet")})
	t.Render()
	return nil
}

// addArgoCD points the user's argocd at the lab's, if that runs.
func addArgoCD(ctx context.Context, s site.Site, variables map[string]string) error {
	state, err := gitOpsStateOf(ctx, s)
	if err != nil || state == nil || !state.Ready {
		return err
	}
	variables["ARGOCD_SERVER"] = state.ArgoCD
	variables["ARGOCD_OPTS"] = "--plaintext"
	return nil
}
