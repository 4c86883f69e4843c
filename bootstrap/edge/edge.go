// Package edge makes the internal gateway of AKS' Istio reachable for the Application Gateway, at
// the fixed address to which infra makes the Application Gateway send traffic.
package edge

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
)

// What Azure's cloud controller does for a Service. Source: cloud-provider-azure.sigs.k8s.io,
// "Azure LoadBalancer".
const (
	internal = "service.beta.kubernetes.io/azure-load-balancer-internal"
	subnet   = "service.beta.kubernetes.io/azure-load-balancer-internal-subnet"
	address  = "service.beta.kubernetes.io/azure-load-balancer-ipv4"
)

// noTranslation is the label of a Service from which istiod does not learn on which ports a gateway
// listens. Source: istio 1.25 to 1.31, pilot/pkg/model/gateway.go,
// DisableGatewayPortTranslationLabel.
const noTranslation = "experimental.istio.io/disable-gateway-port-translation"

// Args is what Edge needs. Every field is required.
type Args struct {
	// IngressIP is the IPv4 address of the load balancer, in the subnet naming.SubnetIngress.
	IngressIP pulumi.StringInput
}

// Edge is the load balancer in front of the mesh.
type Edge struct {
	pulumi.ResourceState
}

// New registers the Service. When the mesh is on, AKS has already created the namespace, the
// gateway's pods and its own Service for them. That Service could have a chosen address too;
// docs/design/0003 says why the platform has a second one.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Edge, error) {
	e := &Edge{}
	if err := ctx.RegisterComponentResource("gridos-bootstrap:edge:Edge", name, e, opts...); err != nil {
		return nil, err
	}
	_, err := object.NewService(ctx, name+"-service", object.Metadata{
		Name:      pulumi.String("gridos-edge"),
		Namespace: pulumi.String(naming.NamespaceIstioIngress),
		// istiod takes the ports of the oldest Service of a gateway that has not opted out. AKS'
		// own Service must decide, even when AKS has recreated it and it is the younger one.
		Labels: pulumi.StringMap{noTranslation: pulumi.String("true")},
		Annotations: pulumi.StringMap{
			internal: pulumi.String("true"),
			subnet:   pulumi.String(naming.SubnetIngress),
			address:  args.IngressIP,
		},
	}, pulumi.Map{
		"type": pulumi.String("LoadBalancer"),
		// The pods of every revision of the mesh, as AKS' own Service selects them: an upgrade has two
		// side by side (azure-aks-docs, istio-upgrade.md, "Minor revision upgrades with ingress and
		// egress gateways").
		"selector": pulumi.StringMap{"istio": pulumi.String(naming.IstioInternalIngress)},
		// Only nodes with a gateway that is ready get traffic, because the load balancer then
		// probes the health check port that Kubernetes keeps for just that. With Cluster it would
		// probe every node at each port of the gateway, whose answer to a bare request says nothing
		// about its health. Traffic would take one more hop, with the node as its source: the mesh
		// would no longer see that it comes from the Application Gateway.
		//
		// There are no loadBalancerSourceRanges: the network's security groups already let in the
		// Application Gateway alone.
		"externalTrafficPolicy": pulumi.String("Local"),
		// The targets are those of AKS' own Service, because Envoy listens nowhere else: 80 and 443, not
		// the 8080 and 8443 of Istio's older charts. Source: istio 1.25 to 1.31,
		// manifests/charts/gateway/values.yaml, service.ports; listeners that users of the add-on show
		// for Istio 1.25 (0.0.0.0:80, route http.80). AKS lets users change none (azure-aks-docs,
		// istio-about.md, "Limitations"). None has an appProtocol: for http the load balancer would probe
		// by path.
		"ports": pulumi.Array{
			port("status-port", 15021), // where the Application Gateway probes
			port("http2", 80),          // where it sends requests
			port("https", 443),
		},
	}, pulumi.Parent(e))
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	return e, ctx.RegisterResourceOutputs(e, pulumi.Map{})
}

// port is one that leads to the port of the same number in the gateway's pods.
func port(name string, number int) pulumi.Map {
	return pulumi.Map{
		"name": pulumi.String(name), "protocol": pulumi.String("TCP"), "port": pulumi.Int(number), "targetPort": pulumi.Int(number),
	}
}
