package checkout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Worktree is a second working tree of a checkout, in a folder of its own that is removed in the
// end.
type Worktree struct {
	// Dir is its folder.
	Dir string

	checkout *Checkout
	scratch  string
}

// Worktree makes one that is at a commit. The caller closes it.
func (c *Checkout) Worktree(ctx context.Context, commit string) (*Worktree, error) {
	scratch, err := os.MkdirTemp("", "gridos-pipeline-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for a working tree: %w", err)
	}
	w := &Worktree{Dir: filepath.Join(scratch, "tree"), checkout: c, scratch: scratch}
	if _, err := c.git(ctx, c.Root, "worktree", "add", "--quiet", "--detach", w.Dir, commit); err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	return w, nil
}

// Close removes the working tree, even when ctx has ended. What was committed in it stays in the
// repository.
func (w *Worktree) Close(ctx context.Context) error {
	_, err := w.checkout.git(context.WithoutCancel(ctx), w.checkout.Root, "worktree", "remove", "--force", w.Dir)
	return errors.Join(err, os.RemoveAll(w.scratch))
}

// CopyFolder replaces the content of the folder to by that of the folder from. Their names have
// slashes and begin at the root.
func (w *Worktree) CopyFolder(from, to string) error {
	source, target := filepath.Join(w.Dir, filepath.FromSlash(from)), filepath.Join(w.Dir, filepath.FromSlash(to))
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	return os.CopyFS(target, os.DirFS(source))
}

// Commit commits what has changed in the paths, files and folders, and returns the commit.
func (w *Worktree) Commit(ctx context.Context, message string, paths ...string) (string, error) {
	if _, err := w.checkout.git(ctx, w.Dir, append([]string{"add", "--all", "--"}, paths...)...); err != nil {
		return "", err
	}
	if _, err := w.checkout.git(ctx, w.Dir, "commit", "--quiet", "--message", message); err != nil {
		return "", err
	}
	return w.checkout.git(ctx, w.Dir, "rev-parse", "HEAD")
}
