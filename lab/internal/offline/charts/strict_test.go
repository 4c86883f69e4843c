package charts

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/apitest"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

const (
	root  = "../../../.."
	tools = root + "/tools"
)

// customResources are the kinds of gridos-bootstrap's custom resources, as the API server's paths
// name them.
var customResources = map[string]schema.GroupVersionResource{
	"kubernetes:argoproj.io/v1alpha1:AppProject":       {Group: "argoproj.io", Version: "v1alpha1", Resource: "appprojects"},
	"kubernetes:external-secrets.io/v1:ExternalSecret": {Group: "external-secrets.io", Version: "v1", Resource: "externalsecrets"},
	"kubernetes:external-secrets.io/v1:ClusterSecretStore": {
		Group: "external-secrets.io", Version: "v1", Resource: "clustersecretstores",
	},
}

// Pulumi's types for custom resources do not have their fields. Therefore a real API server with
// the official definitions judges the registrations of every environment. There an unknown field is
// an error, and the test adds one to see it refused.
func TestCluster_CustomResourcesAreAcceptedUnderStrictValidation(t *testing.T) {
	moduleDir := func(folder, module string) string {
		dir, err := (&toolchain.Resolver{ToolsDir: tools}).ModuleDir(t.Context(), folder, module)
		require.NoError(t, err)
		return dir
	}
	clients := apitest.Start(t, tools,
		filepath.Join(moduleDir(toolchain.ArgoModule, "github.com/argoproj/argo-cd/v3"), "manifests", "crds"),
		filepath.Join(moduleDir("external-secrets", "github.com/external-secrets/external-secrets"), "config", "crds", "bases"))
	for _, name := range []string{naming.NamespaceArgoCD, naming.NamespaceArgoRollouts} {
		_, err := clients.Core.CoreV1().Namespaces().Create(t.Context(),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	client := clients.Objects
	strict := metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}}

	for _, environment := range naming.Environments() {
		recorded, err := mocks.Run{
			Project: stacks.Bootstrap, Root: root, Stack: environment, Config: map[string]string{"notificationsRecipients": `["teams"]`},
			Stacks: map[string]map[string]any{stacks.Infra.Name: mocks.InfraOutputs()},
		}.Do(bootstrap.Program)
		require.NoError(t, err)
		seen := map[string]bool{}
		for _, r := range recorded.Resources {
			group := strings.TrimPrefix(r.Type, "kubernetes:")
			if group == r.Type || !strings.Contains(strings.Split(group, "/")[0], ".") || strings.HasPrefix(group, "helm.sh/") {
				continue
			}
			require.Contains(t, customResources, r.Type, "which this test does not know")
			seen[r.Type] = true
			text, err := json.Marshal(r.Inputs.Mappable())
			require.NoError(t, err)
			object := &unstructured.Unstructured{}
			require.NoError(t, object.UnmarshalJSON(text))
			create := client.Resource(customResources[r.Type]).Namespace(object.GetNamespace())
			_, err = create.Create(t.Context(), object, strict)
			require.NoError(t, err, "%s of %s", r.Name, environment)

			require.NoError(t, unstructured.SetNestedField(object.Object, "x", "spec", "unheardOf"))
			_, err = create.Create(t.Context(), object, strict)
			require.ErrorContains(t, err, `unknown field "spec.unheardOf"`, "%s of %s", r.Name, environment)
		}
		assert.Len(t, seen, len(customResources), "%s registers them all", environment)
	}
}
