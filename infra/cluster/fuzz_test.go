package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// FuzzKubeconfig: a user that signs in by kubelogin uses the configured mode and nothing else;
// everything else in a kubeconfig stays as it is, and a second run changes nothing.
func FuzzKubeconfig(f *testing.F) {
	const kubelogin = `{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: kubelogin, interactiveMode: IfAvailable, `
	for _, user := range []string{
		kubelogin + `args: [get-token, --login, devicecode, --server-id, s]}}}]`,
		kubelogin + `args: [get-token, -l, devicecode, --server-id, s], env: [{name: A, value: b}], installHint: x}}}]`,
		kubelogin + `args: [get-token, --login=devicecode, --server-id, s]}}}]`,
		kubelogin + `args: [get-token, -ldevicecode]}}}]`,
		kubelogin + `args: [--login]}, token: t, client-certificate-data: YQ==, client-key-data: YQ==, username: a, password: b}}]`,
		kubelogin + `provideClusterInfo: true, args: null}, tokenFile: /t, client-certificate: c, client-key: k}}, {name: v, user: {token: t}}]`,
		`{client-certificate-data: YQ==, client-key-data: YQ==}}]`,
		`{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [--login, x]}}}]`,
		`null}, null]`,
	} {
		f.Add(header+user, true)
		f.Add(header+user, false)
	}
	f.Add("", true)
	f.Add("no: [kubeconfig", true)
	f.Add(`{"kind":"Config","apiVersion":"v1","preferences":{},"users":[{"name":"u","user":{"exec":{"command":"kubelogin"},`+
		`"extensions":[{"name":"e","extension":{"a":1}}]}}],"extensions":[{"name":"e","extension":"x"}]}`, false)
	f.Fuzz(func(t *testing.T, kubeconfig string, workload bool) {
		mode := "azurecli"
		if workload {
			mode = "workloadidentity"
		}
		rewritten, err := signInWithKubelogin(kubeconfig, mode)
		if err != nil {
			assert.ErrorContains(t, err, "kubeconfig")
			return
		}
		twice, err := signInWithKubelogin(rewritten, mode)
		require.NoError(t, err)
		require.Equal(t, rewritten, twice)

		before, err := clientcmd.Load([]byte(kubeconfig))
		require.NoError(t, err)
		after, err := clientcmd.Load([]byte(rewritten))
		require.NoError(t, err)
		require.Len(t, after.AuthInfos, len(before.AuthInfos))
		for name, user := range after.AuthInfos {
			was := before.AuthInfos[name]
			require.NotNil(t, was, name)
			if user.Exec == nil || user.Exec.Command != "kubelogin" {
				require.Equal(t, was, user, "who signs in otherwise stays as it is")
				continue
			}
			args := user.Exec.Args
			require.GreaterOrEqual(t, len(args), 2)
			require.Equal(t, []string{"--login", mode}, args[len(args)-2:])
			for _, other := range args[:len(args)-2] {
				flag, _, _ := strings.Cut(other, "=")
				assert.False(t, flag == "--login" || strings.HasPrefix(other, "-l"), "another login is left: %q", args)
				assert.Contains(t, was.Exec.Args, other)
			}
			assert.Empty(t, slices.DeleteFunc([]string{
				user.Token, user.TokenFile, user.Username, user.Password, user.ClientCertificate, user.ClientKey,
				string(user.ClientCertificateData), string(user.ClientKeyData),
			}, func(credential string) bool { return credential == "" }), "a static credential is left")
			user.Exec.Args = was.Exec.Args
			was.Token, was.TokenFile, was.Username, was.Password, was.AuthProvider = "", "", "", "", nil
			was.ClientCertificate, was.ClientCertificateData, was.ClientKey, was.ClientKeyData = "", nil, "", nil
			require.Equal(t, was, user, "everything else stays as it is")
		}
		before.AuthInfos, after.AuthInfos = map[string]*clientcmdapi.AuthInfo{}, map[string]*clientcmdapi.AuthInfo{}
		require.Equal(t, before, after, "clusters and contexts stay as they are")
	})
}
