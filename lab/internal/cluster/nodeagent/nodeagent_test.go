package nodeagent

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"github.com/gridos/sharedinfra/lab/internal/cluster/apitest"
	labimage "github.com/gridos/sharedinfra/lab/internal/delivery/image"
	"github.com/gridos/sharedinfra/lab/internal/delivery/registry"
)

// TestMain runs the tests. Containers begin with this binary, as they do with the lab's.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		if err := Enter(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const tools = "../../../../tools"

// namespace is where the tests' pods are, and nodeName the node that they are on.
const (
	namespace = metav1.NamespaceDefault
	nodeName  = "user-0"
)

// lab is an API server with an agent, a node, and a registry with the image program:v1 of a user
// other than root.
type lab struct {
	*testing.T

	client kubernetes.Interface
	agent  *Agent
	image  string
}

// besideAddress is that of a program beside the cluster.
const besideAddress = "10.244.200.8"

func start(t *testing.T, services ...Service) lab {
	t.Helper()
	if err := Supported(t.Context()); err != nil {
		t.Skip("skipped: " + err.Error())
	}
	images, err := registry.Start(t.Context(), registry.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, images.Stop()) })
	reference := images.Address() + "/program:v1"
	_, err = labimage.Push(t.Context(), program(t), reference, registry.User, images.Token())
	require.NoError(t, err)

	client := apitest.Start(t, tools).Core
	agent, err := Start(t.Context(), client, Options{
		Dir: filepath.Join(t.TempDir(), "nodes"), Registry: images.Address(), Mirrored: func() []string { return []string{"example.azurecr.io"} },
		Services: func() []Service { return append([]Service{}, services...) }, Roots: func() []byte { return []byte("the lab's roots") },
		Beside: map[netip.Addr]*corev1.Pod{netip.MustParseAddr(besideAddress): {ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "beside", UID: "beside", Labels: map[string]string{"app": "gateway"},
		}}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, agent.Stop()) })
	_, err = client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}, metav1.CreateOptions{})
	require.NoError(t, err)
	return lab{t, client, agent, reference}
}

// compiled is the program of the tests, which is the same for all.
var compiled = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "gridos-nodeagent-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	output := filepath.Join(dir, "program")
	command := exec.Command("go", "build", "-o", output, "./testdata/program")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	return os.ReadFile(output)
})

func program(t *testing.T) v1.Image {
	t.Helper()
	content, err := compiled()
	require.NoError(t, err)
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	require.NoError(t, writer.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/program", Size: int64(len(content)), Mode: 0o755}))
	_, err = writer.Write(content)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	require.NoError(t, err)
	made, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	made, err = mutate.Config(made, v1.Config{
		User: "65532:65532", Entrypoint: []string{"program"}, Cmd: []string{"serve"}, Env: []string{"PATH=/bin", "OF_IMAGE=image"},
	})
	require.NoError(t, err)
	return made
}

// create makes a pod with one container, which change changes.
func (l lab) create(name string, change func(pod *corev1.Pod, c *corev1.Container)) *corev1.Pod {
	l.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{NodeName: nodeName, Containers: []corev1.Container{{Name: "main", Image: l.image}}},
	}
	change(pod, &pod.Spec.Containers[0])
	created, err := l.client.CoreV1().Pods(namespace).Create(l.Context(), pod, metav1.CreateOptions{})
	require.NoError(l, err)
	return created
}

// until waits for a state of a pod, and returns the pod.
func (l lab) until(name, what string, is func(pod *corev1.Pod) bool) *corev1.Pod {
	l.Helper()
	var found *corev1.Pod
	require.Eventually(l, func() bool {
		var err error
		found, err = l.client.CoreV1().Pods(namespace).Get(l.Context(), name, metav1.GetOptions{})
		return err == nil && is(found)
	}, time.Minute, 50*time.Millisecond, "%s: %s; it is %s", name, what, shown{found})
	return found
}

type shown struct{ pod *corev1.Pod }

func (s shown) String() string {
	text, _ := json.Marshal(s.pod)
	return string(text)
}

