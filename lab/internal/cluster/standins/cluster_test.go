package standins_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

// startCluster runs a whole control plane until the test ends, with a node, the kind Rollout and
// the application's namespace.
func startCluster(t *testing.T) *kube.Clients {
	t.Helper()
	resolver := toolchain.Resolver{ToolsDir: filepath.Join(repository, "tools")}
	paths, err := resolver.Resolve(t.Context(), toolchain.Etcd, toolchain.KubeAPIServer, toolchain.KubeControllerManager,
		toolchain.KubeScheduler)
	require.NoError(t, err)
	argo, err := resolver.ModuleDir(t.Context(), toolchain.ArgoModule, "github.com/argoproj/argo-rollouts")
	require.NoError(t, err)
	plane := &controlplane.ControlPlane{
		Dir: t.TempDir(),
		Binaries: controlplane.Binaries{
			Etcd: paths[toolchain.Etcd], KubeAPIServer: paths[toolchain.KubeAPIServer],
			KubeControllerManager: paths[toolchain.KubeControllerManager], KubeScheduler: paths[toolchain.KubeScheduler],
		},
	}
	require.NoError(t, plane.Start(t.Context()))
	t.Cleanup(func() { assert.NoError(t, plane.Stop()) })
	require.NoError(t, plane.SetNodes(t.Context(), []controlplane.Node{
		{Name: "user-0", Pool: "user", Mode: "User", VMSize: "Standard_D4s_v5"},
	}))
	clients, err := kube.Parse(plane.Kubeconfig())
	require.NoError(t, err)
	_, err = envtest.InstallCRDs(clients.Config, envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(argo, "manifests", "crds", "rollout-crd.yaml")}, ErrorIfPathMissing: true,
	})
	require.NoError(t, err)
	_, err = clients.Core.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: naming.NamespaceGridOS},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return clients
}

// createReplicaSet makes two pods that request as much CPU as the application's pods.
func createReplicaSet(t *testing.T, client kubernetes.Interface, labels map[string]string) {
	t.Helper()
	replicas := int32(2)
	_, err := client.AppsV1().ReplicaSets(naming.NamespaceGridOS).Create(t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "gridos"},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "gridos", Image: "gridos:v1", Resources: corev1.ResourceRequirements{
						Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
					},
				}}},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}
