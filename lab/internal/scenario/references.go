package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// missingReferences returns an error if a ReplicaSet with pods names a ConfigMap or Secret, or a
// key of one, that is missing. Running pods go on without it. A new pod does not start, nor does
// one that restarts or replaces an evicted one.
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
				return fmt.Errorf("the ReplicaSet %s has %d pods and names %s, which is not there", set.Name, now.Status.Replicas, need)
			}
		}
	}
	return nil
}

func hasPods(set appsv1.ReplicaSet) bool {
	return set.Status.Replicas > 0 || (set.Spec.Replicas != nil && *set.Spec.Replicas > 0)
}

// reference is an object without which a pod does not start, or a key of one; kind is ConfigMap or
// Secret.
type reference struct{ kind, name, key string }

func (r reference) String() string {
	if r.key == "" {
		return "the " + r.kind + " " + r.name
	}
	return "the key " + r.key + " of the " + r.kind + " " + r.name
}

func (r reference) exists(ctx context.Context, client kubernetes.Interface) (bool, error) {
	var found bool
	var err error
	if r.kind == "ConfigMap" {
		var object *corev1.ConfigMap
		if object, err = client.CoreV1().ConfigMaps(naming.NamespaceGridOS).Get(ctx, r.name, metav1.GetOptions{}); err == nil {
			_, text := object.Data[r.key]
			_, bytes := object.BinaryData[r.key]
			found = text || bytes
		}
	} else {
		var object *corev1.Secret
		if object, err = client.CoreV1().Secrets(naming.NamespaceGridOS).Get(ctx, r.name, metav1.GetOptions{}); err == nil {
			_, found = object.Data[r.key]
		}
	}
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && (found || r.key == ""), err
}

// referencesOf returns the references of a pod's volumes and environment, without optional ones. A
// variable that names a file of a volume, such as DATABASE_PASSWORD_FILE, refers to that key.
func referencesOf(pod corev1.PodSpec) []reference {
	var all []reference
	add := func(kind, name, key string, optional *bool) {
		if optional == nil || !*optional {
			all = append(all, reference{kind, name, key})
		}
	}
	items := func(kind, name string, chosen []corev1.KeyToPath, optional *bool) {
		add(kind, name, "", optional)
		for _, item := range chosen {
			add(kind, name, item.Key, optional)
		}
	}
	whole := map[string]reference{} // the objects of volumes that have a file for each of their keys
	for _, volume := range pod.Volumes {
		if from := volume.ConfigMap; from != nil {
			items("ConfigMap", from.Name, from.Items, from.Optional)
			if len(from.Items) == 0 {
				whole[volume.Name] = reference{kind: "ConfigMap", name: from.Name}
			}
		}
		if from := volume.Secret; from != nil {
			items("Secret", from.SecretName, from.Items, from.Optional)
			if len(from.Items) == 0 {
				whole[volume.Name] = reference{kind: "Secret", name: from.SecretName}
			}
		}
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if from := source.ConfigMap; from != nil {
				items("ConfigMap", from.Name, from.Items, from.Optional)
			}
			if from := source.Secret; from != nil {
				items("Secret", from.Name, from.Items, from.Optional)
			}
		}
	}
	for _, container := range append(pod.InitContainers, pod.Containers...) {
		for _, variable := range container.Env {
			for _, mount := range container.VolumeMounts {
				key, inside := strings.CutPrefix(variable.Value, mount.MountPath+"/")
				if of, known := whole[mount.Name]; known && inside {
					add(of.kind, of.name, key, nil)
				}
			}
			if variable.ValueFrom == nil {
				continue
			}
			if from := variable.ValueFrom.ConfigMapKeyRef; from != nil {
				add("ConfigMap", from.Name, from.Key, from.Optional)
			}
			if from := variable.ValueFrom.SecretKeyRef; from != nil {
				add("Secret", from.Name, from.Key, from.Optional)
			}
		}
		for _, source := range container.EnvFrom {
			if from := source.ConfigMapRef; from != nil {
				add("ConfigMap", from.Name, "", from.Optional)
			}
			if from := source.SecretRef; from != nil {
				add("Secret", from.Name, "", from.Optional)
			}
		}
	}
	return all
}
