// Package gitops runs, in the lab's background process, all services between a commit and its
// workload: a Git server and a registry, Argo CD, Argo Rollouts and Prometheus, the users whose
// requests decide whether a canary is good, and the receiver of notifications.
package gitops

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/nodeagent"
	"github.com/gridos/sharedinfra/lab/internal/cluster/standins"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/delivery/database"
	"github.com/gridos/sharedinfra/lab/internal/delivery/fieldgateway"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitserver"
	"github.com/gridos/sharedinfra/lab/internal/delivery/image"
	"github.com/gridos/sharedinfra/lab/internal/delivery/pace"
	"github.com/gridos/sharedinfra/lab/internal/delivery/page"
	"github.com/gridos/sharedinfra/lab/internal/delivery/registry"
	"github.com/gridos/sharedinfra/lab/internal/delivery/traffic"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// Speed shortens every time of a release: the pauses between the steps, the intervals of the
// measurements and the windows of the queries. A minute becomes ten seconds. With a smaller factor
// Prometheus would have nothing to judge in the first pause, because it takes up to five seconds to
// find new pods. The later pauses are no longer than the first, in which it has found them. Only
// the first commit of the Git server is so fast: the manifests in applications/ have the real
// minutes.
var Speed = pace.Speed{Factor: 1. / 6, Longest: 10 * time.Second}

// RequestRate is the number of users' requests per second while scenarios are played. A canary with
// a tenth of them has enough for a verdict within a window. IdleRate is the number at other times,
// at which an idle lab leaves the machine alone.
const (
	RequestRate = 200
	IdleRate    = 10
)

// Options has the paths and the branch.
type Options struct {
	// Dir has all files that are written.
	Dir string `json:"dir"`
	// Repository is the checkout whose applications/ and src/ are the first commit of the Git
	// server.
	Repository string `json:"repository"`
	// Branch is the branch that Argo CD follows.
	Branch string `json:"branch"`
	// Environment is the overlay that it applies.
	Environment string `json:"environment"`
	// PostgreSQL is the folder with the programs of a PostgreSQL server.
	PostgreSQL string `json:"postgresql"`
	// Binaries are the programs to run.
	Binaries delivery.Binaries `json:"binaries"`
	// Prometheus has the values of Prometheus' chart.
	Prometheus map[string]any `json:"prometheus"`
	// Page shows what happens; nil for no page.
	Page *page.Server `json:"-"`
}

// Server is what Open returns.
type Server struct {
	options  Options
	git      *gitserver.Server
	registry *registry.Registry
	receiver *receiver
	control  *control
	ports    ports

	mu       sync.Mutex
	running  *running // nil until the cluster has Argo CD
	webhook  bool
	outside  []nodeagent.Service // what pods reach
	roots    []byte              // what they trust
	refused  error               // why no pod runs
	building context.CancelFunc
	built    chan struct{} // closed when the first image is in the registry, or cannot be
}

// running has the parts that exist once the cluster has Argo CD.
type running struct {
	delivery *delivery.Delivery
	traffic  *traffic.Traffic
	secret   string // signs webhooks
}

// Open serves Git, the registry and the control API; Connect finds its address in Dir. Close ends
// it.
func Open(ctx context.Context, options Options) (*Server, error) {
	s := &Server{options: options, webhook: true}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) error {
	if err := os.MkdirAll(s.options.Dir, 0o700); err != nil {
		return err
	}
	ports, err := keptPorts(filepath.Join(s.options.Dir, "ports.json"))
	if err != nil {
		return err
	}
	s.ports = ports
	repository := gitserver.Options{Dir: filepath.Join(s.options.Dir, "git"), Port: ports.Git, Branch: s.options.Branch}
	images := registry.Options{Dir: filepath.Join(s.options.Dir, "registry"), Port: ports.Registry}
	if shown := s.options.Page; shown != nil {
		repository.Pushed, images.Receiving, images.Pushed = shown.PushedCommits, shown.Receiving, shown.PushedImage
	}
	s.git, err = gitserver.Start(ctx, repository)
	if err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		return err
	}
	s.registry, err = registry.Start(ctx, images)
	if err != nil {
		return err
	}
	if s.receiver, err = openReceiver(ctx, s.options.Dir, ports.Receiver, ports.ReceiverToken); err != nil {
		return err
	}
	building, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.building, s.built = cancel, make(chan struct{})
	go func() {
		defer close(s.built)
		if err := s.buildFirst(building); err != nil && building.Err() == nil {
			log.Printf("the image of the application's first version is not in the registry: %v", err)
		}
	}()
	s.control, err = serveControl(ctx, s)
	return err
}

