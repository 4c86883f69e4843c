package registry_test

import (
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/delivery/registry"
)

func start(t *testing.T, options registry.Options) *registry.Registry {
	t.Helper()
	r, err := registry.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Stop()) })
	return r
}

func tagIn(t *testing.T, r *registry.Registry, tag string) name.Tag {
	t.Helper()
	reference, err := name.NewTag(r.Address() + "/gridos:" + tag)
	require.NoError(t, err)
	return reference
}

func with(token string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: registry.User, Password: token})
}

func made(t *testing.T) (image v1.Image, digest v1.Hash) {
	t.Helper()
	image, err := random.Image(10_000, 2)
	require.NoError(t, err)
	digest, err = image.Digest()
	require.NoError(t, err)
	return image, digest
}

func TestUnit_WhoKnowsTheTokenPushesAndEverybodyPulls(t *testing.T) {
	t.Parallel()
	var receiving atomic.Bool
	pushed := make(chan string, 10)
	r := start(t, registry.Options{
		Dir: t.TempDir(), Receiving: func() { receiving.Store(true) }, Pushed: func(tag string) { pushed <- tag },
	})
	image, digest := made(t)
	require.Error(t, remote.Write(tagIn(t, r, "one"), image), "nobody")
	require.Error(t, remote.Write(tagIn(t, r, "one"), image, with("guess")))
	// The refusal of the layers does not prove that the manifest is refused.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+r.Address()+"/v2/gridos/manifests/one", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
	_, err = remote.Head(tagIn(t, r, "one"))
	require.Error(t, err, "nothing was pushed")
	assert.False(t, receiving.Load())
	assert.Empty(t, pushed)

	require.NoError(t, remote.Write(tagIn(t, r, "two"), image, with(r.Token())))
	assert.True(t, receiving.Load())
	assert.Equal(t, "two", <-pushed)
	require.NoError(t, remote.Write(tagIn(t, r, "one"), image, with(r.Token())))
	assert.Equal(t, "one", <-pushed)
	pulled, err := remote.Image(tagIn(t, r, "one"))
	require.NoError(t, err)
	same, err := pulled.Digest()
	require.NoError(t, err)
	assert.Equal(t, digest, same)
}

func TestUnit_ARegistryComesBackAtItsAddress(t *testing.T) {
	t.Parallel()
	options := registry.Options{Dir: t.TempDir()}
	r := start(t, options)
	require.NoError(t, r.Stop())
	require.NoError(t, r.Stop(), "stopping twice is no error")

	_, port, err := net.SplitHostPort(r.Address())
	require.NoError(t, err)
	options.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
	again := start(t, options)
	assert.Equal(t, r.Address(), again.Address())
	image, _ := made(t)
	require.NoError(t, remote.Write(tagIn(t, again, "one"), image, with(again.Token())))
	_, err = registry.Start(t.Context(), registry.Options{Dir: t.TempDir(), Port: options.Port})
	require.ErrorContains(t, err, port)
}
