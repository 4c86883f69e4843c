package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apps "github.com/gridos/sharedinfra/apps/program"
	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
	"github.com/gridos/sharedinfra/naming"
	"github.com/gridos/sharedinfra/stacks"
)

const repositoryRoot = "../../.."

var (
	definitions  = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	appProjects  = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "appprojects"}
	applications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
)

// The platform spells Argo CD's objects with types of its own. Here the official definitions judge what the programs
// register, in every environment, with each optional key set and none.
func TestCluster_ArgoCDsDefinitionsAcceptWhatTheProgramsRegister(t *testing.T) {
	client := argoCDServer(t)
	strictly := metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}
	create := func(kind schema.GroupVersionResource, object *unstructured.Unstructured) error {
		_, err := client.Resource(kind).Namespace("default").Create(t.Context(), object, strictly)
		return err
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
		require.Len(t, projects, 4, "two with each configuration")
		for i, project := range projects {
			project.SetName(fmt.Sprintf("%s-%s-%d", project.GetName(), environment, i))
			require.NoError(t, create(appProjects, project), "%s", project.GetName())
		}
		found := registered(t, mocks.Run{
			Project: stacks.Apps, Root: repositoryRoot, Stack: environment,
			Stacks: map[string]map[string]any{
				stacks.Infra.Name: mocks.InfraOutputs(), stacks.Bootstrap.Name: mocks.BootstrapOutputs(),
			},
		}, "Application")
		require.NotEmpty(t, found)
		for _, application := range found {
			application.SetName(application.GetName() + "-in-" + environment)
			require.NoError(t, create(applications, application), "%s", application.GetName())
		}
	}

	for kind, path := range map[schema.GroupVersionResource][]string{
		appProjects:  {"spec", "sourceRepositories"},
		applications: {"spec", "syncPolicy", "automated", "selfheal"},
	} {
		list, err := client.Resource(kind).Namespace("default").List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		require.NotEmpty(t, list.Items)
		mistaken := list.Items[0].DeepCopy()
		mistaken.SetName("mistaken")
		mistaken.SetResourceVersion("")
		require.NoError(t, unstructured.SetNestedField(mistaken.Object, "x", path...))
		err = create(kind, mistaken)
		require.Error(t, err, "an unknown field is refused")
		assert.True(t, apierrors.IsBadRequest(err), "%v", err)
		assert.ErrorContains(t, err, `unknown field "`+strings.Join(path, ".")+`"`)
	}
}

func projectsOf(environment string, overrides map[string]string) mocks.Run {
	return mocks.Run{
		Project: stacks.Bootstrap, Root: repositoryRoot, Stack: environment, Config: overrides,
		Stacks: map[string]map[string]any{stacks.Infra.Name: mocks.InfraOutputs()},
	}
}

// registered runs a program and returns the objects of a kind that it registers, in the API server's default namespace.
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
		object.SetNamespace("default")
		objects = append(objects, object)
	}
	return objects
}

// argoCDServer starts an API server, and nothing else of a control plane, that has Argo CD's definitions.
func argoCDServer(t *testing.T) dynamic.Interface {
	t.Helper()
	resolver := toolchain.Resolver{ToolsDir: filepath.Join(repositoryRoot, "tools")}
	tools, err := resolver.Resolve(t.Context(), toolchain.Etcd, toolchain.KubeAPIServer)
	require.NoError(t, err)
	module, err := resolver.ModuleDir(t.Context(), "argo-cd", "github.com/argoproj/argo-cd/v3")
	require.NoError(t, err)

	at, err := newLayout(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, at.create())
	pki, err := openAuthority(at.pki)
	require.NoError(t, err)
	api, err := startAPIServer(t.Context(), at, pki, Binaries{Etcd: tools[toolchain.Etcd], KubeAPIServer: tools[toolchain.KubeAPIServer]})
	if api != nil {
		t.Cleanup(func() { assert.NoError(t, api.stop()) })
	}
	require.NoError(t, err)
	kubeconfigs, err := writeKubeconfigs(at, pki, api.url())
	require.NoError(t, err)
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfigs[adminUser.name])
	require.NoError(t, err)
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)

	for _, name := range []string{"application", "appproject"} {
		text, err := os.ReadFile(filepath.Join(module, "manifests", "crds", name+"-crd.yaml"))
		require.NoError(t, err)
		definition := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal(text, &definition.Object))
		_, err = client.Resource(definitions).Create(t.Context(), definition, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	for _, kind := range []schema.GroupVersionResource{applications, appProjects} {
		eventually(t, kind.Resource+" are served", func(ctx context.Context) (bool, error) {
			_, err := client.Resource(kind).Namespace("default").List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil, err
		})
	}
	return client
}
