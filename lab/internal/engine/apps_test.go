package engine

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/apps/boundary"
	apps "github.com/gridos/sharedinfra/apps/program"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/stacks"
)

// Whichever other resource the program of gridos-apps registers, the preview fails, and names it.
func TestEngine_APreviewRefusesWhatIsNoApplication(t *testing.T) {
	e := newEngine(t, azure.Options{})
	for name, add := range map[string]func(ctx *pulumi.Context) error{
		"kubernetes:core/v1:ConfigMap": func(ctx *pulumi.Context) error {
			cluster, err := kubernetes.NewProvider(ctx, "another", &kubernetes.ProviderArgs{
				Kubeconfig: pulumi.String(unreachable),
			}, pulumi.Version(versions.Kubernetes))
			if err != nil {
				return err
			}
			_, err = corev1.NewConfigMap(ctx, "intruder", &corev1.ConfigMapArgs{
				Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("intruder")},
			}, pulumi.Provider(cluster))
			return err
		},
		"pulumi:providers:random": func(ctx *pulumi.Context) error {
			_, err := random.NewProvider(ctx, "intruder", nil, pulumi.Version(versions.Random))
			return err
		},
		"some:component:Type": func(ctx *pulumi.Context) error {
			var component struct{ pulumi.ResourceState }
			return ctx.RegisterComponentResource("some:component:Type", "intruder", &component)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := partOf(t, stacks.Apps)
			p.program = func(ctx *pulumi.Context) error {
				if err := apps.Program(ctx); err != nil {
					return err
				}
				return add(ctx)
			}
			for _, project := range []stacks.Project{stacks.Infra, stacks.Bootstrap} {
				// The stacks exist and were never brought up, as in a preview of the whole line
				// from nothing.
				empty := partOf(t, project)
				empty.program = func(*pulumi.Context) error { return nil }
				_, err := e.one(t.Context(), previewOperation(nil), empty)
				require.NoError(t, err)
			}
			_, err := e.one(t.Context(), previewOperation(nil), p)
			var failure *Failure
			require.ErrorAs(t, err, &failure)
			assert.Contains(t, strings.Join(failure.Messages, "\n"),
				"bootstrap boundary: gridos-apps may not register "+name+` "intruder"`)
		})
	}
	// Without an intruder the same preview passes.
	result, err := e.one(t.Context(), previewOperation(nil), partOf(t, stacks.Apps))
	require.NoError(t, err)
	assert.Equal(t, 4, result.Changes["create"], "two Applications, their provider and the stack")
	require.ErrorContains(t, boundary.Permit("some:component:Type", "x"), "may not register")
}

const unreachable = `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
`

// A cluster without Argo CD is reported before anything is registered, in one sentence, also at a
// preview.
func TestEngine_AClusterThatIsNotReadyIsOneClearSentence(t *testing.T) {
	e := newEngine(t, azure.Options{})
	served := func(handler http.Handler) string {
		server := httptest.NewTLSServer(handler)
		t.Cleanup(server.Close)
		return strings.NewReplacer("https://127.0.0.1:1", server.URL, `"}}]`, `", insecure-skip-tls-verify: true}}]`).Replace(unreachable)
	}
	// This cluster has an AppProject that permits other repositories.
	closed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"resources": [{"name": "applications"}]}`
		if strings.HasSuffix(r.URL.Path, "/appprojects") {
			const here = `"destinations": [{"server": "https://kubernetes.default.svc", "namespace": `
			answer = `{"items": [{"metadata": {"name": "gridos"}, "spec": {` + here + `"gridos"}],` +
				`"sourceRepos": ["https://github.com/other/fork.git"]}},` +
				`{"metadata": {"name": "platform"}, "spec": {` + here + `"monitoring"}],` +
				`"sourceRepos": ["` + versions.Prometheus.Repository + `"], "clusterResourceWhitelist": [{"kind": "Namespace"}]}}]}`
		}
		_, err := w.Write([]byte(answer))
		assert.NoError(t, err)
	})
	outputs := map[string]pulumi.Input{}
	for _, o := range append(stacks.OutputsOf[stacks.InfraOutputs](), stacks.OutputsOf[stacks.BootstrapOutputs]()...) {
		outputs[o.Key] = pulumi.String("the " + o.Key)
	}
	outputs["egressAddresses"] = pulumi.StringArray{}
	for kubeconfig, want := range map[string]string{
		served(closed): "the cluster of dev does not permit the repository " + naming.RepositoryURL + " in the AppProject gridos as a " +
			"source; change the repository in the catalogue, or list it in sourceRepositories (for gridos)",
		served(http.NotFoundHandler()): "the cluster of dev has no " + // this cluster does not know the kind
			"CustomResourceDefinition applications.argoproj.io; run `pulumi -C bootstrap up -s dev` first",
		unreachable: "the cluster of dev does not answer within 15s; see that it runs and that this network reaches it",
	} {
		outputs["kubeconfig"] = pulumi.ToSecret(pulumi.String(kubeconfig))
		for _, project := range []stacks.Project{stacks.Infra, stacks.Bootstrap} {
			upstream := partOf(t, project)
			upstream.program = Exporting(outputs)
			_, err := e.one(t.Context(), upOperation(nil), upstream)
			require.NoError(t, err)
		}
		for _, do := range []operation{previewOperation(nil), upOperation(nil)} {
			_, err := e.one(t.Context(), do, partOf(t, stacks.Apps))
			var failure *Failure
			require.ErrorAs(t, err, &failure)
			require.Len(t, failure.Messages, 1)
			assert.Contains(t, failure.Messages[0], want)
			log, err := os.ReadFile(failure.Log)
			require.NoError(t, err)
			assert.NotContains(t, string(log), "pulumi:providers:kubernetes", "nothing was registered")
		}
	}
}
