package standins_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/apitest"
	"github.com/gridos/sharedinfra/lab/internal/cluster/standins"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

const (
	repository = "../../../.."
	patience   = 20 * time.Second
	often      = 50 * time.Millisecond
)

const (
	vaultURL = "https://v.vault.azure.net"
	clientID = "11111111-2222-3333-4444-555555555555"
)

// vault is a key vault that admits one service account.
type vault struct {
	client  kubernetes.Interface
	mu      sync.Mutex
	secrets map[string]string
}

func (v *vault) set(name, value string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.secrets[name] = value
}

func (v *vault) find(ctx context.Context, request standins.SecretRequest) (string, error) {
	review, err := v.client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: request.Token, Audiences: []string{"api://AzureADTokenExchange"}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	if subject := review.Status.User.Username; subject != "system:serviceaccount:default:reader" || request.ClientID != clientID {
		return "", fmt.Errorf("%s is not %s", subject, request.ClientID)
	}
	if request.VaultURL != vaultURL {
		return "", fmt.Errorf("there is no vault %s", request.VaultURL)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	value, found := v.secrets[request.Name]
	if !found {
		return "", errors.New("the key vault has no such secret")
	}
	return value, nil
}

// The application's own ExternalSecret is shown as Argo CD and the pods see it, from its first sync
// on.
func TestCluster_AnExternalSecretGetsItsSecret(t *testing.T) {
	resolver := toolchain.Resolver{ToolsDir: filepath.Join(repository, "tools")}
	module, err := resolver.ModuleDir(t.Context(), "external-secrets", "github.com/external-secrets/external-secrets")
	require.NoError(t, err)
	definition := func(kind string) string {
		return filepath.Join(module, "config", "crds", "bases", "external-secrets.io_"+kind+".yaml")
	}
	clients := apitest.Start(t, resolver.ToolsDir, definition("externalsecrets"), definition("clustersecretstores"))
	external := clients.Objects.Resource(schema.GroupVersionResource{Group: "external-secrets.io", Version: "v1", Resource: "externalsecrets"}).
		Namespace(naming.NamespaceGridOS)
	secrets := clients.Core.CoreV1().Secrets(naming.NamespaceGridOS)
	_, err = clients.Core.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: naming.NamespaceGridOS},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	content, err := os.ReadFile(filepath.Join(repository, "applications", "gridos", "base", "external-secret.yaml"))
	require.NoError(t, err)
	wanted := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal(content, &wanted.Object))
	require.NoError(t, unstructured.SetNestedField(wanted.Object, "2s", "spec", "refreshInterval"))
	wanted, err = external.Create(t.Context(), wanted, metav1.CreateOptions{})
	require.NoError(t, err)

	keys := &vault{client: clients.Core, secrets: map[string]string{"gridos-db-password": "first"}}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	metrics := prometheus.NewRegistry()
	go func() { done <- standins.ExternalSecrets(ctx, clients, keys.find, metrics) }()

	condition := func(status, reason string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			now, err := external.Get(t.Context(), wanted.GetName(), metav1.GetOptions{})
			require.NoError(c, err)
			conditions, _, err := unstructured.NestedSlice(now.Object, "status", "conditions")
			require.NoError(c, err)
			require.Len(c, conditions, 1)
			ready, ok := conditions[0].(map[string]any)
			require.True(c, ok)
			assert.Equal(c, []any{"Ready", status, reason}, []any{ready["type"], ready["status"], ready["reason"]})
			text := httptest.NewRecorder()
			promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}).ServeHTTP(text, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
			const of = `{condition="Ready",name="gridos-secrets",namespace="gridos",status="`
			assert.Contains(c, text.Body.String(), "externalsecret_status_condition"+of+status+`"} 1`)
			opposite := map[string]string{"True": "False", "False": "True"}[status]
			assert.Contains(c, text.Body.String(), "externalsecret_status_condition"+of+opposite+`"} 0`)
			assert.Contains(c, text.Body.String(), `externalsecret_sync_calls_total{name="gridos-secrets",namespace="gridos"}`)
		}, patience, often)
	}
	told := func(why string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			events, err := clients.Core.CoreV1().Events(naming.NamespaceGridOS).List(t.Context(), metav1.ListOptions{})
			require.NoError(c, err)
			var messages []string
			for _, event := range events.Items {
				messages = append(messages, event.Message)
			}
			assert.Contains(c, messages, why)
		}, patience, often)
	}
	holds := func(password string) *corev1.Secret {
		t.Helper()
		var secret *corev1.Secret
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			secret, err = secrets.Get(t.Context(), "gridos-secrets", metav1.GetOptions{})
			require.NoError(c, err)
			assert.Equal(c, map[string][]byte{"database-password": []byte(password), "ingest-token": []byte("token")}, secret.Data)
		}, patience, often)
		return secret
	}

	condition("False", "SecretSyncedError")
	told(`could not get ClusterSecretStore "azure-key-vault": clustersecretstores.external-secrets.io "azure-key-vault" not found`)
	openStore(t, clients.Objects, "another")
	told(`using cluster store "azure-key-vault" is not allowed from namespace "gridos": denied by spec.condition`)
	openStore(t, clients.Objects, "another", naming.NamespaceGridOS)
	told(`cannot use the service account of the store: serviceaccounts "reader" not found`)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}
	account, err = clients.Core.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{})
	require.NoError(t, err)
	told("error processing spec.data[0] (key: gridos-db-password), err: system:serviceaccount:default:reader is not ")
	account.Annotations = map[string]string{"azure.workload.identity/client-id": clientID}
	_, err = clients.Core.CoreV1().ServiceAccounts("default").Update(t.Context(), account, metav1.UpdateOptions{})
	require.NoError(t, err)
	told("error processing spec.data[1] (key: gridos-ingest-token), err: the key vault has no such secret")
	condition("False", "SecretSyncedError")
	_, err = secrets.Get(t.Context(), "gridos-secrets", metav1.GetOptions{})
	require.Error(t, err, "not a part of it")
	keys.set("gridos-ingest-token", "token")
	secret := holds("first")
	condition("True", "SecretSynced")
	owner := metav1.GetControllerOf(secret)
	require.NotNil(t, owner)
	assert.Equal(t, []string{"ExternalSecret", string(wanted.GetUID())}, []string{owner.Kind, string(owner.UID)})
	assert.Equal(t, "-1", secret.Annotations["argocd.argoproj.io/sync-wave"], "what the ExternalSecret says of itself is its Secret's too")

	// A change by hand, and a deleted Secret, are repaired. After the interval the values are
	// fetched again.
	_, err = secrets.Patch(t.Context(), secret.Name, types.MergePatchType,
		[]byte(`{"stringData": {"database-password": "mine"}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	holds("first")
	require.NoError(t, secrets.Delete(t.Context(), secret.Name, metav1.DeleteOptions{}))
	holds("first")
	keys.set("gridos-db-password", "second")
	holds("second")

	// An unsupported field is refused, not ignored. The Secret stays.
	patch(t, external, `{"spec": {"target": {"template": {"type": "Opaque"}}}}`)
	condition("False", "SecretSyncedError")
	told(`the lab's stand-in for External Secrets does not do this: json: unknown field "template"`)
	holds("second")
	patch(t, external, `{"spec": {"target": {"template": null}}}`)
	condition("True", "SecretSynced")
	stop()
	require.NoError(t, <-done)
}

func openStore(t *testing.T, objects dynamic.Interface, namespaces ...string) {
	t.Helper()
	list := make([]any, len(namespaces))
	for i, namespace := range namespaces {
		list[i] = namespace
	}
	store := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "external-secrets.io/v1", "kind": "ClusterSecretStore", "metadata": map[string]any{"name": "azure-key-vault"},
		"spec": map[string]any{
			"provider": map[string]any{"azurekv": map[string]any{
				"vaultUrl": vaultURL, "authType": "WorkloadIdentity",
				"serviceAccountRef": map[string]any{"namespace": "default", "name": "reader"},
			}},
			"conditions": []any{map[string]any{"namespaces": list}},
		},
	}}
	_, err := objects.Resource(schema.GroupVersionResource{
		Group: "external-secrets.io", Version: "v1", Resource: "clustersecretstores",
	}).Apply(t.Context(), store.GetName(), store, metav1.ApplyOptions{FieldManager: "test"})
	require.NoError(t, err)
}

func patch(t *testing.T, external dynamic.ResourceInterface, change string) {
	t.Helper()
	_, err := external.Patch(t.Context(), "gridos-secrets", types.MergePatchType, []byte(change), metav1.PatchOptions{})
	require.NoError(t, err)
}
