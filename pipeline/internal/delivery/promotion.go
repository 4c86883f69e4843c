package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/pipeline/internal/checkout"
	"github.com/gridos/sharedinfra/pipeline/internal/github"
	"github.com/gridos/sharedinfra/pipeline/internal/overlay"
)

// source is the folder that the image is built from.
const source = "src"

// listed is how many commits the text of a pull request names.
const listed = 100

// Promoted is the result of a promotion.
type Promoted struct {
	// Already is true if the base branch has the image and the manifests: there was nothing to
	// promote.
	Already bool
	// PullRequest is the one that brings them, unless Already is true.
	PullRequest github.Result
}

// NotThereError says that the environment before the target does not run its image.
type NotThereError struct {
	Target Target
	// From is the environment before, Branch where its overlay is, and There the image that it has.
	From, Branch string
	There        overlay.Image
}

// Error says what the environment before runs, and what to do.
func (e *NotThereError) Error() string {
	return fmt.Sprintf("%s does not run %s: on branch %s its overlay has %s; promote that, or release the other in %s first. "+
		"Where it ran there before and is wanted all the same, say why with --although",
		e.From, tagIn(e.From, e.Target), e.Branch, e.There.Tag, e.From)
}

// OtherBytesError says that the environment before the target runs another image under the same
// release.
type OtherBytesError struct {
	Target Target
	// From is the environment before, and There the image that it has.
	From  string
	There overlay.Image
}

// Error names both digests.
func (e *OtherBytesError) Error() string {
	return fmt.Sprintf("%s is %s, and %s runs %s as %s: these are not the same bytes; copy the image again, "+
		"with pipeline image pull and push",
		e.Target.Image.Tag, e.Target.Image.Digest, e.From, e.There.Tag, e.There.Digest)
}

// TooSoonError says that the environment before the target has not run its image for long enough.
type TooSoonError struct {
	Target Target
	// From is the environment before, which has the image since the commit Set, at the moment Since.
	From, Set string
	Since     time.Time
	// Soak is how long it has to run there.
	Soak time.Duration
}

// Error says since when it runs there, and when it may be promoted.
func (e *TooSoonError) Error() string {
	return fmt.Sprintf("%s has %s since %s (commit %.7s), and it should run there for %s before it is promoted to %s: promote it "+
		"after %s, or, if it cannot wait, say why with --although",
		e.From, tagIn(e.From, e.Target), e.Since.UTC().Format(time.RFC3339), e.Set, e.Soak,
		e.Target.Environment, e.Since.Add(e.Soak).UTC().Format(time.RFC3339))
}

// Origin is the environment that a promotion takes from.
type Origin struct {
	Environment string
	// Branch is the one that has its overlay.
	Branch string
	// Although is the reason for promoting an image that the environment does not run, or not for
	// long enough; "" promotes no such image.
	Although string
	// Soak is how long the environment has to have had an image that is promoted. Git shows that,
	// but not whether the image was healthy.
	Soak time.Duration
}

// Promote proposes a target's image, which the environment from runs, and from's manifests, by a
// pull request against the branch base. The branch of the pull request, promote/<environment>, is
// the pipeline's own, and starts again from base when base has changed there. The error is a
// SupersededError if base, or the open pull request, has the image of a later commit, and a
// NotThereError if from has another image.
func (d Delivery) Promote(ctx context.Context, to *github.Client, from Origin, base string, target Target) (Promoted, error) {
	branch := "promote/" + target.Environment
	var already bool
	text, err := untilPushed(ctx, d, branch, func() (text string, err error) {
		if err := d.Checkout.Fetch(ctx, d.Remote); err != nil {
			return "", err
		}
		tip, err := d.Checkout.Tip(ctx, d.Remote, base)
		if err != nil {
			return "", err
		}
		if tip == "" {
			return "", fmt.Errorf("there is no branch %s in %s; name another with --base", base, d.Remote)
		}
		there, err := d.imageAt(ctx, tip, target.Environment)
		if err != nil {
			return "", err
		}
		manifests, err := d.Checkout.Differences(ctx,
			tip+":"+naming.Manifests(target.Environment), tip+":"+naming.Manifests(from.Environment))
		if err != nil {
			return "", fmt.Errorf("compare the manifests of %s and %s on branch %s: %w", from.Environment, target.Environment, base, err)
		}
		if already = there == target.Image && len(manifests) == 0; already {
			return "", nil
		}
		built, err := d.commitOf(ctx, target)
		if err != nil {
			return "", err
		}
		if err := d.notSuperseded(ctx, target, built, there, "branch "+base); err != nil {
			return "", err
		}
		if err := d.runs(ctx, from, target); err != nil {
			return "", err
		}
		if text, err = d.describe(ctx, from, target, built, there, manifests); err != nil {
			return "", err
		}
		return text, d.propose(ctx, to, branch, base, tip, from.Environment, target, built)
	})
	if err != nil || already {
		return Promoted{Already: already}, err
	}
	result, err := to.UpsertPullRequest(ctx, branch, base, title(from.Environment, target), text)
	return Promoted{PullRequest: result}, err
}

