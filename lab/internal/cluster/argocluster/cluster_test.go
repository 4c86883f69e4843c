package argocluster

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gridos/sharedinfra/apps/application"
	"github.com/gridos/sharedinfra/apps/preflight"
	apps "github.com/gridos/sharedinfra/apps/program"
	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// definitions are the kinds themselves.
var definitions = schema.GroupVersionResource{
	Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
}

const repository = "../../../.."

// The platform defines Argo CD's objects with types of its own. Here the official definitions judge
// the programs' registrations in every environment, with all optional keys and with none, and the
// preflight asks a real API server.
func TestCluster_ArgoCDsDefinitionsAcceptWhatTheProgramsRegister(t *testing.T) {
	cluster, err := Start(t.Context(), &toolchain.Resolver{ToolsDir: filepath.Join(repository, "tools")}, t.TempDir(),
		naming.ProjectGridOS)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	strictly := metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}}
	create := func(kind schema.GroupVersionResource, object *unstructured.Unstructured) error {
		_, err := cluster.Objects.Resource(kind).Namespace(naming.NamespaceArgoCD).Create(t.Context(), object, strictly)
		return err
	}
	// judged requires that the object is accepted unchanged, and refused with a field at path that
	// the definition does not have.
	judged := func(kind schema.GroupVersionResource, object *unstructured.Unstructured, path ...string) {
		name := object.GetName()
		object.SetName(name + "-judged")
		require.NoError(t, create(kind, object), name)
		require.NoError(t, unstructured.SetNestedField(object.Object, "x", path...))
		require.ErrorContains(t, create(kind, object), `unknown field "`+strings.Join(path, ".")+`"`, name)
	}

	for _, environment := range naming.Environments() {
		projects := append(
			registered(t, projectsOf(environment, nil), "AppProject"),
			registered(t, projectsOf(environment, map[string]string{
				"argocdSsoTenantId":     "11111111-1111-1111-1111-111111111111",
				"argocdSsoClientId":     "22222222-2222-2222-2222-222222222222",
				"argocdDeveloperGroups": `["33333333-3333-3333-3333-333333333333"]`,
				"argocdPipelineGroups":  `["44444444-4444-4444-4444-444444444444"]`,
				"syncWindowSchedule":    "0 8 * * 1-5",
			}), "AppProject")...)
		require.Len(t, projects, 6, "three with each configuration")
		for _, project := range projects {
			judged(AppProjects, project, "spec", "sourceRepositories")
		}
		found := registered(t, mocks.Run{
			Project: stacks.Apps, Root: repository, Stack: environment,
			Stacks: map[string]map[string]any{
				stacks.Infra.Name: mocks.InfraOutputs(), stacks.Bootstrap.Name: mocks.BootstrapOutputs(),
			},
		}, "Application")
		require.Len(t, found, 2)
		for _, application := range found {
			judged(Applications, application, "spec", "syncPolicy", "automated", "selfheal")
		}
	}
	judged(Applications, everyField(t), "spec", "sourcee")

	kubeconfig := string(cluster.Kubeconfig)
	wanted := map[string]preflight.Use{naming.ProjectGridOS: {
		Namespaces: []string{naming.NamespaceGridOS}, Repositories: []string{naming.RepositoryURL}, CreatesNamespaces: true,
	}}
	require.NoError(t, preflight.Check(t.Context(), kubeconfig, naming.NamespaceArgoCD, wanted, "dev"))
	err = preflight.Check(t.Context(), kubeconfig, naming.NamespaceArgoCD, map[string]preflight.Use{naming.ProjectPlatform: {}}, "dev")
	require.EqualError(t, err,
		"the cluster of dev has no AppProject platform in the namespace argocd; run `pulumi -C bootstrap up -s dev` first")
	require.NoError(t, cluster.Objects.Resource(definitions).Delete(t.Context(), "applications.argoproj.io", metav1.DeleteOptions{}))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		err := preflight.Check(t.Context(), kubeconfig, naming.NamespaceArgoCD, nil, "dev")
		assert.ErrorContains(c, err, "has no CustomResourceDefinition applications.argoproj.io")
	}, preflight.Timeout, preflight.Timeout/50)
}

func projectsOf(environment string, overrides map[string]string) mocks.Run {
	return mocks.Run{
		Project: stacks.Bootstrap, Root: repository, Stack: environment, Config: overrides,
		Stacks: map[string]map[string]any{stacks.Infra.Name: mocks.InfraOutputs()},
	}
}

// registered runs a program and returns the objects of a kind that it registers.
func registered(t *testing.T, run mocks.Run, kind string) []*unstructured.Unstructured {
	t.Helper()
	program := bootstrap.Program
	if run.Project == stacks.Apps {
		program = apps.Program
	}
	recorded, err := run.Do(program)
	require.NoError(t, err)
	var objects []*unstructured.Unstructured
	for _, r := range recorded.OfType("kubernetes:argoproj.io/v1alpha1:" + kind) {
		require.False(t, r.Inputs.ContainsUnknowns())
		text, err := json.Marshal(resource.NewObjectProperty(r.Inputs).Mappable())
		require.NoError(t, err)
		object := &unstructured.Unstructured{}
		require.NoError(t, object.UnmarshalJSON(text))
		object.SetNamespace(naming.NamespaceArgoCD) // of apps, the mocked bootstrap names another
		objects = append(objects, object)
	}
	return objects
}

// everyField is an Application in which each field of the package application has a value.
func everyField(t *testing.T) *unstructured.Unstructured {
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
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": application.APIVersion, "kind": application.Kind,
		"metadata": map[string]any{"name": "every-field", "namespace": naming.NamespaceArgoCD}, "spec": spec,
	}}
}
