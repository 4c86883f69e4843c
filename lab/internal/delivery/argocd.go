package delivery

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// argocd defines how the components of Argo CD are run. They get the environment that the release
// gives their containers, because the configuration of argocd-cm and argocd-cmd-params-cm arrives
// there. They also get the addresses of this machine.
func (d *Delivery) argocd(ctx context.Context, client kubernetes.Interface) (map[string]*process.Process, error) {
	pods, err := argocdPods(ctx, client)
	if err != nil {
		return nil, err
	}
	redis, repoServer := process.HostPort(d.ports.redis), "unix:"+repoServerSocket
	components := map[string]*process.Process{
		RepoServer: {
			Args: []string{
				"--disable-tls", "--redis", redis,
				"--address", repoServerSocket, // see the patch in the package toolchain
				"--metrics-address", process.Loopback, "--metrics-port", fmt.Sprint(d.ports.repoServerMetrics),
			},
			Ready: "http://" + process.HostPort(d.ports.repoServerMetrics) + "/healthz",
		},
		ApplicationController: {
			Args: []string{
				"--repo-server-plaintext", "--repo-server", repoServer, "--redis", redis,
				"--kubeconfig", d.kubeconfig(naming.NamespaceArgoCD), "--namespace", naming.NamespaceArgoCD,
				"--metrics-port", fmt.Sprint(d.ports.controllerMetrics),
			},
			// One process does the work of all shards.
			Env:   []string{"ARGOCD_CONTROLLER_REPLICAS=1"},
			Ready: "http://" + process.HostPort(d.ports.controllerMetrics) + "/healthz",
		},
		Server: {
			Args: []string{
				"--insecure", "--repo-server-plaintext", "--repo-server", repoServer, "--redis", redis,
				"--kubeconfig", d.kubeconfig(naming.NamespaceArgoCD), "--namespace", naming.NamespaceArgoCD,
				"--address", process.Loopback, "--port", fmt.Sprint(d.ports.server),
				"--metrics-address", process.Loopback, "--metrics-port", fmt.Sprint(d.ports.serverMetrics),
				// The Go module does not contain the user interface.
				"--staticassets", d.folder(Server, "assets"),
			},
			Ready: "http://" + d.ServerAddress() + "/healthz",
		},
		Notifications: {
			Args: []string{
				"--argocd-repo-server-plaintext", "--argocd-repo-server", repoServer,
				"--kubeconfig", d.kubeconfig(naming.NamespaceArgoCD), "--namespace", naming.NamespaceArgoCD,
				"--metrics-port", fmt.Sprint(d.ports.notificationsMetrics),
			},
			Ready: "http://" + process.HostPort(d.ports.notificationsMetrics) + "/metrics",
		},
	}
	for name, component := range components {
		if _, installed := pods[name]; !installed {
			delete(components, name)
			continue
		}
		environment, err := environmentOf(ctx, client, pods[name], name)
		if err != nil {
			return nil, err
		}
		own, err := d.hostEnvironment(name)
		if err != nil {
			return nil, err
		}
		component.Path, component.Dir = d.Binaries.ArgoCD, d.Dir
		component.Env = append(append(environment, component.Env...), own...)
	}
	return components, nil
}

// repoServerSocket is the socket of argocd-repo-server, relative to the folder that Argo CD works
// in: the path of a socket has at most 108 bytes.
const repoServerSocket = "repo-server.sock"

