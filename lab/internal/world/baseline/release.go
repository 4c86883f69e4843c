package baseline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Changelog is the file, in the root of a checkout, that names the releases.
const Changelog = "CHANGELOG.md"

// Release is a commit of the checkout's history that environments may run.
type Release struct {
	// Name is its version, or what a person called it. Commit is the full hash.
	Name, Commit string
}

// String is the release for people.
func (r Release) String() string {
	if strings.HasPrefix(r.Commit, r.Name) {
		return r.Commit[:7]
	}
	return fmt.Sprintf("%s (%.7s)", r.Name, r.Commit)
}

// MissingError says that a checkout does not have the history that a release is in, such as a
// shallow clone.
type MissingError struct{ Release Release }

// Error implements error.
func (e MissingError) Error() string {
	return fmt.Sprintf("this checkout does not have %s; in a shallow clone, run git fetch --unshallow first, or name another commit",
		e.Release)
}

// Named returns the release that a ref names.
func Named(ctx context.Context, repository, ref string) (Release, error) {
	if err := readable(ctx, repository); err != nil {
		return Release{}, err
	}
	commit, err := git(ctx, repository, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return Release{}, fmt.Errorf("there is no commit %q in this checkout; fetch it, or name another", ref)
	}
	return Release{Name: ref, Commit: commit}, nil
}

var (
	// releaseHeading is the heading of a release (keepachangelog.com, 1.1.0), and releaseLink the
	// line that says what the version in the heading links to.
	releaseHeading = regexp.MustCompile(`(?m)^## \[([^\]]+)\] - \d{4}-\d{2}-\d{2}$`)
	releaseLink    = regexp.MustCompile(`(?m)^\[([^\]]+)\]: \S+/commit/([0-9a-f]{40})$`)
)

// LastRelease returns the release before the checkout's commit: the newest tag v* in its history,
// or, where no tag is, the newest release in the changelog with the commit to which its heading
// links. The error is a MissingError if the history does not have that commit.
func LastRelease(ctx context.Context, repository string) (Release, error) {
	if err := readable(ctx, repository); err != nil {
		return Release{}, err
	}
	// A tag on the checkout's own commit is no earlier release. "-" puts v1.0.0-rc.1 before v1.0.0.
	tags, err := git(ctx, repository, "-c", "versionsort.suffix=-", "tag",
		"--list", "v*", "--merged", "HEAD", "--no-contains", "HEAD", "--sort=-version:refname")
	if err != nil {
		return Release{}, err
	}
	if newest, _, _ := strings.Cut(tags, "\n"); newest != "" {
		return Named(ctx, repository, newest)
	}
	text, err := os.ReadFile(filepath.Join(repository, Changelog))
	if err != nil {
		return Release{}, err
	}
	release, err := released(string(text))
	if err != nil {
		return Release{}, err
	}
	if _, err := git(ctx, repository, "cat-file", "-e", release.Commit+"^{commit}"); err != nil {
		return release, errors.Join(MissingError{release}, ctx.Err())
	}
	return release, nil
}

// released returns the newest release in the text of a changelog.
func released(text string) (Release, error) {
	heading := releaseHeading.FindStringSubmatch(text)
	if heading == nil {
		return Release{}, fmt.Errorf("%s has no release: no heading is like ## [1.0.0] - 2006-01-02", Changelog)
	}
	for _, link := range releaseLink.FindAllStringSubmatch(text, -1) {
		if link[1] == heading[1] {
			return Release{Name: heading[1], Commit: link[2]}, nil
		}
	}
	return Release{}, fmt.Errorf("%[1]s does not say which commit %[2]s is; add a line [%[2]s]: https://…/commit/<hash> at its end",
		Changelog, heading[1])
}
