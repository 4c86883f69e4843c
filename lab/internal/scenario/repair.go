package scenario

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitserver"
)

type gitCommit = gitserver.Commit

// lookStep is how often objects are read that the observer does not follow.
const lookStep = 200 * time.Millisecond

// seenByArgoCD is how long a push may take that Argo CD was not told of, or was told in vain: it
// looks itself after 60 to 90 seconds (timeout.reconciliation, and its jitter, in
// bootstrap/argocd).
const seenByArgoCD = 2 * time.Minute

// eventually asks until the answer is yes.
func eventually(ctx context.Context, what string, ask func(ctx context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, seenByArgoCD)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, lookStep, true, ask); err != nil {
		return fmt.Errorf("waiting until %s: %w", what, err)
	}
	return nil
}

// terminate ends a sync that is under way, as `argocd app terminate-op` does (argo-cd v3.2.11,
// server/application/application.go, TerminateOperation).
func (s *Stage) terminate(ctx context.Context) error {
	state, err := s.observer.State()
	if err != nil || state.Application.Status.OperationState.Phase != "Running" {
		return err
	}
	_, err = s.cluster.Objects.Resource(argo.Applications).Namespace(naming.NamespaceArgoCD).Patch(ctx, s.application(),
		types.MergePatchType, []byte(`{"status":{"operationState":{"phase":"Terminating"}}}`), metav1.PatchOptions{})
	return err
}

