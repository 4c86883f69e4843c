package integrity

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/gridos/sharedinfra/bootstrap/helm"
)

// record is Helm's record of a revision of the release argocd/argocd, which has one ConfigMap.
func record(t *testing.T, revision int, status string) *corev1.Secret {
	t.Helper()
	text, err := json.Marshal(map[string]string{
		"manifest": "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n---\n# nothing\n",
	})
	require.NoError(t, err)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "argocd", Name: fmt.Sprintf("sh.helm.release.v1.argocd.v%d", revision),
			Labels: map[string]string{"owner": "helm", "name": "argocd", "version": fmt.Sprint(revision), "status": status},
		},
		Data: map[string][]byte{"release": []byte(base64.StdEncoding.EncodeToString(packed.Bytes()))},
	}
}

// clusterWith returns a cluster with Helm's records and other objects.
func clusterWith(records []runtime.Object, objects ...runtime.Object) *cluster {
	kinds := meta.NewDefaultRESTMapper(nil)
	kinds.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	kinds.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	return &cluster{fake.NewClientset(records...), dynamicfake.NewSimpleDynamicClient(scheme.Scheme, objects...), kinds}
}

func configMap(deleted *metav1.Time) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "argocd", Name: "argocd-cm", DeletionTimestamp: deleted},
	}
}

func TestUnit_EveryReleaseIsWholeAndKnown(t *testing.T) {
	t.Parallel()
	state := []apitype.ResourceV3{inState(helm.ReleaseToken, "argocd/argocd")}
	upgraded := []runtime.Object{record(t, 9, "superseded"), record(t, 10, "deployed")}
	require.NoError(t, clusterWith(upgraded, configMap(nil)).hasReleases(t.Context(), state))

	now := metav1.NewTime(time.Now())
	for want, c := range map[string]struct {
		state   []apitype.ResourceV3
		cluster *cluster
	}{
		"the state has no release of Helm's":                       {nil, clusterWith(upgraded, configMap(nil))},
		"argocd/argocd is in the state and not in the cluster":     {state, clusterWith(nil, configMap(nil))},
		"argocd/argocd is in the cluster and not in the state":     {[]apitype.ResourceV3{inState(helm.ReleaseToken, "a/b")}, clusterWith(upgraded, configMap(nil))},
		"is pending-upgrade instead of deployed":                   {state, clusterWith(append(upgraded, record(t, 11, "pending-upgrade")), configMap(nil))},
		"argocd/argocd: ConfigMap argocd-cm is not in the cluster": {state, clusterWith(upgraded)},
		"argocd/argocd: ConfigMap argocd-cm is being deleted":      {state, clusterWith(upgraded, configMap(&now))},
	} {
		require.ErrorContains(t, c.cluster.hasReleases(t.Context(), c.state), want)
	}
}

func TestUnit_EveryObjectOfAStateIsInTheCluster(t *testing.T) {
	t.Parallel()
	object := inState("kubernetes:core/v1:ConfigMap", "argocd/argocd-cm")
	object.Outputs = map[string]any{"apiVersion": "v1"}
	namespace := inState("kubernetes:core/v1:Namespace", "argocd")
	namespace.Outputs = map[string]any{"apiVersion": "v1"}
	state := []apitype.ResourceV3{object, namespace, inState("pulumi:pulumi:Stack", "")}
	there := &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "argocd"}}

	require.NoError(t, clusterWith(nil, there, configMap(nil)).hasState(t.Context(), state))
	require.ErrorContains(t, clusterWith(nil, there).hasState(t.Context(), state), "ConfigMap argocd-cm is not in the cluster")
	require.ErrorContains(t, clusterWith(nil, configMap(nil)).hasState(t.Context(), state), "Namespace argocd is not in the cluster")
}
