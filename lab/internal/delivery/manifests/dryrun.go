package manifests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"

	"github.com/gridos/sharedinfra/lab/internal/host/kube"
)

// fieldManager is the owner of the objects for the API server. The objects are not stored.
const fieldManager = "gridos-manifests"

// DryRun has an API server judge the objects as if they were applied, strictly: it refuses an
// unknown field. Nothing is changed. It returns a Problem for each refused object, joined.
func DryRun(ctx context.Context, cluster *kube.Clients, objects []Object) error {
	kinds := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(cluster.Core.Discovery()))
	r := &report{}
	for _, object := range objects {
		text, err := json.Marshal(object.Unstructured)
		if err != nil {
			return fmt.Errorf("dry run: %w", err)
		}
		kind := object.GroupVersionKind()
		mapping, err := kinds.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			r.add(object, "kind", "is not one of the API server's: %v", err)
			continue
		}
		force := true
		_, err = cluster.Objects.Resource(mapping.Resource).Namespace(object.GetNamespace()).Patch(ctx, object.GetName(),
			types.ApplyPatchType, text, metav1.PatchOptions{
				FieldManager: fieldManager, Force: &force,
				DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
			})
		var status apierrors.APIStatus
		switch {
		case err == nil:
		case errors.As(err, &status):
			refused(object, status, r)
		default:
			return fmt.Errorf("dry run of %s: %w", object.name(), err)
		}
	}
	return r.err()
}

// mistyped matches the API server's message about a value that does not fit its schema.
var mistyped = regexp.MustCompile(`: \.([A-Za-z0-9_.\[\]]+): (expected .+)$`)

// undeclared matches the API server's messages about a field that is not in a schema, one for each
// of its two ways of decoding.
var undeclared = regexp.MustCompile(`unknown field "([^"]+)"|\.([A-Za-z0-9_.\[\]]+): field not declared in schema`)

// refused records why the API server refuses an object.
func refused(object Object, status apierrors.APIStatus, r *report) {
	answer := status.Status()
	if answer.Details != nil && len(answer.Details.Causes) > 0 && answer.Reason == metav1.StatusReasonInvalid {
		for _, cause := range answer.Details.Causes {
			r.add(object, cause.Field, "is refused: %s", cause.Message)
		}
		return
	}
	matches := undeclared.FindAllStringSubmatch(answer.Message, -1)
	for _, match := range matches {
		r.add(object, match[1]+match[2], "is unknown; look for a misspelling or a wrong place")
	}
	if match := mistyped.FindStringSubmatch(answer.Message); match != nil {
		r.add(object, match[1], "is refused: %s", match[2])
	} else if len(matches) == 0 {
		r.add(object, "", "is refused: %s", answer.Message)
	}
}
