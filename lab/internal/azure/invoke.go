package azure

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridos/sharedinfra/lab/internal/providers"
)

// function is a provider function: the type of its arguments (nil for none) and what it does.
type function struct {
	arguments reflect.Type
	call      func(ctx context.Context, c *Cloud, arguments Document) (resource.PropertyMap, error)
}

// functions is the table of all provider functions, by token.
func functions() map[string]function {
	cluster := "azure-native:" + moduleOf(reflect.TypeFor[containerservice.ManagedCluster]().PkgPath()) + ":"
	return map[string]function{
		"azure-native:authorization:getClientConfig": {call: clientConfig},
		underWayToken: {call: operationsUnderWay},
		purgeToken:    {call: purgeDeleted},
		undeleteToken: {call: recoverDeleted},
		cluster + "listManagedClusterUserCredentials": {
			arguments: reflect.TypeFor[containerservice.ListManagedClusterUserCredentialsArgs](), call: userCredentials,
		},
		cluster + "listManagedClusterAdminCredentials": {
			arguments: reflect.TypeFor[containerservice.ListManagedClusterAdminCredentialsArgs](), call: adminCredentials,
		},
	}
}

// Invoke calls a provider function.
func (p *provider) Invoke(ctx context.Context, request *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	f, ok := functions()[request.GetTok()]
	if !ok {
		return nil, status.Errorf(codes.Unimplemented,
			"the simulated Azure has no function %q; add it to the table in lab/internal/azure", request.GetTok())
	}
	arguments, err := providers.Unmarshal(request.GetArgs())
	if err != nil {
		return nil, err
	}
	if f.arguments != nil {
		if failures := checkSchema(arguments, f.arguments, nil); len(failures) > 0 {
			return &pulumirpc.InvokeResponse{Failures: failures}, nil
		}
	}
	// A lost answer is just an error, as in Read.
	if err := errors.Join(p.cloud.fault(ctx, OperationInvoke, request.GetTok(), "")); err != nil {
		return nil, err
	}
	result, err := f.call(ctx, p.cloud, documentOf(arguments))
	if err != nil {
		return nil, err
	}
	properties, err := providers.Marshal(result)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.InvokeResponse{Return: properties}, nil
}

// clientConfig returns who deploys, and where.
func clientConfig(_ context.Context, c *Cloud, _ Document) (resource.PropertyMap, error) {
	return resource.PropertyMap{
		"clientId":       resource.NewProperty(azureCLI),
		"objectId":       resource.NewProperty(c.options.ObjectID),
		"subscriptionId": resource.NewProperty(c.options.SubscriptionID),
		"tenantId":       resource.NewProperty(c.options.TenantID),
	}, nil
}

func userCredentials(ctx context.Context, c *Cloud, arguments Document) (resource.PropertyMap, error) {
	if _, err := c.clusterFor(arguments); err != nil {
		return nil, err
	}
	return c.credentials(ctx, "clusterUser")
}

// adminCredentials is K3: a cluster without local accounts has none.
func adminCredentials(ctx context.Context, c *Cloud, arguments Document) (resource.PropertyMap, error) {
	cluster, err := c.clusterFor(arguments)
	if err != nil {
		return nil, err
	}
	if cluster.Inputs.Flag("disableLocalAccounts") {
		return nil, status.Error(codes.FailedPrecondition, Violation{
			Rule: "K3", Code: "BadRequest", Message: "Getting static credential is not allowed because this cluster is set to disable " +
				"local accounts: '" + cluster.ID + "'. Use listManagedClusterUserCredentials with format exec",
		}.String())
	}
	return c.credentials(ctx, "clusterAdmin")
}

// clusterFor returns the cluster that the arguments of a function name.
func (c *Cloud) clusterFor(arguments Document) (*Record, error) {
	id, ok := template(clusterPath).expand(c.options.SubscriptionID, arguments)
	if !ok {
		return nil, status.Error(codes.InvalidArgument, "credentials need the resourceGroupName and resourceName of a cluster")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cluster := (&View{c}).Find(id)
	if cluster == nil {
		return nil, status.Error(codes.NotFound, Violation{Code: "ResourceNotFound", Message: fmt.Sprintf(
			"The Resource '%s' was not found. Deploy the cluster first", id)}.String())
	}
	return cluster, nil
}

// credentials returns the kubeconfig of what stands behind the cluster, as a secret.
func (c *Cloud) credentials(ctx context.Context, name string) (resource.PropertyMap, error) {
	if c.options.Kubernetes == nil {
		return nil, errors.New("no Kubernetes stands behind this simulated Azure, so a cluster has no credentials; start the lab's control plane")
	}
	kubeconfig, err := c.options.Kubernetes.Kubeconfig(ctx)
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
