package delivery

import (
	"context"
	"fmt"
)

// Released is what became of a release.
type Released struct {
	// Commit is the one that was pushed, or "" if the branch had the image already.
	Commit string
}

// Release commits a target's image to a branch and pushes it. When others push meanwhile, it starts again from what they have
// pushed, and never merges. The error is a SupersededError if the branch has the image of a later commit.
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
		commit, err := d.commit(ctx, tip, target, "", message)
		if err != nil {
			return Released{}, err
		}
		return Released{commit}, d.Checkout.Push(ctx, d.Remote, commit, branch)
	})
}
