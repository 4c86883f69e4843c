package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
)

const (
	// routesFile is the file with the VirtualService, which has the name of the Rollout.
	routesFile = "ingress.yaml"
	// removedRoute is the route that is removed by hand.
	removedRoute = "private"
	// resetLimit bounds how long all requests may go to the stable version after Argo CD has
	// written a VirtualService.
	resetLimit = 5 * time.Second
)

// routing changes the VirtualService while no release is under way.
func routing(ctx context.Context, s *Stage) (string, error) {
	var took []time.Duration
	requests, err := s.unnoticed(ctx, func() (err error) {
		took, err = s.reroute(ctx)
		return err
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("another timeout was live after %.1f s, one more route after %.1f s, and a route that was removed by hand after "+
		"%.1f s; 0 of %d requests failed", took[0].Seconds(), took[1].Seconds(), took[2].Seconds(), requests), nil
}

// routingCanary changes the VirtualService while a canary has its second share of the requests.
func routingCanary(ctx context.Context, s *Stage) (string, error) {
	s.last = nil // undo would go back to the version that this scenario releases
	b, err := s.build(ctx, nil)
	if err != nil {
		return "", err
	}
	var c course
	var changing time.Time
	requests, err := s.unnoticed(ctx, func() error {
		commit, err := s.release(ctx, b)
		if err != nil {
			return err
		}
		if _, err := s.synced(ctx, commit); err != nil {
			return err
		}
		if c, err = s.follow(ctx, b.Tag, func(state argo.State) (bool, error) {
			return state.Routing.Canary == state.Rollout.Weights()[1], nil
		}); err != nil {
			return err
		}
		changing = time.Now()
		ofRelease := s.clock
		if _, err := s.reroute(ctx); err != nil {
			return err
		}
		s.clock = ofRelease
		state, err := s.observer.State()
		if err != nil {
			return err
		}
		if state.Rollout.Status.Abort || state.Rollout.Status.CurrentPodHash == state.Rollout.Status.StableRS {
			return errors.New("the canary was over before the routes had changed")
		}
		c, err = s.follow(ctx, b.Tag, throughout)
		return err
	})
	if err != nil {
		return "", err
	}
	if !s.promoted(c.State) {
		return "", fmt.Errorf("it was not promoted: %s", c.State.Rollout.Status.Message)
	}
	resets, reset := 0, time.Duration(0)
	moves := s.observer.Moves(changing)
	for i, move := range moves {
		if move.Canary == 0 && i+1 < len(moves) { // the last one is the promotion
			resets, reset = resets+1, max(reset, moves[i+1].At.Sub(move.At))
		}
	}
	if weights := slices.Compact(c.Weights); !slices.Equal(weights, c.State.Rollout.Weights()) {
		return "", fmt.Errorf("the canary got %v %% of the requests, and should get %v %%", weights, c.State.Rollout.Weights())
	}
	if reset > resetLimit {
		return "", fmt.Errorf("the canary got no requests for %s after its VirtualService changed; the limit is %s", reset, resetLimit)
	}
	return fmt.Sprintf("another timeout, one more route and a route that was removed by hand were live during %v %%; the weights were "+
		"100/0 %d times, for at most %d ms; 0 of %d requests failed",
		c.State.Rollout.Weights(), resets, reset.Milliseconds(), requests), nil
}

// reroute changes the VirtualService by two commits and by hand. It returns, for each change, the
// time until the VirtualService matched Git.
func (s *Stage) reroute(ctx context.Context) ([]time.Duration, error) {
	var took []time.Duration
	const primary = "  - name: primary\n"
	for _, change := range []struct{ what, old, replacement string }{
		{"another timeout", "    timeout: 30s\n", "    timeout: 15s\n"},
		{
			"one more route", primary,
			"  - name: retired\n    match:\n    - uri:\n        prefix: /retired\n    directResponse:\n      status: 410\n" + primary,
		},
	} {
		file := path.Join(naming.Manifests(s.options.Environment), routesFile)
		if err := s.work.Replace(file, change.old, change.replacement); err != nil {
			return nil, err
		}
		if _, err := s.commit(ctx, "feat: "+change.what); err != nil {
			return nil, err
		}
		if err := s.routed(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", change.what, err)
		}
		took = append(took, time.Since(s.clock.pushed))
		s.tell("routed", "%s is live %.1f s after the push", change.what, time.Since(s.clock.pushed).Seconds())
	}
	if err := s.removeRoute(ctx); err != nil {
		return nil, err
	}
	removed := time.Now()
	if err := s.routed(ctx); err != nil {
		return nil, fmt.Errorf("the route %s was removed by hand: %w", removedRoute, err)
	}
	s.tell("routed", "the route %s is back after %.1f s", removedRoute, time.Since(removed).Seconds())
	return append(took, time.Since(removed)), nil
}

// removeRoute removes a route from the live VirtualService.
func (s *Stage) removeRoute(ctx context.Context) error {
	live := s.cluster.Objects.Resource(argo.VirtualServices).Namespace(naming.NamespaceGridOS)
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		object, err := live.Get(ctx, argo.RolloutName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		routes, _, err := unstructured.NestedSlice(object.Object, "spec", "http")
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(routes), func(route any) bool {
			fields, ok := route.(map[string]any)
			return ok && fields["name"] == removedRoute
		})
		if len(left) == len(routes) {
			return fmt.Errorf("the VirtualService %s has no route %s to remove", argo.RolloutName, removedRoute)
		}
		if err := unstructured.SetNestedSlice(object.Object, left, "spec", "http"); err != nil {
			return err
		}
		_, err = live.Update(ctx, object, metav1.UpdateOptions{})
		return err
	})
}

