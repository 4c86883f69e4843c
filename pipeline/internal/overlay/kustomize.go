package overlay

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// Kustomize sets images with the program of that name, in the version that the repository pins: the
// one on PATH if it has that, or else one that the go command builds the first time.
type Kustomize struct {
	// Root is the folder of a checkout of the repository.
	Root string
}

// SetImage sets the image in the overlay whose folder is dir, which is in a checkout of the
// repository.
func (k Kustomize) SetImage(ctx context.Context, dir string, image Image) error {
	pins := filepath.Join(k.Root, "tools", "kubernetes", "go.mod")
	pinned, err := pinnedVersion(pins)
	if err != nil {
		return err
	}
	program := []string{"kustomize"}
	// A program that is missing, or does not report its version, counts as another version.
	version, err := exec.CommandContext(ctx, program[0], "version").Output()
	if err != nil || strings.TrimSpace(string(version)) != pinned {
		program = []string{"go", "run", "-modfile=" + pins, kustomizeModule}
	}
	args := append(program[1:], "edit", "set", "image", imageName+"="+image.String())
	command := exec.CommandContext(ctx, program[0], args...)
	command.Dir = dir
	// A go.work file around the checkout must not change the pin.
	command.Env = append(os.Environ(), "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kustomize cannot set the image to %s; see why %s does not run: %w: %s",
			image, strings.Join(program, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}

const kustomizeModule = "sigs.k8s.io/kustomize/kustomize/v5"

// pinnedVersion reads the version that a go.mod file pins, such as v5.8.1.
func pinnedVersion(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("the version of kustomize is not known: %w", err)
	}
	mod, err := modfile.ParseLax(file, text, nil)
	if err != nil {
		return "", fmt.Errorf("the version of kustomize is not known: %w", err)
	}
	for _, required := range mod.Require {
		if required.Mod.Path == kustomizeModule {
			return required.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not require %s; add it", file, kustomizeModule)
}
