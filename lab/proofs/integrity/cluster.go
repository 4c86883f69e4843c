package integrity

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
)

// cluster asks the API server whether objects exist.
type cluster struct {
	client  kubernetes.Interface
	objects dynamic.Interface
	kinds   meta.RESTMapper
}

func openCluster(kubeconfig string) (*cluster, error) {
	clients, err := kube.Connect(kubeconfig)
	if err != nil {
		return nil, err
	}
	kinds := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(clients.Core.Discovery()))
	return &cluster{clients.Core, clients.Objects, kinds}, nil
}

// has returns an error if an object is missing, or is being deleted.
func (c *cluster) has(ctx context.Context, object *unstructured.Unstructured, namespace string) error {
	kind := object.GroupVersionKind()
	mapping, err := c.kinds.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	var from dynamic.ResourceInterface = c.objects.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		if object.GetNamespace() != "" {
			namespace = object.GetNamespace()
		}
		from = c.objects.Resource(mapping.Resource).Namespace(namespace)
	}
	live, err := from.Get(ctx, object.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s %s is not in the cluster", kind.Kind, object.GetName())
	}
	if err == nil && live.GetDeletionTimestamp() != nil {
		err = fmt.Errorf("%s %s is being deleted", kind.Kind, object.GetName())
	}
	return err
}

// hasState returns an error for every missing object of a state. hasReleases checks the releases.
func (c *cluster) hasState(ctx context.Context, state []apitype.ResourceV3) error {
	var problems []error
	for _, r := range state {
		version, ok := r.Outputs["apiVersion"].(string)
		if !ok || !r.Custom || !strings.HasPrefix(string(r.Type), "kubernetes:") {
			continue
		}
		object := &unstructured.Unstructured{}
		object.SetAPIVersion(version)
		object.SetKind(string(r.Type.Name()))
		namespace, name, namespaced := strings.Cut(string(r.ID), "/")
		if !namespaced {
			namespace, name = "", namespace
		}
		object.SetName(name)
		problems = append(problems, c.has(ctx, object, namespace))
	}
	return errors.Join(problems...)
}

// hasReleases returns an error for every release that is in the state and not in the cluster, or
// the other way round. It also returns one for every release that Helm has not finished, and for
// every missing object of one.
func (c *cluster) hasReleases(ctx context.Context, state []apitype.ResourceV3) error {
	known := map[string]bool{}
	for _, r := range state {
		if string(r.Type) == helm.ReleaseToken {
			known[string(r.ID)] = true
		}
	}
	if len(known) == 0 {
		return errors.New("the state has no release of Helm's")
	}
	list, err := c.client.CoreV1().Secrets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: "owner=helm"})
	if err != nil {
		return err
	}
	newest, revisions := map[string]corev1.Secret{}, map[string]int{}
	for _, record := range list.Items {
		release := record.Namespace + "/" + record.Labels["name"]
		revision, err := strconv.Atoi(record.Labels["version"])
		if err != nil {
			return fmt.Errorf("record %s of Helm's has no revision: %w", record.Name, err)
		}
		if revision > revisions[release] {
			newest[release], revisions[release] = record, revision
		}
	}
	var problems []error
	for _, release := range slices.Sorted(maps.Keys(known)) {
		if _, there := newest[release]; !there {
			problems = append(problems, fmt.Errorf("release %s is in the state and not in the cluster", release))
		}
	}
	for _, release := range slices.Sorted(maps.Keys(newest)) {
		record := newest[release]
		if !known[release] {
			problems = append(problems, fmt.Errorf("release %s is in the cluster and not in the state", release))
		}
		if status := record.Labels["status"]; status != "deployed" {
			problems = append(problems, fmt.Errorf("release %s is %s instead of deployed", release, status))
			continue
		}
		objects, err := manifestOf(record)
		if err != nil {
			return fmt.Errorf("release %s: %w", release, err)
		}
		for _, object := range objects {
			if err := c.has(ctx, object, record.Namespace); err != nil {
				problems = append(problems, fmt.Errorf("release %s: %w", release, err))
			}
		}
	}
	return errors.Join(problems...)
}

// manifestOf reads Helm's record of the installed objects: YAML in JSON, gzipped, in base64.
func manifestOf(record corev1.Secret) ([]*unstructured.Unstructured, error) {
	compressed, err := base64.StdEncoding.DecodeString(string(record.Data["release"]))
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	var release struct {
		Manifest string `json:"manifest"`
	}
	if err := json.NewDecoder(unpacked).Decode(&release); err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(release.Manifest), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}
