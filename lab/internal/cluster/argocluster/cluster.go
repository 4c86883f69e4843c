// Package argocluster is a real API server with the official CustomResourceDefinitions of Argo CD,
// and without Argo CD. It serves tests in which the API server must accept objects, and
// measurements that must not count controllers.
package argocluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

// Cluster is a running cluster. Call Start to get one, and Stop at the end.
type Cluster struct {
	// Kubeconfig signs in as an administrator.
	Kubeconfig []byte
	// Objects reads and writes objects of any kind.
	Objects dynamic.Interface

	plane *controlplane.ControlPlane
}

// Applications and AppProjects are Argo CD's kinds.
var (
	Applications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
	AppProjects  = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "appprojects"}
)

// Start brings the cluster up in dir, with the namespace of Argo CD and the AppProjects of the
// given names, as gridos-bootstrap would leave them. The resolver finds the programs.
func Start(ctx context.Context, resolver *toolchain.Resolver, dir string, projects ...string) (c *Cluster, err error) {
	paths, err := resolver.Resolve(ctx, toolchain.Etcd, toolchain.KubeAPIServer, toolchain.KubeControllerManager,
		toolchain.KubeScheduler)
	if err != nil {
		return nil, err
	}
	argo, err := resolver.ModuleDir(ctx, toolchain.ArgoModule, "github.com/argoproj/argo-cd/v3")
	if err != nil {
		return nil, err
	}
	c = &Cluster{plane: &controlplane.ControlPlane{
		Dir: dir,
		Binaries: controlplane.Binaries{
			Etcd: paths[toolchain.Etcd], KubeAPIServer: paths[toolchain.KubeAPIServer],
			KubeControllerManager: paths[toolchain.KubeControllerManager], KubeScheduler: paths[toolchain.KubeScheduler],
		},
	}}
	if err := c.plane.Start(ctx); err != nil {
		return nil, err
	}
	c.Kubeconfig = c.plane.Kubeconfig()
	if err := c.fill(ctx, argo, projects); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) fill(ctx context.Context, argo string, projects []string) error {
	clients, err := kube.Parse(c.Kubeconfig)
	if err != nil {
		return err
	}
	c.Objects = clients.Objects
	definitions := envtest.CRDInstallOptions{
		Paths: []string{
			filepath.Join(argo, "manifests", "crds", "application-crd.yaml"),
			filepath.Join(argo, "manifests", "crds", "appproject-crd.yaml"),
		},
		ErrorIfPathMissing: true,
	}
	if _, err := envtest.InstallCRDs(clients.Config, definitions); err != nil {
		return fmt.Errorf("install the CustomResourceDefinitions of Argo CD: %w", err)
	}
	if err := createNamespace(ctx, clients.Core); err != nil {
		return err
	}
	for _, name := range projects {
		project := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
			"metadata": map[string]any{"name": name}, "spec": map[string]any{
				"destinations":             []any{map[string]any{"server": "*", "namespace": "*"}},
				"sourceRepos":              []any{"*"},
				"clusterResourceWhitelist": []any{map[string]any{"group": "*", "kind": "*"}},
			},
		}}
		_, err := c.Objects.Resource(AppProjects).Namespace(naming.NamespaceArgoCD).Create(ctx, project, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("create the AppProject %s: %w", name, err)
		}
	}
	return nil
}

func createNamespace(ctx context.Context, client kubernetes.Interface) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: naming.NamespaceArgoCD}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the namespace %s: %w", naming.NamespaceArgoCD, err)
	}
	return nil
}

// SetNodes makes nodes the whole node set of the cluster, which starts without nodes.
func (c *Cluster) SetNodes(ctx context.Context, nodes []controlplane.Node) error {
	return c.plane.SetNodes(ctx, nodes)
}

// Stop ends the cluster.
func (c *Cluster) Stop() error { return c.plane.Stop() }
