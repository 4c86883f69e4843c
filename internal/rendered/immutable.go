package rendered

import (
	"slices"
	"strings"
)

// fixed are the fields of a kind that the API server refuses to change. An update with such a
// change fails as a whole.
type fixed struct {
	group, kind string
	// fields are those that are fixed. With except, everything in them is fixed but what is named
	// there.
	fields, except []string
	// unless is a condition under which the fields may change.
	unless func(old, made Object) bool
}

// fixedFields are from the validation of Kubernetes 1.35.0: the file and the function are named at
// each.
var fixedFields = []fixed{
	// pkg/apis/apps/validation/validation.go: ValidateDeploymentUpdate,
	// ValidateDaemonSetSpecUpdate, ValidateReplicaSetUpdate.
	{group: "apps", kind: "Deployment", fields: []string{"spec.selector"}},
	{group: "apps", kind: "DaemonSet", fields: []string{"spec.selector"}},
	{group: "apps", kind: "ReplicaSet", fields: []string{"spec.selector"}},
	// The same file, ValidateStatefulSetUpdate.
	{group: "apps", kind: "StatefulSet", fields: []string{"spec"}, except: []string{
		"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy",
		"minReadySeconds",
	}},
	// pkg/apis/batch/validation/validation.go: ValidateJobSpecUpdate. A suspended Job, whose pods
	// may be placed elsewhere, is no exception here.
	{group: "batch", kind: "Job", fields: []string{
		"spec.completions", "spec.selector", "spec.template", "spec.completionMode", "spec.podFailurePolicy", "spec.backoffLimitPerIndex",
		"spec.managedBy", "spec.successPolicy",
	}},
	// pkg/apis/core/validation/validation.go: validateUpgradeDowngradeClusterIPs. A Service of type
	// ExternalName has no address; and where an update names none, the Service keeps the one it has
	// (pkg/registry/core/service/storage/storage.go, patchAllocatedValues).
	{kind: "Service", fields: []string{"spec.clusterIP"}, unless: func(old, made Object) bool {
		return text(old, "spec.type") == "ExternalName" || text(made, "spec.type") == "ExternalName" || text(made, "spec.clusterIP") == ""
	}},
	// The same file, ValidatePersistentVolumeClaimUpdate and ValidatePersistentVolumeUpdate.
	{kind: "PersistentVolumeClaim", fields: []string{"spec"}, except: []string{"resources", "volumeAttributesClassName"}},
	{kind: "PersistentVolume", fields: []string{"spec.csi", "spec.azureDisk", "spec.azureFile", "spec.nfs", "spec.volumeMode"}},
	// The same file, ValidateSecretUpdate and ValidateConfigMapUpdate.
	{kind: "Secret", fields: []string{"type"}},
	{kind: "Secret", fields: []string{"data", "stringData", "immutable"}, unless: mayChange},
	{kind: "ConfigMap", fields: []string{"data", "binaryData", "immutable"}, unless: mayChange},
	// pkg/apis/rbac/validation/validation.go: ValidateRoleBindingUpdate,
	// ValidateClusterRoleBindingUpdate.
	{group: rbac, kind: "RoleBinding", fields: []string{"roleRef"}},
	{group: rbac, kind: "ClusterRoleBinding", fields: []string{"roleRef"}},
	// pkg/apis/storage/validation/validation.go: ValidateStorageClassUpdate.
	{group: "storage.k8s.io", kind: "StorageClass", fields: []string{"parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"}},
	// pkg/apis/scheduling/validation/validation.go: ValidatePriorityClassUpdate.
	{group: "scheduling.k8s.io", kind: "PriorityClass", fields: []string{"value", "preemptionPolicy"}},
	// pkg/apis/networking/validation/validation.go: validateIngressClassSpecUpdate.
	{group: "networking.k8s.io", kind: "IngressClass", fields: []string{"spec.controller"}},
	// apiextensions-apiserver, pkg/apis/apiextensions/validation/validation.go:
	// ValidateCustomResourceDefinitionSpecUpdate.
	{group: "apiextensions.k8s.io", kind: "CustomResourceDefinition", fields: []string{"spec.scope", "spec.names.kind"}},
}

const rbac = "rbac.authorization.k8s.io"

// mayChange reports whether the data of a Secret or a ConfigMap is not declared immutable.
func mayChange(old, _ Object) bool { return at(old, "immutable") != true }

// defaults are what the API server fills in: writing such a value out changes nothing (Kubernetes
// 1.35.0, pkg/apis/*/v1/defaults.go).
var defaults = map[string]any{
	"spec.podManagementPolicy": "OrderedReady", "spec.completionMode": "NonIndexed", "spec.volumeMode": "Filesystem",
	"spec.type": "ClusterIP", "type": "Opaque", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate",
	"preemptionPolicy": "PreemptLowerPriority", "immutable": false, "spec.publishNotReadyAddresses": false,
}

func settled(path string, value any) any {
	if value == nil {
		return defaults[path]
	}
	return value
}

// refused returns the fields that change and may not, sorted.
func refused(old, made Object) []string {
	var found []string
	for _, f := range fixedFields {
		if f.kind != made.GetKind() || f.group != made.GroupVersionKind().Group || f.unless != nil && f.unless(old, made) {
			continue
		}
		for _, path := range f.fields {
			paths := []string{path}
			if f.except != nil {
				paths = nil
				for _, key := range keysOf(at(old, path), at(made, path)) {
					if !slices.Contains(f.except, key) {
						paths = append(paths, path+"."+key)
					}
				}
			}
			for _, path := range paths {
				if !same(settled(path, at(old, path)), settled(path, at(made, path))) {
					found = append(found, path)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// keysOf returns the keys of two objects, sorted.
func keysOf(values ...any) []string {
	var keys []string
	for _, value := range values {
		object, _ := value.(map[string]any)
		for key := range object {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// at returns the value at a path of keys without dots, or nil.
func at(o Object, path string) any {
	var value any = o.Object
	for key := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[key]
	}
	return value
}

func text(o Object, path string) string {
	value, _ := at(o, path).(string)
	return value
}
