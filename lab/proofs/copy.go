package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
	"github.com/gridos/sharedinfra/lab/proofs/labcli"
	"github.com/gridos/sharedinfra/lab/proofs/scratch"
)

// buildLab builds the lab of a checkout. remove deletes the binary.
func buildLab(ctx context.Context, s site.Site, display *progress.Display) (binary string, remove func(), err error) {
	step := display.Start("go build ./lab")
	if binary, remove, err = labcli.Build(ctx, s.Repository); err != nil {
		step.Fail(err)
		return "", nil, err
	}
	step.Done("")
	return binary, remove, nil
}

// inCopy runs do with an environment of its own, in a copy of the checkout. The copy is removed
// after a success or an interruption.
func inCopy(ctx context.Context, s site.Site, display *progress.Display, wanted world.Delivery, do func(s site.Site) error) error {
	dir, err := os.MkdirTemp("", "gridos-lab-")
	if err != nil {
		return err
	}
	copied, err := scratch.Copy(s.Repository, dir, s.Environment)
	if err == nil {
		// The commands of do may take minutes; building missing tools takes longer.
		err = world.FindTools(ctx, copied, display, wanted)
	}
	if err == nil {
		err = do(copied)
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w\nits environment still runs in %s, with its logs; to end it: "+
			"`go build -o bin/lab ./lab && (cd %s && %s down -s %s) && rm -r %s`",
			err, dir, dir, filepath.Join(s.Repository, "bin", "lab"), s.Environment, dir)
	}
	return errors.Join(err, world.Discard(context.WithoutCancel(ctx), copied), os.RemoveAll(dir))
}
