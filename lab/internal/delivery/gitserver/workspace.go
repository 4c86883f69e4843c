package gitserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/delivery/pace"
)

// Workspace is a clone of the repository, for making commits. Files are named as in the repository,
// with slashes.
type Workspace struct {
	// Dir is the clone's folder.
	Dir string

	branch string
	git    git
	root   *os.Root
}

// Commit is a commit of the repository.
type Commit struct {
	SHA string
	At  time.Time
	// Author is the commit's author, as Name <address>.
	Author string
	// Subject is the first line of the message.
	Subject string
}

// Origin is a repository with the credentials for pushing to it.
type Origin struct {
	// URL is the address of the repository, and Branch is the branch to work on.
	URL, Branch string
	// User and Token are the credentials.
	User, Token string
}

// Origin returns the information about the server that Clone needs.
func (s *Server) Origin() Origin {
	return Origin{URL: s.URL(), Branch: s.options.Branch, User: User, Token: s.token}
}

// Clone clones a repository into the folder work of dir, which need not exist yet. The caller
// closes it.
func Clone(ctx context.Context, origin Origin, dir string) (*Workspace, error) {
	work := filepath.Join(dir, "work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of a clone: %w", err)
	}
	g, err := findGit(ctx, filepath.Join(dir, "home"))
	if err != nil {
		return nil, err
	}
	g = g.authorized(origin.User, origin.Token)
	if _, err := g.run(ctx, work, nil, "clone", "--quiet", "--template=", "--branch", origin.Branch, origin.URL, "."); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(work)
	if err != nil {
		return nil, fmt.Errorf("open the clone: %w", err)
	}
	return &Workspace{Dir: work, branch: origin.Branch, git: g, root: root}, nil
}

// Close releases the folder, which stays.
func (w *Workspace) Close() error { return w.root.Close() }

// SetImage does the pipeline's step for a release: `kustomize edit set image` in the folder of an
// overlay, such as applications/gridos/overlays/dev. The image is written name=newName:newTag;
// kustomize is the path of the binary.
func (w *Workspace) SetImage(ctx context.Context, kustomize, overlay, image string) error {
	if _, err := w.root.Stat(path.Join(overlay, "kustomization.yaml")); err != nil {
		return fmt.Errorf("%s is no overlay: %w", overlay, err)
	}
	command := exec.CommandContext(ctx, kustomize, "edit", "set", "image", image)
	command.Dir = filepath.Join(w.Dir, filepath.FromSlash(overlay))
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kustomize edit set image %s in %s: %w: %s", image, overlay, err, strings.TrimSpace(string(output)))
	}
	return nil
}

// ReadFile returns the content of a file.
func (w *Workspace) ReadFile(name string) ([]byte, error) {
	content, err := w.root.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read a file of the clone: %w", err)
	}
	return content, nil
}

// WriteFile writes a file, and its folders if they are missing.
func (w *Workspace) WriteFile(name string, content []byte) error {
	if err := w.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write a file of the clone: %w", err)
	}
	if err := w.root.WriteFile(name, content, 0o644); err != nil {
		return fmt.Errorf("write a file of the clone: %w", err)
	}
	return nil
}

// Replace changes a text that is in a file exactly once.
func (w *Workspace) Replace(name, old, replacement string) error {
	content, err := w.ReadFile(name)
	if err != nil {
		return err
	}
	if n := bytes.Count(content, []byte(old)); n != 1 {
		return fmt.Errorf("%s has %q %d times; it must be there once to be replaced", name, old, n)
	}
	return w.WriteFile(name, bytes.Replace(content, []byte(old), []byte(replacement), 1))
}

// Remove removes a file, or a folder with its content.
func (w *Workspace) Remove(name string) error {
	if _, err := w.root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s in the clone to remove", name)
	}
	if err := w.root.RemoveAll(name); err != nil {
		return fmt.Errorf("remove from the clone: %w", err)
	}
	return nil
}