// Promotable returns a NotThereError if the environment before does not run the target's image, and
// a TooSoonError if it has not run it for long enough. Call it before copying anything.
func (d Delivery) Promotable(ctx context.Context, from Origin, target Target) error {
	if err := d.Checkout.Fetch(ctx, d.Remote); err != nil {
		return err
	}
	return d.runs(ctx, from, target)
}

// runs returns a NotThereError if the environment before does not run the target's image.
func (d Delivery) runs(ctx context.Context, from Origin, target Target) error {
	if from.Although != "" {
		return nil
	}
	tip, err := d.Checkout.Tip(ctx, d.Remote, from.Branch)
	if err != nil {
		return err
	}
	if tip == "" {
		return fmt.Errorf("there is no branch %s in %s, which should have the overlay of %s; name another with --from-branch",
			from.Branch, d.Remote, from.Environment)
	}
	there, err := d.imageAt(ctx, tip, from.Environment)
	if err == nil && there.Tag != tagIn(from.Environment, target) {
		err = &NotThereError{Target: target, From: from.Environment, Branch: from.Branch, There: there}
	}
	if err == nil && there.Digest != "" && target.Image.Digest != "" && there.Digest != target.Image.Digest {
		err = &OtherBytesError{Target: target, From: from.Environment, There: there}
	}
	if err == nil {
		err = d.soaked(ctx, from, tip, target, there)
	}
	return err
}

// soaked returns a TooSoonError if an environment has not had the image there for long enough,
// without a break.
func (d Delivery) soaked(ctx context.Context, from Origin, tip string, target Target, there overlay.Image) error {
	if from.Soak == 0 {
		return nil
	}
	versions, err := d.Checkout.Versions(ctx, tip, overlay.File(from.Environment))
	if err != nil {
		return err
	}
	var set checkout.Version
	for _, version := range versions {
		image, err := d.imageAt(ctx, version.SHA, from.Environment)
		if err != nil || image != there {
			break // before that it had another one, or none
		}
		set = version
	}
	if time.Since(set.When) < from.Soak {
		return &TooSoonError{Target: target, From: from.Environment, Set: set.SHA, Since: set.When, Soak: from.Soak}
	}
	return nil
}

// propose pushes the branch of the pull request. An open one that has the image and the manifests
// already keeps its commit, and with it its checks and reviews, unless base has changed the same
// files.
func (d Delivery) propose(ctx context.Context, to *github.Client, branch, base, tip, from string, target Target, built string) error {
	manifests := naming.Manifests(target.Environment)
	last, err := d.Checkout.Tip(ctx, d.Remote, branch)
	if err != nil {
		return err
	}
	if last != "" {
		open, err := to.OpenPullRequest(ctx, branch, base)
		if err != nil {
			return err
		}
		if open.Number != 0 {
			proposed, err := d.imageAt(ctx, last, target.Environment)
			if err != nil {
				return err
			}
			if err := d.notSuperseded(ctx, target, built, proposed, "the pull request "+open.URL); err != nil {
				return err
			}
			differ, err := d.Checkout.Differences(ctx, last+":"+manifests, tip+":"+naming.Manifests(from))
			if err != nil {
				return err
			}
			changed, err := d.Checkout.ChangedSince(ctx, tip, last, overlay.File(target.Environment), manifests)
			if err != nil || (proposed == target.Image && len(differ) == 0 && !changed) {
				return err
			}
		}
	}
	message := fmt.Sprintf("chore: update %s image to %s", target.Environment, target.Image.Tag)
	if d.Run != "" {
		message += "\n\nPromoted-by: " + d.Run
	}
	commit, err := d.commit(ctx, tip, target, naming.Manifests(from), message)
	if err != nil {
		return err
	}
	return d.Checkout.Replace(ctx, d.Remote, commit, branch, last)
}

