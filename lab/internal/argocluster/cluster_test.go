package argocluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gridos/sharedinfra/apps/application"
	"github.com/gridos/sharedinfra/apps/preflight"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
	"github.com/gridos/sharedinfra/naming"
)

// definitions are the kinds themselves.
var definitions = schema.GroupVersionResource{
	Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
}

const repository = "../../.."

// The golden files are what the program registers: a unit test of the program compares the two.
func TestCluster_ApplicationsAreAcceptedUnderStrictValidation(t *testing.T) {
	cluster, err := Start(t.Context(), &toolchain.Resolver{ToolsDir: filepath.Join(repository, "tools")}, t.TempDir(),
		naming.ProjectGridOS)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	applications := cluster.Objects.Resource(Applications).Namespace(naming.NamespaceArgoCD)
	create := func(object map[string]any) error {
		u := &unstructured.Unstructured{Object: object}
		u.SetNamespace(naming.NamespaceArgoCD)
		_, err := applications.Create(t.Context(), u, metav1.CreateOptions{
			FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll},
		})
		return err
	}

	objects := [][]byte{everyField(t)}
	for _, environment := range naming.Environments() {
		text, err := os.ReadFile(filepath.Join(repository, "apps", "program", "testdata", environment+".json"))
		require.NoError(t, err)
		var list []json.RawMessage
		require.NoError(t, json.Unmarshal(text, &list))
		require.Len(t, list, 2)
		for _, object := range list {
			objects = append(objects, object)
		}
	}
	for _, text := range objects {
		var object map[string]any
		require.NoError(t, json.Unmarshal(text, &object))
		require.NoError(t, create(object), string(text))

		spec, ok := object["spec"].(map[string]any)
		require.True(t, ok)
		spec["sourcee"] = "x"
		require.ErrorContains(t, create(object), `unknown field "spec.sourcee"`)
	}

	kubeconfig := string(cluster.Kubeconfig)
	require.NoError(t, preflight.Check(t.Context(), kubeconfig, naming.NamespaceArgoCD, []string{naming.ProjectGridOS}, "dev"))
	err = preflight.Check(t.Context(), kubeconfig, naming.NamespaceArgoCD, []string{naming.ProjectGridOS, naming.ProjectPlatform}, "dev")
	require.EqualError(t, err,
		"the cluster of dev has no AppProject platform in the namespace argocd; run `pulumi -C bootstrap up -s dev` first")
	require.NoError(t, cluster.Objects.Resource(definitions).Delete(t.Context(), "applications.argoproj.io", metav1.DeleteOptions{}))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		err := preflight.Check(t.Context(), kubeconfig, naming.NamespaceArgoCD, nil, "dev")
		assert.ErrorContains(c, err, "has no CustomResourceDefinition applications.argoproj.io")
	}, preflight.Timeout, preflight.Timeout/50)
}

// everyField is an Application in which each field of the package application has a value.
func everyField(t *testing.T) []byte {
	t.Helper()
	text, err := json.Marshal(application.Spec{
		Source: application.Source{
			RepoURL: "https://charts.example.com", TargetRevision: "1.2.3", Path: "p", Chart: "c",
			Helm: &application.Helm{ValuesObject: map[string]any{"a": map[string]any{"b": []any{"c"}}}},
		},
		SyncPolicy: application.SyncPolicy{
			Automated:   &application.Automated{Prune: true, SelfHeal: true},
			SyncOptions: []string{"PruneLast=true"},
			Retry: application.Retry{Limit: 1, Backoff: application.Backoff{
				Duration: "5s", Factor: 2, MaxDuration: "3m",
			}},
		},
		IgnoreDifferences: []application.IgnoreDifference{{
			Group: "apps", Kind: "Deployment", Name: "n", Namespace: "ns", JSONPointers: []string{"/spec"},
			JQPathExpressions: []string{".spec"},
		}},
	})
	require.NoError(t, err)
	var spec map[string]any
	require.NoError(t, json.Unmarshal(text, &spec))
	spec["project"] = naming.ProjectGridOS
	spec["destination"] = map[string]any{"server": naming.ArgoCDInCluster, "namespace": "n"}
	object, err := json.Marshal(map[string]any{
		"apiVersion": application.APIVersion, "kind": application.Kind, "metadata": map[string]any{"name": "every-field"}, "spec": spec,
	})
	require.NoError(t, err)
	return object
}