// routed waits until the live VirtualService has Git's routes, with the present weights of the
// Rollout.
func (s *Stage) routed(ctx context.Context) error {
	objects, err := s.render(ctx, s.options.Environment)
	if err != nil {
		return err
	}
	var want []map[string]any
	for _, object := range objects {
		if object.GetKind() == "VirtualService" {
			if want, _, err = withoutWeights(object.Unstructured); err != nil {
				return err
			}
		}
	}
	if len(want) == 0 {
		return errors.New("Git has no VirtualService with routes")
	}
	virtualServices := s.cluster.Objects.Resource(argo.VirtualServices).Namespace(naming.NamespaceGridOS)
	return eventually(ctx, "the VirtualService has the routes of Git and the Rollout's weights", func(ctx context.Context) (bool, error) {
		live, err := virtualServices.Get(ctx, argo.RolloutName, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		routes, canary, err := withoutWeights(live)
		if err != nil {
			return false, err
		}
		state, err := s.observer.State()
		if err != nil {
			return false, err
		}
		return canary == state.Rollout.Status.Canary.Weights.Canary.Weight && reflect.DeepEqual(routes, want), nil
	})
}

// withoutWeights returns the routes of a VirtualService without their weights, and the weight of
// the canary.
func withoutWeights(object *unstructured.Unstructured) (routes []map[string]any, canary int, err error) {
	text, err := object.MarshalJSON()
	if err != nil {
		return nil, 0, err
	}
	var virtual struct {
		Spec struct{ HTTP []map[string]any }
	}
	if err := json.Unmarshal(text, &virtual); err != nil {
		return nil, 0, fmt.Errorf("VirtualService %s: %w", object.GetName(), err)
	}
	for _, route := range virtual.Spec.HTTP {
		destinations, _ := route["route"].([]any) // a route that the gateway itself answers has none
		for _, each := range destinations {
			destination, ok := each.(map[string]any)
			if !ok {
				return nil, 0, fmt.Errorf("the VirtualService %s has a destination that is a %T", object.GetName(), each)
			}
			host, _, err := unstructured.NestedString(destination, "destination", "host")
			if err != nil {
				return nil, 0, fmt.Errorf("VirtualService %s: %w", object.GetName(), err)
			}
			if weight, ok := destination["weight"].(float64); ok && host == argo.CanaryService {
				canary = int(weight)
			}
			delete(destination, "weight")
		}
	}
	return virtual.Spec.HTTP, canary, nil
}
