package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

const (
	etcdName      = "etcd"
	apiServerName = "kube-apiserver"

	loopback = "127.0.0.1"
)

// apiServer is etcd and kube-apiserver. It uses envtest's two process types directly instead of its
// Environment. The Environment prefers environment variables to explicit fields, retries five times
// in silence and cannot say which of the two failed.
type apiServer struct {
	etcd    *envtest.Etcd
	server  *envtest.APIServer
	outputs []*output
}

// startAPIServer returns the started processes together with the error, so that the caller stops
// them.
func startAPIServer(ctx context.Context, at layout, pki *authority, binaries Binaries) (*apiServer, error) {
	api := &apiServer{}
	ports, err := process.FreePorts(4)
	if err != nil {
		return nil, err
	}
	port := ports[3]
	if before := portOf(at.kubeconfig(adminUser.name)); before != 0 && process.BecomesFree(ctx, before) {
		port = before
	}
	serving, err := pki.issue(servingCertificate)
	if err != nil {
		return nil, err
	}
	signer, err := pki.serviceAccountKey()
	if err != nil {
		return nil, err
	}

	etcdOut, err := openOutput(at, etcdName)
	if err != nil {
		return nil, err
	}
	store, err := openAuthority(at.etcdPKI)
	if err != nil {
		return nil, err
	}
	storeServer, err := store.issue(certificate{name: "server", commonName: etcdName, serving: true})
	if err != nil {
		return nil, err
	}
	storeClient, err := store.issue(certificate{name: "client", commonName: apiServerName})
	if err != nil {
		return nil, err
	}
	etcd := &envtest.Etcd{
		Path:    binaries.Etcd,
		DataDir: at.etcd,
		// envtest asks this URL whether etcd is healthy. It has no certificate to present, so the
		// URL serves metrics and nothing else.
		URL:          &url.URL{Scheme: "http", Host: process.HostPort(ports[0])},
		StartTimeout: process.StartTimeout,
		StopTimeout:  process.StopTimeout,
		Out:          etcdOut,
		Err:          etcdOut,
	}
	clients := &url.URL{Scheme: "https", Host: process.HostPort(ports[1])}
	// A process that can read etcd reads every Secret of the cluster, without asking the API
	// server. So only the API server has a certificate of etcd's own authority; there are no peers,
	// and none could join.
	etcd.Configure().
		Set("listen-metrics-urls", etcd.URL.String()).
		Set("listen-client-urls", clients.String()).
		Set("advertise-client-urls", clients.String()).
		Set("client-cert-auth", "true").
		Set("trusted-ca-file", store.caFile()).
		Set("cert-file", storeServer.certFile).
		Set("key-file", storeServer.keyFile).
		Set("listen-peer-urls", "https://"+process.HostPort(ports[2])).
		Set("peer-client-cert-auth", "true").
		Set("peer-trusted-ca-file", store.caFile()).
		Set("peer-cert-file", storeServer.certFile).
		Set("peer-key-file", storeServer.keyFile).
		// The gateway would have to sign in to etcd itself.
		Set("enable-grpc-gateway", "false")
	if err := api.startOne(ctx, at, etcdOut, at.etcdMark(), etcd.Start); err != nil {
		return api, err
	}
	api.etcd = etcd

	serverOut, err := openOutput(at, apiServerName)
	if err != nil {
		return api, err
	}
	server := &envtest.APIServer{
		Path:         binaries.KubeAPIServer,
		CertDir:      at.pki,
		EtcdURL:      clients,
		StartTimeout: process.StartTimeout,
		StopTimeout:  process.StopTimeout,
		Out:          serverOut,
		Err:          serverOut,
		SecureServing: envtest.SecureServing{
			ListenAddr: envtest.ListenAddr{Address: loopback, Port: strconv.Itoa(port)},
			CA:         pki.caPEM(),
			Authn:      clientCertificates{pki},
		},
	}
	server.Configure().
		// envtest turns the ServiceAccount plugin off because it runs no controller manager; here one runs.
		Disable("disable-admission-plugins").
		Set("etcd-cafile", store.caFile()).
		Set("etcd-certfile", storeClient.certFile).
		Set("etcd-keyfile", storeClient.keyFile).
		Set("tls-cert-file", serving.certFile).
		Set("tls-private-key-file", serving.keyFile).
		// The issuer is part of every token. It must not depend on the port, or a restart would void them.
		Set("service-account-issuer", "https://kubernetes.default.svc.cluster.local").
		Set("service-account-key-file", signer).
		Set("service-account-signing-key-file", signer).
		Set("service-cluster-ip-range", "10.0.0.0/16").
		// The API server refuses to publish a loopback address as the endpoint of the "kubernetes"
		// Service, and a machine without network has no other address. Nothing inside the cluster
		// could use the endpoint anyway, because no pod is executed.
		Set("advertise-address", loopback).
		Set("endpoint-reconciler-type", "none")
	if err := api.startOne(ctx, at, serverOut, at.apiServerMark(), server.Start); err != nil {
		return api, err
	}
	api.server = server
	return api, nil
}

