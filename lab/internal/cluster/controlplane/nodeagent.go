package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/gridos/sharedinfra/lab/internal/cluster/nodeagent"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// kubeletName is the name of the node agent's kubeconfig and of its log.
const kubeletName = "kubelet"

// kubeletClient is the API server as a client of the kubelets.
var kubeletClient = certificate{name: "apiserver-kubelet-client", commonName: "kube-apiserver-kubelet-client"}

// nodeAgent is the agent of all nodes, which runs in this process, and the server on which the API
// server finds it.
type nodeAgent struct {
	agent  *nodeagent.Agent
	server *http.Server
	served chan error
	log    *os.File
}

func startNodeAgent(
	ctx context.Context, at layout, pki *authority, client kubernetes.Interface, options nodeagent.Options,
) (_ *nodeAgent, err error) {
	listener, err := listenAsKubelet(ctx, pki)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, listener.Close())
		}
	}()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("the node agent listens on %v, which is no TCP address", listener.Addr())
	}
	options.Dir, options.Port = at.nodes, address.Port
	file, err := os.OpenFile(at.log(kubeletName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of the node agent: %w", err)
	}
	agent, err := nodeagent.Start(ctx, client, options)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	n := &nodeAgent{
		agent: agent, served: make(chan error, 1), log: file,
		server: &http.Server{Handler: agent.Handler(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(file, "", log.LstdFlags)},
	}
	go func() { n.served <- n.server.Serve(listener) }()
	return n, nil
}

// listenAsKubelet admits the API server alone, by its certificate.
func listenAsKubelet(ctx context.Context, pki *authority) (net.Listener, error) {
	serving, err := pki.issue(servingCertificate)
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(serving.certPEM, serving.keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the certificate of the node agent: %w", err)
	}
	authorities := x509.NewCertPool()
	authorities.AddCert(pki.cert)
	plain, err := new(net.ListenConfig).Listen(ctx, "tcp4", process.HostPort(0))
	if err != nil {
		return nil, fmt.Errorf("the node agent cannot listen: %w", err)
	}
	return tls.NewListener(plain, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authorities,
		VerifyConnection: func(state tls.ConnectionState) error {
			if name := state.PeerCertificates[0].Subject.CommonName; name != kubeletClient.commonName {
				return fmt.Errorf("%s may not ask the node agent", name)
			}
			return nil
		},
	}), nil
}

func (n *nodeAgent) stop() error {
	err := errors.Join(n.server.Close(), n.agent.Stop())
	if served := <-n.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, n.log.Close())
}
