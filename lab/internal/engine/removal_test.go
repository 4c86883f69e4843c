package engine

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/gridos/sharedinfra/lab/internal/apitest"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
	"github.com/gridos/sharedinfra/naming"
	"github.com/gridos/sharedinfra/stacks"
)

var applications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}

// Argo CD, for which the test stands in, takes the finalizer off an Application when its workloads are gone. Until then the
// Application is there, and so is everything that comes down after it.
func TestEngine_ARemovalWaitsForArgoCDAndNotForEver(t *testing.T) {
	e := newEngine(t, azure.Options{})
	resolver := toolchain.Resolver{ToolsDir: e.site.ToolsDir()}
	module, err := resolver.ModuleDir(t.Context(), "argo-cd", "github.com/argoproj/argo-cd/v3")
	require.NoError(t, err)
	api := apitest.Start(t, e.site.ToolsDir(), filepath.Join(module, "manifests", "crds"))
	client, err := dynamic.NewForConfig(api)
	require.NoError(t, err)
	ready(t, client)
	upstream(t, e, api)
	up := func(timeout string) {
		t.Helper()
		overrides := Overrides{stacks.Apps.Name: {"deleteTimeout": timeout}}
		_, err := e.one(t.Context(), upOperation(overrides), partOf(t, stacks.Apps))
		require.NoError(t, err)
	}
	objects := client.Resource(applications).Namespace(naming.NamespaceArgoCD)
	letGo := func(name string) error {
		_, err := objects.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		return err
	}

	up("1m")
	const workloadsTake = 2 * time.Second
	stood := make(chan error, 1)
	go func() { stood <- standInForArgoCD(t, objects, 2, workloadsTake, letGo) }()
	started := time.Now()
	result, err := e.one(t.Context(), downOperation(), partOf(t, stacks.Apps))
	require.NoError(t, err)
	require.NoError(t, <-stood)
	assert.GreaterOrEqual(t, time.Since(started), workloadsTake)
	assert.Equal(t, 4, result.Changes["delete"], "two Applications, their provider and the stack")
	list, err := objects.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, list.Items, "nothing was left behind")

	up("3s")
	started = time.Now()
	_, err = e.one(t.Context(), downOperation(), partOf(t, stacks.Apps))
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	assert.Less(t, time.Since(started), 30*time.Second)
	for _, want := range []string{"gridos-dev", "timed out", "docs/recovery.md"} {
		require.ErrorContains(t, err, want)
	}
	// As docs/recovery.md says.
	for _, name := range []string{"gridos-dev", "prometheus"} {
		require.NoError(t, letGo(name))
	}
	_, err = e.one(t.Context(), downOperation(), partOf(t, stacks.Apps))
	require.NoError(t, err)
}

// standInForArgoCD takes the finalizers off n Applications, each some time after its deletion was asked for.
func standInForArgoCD(t *testing.T, objects dynamic.ResourceInterface, n int, after time.Duration, letGo func(string) error) error {
	t.Helper()
	watching, err := objects.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer watching.Stop()
	seen := map[string]bool{}
	for event := range watching.ResultChan() {
		object, ok := event.Object.(*unstructured.Unstructured)
		if !ok || object.GetDeletionTimestamp() == nil || seen[object.GetName()] {
			continue
		}
		seen[object.GetName()] = true
		<-time.After(after)
		if err := letGo(object.GetName()); err != nil {
			return err
		}
		if len(seen) == n {
			return nil
		}
	}
	return errors.New("the watch ended")
}

// ready makes a bare API server ready for Applications.
func ready(t *testing.T, client dynamic.Interface) {
	t.Helper()
	create := func(resource schema.GroupVersionResource, namespace string, object map[string]any) {
		t.Helper()
		_, err := client.Resource(resource).Namespace(namespace).
			Create(t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	create(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, "", map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": naming.NamespaceArgoCD},
	})
	for project, namespace := range map[string]string{
		naming.ProjectGridOS: naming.NamespaceGridOS, naming.ProjectPlatform: naming.NamespaceMonitoring,
	} {
		create(applications.GroupVersion().WithResource("appprojects"), naming.NamespaceArgoCD, map[string]any{
			"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": map[string]any{"name": project},
			"spec": map[string]any{"destinations": []any{
				map[string]any{"server": naming.ArgoCDInCluster, "namespace": namespace},
			}},
		})
	}
}

// upstream gives gridos-apps the stacks that it reads, of the cluster behind api.
func upstream(t *testing.T, e *Engine, api *rest.Config) {
	t.Helper()
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: api.Host, CertificateAuthorityData: api.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {ClientCertificateData: api.CertData, ClientKeyData: api.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "c",
	})
	require.NoError(t, err)
	outputs := map[string]pulumi.Input{}
	for _, o := range append(stacks.OutputsOf[stacks.InfraOutputs](), stacks.OutputsOf[stacks.BootstrapOutputs]()...) {
		outputs[o.Key] = pulumi.String(strings.ToLower("the-" + o.Key))
	}
	outputs["kubeconfig"] = pulumi.ToSecret(pulumi.String(kubeconfig))
	outputs["argocdNamespace"] = pulumi.String(naming.NamespaceArgoCD)
	outputs["projectName"] = pulumi.String(naming.ProjectGridOS)
	outputs["workloadNamespace"] = pulumi.String(naming.NamespaceGridOS)
	for _, project := range []stacks.Project{stacks.Infra, stacks.Bootstrap} {
		p := partOf(t, project)
		p.program = Exporting(outputs)
		_, err := e.one(t.Context(), upOperation(nil), p)
		require.NoError(t, err)
	}
}
