// Package image builds the container image of the service without a container engine: it does the
// steps of src/Dockerfile with the go command of this machine. Tags and digests are real. The image
// lacks the root certificates for TLS, which the Dockerfile takes from Debian: the lab's containers
// get the lab's own.
package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
)

// binary is the only file of the image, in its root.
const binary = "gridos"

// A test compares these with the Dockerfile.
var (
	user        = "65532:65532"
	port        = "8080"
	entrypoint  = []string{"/" + binary}
	environment = []string{"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false"}
)

func arguments(version, output string) []string {
	return []string{"build", "-trimpath", "-ldflags", "-s -w -X main.version=" + version, "-o", output, "."}
}

// Build compiles the service in dir, the folder src, for Linux on this machine's processor, and
// makes its image. The service reports version as its own, by convention the tag. The same sources,
// version and Go make the same image.
func Build(ctx context.Context, dir, version string) (v1.Image, error) {
	program, err := compile(ctx, dir, version)
	if err != nil {
		return nil, err
	}
	layer, err := layerOf(program)
	if err != nil {
		return nil, err
	}
	file := &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, Created: v1.Time{Time: time.Unix(0, 0).UTC()},
		Config: v1.Config{User: user, Entrypoint: entrypoint, ExposedPorts: map[string]struct{}{port + "/tcp": {}}},
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if image, err = mutate.ConfigFile(image, file); err == nil {
		image, err = mutate.Append(image, mutate.Addendum{
			Layer: layer, History: v1.History{Created: file.Created, CreatedBy: "COPY /" + binary + " /" + binary},
		})
	}
	if err != nil {
		return nil, fmt.Errorf("make the image of %s: %w", version, err)
	}
	return image, nil
}

func compile(ctx context.Context, dir, version string) ([]byte, error) {
	temporary, err := os.MkdirTemp("", "gridos-image-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to compile into: %w", err)
	}
	defer os.RemoveAll(temporary)
	output := filepath.Join(temporary, binary)
	command := exec.CommandContext(ctx, "go", arguments(version, output)...)
	command.Dir = dir
	command.Env = append(append(os.Environ(), environment...), "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOWORK=off")
	if said, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the service in %s: %w: %s", dir, err, strings.TrimSpace(string(said)))
	}
	program, err := os.ReadFile(output)
	if err != nil {
		return nil, fmt.Errorf("read the compiled service: %w", err)
	}
	return program, nil
}

// layerOf returns a layer with the program, the same whenever it is made.
func layerOf(program []byte) (v1.Layer, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	err := writer.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: binary, Size: int64(len(program)), Mode: 0o755, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	})
	if err == nil {
		_, err = writer.Write(program)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("make the image's layer: %w", err)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	// The image stays on this machine.
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(1))
	if err != nil {
		return nil, fmt.Errorf("make the image's layer: %w", err)
	}
	return layer, nil
}

// Program writes the service's binary to a file: the one file of an image that Build has made.
func Program(from v1.Image, file string) error {
	files := mutate.Extract(from)
	defer files.Close()
	for reader := tar.NewReader(files); ; {
		header, err := reader.Next()
		if err != nil {
			return fmt.Errorf("the image has no %s: %w", binary, err)
		}
		if header.Name != binary {
			continue
		}
		program, err := io.ReadAll(reader)
		if err != nil {
			return fmt.Errorf("read the service in its image: %w", err)
		}
		if err := atomicfile.Write(file, program); err != nil {
			return err
		}
		return os.Chmod(file, 0o700)
	}
}

// Push sends an image to its reference, host:port/repository:tag, and returns its digest, sha256:….
func Push(ctx context.Context, image v1.Image, reference, username, password string) (string, error) {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("push %s: %w", reference, err)
	}
	credentials := &authn.Basic{Username: username, Password: password}
	if err := remote.Write(tag, image, remote.WithContext(ctx), remote.WithAuth(credentials)); err != nil {
		return "", fmt.Errorf("push %s: %w", reference, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("digest of %s: %w", reference, err)
	}
	return digest.String(), nil
}
