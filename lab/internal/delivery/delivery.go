// Package delivery runs the programs that deliver the application, as they run in a cluster with a
// kubelet: Argo CD, Argo Rollouts and Prometheus, the real programs, as processes beside the lab's
// API server. Their own pods in the lab's cluster are simulated: they exist, and do nothing.
package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/scraping"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// Names of the components, as their pods are called.
const (
	Redis                 = "redis"
	RepoServer            = "argocd-repo-server"
	ApplicationController = "argocd-application-controller"
	Server                = "argocd-server"
	Notifications         = "argocd-notifications-controller"
	Rollouts              = "argo-rollouts"
	Prometheus            = "prometheus-server"
)

// restartDelay is how long a component that died stays down, as long as a container that a kubelet
// restarts for the first time.
const restartDelay = time.Second

// Binaries are the absolute paths of the programs. All are required.
type Binaries struct {
	// ArgoCD contains every component of Argo CD; the name by which it is called selects one.
	ArgoCD string `json:"argocd"`
	// ArgoRollouts is the controller.
	ArgoRollouts string `json:"argoRollouts"`
	// Kustomize renders the manifests for Argo CD.
	Kustomize   string `json:"kustomize"`
	RedisServer string `json:"redisServer"`
	Prometheus  string `json:"prometheus"`
}

// Delivery runs Argo CD, Argo Rollouts and Prometheus as child processes. Set the exported fields,
// call Start, and call Stop at the end. All listen on the loopback interface only.
type Delivery struct {
	// Dir holds everything that they write. It is created with mode 0700.
	Dir string
	// Binaries are the programs to run.
	Binaries Binaries
	// Kubeconfig signs in to the cluster as its administrator. gridos-bootstrap must have installed
	// Argo CD there: Delivery reads its configuration from the objects of that release.
	Kubeconfig []byte
	// Gateway is the URL that answers requests as the mesh's gateway would, with their path after it.
	Gateway string
	// Prometheus has the values of its chart, as the platform sets them.
	Prometheus map[string]any
	// Metrics serves the metrics of the pods that run, and of the mesh's gateway.
	Metrics scraping.Server
	// ExternalSecrets is the address, host:port, at which External Secrets serves its metrics.
	ExternalSecrets string
	// Note takes a line about each component that ended by itself and will be restarted. Several
	// goroutines may call it.
	Note func(line string)

	ports         ports
	redisPassword string
	proxy         *loopback.Server
	proxyURL      string
	scraped       *scraping.Proxy
	components    map[string]*process.Process
	cancel        context.CancelFunc
	keepers       sync.WaitGroup
	failed        chan error
}

// ports are the ports of the listeners, by purpose.
type ports struct {
	redis, repoServerMetrics, controllerMetrics, server, serverMetrics int
	notificationsMetrics, rolloutsHealth, rolloutsMetrics, prometheus  int
}

func newPorts() (p ports, err error) {
	all := []*int{
		&p.redis, &p.repoServerMetrics, &p.controllerMetrics, &p.server, &p.serverMetrics,
		&p.notificationsMetrics, &p.rolloutsHealth, &p.rolloutsMetrics, &p.prometheus,
	}
	free, err := process.FreePorts(len(all))
	if err != nil {
		return p, err
	}
	for i, port := range all {
		*port = free[i]
	}
	return p, nil
}

