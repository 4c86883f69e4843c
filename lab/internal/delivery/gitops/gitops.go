// Package gitops runs, in the lab's background process, what a commit meets on its way to a workload: a Git server and a registry, Argo
// CD, Argo Rollouts and Prometheus, and the users whose requests decide whether a canary is good.
package gitops

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gridos/sharedinfra/lab/internal/cluster/standins"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitserver"
	"github.com/gridos/sharedinfra/lab/internal/delivery/registry"
	"github.com/gridos/sharedinfra/lab/internal/delivery/traffic"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
	"github.com/gridos/sharedinfra/naming"
)

// Factor is what the lab multiplies with every time that a release takes: the pauses between the steps, the intervals of the
// measurements and the windows of the queries. A minute becomes ten seconds; a smaller factor would leave Prometheus, which takes up to
// five to find new pods, nothing to judge. It is in the commit that the Git server begins with, and nowhere else: the manifests in
// applications/ have the real minutes.
const Factor = 1. / 6

// requestRate is how many requests a second users send. A canary with a tenth of them has enough for a verdict within a window.
const requestRate = 100

// Options say where things are.
type Options struct {
	// Dir holds all that is written.
	Dir string `json:"dir"`
	// Repository is the checkout whose applications/ and src/ the Git server begins with.
	Repository string `json:"repository"`
	// Branch is the one that Argo CD follows.
	Branch string `json:"branch"`
	// Binaries are the programs to run.
	Binaries delivery.Binaries `json:"binaries"`
}

// Server is what Open returns.
type Server struct {
	options  Options
	git      *gitserver.Server
	registry *registry.Registry
	control  *control

	mu      sync.Mutex
	running *running // nil until the cluster has Argo CD
	webhook bool
}

// running is what there is once the cluster has Argo CD.
type running struct {
	delivery *delivery.Delivery
	traffic  *traffic.Traffic
	secret   string // that webhooks are signed with
}

// Open serves Git, the registry and the control API, whose address Connect finds in Dir. Close ends it.
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
	s.git, err = gitserver.Start(ctx, gitserver.Options{
		Dir: filepath.Join(s.options.Dir, "git"), Port: ports.Git, Branch: s.options.Branch,
	})
	if err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		return err
	}
	s.registry, err = registry.Start(ctx, registry.Options{Dir: filepath.Join(s.options.Dir, "registry"), Port: ports.Registry})
	if err != nil {
		return err
	}
	s.control, err = serveControl(ctx, s)
	return err
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
	_, err = s.git.Seed(ctx, root.FS(), Factor, "applications", "src")
	return err
}

// Close ends everything.
func (s *Server) Close() error {
	var errs []error
	if s.control != nil {
		errs = append(errs, s.control.stop())
	}
	if s.git != nil {
		errs = append(errs, s.git.Stop())
	}
	if s.registry != nil {
		errs = append(errs, s.registry.Stop())
	}
	return errors.Join(errs...)
}

// Cluster is what Run delivers to.
type Cluster struct {
	// Kubeconfig signs in as the cluster's administrator.
	Kubeconfig []byte
	// Secret answers what External Secrets asks a key vault for.
	Secret standins.SecretReader
	// Backends are where the Application Gateway sends users' requests at present.
	Backends func() []traffic.Backend
	// Note takes lines for the log.
	Note func(line string)
}

// Run waits until gridos-bootstrap has installed Argo CD in the cluster and then delivers to it until ctx is done. The error names what
// could not be started, or ended and could not be started again.
func (s *Server) Run(ctx context.Context, cluster Cluster) (err error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(cluster.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read the administrator's kubeconfig: %w", err)
	}
	secret, err := waitForBootstrap(ctx, config)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	users := &traffic.Traffic{Config: config, Rate: requestRate, Backends: cluster.Backends}
	if err := users.Start(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	defer func() { err = errors.Join(err, users.Stop()) }()
	controllers := &delivery.Delivery{
		Dir: filepath.Join(s.options.Dir, "delivery"), Binaries: s.options.Binaries, Kubeconfig: cluster.Kubeconfig,
		Targets: users.SDURL(), Gateway: users.GatewayURL(), Note: cluster.Note,
	}
	if err := controllers.Start(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	defer func() { err = errors.Join(err, controllers.Stop()) }()
	s.begin(&running{delivery: controllers, traffic: users, secret: secret})
	defer s.begin(nil)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return standins.ExternalSecrets(ctx, config, cluster.Secret) })
	group.Go(func() error { return standins.PodMetrics(ctx, config, naming.NamespaceGridOS, users.PerSecond) })
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

// announce has the Git server tell Argo CD of pushes, or not. It wants s.mu held.
func (s *Server) announce() {
	if s.running == nil || !s.webhook {
		s.git.SetWebhook("", "")
		return
	}
	s.git.SetWebhook("http://"+s.running.delivery.ServerAddress()+"/api/webhook", s.running.secret)
}

// waitStep is how often the cluster is asked whether bootstrap is through.
const waitStep = 500 * time.Millisecond

// needed are the kinds that must be there, and what brings them.
var needed = []schema.GroupVersionResource{
	{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"},
	{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"},
	{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"},
	{Group: "external-secrets.io", Version: "v1", Resource: "externalsecrets"},
}

// waitForBootstrap returns what GitHub's webhooks are signed with, once Argo CD and what it needs are in the cluster.
func waitForBootstrap(ctx context.Context, config *rest.Config) (secret string, err error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return "", err
	}
	err = wait.PollUntilContextCancel(ctx, waitStep, true, func(ctx context.Context) (bool, error) {
		for _, kind := range needed {
			if _, err := objects.Resource(kind).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
				return false, ignoreAway(err)
			}
		}
		settings, err := client.CoreV1().Secrets(naming.NamespaceArgoCD).Get(ctx, "argocd-secret", metav1.GetOptions{})
		if err != nil {
			return false, ignoreAway(err)
		}
		// The last that the release of Argo CD brings.
		for _, name := range []string{delivery.RepoServer, delivery.Server} {
			if _, err := client.AppsV1().Deployments(naming.NamespaceArgoCD).Get(ctx, name, metav1.GetOptions{}); err != nil {
				return false, ignoreAway(err)
			}
		}
		_, err = client.AppsV1().StatefulSets(naming.NamespaceArgoCD).Get(ctx, delivery.ApplicationController, metav1.GetOptions{})
		secret = string(settings.Data["webhook.github.secret"])
		return err == nil, ignoreAway(err)
	})
	return secret, err
}

// ignoreAway drops errors that say that something is not there yet, or that the API server does not answer at the moment: one that is
// gone ends the background process by itself.
func ignoreAway(err error) error {
	var network net.Error
	switch {
	case apierrors.IsNotFound(err), apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err), errors.As(err, &network):
		return nil
	default:
		return err
	}
}

// ports stay the same for as long as the lab exists: Argo CD and the manifests know both by their addresses.
type ports struct {
	Git      int `json:"git"`
	Registry int `json:"registry"`
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
	free, err := process.FreePorts(2)
	if err != nil {
		return kept, err
	}
	kept = ports{Git: free[0], Registry: free[1]}
	return kept, writePrivate(file, kept)
}
