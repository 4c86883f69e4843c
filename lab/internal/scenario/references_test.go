package scenario

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
)

// TestUnit_PodsThatCannotStartAgainAreFound checks the shipped pods, and pods that use each other
// way of naming the objects that they need.
func TestUnit_PodsThatCannotStartAgainAreFound(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../applications/gridos/base/deployment.yaml")
	require.NoError(t, err)
	var shipped appsv1.Deployment
	require.NoError(t, yaml.UnmarshalStrict(text, &shipped))
	require.NotEmpty(t, referencesOf(shipped.Spec.Template.Spec), "the shipped pods need their secrets")

	yes, one, none := true, int32(1), int32(0)
	config := corev1.LocalObjectReference{Name: "gridos-config-old"}
	variable := corev1.PodSpec{Containers: []corev1.Container{{Env: []corev1.EnvVar{
		{Name: "PLAIN", Value: "x"},
		{Name: "FROM", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: config, Key: "a"}}},
	}}}}
	const gone = "the ReplicaSet gridos-1 has 0 pods and names the ConfigMap gridos-config-old, which is not there"
	const noKey = "the ReplicaSet gridos-1 has 0 pods and names the key a of the ConfigMap gridos-config-old, which is not there"
	secret := func(name string, keys ...string) runtime.Object {
		object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: naming.NamespaceGridOS}, Data: map[string][]byte{}}
		for _, key := range keys {
			object.Data[key] = nil
		}
		return object
	}
	configMap := func(keys ...string) runtime.Object {
		object := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: config.Name, Namespace: naming.NamespaceGridOS}, Data: map[string]string{},
		}
		for _, key := range keys {
			object.Data[key] = ""
		}
		return object
	}
	projected := corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: config, Items: []corev1.KeyToPath{{Key: "a", Path: "a"}}}},
		}},
	}}}}
	for name, given := range map[string]struct {
		pod      corev1.PodSpec
		replicas *int32
		objects  []runtime.Object
		want     string
	}{
		"shipped, without its Secrets": {
			shipped.Spec.Template.Spec, &one, nil, "names the Secret gridos-secrets, which is not there",
		},
		"shipped, with its Secrets": {shipped.Spec.Template.Spec, &one, []runtime.Object{
			secret("gridos-secrets", "ingest-token", "database-password"), secret("gridos-database", "password"),
		}, ""},
		"shipped, without a file that a variable names": {
			shipped.Spec.Template.Spec, &one,
			[]runtime.Object{secret("gridos-secrets", "ingest-token", "database-password"), secret("gridos-database", "other")},
			"names the key password of the Secret gridos-database, which is not there",
		},
		"shipped, without a key": {
			shipped.Spec.Template.Spec, &one,
			[]runtime.Object{secret("gridos-secrets", "database-password"), secret("gridos-database", "password")},
			"names the key ingest-token of the Secret gridos-secrets, which is not there",
		},
		"variable":                             {variable, &one, nil, noKey},
		"variable, of an object that is there": {variable, &one, []runtime.Object{configMap("a")}, ""},
		"variable, of an object without it":    {variable, &one, []runtime.Object{configMap("b")}, noKey},
		"projected":                            {projected, &one, []runtime.Object{configMap("a")}, ""},
		"projected, without it":                {projected, &one, []runtime.Object{configMap("b")}, noKey},
		"variable, without pods":               {variable, &none, nil, ""},
		"all variables": {corev1.PodSpec{InitContainers: []corev1.Container{{EnvFrom: []corev1.EnvFromSource{
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: config}},
		}}}}, &one, nil, gone},
		"volume": {corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: config},
		}}}}, &one, nil, gone},
		"optional": {corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: config, Optional: &yes},
		}}}}, &one, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset(append(given.objects, &appsv1.ReplicaSet{
				ObjectMeta: metav1.ObjectMeta{Name: "gridos-1", Namespace: naming.NamespaceGridOS},
				Spec:       appsv1.ReplicaSetSpec{Replicas: given.replicas, Template: corev1.PodTemplateSpec{Spec: given.pod}},
			})...)
			err := missingReferences(t.Context(), client)
			if given.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, given.want)
			}
		})
	}
}
