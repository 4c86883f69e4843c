package argocd

import (
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/naming"
)

// newProject registers the AppProject of the application: the part of the bootstrap boundary that the cluster itself
// enforces. Its Applications sync from the listed repositories only, into one namespace, and create nothing cluster-wide.
func newProject(
	ctx *pulumi.Context, name string, repositories []string, opts ...pulumi.ResourceOption,
) (*apiextensions.CustomResource, error) {
	return apiextensions.NewCustomResource(ctx, name, &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("argoproj.io/v1alpha1"),
		Kind:       pulumi.String("AppProject"),
		Metadata: metav1.ObjectMetaArgs{
			Name:      pulumi.String(naming.ProjectGridOS),
			Namespace: pulumi.String(naming.NamespaceArgoCD),
		},
		OtherFields: kubernetes.UntypedArgs{"spec": pulumi.Map{
			"description": pulumi.String("GridOS workloads"),
			"sourceRepos": pulumi.ToStringArray(repositories),
			"destinations": pulumi.Array{pulumi.Map{
				"server":    pulumi.String(naming.ArgoCDInCluster),
				"namespace": pulumi.String(naming.NamespaceGridOS),
			}},
			"clusterResourceWhitelist": pulumi.Array{},
			"orphanedResources":        pulumi.Map{"warn": pulumi.Bool(true)},
		}},
	}, opts...)
}
