package helm

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/stacks"
)

// cluster answers as an API server with the records of the release argocd, and notes what is
// deleted. It returns a kubeconfig.
func cluster(t *testing.T, deleting int, statuses ...string) (kubeconfig string, deleted *[]string) {
	t.Helper()
	deleted = &[]string{}
	list := corev1.SecretList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "SecretList"}}
	for i, status := range statuses {
		revision := string(rune('1' + i))
		list.Items = append(list.Items, corev1.Secret{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{
				Name: "sh.helm.release.v1.argocd.v" + revision, UID: types.UID("uid-" + revision),
				Labels: map[string]string{"owner": "helm", "name": "argocd", "status": status, "version": revision},
			},
			Data: map[string][]byte{"release": []byte(written(t))},
		})
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.Method {
		case http.MethodGet:
			assert.Equal(t, "/api/v1/namespaces/argocd/secrets", r.URL.Path)
			assert.Equal(t, "owner=helm,name=argocd", r.URL.Query().Get("labelSelector"))
			assert.NoError(t, json.NewEncoder(w).Encode(list))
		case http.MethodDelete:
			var options metav1.DeleteOptions
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			assert.NoError(t, json.Unmarshal(body, &options))
			*deleted = append(*deleted, r.URL.Path+" "+string(*options.Preconditions.UID))
			status := metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess}
			if deleting != http.StatusOK {
				status.Status, status.Code, status.Message = metav1.StatusFailure, int32(deleting), "the cluster's answer"
			}
			w.WriteHeader(deleting)
			assert.NoError(t, json.NewEncoder(w).Encode(status))
		}
	}))
	t.Cleanup(server.Close)
	return `{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "c", "cluster": {"server": "` + server.URL + `", "insecure-skip-tls-verify": true}}],
		"users": [{"name": "u", "user": {"token": "t"}}],
		"contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}`, deleted
}

// remove runs removeRecords for the release argocd, whose name is secret and whose namespace
// depends on a resource.
func remove(t *testing.T, kubeconfig string, stale func([]record) []record) error {
	t.Helper()
	_, err := mocks.Run{Project: stacks.Bootstrap, Root: "../..", Stack: "dev"}.Do(func(ctx *pulumi.Context) error {
		return removeRecords(ctx, kubeconfig, resource.PropertyMap{
			"name": resource.MakeSecret(resource.NewProperty("argocd")),
			"namespace": resource.NewProperty(resource.Output{
				Element: resource.NewProperty("argocd"), Known: true, Dependencies: []resource.URN{"urn:pulumi:dev::p::t::namespace"},
			}),
		}, stale)
	})
	return err
}

func TestUnit_RecordsThatAKilledUpdateLeftAreDeleted(t *testing.T) {
	t.Parallel()
	kubeconfig, deleted := cluster(t, http.StatusOK, "superseded", "deployed", "pending-upgrade")
	require.NoError(t, remove(t, kubeconfig, staleForUpgrade))
	assert.Equal(t, []string{"/api/v1/namespaces/argocd/secrets/sh.helm.release.v1.argocd.v3 uid-3"}, *deleted)

	kubeconfig, deleted = cluster(t, http.StatusOK, "superseded", "deployed")
	require.NoError(t, remove(t, kubeconfig, staleForUpgrade))
	assert.Empty(t, *deleted, "no update was killed")
	require.NoError(t, remove(t, kubeconfig, staleForInstall))
	assert.Len(t, *deleted, 2, "the state does not have the release, and the platform installed it")

	kubeconfig, _ = cluster(t, http.StatusForbidden, "pending-install")
	err := remove(t, kubeconfig, staleForInstall)
	require.ErrorContains(t, err, "release argocd: remove record sh.helm.release.v1.argocd.v1, which a killed update left")
	require.ErrorContains(t, err, "the cluster's answer")

	err = remove(t, "not YAML: [", staleForInstall)
	require.ErrorContains(t, err, "release argocd: look for what a killed update left in namespace argocd")
}
