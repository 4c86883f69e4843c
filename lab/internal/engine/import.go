package engine

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
)

// importResources runs `pulumi import` with a file that lists the resources.
func importResources(ctx context.Context, s auto.Stack, w *watcher, file string) (err error) {
	host, err := serveLanguage(ctx, "the language host of an import", languageHost{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.stop()) }()
	work := s.Workspace()
	dir, err := os.MkdirTemp(work.WorkDir(), "import-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stack, err := os.ReadFile(projectfile.StackFile(work.WorkDir(), s.Name()))
	if err != nil {
		return err
	}
	if err := errors.Join(
		host.attach(work.WorkDir(), dir), os.WriteFile(projectfile.StackFile(dir, s.Name()), stack, 0o600),
	); err != nil {
		return err
	}
	// From the next update on, the program decides about protection.
	if _, err := command(ctx, s, w.log, "import", "--cwd", dir, "--file", file, "--yes", "--skip-preview", "--protect=false",
		"--generate-code=false", "--suppress-outputs"); err != nil {
		return fmt.Errorf("import into %s: %w", s.Name(), err)
	}
	return nil
}
