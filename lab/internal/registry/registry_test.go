package registry_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/registry"
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
	r := start(t, registry.Options{Dir: t.TempDir()})
	tags, err := r.Tags(t.Context(), "gridos")
	require.NoError(t, err)
	assert.Empty(t, tags)

	image, digest := made(t)
	require.Error(t, remote.Write(tagIn(t, r, "one"), image), "nobody")
	require.Error(t, remote.Write(tagIn(t, r, "one"), image, with("guess")))
	// The layers' being refused says nothing of the manifest.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+r.Address()+"/v2/gridos/manifests/one", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
	tags, err = r.Tags(t.Context(), "gridos")
	require.NoError(t, err)
	assert.Empty(t, tags)

	require.NoError(t, remote.Write(tagIn(t, r, "two"), image, with(r.Token())))
	require.NoError(t, remote.Write(tagIn(t, r, "one"), image, with(r.Token())))
	tags, err = r.Tags(t.Context(), "gridos")
	require.NoError(t, err)
	assert.Equal(t, []string{"one", "two"}, tags)
	pulled, err := remote.Image(tagIn(t, r, "one"))
	require.NoError(t, err)
	same, err := pulled.Digest()
	require.NoError(t, err)
	assert.Equal(t, digest, same)
}

func TestUnit_ARegistryComesBackWithAllThatItHad(t *testing.T) {
	t.Parallel()
	options := registry.Options{Dir: t.TempDir()}
	r := start(t, options)
	old, _ := made(t)
	image, digest := made(t)
	require.NoError(t, remote.Write(tagIn(t, r, "moved"), old, with(r.Token())))
	require.NoError(t, remote.Write(tagIn(t, r, "moved"), image, with(r.Token())))
	require.NoError(t, remote.Write(tagIn(t, r, "gone"), image, with(r.Token())))
	require.NoError(t, remote.Delete(tagIn(t, r, "gone"), with(r.Token())))
	// An index is refused before its images.
	require.NoError(t, remote.WriteIndex(tagIn(t, r, "index"), mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: old}),
		with(r.Token())))
	require.NoError(t, r.Stop())
	require.NoError(t, r.Stop())

	_, port, err := net.SplitHostPort(r.Address())
	require.NoError(t, err)
	options.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
	again := start(t, options)
	assert.Equal(t, r.Address(), again.Address())
	tags, err := again.Tags(t.Context(), "gridos")
	require.NoError(t, err)
	assert.Equal(t, []string{"index", "moved"}, tags)
	pulled, err := remote.Image(tagIn(t, again, "moved"))
	require.NoError(t, err)
	same, err := pulled.Digest()
	require.NoError(t, err)
	assert.Equal(t, digest, same)
	layers, err := pulled.Layers()
	require.NoError(t, err)
	for _, layer := range layers {
		content, err := layer.Compressed()
		require.NoError(t, err)
		require.NoError(t, content.Close())
	}
	_, err = registry.Start(t.Context(), registry.Options{Dir: t.TempDir(), Port: options.Port})
	require.ErrorContains(t, err, port)
}

// Whoever was killed while it wrote has acknowledged nothing, and what came before and comes after is kept.
func TestUnit_HalfALineOfTheJournalIsForgotten(t *testing.T) {
	t.Parallel()
	options := registry.Options{Dir: t.TempDir()}
	push := func(tag string) *registry.Registry {
		r := start(t, options)
		image, err := random.Image(16, 1)
		require.NoError(t, err)
		require.NoError(t, remote.Write(tagIn(t, r, tag), image, with(r.Token())))
		return r
	}
	require.NoError(t, push("before").Stop())
	journal, err := os.OpenFile(filepath.Join(options.Dir, "manifests"), os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = journal.WriteString(`{"Method":"PUT","Path":"/v2/gri`)
	require.NoError(t, err)
	require.NoError(t, journal.Close())
	require.NoError(t, push("after").Stop())
	tags, err := start(t, options).Tags(t.Context(), "gridos")
	require.NoError(t, err)
	assert.Equal(t, []string{"after", "before"}, tags)
}
