package baseline

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// leftAt returns the full hash of the commit at which the history of the checkout left ref: what others have put onto ref since
// is no change of the working tree's.
func leftAt(ctx context.Context, repository, ref string) (string, error) {
	tip, err := git(ctx, repository, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("there is no commit %q in this checkout; fetch it, or name another", ref)
	}
	base, err := git(ctx, repository, "merge-base", tip, "HEAD")
	if err != nil {
		return "", fmt.Errorf("%s and HEAD have no commit in common here; is the checkout shallow? git fetch --unshallow gets the rest", ref)
	}
	return base, nil
}

// extract writes the files of a commit into a directory, without Git noticing.
func extract(ctx context.Context, repository, commit, dir string) error {
	archive := exec.CommandContext(ctx, "git", "archive", "--format=tar", commit)
	archive.Dir = repository
	tar := exec.CommandContext(ctx, "tar", "-x", "-C", dir)
	stream, err := archive.StdoutPipe()
	if err != nil {
		return err
	}
	tar.Stdin = stream
	if err := archive.Start(); err != nil {
		return err
	}
	if err := explain(tar.CombinedOutput()); err != nil {
		_ = archive.Wait() // it cannot say more than that nobody reads it
		return err
	}
	if err := archive.Wait(); err != nil {
		return fmt.Errorf("git archive %s: %w", commit, err)
	}
	return nil
}

func git(ctx context.Context, repository string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", arguments...)
	command.Dir = repository
	output, err := command.Output()
	return strings.TrimSpace(string(output)), err
}

// explain adds what a command said to its error.
func explain(output []byte, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(output)))
}
