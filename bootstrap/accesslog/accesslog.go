// Package accesslog has the mesh log each request that its gateways take, with the ids under which
// the Application Gateway and the service log it.
package accesslog

import (
	_ "embed"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/internal/versions"
)

// mesh is a part of Istio's MeshConfig. AKS supports these fields of it (azure-aks-docs,
// istio-meshconfig, 14 February 2024). The Telemetry API, which AKS recommends, has no format: its
// lines would lack the id of the Application Gateway.
//
//go:embed mesh.yaml
var mesh string

// AccessLog is the configuration of the mesh's access log.
type AccessLog struct{ pulumi.ResourceState }

// New registers a ConfigMap for each revision that the mesh may have, in the namespace that AKS has
// created with the mesh. That of a revision has to be there before an upgrade to it begins (the
// same document, "Mesh configuration and upgrades"), and one of another revision is not read.
func New(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*AccessLog, error) {
	l := &AccessLog{}
	if err := ctx.RegisterComponentResource("gridos-bootstrap:accesslog:AccessLog", name, l, opts...); err != nil {
		return nil, err
	}
	for _, revision := range versions.IstioRevisions() {
		if _, err := object.NewConfigMap(ctx, name+"-"+revision, object.Metadata{
			Name: pulumi.String("istio-shared-configmap-" + revision), Namespace: pulumi.String(naming.NamespaceIstioSystem),
		}, pulumi.StringMap{"mesh": pulumi.String(mesh)}, pulumi.Parent(l)); err != nil {
			return nil, fmt.Errorf("access log: %w", err)
		}
	}
	return l, ctx.RegisterResourceOutputs(l, pulumi.Map{})
}