func ready(pod *corev1.Pod) bool { return isTrue(&pod.Status, corev1.PodReady) }

func waits(reason string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool {
		return len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Waiting != nil &&
			pod.Status.ContainerStatuses[0].State.Waiting.Reason == reason
	}
}

// get asks a pod by HTTP, from an address of the cluster.
func (l lab) get(pod *corev1.Pod, path string) string {
	l.Helper()
	client := &http.Client{Transport: l.agent.Transport(netip.MustParseAddr("10.244.200.7"))}
	request, err := http.NewRequestWithContext(l.Context(), http.MethodGet, "http://"+pod.Status.PodIP+":8080"+path, http.NoBody)
	require.NoError(l, err)
	response, err := client.Do(request)
	require.NoError(l, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(l, err)
	client.CloseIdleConnections()
	return string(text)
}

// events are the reasons of the events about a pod, in the order of their names.
func (l lab) events(pod *corev1.Pod) (reasons []string) {
	l.Helper()
	about := metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID)}
	list, err := l.client.CoreV1().Events(namespace).List(l.Context(), about)
	require.NoError(l, err)
	for _, event := range list.Items {
		assert.Equal(l, "kubelet", event.Source.Component)
		if !slices.Contains(reasons, event.Reason) {
			reasons = append(reasons, event.Reason)
		}
	}
	slices.Sort(reasons)
	return reasons
}

func (l lab) logs(pod, container, query string) string {
	l.Helper()
	recorder := httptest.NewRecorder()
	path := "/containerLogs/" + namespace + "/" + pod + "/" + container + query
	request := httptest.NewRequestWithContext(l.Context(), http.MethodGet, path, http.NoBody)
	l.agent.Handler().ServeHTTP(recorder, request)
	return recorder.Body.String()
}

func (l lab) remove(name string, grace int64) {
	l.Helper()
	require.NoError(l, l.client.CoreV1().Pods(namespace).Delete(l.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &grace}))
}

func (l lab) untilGone(name string, within time.Duration) {
	l.Helper()
	require.Eventually(l, func() bool {
		_, err := l.client.CoreV1().Pods(namespace).Get(l.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, within, 50*time.Millisecond, "%s is gone", name)
}

func (l lab) configMap(name string, data map[string]string) {
	l.Helper()
	_, err := l.client.CoreV1().ConfigMaps(namespace).Create(l.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{})
	require.NoError(l, err)
}

func httpProbe(path string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}},
		PeriodSeconds: 1, TimeoutSeconds: 3, FailureThreshold: 20,
	}
}

// outside is the address of a server that says what it is to each client.
func outside(t *testing.T) string {
	t.Helper()
	server, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		for {
			connection, err := server.Accept()
			if err != nil {
				return
			}
			_, _ = connection.Write([]byte("a server outside"))
			_ = connection.Close()
		}
	}()
	return server.Addr().String()
}

