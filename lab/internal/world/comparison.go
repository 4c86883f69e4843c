package world

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/lab/internal/offline/random"
	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/lab/internal/world/baseline"
	"github.com/gridos/sharedinfra/stacks/contract"
)

// Compare reports what the working tree would change in an environment made by the commit at which
// the checkout branched off ref. The built commit and what it made stay, for the next time.
func Compare(ctx context.Context, s site.Site, ref string, display *progress.Display) (report changes.Report, err error) {
	if err := engine.CheckConfiguration(ctx, s); err != nil {
		return report, Mistake{err}
	}
	commit, err := baseline.Find(ctx, s, ref)
	if err != nil {
		return report, Mistake{err}
	}
	base, err := baseline.Open(ctx, s, ref, commit, display)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, base.Close(context.WithoutCancel(ctx), display)) }()
	if report, err = previewOn(ctx, base, display); err != nil {
		base.Forget()
		return report, err
	}
	report.Base = base.Name
	var group errgroup.Group
	group.Go(func() error { return base.Stop(context.WithoutCancel(ctx)) }) // which is mostly waiting
	group.Go(func() (err error) {
		if report.Contract, err = contract.Between(base.Checkout(), s.Repository); err != nil {
			return err
		}
		return report.Render(ctx, changes.Sides{Before: base.Checkout(), After: s.Repository, Client: chartClient()})
	})
	err = group.Wait()
	return report, err
}

// previewOn brings the base up, and previews the working tree on top of it.
func previewOn(ctx context.Context, base *baseline.Baseline, display *progress.Display) (report changes.Report, err error) {
	made, err := base.Up(ctx, display, sameCharts)
	if err != nil {
		return report, err
	}
	m := newMachine(made, display)
	if err := m.prepare(ctx, DeliveryAsItIs); err != nil {
		return report, err
	}
	e, stop, err := m.onTopOf(ctx)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	overrides, err := m.overrides(ctx)
	if err != nil {
		return report, err
	}
	return e.Report(ctx, overrides)
}

// chartClient is how a report reads charts from repositories; nil is without a limit.
func chartClient() *http.Client {
	if !toolchain.Offline() {
		return nil
	}
	return &http.Client{Transport: offline{}}
}

// offline refuses every request.
type offline struct{}

// RoundTrip implements http.RoundTripper.
func (offline) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("the lab is to use no network (%s)", toolchain.EnvOffline)
}

// onTopOf returns an engine that previews against an environment that another version of the lab
// brought up. Its simulated Azure is this version's, with a copy of the other's inventory, because
// the working tree may use features that the other version does not know.
func (m *machine) onTopOf(ctx context.Context) (*engine.Engine, func() error, error) {
	if err := daemon.WaitForCluster(ctx, m.site); err != nil {
		return nil, nil, err
	}
	record, up, err := m.site.Running()
	if err != nil || !up {
		return nil, nil, errors.Join(err, ErrNotUp(m.site))
	}
	inventory, err := os.ReadFile(m.site.AzureFile())
	if err != nil {
		return nil, nil, err
	}
	copied := filepath.Join(m.site.TemporaryDir(), "azure.json")
	if err := os.WriteFile(copied, inventory, 0o600); err != nil {
		return nil, nil, err
	}
	others, err := engine.Existing(ctx, m.site)
	if err != nil {
		return nil, nil, err
	}
	cloud, err := azure.Open(azure.Options{StateFile: copied, Existing: others, Kubernetes: standing{m.site.KubeconfigFile()}})
	if err != nil {
		return nil, nil, err
	}
	azureServer, err := providers.Serve(ctx, cloud.Provider())
	if err != nil {
		return nil, nil, err
	}
	randomServer, err := providers.Serve(ctx, random.New())
	if err != nil {
		return nil, nil, errors.Join(err, azureServer.Stop())
	}
	stop := func() error { return errors.Join(azureServer.Stop(), randomServer.Stop()) }
	record.AzurePort, record.RandomPort, record.Tools = azureServer.Port, randomServer.Port, m.paths.Dirs()
	e, err := engine.New(m.site, record, m.display)
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return e, stop, nil
}

// standing is an existing cluster that is not changed: previews only sign in to it.
type standing struct{ kubeconfigFile string }

// Kubeconfig implements azure.Kubernetes.
func (s standing) Kubeconfig(context.Context) ([]byte, error) { return os.ReadFile(s.kubeconfigFile) }

// SetNodes implements azure.Kubernetes.
func (standing) SetNodes(context.Context, []azure.Node) error { return nil }

// SetIngressGateways implements azure.Kubernetes.
func (standing) SetIngressGateways(context.Context, []azure.IngressGateway) error { return nil }
