package world

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	apps "github.com/gridos/sharedinfra/apps/program"
	"github.com/gridos/sharedinfra/bootstrap/notifications"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/delivery/scraping"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/lab/internal/scenario"
	"github.com/gridos/sharedinfra/stacks"
)

// Delivery says whether an environment must have delivery from Git.
type Delivery string

// The possible values.
const (
	DeliveryAsItIs Delivery = ""
	DeliveryYes    Delivery = "yes"
	DeliveryNo     Delivery = "no"
	// DeliveryAuto means yes if the programs are available.
	DeliveryAuto Delivery = "auto"
	// deliveryToRemove keeps what the environment has; only Down uses it.
	deliveryToRemove Delivery = "remove"
)

// prepareGitOps finds the programs that deliver from Git, if that is wanted.
func (m *machine) prepareGitOps(ctx context.Context, wanted Delivery) error {
	_, err := os.Stat(m.site.GitOpsDir())
	has := err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	switch wanted {
	case DeliveryAsItIs:
		if !has {
			return nil
		}
	case DeliveryNo:
		if has {
			return fmt.Errorf("%s delivers from Git already; take it down first (%s)",
				m.site.Environment, m.site.Command("down"))
		}
		return nil
	case deliveryToRemove:
		if !has {
			return nil
		}
		// The started configuration decides, not the stacks' files or PATH: Down must stop what was
		// started.
		if running, err := daemon.ReadConfig(m.site.Dir); err == nil && running.GitOps != nil {
			if _, err := os.Stat(running.GitOps.Binaries.ArgoCD); err == nil {
				m.gitops = running.GitOps
				return nil
			}
		}
	}
	err = m.findGitOps(ctx)
	if err != nil && wanted == DeliveryAuto && !has && ctx.Err() == nil {
		m.display.Printf("Argo CD does not run: %v. Everything else does.", err)
		return nil
	}
	return err
}

// findGitOps finds the programs, and gets those that are missing.
func (m *machine) findGitOps(ctx context.Context) error {
	found, err := findPrograms(ctx, m.display, os.Geteuid() == 0, programs())
	if err != nil {
		return err
	}
	paths, err := m.resolver.Resolve(ctx, append(toolchain.GitOps(), toolchain.ForManifests()...)...)
	if err != nil {
		return err
	}
	settings, err := m.appsSettings(ctx)
	if err != nil {
		return err
	}
	prometheus, err := m.prometheusValues(ctx, settings)
	if err != nil {
		return err
	}
	for name, path := range paths {
		m.paths[name] = path
	}
	m.gitops = &gitops.Options{
		Dir: m.site.GitOpsDir(), Repository: m.site.Repository, Branch: branchFor(settings.TargetRevision),
		Environment: m.site.Environment, PostgreSQL: found[postgresql],
		Binaries: delivery.Binaries{
			ArgoCD: paths[toolchain.ArgoCD], ArgoRollouts: paths[toolchain.ArgoRollouts], Kustomize: paths[toolchain.Kustomize],
			RedisServer: found["redis-server"], Prometheus: paths[toolchain.Prometheus],
		},
		Prometheus: prometheus,
	}
	return nil
}

// prometheusValues returns the values of Prometheus' chart, and says which of its jobs the lab does
// not have. An environment that leaves its Application out has the platform's own values.
func (m *machine) prometheusValues(ctx context.Context, settings apps.Settings) (map[string]any, error) {
	values := settings.Prometheus()
	if values == nil {
		settings, err := m.appsSettings(ctx, "applications")
		if err != nil {
			return nil, err
		}
		values = settings.Prometheus()
	}
	_, without, err := scraping.Jobs(values, scraping.Here{})
	if err != nil {
		return nil, Mistake{fmt.Errorf("%s:applications: %w", stacks.Apps.Name, err)}
	}
	if len(without) > 0 {
		m.display.Printf("The lab's Prometheus is without the chart's jobs %s: they are about what the lab does not have.",
			strings.Join(without, ", "))
	}
	return values, nil
}

// appsSettings reads the settings of the environment, without some of the keys that its file has.
func (m *machine) appsSettings(ctx context.Context, without ...string) (apps.Settings, error) {
	values, err := projectfile.Config(ctx, m.site.ProjectDir(stacks.Apps.Directory), m.site.Environment)
	if err != nil {
		return apps.Settings{}, err
	}
	for _, key := range without {
		delete(values, stacks.Apps.Name+":"+key)
	}
	return apps.Load(config.FromMap(stacks.Apps.Name, m.site.Environment, values), m.site.Environment)
}

