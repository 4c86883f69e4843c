package services

import (
	"context"
	"fmt"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// IngressGateway is an ingress gateway of the cluster's service mesh.
type IngressGateway struct {
	// Name is aks-istio-ingressgateway-internal or -external.
	Name string
	// Revision is the mesh's, such as asm-1-25.
	Revision string
}

// defaultMeshRevision is the revision of a mesh that does not ask for one.
const defaultMeshRevision = "asm-1-25"

// setCluster makes in Kubernetes what AKS makes there when a cluster is created, updated or
// deleted.
func (k behind) setCluster(ctx context.Context, c *arm.Cloud, verb arm.Operation, changed *arm.Record) error {
	if err := k.setNodes(ctx, c, verb, changed); err != nil || k.Kubernetes == nil {
		return err
	}
	var gateways []IngressGateway
	if verb != arm.OperationDelete {
		gateways = gatewaysOf(changed)
	}
	if err := k.SetIngressGateways(ctx, gateways); err != nil {
		return fmt.Errorf("ingress gateways of cluster %q cannot be set: %w", changed.ID, err)
	}
	return nil
}

// gatewaysOf returns the ingress gateways of a cluster: each in every revision of the mesh. An
// upgrade has two revisions.
func gatewaysOf(cluster *arm.Record) []IngressGateway {
	const profile = "serviceMeshProfile"
	if cluster.Inputs.Text(profile+".mode") != "Istio" {
		return nil
	}
	revisions := cluster.Inputs.Texts(profile + ".istio.revisions")
	if len(revisions) == 0 {
		revisions = []string{defaultMeshRevision}
	}
	var gateways []IngressGateway
	for _, gateway := range cluster.Inputs.Documents(profile + ".istio.components.ingressGateways") {
		if !gateway.Flag("enabled") {
			continue
		}
		name := "aks-istio-ingressgateway-" + strings.ToLower(gateway.Text("mode"))
		for _, revision := range revisions {
			gateways = append(gateways, IngressGateway{Name: name, Revision: revision})
		}
	}
	return gateways
}
