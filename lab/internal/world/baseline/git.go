package baseline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/internal/gitsays"
)

// Extract writes the files of a commit into a directory, without changing Git's own files.
func Extract(ctx context.Context, repository, commit, dir string) error {
	archive := command(ctx, repository, "archive", "--format=tar", commit)
	var said strings.Builder
	archive.Stderr = &said
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
		return fmt.Errorf("git archive %s: %w: %s", commit, err, strings.TrimSpace(said.String()))
	}
	return nil
}

// writeOverlay writes the file that gives the go command the commit's files at the paths of the
// working tree's files that differ (go help build, -overlay). Files that the commit does not have
// are missing for it.
func (b *Baseline) writeOverlay(ctx context.Context, file string) error {
	// The checkout may be a folder of a larger repository; git ls-files by default names files
	// relative to that folder.
	differ, err := git(ctx, b.site.Repository, "diff", "--name-only", "--relative", "--no-renames", "-z", b.Commit)
	if err != nil {
		return err
	}
	untracked, err := git(ctx, b.site.Repository, "ls-files", "--others", "--exclude-standard", "-z")
	if err != nil {
		return err
	}
	replace := map[string]string{}
	for path := range strings.SplitSeq(differ+"\x00"+untracked, "\x00") {
		if path == "" {
			continue
		}
		there := filepath.Join(b.Checkout(), path)
		if _, err := os.Lstat(there); err != nil {
			there = "" // deleted, in the go command's form
		}
		replace[filepath.Join(b.site.Repository, path)] = there
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// digest returns a digest of the files in a folder of the checkout as they are now, without those
// that Git ignores.
func digest(ctx context.Context, repository, folder string) (string, error) {
	list, err := git(ctx, repository, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", folder)
	if err != nil {
		return "", err
	}
	hash := sha256.New() // writing to a hash never fails
	for _, path := range slices.Sorted(strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00")) {
		content, err := os.ReadFile(filepath.Join(repository, path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted, and not committed yet
			return "", err
		}
		fmt.Fprintf(hash, "%q %d\n%s\n", path, len(content), content)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func git(ctx context.Context, repository string, arguments ...string) (string, error) {
	output, err := command(ctx, repository, arguments...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("git %s: %w: %s", arguments[0], err, bytes.TrimSpace(failed.Stderr))
	}
	return strings.TrimSuffix(string(output), "\n"), err
}

// readable returns why Git does not show the history of the checkout, or nil.
func readable(ctx context.Context, repository string) error {
	if _, err := exec.LookPath("git"); err != nil {
		return fmt.Errorf("there is no git on PATH (%w); install git", err)
	}
	_, err := command(ctx, repository, "rev-parse", "--git-dir").Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return gitsays.Explain(repository, string(failed.Stderr), err)
	}
	return err
}

// local are the variables that point Git to a repository, for example in a hook that starts the
// lab, or that replace its configuration: the output of git rev-parse --local-env-vars (Git 2.39).
var local = []string{
	"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_OBJECT_DIRECTORY", "GIT_DIR",
	"GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE",
	"GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR",
}

// command runs git in a checkout, in whatever repository that is. The user's configuration applies:
// it says which repositories of other owners Git may read.
func command(ctx context.Context, checkout string, arguments ...string) *exec.Cmd {
	git := exec.CommandContext(ctx, "git", arguments...)
	git.Dir = checkout
	git.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(local, name)
	})
	git.Env = append(git.Env, "LC_ALL=C")
	return git
}

// explain adds the output of a command to its error.
func explain(output []byte, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(output)))
}