// hostEnvironment replaces the file system of a container.
func (d *Delivery) hostEnvironment(name string) ([]string, error) {
	program := name
	if name == Notifications {
		program = "argocd-notifications"
	}
	variables := []string{
		"ARGOCD_BINARY_NAME=" + program,
		"REDIS_PASSWORD=" + d.redisPassword,
		// The kubeconfig stands in for the cluster of Argo CD's own pods.
		"ARGOCD_FAKE_IN_CLUSTER=true",
		"KUBECONFIG=" + d.kubeconfig(naming.NamespaceArgoCD),
		// No commit is signed, and gpg would start an agent.
		"ARGOCD_GPG_ENABLED=false",
		"ARGOCD_PLUGINSOCKFILEPATH=" + d.folder(name, "plugins"),
		"PATH=" + filepath.Dir(d.Binaries.Kustomize) + string(os.PathListSeparator) + os.Getenv("PATH"),
		// This path is relative, as repoServerSocket is: by default it would be in /tmp, the same
		// for every Argo CD of the machine.
		"ARGOCD_ASK_PASS_SOCK=ask-pass.sock",
		// Git, unlike Go, would send requests to this machine through the user's proxy.
		"NO_PROXY=" + process.Loopback, "no_proxy=" + process.Loopback,
		// Argo CD must not read the user's own configuration of Git.
		"GIT_CONFIG_NOSYSTEM=1",
		"XDG_CONFIG_HOME=" + d.folder(name, "home"),
	}
	for variable, folder := range map[string]string{
		"HOME": "home", "TMPDIR": "tmp",
		"ARGOCD_TLS_DATA_PATH": "tls", "ARGOCD_SSH_DATA_PATH": "ssh", "ARGOCD_GNUPGHOME": "gpg",
	} {
		variables = append(variables, variable+"="+d.folder(name, folder))
	}
	for _, folder := range []string{"home", "tmp", "tls", "ssh", "gpg", "plugins", "assets"} {
		if err := os.MkdirAll(d.folder(name, folder), 0o700); err != nil {
			return nil, err
		}
	}
	return variables, nil
}

func (d *Delivery) folder(component, name string) string {
	return filepath.Join(d.Dir, component, name)
}

// argocdPods returns the pod templates of the components that the release has installed.
func argocdPods(ctx context.Context, client kubernetes.Interface) (map[string]corev1.PodSpec, error) {
	pods := map[string]corev1.PodSpec{}
	controller, err := client.AppsV1().StatefulSets(naming.NamespaceArgoCD).Get(ctx, ApplicationController, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("see how the release of Argo CD configures %s: %w", ApplicationController, err)
	}
	pods[ApplicationController] = controller.Spec.Template.Spec
	for _, name := range []string{RepoServer, Server, Notifications} {
		deployment, err := client.AppsV1().Deployments(naming.NamespaceArgoCD).Get(ctx, name, metav1.GetOptions{})
		if name == Notifications && apierrors.IsNotFound(err) {
			continue // an environment that an earlier version of bootstrap made has no notifications
		}
		if err != nil {
			return nil, fmt.Errorf("see how the release of Argo CD configures %s: %w", name, err)
		}
		pods[name] = deployment.Spec.Template.Spec
	}
	return pods, nil
}

// environmentOf returns the environment of the pod's first container, as a kubelet makes it from
// plain values and ConfigMaps. It leaves out Secrets: the only one is the password of the cluster's
// Redis.
func environmentOf(ctx context.Context, client kubernetes.Interface, pod corev1.PodSpec, name string) ([]string, error) {
	if len(pod.Containers) == 0 {
		return nil, fmt.Errorf("%s has no container", name)
	}
	maps := map[string]map[string]string{}
	var environment []string
	for _, variable := range pod.Containers[0].Env {
		switch {
		case variable.ValueFrom == nil:
			environment = append(environment, variable.Name+"="+variable.Value)
		case variable.ValueFrom.ConfigMapKeyRef != nil:
			from := variable.ValueFrom.ConfigMapKeyRef
			if _, known := maps[from.Name]; !known {
				found, err := client.CoreV1().ConfigMaps(naming.NamespaceArgoCD).Get(ctx, from.Name, metav1.GetOptions{})
				if err != nil && !apierrors.IsNotFound(err) {
					return nil, fmt.Errorf("read the ConfigMap %s that configures %s: %w", from.Name, name, err)
				}
				maps[from.Name] = found.Data
			}
			if value, found := maps[from.Name][from.Key]; found {
				environment = append(environment, variable.Name+"="+value)
			}
		}
	}
	return without(
		environment,
		// Argo CD 3.2 takes the value of this variable for the name of the flag --metrics-address.
		"ARGOCD_SERVER_METRICS_LISTEN_ADDRESS",
		// These are paths in the container's own file system.
		"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME",
	), nil
}

func without(environment []string, names ...string) []string {
	return slices.DeleteFunc(environment, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(names, name)
	})
}