// buildFirst makes the image that the overlay has before the first release: it is the checkout's.
func (s *Server) buildFirst(ctx context.Context) error {
	file := filepath.Join(s.options.Repository, "applications", "gridos", "overlays", s.options.Environment, "kustomization.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var overlay struct {
		Images []struct {
			NewTag string `json:"newTag"`
		} `json:"images"`
	}
	if err := yaml.Unmarshal(text, &overlay); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(overlay.Images) == 0 {
		return fmt.Errorf("%s has no image", file)
	}
	tag := overlay.Images[0].NewTag
	made, err := image.Build(ctx, filepath.Join(s.options.Repository, "src"), tag)
	if err != nil {
		return err
	}
	if _, err = image.Push(ctx, made, s.registry.Address()+"/"+naming.Application+":"+tag, registry.User, s.registry.Token()); err != nil {
		return err
	}
	if err := os.MkdirAll(s.fieldGatewayDir(), 0o700); err != nil {
		return err
	}
	return image.Program(made, s.fieldGatewayProgram())
}

func (s *Server) fieldGatewayDir() string { return filepath.Join(s.options.Dir, "fieldgateway") }

// fieldGatewayProgram is the binary that the field gateway runs: a device outside, whose version no
// release changes.
func (s *Server) fieldGatewayProgram() string {
	return filepath.Join(s.fieldGatewayDir(), naming.Application)
}

// sendTelemetry is the field gateway, until ctx is done. Without an image of the first version,
// whose lack the log explains, there is none.
func (s *Server) sendTelemetry(ctx context.Context, cluster Cluster, users *traffic.Traffic) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.built:
	}
	if _, err := os.Stat(s.fieldGatewayProgram()); err != nil {
		cluster.Note(fmt.Sprintf("no telemetry is sent: %v", err))
		return nil
	}
	return fieldgateway.Run(ctx, fieldgateway.Options{
		Dir: s.fieldGatewayDir(), Program: s.fieldGatewayProgram(), URL: users.URL(), Token: cluster.IngestToken,
		Silent: users.Silent,
	})
}

// Registry is the address of the registry, host:port.
func (s *Server) Registry() string { return s.registry.Address() }

// Services are the servers outside of the cluster that pods reach.
func (s *Server) Services() []nodeagent.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.outside)
}

// Roots are the certificates that pods trust.
func (s *Server) Roots() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roots
}

// seed makes the first commit, unless there is one.
func (s *Server) seed(ctx context.Context) error {
	head, err := s.git.Head(ctx)
	if err != nil || head != "" {
		return err
	}
	root, err := os.OpenRoot(s.options.Repository)
	if err != nil {
		return err
	}
	defer root.Close()
	_, err = s.git.Seed(ctx, root.FS(), Speed, "applications", "src")
	return err
}

// Close ends everything.
func (s *Server) Close() error {
	var errs []error
	if s.building != nil {
		s.building()
		<-s.built
	}
	if s.control != nil {
		errs = append(errs, s.control.stop())
	}
	if s.git != nil {
		errs = append(errs, s.git.Stop())
	}
	if s.registry != nil {
		errs = append(errs, s.registry.Stop())
	}
	if s.receiver != nil {
		errs = append(errs, s.receiver.stop())
	}
	return errors.Join(errs...)
}

// Cluster is the cluster to which Run delivers.
type Cluster struct {
	// Kubeconfig signs in as the cluster's administrator.
	Kubeconfig []byte
	// Secret answers the requests of External Secrets to a key vault.
	Secret standins.SecretReader
	// Backends returns the targets to which the Application Gateway sends users' requests at
	// present.
	Backends func() []traffic.Backend
	// Pods are the pods that run, and Refused is why none does, or nil.
	Pods    Pods
	Refused error
	// Database is the PostgreSQL server that the application has in Azure. Its password is what
	// External Secrets reads of the key vault.
	Database func() (Database, error)
	// IngestToken returns what a sender of telemetry shows, as the key vault has it; "" if it has
	// none.
	IngestToken func() (string, error)
	// Note takes lines for the log.
	Note func(line string)
}

// Pods are the pods of the cluster that run as processes.
type Pods interface {
	traffic.Pods
	// Usage is what a pod uses.
	Usage(namespace, name string) (cores float64, memory uint64, runs bool)
}

