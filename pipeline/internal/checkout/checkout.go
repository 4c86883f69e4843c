// Package checkout works on the Git repository that a command was started in: it fetches, commits
// and pushes, and leaves the working tree, the index and the branches of the user who started the
// command as they are.
package checkout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gridos/sharedinfra/internal/gitsays"
)

// Checkout is a clone in which a user or a workflow works.
type Checkout struct {
	// Root is the folder of its working tree.
	Root string

	environment []string
}

// Who commits when neither the configuration nor the environment says it, as in a workflow:
// GitHub's own account for that. Source: github.com/actions/checkout, README, "Push a commit using
// the built-in token".
const (
	botName  = "github-actions[bot]"
	botEmail = "41898282+github-actions[bot]@users.noreply.github.com"
)

// Open finds the checkout that the folder dir is in.
func Open(ctx context.Context, dir string) (*Checkout, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, fmt.Errorf("there is no git on PATH (%w); install git", err)
	}
	c := &Checkout{Root: dir, environment: append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")}
	root, err := c.git(ctx, dir, "rev-parse", "--show-toplevel")
	if refused := (*refusedError)(nil); errors.As(err, &refused) {
		return nil, gitsays.Explain(dir, refused.said, refused.error)
	}
	c.Root = root
	// Git makes up a name from the machine's otherwise, or refuses.
	if _, err := c.git(ctx, root, "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT"); err != nil {
		c.environment = append(c.environment,
			"GIT_AUTHOR_NAME="+botName, "GIT_AUTHOR_EMAIL="+botEmail, "GIT_COMMITTER_NAME="+botName, "GIT_COMMITTER_EMAIL="+botEmail)
	}
	return c, nil
}

// git returns what a command prints, without the line break at its end.
func (c *Checkout) git(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir, command.Env = dir, c.environment
	// Git deletes its lock files when it is asked to end, but not when it is killed.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	var output, problem bytes.Buffer
	command.Stdout, command.Stderr = &output, &problem
	err := command.Run()
	text := strings.TrimSuffix(output.String(), "\n")
	if err != nil {
		said := strings.TrimSpace(problem.String())
		if said == "" {
			said = strings.TrimSpace(text)
		}
		return text, &refusedError{fmt.Errorf("git %s: %w", strings.Join(args, " "), err), said}
	}
	return text, nil
}

// refusedError is a command that Git did not carry out, with what it said.
type refusedError struct {
	error
	said string
}

// Error names the command, and quotes Git.
func (e *refusedError) Error() string { return e.error.Error() + ": " + e.said }

// Unwrap gives access to the command's exit code.
func (e *refusedError) Unwrap() error { return e.error }

// Head returns the commit that is checked out, and the files of its that are changed in the working
// tree.
func (c *Checkout) Head(ctx context.Context) (commit string, changed []string, err error) {
	commit, err = c.git(ctx, c.Root, "rev-parse", "--verify", "HEAD^{commit}")
	if err != nil {
		return "", nil, err
	}
	listed, err := c.git(ctx, c.Root, "diff", "--name-only", "-z", "HEAD")
	return commit, strings.FieldsFunc(listed, func(r rune) bool { return r == 0 }), err
}

// Start returns the commit that HEAD has in common with a branch, tag or commit: what HEAD changes,
// it changes compared with that.
func (c *Checkout) Start(ctx context.Context, revision string) (string, error) {
	if _, err := c.git(ctx, c.Root, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}"); err != nil {
		return "", fmt.Errorf("%q is no branch, tag or commit here; fetch it, or name another: %w", revision, err)
	}
	start, err := c.git(ctx, c.Root, "merge-base", "--end-of-options", revision, "HEAD")
	if err != nil {
		return "", fmt.Errorf("HEAD and %q have no commit in common here; fetch their whole history: %w", revision, err)
	}
	return start, nil
}

// Fetch fetches all branches of a remote, with their whole history: a part of it does not show
// whether a commit comes before another.
func (c *Checkout) Fetch(ctx context.Context, remote string) error {
	if _, err := c.git(ctx, c.Root, "remote", "get-url", "--", remote); err != nil {
		return fmt.Errorf("the checkout has no remote %q; name one that git remote lists: %w", remote, err)
	}
	args := []string{"fetch", "--quiet", "--no-tags", "--prune"}
	shallow, err := c.git(ctx, c.Root, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return err
	}
	if shallow == "true" {
		args = append(args, "--unshallow")
	}
	_, err = c.git(ctx, c.Root, append(args, "--", remote, "+refs/heads/*:refs/remotes/"+remote+"/*")...)
	return err
}

// Tip returns the commit that a branch of a remote had when it was fetched, or "" if there was no
// such branch.
func (c *Checkout) Tip(ctx context.Context, remote, branch string) (string, error) {
	return c.git(ctx, c.Root, "for-each-ref", "--format=%(objectname)", "refs/remotes/"+remote+"/"+branch)
}

// ErrUnknown says that the repository does not have a commit.
var ErrUnknown = errors.New("it is no commit of the repository")

// Find returns the commit whose hash begins with seven or more hexadecimal digits. A branch or tag
// of that name is not meant. The error is ErrUnknown if there is none.
func (c *Checkout) Find(ctx context.Context, abbreviated string) (string, error) {
	listed, err := c.git(ctx, c.Root, "rev-parse", "--disambiguate="+abbreviated)
	if err != nil {
		return "", err
	}
	var commits []string
	for _, object := range strings.Fields(listed) {
		kind, err := c.git(ctx, c.Root, "cat-file", "-t", object)
		if err != nil {
			return "", err
		}
		if kind == "commit" {
			commits = append(commits, object)
		}
	}
	switch len(commits) {
	case 0:
		return "", fmt.Errorf("%s: %w", abbreviated, ErrUnknown)
	case 1:
		return commits[0], nil
	default:
		return "", fmt.Errorf("%s is ambiguous: it begins %s; write more digits", abbreviated, strings.Join(commits, " and "))
	}
}

