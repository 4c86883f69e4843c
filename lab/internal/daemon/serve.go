// Package daemon is the lab's background process: it serves the simulated Azure and runs the
// Kubernetes control plane for as long as the lab is up, also for the user's own pulumi and
// kubectl.
package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/cluster/cloudcontroller"
	"github.com/gridos/sharedinfra/lab/internal/cluster/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
	"github.com/gridos/sharedinfra/lab/internal/cluster/nodeagent"
	"github.com/gridos/sharedinfra/lab/internal/cluster/standins"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/delivery/scraping"
	"github.com/gridos/sharedinfra/lab/internal/delivery/traffic"
	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/offline/random"
	"github.com/gridos/sharedinfra/lab/internal/providers"
)

// Config is the configuration that the starting command gives to the background process.
type Config struct {
	Site site.Site `json:"site"`
	// Binaries are the programs of the control plane. Without any, AKS gives the cluster's address and
	// certificates, but no cluster runs: they are still being built, and the next start has them.
	Binaries controlplane.Binaries `json:"binaries"`
	// IstioModuleDir is the directory of the Go module istio.io/api, which carries Istio's
	// CustomResourceDefinitions.
	IstioModuleDir string `json:"istioModuleDir"`
	// Tools are the directories of the lab's binaries, in the order of a PATH.
	Tools []string `json:"tools"`
	// TimeScale is the factor on Azure's realistic durations.
	TimeScale float64 `json:"timeScale"`
	// GitOps, if not nil, makes the process deliver from Git too.
	GitOps *gitops.Options `json:"gitops,omitempty"`
	// Existing are resources that other owners have in Azure.
	Existing []azure.Existing `json:"existing"`
}

// existenceCheck is how often the process checks whether its lab still exists.
const existenceCheck = time.Second

// Serve runs until ctx is done, its site is removed, or a part of the control plane dies. It is the
// body of the hidden command that Start runs.
func Serve(ctx context.Context, config Config) (err error) {
	// Without this, controller-runtime fills the log with warnings that no logger was set.
	ctrllog.SetLogger(ctrllog.Log.WithSink(ctrllog.NullLogSink{}))
	release, err := config.Site.HoldAlive(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	// A kubeconfig of an earlier process would make the cluster look ready too early.
	if err := os.Remove(config.Site.KubeconfigFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cluster := &cluster{
		site:   config.Site,
		plane:  &controlplane.ControlPlane{Dir: config.Site.ControlPlaneDir(), Binaries: config.Binaries},
		istio:  config.IstioModuleDir,
		ready:  make(chan struct{}),
		failed: make(chan error, 3),
	}
	cloud, err := azure.Open(azure.Options{
		StateFile:  config.Site.AzureFile(),
		TimeScale:  config.TimeScale,
		Kubernetes: cluster,
		Existing:   config.Existing,
	})
	if err != nil {
		return err
	}
	azureServer, err := providers.Serve(ctx, cloud.Provider())
	if err != nil {
		return err
	}
	randomServer, err := providers.Serve(ctx, random.New())
	if err != nil {
		return err
	}
	shown, err := servePage(ctx, config.Site, cloud)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shown.Stop()) }()
	if config.GitOps != nil {
		config.GitOps.Page = shown
		if cluster.flow, err = gitops.Open(ctx, *config.GitOps); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, cluster.flow.Close()) }()
		cluster.plane.Pods = nodeagent.Options{
			Registry: cluster.flow.Registry(), Mirrored: cloud.LoginServers, Services: cluster.flow.Services, Roots: cluster.flow.Roots,
			Beside: map[netip.Addr]*corev1.Pod{scraping.Address: scraping.Pod()},
		}
	}
	// The engine can start to work as soon as the providers answer: Azure's resources are created
	// while Kubernetes starts.
	record := site.Record{
		PID:        os.Getpid(),
		AzurePort:  azureServer.Port,
		RandomPort: randomServer.Port,
		Page:       "http://" + shown.Address() + "/",
		Tools:      config.Tools,
		Started:    time.Now().UTC(),
	}
	if err := config.Site.Write(record); err != nil {
		return err
	}
	started := make(chan struct{})
	go func() {
		defer close(started)
		cluster.start(ctx, cloud)
	}()
	defer func() {
		cancel()  // a control plane that is still starting need not become ready first
		<-started // delivery from Git ends before its cluster does
		err = errors.Join(err, cluster.stop(), removeRecord(config.Site))
	}()
	err = waitForEnd(ctx, config.Site, cluster)
	if _, gone := os.Stat(config.Site.RecordFile()); gone == nil { // not if the lab's folder was removed
		record.Ending = true
		err = errors.Join(err, config.Site.Write(record))
	}
	return err
}

func waitForEnd(ctx context.Context, s site.Site, c *cluster) error {
	ticker := time.NewTicker(existenceCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-c.plane.Exited():
			return err
		case err := <-c.failed:
			return err
		case <-ticker.C:
			if _, err := os.Stat(s.RecordFile()); errors.Is(err, fs.ErrNotExist) {
				return errors.New("the lab's folder was removed; stopping")
			}
		}
	}
}