func TestCluster_APodRunsAsItsManifestSays(t *testing.T) {
	t.Parallel()
	server := outside(t)
	l := start(t, Service{Host: "db.example", Port: 80, Address: server})
	l.configMap("settings", map[string]string{"colour": "green"})
	_, err := l.client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "keys"}, StringData: map[string]string{"password": "first", "other": "not mounted"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	mode, yes := int32(0o440), true
	l.create("whole", func(pod *corev1.Pod, c *corev1.Container) {
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes}
		pod.Spec.Volumes = []corev1.Volume{
			{Name: "keys", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
				SecretName: "keys", DefaultMode: &mode, Items: []corev1.KeyToPath{{Key: "password", Path: "database/password"}},
			}}},
			{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		}
		pod.Spec.InitContainers = []corev1.Container{{
			Name: "before", Image: l.image, Args: []string{"touch", "/scratch/made-before"},
			VolumeMounts: []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}},
		}}
		c.SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: &yes}
		c.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}
		c.Env = []corev1.EnvVar{
			{Name: "PLAIN", Value: "plain"},
			{Name: "COMPOSED", Value: "$(PLAIN)-$(MISSING)-$$(PLAIN)"},
			{Name: "COLOUR", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}, Key: "colour",
			}}},
			{Name: "POD", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
			{Name: "ADDRESS", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
		}
		c.VolumeMounts = []corev1.VolumeMount{
			{Name: "keys", MountPath: "/var/run/secrets/keys", ReadOnly: true}, {Name: "scratch", MountPath: "/scratch"},
		}
		c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = httpProbe("/healthz"), httpProbe("/readyz"), httpProbe("/healthz")
		c.LivenessProbe.FailureThreshold = 1
	})
	pod := l.until("whole", "it is ready", ready)
	status := pod.Status.ContainerStatuses[0]
	assert.Equal(t, corev1.PodRunning, pod.Status.Phase)
	assert.NotNil(t, status.State.Running)
	assert.True(t, *status.Started)
	assert.True(t, isTrue(&pod.Status, ConditionRuns))
	assert.Equal(t, "Completed", pod.Status.InitContainerStatuses[0].State.Terminated.Reason)
	assert.True(t, l.agent.Runs(namespace, "whole"))

	environment := strings.Split(l.get(pod, "/environment"), "\n")
	for _, want := range []string{
		"PLAIN=plain", "COMPOSED=plain-$(MISSING)-$(PLAIN)", "COLOUR=green", "POD=whole", "ADDRESS=" + pod.Status.PodIP,
		"PATH=/bin", "OF_IMAGE=image", "HOSTNAME=whole",
	} {
		assert.Contains(t, environment, want)
	}
	assert.Equal(t, "first", l.get(pod, "/file?path=/var/run/secrets/keys/database/password"))
	assert.Contains(t, l.get(pod, "/file?path=/var/run/secrets/keys/other"), "no such file")
	assert.Empty(t, l.get(pod, "/file?path=/scratch/made-before"), "an init container shares the volume")
	assert.Contains(t, l.get(pod, "/write?path=/elsewhere"), "read-only file system")
	assert.Contains(t, l.get(pod, "/write?path=/var/run/secrets/keys/more"), "read-only file system")
	assert.Empty(t, l.get(pod, "/write?path=/scratch/file"))
	assert.Equal(t, "the lab's roots", l.get(pod, "/file?path=/etc/ssl/certs/ca-certificates.crt"))
	assert.Contains(t, l.get(pod, "/file?path="+t.TempDir()), "no such file", "this machine's files are out of sight")
	assert.Equal(t, "uid 65532 gid 65532 host whole client 10.244.200.7", l.get(pod, "/self"))
	assert.Equal(t, "a server outside", l.get(pod, "/ask?address=db.example:80"))
	assert.Contains(t, l.get(pod, "/ask?address="+server), "refused", "the machine's own network is out of reach")

	assert.Contains(t, l.logs("whole", "main", ""), "it begins with [serve]\n")
	assert.Contains(t, l.logs("whole", "before", "?tailLines=1"), "it begins with [touch /scratch/made-before]\n")
	assert.Contains(t, l.logs("whole", "main", "?timestamps=true"), "leave timestamps out")

	_, err = l.client.CoreV1().Secrets(namespace).Patch(t.Context(), "keys", "application/merge-patch+json",
		[]byte(`{"stringData":{"password":"second"}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.get(pod, "/file?path=/var/run/secrets/keys/database/password") == "second" },
		3*refreshInterval, 200*time.Millisecond, "a mounted Secret is renewed in a pod that runs")

	l.get(pod, "/write?path=/scratch/sick")
	restarted := l.until("whole", "it is restarted", func(pod *corev1.Pod) bool {
		return pod.Status.ContainerStatuses[0].RestartCount == 1 && pod.Status.ContainerStatuses[0].State.Running != nil
	})
	assert.Equal(t, int32(0), restarted.Status.ContainerStatuses[0].LastTerminationState.Terminated.ExitCode)
	assert.Contains(t, l.logs("whole", "main", "?previous=true"), "it was asked to end\n")
	assert.Subset(t, l.events(pod), []string{"Created", "Killing", "Pulled", "Started", "Unhealthy"})

	began := time.Now()
	l.remove("whole", 20)
	l.untilGone("whole", 15*time.Second)
	assert.Greater(t, time.Since(began), 400*time.Millisecond, "it had its time to end")
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(l.agent.options.Dir, podsDir, string(pod.UID)))
		return errors.Is(err, os.ErrNotExist)
	}, 10*time.Second, 50*time.Millisecond, "nothing of it stays")
}

func TestCluster_WhatIsWrongIsSaidAsAKubeletSaysIt(t *testing.T) {
	t.Parallel()
	l := start(t)
	reference := func(name string) []corev1.EnvFromSource {
		return []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}}
	}
	l.create("no-settings", func(_ *corev1.Pod, c *corev1.Container) { c.EnvFrom = reference("pruned") })
	l.create("no-secret", func(pod *corev1.Pod, c *corev1.Container) {
		missing := corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "missing"}}
		pod.Spec.Volumes = []corev1.Volume{{Name: "keys", VolumeSource: missing}}
		c.VolumeMounts = []corev1.VolumeMount{{Name: "keys", MountPath: "/keys"}}
	})
	l.create("no-image", func(_ *corev1.Pod, c *corev1.Container) { c.Image = strings.TrimSuffix(l.image, "v1") + "v0" })
	l.create("crashes", func(_ *corev1.Pod, c *corev1.Container) { c.Args = []string{"exit", "7"} })
	l.create("no-program", func(_ *corev1.Pod, c *corev1.Container) { c.Command = []string{"nothing"} })
	l.create("grows", func(_ *corev1.Pod, c *corev1.Container) {
		c.Args = []string{"grow"}
		c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}
	})
	l.create("never-ready", func(_ *corev1.Pod, c *corev1.Container) {
		c.ReadinessProbe = &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(9)}},
			PeriodSeconds: 1, TimeoutSeconds: 1, FailureThreshold: 1,
		}
	})
	l.create("failed-before", func(pod *corev1.Pod, _ *corev1.Container) {
		pod.Spec.RestartPolicy = corev1.RestartPolicyNever
		pod.Spec.InitContainers = []corev1.Container{{Name: "before", Image: l.image, Args: []string{"exit", "3"}}}
	})
	l.create("succeeds", func(pod *corev1.Pod, c *corev1.Container) {
		pod.Spec.RestartPolicy, c.Args = corev1.RestartPolicyNever, []string{"exit", "0"}
	})

	pod := l.until("no-settings", "it has no ConfigMap", waits("CreateContainerConfigError"))
	assert.Equal(t, `configmap "pruned" not found`, pod.Status.ContainerStatuses[0].State.Waiting.Message)
	l.configMap("pruned", map[string]string{"colour": "red"})
	pod = l.until("no-settings", "its ConfigMap is there", ready)
	assert.Contains(t, l.get(l.untilServes(pod), "/environment"), "colour=red")

	pod = l.until("no-secret", "it has no Secret", waits("ContainerCreating"))
	require.Eventually(t, func() bool { return slices.Contains(l.events(pod), "FailedMount") }, time.Minute, 100*time.Millisecond)
	pod = l.until("no-image", "its image is not there", waits("ImagePullBackOff"))
	require.Eventually(t, func() bool { return slices.Contains(l.events(pod), "BackOff") }, time.Minute, 100*time.Millisecond)

	pod = l.until("crashes", "it waits for its second restart", waits("CrashLoopBackOff"))
	last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated
	assert.Equal(t, int32(7), last.ExitCode)
	assert.Equal(t, "Error", last.Reason)
	assert.Equal(t, int32(1), pod.Status.ContainerStatuses[0].RestartCount)
	assert.Contains(t, l.logs("crashes", "main", ""), "it exits with 7")
	pod = l.until("no-program", "it waits to be started again", waits("CrashLoopBackOff"))
	assert.Equal(t, "StartError", pod.Status.ContainerStatuses[0].LastTerminationState.Terminated.Reason)
	pod = l.until("grows", "it is killed for its memory", func(pod *corev1.Pod) bool {
		return len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].LastTerminationState.Terminated != nil
	})
	assert.Equal(t, "OOMKilled", pod.Status.ContainerStatuses[0].LastTerminationState.Terminated.Reason)
	assert.Equal(t, int32(137), pod.Status.ContainerStatuses[0].LastTerminationState.Terminated.ExitCode)

	pod = l.until("never-ready", "it runs", func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodRunning })
	assert.False(t, ready(pod))
	require.Eventually(t, func() bool { return slices.Contains(l.events(pod), "Unhealthy") }, time.Minute, 100*time.Millisecond)
	pod = l.until("failed-before", "it has failed", func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodFailed })
	assert.False(t, isTrue(&pod.Status, corev1.PodInitialized))
	assert.Equal(t, int32(3), pod.Status.InitContainerStatuses[0].State.Terminated.ExitCode)
	pod = l.until("succeeds", "it has succeeded", func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodSucceeded })
	assert.Equal(t, "Completed", pod.Status.ContainerStatuses[0].State.Terminated.Reason)

	// Wherever it is in its life, a pod that is deleted goes.
	for _, name := range []string{"no-secret", "no-image", "crashes", "never-ready", "failed-before", "succeeds"} {
		l.remove(name, 1)
	}
	for _, name := range []string{"no-secret", "no-image", "crashes", "never-ready", "failed-before", "succeeds"} {
		l.untilGone(name, 20*time.Second)
	}
}

// untilServes waits until a pod without a readiness probe listens.
func (l lab) untilServes(pod *corev1.Pod) *corev1.Pod {
	l.Helper()
	require.Eventually(l, func() bool {
		connection, err := l.agent.Dial(l.Context(), netip.Addr{}, pod.Status.PodIP+":8080")
		return err == nil && connection.Close() == nil
	}, time.Minute, 50*time.Millisecond)
	return pod
}

func TestCluster_NetworkPoliciesDecideWhatPodsReachAndWhatReachesThem(t *testing.T) {
	t.Parallel()
	server := outside(t)
	l := start(t, Service{Host: "db.example", Port: 80, Address: server}, Service{Host: "gateway.default", Port: 80, Address: server})
	_, err := l.client.CoreV1().Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "gateway"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "gateway"},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	l.create("gateway", func(_ *corev1.Pod, c *corev1.Container) { c.Image = "quay.io/istio/proxyv2:1" })
	gateway := l.until("gateway", "it is ready", ready)
	l.create("guarded", func(*corev1.Pod, *corev1.Container) {})
	pod := l.untilServes(l.until("guarded", "it is ready", ready))
	const answer = "a server outside"
	reaches := func(what, database, mesh string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			assert.Equal(c, database, l.get(pod, "/ask?address=db.example:80"), "the database")
			assert.Equal(c, mesh, l.get(pod, "/ask?address=gateway.default:80"), "the gateway")
		}, time.Minute, 50*time.Millisecond, what)
	}
	reaches("no policy selects it", answer, answer)

	policies := l.client.NetworkingV1().NetworkPolicies(namespace)
	egress := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "egress"}, Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "guarded"}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
	}}
	_, err = policies.Create(t.Context(), egress, metav1.CreateOptions{})
	require.NoError(t, err)
	reaches("nothing is allowed", "", "")

	port := func(number int) []networkingv1.NetworkPolicyPort {
		value := intstr.FromInt(number)
		return []networkingv1.NetworkPolicyPort{{Port: &value}}
	}
	egress.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{
		To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}}, Ports: port(80),
	}}
	_, err = policies.Update(t.Context(), egress, metav1.UpdateOptions{})
	require.NoError(t, err)
	reaches("addresses are no pods", answer, "")

	ofGateway := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "gateway"}}}}
	egress.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: ofGateway, Ports: port(8080)}}
	_, err = policies.Update(t.Context(), egress, metav1.UpdateOptions{})
	require.NoError(t, err)
	reaches("the port is that of the Service's pods", "", answer)

	_, err = policies.Create(t.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "ingress"}, Spec: networkingv1.NetworkPolicySpec{
			PodSelector: egress.Spec.PodSelector, Ingress: []networkingv1.NetworkPolicyIngressRule{{From: ofGateway}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	dial := func(from string) error {
		var source netip.Addr
		if from != "" {
			source = netip.MustParseAddr(from)
		}
		connection, err := l.agent.Dial(t.Context(), source, pod.Status.PodIP+":8080")
		if err != nil {
			return err
		}
		return connection.Close()
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.ErrorContains(c, dial("10.244.200.7"), "10.244.200.7 may not reach pod default/guarded at port 8080")
	}, time.Minute, 50*time.Millisecond)
	require.NoError(t, dial(gateway.Status.PodIP))
	require.NoError(t, dial(besideAddress), "a pod that the cluster does not have")
	require.NoError(t, dial(""), "policies do not concern a pod's own node")
}

func TestCluster_AnyOtherPodIsReadyAtOnceAndSaysSo(t *testing.T) {
	t.Parallel()
	l := start(t)
	l.create("other", func(_ *corev1.Pod, c *corev1.Container) { c.Image = "quay.io/argoproj/argocd:v3" })
	l.create("of-a-job", func(pod *corev1.Pod, c *corev1.Container) {
		c.Image = "quay.io/argoproj/argocd:v3"
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "once", UID: "1"}}
	})
	l.create("mirrored", func(_ *corev1.Pod, c *corev1.Container) { c.Image = "example.azurecr.io/program:v1" })

	pod := l.until("other", "it is ready", ready)
	assert.False(t, isTrue(&pod.Status, ConditionRuns))
	at := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == ConditionRuns })
	assert.Contains(t, pod.Status.Conditions[at].Message, "quay.io/argoproj/argocd:v3 is not in the lab's registry")
	assert.False(t, l.agent.Runs(namespace, "other"))
	assert.Contains(t, l.logs("other", "main", ""), "is not in the lab's registry")
	l.until("of-a-job", "it has succeeded", func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodSucceeded })
	pod = l.until("mirrored", "it is ready", ready)
	assert.True(t, isTrue(&pod.Status, ConditionRuns), "an image of the environment's registry is taken from the lab's")

	began := time.Now()
	l.remove("other", 30)
	l.untilGone("other", 10*time.Second)
	assert.Less(t, time.Since(began), 10*time.Second)

	node, err := l.client.CoreV1().Nodes().Get(t.Context(), nodeName, metav1.GetOptions{})
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	}))
}

func TestCluster_AKilledAgentLeavesNoProcess(t *testing.T) {
	t.Parallel()
	l := start(t)
	l.create("serves", func(*corev1.Pod, *corev1.Container) {})
	pod := l.untilServes(l.until("serves", "it is ready", ready))
	p := l.agent.find(nameOf(pod))
	p.mu.Lock()
	c := p.current
	p.mu.Unlock()
	// What the kernel does with the channel of a process that is killed.
	require.NoError(t, c.channel.Close())
	select {
	case <-c.done:
	case <-time.After(10 * time.Second):
		t.Fatal("the container goes on without its agent")
	}
	l.until("serves", "it is started again", func(pod *corev1.Pod) bool { return pod.Status.ContainerStatuses[0].RestartCount == 1 })
}

func TestUnit_VariablesAreExpandedAsInAManifest(t *testing.T) {
	t.Parallel()
	known := map[string]string{"A": "a", "B": "$(A)"}
	for text, want := range map[string]string{
		"": "", "$": "$", "$(A)": "a", "x$(A)y$(A)": "xaya", "$(B)": "$(A)", "$$(A)": "$(A)", "$$$(A)": "$a", "$(C)": "$(C)", "$A": "$A",
		"$(A": "$(A",
	} {
		assert.Equal(t, want, expand(text, known), text)
	}
}

func TestUnit_WithoutLinuxPodsSayWhy(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "linux" {
		t.Skip("skipped: this is Linux, where pods run")
	}
	require.ErrorContains(t, Supported(context.Background()), "only on Linux")
}
