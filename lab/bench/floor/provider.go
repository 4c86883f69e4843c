// Package floor measures the time of the Pulumi engine alone: programs that register empty
// resources with a no-op provider. The time of a project is compared with it.
package floor

import (
	"context"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/lab/internal/providers"
)

// token is the type of an empty resource. It belongs to the package random, to which the engine is
// attached anyway.
const token = "random:index/nothing:Nothing"

type provider struct{ providers.Base }

// Provider returns the provider of empty resources. The engine must be attached to it under the
// name random.
func Provider() pulumirpc.ResourceProviderServer {
	return &provider{Base: providers.Base{Package: "random", Version: versions.Random}}
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
