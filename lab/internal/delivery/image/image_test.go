package image

import (
	"archive/tar"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/delivery/registry"
)

const sources = "../../../../src"

// stages are the instructions of the Dockerfile, by stage.
func stages(t *testing.T) [][]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(sources, "Dockerfile"))
	require.NoError(t, err)
	var stages [][]string
	for line := range strings.Lines(strings.ReplaceAll(string(content), "\\\n", "")) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "FROM "):
			stages = append(stages, []string{line})
		default:
			require.NotEmpty(t, stages, line)
			stages[len(stages)-1] = append(stages[len(stages)-1], line)
		}
	}
	require.Len(t, stages, 2)
	return stages
}

func TestUnit_TheImageIsWhatTheDockerfileSays(t *testing.T) {
	t.Parallel()
	stages := stages(t)
	command := "RUN go"
	for _, argument := range arguments("$VERSION", "/"+binary) {
		if strings.Contains(argument, " ") {
			argument = `"` + argument + `"`
		}
		command += " " + argument
	}
	assert.Contains(t, stages[0], "ENV "+strings.Join(environment, " "))
	assert.Contains(t, stages[0], command)
	start, err := json.Marshal(entrypoint)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{
		"FROM scratch",
		"COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt",
		"COPY --from=build /" + binary + " /" + binary,
		"USER " + user,
		"EXPOSE " + port,
		"ENTRYPOINT " + string(start),
	}, stages[1], "the image that the lab builds has to say the same")
}

func TestCluster_TheServiceRunsFromItsImage(t *testing.T) {
	t.Parallel()
	const version = "dev-abc1234"
	r, err := registry.Start(t.Context(), registry.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Stop()) })
	image, err := Build(t.Context(), sources, version)
	require.NoError(t, err)
	reference := r.Address() + "/gridos:" + version
	_, err = Push(t.Context(), image, reference, registry.User, "guess")
	require.Error(t, err)
	digest, err := Push(t.Context(), image, reference, registry.User, r.Token())
	require.NoError(t, err)

	tag, err := name.NewTag(reference)
	require.NoError(t, err)
	pulled, err := remote.Image(tag)
	require.NoError(t, err)
	same, err := pulled.Digest()
	require.NoError(t, err)
	assert.Equal(t, digest, same.String())
	media, err := pulled.MediaType()
	require.NoError(t, err)
	assert.Equal(t, types.OCIManifestSchema1, media)
	file, err := pulled.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, user, file.Config.User)
	assert.Equal(t, entrypoint, file.Config.Entrypoint)
	assert.Equal(t, map[string]struct{}{port + "/tcp": {}}, file.Config.ExposedPorts)
	assert.Equal(t, []string{"linux", runtime.GOARCH}, []string{file.OS, file.Architecture})

	content := mutate.Extract(pulled)
	archive := tar.NewReader(content)
	header, err := archive.Next()
	require.NoError(t, err)
	assert.Equal(t, entrypoint[0], "/"+header.Name)
	assert.Equal(t, os.FileMode(0o755), header.FileInfo().Mode())
	program := filepath.Join(t.TempDir(), binary)
	written, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o700)
	require.NoError(t, err)
	_, err = io.Copy(written, archive)
	require.NoError(t, err)
	require.NoError(t, written.Close())
	_, err = archive.Next()
	require.ErrorIs(t, err, io.EOF, "it holds one program and nothing else")
	require.NoError(t, content.Close())
	if runtime.GOOS == "linux" {
		said, err := exec.CommandContext(t.Context(), program, "version").CombinedOutput()
		require.NoError(t, err, string(said))
		assert.Equal(t, version+"\n", string(said))
	}

	alone := filepath.Join(t.TempDir(), "program")
	require.NoError(t, Program(pulled, alone))
	wanted, err := os.ReadFile(program)
	require.NoError(t, err)
	got, err := os.ReadFile(alone)
	require.NoError(t, err)
	assert.Equal(t, wanted, got)
	info, err := os.Stat(alone)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode())
	require.ErrorContains(t, Program(empty.Image, alone), "has no gridos")

	again, err := Build(t.Context(), sources, version)
	require.NoError(t, err)
	same, err = again.Digest()
	require.NoError(t, err)
	assert.Equal(t, digest, same.String(), "the same sources must make the same image")
	_, err = Build(t.Context(), t.TempDir(), version)
	require.ErrorContains(t, err, "go.mod")
}
