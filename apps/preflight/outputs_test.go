package preflight

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type nothing struct{}

func (nothing) NewResource(pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	return "", nil, nil
}

func (nothing) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }

// The other stacks decide whether there is a cluster to ask. Without one the check has nothing to
// say; the program says what is missing of the other stacks.
func TestUnit_ItAsksOnceTheOtherStacksSayWhom(t *testing.T) {
	t.Parallel()
	text := func(s string) pulumi.StringOutput { return pulumi.String(s).ToStringOutput() }
	unknown, ok := pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string { return "" }).(pulumi.StringOutput)
	require.True(t, ok)
	failed, ok := text("").ApplyT(func(string) (string, error) { return "", errors.New("cannot be read") }).(pulumi.StringOutput)
	require.True(t, ok)
	asked := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		assert.Contains(t, r.URL.Path, group)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	cluster := text(`{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c}}],
clusters: [{name: c, cluster: {server: "` + server.URL + `", insecure-skip-tls-verify: true}}]}`)
	for name, test := range map[string]struct {
		args  Args
		asked int
		want  string
	}{
		"both known":                     {Args{Kubeconfig: cluster, Namespace: text("argocd")}, 1, "503 Service Unavailable"},
		"no cluster yet":                 {Args{Kubeconfig: unknown, Namespace: text("argocd")}, 0, ""},
		"no Argo CD yet":                 {Args{Kubeconfig: cluster, Namespace: unknown}, 0, ""},
		"a cluster that cannot be read":  {Args{Kubeconfig: failed, Namespace: text("argocd")}, 0, "cannot be read"},
		"an Argo CD that cannot be read": {Args{Kubeconfig: cluster, Namespace: failed}, 0, "cannot be read"},
	} {
		asked = 0
		err := pulumi.RunErr(test.args.check, pulumi.WithMocks("gridos-apps", "dev", nothing{}))
		if test.want == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, test.want, name)
		}
		assert.Equal(t, test.asked, asked, name)
	}
}

func TestUnit_AnAddressThatIsNoneIsNamed(t *testing.T) {
	t.Parallel()
	err := cluster{client: http.DefaultClient, server: "https://a b", environment: "dev"}.get(t.Context(), group, nil)
	require.ErrorContains(t, err, `the cluster of dev has the address "https://a b", which is none`)

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "9") }))
	t.Cleanup(server.Close)
	err = cluster{client: server.Client(), server: server.URL, environment: "dev"}.get(t.Context(), group, nil)
	require.ErrorContains(t, err, "the cluster of dev did not finish its answer to "+group)
}
