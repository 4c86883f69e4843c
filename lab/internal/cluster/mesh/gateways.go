// Package mesh makes in the lab's cluster the objects that AKS makes there for its Istio add-on, as
// far as other objects refer to them: the mesh's namespaces, the pods of the ingress gateways and
// AKS' own Services for them. These pods are not executed. Instead, Cluster computes where a
// request to the address of a load balancer ends.
package mesh

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	applyappsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gridos/sharedinfra/internal/naming"
)

// Gateway is an ingress gateway of one revision of the mesh.
type Gateway struct {
	// Name is the gateway's name and the value of the label istio on its pods, such as
	// aks-istio-ingressgateway-internal.
	Name string
	// Revision is the mesh's revision, such as asm-1-25.
	Revision string
}

const (
	// replicas is the number of pods with which AKS' autoscaling of a gateway starts.
	replicas = 2
	// owner is the owner of the objects in their labels and field managers.
	owner = "aks"
)

// SetIngressGateways makes gateways the ingress gateways of the cluster. When the last one is
// deleted, the namespaces of the mesh stay, with all other objects in them.
func SetIngressGateways(ctx context.Context, client kubernetes.Interface, gateways []Gateway) error {
	options := metav1.ApplyOptions{FieldManager: owner, Force: true}
	deployed, served := map[string]bool{}, map[string]bool{}
	if len(gateways) > 0 {
		for _, name := range []string{naming.NamespaceIstioIngress, naming.NamespaceIstioSystem} {
			if _, err := client.CoreV1().Namespaces().Apply(ctx, applycorev1.Namespace(name), options); err != nil {
				return fmt.Errorf("namespace %s of the mesh: %w", name, err)
			}
		}
	}
	deployments := client.AppsV1().Deployments(naming.NamespaceIstioIngress)
	services := client.CoreV1().Services(naming.NamespaceIstioIngress)
	for _, gateway := range gateways {
		deployment := gateway.deployment()
		if _, err := deployments.Apply(ctx, deployment, options); err != nil {
			return fmt.Errorf("ingress gateway %s: %w", gateway.Name, err)
		}
		deployed[*deployment.Name] = true
		if served[gateway.Name] {
			continue // one Service for the pods of all revisions
		}
		if _, err := services.Apply(ctx, gateway.Service(), options); err != nil {
			return fmt.Errorf("Service of ingress gateway %s: %w", gateway.Name, err)
		}
		served[gateway.Name] = true
	}
	ours := metav1.ListOptions{LabelSelector: managedBy + "=" + owner}
	presentDeployments, err := deployments.List(ctx, ours)
	if err != nil {
		return fmt.Errorf("list the mesh's ingress gateways: %w", err)
	}
	presentServices, err := services.List(ctx, ours)
	if err != nil {
		return fmt.Errorf("list the Services of the mesh's ingress gateways: %w", err)
	}
	var errs []error
	remove := func(name string, wanted map[string]bool, by func(context.Context, string, metav1.DeleteOptions) error) {
		if wanted[name] {
			return
		}
		if err := by(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove ingress gateway %s: %w", name, err))
		}
	}
	for _, deployment := range presentDeployments.Items {
		remove(deployment.Name, deployed, deployments.Delete)
	}
	for _, service := range presentServices.Items {
		remove(service.Name, served, services.Delete)
	}
	return errors.Join(errs...)
}

const managedBy = "app.kubernetes.io/managed-by"

// podLabels are those that AKS' Service selects: without the revision, for AKS has "a single
// LoadBalancer service across all ingress gateway pods over multiple revisions" (azure-aks-docs
// istio-upgrade, 11 March 2026).
func (g Gateway) podLabels() map[string]string {
	return map[string]string{"app": g.Name, "istio": g.Name}
}

// Service is AKS' own Service for the gateway. Its ports are in the output of kubectl in
// azure-aks-docs istio-deploy-ingress, 24 June 2026. Their targets are those of Istio's chart
// gateway (istio 1.25 to 1.31, manifests/charts/gateway/values.yaml). That the add-on keeps the
// chart's targets is inferred `mesh-target-ports`: users show Envoy of asm-1-25 listening on 80 for
// a server of port 80.
func (g Gateway) Service() *applycorev1.ServiceApplyConfiguration {
	port := func(name string, number int32) *applycorev1.ServicePortApplyConfiguration {
		return applycorev1.ServicePort().WithName(name).WithProtocol(corev1.ProtocolTCP).
			WithPort(number).WithTargetPort(intstr.FromInt32(number))
	}
	annotations := map[string]string{}
	if strings.HasSuffix(g.Name, "-internal") {
		annotations["service.beta.kubernetes.io/azure-load-balancer-internal"] = "true"
	}
	return applycorev1.Service(g.Name, naming.NamespaceIstioIngress).
		WithLabels(g.podLabels()).WithLabels(map[string]string{managedBy: owner}).
		WithAnnotations(annotations).
		WithSpec(applycorev1.ServiceSpec().
			WithType(corev1.ServiceTypeLoadBalancer).
			WithSelector(g.podLabels()).
			WithPorts(port("status-port", statusPort), port("http2", 80), port("https", 443)))
}

func (g Gateway) deployment() *applyappsv1.DeploymentApplyConfiguration {
	labels := g.podLabels()
	labels["istio.io/rev"] = g.Revision
	return applyappsv1.Deployment(g.Name+"-"+g.Revision, naming.NamespaceIstioIngress).
		WithLabels(labels).WithLabels(map[string]string{managedBy: owner}).
		WithSpec(applyappsv1.DeploymentSpec().
			WithReplicas(replicas).
			WithSelector(applymetav1.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(applycorev1.PodTemplateSpec().
				WithLabels(labels).
				// Injection adds these if the mesh merges metrics, which is Istio's default (istio
				// 1.31, pkg/kube/inject/webhook.go, applyPrometheusMerge). That the add-on keeps it
				// is inferred `mesh-metrics`.
				WithAnnotations(map[string]string{
					"prometheus.io/scrape": "true", "prometheus.io/port": "15020", "prometheus.io/path": "/stats/prometheus",
				}).
				WithSpec(applycorev1.PodSpec().
					// AKS lets the gateways run on system nodes, and prefers these.
					WithTolerations(applycorev1.Toleration().WithKey("CriticalAddonsOnly").WithOperator(corev1.TolerationOpExists)).
					WithContainers(applycorev1.Container().
						WithName("istio-proxy").
						WithImage("mcr.microsoft.com/oss/istio/proxyv2:" + g.Revision).
						// Istio's chart does not name the ports on which Envoy serves requests
						// (templates/deployment.yaml).
						WithPorts(applycorev1.ContainerPort().WithName("http-envoy-prom").WithContainerPort(15090))))))
}
