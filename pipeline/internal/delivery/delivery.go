// Package delivery writes an image, and the manifests with which it was tested, into the folders of
// an environment, where Argo CD finds them: by a commit, or by a pull request.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/pipeline/internal/checkout"
	"github.com/gridos/sharedinfra/pipeline/internal/overlay"
)

// tries is how often a push is tried, each time from the current state of the branch. With the
// waits between them that is most of a minute.
const tries = 8

// Delivery is what all ways of bringing an image into an overlay need.
type Delivery struct {
	Checkout *checkout.Checkout
	// Remote is the checkout's name of the repository that is pushed to.
	Remote string
	// SetImage sets the image in the overlay in a folder, as overlay.Kustomize does.
	SetImage func(ctx context.Context, dir string, image overlay.Image) error
	// Run says who asked, and in which run, such as "someone in https://github.com/…/actions/runs/1";
	// "" outside of a workflow.
	Run string
	// Log gets a line for each step.
	Log io.Writer
	// Wait says how long to wait after a push that came too late; nil is for longer and longer, up to
	// 15 seconds.
	Wait backoff.BackOff
}

// Target is an image, and the environment that is to run it.
type Target struct {
	Environment string
	Image       overlay.Image
}

// SupersededError is a target that would take an environment back to an older commit.
type SupersededError struct {
	Target Target
	// There is the image that the overlay has, and Where says which overlay that is.
	There overlay.Image
	Where string
}

// Error names the image that is there, and says how to go back on purpose.
func (e *SupersededError) Error() string {
	return fmt.Sprintf("%s is older than %s, which %s has and whose commit comes after it: nothing was changed; to go back, "+
		"git revert the commit that set the newer one", e.Target.Image.Tag, e.There.Tag, e.Where)
}

// commitOf returns the commit that a target's image was built from.
func (d Delivery) commitOf(ctx context.Context, target Target) (string, error) {
	_, abbreviated, ok := overlay.Release(target.Image.Tag)
	if !ok {
		return "", fmt.Errorf("the tag %q does not name a commit; it should be %s- and seven digits of the commit's hash",
			target.Image.Tag, target.Environment)
	}
	commit, err := d.Checkout.Find(ctx, abbreviated)
	if err != nil {
		return "", fmt.Errorf("the tag %s cannot be placed in the history of %s; fetch the branch that it was built from: %w",
			target.Image.Tag, d.Remote, err)
	}
	return commit, nil
}

// notSuperseded returns a SupersededError if there, the image that an overlay has, was built from a
// later commit than the target's. An image whose commit is unknown, such as that of an environment
// without a release, cannot be later.
func (d Delivery) notSuperseded(ctx context.Context, target Target, commit string, there overlay.Image, where string) error {
	_, abbreviated, ok := overlay.Release(there.Tag)
	if !ok {
		return nil
	}
	other, err := d.Checkout.Find(ctx, abbreviated)
	if errors.Is(err, checkout.ErrUnknown) {
		return d.tell("%s has %s, which is of no commit of the repository.", where, there.Tag)
	}
	if err != nil {
		return fmt.Errorf("%s has %s: %w", where, there.Tag, err)
	}
	if other == commit {
		return nil
	}
	later, err := d.Checkout.Contains(ctx, other, commit)
	if err == nil && later {
		err = &SupersededError{Target: target, There: there, Where: where}
	}
	return err
}

// imageAt returns the image that an environment's overlay has in a commit.
func (d Delivery) imageAt(ctx context.Context, commit, environment string) (overlay.Image, error) {
	file := overlay.File(environment)
	content, err := d.Checkout.File(ctx, commit, file)
	if err != nil {
		return overlay.Image{}, fmt.Errorf("the overlay of %s cannot be read; see that %s is on the branch: %w", environment, file, err)
	}
	image, err := overlay.Parse(content)
	if err != nil {
		return overlay.Image{}, fmt.Errorf("%s in %s: %w", file, commit, err)
	}
	return image, nil
}

// commit sets the image on top of a commit, and returns the new one. The target's environment gets
// the manifests in the folder manifests as well; "" is for those that it has.
func (d Delivery) commit(ctx context.Context, base string, target Target, manifests, message string) (commit string, err error) {
	tree, err := d.Checkout.Worktree(ctx, base)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, tree.Close(ctx)) }()
	if err := d.SetImage(ctx, filepath.Join(tree.Dir, filepath.FromSlash(naming.Overlay(target.Environment))), target.Image); err != nil {
		return "", err
	}
	file := overlay.File(target.Environment)
	content, err := os.ReadFile(filepath.Join(tree.Dir, filepath.FromSlash(file)))
	if err != nil {
		return "", err
	}
	if set, err := overlay.Parse(content); err != nil || set != target.Image {
		return "", errors.Join(fmt.Errorf("kustomize has set the image in %s to %s and not to %s; see whether it is a version that the "+
			"repository works with (tools/kubernetes/go.mod)", file, set, target.Image), err)
	}
	paths := []string{file}
	if manifests != "" {
		folder := naming.Manifests(target.Environment)
		if err := tree.CopyFolder(manifests, folder); err != nil {
			return "", fmt.Errorf("copy %s to %s: %w", manifests, folder, err)
		}
		paths = append(paths, folder)
	}
	return tree.Commit(ctx, message, paths...)
}

// untilPushed repeats an attempt that ends with a push as long as other pushes are faster, each
// time from the new state of the branch.
func untilPushed[T any](ctx context.Context, d Delivery, branch string, attempt func() (T, error)) (T, error) {
	wait := d.Wait
	if wait == nil {
		exponential := backoff.NewExponentialBackOff()
		exponential.Multiplier, exponential.MaxInterval = 2, 15*time.Second
		wait = exponential
	}
	var unheard error // log lines that could not be written
	made := 0
	result, err := backoff.Retry(ctx, func() (T, error) {
		made++
		result, err := attempt()
		if rejected := (*checkout.RejectedError)(nil); err != nil && !errors.As(err, &rejected) {
			err = backoff.Permanent(err)
		}
		return result, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(tries), backoff.WithNotify(func(err error, _ time.Duration) {
		unheard = errors.Join(unheard, d.tell("Try %d of %d: %v. Starting again from there.", made, tries, err))
	}))
	if rejected := (*checkout.RejectedError)(nil); errors.As(err, &rejected) && ctx.Err() == nil {
		err = fmt.Errorf("branch %s of %s could not be pushed to in %d tries, because others pushed each time; run this again when it is "+
			"quieter there: %w", branch, d.Remote, made, err)
	}
	return result, errors.Join(err, unheard)
}

func (d Delivery) tell(format string, values ...any) error {
	_, err := fmt.Fprintf(d.Log, format+"\n", values...)
	return err
}
