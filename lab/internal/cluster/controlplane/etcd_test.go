package controlplane

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A reader of etcd needs no permission in the cluster, so the administrator's certificate must not
// be enough to read it.
func TestCluster_OnlyTheAPIServerReadsEtcd(t *testing.T) {
	dir := t.TempDir()
	c := testControlPlane(t, dir)
	start(t, c)
	t.Cleanup(func() { assert.NoError(t, c.Stop()) })
	at, err := newLayout(dir)
	require.NoError(t, err)
	store, err := openAuthority(at.etcdPKI)
	require.NoError(t, err)
	cluster, err := openAuthority(at.pki)
	require.NoError(t, err)
	authorities := x509.NewCertPool()
	require.True(t, authorities.AppendCertsFromPEM(store.caPEM()))
	require.True(t, authorities.AppendCertsFromPEM(cluster.caPEM()))
	get := func(url string, with ...tls.Certificate) (status int, err error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities, Certificates: with, MinVersion: tls.VersionTLS12}}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Get(url) //nolint:noctx // it ends with the test
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	version := c.running.api.store.JoinPath("version").String()
	ask := func(with ...tls.Certificate) (status int, err error) { return get(version, with...) }
	certificateOf := func(a *authority, want certificate) tls.Certificate {
		pair, err := a.issue(want)
		require.NoError(t, err)
		both, err := tls.X509KeyPair(pair.certPEM, pair.keyPEM)
		require.NoError(t, err)
		return both
	}

	_, err = ask()
	require.ErrorContains(t, err, "certificate required")
	_, err = ask(certificateOf(cluster, certificate{name: "stranger", commonName: "admin", groups: []string{"system:masters"}}))
	require.ErrorContains(t, err, "tls:", "the cluster's administrator")
	status, err := ask(certificateOf(store, certificate{name: "client"}))
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status, "the API server")

	status, err = get(c.running.api.address.JoinPath("api", "v1", "secrets").String())
	require.NoError(t, err)
	assert.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, status, "a client without a certificate")
}
