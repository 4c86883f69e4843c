// Package floor is what the Pulumi engine takes by itself: programs that register resources which are nothing, with a provider that
// does nothing. What a project takes is compared with it.
package floor

import (
	"context"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/plugins"
)

// token is the type of a resource that is nothing. It is one of the package random, to which the engine is attached anyway.
const token = "random:index/nothing:Nothing"

type provider struct{ providers.Base }

// Provider returns the provider of resources that are nothing. The engine is to be attached to it under the name random.
func Provider() pulumirpc.ResourceProviderServer {
	return &provider{Base: providers.Base{Package: "random", Version: plugins.Random}}
}

// Check accepts all inputs.
func (*provider) Check(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: request.GetNews()}, nil
}

// Diff sees no change.
func (*provider) Diff(context.Context, *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
}

// Create creates nothing.
func (*provider) Create(_ context.Context, request *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	return &pulumirpc.CreateResponse{Id: "nothing", Properties: request.GetProperties()}, nil
}

// Delete deletes nothing.
func (*provider) Delete(context.Context, *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}