func removeRecord(s site.Site) error {
	if err := os.Remove(s.RecordFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// cluster is the control plane as the simulated Azure sees it: a service that takes a while to
// become ready.
type cluster struct {
	site  site.Site
	plane *controlplane.ControlPlane
	istio string        // the directory of its definitions
	ready chan struct{} // closed when the control plane is up, or has failed to start
	err   error         // why it did not; read after ready is closed
	nodes sync.Mutex    // one change of the node set at a time

	clients *kube.Clients // read after ready is closed

	flow *gitops.Server // nil without

	failed chan error // what ends the process
}

func (c *cluster) start(ctx context.Context, cloud *azure.Cloud) {
	if !c.runs() {
		c.err = c.plane.Prepare(ctx)
		close(c.ready)
		return
	}
	if c.err = c.plane.Start(ctx); c.err == nil {
		c.clients, c.err = kube.Parse(c.plane.Kubeconfig())
	}
	close(c.ready)
	if c.err != nil {
		c.failed <- c.err
		return
	}
	go func() {
		if err := cloudcontroller.Run(ctx, c.clients.Core); err != nil {
			c.failed <- err
		}
	}()
	// The inventory decides about the nodes, whatever has happened to the cluster of the earlier
	// run.
	if err := errors.Join(cloud.Sync(ctx), atomicfile.Write(c.site.KubeconfigFile(), c.plane.Kubeconfig())); err != nil {
		c.failed <- err
		return
	}
	if c.flow != nil {
		c.deliver(ctx, cloud)
	}
}

// runs reports whether there are programs for the control plane.
func (c *cluster) runs() bool { return c.plane.Binaries != (controlplane.Binaries{}) }

// deliver delivers from Git until ctx is done.
func (c *cluster) deliver(ctx context.Context, cloud *azure.Cloud) {
	delivered := gitops.Cluster{
		Kubeconfig: c.plane.Kubeconfig(),
		Secret: func(ctx context.Context, request standins.SecretRequest) (string, error) {
			return readSecret(ctx, c.clients.Core, cloud, c.flow.VaultSecrets(), request)
		},
		Backends: func() []traffic.Backend {
			var backends []traffic.Backend
			for _, backend := range cloud.Backends() {
				backends = append(backends, traffic.Backend(backend))
			}
			return backends
		},
		Pods: c.plane.Nodes(), Refused: c.plane.Nodes().Refused(),
		Database:    func() (gitops.Database, error) { return databaseOf(cloud, c.site.Environment) },
		IngestToken: func() (string, error) { return ingestToken(cloud, c.site.Environment) },
		Note:        func(line string) { log.Print(line) },
	}
	if err := c.flow.Run(ctx, delivered); err != nil {
		c.failed <- err
	}
}

// databaseOf returns the application's PostgreSQL server. The version of the secret with its
// password stands for the password, see readSecret.
func databaseOf(cloud *azure.Cloud, environment string) (gitops.Database, error) {
	servers := cloud.DatabaseServers()
	if len(servers) != 1 {
		return gitops.Database{}, fmt.Errorf("the simulated Azure has %d PostgreSQL servers, and the application has one", len(servers))
	}
	names, err := naming.For(environment, "")
	return gitops.Database{
		Host: servers[0].Host, Administrator: servers[0].Login, Databases: servers[0].Databases,
		Password: cloud.PresentVersion(names.DatabasePasswordSecret),
	}, err
}

// ingestToken returns what senders of telemetry show: the version of the secret stands for its
// value, as above.
func ingestToken(cloud *azure.Cloud, environment string) (string, error) {
	names, err := naming.For(environment, "")
	return cloud.PresentVersion(names.IngestTokenSecret), err
}

func (c *cluster) stop() error {
	<-c.ready
	return c.plane.Stop()
}

func (c *cluster) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ready:
		if c.err != nil {
			return fmt.Errorf("the lab's Kubernetes API server did not start: %w", c.err)
		}
		return nil
	}
}

// Kubeconfig implements azure.Kubernetes.
func (c *cluster) Kubeconfig(ctx context.Context) ([]byte, error) {
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	return c.plane.Kubeconfig(), nil
}

// SetNodes implements azure.Kubernetes.
func (c *cluster) SetNodes(ctx context.Context, wanted []azure.Node) error {
	if err := c.wait(ctx); err != nil || !c.runs() {
		return err // the next start brings the nodes that Azure has then
	}
	c.nodes.Lock()
	defer c.nodes.Unlock()
	nodes := make([]controlplane.Node, len(wanted))
	for i, n := range wanted {
		nodes[i] = controlplane.Node(n)
	}
	return c.plane.SetNodes(ctx, nodes)
}

// SetIngressGateways implements azure.Kubernetes.
func (c *cluster) SetIngressGateways(ctx context.Context, wanted []azure.IngressGateway) error {
	if err := c.wait(ctx); err != nil || !c.runs() {
		return err // as above
	}
	if len(wanted) > 0 { // as in AKS they stay, together with the objects of their kinds
		if err := mesh.InstallDefinitions(c.clients.Config, c.istio); err != nil {
			return err
		}
	}
	gateways := make([]mesh.Gateway, len(wanted))
	for i, gateway := range wanted {
		gateways[i] = mesh.Gateway(gateway)
	}
	return mesh.SetIngressGateways(ctx, c.clients.Core, gateways)
}

// configFile is where Start leaves the configuration for Serve.
func configFile(s site.Site) string { return filepath.Join(s.Dir, "serve.config.json") }

// ReadConfig returns the configuration that Start left in the directory of a site.
func ReadConfig(dir string) (Config, error) {
	text, err := os.ReadFile(configFile(site.Site{Dir: dir}))
	if err != nil {
		return Config{}, err
	}
	var config Config
	if err := json.Unmarshal(text, &config); err != nil {
		return Config{}, fmt.Errorf("%s: %w", dir, err)
	}
	return config, nil
}
