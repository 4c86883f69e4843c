package services

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// clusterFunctions are the provider functions of AKS, by token.
func clusterFunctions(k behind) map[string]arm.Function {
	cluster := "azure-native:" + arm.ModuleOf(reflect.TypeFor[containerservice.ManagedCluster]().PkgPath()) + ":"
	return map[string]arm.Function{
		cluster + "listManagedClusterUserCredentials": {
			Arguments: reflect.TypeFor[containerservice.ListManagedClusterUserCredentialsArgs](), Call: k.userCredentials,
		},
		cluster + "listManagedClusterAdminCredentials": {
			Arguments: reflect.TypeFor[containerservice.ListManagedClusterAdminCredentialsArgs](), Call: k.adminCredentials,
		},
	}
}

func (k behind) userCredentials(ctx context.Context, c *arm.Cloud, arguments arm.Document) (resource.PropertyMap, error) {
	if _, err := clusterFor(c, arguments); err != nil {
		return nil, err
	}
	return k.credentials(ctx, "clusterUser")
}

// adminCredentials is K3: a cluster without local accounts has no administrator's credentials.
func (k behind) adminCredentials(ctx context.Context, c *arm.Cloud, arguments arm.Document) (resource.PropertyMap, error) {
	cluster, err := clusterFor(c, arguments)
	if err != nil {
		return nil, err
	}
	if cluster.Inputs.Flag("disableLocalAccounts") {
		return nil, status.Error(codes.FailedPrecondition, arm.Violation{
			Rule: "K3", Code: "BadRequest", Message: "Getting static credential is not allowed because this cluster is set to disable " +
				"local accounts: '" + cluster.ID + "'. Use listManagedClusterUserCredentials with format exec",
		}.String())
	}
	return k.credentials(ctx, "clusterAdmin")
}

// clusterFor returns the cluster that the arguments of a function name.
func clusterFor(c *arm.Cloud, arguments arm.Document) (*arm.Record, error) {
	var id string
	var ok bool
	var cluster *arm.Record
	c.Look(func(v *arm.View) {
		if id, ok = arm.Template(clusterPath).Expand(v.Options().SubscriptionID, arguments); ok {
			cluster = v.Find(id)
		}
	})
	if !ok {
		return nil, status.Error(codes.InvalidArgument, "credentials need the resourceGroupName and resourceName of a cluster")
	}
	if cluster == nil {
		return nil, status.Error(codes.NotFound, arm.Violation{Code: "ResourceNotFound", Message: fmt.Sprintf(
			"The Resource '%s' was not found. Deploy the cluster first", id)}.String())
	}
	return cluster, nil
}

// credentials returns the kubeconfig of the Kubernetes behind the cluster, as a secret.
func (k behind) credentials(ctx context.Context, name string) (resource.PropertyMap, error) {
	if k.Kubernetes == nil {
		return nil, errors.New("no Kubernetes stands behind this simulated Azure, so a cluster has no credentials; start the lab's control plane")
	}
	kubeconfig, err := k.Kubeconfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of the cluster cannot be had: %w", err)
	}
	return resource.PropertyMap{
		"kubeconfigs": resource.NewProperty([]resource.PropertyValue{resource.NewProperty(resource.PropertyMap{
			"name":  resource.NewProperty(name),
			"value": resource.MakeSecret(resource.NewProperty(base64.StdEncoding.EncodeToString(kubeconfig))),
		})}),
	}, nil
}
