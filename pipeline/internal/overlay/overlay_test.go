package overlay_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/naming"
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
	_, err = overlay.Parse([]byte("images: {"))
	require.ErrorContains(t, err, "read a kustomization.yaml: ")
}

func TestUnit_WithoutItsPinKustomizeDoesNotRun(t *testing.T) {
	t.Parallel()
	checkout := t.TempDir()
	set := func() error {
		return overlay.Kustomize{Root: checkout}.SetImage(t.Context(), checkout, overlay.Image{Repository: "a/b", Tag: "dev-abc1234"})
	}
	require.ErrorContains(t, set(), "the version of kustomize is not known: ")
	file := filepath.Join(checkout, "tools", "kubernetes", "go.mod")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	for text, says := range map[string]string{
		"module (":                             "the version of kustomize is not known: ",
		"module tools\n\nrequire a.b/c v1.0.0": "go.mod does not require sigs.k8s.io/kustomize/kustomize/v5; add it",
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.ErrorContains(t, set(), says)
	}
}

// The version on a runner's PATH depends on the runner's image.
func TestUnit_AnotherVersionOfKustomizeIsNotUsed(t *testing.T) {
	bin, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	place := func(name, script string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o700))
	}
	t.Setenv("PATH", bin)
	t.Setenv("LOG", log)
	tools, err := filepath.Abs(root)
	require.NoError(t, err)
	pins, err := os.ReadFile(filepath.Join(tools, "tools", "kubernetes", "go.mod"))
	require.NoError(t, err)
	pinned := regexp.MustCompile(`kustomize/v5 (v[0-9.]+)`).FindStringSubmatch(string(pins))[1]
	place("go", `echo "go $1" >>"$LOG"`)
	image := overlay.Image{Repository: "a/b", Tag: "dev-abc1234"}
	for version, uses := range map[string]string{pinned: "kustomize edit\n", "v5.0.0": "go run\n", pinned + "-dirty": "go run\n"} {
		require.NoError(t, os.WriteFile(log, nil, 0o600))
		place("kustomize", `if [ "$1" = version ]; then echo `+version+`; else echo "kustomize $1" >>"$LOG"; fi`)
		require.NoError(t, overlay.Kustomize{Root: tools}.SetImage(t.Context(), t.TempDir(), image))
		used, err := os.ReadFile(log)
		require.NoError(t, err)
		assert.Equal(t, uses, string(used), version)
	}
	require.NoError(t, os.Remove(filepath.Join(bin, "kustomize")))
	require.NoError(t, os.WriteFile(log, nil, 0o600))
	require.NoError(t, overlay.Kustomize{Root: tools}.SetImage(t.Context(), t.TempDir(), image))
	used, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Equal(t, "go run\n", string(used))
}

// The real program, the one that the repository pins if there is none on PATH, which takes a minute
// to compile the first time.
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