// drift deletes a Service and changes the autoscaler.
func drift(ctx context.Context, s *Stage) (string, error) {
	services := s.cluster.Core.CoreV1().Services(naming.NamespaceGridOS)
	scalers := s.cluster.Core.AutoscalingV2().HorizontalPodAutoscalers(naming.NamespaceGridOS)
	const service, scaler = "gridos-canary", "gridos"
	before, err := services.Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	wanted, err := scalers.Get(ctx, scaler, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	// To Argo CD a sync of a commit that it has not synced yet is no repair.
	if err := s.addConfigMap("gridos-before-the-drift", ""); err != nil {
		return "", err
	}
	commit, err := s.commit(ctx, "feat: a ConfigMap")
	if err != nil {
		return "", err
	}
	if _, err := s.synced(ctx, commit); err != nil {
		return "", err
	}
	patch := fmt.Sprintf(`{"spec":{"maxReplicas":%d}}`, wanted.Spec.MaxReplicas+7)
	if _, err := scalers.Patch(ctx, scaler, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		return "", err
	}
	if err := services.Delete(ctx, service, metav1.DeleteOptions{}); err != nil {
		return "", err
	}
	began := time.Now()
	s.tell("drift", "deleted Service %s, changed HorizontalPodAutoscaler %s", service, scaler)
	err = eventually(ctx, "both are as Git says", func(ctx context.Context) (bool, error) {
		now, err := services.Get(ctx, service, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil || now.UID == before.UID {
			return false, err
		}
		scaled, err := scalers.Get(ctx, scaler, metav1.GetOptions{})
		return err == nil && scaled.Spec.MaxReplicas == wanted.Spec.MaxReplicas, err
	})
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	if err := s.told(ctx, "drift-undone", commit); err != nil {
		return "", err
	}
	return fmt.Sprintf("a deleted Service and a changed HorizontalPodAutoscaler were put back after %.1f s, and people told once",
		took.Seconds()), nil
}

// addConfigMap adds an object to the overlay.
func (s *Stage) addConfigMap(name string, annotations string) error {
	text := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n%sdata:\n  added: by a commit\n", name, annotations)
	if err := s.work.WriteFile(path.Join(s.overlay(), name+".yaml"), []byte(text)); err != nil {
		return err
	}
	return s.addResource(name + ".yaml")
}

func (s *Stage) addResource(file string) error {
	const first = "resources:\n"
	return s.work.Replace(path.Join(s.overlay(), "kustomization.yaml"), first, first+"- "+file+"\n")
}

func (s *Stage) hasConfigMap(ctx context.Context, name string) (bool, error) {
	_, err := s.cluster.Core.CoreV1().ConfigMaps(naming.NamespaceGridOS).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// prune adds an object by a commit, and removes it by another one.
func prune(ctx context.Context, s *Stage) (string, error) {
	const name = "gridos-for-a-while"
	if err := s.addConfigMap(name, ""); err != nil {
		return "", err
	}
	added, err := s.commit(ctx, "feat: one more ConfigMap")
	if err != nil {
		return "", err
	}
	if _, err := s.synced(ctx, added); err != nil {
		return "", err
	}
	if there, err := s.hasConfigMap(ctx, name); err != nil || !there {
		return "", errors.Join(err, fmt.Errorf("after the sync there is no ConfigMap %s", name))
	}
	removed, err := s.work.Revert(ctx, added)
	if err != nil {
		return "", err
	}
	if err := s.push(ctx, removed, "git revert "+short(added)); err != nil {
		return "", err
	}
	if _, err := s.synced(ctx, removed); err != nil {
		return "", err
	}
	if there, err := s.hasConfigMap(ctx, name); err != nil || there {
		return "", errors.Join(err, fmt.Errorf("after the sync the ConfigMap %s is still there", name))
	}
	took := s.clock.synced.Sub(s.clock.pushed)
	return fmt.Sprintf("a ConfigMap came with a commit and was gone %.1f s after the next", took.Seconds()), nil
}

// notCompared is the event that an Application could not be compared with Git.
const notCompared = "not-compared"

// brokenManifest breaks the overlay in two ways: Kustomize finds one, and only the API server finds
// the other.
func brokenManifest(ctx context.Context, s *Stage) (string, error) {
	stable, err := s.stable(ctx)
	if err != nil {
		return "", err
	}
	var told []string
	requests, err := s.unnoticed(ctx, func() error {
		start, err := s.work.Head(ctx)
		if err != nil {
			return err
		}
		for _, broken := range []struct {
			what string
			edit func() error
			said []string // by Argo CD, about the mistake
			told string   // the event that people are told
		}{
			{"a file that is not there", func() error { return s.addResource("forgotten.yaml") }, []string{"forgotten.yaml"}, notCompared},
			{"a port that is none", func() error {
				const service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: gridos-odd\nspec:\n" +
					"  ports:\n  - name: http\n    port: 70000\n"
				if err := s.work.WriteFile(path.Join(s.overlay(), "odd.yaml"), []byte(service)); err != nil {
					return err
				}
				return s.addResource("odd.yaml")
			}, []string{"gridos-odd", "70000"}, "sync-failed"},
		} {
			if err := broken.edit(); err != nil {
				return err
			}
			bad, err := s.commit(ctx, "feat: "+broken.what)
			if err != nil {
				return err
			}
			problem, err := s.refused(ctx, broken.said)
			if err != nil {
				return fmt.Errorf("%s: %w", broken.what, err)
			}
			s.tell("refused", "Argo CD: %s", problem)
			told = append(told, broken.what)
			revision := bad
			if broken.told == notCompared {
				revision = s.status.Branch // Argo CD compares with no commit
			}
			// Argo CD would try again for minutes before it fails.
			if err := errors.Join(s.terminate(ctx), s.told(ctx, broken.told, revision)); err != nil {
				return err
			}
			if _, err := s.work.Restore(ctx, start, "applications"); err != nil {
				return err
			}
			commit, err := s.commit(ctx, "revert: "+broken.what)
			if err != nil {
				return err
			}
			if _, err := s.synced(ctx, commit); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := s.untouched(ctx, stable); err != nil {
		return "", err
	}
	return fmt.Sprintf("Argo CD names %s, and people are told of each once; 0 of %d requests failed, no pod changed",
		strings.Join(told, " and "), requests), nil
}

// refused waits until Argo CD reports the mistake, in words that name it.
func (s *Stage) refused(ctx context.Context, words []string) (string, error) {
	ctx, cancel := soon(ctx)
	defer cancel()
	problem := ""
	_, err := s.observer.Until(ctx, "Argo CD names "+strings.Join(words, " and "), func(state argo.State) (bool, error) {
		problem = state.Application.Problem()
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(problem, word) }), nil
	})
	return problem, err
}
