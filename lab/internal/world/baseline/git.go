package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

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
		_ = archive.Wait() // it can only report that its reader has ended
		return err
	}
	if err := archive.Wait(); err != nil {
		return fmt.Errorf("git archive %s: %w", commit, err)
	}
	return nil
}

// writeOverlay writes the file that gives the go command the commit's files in the places of the
// working tree's that differ (go help build, -overlay). What the commit does not have is not there
// for it.
func (b *Baseline) writeOverlay(ctx context.Context, file string) error {
	// The checkout may be a folder of a larger repository; git ls-files names files as seen from there by itself.
	differ, err := git(ctx, b.site.Repository, "diff", "--name-only", "--relative", "--no-renames", "-z", b.Commit)
	if err != nil {
		return fmt.Errorf("git diff %s: %w", b.Commit, err)
	}
	untracked, err := git(ctx, b.site.Repository, "ls-files", "--others", "--exclude-standard", "-z")
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	replace := map[string]string{}
	for path := range strings.SplitSeq(differ+"\x00"+untracked, "\x00") {
		if path == "" {
			continue
		}
		there := filepath.Join(b.checkout(), path)
		if _, err := os.Lstat(there); err != nil {
			there = "" // deleted, as the go command says it
		}
		replace[filepath.Join(b.site.Repository, path)] = there
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
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
