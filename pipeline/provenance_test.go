package main

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	registryclient "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/provenance/provenancetest"
)

// The commands as promote.yml runs them, from the registry of dev to that of test, and from there
// to that of prod. A registry may have the list of the attachments of an image, or keep it under a
// tag.
func TestUnit_TheProvenanceGoesWithTheImageAndIsVerifiedEachTime(t *testing.T) {
	t.Parallel()
	for kind, lists := range map[string]bool{"a registry that lists": true, "one that does not": false} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			start := func() name.Repository {
				server := httptest.NewServer(registry.New(registry.WithReferrersSupport(lists), registry.Logger(log.New(io.Discard, "", 0))))
				t.Cleanup(server.Close)
				repository, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/gridos")
				require.NoError(t, err)
				return repository
			}
			dev, test, prod := start(), start(), start()
			github := provenancetest.New(t)
			roots := write(t, "roots.jsonl", string(github.Roots()))
			built, err := random.Index(100, 1, 2)
			require.NoError(t, err)
			of, err := partial.Descriptor(built)
			require.NoError(t, err)
			require.NoError(t, registryclient.WriteIndex(dev.Tag("dev-abc1234"), built))
			with := func(dir, roots string) []string {
				return []string{
					"image", "verify", "--from", dir, "--trusted-roots", roots, "--repository", "https://github.com/gridos/sharedinfra",
					"--commit", "abc1234",
				}
			}
			verify := func(dir string) (int, string) { return runs(t, with(dir, roots)...) }

			before := filepath.Join(t.TempDir(), "image")
			code, said := runs(t, "image", "pull", "--ref", dev.Tag("dev-abc1234").String(), "--to", before)
			require.Zero(t, code, said)
			code, said = verify(before)
			assert.Equal(t, cli.Failed, code)
			assert.Contains(t, said, "image "+of.Digest.String()+" has no signed provenance; release it again with ci-cd.yml")

			other := provenancetest.Right()
			other.Workflow = ".github/workflows/other.yml"
			statement, moment := provenancetest.Statement(of.Digest), github.Now.Add(-time.Minute)
			provenancetest.Attach(t, dev, *of, github.Sign(statement, other, moment, true))
			refused := filepath.Join(t.TempDir(), "image")
			code, said = runs(t, "image", "pull", "--ref", dev.Tag("dev-abc1234").String(), "--to", refused)
			require.Zero(t, code, said)
			code, said = verify(refused)
			assert.Equal(t, cli.Failed, code)
			assert.Contains(t, said, "other.yml@refs/heads/develop and not by")

			provenancetest.Attach(t, dev, *of, github.Sign(statement, provenancetest.Right(), moment, true))
			dir := promote(t, verify, dev.Tag("dev-abc1234"), test.Tag("test-abc1234"))
			promote(t, verify, test.Tag("test-abc1234"), prod.Tag("prod-abc1234"))
			deafly(t, with(dir, roots)...)
			for says, args := range map[string][]string{
				"no such file":               with(dir, roots+".none"),
				"name 0 authorities":         with(dir, write(t, "roots.jsonl", "{}")),
				"is no OCI layout; make one": with(t.TempDir(), roots),
			} {
				code, said := runs(t, args...)
				assert.Equal(t, cli.Failed, code, said)
				assert.Contains(t, said, says)
			}
		})
	}
}

// promote takes an image to the next registry.
func promote(t *testing.T, verify func(dir string) (int, string), from, to name.Tag) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "image")
	code, pulled := runs(t, "image", "pull", "--ref", from.String(), "--to", dir)
	require.Zero(t, code, pulled)
	code, verified := verify(dir)
	require.Zero(t, code, verified)
	assert.Equal(t, pulled, verified)
	for range 2 { // the second attempt of a workflow
		code, pushed := runs(t, "image", "push", "--from", dir, "--ref", to.String())
		require.Zero(t, code, pushed)
		assert.Equal(t, pulled, pushed)
	}
	return dir
}

func TestUnit_VerifyWantsAllThatItCompares(t *testing.T) {
	t.Parallel()
	code, said := runs(t, "image", "verify", "--repository", "gridos/sharedinfra", "--commit", "main")
	assert.Equal(t, cli.Mistake, code)
	for _, mistake := range []string{`--commit "main"`, `--repository "gridos/sharedinfra"`, "--trusted-roots is missing", "--from is missing"} {
		assert.Contains(t, said, mistake)
	}
	for _, address := range []string{"http://github.com/gridos/sharedinfra", "https://github.com/gridos", "https:///gridos/sharedinfra", "https://%zz"} {
		code, said := runs(t, "image", "verify", "--repository", address, "--commit", "abc1234")
		assert.Equal(t, cli.Mistake, code, address)
		assert.Contains(t, said, fmt.Sprintf("--repository %q is no repository", address))
	}
}

// Each copy is verified by the job that pushes it, and the bytes that are proposed are those that
// it has pushed.
func TestUnit_NothingIsPromotedBeforeItsProvenanceIsVerified(t *testing.T) {
	t.Parallel()
	text := read(t, filepath.Join("..", ".github", "workflows", "promote.yml"))
	push := text[strings.Index(text, "\n  push:\n"):]
	order := []string{"actions/download-artifact@", "image verify --from image", "image push --from image", "promote --to"}
	last := -1
	for _, step := range order {
		at := strings.Index(push, step)
		require.Greater(t, at, last, "%s is after what comes before it", step)
		last = at
	}
	for _, file := range []string{"promote.yml", "ci-cd.yml"} {
		workflow := read(t, filepath.Join("..", ".github", "workflows", file))
		pushed, locked := strings.LastIndex(workflow, "image push"), strings.LastIndex(workflow, "--write-enabled false")
		assert.Greater(t, locked, pushed, "%s locks the tag", file)
		assert.Greater(t, locked, strings.LastIndex(workflow, "push-to-registry"), "what is attached is there before the image is locked")
		assert.NotContains(t, read(t, filepath.Join("..", ".github", "workflows", file)), "vars.ATTEST == 'true'", "without a word of the owner")
	}
}

// The builder of the image is pinned, as its contents are.
func TestUnit_TheBuilderIsPinned(t *testing.T) {
	t.Parallel()
	text := read(t, filepath.Join("..", ".github", "workflows", "ci-cd.yml"))
	for _, use := range []string{`docker buildx create --use --driver docker-container --driver-opt "image=$BUILDER"`, `generator=$SCANNER"`} {
		assert.Contains(t, text, use)
	}
	for _, name := range []string{"BUILDER", "SCANNER"} {
		assert.Regexp(t, `(?m)^ +`+name+`: [a-z/-]+:[\w.-]+@sha256:[0-9a-f]{64}$`, text)
	}
	assert.NotContains(t, text, "--sbom=true", "takes the scanner of the day")
}
