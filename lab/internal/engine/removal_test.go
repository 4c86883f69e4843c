package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/retry"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/cluster/argocluster"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// finalizer is Argo CD's.
const finalizer = "resources-finalizer.argocd.argoproj.io"

// Argo CD, which the test replaces, takes the finalizer off an Application after its workloads are
// gone. Until then the Application exists, and so does everything that is removed after it.
func TestEngine_ARemovalWaitsForArgoCDAndNotForEver(t *testing.T) {
	e := newEngine(t, azure.Options{})
	// The cluster has its controllers: without the garbage collector no deletion that the provider
	// requests would ever end.
	cluster, err := argocluster.Start(t.Context(), &toolchain.Resolver{ToolsDir: e.site.ToolsDir()}, t.TempDir(),
		naming.ProjectGridOS, naming.ProjectPlatform)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	upstream(t, e, cluster.Kubeconfig)
	up := func(timeout string) {
		t.Helper()
		overrides := Overrides{stacks.Apps.Name: {"deleteTimeout": timeout}}
		_, err := e.one(t.Context(), upOperation(overrides), partOf(t, stacks.Apps))
		require.NoError(t, err)
	}
	objects := cluster.Objects.Resource(argocluster.Applications).Namespace(naming.NamespaceArgoCD)
	letGo := func(name string) error {
		return retry.RetryOnConflict(retry.DefaultRetry, func() error { // the garbage collector has a finalizer there too
			object, err := objects.Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !slices.Contains(object.GetFinalizers(), finalizer) {
				return errors.New("nothing guards the workloads of " + name)
			}
			object.SetFinalizers(slices.DeleteFunc(object.GetFinalizers(), func(f string) bool { return f == finalizer }))
			_, err = objects.Update(t.Context(), object, metav1.UpdateOptions{})
			return err
		})
	}

	up("1m")
	watching, err := objects.Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	stood := make(chan error, 1)
	go func() { stood <- standInForArgoCD(watching, 2, letGo) }()
	result, err := e.one(t.Context(), downOperation(), partOf(t, stacks.Apps))
	require.NoError(t, err)
	require.NoError(t, <-stood, "nobody was waited for")
	assert.Equal(t, 4, result.Changes["delete"], "two Applications, their provider and the stack")
	list, err := objects.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, list.Items, "nothing was left behind")

	up("3s")
	started := time.Now()
	_, err = e.one(t.Context(), downOperation(), partOf(t, stacks.Apps))
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	assert.Less(t, time.Since(started), 2*time.Minute, "much less than the ten minutes that it takes by itself")
	for _, want := range []string{"gridos-dev", "timed out", "docs/recovery.md"} {
		require.ErrorContains(t, err, want)
	}
	// These are the commands of docs/recovery.md.
	for _, name := range []string{"gridos-dev", "prometheus"} {
		_, err := objects.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	_, err = e.one(t.Context(), downOperation(), partOf(t, stacks.Apps))
	require.NoError(t, err)
}

// workloadsTake is how long it takes the stand-in to delete the workloads of an Application.
const workloadsTake = 2 * time.Second

// standInForArgoCD takes the finalizers off n Applications, each some time after its deletion was
// requested. It is an error if an Application is gone before that.
func standInForArgoCD(watching apiwatch.Interface, n int, letGo func(string) error) error {
	defer watching.Stop()
	seen := map[string]bool{}
	for event := range watching.ResultChan() {
		object, ok := event.Object.(*unstructured.Unstructured)
		asked := ok && (object.GetDeletionTimestamp() != nil || event.Type == apiwatch.Deleted)
		if !asked || seen[object.GetName()] {
			continue
		}
		seen[object.GetName()] = true
		<-time.After(workloadsTake)
		if err := letGo(object.GetName()); err != nil {
			return err
		}
		if len(seen) == n {
			return nil
		}
	}
	return errors.New("the watch ended")
}

// upstream gives gridos-apps the stacks that it reads, for the cluster that kubeconfig signs in to.
func upstream(t *testing.T, e *Engine, kubeconfig []byte) {
	t.Helper()
	outputs := map[string]pulumi.Input{}
	for _, o := range append(stacks.OutputsOf[stacks.InfraOutputs](), stacks.OutputsOf[stacks.BootstrapOutputs]()...) {
		outputs[o.Key] = pulumi.String(strings.ToLower("the-" + o.Key))
	}
	outputs["egressAddresses"] = pulumi.StringArray{}
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
