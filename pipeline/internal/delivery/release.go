package delivery

import (
	"context"
	"fmt"

	"github.com/gridos/sharedinfra/pipeline/internal/overlay"
)

// Released is the result of a release.
type Released struct {
	// Commit is the one that was pushed, or "" if the branch had the image already.
	Commit string
	// Replaced is the image that the branch had before.
	Replaced overlay.Image
}

// OnTopOf explains the consequence of a release on top of a version that was aborted. A delivery
// reads only Git, which does not show whether it was.
func OnTopOf(there overlay.Image) string {
	return fmt.Sprintf("If the release of %[1]s was aborted, the new version is compared with the one that still serves, in all steps. "+
		"But a revert of the new one asks for %[1]s again, which is analysed, and aborted, again. "+
		"To avoid that, revert the commit of %[1]s before the next release. Git does not tell whether it was aborted.", there.Tag)
}

// Release commits a target's image to a branch and pushes it. When another push is faster, it
// starts again from the new state of the branch, and never merges. The error is a SupersededError
// if the branch has the image of a later commit.
func (d Delivery) Release(ctx context.Context, branch string, target Target) (Released, error) {
	return untilPushed(ctx, d, branch, func() (Released, error) {
		if err := d.Checkout.Fetch(ctx, d.Remote); err != nil {
			return Released{}, err
		}
		tip, err := d.Checkout.Tip(ctx, d.Remote, branch)
		if err != nil {
			return Released{}, err
		}
		if tip == "" {
			return Released{}, fmt.Errorf("there is no branch %s in %s; name another with --branch", branch, d.Remote)
		}
		there, err := d.imageAt(ctx, tip, target.Environment)
		if err != nil || there == target.Image {
			return Released{}, err
		}
		built, err := d.commitOf(ctx, target)
		if err != nil {
			return Released{}, err
		}
		if err := d.notSuperseded(ctx, target, built, there, "branch "+branch); err != nil {
			return Released{}, err
		}
		message := fmt.Sprintf("chore: update %s image to %s", target.Environment, target.Image.Tag)
		if d.Run != "" {
			message += "\n\nReleased-by: " + d.Run
		}
		commit, err := d.commit(ctx, tip, target, "", message)
		if err != nil {
			return Released{}, err
		}
		return Released{Commit: commit, Replaced: there}, d.Checkout.Push(ctx, d.Remote, commit, branch)
	})
}
