package main

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	registryclient "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cli"
)

func TestUnit_ATagThatIsThereIsKeptOnRequest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	at := strings.TrimPrefix(server.URL, "http://") + "/gridos:"
	var digests []string
	for _, tag := range []string{"dev-abc1234", "first", "second"} {
		made, err := random.Image(100, 1)
		require.NoError(t, err)
		ref, err := name.NewTag(at + tag)
		require.NoError(t, err)
		require.NoError(t, registryclient.Write(ref, made))
		digest, err := made.Digest()
		require.NoError(t, err)
		digests = append(digests, digest.String())
	}
	dir := filepath.Join(t.TempDir(), "image")
	code, _ := runs(t, "image", "pull", "--ref", at+"second", "--to", dir)
	require.Zero(t, code)

	code, said := runs(t, "image", "push", "--from", dir, "--ref", at+"dev-abc1234")
	assert.Equal(t, cli.Failed, code)
	assert.Contains(t, said, "a tag names one image for ever")
	code, said = runs(t, "image", "push", "--keep", "--from", dir, "--ref", at+"dev-abc1234")
	assert.Zero(t, code)
	assert.Contains(t, said, "is there already, and is kept.\n"+digests[0]+"\n")
	code, said = runs(t, "image", "push", "--keep", "--from", dir, "--ref", at+"new")
	assert.Zero(t, code)
	assert.Equal(t, digests[2]+"\n", said)
	deafly(t, "image", "push", "--from", dir, "--ref", at+"new")
	deafly(t, "image", "pull", "--ref", at+"new", "--to", filepath.Join(t.TempDir(), "image"))
}
