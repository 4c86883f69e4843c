package providers

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Base answers the part of the provider protocol that is the same for every provider of the lab. A
// provider embeds it and adds Check, Diff, Create, Read, Update, Delete and Invoke. A method that
// neither implements fails with gRPC code Unimplemented and its name, so no request is answered as
// if it had been carried out.
type Base struct {
	pulumirpc.UnimplementedResourceProviderServer

	// Package is the name of the Pulumi package, such as azure-native.
	Package string
	// Version is the semantic version, without a leading v, of the plugin that the provider stands in
	// for.
	Version string
}

// Attach accepts the engine. Without it, an engine cannot attach to the provider. The engine's
// address is not needed, because nothing is logged through the engine.
func (Base) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// GetPluginInfo returns the version.
func (b Base) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: b.Version}, nil
}

// GetSchema returns a schema that names the package and describes nothing. Programs use the typed
// SDKs, so the engine asks for it only to show it.
func (b Base) GetSchema(context.Context, *pulumirpc.GetSchemaRequest) (*pulumirpc.GetSchemaResponse, error) {
	schema, err := json.Marshal(map[string]string{"name": b.Package, "version": b.Version})
	if err != nil {
		return nil, fmt.Errorf("schema of package %s cannot be written: %w", b.Package, err)
	}
	return &pulumirpc.GetSchemaResponse{Schema: string(schema)}, nil
}

// CheckConfig accepts the configuration of an explicit provider unchanged.
func (Base) CheckConfig(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: request.GetNews()}, nil
}

// DiffConfig reports no change: the configuration (a location, a subscription) has no effect here,
// and a changed provider must never replace the resources that it manages.
func (Base) DiffConfig(context.Context, *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
}

// Configure says that secrets are passed separately from other values, and that creates and updates
// can be previewed.
func (Base) Configure(context.Context, *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	return &pulumirpc.ConfigureResponse{
		AcceptSecrets: true, AcceptResources: true, AcceptOutputs: true, SupportsPreview: true,
	}, nil
}

// Cancel does nothing. The engine calls it at the end of *every* operation, not only when a user
// interrupts one; a provider that stopped here could not serve the next stack. An operation under
// way goes on, as in Azure, where a client that stops waiting does not undo its request.
func (Base) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// Token returns the resource type of a request, such as azure-native:network/v20240501:Subnet.
// Engines that are too old to send the type name it in the resource's URN. If neither has it, Token
// returns "", which is no type.
func Token(request interface {
	GetType() string
	GetUrn() string
},
) string {
	if request.GetType() != "" {
		return request.GetType()
	}
	urn := resource.URN(request.GetUrn())
	if !urn.IsValid() { // the SDK would never return
		return ""
	}
	return string(urn.Type())
}