func title(from string, target Target) string {
	return fmt.Sprintf("chore: promote %s to %s", tagIn(from, target), target.Environment)
}

// tagIn is the tag that a target's image has in the environment that it comes from.
func tagIn(from string, target Target) string {
	return from + strings.TrimPrefix(target.Image.Tag, target.Environment)
}

// describe returns the text of a pull request: the manifests that change, the commits that the
// target adds to the image there, and those that it removes.
func (d Delivery) describe(
	ctx context.Context, origin Origin, target Target, built string, there overlay.Image, manifests []string,
) (string, error) {
	from := origin.Environment
	var text strings.Builder
	line := func(format string, values ...any) { fmt.Fprintf(&text, format+"\n", values...) }
	line("Sets the image of %s to `%s`, which is the same as `%s` in %s.", target.Environment, target.Image, tagIn(from, target), from)
	line("Merging this lets Argo CD release it; `git revert` of the merge brings `%s` back.\n", there.Tag)
	line("> [!NOTE]\n> %s\n", OnTopOf(there))
	if origin.Although != "" {
		line("> [!WARNING]\n> %s need not run this image. It is promoted because: %s\n", from, verbatim(origin.Although))
	}
	if d.Run != "" {
		line("Asked for by %s.\n", d.Run)
	}
	line("### Manifests\n")
	if len(manifests) == 0 {
		line("%s has those of %s.\n", target.Environment, from)
	} else {
		line("Copied from `%s` to `%s`. These change:\n", naming.Manifests(from), naming.Manifests(target.Environment))
		for _, file := range manifests {
			line("- %s", verbatim(file))
		}
		line("")
	}
	_, abbreviated, _ := overlay.Release(there.Tag)
	before, err := d.Checkout.Find(ctx, abbreviated)
	if errors.Is(err, checkout.ErrUnknown) || abbreviated == "" {
		line("%s has `%s` now, which is of no commit of the repository: what is new cannot be told.", target.Environment, there.Tag)
		return text.String(), nil
	}
	if err != nil {
		return "", fmt.Errorf("%s has %s: %w", target.Environment, there.Tag, err)
	}
	added, err := d.Checkout.Since(ctx, before, built, source)
	if err != nil {
		return "", err
	}
	removed, err := d.Checkout.Since(ctx, built, before, source)
	if err != nil {
		return "", err
	}
	line("### New since `%s`\n", there.Tag)
	list(line, added, before, built)
	if len(removed) > 0 {
		line("\n### Not in it any more\n")
		list(line, removed, built, before)
	}
	return text.String(), nil
}

// list names commits that change the source. GitHub makes links of the hashes; the subjects, which
// people have written, are shown as code, so they mention no user and close no issue.
func list(line func(string, ...any), commits []checkout.Commit, from, to string) {
	if len(commits) == 0 {
		line("No commit changes `%s/`.", source)
	}
	for i, commit := range commits {
		if i == listed {
			line("\n%d more: `git log %.7s..%.7s -- %s`", len(commits)-listed, from, to, source)
			break
		}
		line("- %s %s", commit.SHA, verbatim(commit.Subject))
	}
}

// verbatim is a code span of a text, which may have backticks itself. Source: CommonMark, "Code
// spans".
func verbatim(text string) string {
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + " " + text + " " + fence
}
