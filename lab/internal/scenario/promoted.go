package scenario

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
)

// basePromotion changes the base and promotes the change from environment to environment, by
// copying the folder as `pipeline promote` does. Each step may change one environment only.
func basePromotion(ctx context.Context, s *Stage) (string, error) {
	environments := naming.Environments()
	before, err := s.rendered(ctx)
	if err != nil {
		return "", err
	}
	// The change does not affect the pods, so there is no canary to wait for.
	const old, replacement = "revisionHistoryLimit: 5", "revisionHistoryLimit: 6"
	if err := s.work.Replace(path.Join(naming.Manifests(environments[0]), "rollout.yaml"), old, replacement); err != nil {
		return "", err
	}
	for i, environment := range environments {
		message := "feat: keep one more revision"
		if i > 0 {
			message = "chore: promote the manifests to " + environment
			if err := s.copyManifests(environments[i-1], environment); err != nil {
				return "", err
			}
		}
		if _, err := s.commit(ctx, message); err != nil {
			return "", err
		}
		after, err := s.rendered(ctx)
		if err != nil {
			return "", err
		}
		for _, other := range environments {
			if changed := before[other] != after[other]; changed != (other == environment) {
				return "", fmt.Errorf("the commit %q was for %s; that %s renders differently is %t", message, environment, other, changed)
			}
		}
		before = after
		if environment == s.options.Environment {
			if err := s.keepsRevisions(ctx, 6); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("one commit each changed %s; %s is live with it", strings.Join(environments, ", then "), s.options.Environment), nil
}

// copyManifests copies the manifests of one environment to another.
func (s *Stage) copyManifests(from, to string) error {
	target := filepath.Join(s.work.Dir, filepath.FromSlash(naming.Manifests(to)))
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	return os.CopyFS(target, os.DirFS(filepath.Join(s.work.Dir, filepath.FromSlash(naming.Manifests(from)))))
}

// keepsRevisions waits until the live Rollout keeps that many revisions.
func (s *Stage) keepsRevisions(ctx context.Context, want int64) error {
	rollouts := s.cluster.Objects.Resource(argo.Rollouts).Namespace(naming.NamespaceGridOS)
	return eventually(ctx, fmt.Sprintf("the Rollout keeps %d revisions", want), func(ctx context.Context) (bool, error) {
		live, err := rollouts.Get(ctx, argo.RolloutName, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		kept, _, err := unstructured.NestedInt64(live.Object, "spec", "revisionHistoryLimit")
		return kept == want, err
	})
}
