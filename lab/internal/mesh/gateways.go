// Package mesh makes in the lab's cluster what AKS makes there for its Istio add-on, as far as others refer to it: the namespace of
// the ingress gateways and the gateways' pods. Nothing is routed, for the lab's pods are not executed.
package mesh

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applyappsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gridos/sharedinfra/naming"
)

// Gateway is an ingress gateway of one revision of the mesh.
type Gateway struct {
	// Name is that of the gateway and the value of the label istio on its pods, such as aks-istio-ingressgateway-internal.
	Name string
	// Revision is the mesh's, such as asm-1-25.
	Revision string
}

const (
	// replicas is where AKS' autoscaling of a gateway starts.
	replicas = 2
	// owner is who the objects belong to, as labels and field managers tell.
	owner = "aks"
)

// SetIngressGateways makes gateways the ingress gateways of the cluster. Their namespace stays when the last one goes, with what
// others have in it.
func SetIngressGateways(ctx context.Context, client kubernetes.Interface, gateways []Gateway) error {
	options := metav1.ApplyOptions{FieldManager: owner, Force: true}
	wanted := map[string]bool{}
	if len(gateways) > 0 {
		namespace := applycorev1.Namespace(naming.NamespaceIstioIngress)
		if _, err := client.CoreV1().Namespaces().Apply(ctx, namespace, options); err != nil {
			return fmt.Errorf("namespace %s of the mesh's gateways: %w", naming.NamespaceIstioIngress, err)
		}
	}
	deployments := client.AppsV1().Deployments(naming.NamespaceIstioIngress)
	for _, gateway := range gateways {
		deployment := gateway.deployment()
		if _, err := deployments.Apply(ctx, deployment, options); err != nil {
			return fmt.Errorf("ingress gateway %s: %w", gateway.Name, err)
		}
		wanted[*deployment.Name] = true
	}
	present, err := deployments.List(ctx, metav1.ListOptions{LabelSelector: managedBy + "=" + owner})
	if err != nil {
		return fmt.Errorf("list the mesh's ingress gateways: %w", err)
	}
	var errs []error
	for _, deployment := range present.Items {
		if wanted[deployment.Name] {
			continue
		}
		if err := deployments.Delete(ctx, deployment.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove ingress gateway %s: %w", deployment.Name, err))
		}
	}
	return errors.Join(errs...)
}

const managedBy = "app.kubernetes.io/managed-by"

func (g Gateway) deployment() *applyappsv1.DeploymentApplyConfiguration {
	labels := map[string]string{"app": g.Name, "istio": g.Name, "istio.io/rev": g.Revision}
	port := func(name string, number int32) *applycorev1.ContainerPortApplyConfiguration {
		return applycorev1.ContainerPort().WithName(name).WithContainerPort(number)
	}
	return applyappsv1.Deployment(g.Name+"-"+g.Revision, naming.NamespaceIstioIngress).
		WithLabels(labels).WithLabels(map[string]string{managedBy: owner}).
		WithSpec(applyappsv1.DeploymentSpec().
			WithReplicas(replicas).
			WithSelector(applymetav1.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(applycorev1.PodTemplateSpec().
				WithLabels(labels).
				WithSpec(applycorev1.PodSpec().
					// AKS lets them run on system nodes, which it prefers.
					WithTolerations(applycorev1.Toleration().WithKey("CriticalAddonsOnly").WithOperator(corev1.TolerationOpExists)).
					WithContainers(applycorev1.Container().
						WithName("istio-proxy").
						WithImage("mcr.microsoft.com/oss/istio/proxyv2:"+g.Revision).
						WithPorts(port("http2", 8080), port("https", 8443), port("status-port", 15021))))))
}
