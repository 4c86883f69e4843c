package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/lab/internal/cluster/nodeagent"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// pollInterval is how often readiness is asked for.
const pollInterval = 100 * time.Millisecond

// Binaries are the absolute paths of the control plane's programs. All are required.
type Binaries struct {
	Etcd                  string
	KubeAPIServer         string
	KubeControllerManager string
	KubeScheduler         string
}

// ControlPlane is a Kubernetes control plane run as child processes of the calling process.
//
// Set the exported fields, call Start, and call Stop at the end. After Stop, Start brings the same
// cluster up again; so does a new ControlPlane with the same Dir, also in another process. A Dir is
// used by one control plane at a time. The methods may be called from several goroutines.
type ControlPlane struct {
	// Dir holds everything the control plane writes: etcd's data, certificates, kubeconfigs, logs. It
	// is created with mode
	// 0700. Removing it, after Stop, removes the cluster.
	Dir string
	// Binaries are the programs to run.
	Binaries Binaries
	// Pods say which pods run as processes. Its Dir and Port are set here.
	Pods nodeagent.Options `json:"-"`

	mu         sync.Mutex
	running    *running
	kubeconfig []byte
	exited     chan error
}

// running has the values that exist only between Start and Stop.
type running struct {
	lock     *flock.Flock
	api      *apiServer
	children []*process.Process
	client   kubernetes.Interface
	nodes    *nodeAgent
}

// Start brings the control plane up and returns when it is usable: the API server answers, the
// controller manager has made the default service account (pods can be created), the scheduler
// reports ready, and the node agent watches.
//
// A control plane left behind by a killed process is stopped first. On failure everything started
// is stopped again and the error names the component and carries the end of its log.
func (c *ControlPlane) Start(ctx context.Context) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != nil {
		return fmt.Errorf("control plane in %s: already started; stop it first", c.Dir)
	}
	if err := c.check(); err != nil {
		return err
	}
	layout, err := newLayout(c.Dir)
	if err != nil {
		return err
	}
	if err := layout.create(); err != nil {
		return err
	}
	lock, err := layout.acquire()
	if err != nil {
		return err
	}
	run := &running{lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, run.stop())
		}
	}()
	if err := layout.stopLeftovers(); err != nil {
		return err
	}

	pki, err := openAuthority(layout.pki)
	if err != nil {
		return err
	}
	run.api, err = startAPIServer(ctx, layout, pki, c.Binaries)
	if err != nil {
		return err
	}
	kubeconfigs, err := writeKubeconfigs(layout, pki, run.api.address)
	if err != nil {
		return err
	}
	clients, err := kube.Parse(kubeconfigs[adminUser.name])
	if err != nil {
		return err
	}
	run.client = clients.Core
	agents, err := kube.Parse(kubeconfigs[kubeletName])
	if err != nil {
		return err
	}
	if run.nodes, err = startNodeAgent(ctx, layout, pki, agents.Core, c.Pods); err != nil {
		return err
	}
	if err := run.startChildren(ctx, layout, c.Binaries); err != nil {
		return err
	}

	c.kubeconfig = kubeconfigs[adminUser.name]
	c.running = run
	run.watch(c.exitedChannel())
	return nil
}

// Prepare makes the kubeconfig, and with it the certificates and the address that a later Start
// keeps. It needs no Binaries.
func (c *ControlPlane) Prepare(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	layout, err := newLayout(c.Dir)
	if err != nil {
		return err
	}
	if err := layout.create(); err != nil {
		return err
	}
	pki, err := openAuthority(layout.pki)
	if err != nil {
		return err
	}
	ports, err := process.FreePorts(1)
	if err != nil {
		return err
	}
	kubeconfigs, err := writeKubeconfigs(layout, pki, layout.address(ctx, ports[0]))
	c.kubeconfig = kubeconfigs[adminUser.name]
	return err
}

// Stop ends all processes of the control plane and returns when none is left. The cluster's objects
// stay in Dir. Stopping a stopped control plane is no error.
func (c *ControlPlane) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		return nil
	}
	run := c.running
	c.running = nil
	return run.stop()
}

// Kubeconfig is a kubeconfig for a cluster administrator; cluster, user and context are called
// "gridos-lab", and that context is the current one. It embeds a private key. It is nil before the
// first Start or Prepare, and unchanged by a restart unless another program took the API server's
// port in between.
func (c *ControlPlane) Kubeconfig() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]byte(nil), c.kubeconfig...)
}

// Nodes is the node agent of the running control plane, or nil.
func (c *ControlPlane) Nodes() *nodeagent.Agent {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		return nil
	}
	return c.running.nodes.agent
}

// Exited reports components that ended without Stop; each error names the component and its log
// file. The control plane is of no use from then on: call Stop. The channel is never closed and is
// the same through restarts.
func (c *ControlPlane) Exited() <-chan error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exitedChannel()
}

// exitedChannel must be called with c.mu held. The channel has room for one report per component,
// so no reporter waits for a reader.
func (c *ControlPlane) exitedChannel() chan error {
	if c.exited == nil {
		c.exited = make(chan error, 16)
	}
	return c.exited
}

