package upgrade

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"golang.org/x/mod/modfile"

	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/world/baseline"
	"github.com/gridos/sharedinfra/stacks"
)

// Build writes the files of a release into a folder, which must be empty, and builds its programs
// there, with the libraries that the release pins.
func Build(
	ctx context.Context, repository, dir string, release baseline.Release, display *progress.Display,
) (built engine.Built, err error) {
	step := display.Start("build of " + release.String())
	defer func() {
		if err != nil {
			step.Fail(errors.New("see below"))
			err = fmt.Errorf("build the programs of %s: %w", release, err)
			return
		}
		step.Done("")
	}()
	built = engine.Built{Checkout: filepath.Join(dir, "checkout"), Programs: map[string]string{}}
	if err := os.Mkdir(built.Checkout, 0o700); err != nil {
		return built, err
	}
	if err := baseline.Extract(ctx, repository, release.Commit, built.Checkout); err != nil {
		return built, err
	}
	text, err := os.ReadFile(filepath.Join(built.Checkout, "go.mod"))
	if err != nil {
		return built, err
	}
	// One command links them at once. It names each program after its package.
	programs := filepath.Join(dir, "programs") + string(filepath.Separator)
	arguments := []string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", programs}
	for _, project := range stacks.Projects() {
		arguments = append(arguments, "./"+project.Directory)
		built.Programs[project.Name] = programs + path.Base(path.Join(modfile.ModulePath(text), project.Directory))
	}
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = built.Checkout
	if said, err := command.CombinedOutput(); err != nil {
		return built, errors.Join(fmt.Errorf("%w\n%s", err, said), ctx.Err())
	}
	return built, nil
}