// deliverFromOwnGit makes Argo CD sync from the lab's Git server.
func (m *machine) deliverFromOwnGit(ctx context.Context, overrides engine.Overrides) error {
	status, err := gitOpsStatus(ctx, m.site)
	if err != nil {
		return err
	}
	values, err := projectfile.Config(ctx, m.site.ProjectDir(stacks.Apps.Directory), m.site.Environment)
	if err != nil {
		return err
	}
	settings, err := m.appsSettings(ctx)
	if err != nil {
		return err
	}
	platform, err := m.bootstrapSettings(ctx)
	if err != nil {
		return err
	}
	entries, err := withoutPrometheus(values[stacks.Apps.Name+":applications"])
	if err != nil {
		return err
	}
	// Other repositories that the user permits stay permitted: an entry of the catalogue may come
	// from there.
	overrides[stacks.Bootstrap.Name]["sourceRepositories"] = append([]string{status.GitURL}, platform.ArgoCD.Projects.SourceRepositories...)
	// The lab's receiver stands for those that the stack's file names, and needs none of their keys.
	overrides[stacks.Bootstrap.Name]["notificationsRecipients"] = []string{notifications.Webhook}
	overrides[stacks.Bootstrap.Name]["notificationsWebhookUrl"] = status.Notifications
	for _, key := range []string{"notificationsGitHubAppId", "notificationsGitHubInstallationId", "notificationsSlackChannel"} {
		overrides[stacks.Bootstrap.Name][key] = ""
	}
	overrides[stacks.Apps.Name]["repositoryUrl"] = status.GitURL
	overrides[stacks.Apps.Name]["applications"] = entries
	m.display.Printf("The Application %s is left out: in the lab Prometheus runs beside the cluster.", prometheusEntry)
	if branch := branchFor(settings.TargetRevision); branch != settings.TargetRevision {
		overrides[stacks.Apps.Name]["targetRevision"] = branch
		m.display.Printf("targetRevision is the commit %s; in the lab Argo CD follows a branch %s with the working tree instead.",
			settings.TargetRevision, branch)
	}
	return nil
}

// commitHash matches the whole hash of a commit, or the beginning of one.
var commitHash = regexp.MustCompile(`^[0-9a-f]{7,40}$`)

// branchFor returns the branch of the lab's Git server with the working tree: the configured
// revision, unless that is a commit, because a commit cannot be made again.
func branchFor(revision string) string {
	if commitHash.MatchString(revision) {
		return "main"
	}
	return revision
}

// withoutPrometheus returns the entries of the user's catalogue, in the form of JSON, without
// Prometheus. Its chart comes from a repository that the lab may not reach, and Prometheus runs
// beside the cluster instead.
func withoutPrometheus(catalogue string) ([]map[string]any, error) {
	var entries []map[string]any
	if catalogue != "" {
		if err := json.Unmarshal([]byte(catalogue), &entries); err != nil {
			return nil, fmt.Errorf("%s:applications: %w", stacks.Apps.Name, err)
		}
	}
	entries = slices.DeleteFunc(entries, func(entry map[string]any) bool { return entry["name"] == prometheusEntry })
	return append(entries, map[string]any{"name": prometheusEntry, "enabled": false}), nil
}

// prometheusEntry is the name of the catalogue's entry for Prometheus.
const prometheusEntry = "prometheus"

// errNoGitOps returns the error that the environment does not deliver from Git.
func errNoGitOps(s site.Site) error {
	return fmt.Errorf("%s does not deliver from Git; run `%s` first", s.Environment, s.Command("up --gitops"))
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

// deliveryTimeout bounds the wait for the first sync of an environment, in which Argo CD and the
// application's pods start.
const deliveryTimeout = 5 * time.Minute

// awaitDelivery waits until Argo CD has synced the application to Git's version.
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
	clients, err := kube.Connect(m.site.KubeconfigFile())
	if err != nil {
		return err
	}
	observer, err := argo.Observe(ctx, clients.Objects, name)
	if err != nil {
		return err
	}
	defer observer.Stop()
	state, err := observer.UntilSettled(ctx, name+" is synced and settled", func(state argo.State) (bool, error) {
		sync := state.Application.Status.Sync
		step.Update(strings.Join([]string{
			cmp.Or(sync.Status, "waiting for Argo CD"), state.Application.Status.Health.Status, state.Application.Problem(),
		}, " "))
		// It does not wait for a release that was aborted or is under way.
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

// Play runs do on a stage for scenarios in the environment, and closes the stage. Each event is
// written to the environment's log of scenarios, which begins empty. detail gets a description of
// what the scenario in play is doing.
func Play(ctx context.Context, s site.Site, display *progress.Display, detail func(string), do func(*scenario.Stage) error) (err error) {
	record, running, err := s.Running()
	if err != nil || !running {
		return errors.Join(err, errNoGitOps(s))
	}
	log, err := os.OpenFile(s.ScenariosFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	client, ok, err := gitops.Connect(s.GitOpsDir())
	if err != nil {
		return err
	}
	if !ok {
		return errNoGitOps(s)
	}
	resolver := &toolchain.Resolver{ToolsDir: s.ToolsDir(), Progress: display}
	paths, err := resolver.Resolve(ctx, append(toolchain.ForManifests(), toolchain.ArgoRolloutsPlugin, toolchain.ArgoCD)...)
	if err != nil {
		return err
	}
	e, err := engine.New(s, record, display)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.GitOpsDir(), "clone-")
	if err != nil {
		return err
	}
	stage, err := scenario.NewStage(ctx, scenario.Options{
		Environment: s.Environment, Dir: dir, Kubeconfig: s.KubeconfigFile(), Lab: client,
		Kustomize: paths[toolchain.Kustomize], Kubectl: paths[toolchain.Kubectl], RolloutsPlugin: paths[toolchain.ArgoRolloutsPlugin],
		ArgoCD:         paths[toolchain.ArgoCD],
		Infrastructure: func(ctx context.Context) (int, []string, error) { return inAzure(ctx, s, e) },
		Log:            log,
		Show:           func(line string) { display.Printf("%s", line) },
		Detail:         detail,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close(ctx)) }()
	return do(stage)
}
