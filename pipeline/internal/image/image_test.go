package image_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/image"
	"github.com/gridos/sharedinfra/pipeline/internal/provenance/provenancetest"
)

// serve starts a registry. Before each request comes before, which reports whether it has answered.
func serve(t *testing.T, before func(w http.ResponseWriter, r *http.Request) bool, options ...registry.Option) string {
	t.Helper()
	images := registry.New(append(options, registry.Logger(log.New(io.Discard, "", 0)))...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !before(w, r) {
			images.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/gridos"
}

// start starts a registry that requires the user and a password; without a user it requires
// nothing.
func start(t *testing.T, user string) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		got, password, _ := r.BasicAuth()
		if user == "" || got == user && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
}

// written writes a new image to a registry, and returns its digest and size.
func written(t *testing.T, to name.Tag) v1.Descriptor {
	t.Helper()
	made, err := random.Image(100, 1)
	require.NoError(t, err)
	require.NoError(t, remote.Write(to, made))
	of, err := remote.Head(to)
	require.NoError(t, err)
	return *of
}

// pulled pulls an image into a new folder.
func pulled(t *testing.T, from name.Tag) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "image")
	_, err := image.Pull(t.Context(), from, dir)
	require.NoError(t, err)
	return dir
}

func tag(t *testing.T, ref string) name.Tag {
	t.Helper()
	parsed, err := name.NewTag(ref, name.StrictValidation)
	require.NoError(t, err)
	return parsed
}

func platforms(t *testing.T) v1.ImageIndex {
	t.Helper()
	index, err := random.Index(1000, 2, 2)
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	for i, architecture := range []string{"amd64", "arm64"} {
		child, err := index.Image(manifest.Manifests[i].Digest)
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        mutate.Annotations(child, map[string]string{"a": architecture}).(v1.Image),
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	return index
}

// statement is the media type of an attestation, as BuildKit writes it.
const statement = "application/vnd.in-toto+json"

// withAttestation returns an index of an image and its attestation, as BuildKit writes it.
func withAttestation(t *testing.T, of v1.Image) v1.ImageIndex {
	t.Helper()
	said, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		static.NewLayer([]byte(`{"predicateType":"https://spdx.dev/Document"}`), statement))
	require.NoError(t, err)
	digest, err := of.Digest()
	require.NoError(t, err)
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: of, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: said, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{
				"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest.String(),
			},
		}})
}

// The folder that a build has written is pushed as it is, and the bill of materials goes with the
// image to the next registry.
func TestUnit_WhatIsSaidOfAnImageGoesWithIt(t *testing.T) {
	t.Parallel()
	single, err := random.Image(1000, 1)
	require.NoError(t, err)
	built := t.TempDir()
	folder, err := layout.Write(built, empty.Index)
	require.NoError(t, err)
	require.NoError(t, folder.AppendIndex(withAttestation(t, single)))

	dev, test, between := start(t, ""), start(t, ""), filepath.Join(t.TempDir(), "image")
	pushed, err := image.Push(t.Context(), built, tag(t, dev+":dev-abc1234"))
	require.NoError(t, err)
	_, err = image.Pull(t.Context(), tag(t, dev+":dev-abc1234"), between)
	require.NoError(t, err)
	promoted, err := image.Push(t.Context(), between, tag(t, test+":test-abc1234"))
	require.NoError(t, err)
	assert.Equal(t, pushed, promoted)

	there, err := remote.Index(tag(t, test+":test-abc1234"))
	require.NoError(t, err)
	manifest, err := there.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 2)
	said, err := there.Image(manifest.Manifests[1].Digest)
	require.NoError(t, err)
	layers, err := said.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 1)
	content, err := layers[0].Compressed()
	require.NoError(t, err)
	text, err := io.ReadAll(content)
	require.NoError(t, err)
	assert.Contains(t, string(text), "https://spdx.dev/Document")
}