// Start runs all components and returns when they are ready. From then on it restarts a component
// that ends by itself, as a kubelet would. The error names the component and has the end of its
// log; then no component runs.
func (d *Delivery) Start(ctx context.Context) (err error) {
	if d.cancel != nil {
		return errors.New("delivery: already started; stop it first")
	}
	clients, err := kube.Parse(d.Kubeconfig)
	if err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	gateway, err := url.Parse(d.Gateway)
	if err != nil {
		return fmt.Errorf("delivery: the address of the mesh's gateway: %w", err)
	}
	if d.ports, err = newPorts(); err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	for _, dir := range []string{d.Dir, d.logs()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	listener, err := loopback.Listen(ctx, "the way to "+PrometheusHost+" and "+GatewayHost, 0)
	if err != nil {
		return err
	}
	d.proxyURL = "http://" + listener.Address()
	d.proxy = listener.Serve(forwardProxy(map[string]*url.URL{
		PrometheusHost: {Scheme: "http", Host: process.HostPort(d.ports.prometheus)}, GatewayHost: gateway,
	}), log.Default())
	if d.scraped, err = scraping.Serve(ctx, clients, d.programs(), d.Metrics); err != nil {
		return errors.Join(err, d.proxy.Stop())
	}
	if err := errors.Join(d.writeKubeconfigs(), d.define(ctx, clients.Core)); err != nil {
		return errors.Join(err, d.scraped.Stop(), d.proxy.Stop())
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.cancel, d.failed = cancel, make(chan error, len(d.components))
	limited, cancelStart := context.WithTimeout(ctx, process.StartTimeout)
	defer cancelStart()
	starting, startCtx := errgroup.WithContext(limited)
	for _, component := range d.components {
		starting.Go(func() error { return component.Start(startCtx) })
	}
	if err := starting.Wait(); err != nil {
		return errors.Join(err, d.Stop())
	}
	for _, component := range d.components {
		d.keepers.Go(func() { d.keep(running, component) })
	}
	return nil
}

// define sets how each component is run.
func (d *Delivery) define(ctx context.Context, client kubernetes.Interface) error {
	d.redisPassword = rand.Text()
	argocd, err := d.argocd(ctx, client)
	if err != nil {
		return err
	}
	prometheus, err := d.prometheus()
	if err != nil {
		return err
	}
	redis, err := d.redis()
	if err != nil {
		return err
	}
	d.components = map[string]*process.Process{Redis: redis, Rollouts: d.rollouts(), Prometheus: prometheus}
	for name, component := range argocd {
		d.components[name] = component
	}
	for name, component := range d.components {
		component.Name, component.Log = name, d.logFile(name)
	}
	return nil
}

// redis is Argo CD's cache: Argo CD rebuilds lost entries. A program that can write to it decides
// which commits count as synced, so it has a password. The password is in a file because every user
// of the machine can see arguments.
func (d *Delivery) redis() (*process.Process, error) {
	file := filepath.Join(d.Dir, "redis.conf")
	if err := os.WriteFile(file, []byte("requirepass "+d.redisPassword+"\n"), 0o600); err != nil {
		return nil, err
	}
	return &process.Process{
		Path:  d.Binaries.RedisServer,
		Args:  []string{file, "--bind", process.Loopback, "--port", fmt.Sprint(d.ports.redis), "--save", "", "--dir", d.Dir},
		Ready: "tcp://" + process.HostPort(d.ports.redis),
	}, nil
}

// rollouts is Argo Rollouts' controller. It reaches Prometheus and the mesh's gateway through a
// proxy, under the names in the AnalysisTemplates.
func (d *Delivery) rollouts() *process.Process {
	return &process.Process{
		Path: d.Binaries.ArgoRollouts,
		Args: []string{
			"--kubeconfig", d.kubeconfig(naming.NamespaceArgoRollouts),
			// The simulated pods hold no lease, and no other controller shares the work.
			"--leader-elect=false",
			"--healthzPort", fmt.Sprint(d.ports.rolloutsHealth),
			"--metricsPort", fmt.Sprint(d.ports.rolloutsMetrics),
		},
		Env: []string{
			"HTTP_PROXY=" + d.proxyURL, "http_proxy=" + d.proxyURL,
			"NO_PROXY=" + process.Loopback, "no_proxy=" + process.Loopback,
		},
		Ready: "http://" + process.HostPort(d.ports.rolloutsHealth) + "/healthz",
	}
}

// keep restarts a component each time it ends by itself, until ctx is done. If it does not become
// ready again, Delivery ends.
func (d *Delivery) keep(ctx context.Context, component *process.Process) {
	for {
		ended := make(chan error, 1)
		go component.Watch(ended)
		select {
		case <-ctx.Done():
			return
		case err := <-ended:
			d.Note(fmt.Sprintf("%v; it is started again", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartDelay):
		}
		limited, cancel := context.WithTimeout(ctx, process.StartTimeout)
		err := component.Start(limited)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				d.failed <- err
			}
			return
		}
	}
}

// Failed reports a component that ended and could not be restarted: delivery does not work from
// then on.
func (d *Delivery) Failed() <-chan error { return d.failed }

// Stop ends all components and returns when no process is left. Stopping a stopped Delivery is no
// error.
func (d *Delivery) Stop() error {
	if d.cancel == nil {
		return nil
	}
	d.cancel()
	d.cancel = nil
	d.keepers.Wait()
	var stopping errgroup.Group
	for _, component := range d.components {
		stopping.Go(component.Stop)
	}
	return errors.Join(stopping.Wait(), d.scraped.Stop(), d.proxy.Stop())
}

// Component is a running program.
type Component struct {
	// Name is what its pods are called.
	Name string `json:"name"`
	// PID is its present process id.
	PID int `json:"pid"`
	// Log is the file with what it prints.
	Log string `json:"log"`
}

// Components returns the running programs.
func (d *Delivery) Components() []Component {
	var all []Component
	for _, name := range []string{Redis, RepoServer, ApplicationController, Server, Notifications, Rollouts, Prometheus} {
		if component := d.components[name]; component != nil {
			all = append(all, Component{Name: name, PID: component.PID(), Log: component.Log})
		}
	}
	return all
}

// SetPrometheusAway makes Argo Rollouts' queries fail with 503 Service Unavailable until it is set
// back.
func (d *Delivery) SetPrometheusAway(away bool) { d.proxy.SetAway(away) }

// ServerAddress is the address of Argo CD's API and its webhook, without TLS, as host:port.
func (d *Delivery) ServerAddress() string { return process.HostPort(d.ports.server) }

// PrometheusURL is the URL of Prometheus.
func (d *Delivery) PrometheusURL() string { return "http://" + process.HostPort(d.ports.prometheus) }

func (d *Delivery) logs() string { return filepath.Join(d.Dir, "logs") }

func (d *Delivery) logFile(name string) string { return filepath.Join(d.logs(), name+".log") }

func (d *Delivery) kubeconfig(namespace string) string {
	return filepath.Join(d.Dir, namespace+".kubeconfig")
}

// writeKubeconfigs writes a kubeconfig for each namespace that components consider their own. In a
// pod the service account gives them this namespace.
func (d *Delivery) writeKubeconfigs() error {
	for _, namespace := range []string{naming.NamespaceArgoCD, naming.NamespaceArgoRollouts} {
		config, err := clientcmd.Load(d.Kubeconfig)
		if err != nil {
			return fmt.Errorf("delivery: read the administrator's kubeconfig: %w", err)
		}
		current, found := config.Contexts[config.CurrentContext]
		if !found {
			return fmt.Errorf("delivery: the kubeconfig has no context %q", config.CurrentContext)
		}
		current.Namespace = namespace
		if err := writeKubeconfig(*config, d.kubeconfig(namespace)); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(config clientcmdapi.Config, path string) error {
	text, err := clientcmd.Write(config)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