// startOne adds the context and the diagnosis that envtest's Start lacks. envtest cannot be
// interrupted, but ending the process ends its wait. The process is found by the argument mark.
func (a *apiServer) startOne(ctx context.Context, at layout, out *output, mark string, start func() error) error {
	a.outputs = append(a.outputs, out)
	done := make(chan error, 1)
	go func() { done <- start() }()
	select {
	case err := <-done:
		if err == nil {
			return nil
		}
		return fmt.Errorf("%s did not start: %w; its log %s ends with\n%s",
			out.component, err, at.log(out.component), process.Tail(at.log(out.component)))
	case <-ctx.Done():
		err := fmt.Errorf("%s: start interrupted: %w", out.component, context.Cause(ctx))
		// A server that is still starting ignores gentler signals, and has nothing to lose.
		if _, killErr := at.signalLeftovers(syscall.SIGKILL, process.StopTimeout, mark); killErr != nil {
			return errors.Join(err, killErr)
		}
		<-done
		return err
	}
}

func (a *apiServer) url() *url.URL { return a.server.SecureServing.URL("https", "") }

func (a *apiServer) stop() error {
	for _, output := range a.outputs {
		output.expectEnd()
	}
	var errs []error
	if a.server != nil {
		if err := a.server.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", apiServerName, err))
		}
	}
	if a.etcd != nil {
		if err := a.etcd.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", etcdName, err))
		}
	}
	return errors.Join(errs...)
}

// clientCertificates authenticates users by certificates of the control plane's own authority.
// envtest's own authenticator makes a new authority at each start, which would void every
// kubeconfig handed out.
type clientCertificates struct{ pki *authority }

func (c clientCertificates) Configure(_ string, args *envtest.Arguments) error {
	args.Set("client-ca-file", c.pki.caFile())
	return nil
}

func (c clientCertificates) Start() error { return nil }

func (c clientCertificates) Stop() error { return nil }

func (c clientCertificates) AddUser(user envtest.User, base *rest.Config) (*rest.Config, error) {
	pair, err := c.pki.issue(certificate{name: user.Name, commonName: user.Name, groups: user.Groups})
	if err != nil {
		return nil, err
	}
	config := rest.CopyConfig(base)
	config.CertData, config.KeyData = pair.certPEM, pair.keyPEM
	return config, nil
}

// output writes the output of an envtest process to a log file. It also reports the end of the
// process, which envtest does not: the process holds the other end of a pipe from which os/exec
// copies through ReadFrom.
type output struct {
	component string
	file      *os.File
	closed    chan struct{}

	mu       sync.Mutex
	expected bool
}

func openOutput(at layout, component string) (*output, error) {
	file, err := os.OpenFile(at.log(component), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", component, err)
	}
	return &output{component: component, file: file, closed: make(chan struct{})}, nil
}

func (o *output) Write(p []byte) (int, error) { return o.file.Write(p) }

// ReadFrom is what io.Copy calls; it returns at the end of the process.
func (o *output) ReadFrom(r io.Reader) (int64, error) {
	defer close(o.closed)
	n, err := io.Copy(o.file, r)
	return n, errors.Join(err, o.file.Close())
}

func (o *output) expectEnd() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expected = true
}

func (o *output) watch(report chan<- error) {
	<-o.closed
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.expected {
		report <- process.ExitError(o.component, nil, filepath.Clean(o.file.Name()))
	}
}
