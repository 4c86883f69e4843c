package overlay

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Kustomize sets images with the program of that name: the one on PATH, or else the one that the repository pins, which the go
// command builds the first time.
type Kustomize struct {
	// Root is the folder of a checkout of the repository.
	Root string
}

// SetImage sets the image in the overlay whose folder is dir, which is in a checkout of the repository.
func (k Kustomize) SetImage(ctx context.Context, dir string, image Image) error {
	program := []string{"kustomize"}
	if _, err := exec.LookPath(program[0]); err != nil {
		program = []string{
			"go", "run", "-modfile=" + filepath.Join(k.Root, "tools", "kustomize", "go.mod"), "sigs.k8s.io/kustomize/kustomize/v5",
		}
	}
	args := append(program[1:], "edit", "set", "image", imageName+"="+image.String())
	command := exec.CommandContext(ctx, program[0], args...)
	command.Dir = dir
	// A go.work file around the checkout must not change the pin.
	command.Env = append(os.Environ(), "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kustomize cannot set the image to %s; put one on PATH that can, or see why the pinned one does not run: %w: %s",
			image, err, strings.TrimSpace(string(output)))
	}
	return nil
}
