package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/gridos/sharedinfra/internal/naming"
)

// referencesStep is how often the objects that pods need are checked.
const referencesStep = time.Second

// watchReferences checks, until stop is called, that the objects that pods need exist. stop returns
// the missing ones.
func (s *Stage) watchReferences(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- wait.PollUntilContextCancel(ctx, referencesStep, true, func(ctx context.Context) (bool, error) {
			err := missingReferences(ctx, s.cluster.Core)
			return ctx.Err() != nil, err
		})
	}()
	return func() error {
		cancel()
		err := <-done
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil // it was stopped during a check
		}
		return err
	}
}

// missingReferences returns an error if a ReplicaSet with pods names a missing ConfigMap or Secret.
// Running pods go on without it. A new pod does not start, nor does one that restarts or replaces
// an evicted one. The lab's pods would start, so this compares the names.
func missingReferences(ctx context.Context, client kubernetes.Interface) error {
	sets := client.AppsV1().ReplicaSets(naming.NamespaceGridOS)
	all, err := sets.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	present := map[reference]bool{}
	for _, set := range all.Items {
		if !hasPods(set) {
			continue
		}
		for _, need := range referencesOf(set.Spec.Template.Spec) {
			there, known := present[need]
			if !known {
				if there, err = need.exists(ctx, client); err != nil {
					return err
				}
				present[need] = there
			}
			if there {
				continue
			}
			// The pods may have been deleted since, and then the objects that they needed.
			now, err := sets.Get(ctx, set.Name, metav1.GetOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
			if err == nil && hasPods(*now) {
				return fmt.Errorf("the ReplicaSet %s has %d pods and names the %s %s, which is not there",
					set.Name, now.Status.Replicas, need.kind, need.name)
			}
		}
	}
	return nil
}

func hasPods(set appsv1.ReplicaSet) bool {
	return set.Status.Replicas > 0 || (set.Spec.Replicas != nil && *set.Spec.Replicas > 0)
}

// reference is an object without which a pod does not start; kind is ConfigMap or Secret.
type reference struct{ kind, name string }

func (r reference) exists(ctx context.Context, client kubernetes.Interface) (bool, error) {
	var err error
	if r.kind == "ConfigMap" {
		_, err = client.CoreV1().ConfigMaps(naming.NamespaceGridOS).Get(ctx, r.name, metav1.GetOptions{})
	} else {
		_, err = client.CoreV1().Secrets(naming.NamespaceGridOS).Get(ctx, r.name, metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// referencesOf returns the references of a pod's volumes and environment, without optional ones.
func referencesOf(pod corev1.PodSpec) []reference {
	var all []reference
	add := func(kind, name string, optional *bool) {
		if optional == nil || !*optional {
			all = append(all, reference{kind, name})
		}
	}
	for _, volume := range pod.Volumes {
		if from := volume.ConfigMap; from != nil {
			add("ConfigMap", from.Name, from.Optional)
		}
		if from := volume.Secret; from != nil {
			add("Secret", from.SecretName, from.Optional)
		}
	}
	for _, container := range append(pod.InitContainers, pod.Containers...) {
		for _, variable := range container.Env {
			if variable.ValueFrom == nil {
				continue
			}
			if from := variable.ValueFrom.ConfigMapKeyRef; from != nil {
				add("ConfigMap", from.Name, from.Optional)
			}
			if from := variable.ValueFrom.SecretKeyRef; from != nil {
				add("Secret", from.Name, from.Optional)
			}
		}
		for _, source := range container.EnvFrom {
			if from := source.ConfigMapRef; from != nil {
				add("ConfigMap", from.Name, from.Optional)
			}
			if from := source.SecretRef; from != nil {
				add("Secret", from.Name, from.Optional)
			}
		}
	}
	return all
}
