package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/internal/naming"
)

// releaseOfArgoCD is its name in Helm.
const releaseOfArgoCD = "argocd"

// deleteArgoCD does what `helm uninstall` does: it deletes the objects of the release, except those
// that must be kept, and Helm's record of it.
func deleteArgoCD(ctx context.Context, s *stage) error {
	clients, err := s.clients()
	if err != nil {
		return err
	}
	lists, err := discovery.ServerPreferredResources(clients.Core.Discovery())
	if err != nil {
		return fmt.Errorf("ask for the kinds of objects: %w", err)
	}
	deleted := 0
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return err
		}
		for _, kind := range list.APIResources {
			if !slices.Contains(kind.Verbs, "list") || !slices.Contains(kind.Verbs, "delete") {
				continue
			}
			n, err := deleteOfRelease(ctx, clients.Objects.Resource(version.WithResource(kind.Name)))
			if err != nil {
				return fmt.Errorf("delete the %s of Argo CD: %w", kind.Name, err)
			}
			deleted += n
		}
	}
	if deleted == 0 {
		return errors.New("the cluster has no Argo CD")
	}
	return nil
}

func deleteOfRelease(ctx context.Context, objects dynamic.NamespaceableResourceInterface) (deleted int, err error) {
	list, err := objects.List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	background := metav1.DeletePropagationBackground
	for _, object := range list.Items {
		if !ofRelease(object) {
			continue
		}
		err := objects.Namespace(object.GetNamespace()).Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
		if err != nil && !apierrors.IsNotFound(err) {
			return deleted, err
		}
		deleted++
	}
	return deleted, nil
}

// ofRelease reports whether the uninstallation of Argo CD deletes an object.
func ofRelease(object unstructured.Unstructured) bool {
	annotations, labels := object.GetAnnotations(), object.GetLabels()
	record := labels["owner"] == "helm" && labels["name"] == releaseOfArgoCD && object.GetNamespace() == naming.NamespaceArgoCD
	installed := annotations["meta.helm.sh/release-name"] == releaseOfArgoCD && annotations["helm.sh/resource-policy"] != "keep"
	return record || installed
}
