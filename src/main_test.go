package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/pgtest"
)

func TestUnit_AMistypedCommandSaysWhatThereIs(t *testing.T) {
	t.Parallel()
	var output strings.Builder
	require.ErrorContains(t, run(t.Context(), []string{"server"}, &output, &output), "use serve, migrate, smoke, demo or version")
	require.ErrorContains(t, run(t.Context(), []string{"serve", "-p", "80"}, &output, &output), "environment variables")
	require.ErrorContains(t, run(t.Context(), []string{"demo", "now"}, &output, &output), "does not know")
	require.ErrorContains(t, run(t.Context(), []string{"smoke"}, &output, &output), "needs -url")
	require.NoError(t, run(t.Context(), []string{"help"}, &output, &output))
	assert.Contains(t, output.String(), "-history")
}

// The image holds this program and nothing else, and the pod's security context allows nothing: so
// the test runs it as its user in a folder that it can neither write to nor leave, with the build
// flags of the Dockerfile.
func TestService_TheProgramNeedsNothingAroundIt(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	root, err := server.EnableTLS(t.Context())
	require.NoError(t, err)
	database, err := server.Database(t.Context())
	require.NoError(t, err)

	image, err := os.MkdirTemp("", "gridos-image-") //nolint:usetesting // that one is closed to the service's user
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(image)) })
	require.NoError(t, os.Chmod(image, 0o755))
	program := filepath.Join(image, "gridos")
	flags := buildFlags(t)
	build := exec.CommandContext(t.Context(), "go", append(append([]string{"build"}, flags...), "-o", program, ".")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NoError(t, os.MkdirAll(filepath.Join(image, "etc/ssl/certs"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(image, "etc/ssl/certs/ca-certificates.crt"), root, 0o644))
	// The files that the kubelet mounts into every container, and the secret.
	require.NoError(t, os.WriteFile(filepath.Join(image, "etc/hosts"), []byte("127.0.0.1 localhost\n"), 0o644))
	require.NoError(t, os.MkdirAll(filepath.Join(image, "secrets"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(image, "secrets/password"), []byte(database.Password), 0o644))

	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	command := exec.CommandContext(ctx, program)
	first := exec.CommandContext(ctx, program, "migrate") // the pod's init container
	secret := filepath.Join(image, "secrets/password")
	roots := filepath.Join(image, "etc/ssl/certs/ca-certificates.crt")
	if os.Geteuid() == 0 {
		command.Path, command.Dir, secret, roots = "/gridos", "/", "/secrets/password", ""
		command.SysProcAttr = &syscall.SysProcAttr{Chroot: image, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	} else {
		t.Log("not root: the program is not locked into its folder")
	}
	command.Env = []string{
		"HTTP_ADDRESS=127.0.0.1:0", "DATABASE_HOST=localhost", fmt.Sprintf("DATABASE_PORT=%d", database.Port), "DATABASE_NAME=" + database.Name,
		"DATABASE_USER=" + database.User, "DATABASE_PASSWORD_FILE=" + secret, "SHUTDOWN_DELAY=10ms", "SSL_CERT_FILE=" + roots,
	}
	first.Path, first.Dir, first.SysProcAttr, first.Env = command.Path, command.Dir, command.SysProcAttr, command.Env
	output, err = first.CombinedOutput()
	require.NoError(t, err, "%s", output)
	assert.NotContains(t, string(output), database.Password)
	command.Env = append(command.Env, "DATABASE_PREPARED_BY=migrate")
	log, err := command.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())

	lines := bufio.NewScanner(log)
	var listening struct{ Msg, Address, Version string }
	for listening.Msg != "listening" {
		require.True(t, lines.Scan(), "the program ended")
		require.NoError(t, json.Unmarshal(lines.Bytes(), &listening), "%s", lines.Text())
	}
	rest := make(chan string, 1)
	go func() {
		var all strings.Builder
		for lines.Scan() {
			all.WriteString(lines.Text() + "\n")
		}
		rest <- all.String()
	}()
	assert.Equal(t, "dev-abc1234", listening.Version)
	get := func(path string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listening.Address+path, http.NoBody)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		response.Body.Close()
		return response.StatusCode
	}
	if !assert.Eventually(t, func() bool { return get("/readyz") == http.StatusOK }, 20*time.Second, 50*time.Millisecond,
		"the certificate of the database is checked against the system's roots") {
		kill()
		t.Fatal(<-rest)
	}
	assert.Equal(t, http.StatusOK, get("/"))
	assert.Equal(t, http.StatusOK, get("/api/v1/substations"))

	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	text := <-rest
	require.NoError(t, command.Wait(), text)
	assert.Contains(t, text, "all requests are answered")
	assert.NotContains(t, text, database.Password)
}

// buildFlags are those in the Dockerfile, for the version of the documents.
func buildFlags(t *testing.T) []string {
	t.Helper()
	dockerfile, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	found := regexp.MustCompile(`go build (-trimpath) -ldflags "([^"]+)" -o /gridos \.`).FindSubmatch(dockerfile)
	require.NotNil(t, found, "the Dockerfile builds in another way; change this test with it")
	return []string{string(found[1]), "-ldflags", strings.ReplaceAll(string(found[2]), "$VERSION", "dev-abc1234")}
}
