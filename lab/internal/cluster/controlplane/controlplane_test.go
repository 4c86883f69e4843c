package controlplane

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

func testControlPlane(t *testing.T, dir string) *ControlPlane {
	t.Helper()
	resolver := toolchain.Resolver{ToolsDir: filepath.Join("..", "..", "..", "..", "tools")}
	tools, err := resolver.Resolve(t.Context(), toolchain.Etcd, toolchain.KubeAPIServer, toolchain.KubeControllerManager,
		toolchain.KubeScheduler)
	require.NoError(t, err)
	return &ControlPlane{
		Dir: dir,
		Binaries: Binaries{
			Etcd:                  tools[toolchain.Etcd],
			KubeAPIServer:         tools[toolchain.KubeAPIServer],
			KubeControllerManager: tools[toolchain.KubeControllerManager],
			KubeScheduler:         tools[toolchain.KubeScheduler],
		},
	}
}

func clientOf(t *testing.T, c *ControlPlane) kubernetes.Interface {
	t.Helper()
	clients, err := kube.Parse(c.Kubeconfig())
	require.NoError(t, err)
	return clients.Core
}

func eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	begin := time.Now()
	err := wait.PollUntilContextTimeout(t.Context(), pollInterval, time.Minute, true, condition)
	require.NoError(t, err, what)
	t.Logf("%s: %s", what, time.Since(begin).Round(time.Millisecond))
}

func start(t *testing.T, c *ControlPlane) {
	t.Helper()
	begin := time.Now()
	require.NoError(t, c.Start(t.Context()))
	t.Logf("started: %s", time.Since(begin).Round(time.Millisecond))
}

func requireNoneLeft(t *testing.T, dir string) {
	t.Helper()
	layout, err := newLayout(dir)
	require.NoError(t, err)
	left, err := leftovers(layout.marks()...)
	require.NoError(t, err)
	require.Empty(t, left, "processes still running")
}

func TestCluster_WorkloadsRunAndSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	c := testControlPlane(t, dir)
	start(t, c)
	t.Cleanup(func() { assert.NoError(t, c.Stop()) })
	kubeconfig := c.Kubeconfig()
	client := clientOf(t, c)

	nodes := []Node{
		{Name: "system-0", Pool: "system", Mode: "System", VMSize: "Standard_D2s_v5", Zone: "westeurope-1"},
		{Name: "user-0", Pool: "user", Mode: "User", VMSize: "Standard_D4s_v5", Zone: "westeurope-1"},
		{Name: "user-1", Pool: "user", Mode: "User", VMSize: "Standard_D4s_v5", Zone: "westeurope-2"},
	}
	nodes[0].Taints = []string{"CriticalAddonsOnly=true:NoSchedule"}
	require.NoError(t, c.SetNodes(t.Context(), nodes))
	readyNodes := func(want int) wait.ConditionWithContextFunc {
		return func(ctx context.Context) (bool, error) {
			list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
			if err != nil {
				return false, err
			}
			ready := 0
			for _, node := range list.Items {
				for _, condition := range node.Status.Conditions {
					if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
						ready++
					}
				}
			}
			return ready == want && len(list.Items) == want, nil
		}
	}
	eventually(t, "three nodes are ready", readyNodes(3))
	eventually(t, "three nodes renew a lease, without which they would not stay ready", func(ctx context.Context) (bool, error) {
		leases, err := client.CoordinationV1().Leases(corev1.NamespaceNodeLease).List(ctx, metav1.ListOptions{})
		return err == nil && len(leases.Items) == 3, err
	})

	labels := map[string]string{"app": "web"}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.invalid/none"}}},
	}
	replicas := int32(2)
	_, err := client.AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template,
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	once := *template.DeepCopy()
	once.Labels = nil
	once.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err = client.BatchV1().Jobs("default").Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "once"}, Spec: batchv1.JobSpec{Template: once},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	available := func(ctx context.Context) (bool, error) {
		deployment, err := client.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
		return err == nil && deployment.Status.AvailableReplicas == replicas, err
	}
	eventually(t, "the Deployment is available", available)
	eventually(t, "the Job is complete", func(ctx context.Context) (bool, error) {
		job, err := client.BatchV1().Jobs("default").Get(ctx, "once", metav1.GetOptions{})
		return err == nil && job.Status.CompletionTime != nil, err
	})
	pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	require.NoError(t, err)
	for _, pod := range pods.Items {
		assert.NotEqual(t, "system-0", pod.Spec.NodeName, "the taint keeps workloads off the system pool")
	}

	logs := client.CoreV1().Pods("default").GetLogs(pods.Items[0].Name, &corev1.PodLogOptions{})
	_, err = logs.Stream(t.Context())
	require.ErrorContains(t, err, "not in the lab's registry", "the API server reaches the node agent")
	node, err := client.CoreV1().Nodes().Get(t.Context(), nodes[0].Name, metav1.GetOptions{})
	require.NoError(t, err)
	administrator, err := kube.Parse(kubeconfig)
	require.NoError(t, err)
	agent := fmt.Sprintf("https://127.0.0.1:%d/containerLogs/a/b/c", node.Status.DaemonEndpoints.KubeletEndpoint.Port)
	for who, config := range map[string]rest.TLSClientConfig{
		"a client without a certificate": {CAData: administrator.Config.CAData}, "an administrator": administrator.Config.TLSClientConfig,
	} {
		other, err := rest.HTTPClientFor(&rest.Config{TLSClientConfig: config})
		require.NoError(t, err)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, agent, http.NoBody)
		require.NoError(t, err)
		response, err := other.Do(request)
		if err == nil {
			response.Body.Close()
		}
		require.Error(t, err, "%s is answered by the node agent", who)
	}

	require.ErrorContains(t, (&ControlPlane{
		Dir: dir, Binaries: c.Binaries,
	}).Start(t.Context()), "in use", "one directory, one control plane")
	require.ErrorContains(t, Reap(dir), "in use", "a running control plane is not reaped")

	begin := time.Now()
	require.NoError(t, c.Stop())
	t.Logf("stopped: %s", time.Since(begin).Round(time.Millisecond))
	requireNoneLeft(t, dir)
	start(t, c)
	assert.Equal(t, string(kubeconfig), string(c.Kubeconfig()), "a kubeconfig handed out stays valid")
	eventually(t, "the Deployment is still available", available)

	// With one user node fewer, its pods move to the other one.
	require.NoError(t, c.SetNodes(t.Context(), nodes[:2]))
	eventually(t, "two nodes are ready", readyNodes(2))
	eventually(t, "the Deployment has moved", func(ctx context.Context) (bool, error) {
		pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		if err != nil {
			return false, err
		}
		running := 0
		for _, pod := range pods.Items {
			if pod.Spec.NodeName == "user-0" && pod.Status.Phase == corev1.PodRunning {
				running++
			}
		}
		return running == int(replicas) && len(pods.Items) == running, nil
	})

	select {
	case err := <-c.Exited():
		t.Fatalf("a component ended by itself: %v", err)
	default:
	}
	require.NoError(t, c.Stop())
	requireNoneLeft(t, dir)
}
