package engine

import (
	"net/http"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/cluster/argocluster"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// asReader answers as Azure does to an identity with the role Reader and the role of
// docs/INFRA_PIPELINE_SETUP.md that lists kubeconfigs.
func asReader(operation azure.Operation, kind, id string) error {
	action := map[azure.Operation]string{
		azure.OperationCreate: "write", azure.OperationUpdate: "write", azure.OperationDelete: "delete",
	}[operation]
	if action == "" {
		return nil
	}
	return &azure.ServiceError{
		Status: http.StatusForbidden, Code: "AuthorizationFailed",
		Message: "The client does not have authorization to perform action '" + kind + "/" + action + "' over scope '" + id + "'",
	}
}

// The identity of pull requests can preview, and an update with it changes nothing in Azure.
func TestEngine_TheIdentityOfPullRequestsCannotChangeAzure(t *testing.T) {
	reader := false
	e, cloud := newEngineFor(t, "dev", azure.Options{
		Kubernetes: standIn{}, RolePropagation: &soonEffective, Faults: func(operation azure.Operation, kind, id string) error {
			if reader {
				return asReader(operation, kind, id)
			}
			return nil
		},
	})
	infra := partOf(t, stacks.Infra)
	_, err := e.one(t.Context(), upOperation(promptly()), infra)
	require.NoError(t, err)
	before := cloud.Inventory()

	reader = true
	change := promptly()
	change[stacks.Infra.Name]["userPoolMax"] = 5
	preview, err := e.one(t.Context(), previewOperation(change), infra)
	require.NoError(t, err, "it reads all that a preview needs")
	assert.Equal(t, map[string]int{"update": 1}, pick(preview.Changes, "create", "update", "replace", "delete"))
	_, err = e.one(t.Context(), upOperation(change), infra)
	assert.Contains(t, failed(t, err), `Status=403 Code="AuthorizationFailed"`)
	assert.Equal(t, before, cloud.Inventory())

	reader = false
	again, err := e.one(t.Context(), upOperation(promptly()), infra)
	require.NoError(t, err)
	assert.Zero(t, again.Changed(), again.Summary())
}

// Nor can it change the cluster, whose real API server lets it read everything.
func TestEngine_TheIdentityOfPullRequestsCannotChangeTheCluster(t *testing.T) {
	e := newEngine(t, azure.Options{})
	cluster, err := argocluster.Start(t.Context(), &toolchain.Resolver{ToolsDir: e.site.ToolsDir()}, t.TempDir(),
		naming.ProjectGridOS, naming.ProjectPlatform)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	outputs := map[string]pulumi.Input{}
	for _, o := range append(stacks.OutputsOf[stacks.InfraOutputs](), stacks.OutputsOf[stacks.BootstrapOutputs]()...) {
		outputs[o.Key] = pulumi.String("the " + o.Key)
	}
	outputs["egressAddresses"] = pulumi.StringArray{}
	outputs["argocdNamespace"] = pulumi.String(naming.NamespaceArgoCD)
	outputs["kubeconfig"] = pulumi.ToSecret(pulumi.String(readerKubeconfig(t, cluster.Kubeconfig)))
	for _, project := range []stacks.Project{stacks.Infra, stacks.Bootstrap} {
		upstream := partOf(t, project)
		upstream.program = Exporting(outputs)
		_, err := e.one(t.Context(), upOperation(nil), upstream)
		require.NoError(t, err)
	}
	apps := partOf(t, stacks.Apps)
	preview, err := e.one(t.Context(), previewOperation(nil), apps)
	require.NoError(t, err, "it reads all that a preview needs")
	assert.Equal(t, 4, preview.Changes["create"], "two Applications, their provider and the stack")
	_, err = e.one(t.Context(), upOperation(nil), apps)
	assert.Contains(t, failed(t, err), `User "system:serviceaccount:default:reader" cannot create resource "applications"`)
	applications, err := cluster.Objects.Resource(argocluster.Applications).Namespace(naming.NamespaceArgoCD).
		List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, applications.Items)
}

// readerKubeconfig signs in as a service account that may read everything, as the role "GridOS
// cluster reader" permits.
func readerKubeconfig(t *testing.T, administrator []byte) string {
	t.Helper()
	clients, err := kube.Parse(administrator)
	require.NoError(t, err)
	client := clients.Core
	const name, namespace = "reader", metav1.NamespaceDefault
	meta := metav1.ObjectMeta{Name: name}
	_, err = client.CoreV1().ServiceAccounts(namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"},
	}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	config, err := clientcmd.Load(administrator)
	require.NoError(t, err)
	for user := range config.AuthInfos {
		config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	text, err := clientcmd.Write(*config)
	require.NoError(t, err)
	return string(text)
}