// Database is a PostgreSQL server in Azure, as infra has made it.
type Database struct {
	// Host is its name, and Administrator its administrator's login, with the password.
	Host, Administrator, Password string
	// Databases are the names of its databases.
	Databases []string
}

// Run waits until gridos-bootstrap has installed Argo CD in the cluster and then delivers to it
// until ctx is done. The error names a component that could not be started, or that ended and could
// not be restarted.
func (s *Server) Run(ctx context.Context, cluster Cluster) (err error) {
	clients, err := kube.Parse(cluster.Kubeconfig)
	if err != nil {
		return err
	}
	secret, err := waitForBootstrap(ctx, clients)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	users := &traffic.Traffic{Cluster: clients, Rate: IdleRate, Backends: cluster.Backends, Port: s.ports.Gateway}
	if cluster.Refused == nil {
		users.Pods = cluster.Pods
	}
	if err := users.Start(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	defer func() { err = errors.Join(err, users.Stop()) }()
	server, err := s.startDatabase(ctx, cluster)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	if server != nil {
		defer func() { err = errors.Join(err, server.Stop()) }()
	}
	if err := s.reach(server, users); err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	listener, err := loopback.Listen(ctx, "the metrics of External Secrets", 0)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	scraped := listener.Serve(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}), log.Default())
	defer func() { err = errors.Join(err, scraped.Stop()) }()
	controllers := &delivery.Delivery{
		Dir: filepath.Join(s.options.Dir, "delivery"), Binaries: s.options.Binaries, Kubeconfig: cluster.Kubeconfig,
		Prometheus: s.options.Prometheus, Metrics: users.Metrics, ExternalSecrets: listener.Address(),
		Gateway: users.MeshURL(), Note: cluster.Note,
	}
	if err := controllers.Start(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	defer func() { err = errors.Join(err, controllers.Stop()) }()
	s.begin(&running{delivery: controllers, traffic: users, secret: secret})
	defer s.begin(nil)

	group, ctx := errgroup.WithContext(ctx)
	if s.options.Page != nil {
		group.Go(func() error { return s.show(ctx, clients, users) })
	}
	if server != nil {
		group.Go(func() error { return s.keepPassword(ctx, cluster, server) })
		group.Go(func() error { return s.sendTelemetry(ctx, cluster, users) })
		group.Go(func() error {
			ended := make(chan error, 1)
			go server.Watch(ended)
			select {
			case <-ctx.Done():
				return nil
			case err := <-ended:
				return err
			}
		})
	}
	group.Go(func() error { return standins.ExternalSecrets(ctx, clients, cluster.Secret, metrics) })
	group.Go(func() error { return standins.PodMetrics(ctx, clients, naming.NamespaceGridOS, cluster.Pods.Usage) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case err := <-controllers.Failed():
			return err
		}
	})
	return ignoreEnd(ctx, group.Wait())
}

