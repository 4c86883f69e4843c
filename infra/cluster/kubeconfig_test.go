package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const header = `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://c.example.com"}}]
users: [{name: u, user: `

func TestUnit_KubeloginSignsInAsConfigured(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"long flag":  "[get-token, --login, devicecode, --server-id, s]",
		"short flag": "[get-token, -l, devicecode, --server-id, s]",
		"no flag":    "[get-token, --server-id, s]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := signInWithKubelogin(header+`{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: kubelogin,
  args: `+args+`}}}]`, "workloadidentity")
			require.NoError(t, err)
			config, err := clientcmd.Load([]byte(text))
			require.NoError(t, err)
			assert.Equal(t, []string{"get-token", "--server-id", "s", "--login", "workloadidentity"},
				config.AuthInfos["u"].Exec.Args)
		})
	}
}

func TestUnit_OtherUsersPassUnchanged(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]string{
		"client certificate": "{client-certificate-data: YQ==, client-key-data: YQ==}}]",
		"another program":    "{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [--login, x]}}}]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := signInWithKubelogin(header+user, "azurecli")
			require.NoError(t, err)
			assert.Equal(t, header+user, text)
		})
	}
}

func TestUnit_AMalformedKubeconfigIsAnError(t *testing.T) {
	t.Parallel()
	text, err := signInWithKubelogin("no: [kubeconfig", "azurecli")
	require.ErrorContains(t, err, "the kubeconfig that Azure returned is malformed")
	assert.Empty(t, text)
}

// A credential beside kubelogin would be used without asking the directory.
func TestUnit_NothingSignsInBesideKubelogin(t *testing.T) {
	t.Parallel()
	text, err := signInWithKubelogin(header+`{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: kubelogin, args: [get-token]},
  token: t, tokenFile: /t, username: a, password: b, client-certificate: /c, client-certificate-data: YQ==, client-key: /k,
  client-key-data: YQ==, auth-provider: {name: azure}}}]`, "azurecli")
	require.NoError(t, err)
	config, err := clientcmd.Load([]byte(text))
	require.NoError(t, err)
	user := config.AuthInfos["u"]
	require.NotNil(t, user.Exec)
	user.Exec, user.LocationOfOrigin, user.Extensions = nil, "", nil
	assert.Equal(t, clientcmdapi.AuthInfo{}, *user)
}
