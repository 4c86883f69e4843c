package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

const (
	etcdName      = "etcd"
	apiServerName = "kube-apiserver"

	loopback = "127.0.0.1"
)

// apiServer is kube-apiserver, and etcd, in which it keeps the cluster.
type apiServer struct {
	etcd, server *process.Process
	// store and address are the URLs of the two.
	store, address *url.URL
}

// startAPIServer returns the started processes together with the error, so that the caller stops
// them.
func startAPIServer(parent context.Context, at layout, pki *authority, binaries Binaries) (*apiServer, error) {
	ports, err := process.FreePorts(4)
	if err != nil {
		return nil, err
	}
	address := at.address(parent, ports[3])
	store, err := openAuthority(at.etcdPKI)
	if err != nil {
		return nil, err
	}
	api := &apiServer{
		store:   &url.URL{Scheme: "https", Host: process.HostPort(ports[1])},
		address: address,
	}
	if api.etcd, err = etcd(at, binaries.Etcd, store, api.store.String(), ports[0], ports[2]); err != nil {
		return nil, err
	}
	if api.server, err = kubeAPIServer(at, binaries.KubeAPIServer, pki, store, api.store.String(), address); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(parent, process.StartTimeout)
	defer cancel()
	if err = api.etcd.Start(ctx); err == nil {
		err = api.server.Start(ctx)
	}
	if parent.Err() != nil {
		// A server that is still starting ignores gentler signals, and has nothing to lose.
		return api, errors.Join(fmt.Errorf("start the control plane: interrupted: %w", context.Cause(parent)), api.server.Kill())
	}
	return api, err
}

// A process that can read etcd reads every Secret of the cluster, without asking the API server. So
// only the API server has a certificate of etcd's own authority; there are no peers, and none could
// join.
func etcd(at layout, path string, store *authority, clients string, metricsPort, peerPort int) (*process.Process, error) {
	serving, err := store.issue(certificate{name: "server", commonName: etcdName, serving: true})
	if err != nil {
		return nil, err
	}
	// Readiness is asked for without a certificate, so this URL serves metrics and nothing else.
	metrics := "http://" + process.HostPort(metricsPort)
	return &process.Process{
		Name: etcdName,
		Path: path,
		Args: []string{
			at.etcdMark(),
			"--unsafe-no-fsync=true", // only a power cut loses data by it, and a lab can be made again
			"--listen-metrics-urls=" + metrics,
			"--listen-client-urls=" + clients,
			"--advertise-client-urls=" + clients,
			"--client-cert-auth=true",
			"--trusted-ca-file=" + store.caFile(),
			"--cert-file=" + serving.certFile,
			"--key-file=" + serving.keyFile,
			"--listen-peer-urls=https://" + process.HostPort(peerPort),
			"--peer-client-cert-auth=true",
			"--peer-trusted-ca-file=" + store.caFile(),
			"--peer-cert-file=" + serving.certFile,
			"--peer-key-file=" + serving.keyFile,
			// The gateway would have to sign in to etcd itself.
			"--enable-grpc-gateway=false",
		},
		Log:   at.log(etcdName),
		Ready: metrics + "/health",
	}, nil
}

func kubeAPIServer(at layout, path string, pki, store *authority, etcdURL string, address *url.URL) (*process.Process, error) {
	serving, err := pki.issue(servingCertificate)
	if err != nil {
		return nil, err
	}
	signer, err := pki.serviceAccountKey()
	if err != nil {
		return nil, err
	}
	client, err := store.issue(certificate{name: "client", commonName: apiServerName})
	if err != nil {
		return nil, err
	}
	kubelets, err := pki.issue(kubeletClient)
	if err != nil {
		return nil, err
	}
	return &process.Process{
		Name: apiServerName,
		Path: path,
		Args: []string{
			at.apiServerMark(),
			"--bind-address=" + loopback,
			"--secure-port=" + address.Port(),
			"--tls-cert-file=" + serving.certFile,
			"--tls-private-key-file=" + serving.keyFile,
			"--client-ca-file=" + pki.caFile(),
			"--etcd-servers=" + etcdURL,
			"--etcd-cafile=" + store.caFile(),
			"--etcd-certfile=" + client.certFile,
			"--etcd-keyfile=" + client.keyFile,
			// By default it would look the nodes' names up, which nothing on this machine resolves.
			"--kubelet-preferred-address-types=InternalIP",
			"--kubelet-certificate-authority=" + pki.caFile(),
			"--kubelet-client-certificate=" + kubelets.certFile,
			"--kubelet-client-key=" + kubelets.keyFile,
			"--authorization-mode=RBAC",
			"--allow-privileged=true",
			// The issuer is part of every token. It must not depend on the port, or a restart would void
			// them.
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + signer,
			"--service-account-signing-key-file=" + signer,
			"--service-cluster-ip-range=10.0.0.0/16",
			// The API server refuses to publish a loopback address as the endpoint of the "kubernetes"
			// Service, and a machine without network has no other address. No pod that runs in the lab
			// asks the API server.
			"--advertise-address=" + loopback,
			"--endpoint-reconciler-type=none",
		},
		Log:   at.log(apiServerName),
		Ready: address.JoinPath("readyz").String(),
		CA:    pki.caFile(),
	}, nil
}

// stop ends the API server first: without etcd it would wait for it.
func (a *apiServer) stop() error { return errors.Join(a.server.Stop(), a.etcd.Stop()) }