// Take gives the clone the content that the named folders of a checkout have, without committing
// it. Waits of releases are shortened, as in Seed. It returns those of the folders that
// differ from the clone's commit.
func (w *Workspace) Take(ctx context.Context, checkout fs.FS, speed pace.Speed, folders ...string) (changed []string, err error) {
	for _, folder := range folders {
		if err := w.root.RemoveAll(folder); err != nil {
			return nil, fmt.Errorf("remove from the clone: %w", err)
		}
	}
	err = eachScaled(checkout, speed, folders, func(name string, content []byte, executable bool) error {
		if err := w.WriteFile(name, content); err != nil || !executable {
			return err
		}
		return w.root.Chmod(name, 0o755)
	})
	if err != nil {
		return nil, fmt.Errorf("take the files of a checkout: %w", err)
	}
	for _, folder := range folders {
		status, err := w.git.run(ctx, w.Dir, nil, "status", "--porcelain", "--", folder)
		if err != nil {
			return nil, err
		}
		if status != "" {
			changed = append(changed, folder)
		}
	}
	return changed, nil
}

// Commit commits all changes, and returns the commit. It is an error if there are none.
func (w *Workspace) Commit(ctx context.Context, message string) (string, error) {
	if _, err := w.git.run(ctx, w.Dir, nil, "add", "--all"); err != nil {
		return "", err
	}
	changed, err := w.git.run(ctx, w.Dir, nil, "diff", "--cached", "--name-only")
	if err != nil {
		return "", err
	}
	if changed == "" {
		return "", fmt.Errorf("nothing in %s was changed that could be committed as %q", w.Dir, message)
	}
	if _, err := w.git.run(ctx, w.Dir, nil, "commit", "--quiet", "--message", message); err != nil {
		return "", err
	}
	return w.Head(ctx)
}

// Head returns the commit of the clone.
func (w *Workspace) Head(ctx context.Context) (string, error) {
	return w.git.run(ctx, w.Dir, nil, "rev-parse", "HEAD")
}

// Push sends the commits to the server.
func (w *Workspace) Push(ctx context.Context) error {
	_, err := w.git.run(ctx, w.Dir, nil, "push", "--quiet", "origin", "HEAD:refs/heads/"+w.branch)
	return err
}

// Revert commits the opposite of a commit, and returns the new one. A conflict is an error, and
// leaves the clone unchanged.
func (w *Workspace) Revert(ctx context.Context, commit string) (string, error) {
	if _, err := w.git.run(ctx, w.Dir, nil, "revert", "--no-edit", commit); err != nil {
		_, undone := w.git.run(context.WithoutCancel(ctx), w.Dir, nil, "revert", "--abort")
		return "", errors.Join(err, undone)
	}
	return w.Head(ctx)
}

// Log lists the commits that lead to the clone's commit, the newest first.
func (w *Workspace) Log(ctx context.Context) ([]Commit, error) {
	listed, err := w.git.run(ctx, w.Dir, nil, "log", "--format=%H%x00%cI%x00%an <%ae>%x00%s")
	if err != nil {
		return nil, err
	}
	var commits []Commit
	for line := range strings.Lines(listed) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), "\x00", 4)
		if len(parts) != 4 {
			return nil, fmt.Errorf("git log in %s prints %q", w.Dir, line)
		}
		at, err := time.Parse(time.RFC3339, parts[1])
		if err != nil {
			return nil, fmt.Errorf("time of the commit %s: %w", parts[0], err)
		}
		commits = append(commits, Commit{SHA: parts[0], At: at, Author: parts[2], Subject: parts[3]})
	}
	return commits, nil
}

// Restore restores the content that a folder of the clone had at a commit, without committing it.
// changed reports whether it differs from the clone's commit.
func (w *Workspace) Restore(ctx context.Context, commit, folder string) (changed bool, err error) {
	if _, err := w.git.run(ctx, w.Dir, nil, "restore", "--source", commit, "--staged", "--worktree", "--", folder); err != nil {
		return false, err
	}
	status, err := w.git.run(ctx, w.Dir, nil, "status", "--porcelain", "--", folder)
	return status != "", err
}
