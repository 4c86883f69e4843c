package kube_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/gridos/sharedinfra/lab/internal/host/kube"
)

func TestUnit_AllClientsSignInAsTheKubeconfigSays(t *testing.T) {
	t.Parallel()
	var paths, logins []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths, logins = append(paths, r.URL.Path), append(logins, r.Header.Get("Authorization"))
		http.Error(w, "{}", http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := clientcmdapi.NewConfig()
	config.Clusters["lab"] = &clientcmdapi.Cluster{
		Server:                   server.URL,
		CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: "s3cret"}
	config.Contexts["lab"] = &clientcmdapi.Context{Cluster: "lab", AuthInfo: "admin"}
	config.CurrentContext = "lab"
	require.NoError(t, clientcmd.WriteToFile(*config, file))

	clients, err := kube.Connect(file)
	require.NoError(t, err)
	assert.Empty(t, paths, "it asks nothing yet")
	assert.Equal(t, server.URL, clients.Config.Host)
	_, err = clients.Core.CoreV1().Nodes().Get(t.Context(), "node", metav1.GetOptions{})
	require.Error(t, err)
	kind := schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
	_, err = clients.Objects.Resource(kind).Namespace("gridos").Get(t.Context(), "gridos", metav1.GetOptions{})
	require.Error(t, err)
	assert.Equal(t, []string{"/api/v1/nodes/node", "/apis/argoproj.io/v1alpha1/namespaces/gridos/rollouts/gridos"}, paths)
	assert.Equal(t, []string{"Bearer s3cret", "Bearer s3cret"}, logins)
}

func TestUnit_AKubeconfigThatIsNoneIsNamed(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := kube.Connect(missing)
	require.ErrorContains(t, err, missing)
	require.ErrorIs(t, err, os.ErrNotExist)

	damaged := filepath.Join(t.TempDir(), "damaged")
	require.NoError(t, os.WriteFile(damaged, []byte("clusters: no list"), 0o600))
	_, err = kube.Connect(damaged)
	require.ErrorContains(t, err, damaged+": read the kubeconfig")

	empty := filepath.Join(t.TempDir(), "empty") // client-go would take an empty one for the server on port 8080
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err = kube.Connect(empty)
	require.ErrorContains(t, err, empty)
}
