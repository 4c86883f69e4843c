package arm

import (
	"context"
	"errors"
	"maps"
	"reflect"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridos/sharedinfra/lab/internal/providers"
)

// Function is a provider function.
type Function struct {
	// Arguments is the SDK's type of the arguments, nil for none.
	Arguments reflect.Type
	// Call carries the function out.
	Call func(ctx context.Context, c *Cloud, arguments Document) (resource.PropertyMap, error)
}

// functions is the table of all provider functions, by token: those of the resource manager, and
// those of the services.
func (c *Cloud) functions() map[string]Function {
	table := map[string]Function{
		"azure-native:authorization:getClientConfig": {Call: clientConfig},
	}
	maps.Copy(table, controls())
	maps.Copy(table, c.services.Functions)
	return table
}

// Invoke calls a provider function.
func (p *provider) Invoke(ctx context.Context, request *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	f, ok := p.cloud.functions()[request.GetTok()]
	if !ok {
		return nil, status.Errorf(codes.Unimplemented,
			"the simulated Azure has no function %q; add it to the table in lab/internal/azure/services", request.GetTok())
	}
	arguments, err := providers.Unmarshal(request.GetArgs())
	if err != nil {
		return nil, err
	}
	if f.Arguments != nil {
		if failures := checkSchema(arguments, f.Arguments, nil); len(failures) > 0 {
			return &pulumirpc.InvokeResponse{Failures: failures}, nil
		}
	}
	// A lost answer is just an error, as in Read.
	if err := errors.Join(p.cloud.fault(ctx, OperationInvoke, request.GetTok(), "")); err != nil {
		return nil, err
	}
	result, err := f.Call(ctx, p.cloud, documentOf(arguments))
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