func TestUnit_WhatIsPushedIsWhatWasPulledForAllPlatforms(t *testing.T) {
	t.Parallel()
	from, to := start(t, ""), start(t, "")
	index := platforms(t)
	single, err := random.Image(1000, 3)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(tag(t, from+":dev-abc1234"), index))
	require.NoError(t, remote.Write(tag(t, from+":dev-def5678"), single))

	attested := withAttestation(t, single)
	require.NoError(t, remote.WriteIndex(tag(t, from+":dev-0123456"), attested))

	for release, original := range map[string]interface{ Digest() (v1.Hash, error) }{
		"abc1234": index, "def5678": single, "0123456": attested,
	} {
		want, err := original.Digest()
		require.NoError(t, err)
		dir := filepath.Join(t.TempDir(), "new", "folder")
		if release == "abc1234" { // a folder that is there, and empty, is as good as none
			require.NoError(t, os.MkdirAll(dir, 0o700))
		}
		pulled, err := image.Pull(t.Context(), tag(t, from+":dev-"+release), dir)
		require.NoError(t, err)
		assert.Equal(t, want, pulled)
		_, err = image.Pull(t.Context(), tag(t, from+":dev-"+release), dir)
		require.ErrorContains(t, err, "is not empty")
		_, err = image.Pull(t.Context(), tag(t, from+":dev-"+release), filepath.Join(dir, "index.json", "folder"))
		require.ErrorContains(t, err, "see whether ")

		for range 2 { // the second time it is there already
			pushed, err := image.Push(t.Context(), dir, tag(t, to+":test-"+release))
			require.NoError(t, err)
			assert.Equal(t, want, pushed)
		}
		there, err := remote.Get(tag(t, to+":test-"+release))
		require.NoError(t, err)
		assert.Equal(t, want, there.Digest)
		entries, err := os.ReadDir(filepath.Dir(dir))
		require.NoError(t, err)
		assert.Len(t, entries, 1, "nothing unfinished is left")
	}
	there, err := remote.Index(tag(t, to+":test-abc1234"))
	require.NoError(t, err)
	manifest, err := there.IndexManifest()
	require.NoError(t, err)
	for _, platform := range manifest.Manifests {
		of, err := there.Image(platform.Digest)
		require.NoError(t, err)
		require.NoError(t, validate.Image(of), "every layer of every platform is there")
	}
	assert.Equal(t, "arm64", manifest.Manifests[3].Platform.Architecture)
}

func TestUnit_ATagNamesOneImageForEver(t *testing.T) {
	t.Parallel()
	from, to := start(t, ""), start(t, "")
	first, second := tag(t, from+":dev-abc1234"), tag(t, from+":dev-def5678")
	was := written(t, first).Digest
	written(t, second)
	_, err := image.Push(t.Context(), pulled(t, first), tag(t, to+":test-abc1234"))
	require.NoError(t, err)
	_, err = image.Push(t.Context(), pulled(t, second), tag(t, to+":test-abc1234"))
	require.ErrorContains(t, err, "is "+was.String()+" already")
	there, err := remote.Head(tag(t, to+":test-abc1234"))
	require.NoError(t, err)
	assert.Equal(t, was, there.Digest)
}

// refusing is a registry that refuses the request that is the nth from now: 0 refuses none.
type refusing struct {
	at   string
	left atomic.Int32
	// during happens in each request.
	during func(r *http.Request)
}

func startRefusing(t *testing.T) *refusing {
	t.Helper()
	r := &refusing{}
	r.at = serve(t, func(w http.ResponseWriter, request *http.Request) bool {
		if r.during != nil {
			r.during(request)
		}
		if r.left.Add(-1) != 0 {
			return false
		}
		http.Error(w, `{"errors":[{"code":"DENIED","message":"broken on purpose"}]}`, http.StatusForbidden)
		return true
	}, registry.WithReferrersSupport(true))
	return r
}

// Each request is refused in turn: the copy ends with that, and there is no folder with a part of
// an image.
func TestUnit_EachRefusalOfARegistryEndsACopy(t *testing.T) {
	t.Parallel()
	single, err := random.Image(100, 1)
	require.NoError(t, err)
	for name, write := range map[string]func(ref name.Tag) error{
		"an image":  func(ref name.Tag) error { return remote.Write(ref, single) },
		"platforms": func(ref name.Tag) error { return remote.WriteIndex(ref, platforms(t)) },
	} {
		from := startRefusing(t)
		source := tag(t, from.at+":dev-abc1234")
		require.NoError(t, write(source))
		of, err := remote.Head(source)
		require.NoError(t, err)
		provenancetest.Attach(t, source.Repository, *of, []byte(`{"a": "bundle"}`))
		dir := filepath.Join(t.TempDir(), "image")
		for n := int32(1); ; n++ {
			from.left.Store(n)
			pulled, err := image.Pull(t.Context(), source, dir)
			if err == nil {
				require.Greater(t, n, int32(4), "%s: all requests are answered", name)
				assert.Equal(t, of.Digest, pulled)
				break
			}
			require.ErrorContains(t, err, "pull "+source.String()+"; sign in with az acr login", "%s, request %d", name, n)
			assert.Zero(t, pulled)
			entries, err := os.ReadDir(filepath.Dir(dir))
			require.NoError(t, err)
			assert.Empty(t, entries, "%s, request %d", name, n)
		}
		digest, bundles, err := image.Provenance(dir)
		require.NoError(t, err)
		assert.Equal(t, of.Digest, digest)
		assert.Equal(t, [][]byte{[]byte(`{"a": "bundle"}`)}, bundles)

		for n := int32(1); ; n++ {
			to := startRefusing(t)
			to.left.Store(n)
			target := tag(t, to.at+":test-abc1234")
			pushed, err := image.Push(t.Context(), dir, target)
			if err == nil { // the library does without the answer to some questions
				assert.Equal(t, of.Digest, pushed)
				whole := to.left.Swap(0) > 0
				there, err := remote.Head(target)
				require.NoError(t, err)
				assert.Equal(t, of.Digest, there.Digest)
				if whole {
					assert.Greater(t, n, int32(6), "%s: all requests are answered", name)
					break
				}
				continue
			}
			require.ErrorContains(t, err, target.String()+"; sign in with az acr login", "%s, request %d", name, n)
			assert.Zero(t, pushed)
		}
	}
}

