package scenario

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
)

// version is a revision of the Rollout, with its pods.
type version struct {
	hash string
	pods map[string]bool // by their UIDs
}

// stable returns the version that gets the requests.
func (s *Stage) stable(ctx context.Context) (version, error) {
	state, err := s.observer.State()
	if err != nil {
		return version{}, err
	}
	hash := state.Rollout.Status.StableRS
	pods, err := s.pods(ctx, hash)
	return version{hash, pods}, err
}

// untouched returns an error unless a version is the stable one, is healthy and has kept its pods.
func (s *Stage) untouched(ctx context.Context, v version) error {
	state, err := s.observer.State()
	if err != nil {
		return err
	}
	if state.Rollout.Status.StableRS != v.hash || !s.promoted(state) {
		return fmt.Errorf("the Rollout is %s with %s stable, and should be healthy with %s",
			state.Rollout.Status.Phase, state.Rollout.Status.StableRS, v.hash)
	}
	return s.keptItsPods(ctx, v)
}

// keptItsPods returns an error unless a version still has the same pods.
func (s *Stage) keptItsPods(ctx context.Context, v version) error {
	now, err := s.pods(ctx, v.hash)
	if err != nil {
		return err
	}
	for pod := range v.pods {
		if !now[pod] {
			return fmt.Errorf("the version that was serving lost the pod %s", pod)
		}
	}
	return nil
}

// pods returns the UIDs of a revision's pods that are not being deleted.
func (s *Stage) pods(ctx context.Context, hash string) (map[string]bool, error) {
	of := metav1.ListOptions{LabelSelector: argo.RevisionLabel + "=" + hash}
	list, err := s.cluster.Core.CoreV1().Pods(naming.NamespaceGridOS).List(ctx, of)
	if err != nil {
		return nil, err
	}
	pods := map[string]bool{}
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			pods[string(pod.UID)] = true
		}
	}
	return pods, nil
}
