package gitops

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gridos/sharedinfra/lab/internal/delivery"
)

// open serves Git, the registry and the control API for this checkout, without a cluster.
func open(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir, Repository: "../../../..", Branch: "develop"})
	require.NoError(t, err)
	return s
}

func TestUnit_GitAndTheRegistryAreThereBeforeTheClusterAndComeBackWhereTheyWere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, found, err := Connect(dir)
	require.NoError(t, err)
	assert.False(t, found)

	s := open(t, dir)
	client, found, err := Connect(dir)
	require.NoError(t, err)
	require.True(t, found)
	status, err := client.Status(t.Context())
	require.NoError(t, err)
	assert.False(t, status.Ready)
	assert.True(t, status.Webhook)
	assert.Equal(t, "develop", status.Branch)
	head, err := s.git.Head(t.Context())
	require.NoError(t, err)
	assert.NotEmpty(t, head, "it begins with what the checkout has")
	for _, file := range []string{entryFile(dir), filepath.Join(dir, "ports.json")} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}

	require.NoError(t, client.SetWebhook(t.Context(), false))
	ask := func(url string) int {
		response, err := http.Get(url) //nolint:noctx // the test's own
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	for service, url := range map[Service]string{
		Git: status.GitURL + "/info/refs?service=git-upload-pack", Registry: "http://" + status.Registry + "/v2/",
	} {
		assert.Equal(t, http.StatusOK, ask(url), service)
		require.NoError(t, client.SetAway(t.Context(), service, true))
		assert.Equal(t, http.StatusServiceUnavailable, ask(url), service)
		require.NoError(t, client.SetAway(t.Context(), service, false))
		assert.Equal(t, http.StatusOK, ask(url), service)
	}
	require.ErrorContains(t, client.SetAway(t.Context(), Prometheus, true), "up --gitops")
	require.ErrorContains(t, client.SetAway(t.Context(), "moon", true), "there is no service")
	_, err = client.Seen(t.Context())
	require.ErrorContains(t, err, "up --gitops")
	require.ErrorContains(t, client.SetRate(t.Context(), RequestRate), "up --gitops")
	require.ErrorContains(t, client.SetRules(t.Context(), delivery.Rules{}), "up --gitops")
	stranger := &Client{entry: entry{URL: client.entry.URL, Token: "guessed"}, http: http.DefaultClient}
	_, err = stranger.Status(t.Context())
	require.ErrorContains(t, err, "token")
	require.NoError(t, s.Close())
	_, found, err = Connect(dir)
	require.NoError(t, err)
	assert.False(t, found, "nobody finds what does not answer any more")

	again := open(t, dir)
	client, _, err = Connect(dir)
	require.NoError(t, err)
	now, err := client.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, status.GitURL, now.GitURL)
	assert.Equal(t, status.Registry, now.Registry)
	same, err := again.git.Head(t.Context())
	require.NoError(t, err)
	assert.Equal(t, head, same, "it is not begun again")

	_, err = Open(t.Context(), Options{Dir: dir, Repository: "../../../..", Branch: "develop"})
	require.ErrorContains(t, err, "stop what does", "another one has the ports")
	require.NoError(t, again.Close())
	_, err = Open(t.Context(), Options{Dir: t.TempDir(), Repository: t.TempDir(), Branch: "develop"})
	require.ErrorContains(t, err, "applications", "there is nothing to begin with")
}

func TestUnit_OnlyWhatMayStillComeIsWaitedFor(t *testing.T) {
	t.Parallel()
	kind := schema.GroupResource{Group: "argoproj.io", Resource: "applications"}
	for err, waited := range map[error]bool{
		apierrors.NewNotFound(kind, "a"):                                true,
		apierrors.NewServiceUnavailable("starting"):                     true,
		&net.OpError{Op: "dial", Err: errors.New("connection refused")}: true,
		apierrors.NewForbidden(kind, "a", errors.New("no right")):       false,
		apierrors.NewUnauthorized("who are you"):                        false,
	} {
		assert.Equal(t, waited, ignoreAway(err) == nil, err)
	}
}