// A tag that one may not look for may be taken.
func TestUnit_WhereATagCannotBeLookedForNothingIsPushed(t *testing.T) {
	t.Parallel()
	source := tag(t, start(t, "")+":dev-abc1234")
	written(t, source)
	target := tag(t, serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/manifests/") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		assert.NotEqual(t, http.MethodPut, r.Method, r.URL.Path)
		return false
	})+":test-abc1234")
	_, err := image.Push(t.Context(), pulled(t, source), target)
	require.ErrorContains(t, err, "look for "+target.String())
}

func TestUnit_AFolderThatChangesMeanwhileIsNotReplaced(t *testing.T) {
	t.Parallel()
	from := startRefusing(t)
	source := tag(t, from.at+":dev-abc1234")
	written(t, source)
	for says, test := range map[string]func(dir string) error{
		"directory not empty":                         func(dir string) error { return os.MkdirAll(filepath.Join(dir, "folder"), 0o700) },
		"make a folder for " + source.String() + ": ": func(dir string) error { return os.WriteFile(filepath.Dir(dir), nil, 0o600) },
	} {
		dir := filepath.Join(t.TempDir(), "new", "image")
		from.during = func(*http.Request) { assert.NoError(t, test(dir)) }
		pulled, err := image.Pull(t.Context(), source, dir)
		require.ErrorContains(t, err, says)
		assert.Zero(t, pulled)
	}
}

// A folder may have lost or changed what open does not look at.
func TestUnit_AProvenanceThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	from := startRefusing(t)
	source := tag(t, from.at+":dev-abc1234")
	of := written(t, source)
	provenancetest.Attach(t, source.Repository, of, []byte("a bundle"))
	dir := pulled(t, source)
	bundle, _, err := v1.SHA256(strings.NewReader("a bundle"))
	require.NoError(t, err)
	blob := filepath.Join(dir, "blobs", bundle.Algorithm, bundle.Hex)
	require.NoError(t, os.WriteFile(blob, make([]byte, 1<<20+1), 0o600))
	_, bundles, err := image.Provenance(dir)
	require.NoError(t, err)
	require.Len(t, bundles, 1)
	assert.Len(t, bundles[0], 1<<20, "no more is read")
	require.NoError(t, os.Remove(blob))
	digest, bundles, err := image.Provenance(dir)
	require.ErrorContains(t, err, "read the provenance of "+of.Digest.String())
	assert.Zero(t, digest)
	assert.Empty(t, bundles)
	_, err = image.Push(t.Context(), dir, tag(t, start(t, "")+":test-abc1234"))
	require.ErrorContains(t, err, "push the provenance of ")
	_, _, err = image.Provenance(t.TempDir())
	require.ErrorContains(t, err, "is no OCI layout; make one with image pull")
}

func TestUnit_AChangedManifestIsNotPushed(t *testing.T) {
	t.Parallel()
	from, to := start(t, ""), start(t, "")
	index := platforms(t)
	require.NoError(t, remote.WriteIndex(tag(t, from+":dev-abc1234"), index))
	dir := filepath.Join(t.TempDir(), "image")
	digest, err := image.Pull(t.Context(), tag(t, from+":dev-abc1234"), dir)
	require.NoError(t, err)
	blob := filepath.Join(dir, "blobs", digest.Algorithm, digest.Hex)
	content, err := os.ReadFile(blob)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(blob, append(content, ' '), 0o600))
	_, err = image.Push(t.Context(), dir, tag(t, to+":test-abc1234"))
	require.ErrorContains(t, err, digest.String()+" has become")
	_, err = remote.Head(tag(t, to+":test-abc1234"))
	require.Error(t, err)
	_, err = image.Push(t.Context(), t.TempDir(), tag(t, to+":test-abc1234"))
	require.ErrorContains(t, err, "is no OCI layout")
}

func TestUnit_TheCredentialsAreThoseOfDockerLogin(t *testing.T) {
	registry := start(t, "operator")
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(t.TempDir(), "none"))
	_, err := image.Pull(t.Context(), tag(t, registry+":dev-abc1234"), filepath.Join(t.TempDir(), "image"))
	require.ErrorContains(t, err, "sign in with az acr login")

	host, _, _ := strings.Cut(registry, "/")
	config := `{"auths":{"` + host + `":{"username":"operator","password":"secret"}}}`
	require.NoError(t, os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600))
	_, err = image.Pull(t.Context(), tag(t, registry+":dev-abc1234"), filepath.Join(t.TempDir(), "image"))
	require.ErrorContains(t, err, "see whether it was pushed", "who is let in is told that there is none")
}