// Contains reports whether a commit is in the history of another, or is that other.
func (c *Checkout) Contains(ctx context.Context, history, commit string) (bool, error) {
	_, err := c.git(ctx, c.Root, "merge-base", "--is-ancestor", commit, history)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}

// Commit is one of the repository.
type Commit struct {
	SHA string
	// Subject is the first line of the message.
	Subject string
}

// Since lists the commits, without merges, that are in the history of to and not in that of from,
// the newest first: those that change one of the paths, or all if there are none.
func (c *Checkout) Since(ctx context.Context, from, to string, paths ...string) ([]Commit, error) {
	args := []string{"log", "--no-merges", "--format=%H %s", from + ".." + to, "--"}
	listed, err := c.git(ctx, c.Root, append(args, paths...)...)
	if err != nil {
		return nil, err
	}
	var commits []Commit
	for line := range strings.Lines(listed) {
		sha, subject, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		commits = append(commits, Commit{sha, subject})
	}
	return commits, nil
}

// Version is a commit of a branch that changes a file.
type Version struct {
	SHA string
	// When it came onto the branch, says who committed it: for the merge of a pull request that is
	// GitHub.
	When time.Time
}

// Versions lists the commits that change a file, the newest first, along the branch that ends with
// a commit: a change that came by a merge counts as the merge's.
func (c *Checkout) Versions(ctx context.Context, branch, name string) ([]Version, error) {
	listed, err := c.git(ctx, c.Root, "log", "--first-parent", "--diff-merges=first-parent", "--format=%H %ct", branch, "--", name)
	if err != nil {
		return nil, err
	}
	var versions []Version
	for line := range strings.Lines(listed) {
		sha, seconds, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		at, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the date of commit %s: %w", sha, err)
		}
		versions = append(versions, Version{sha, time.Unix(at, 0)})
	}
	return versions, nil
}

// File returns what a file has in a commit. Its name has slashes and begins at the root.
func (c *Checkout) File(ctx context.Context, commit, name string) ([]byte, error) {
	content, err := c.git(ctx, c.Root, "show", commit+":"+name)
	if err != nil {
		return nil, err
	}
	return []byte(content + "\n"), nil
}

// Differences lists the files that differ between two folders, relative to them. Each is a commit,
// a colon and the folder's name, which has slashes and begins at the root.
func (c *Checkout) Differences(ctx context.Context, one, other string) ([]string, error) {
	listed, err := c.git(ctx, c.Root, "diff-tree", "-r", "-z", "--name-only", one, other)
	return strings.FieldsFunc(listed, func(r rune) bool { return r == 0 }), err
}

// ChangedSince reports whether a file or folder was changed on a branch since another was made from
// it.
func (c *Checkout) ChangedSince(ctx context.Context, branch, made string, names ...string) (bool, error) {
	changed, err := c.git(ctx, c.Root, append([]string{"diff", "--name-only", made + "..." + branch, "--"}, names...)...)
	return changed != "", err
}

// RejectedError says that a push came too late: another one to the branch was faster, or is still
// running.
type RejectedError struct {
	Remote, Branch string
	// Reason is Git's word for it, such as "[rejected] (fetch first)".
	Reason string
}

// Error names the branch and says why.
func (e *RejectedError) Error() string {
	return fmt.Sprintf("branch %s of %s has changed meanwhile: %s", e.Branch, e.Remote, e.Reason)
}

// Push moves a branch of a remote to a commit. The error is a RejectedError if the branch has
// changed since the commit was made from it.
func (c *Checkout) Push(ctx context.Context, remote, commit, branch string) error {
	return c.push(ctx, remote, commit, branch)
}

// Replace moves a branch of a remote to a commit, even one that was not made from it. The error is
// a RejectedError if the branch is not at the commit expected; "" stands for a branch that does not
// exist.
func (c *Checkout) Replace(ctx context.Context, remote, commit, branch, expected string) error {
	return c.push(ctx, remote, commit, branch, "--force-with-lease=refs/heads/"+branch+":"+expected)
}

func (c *Checkout) push(ctx context.Context, remote, commit, branch string, options ...string) error {
	args := append([]string{"push", "--porcelain"}, options...)
	output, err := c.git(ctx, c.Root, append(args, "--", remote, commit+":refs/heads/"+branch)...)
	if err == nil {
		return nil
	}
	// A line for each branch: a flag, from and to, and the result, with tabs between them. Source:
	// git-push(1), "OUTPUT".
	for line := range strings.Lines(output) {
		parts := strings.Split(strings.TrimSpace(line), "\t")
		if len(parts) == 3 && parts[0] == "!" && cameTooLate(parts[2]) {
			return &RejectedError{Remote: remote, Branch: branch, Reason: parts[2]}
		}
	}
	if output != "" {
		err = fmt.Errorf("%w\n%s", err, output)
	}
	return fmt.Errorf("branch %s of %s cannot be pushed to; see whether its protection lets the user that runs this push: %w",
		branch, remote, err)
}

// cameTooLate distinguishes pushes that lost to a faster one from those that a hook or a protected
// branch refuses.
func cameTooLate(summary string) bool {
	if strings.HasPrefix(summary, "[rejected]") {
		return true
	}
	// Two pushes at the same moment: the server found the branch as expected, but it had changed
	// when the server wrote it.
	for _, race := range []string{"cannot lock ref", "failed to update ref", "incorrect old value", "reference already exists"} {
		if strings.HasPrefix(summary, "[remote rejected]") && strings.Contains(summary, race) {
			return true
		}
	}
	return false
}
