package overlay_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/naming"
	"github.com/gridos/sharedinfra/pipeline/internal/overlay"
)

const root = "../../.."

func TestUnit_EveryEnvironmentsOverlayNamesItsImage(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(overlay.File(environment))))
		require.NoError(t, err)
		image, err := overlay.Parse(content)
		require.NoError(t, err)
		assert.Equal(t, environment+"gridosacr.azurecr.io/gridos", image.Repository)
		of, _, ok := overlay.Release(image.Tag)
		assert.True(t, ok)
		assert.Equal(t, environment, of)
	}
	_, err := overlay.Parse([]byte("images:\n- name: another\n  newTag: dev-abc1234\n"))
	require.ErrorContains(t, err, "is not among its images")
	_, err = overlay.Parse([]byte("images:\n- name: gridosacr.azurecr.io/gridos\n  digest: sha256:0\n"))
	require.ErrorContains(t, err, "by its digest alone")
}

// The real program, the one that the repository pins if there is none on PATH, which takes a minute to compile the first time.
func TestCluster_KustomizeSetsTheImageAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, file := range []string{"go.mod", overlay.File("dev")} {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		require.NoError(t, err)
		to := filepath.Join(dir, filepath.FromSlash(file))
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o700))
		require.NoError(t, os.WriteFile(to, content, 0o600))
	}
	before, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(overlay.File("dev"))))
	require.NoError(t, err)
	tools, err := filepath.Abs(root)
	require.NoError(t, err)
	kustomize := overlay.Kustomize{Root: tools}
	image := overlay.Image{
		Repository: "othergridosacr.azurecr.io/gridos", Tag: "dev-abc1234", Digest: "sha256:" + strings.Repeat("0123456789abcdef", 4),
	}
	require.NoError(t, kustomize.SetImage(t.Context(), filepath.Join(dir, filepath.FromSlash(naming.Overlay("dev"))), image))
	after, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(overlay.File("dev"))))
	require.NoError(t, err)
	set, err := overlay.Parse(after)
	require.NoError(t, err)
	assert.Equal(t, image, set)
	was, err := overlay.Parse(before)
	require.NoError(t, err)
	require.NoError(t, kustomize.SetImage(t.Context(), filepath.Join(dir, filepath.FromSlash(naming.Overlay("dev"))), was))
	back, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(overlay.File("dev"))))
	require.NoError(t, err)
	assert.Equal(t, string(before), string(back), "the overlay is written as kustomize writes it, so that a release changes two lines")

	require.ErrorContains(t, kustomize.SetImage(t.Context(), dir, image), "kustomize cannot set the image")
}