// check reports all missing fields at once.
func (c *ControlPlane) check() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("control plane: Dir is empty; name a directory to keep the cluster in"))
	}
	for _, binary := range []struct{ name, path string }{
		{etcdName, c.Binaries.Etcd},
		{apiServerName, c.Binaries.KubeAPIServer},
		{controllerManagerName, c.Binaries.KubeControllerManager},
		{schedulerName, c.Binaries.KubeScheduler},
	} {
		info, err := os.Stat(binary.path)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("control plane: the %s binary %q is not there, build or download it first: %w",
				binary.name, binary.path, err))
		case !filepath.IsAbs(binary.path) || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
			errs = append(errs, fmt.Errorf("control plane: the %s binary %q is not the absolute path of an executable file",
				binary.name, binary.path))
		}
	}
	return errors.Join(errs...)
}

// startChildren starts the components that need the API server, all at once because each of them
// mostly waits while it starts.
func (r *running) startChildren(parent context.Context, at layout, binaries Binaries) error {
	ports, err := process.FreePorts(2)
	if err != nil {
		return err
	}
	r.children = []*process.Process{
		controllerManager(at, binaries.KubeControllerManager, ports[0]),
		scheduler(at, binaries.KubeScheduler, ports[1]),
	}
	ctx, cancel := context.WithTimeout(parent, process.StartTimeout)
	defer cancel()
	errs := make([]error, len(r.children)+1)
	var group sync.WaitGroup
	for i, child := range r.children {
		group.Go(func() {
			if errs[i] = child.Start(ctx); errs[i] != nil {
				cancel() // after one failure the start has failed, so do not wait for the others
			}
		})
	}
	group.Go(func() {
		if err := waitForDefaultServiceAccount(ctx, r.client); err != nil {
			errs[len(r.children)] = fmt.Errorf("%s: the default service account was not created: %w; the log ends with\n%s",
				controllerManagerName, err, process.Tail(at.log(controllerManagerName)))
			cancel()
		}
	})
	group.Wait()
	if parent.Err() != nil {
		return fmt.Errorf("start the control plane: interrupted: %w", context.Cause(parent))
	}
	// A component that stopped waiting only because another one had failed has nothing to report.
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, context.Canceled) })...)
}

// watch reports every component that ends from now on without Stop.
func (r *running) watch(report chan<- error) {
	for _, child := range append(r.children, r.api.server, r.api.etcd) {
		go child.Watch(report)
	}
}

// stop works on a half-started control plane too.
func (r *running) stop() error {
	errs := make([]error, len(r.children))
	var group sync.WaitGroup
	for i, child := range r.children {
		group.Go(func() { errs[i] = child.Stop() })
	}
	group.Wait()
	if r.nodes != nil {
		errs = append(errs, r.nodes.stop())
	}
	if r.api != nil {
		errs = append(errs, r.api.stop())
	}
	if err := r.lock.Unlock(); err != nil {
		errs = append(errs, fmt.Errorf("release %s: %w", r.lock.Path(), err))
	}
	return errors.Join(errs...)
}

// waitForDefaultServiceAccount proves that the controller manager's loops run: the service-account
// admission refuses every pod until this object exists.
func waitForDefaultServiceAccount(ctx context.Context, client kubernetes.Interface) error {
	return wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// layout has the paths of the files under ControlPlane.Dir.
type layout struct {
	dir, etcd, pki, etcdPKI, kubeconfigs, logs, nodes string
}

func newLayout(dir string) (layout, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return layout{}, fmt.Errorf("control plane directory: %w", err)
	}
	return layout{
		dir:         dir,
		etcd:        filepath.Join(dir, "etcd"),
		pki:         filepath.Join(dir, "pki"),
		etcdPKI:     filepath.Join(dir, "pki", "etcd"),
		kubeconfigs: filepath.Join(dir, "kubeconfigs"),
		logs:        filepath.Join(dir, "logs"),
		nodes:       filepath.Join(dir, "nodes"),
	}, nil
}

func (l layout) create() error {
	for _, dir := range []string{l.dir, l.etcd, l.pki, l.etcdPKI, l.kubeconfigs, l.logs, l.nodes} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create the control plane's directory: %w", err)
		}
	}
	// The directory may already exist with a wider mode, and it holds private keys.
	if err := os.Chmod(l.dir, 0o700); err != nil {
		return fmt.Errorf("restrict the control plane's directory to its owner: %w", err)
	}
	return nil
}

func (l layout) kubeconfig(user string) string {
	return filepath.Join(l.kubeconfigs, user+".kubeconfig")
}

func (l layout) log(component string) string { return filepath.Join(l.logs, component+".log") }

// acquire makes this process the only one that runs a control plane in the directory. The system
// releases the lock when the process ends, however it ends.
func (l layout) acquire() (*flock.Flock, error) {
	lock := flock.New(filepath.Join(l.dir, "lock"), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the control plane's directory %s: %w", l.dir, err)
	}
	if !locked {
		return nil, fmt.Errorf("the control plane in %s is in use by another running process; stop that one first", l.dir)
	}
	return lock, nil
}

// exists reports whether a control plane was ever started here.
func (l layout) exists() (bool, error) {
	_, err := os.Stat(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
