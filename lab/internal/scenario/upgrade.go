package scenario

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
)

const (
	manifestsFolder = "applications"
	serviceFolder   = "src"
)

// Folders are the folders of a checkout that the lab's Git server begins with.
func Folders() []string { return []string{manifestsFolder, serviceFolder} }

// Upgraded is how the manifests and the service of a checkout reached an environment.
type Upgraded struct {
	// Changed are the folders that differed from what Git had.
	Changed []string `json:"changed"`
	// Image is the image that was released, or "" if the service was the same.
	Image string `json:"image,omitempty"`
	// Weights are the shares of the requests that its canary had, in percent.
	Weights []int `json:"weights,omitempty"`
}

// Upgrade makes Git ask for the manifests and the service of a checkout, as merges and the pipeline
// do: the manifests are synced, and then a changed service is built and released. It returns when
// the application is synced and healthy, and gets all requests.
func (s *Stage) Upgrade(ctx context.Context, checkout string) (upgraded Upgraded, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s.begin("upgrade", "Git's new manifests and a new service are released, and get all requests")
	root, err := os.OpenRoot(checkout)
	if err != nil {
		return upgraded, err
	}
	defer root.Close()
	upgraded.Changed, err = s.work.Take(ctx, root.FS(), gitops.Speed, Folders()...)
	if err != nil {
		return upgraded, err
	}
	if len(upgraded.Changed) > 0 {
		commit, err := s.commit(ctx, "chore: the manifests and the service of the new version")
		if err != nil {
			return upgraded, err
		}
		if _, err := s.synced(ctx, commit); err != nil {
			return upgraded, err
		}
		if slices.Contains(upgraded.Changed, serviceFolder) {
			if err := s.releaseOf(ctx, commit, &upgraded); err != nil {
				return upgraded, err
			}
		}
	}
	return upgraded, s.settle(ctx)
}

// releaseOf builds the service of a commit that Git has, and releases it.
func (s *Stage) releaseOf(ctx context.Context, commit string, upgraded *Upgraded) error {
	b, err := s.publish(ctx, s.buildOf(commit))
	if err != nil {
		return err
	}
	c, _, err := s.deliver(ctx, b)
	if err != nil {
		return err
	}
	upgraded.Image, upgraded.Weights = b.Reference, c.Weights
	if !s.promoted(c.State) {
		return fmt.Errorf("%s was not promoted: %s", b.Tag, c.State.Rollout.Status.Message)
	}
	return nil
}
