package arm

import (
	"context"
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gridos/sharedinfra/lab/internal/providers"
)

// providerVersion is the version of the azure-native plugin that the provider stands in for.
const providerVersion = "2.90.0"

// Provider returns the resource provider azure-native over this cloud. Any number of them may serve
// one cloud.
func (c *Cloud) Provider() pulumirpc.ResourceProviderServer {
	return &provider{Base: providers.Base{Package: "azure-native", Version: providerVersion}, cloud: c}
}

type provider struct {
	providers.Base
	cloud *Cloud
}

// definition returns what is known about a resource type.
func (p *provider) definition(token string) (*Definition, error) {
	d, ok := p.cloud.registry.byToken[token]
	if !ok {
		return nil, status.Errorf(codes.Unimplemented,
			"the simulated Azure has no resource type %q; add it to the table in lab/internal/azure/services", token)
	}
	return d, nil
}

// Check compares the inputs with the SDK's types and applies the rules that need no other resource.
func (p *provider) Check(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	d, err := p.definition(providers.Token(request))
	if err != nil {
		return nil, err
	}
	before, inputs, err := pair(request.GetOlds(), request.GetNews())
	if err != nil {
		return nil, err
	}
	news, err := providers.Marshal(inputs)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CheckResponse{Inputs: news, Failures: p.cloud.check(d, before, inputs)}, nil
}

// Diff compares the inputs before and after.
func (p *provider) Diff(_ context.Context, request *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	d, err := p.definition(providers.Token(request))
	if err != nil {
		return nil, err
	}
	before, after, err := pair(request.GetOldInputs(), request.GetNews())
	if err != nil {
		return nil, err
	}
	return d.diff(before, after)
}

// Create creates a resource. A preview returns the inputs that come back as outputs; outputs that
// Azure computes stay unknown.
func (p *provider) Create(ctx context.Context, request *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	d, err := p.definition(providers.Token(request))
	if err != nil {
		return nil, err
	}
	inputs, err := providers.Unmarshal(request.GetProperties())
	if err != nil {
		return nil, err
	}
	var id string
	outputs := d.foresee(inputs, resource.PropertyMap{})
	if !request.GetPreview() {
		if id, outputs, err = p.cloud.create(ctx, d, inputs); err != nil {
			return nil, err
		}
	}
	properties, err := providers.Marshal(outputs)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CreateResponse{Id: id, Properties: properties}, nil
}

// Read returns the live state of a resource, for a refresh or an import, or no id if it is gone.
// Write-only inputs and marks of secrecy come from the engine, because Azure does not return them.
func (p *provider) Read(ctx context.Context, request *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	d, err := p.definition(providers.Token(request))
	if err != nil {
		return nil, err
	}
	// A read changes nothing, so a lost answer is just an error.
	if err := errors.Join(p.cloud.fault(ctx, OperationRead, d.Kind, request.GetId())); err != nil {
		return nil, err
	}
	oldOutputs, oldInputs, err := pair(request.GetProperties(), request.GetInputs())
	if err != nil {
		return nil, err
	}
	live, err := p.cloud.read(d, request.GetId())
	if live == nil || err != nil {
		return &pulumirpc.ReadResponse{}, err
	}
	inputs := restore(markSecrets(live.Inputs.Properties(), oldInputs), oldInputs, d.WriteOnly...)
	properties, err := providers.Marshal(markSecrets(live.Outputs.Properties(), oldOutputs))
	if err != nil {
		return nil, err
	}
	marshalled, err := providers.Marshal(inputs)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.ReadResponse{Id: live.ID, Properties: properties, Inputs: marshalled}, nil
}

// read returns the live resource, or nil.
func (c *Cloud) read(d *Definition, id string) (*Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	live := c.live[Key(id)]
	if live != nil && live.Kind != d.Kind {
		return nil, otherType(id, live, d)
	}
	return live, nil
}

// Update changes a resource in place.
func (p *provider) Update(ctx context.Context, request *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	d, err := p.definition(providers.Token(request))
	if err != nil {
		return nil, err
	}
	before, inputs, err := pair(request.GetOldInputs(), request.GetNews())
	if err != nil {
		return nil, err
	}
	var outputs resource.PropertyMap
	if request.GetPreview() {
		oldOutputs, err := providers.Unmarshal(request.GetOlds())
		if err != nil {
			return nil, err
		}
		outputs = d.foresee(inputs, oldOutputs)
	} else if outputs, err = p.cloud.update(ctx, d, request.GetId(), before, inputs); err != nil {
		return nil, err
	}
	properties, err := providers.Marshal(outputs)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.UpdateResponse{Properties: properties}, nil
}

// Delete deletes a resource. If there is nothing to delete, it succeeds.
func (p *provider) Delete(ctx context.Context, request *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	d, err := p.definition(providers.Token(request))
	if err != nil {
		return nil, err
	}
	if err := p.cloud.remove(ctx, d, request.GetId()); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// pair reads two sets of properties of one request.
func pair(first, second *structpb.Struct) (resource.PropertyMap, resource.PropertyMap, error) {
	one, err := providers.Unmarshal(first)
	if err != nil {
		return nil, nil, err
	}
	two, err := providers.Unmarshal(second)
	return one, two, err
}