// startDatabase runs the application's PostgreSQL server, if its pods run.
func (s *Server) startDatabase(ctx context.Context, cluster Cluster) (*database.Server, error) {
	if cluster.Refused != nil {
		cluster.Note(cluster.Refused.Error())
		s.mu.Lock()
		s.refused = cluster.Refused
		s.mu.Unlock()
		return nil, nil
	}
	wanted, err := cluster.Database()
	if err != nil {
		return nil, err
	}
	server, err := database.Start(ctx, database.Options{
		Dir: filepath.Join(s.options.Dir, "postgresql"), Programs: s.options.PostgreSQL, Port: s.ports.Database,
		Host: wanted.Host, Administrator: wanted.Administrator, Databases: wanted.Databases,
	})
	if err != nil {
		return nil, err
	}
	if err := server.SetPassword(ctx, wanted.Password); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

// reach lets pods reach the database, if there is one, and the mesh's gateway.
func (s *Server) reach(server *database.Server, users *traffic.Traffic) error {
	gateway := strings.TrimPrefix(users.MeshURL(), "http://")
	outside := []nodeagent.Service{{Host: delivery.GatewayHost, Port: 80, Address: gateway}}
	var roots []byte
	if server != nil {
		outside = append(outside, nodeagent.Service{Host: server.Host(), Port: 5432, Address: server.Address()})
		var err error
		if roots, err = server.Roots(); err != nil {
			return fmt.Errorf("read the certificate of the lab's PostgreSQL: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outside, s.roots = outside, roots
	return nil
}

// passwordInterval is how often the administrator's password is compared with the key vault's. In
// Azure an update of infra changes both.
const passwordInterval = 2 * time.Second

func (s *Server) keepPassword(ctx context.Context, cluster Cluster, server *database.Server) error {
	ticker := time.NewTicker(passwordInterval)
	defer ticker.Stop()
	set := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		wanted, err := cluster.Database()
		if err != nil || wanted.Password == "" || wanted.Password == set {
			continue // the server is being replaced, or is as it should be
		}
		if err := server.SetPassword(ctx, wanted.Password); err != nil {
			if ctx.Err() == nil {
				cluster.Note(err.Error())
			}
			continue
		}
		set = wanted.Password
	}
}

// ignoreEnd drops errors that only say that ctx is done.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

func (s *Server) begin(r *running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = r
	s.announce()
}

// announce switches the Git server's announcements of pushes to Argo CD on or off. It must be
// called with s.mu held.
func (s *Server) announce() {
	if s.running == nil || !s.webhook {
		s.git.SetWebhook("", "")
		return
	}
	s.git.SetWebhook("http://"+s.running.delivery.ServerAddress()+"/api/webhook", s.running.secret)
}

// waitStep is how often the cluster is asked whether bootstrap has finished.
const waitStep = 500 * time.Millisecond

// needed are the kinds that must exist, each with its installer.
var needed = []schema.GroupVersionResource{
	{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"},
	{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"},
	{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"},
	{Group: "external-secrets.io", Version: "v1", Resource: "externalsecrets"},
}

// waitForBootstrap returns the secret that signs GitHub's webhooks, once the cluster has Argo CD
// and its dependencies.
func waitForBootstrap(ctx context.Context, clients *kube.Clients) (secret string, err error) {
	err = wait.PollUntilContextCancel(ctx, waitStep, true, func(ctx context.Context) (bool, error) {
		for _, kind := range needed {
			if _, err := clients.Objects.Resource(kind).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
				return false, ignoreAway(err)
			}
		}
		settings, err := clients.Core.CoreV1().Secrets(naming.NamespaceArgoCD).Get(ctx, "argocd-secret", metav1.GetOptions{})
		if err != nil {
			return false, ignoreAway(err)
		}
		// These are the last objects that the release of Argo CD makes ready. Helm makes StatefulSets
		// after all Deployments (helm v3.18.6, pkg/releaseutil/kind_sorter.go), also those not named
		// here.
		for _, name := range []string{delivery.RepoServer, delivery.Server} {
			if _, err := clients.Core.AppsV1().Deployments(naming.NamespaceArgoCD).Get(ctx, name, metav1.GetOptions{}); err != nil {
				return false, ignoreAway(err)
			}
		}
		_, err = clients.Core.AppsV1().StatefulSets(naming.NamespaceArgoCD).Get(ctx, delivery.ApplicationController, metav1.GetOptions{})
		secret = string(settings.Data["webhook.github.secret"])
		return err == nil, ignoreAway(err)
	})
	return secret, err
}

// ignoreAway drops errors that say that something does not exist yet, or that the API server does
// not answer at the moment. If the API server has ended, the background process ends by itself.
func ignoreAway(err error) error {
	var network net.Error
	switch {
	case apierrors.IsNotFound(err), apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err), errors.As(err, &network):
		return nil
	default:
		return err
	}
}

// ports stay the same for as long as the lab exists: Argo CD and the manifests contain the first
// two addresses, and users remember the third.
type ports struct {
	Git      int `json:"git"`
	Registry int `json:"registry"`
	Gateway  int `json:"gateway"`
	Database int `json:"database"`
	Receiver int `json:"receiver"`
	// ReceiverToken is what the receiver is shown; a Secret contains it.
	ReceiverToken string `json:"receiverToken"`
}

func keptPorts(file string) (ports, error) {
	var kept ports
	text, err := os.ReadFile(file)
	if err == nil {
		return kept, unmarshal(file, text, &kept)
	}
	if !os.IsNotExist(err) {
		return kept, err
	}
	free, err := process.FreePorts(5)
	if err != nil {
		return kept, err
	}
	kept = ports{
		Git: free[0], Registry: free[1], Gateway: free[2], Database: free[3], Receiver: free[4], ReceiverToken: rand.Text(),
	}
	return kept, writePrivate(file, kept)
}
