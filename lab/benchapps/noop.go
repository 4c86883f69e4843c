package main

import (
	"context"
	"fmt"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/plugins"
)

// noop is a provider whose resources are nothing. It answers under the name of the package random, to which the engine is
// attached anyway.
type noop struct{ providers.Base }

func newNoop() pulumirpc.ResourceProviderServer {
	return &noop{Base: providers.Base{Package: "random", Version: plugins.Random}}
}

// Check accepts all inputs.
func (*noop) Check(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: request.GetNews()}, nil
}

// Diff sees no change.
func (*noop) Diff(context.Context, *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
}

// Create creates nothing.
func (*noop) Create(_ context.Context, request *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	return &pulumirpc.CreateResponse{Id: "nothing", Properties: request.GetProperties()}, nil
}

// Delete deletes nothing.
func (*noop) Delete(context.Context, *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// noops returns a program that registers n resources which are nothing.
func noops(n int) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		provider, err := random.NewProvider(ctx, "nothing", nil, pulumi.Version(plugins.Random))
		if err != nil {
			return err
		}
		for i := range n {
			var nothing pulumi.CustomResourceState
			name := fmt.Sprintf("nothing-%04d", i)
			err := ctx.RegisterResource("random:index/nothing:Nothing", name, pulumi.Map{"name": pulumi.String(name)}, &nothing,
				pulumi.Provider(provider))
			if err != nil {
				return err
			}
		}
		return nil
	}
}
