package object_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/internal/versions"
)

// monitor keeps the registrations, as the engine would receive them, and answers with the inputs.
type monitor struct {
	registered pulumi.MockResourceArgs
	// computed is the metadata that the API server answers with instead.
	computed resource.PropertyMap
}

func (m *monitor) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	m.registered = args
	outputs := args.Inputs.Copy()
	if m.computed != nil {
		outputs["metadata"] = resource.NewObjectProperty(m.computed)
	}
	return "id", outputs, nil
}

func (*monitor) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }

func (m *monitor) run(t *testing.T, program pulumi.RunFunc) {
	t.Helper()
	require.NoError(t, pulumi.RunErr(program, pulumi.WithMocks("p", "dev", m)))
}

func TestUnit_ObjectsAreRegisteredAsTheSDKDoes(t *testing.T) {
	t.Parallel()
	metadata := object.Metadata{Name: pulumi.String("a")}
	for token, test := range map[string]struct {
		register func(*pulumi.Context) (*object.Object, error)
		inputs   map[string]any
	}{
		object.NamespaceToken: {
			func(ctx *pulumi.Context) (*object.Object, error) { return object.NewNamespace(ctx, "x", metadata) },
			map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "a"}},
		},
		object.ServiceToken: {
			func(ctx *pulumi.Context) (*object.Object, error) {
				return object.NewService(ctx, "x", metadata, pulumi.Map{"type": pulumi.String("LoadBalancer")})
			},
			map[string]any{
				"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "a"}, "spec": map[string]any{"type": "LoadBalancer"},
			},
		},
		"kubernetes:example.com/v1:Thing": {
			func(ctx *pulumi.Context) (*object.Object, error) {
				return object.NewCustom(ctx, "x", "example.com/v1", "Thing", object.Metadata{
					Name: pulumi.String("a"), Namespace: pulumi.String("b"),
					Labels:      pulumi.StringMap{"label": pulumi.String("c")},
					Annotations: pulumi.StringMap{"annotation": pulumi.String("d")},
					Finalizers:  pulumi.StringArray{pulumi.String("e")},
				}, pulumi.Map{"size": pulumi.Int(1)})
			},
			map[string]any{
				"apiVersion": "example.com/v1", "kind": "Thing", "spec": map[string]any{"size": 1.0},
				"metadata": map[string]any{
					"name": "a", "namespace": "b", "labels": map[string]any{"label": "c"},
					"annotations": map[string]any{"annotation": "d"}, "finalizers": []any{"e"},
				},
			},
		},
	} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			m := &monitor{}
			m.run(t, func(ctx *pulumi.Context) error {
				_, err := test.register(ctx)
				return err
			})
			assert.Equal(t, token, m.registered.TypeToken)
			assert.Equal(t, test.inputs, m.registered.Inputs.Mappable())
			assert.Equal(t, versions.Kubernetes, m.registered.RegisterRPC.GetVersion())
		})
	}
}

func TestUnit_TheProgramTakesTheFieldsOfASharedObjectBack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		metadata object.Metadata
		want     any
	}{
		"its own": {object.Metadata{Name: pulumi.String("a")}, nil},
		"shared":  {object.Metadata{Name: pulumi.String("a"), Shared: true}, map[string]any{"pulumi.com/patchForce": "true"}},
		"shared and noted": {
			object.Metadata{Name: pulumi.String("a"), Shared: true, Annotations: pulumi.StringMap{"b": pulumi.String("c")}},
			map[string]any{"pulumi.com/patchForce": "true", "b": "c"},
		},
	} {
		m := &monitor{}
		m.run(t, func(ctx *pulumi.Context) error {
			_, err := object.NewNamespace(ctx, "x", test.metadata)
			return err
		})
		metadata, _ := m.registered.Inputs.Mappable()["metadata"].(map[string]any)
		assert.Equal(t, test.want, metadata["annotations"], name)
	}
}

func TestUnit_WhatASecretHoldsIsSecret(t *testing.T) {
	t.Parallel()
	m := &monitor{}
	m.run(t, func(ctx *pulumi.Context) error {
		_, err := object.NewSecret(ctx, "x", object.Metadata{Name: pulumi.String("a")}, pulumi.StringMap{"key": pulumi.String("value")})
		return err
	})
	assert.Equal(t, object.SecretToken, m.registered.TypeToken)
	data := m.registered.Inputs["stringData"]
	require.True(t, data.IsSecret() || data.IsOutput() && data.OutputValue().Secret)
	assert.Equal(t, []string{"data", "stringData"}, m.registered.RegisterRPC.GetAdditionalSecretOutputs())
	assert.Equal(t, []string{"apiVersion", "kind", "metadata", "stringData"}, keys(m.registered.Inputs))
}

func keys(inputs resource.PropertyMap) []string {
	var list []string
	for _, key := range inputs.StableKeys() {
		list = append(list, string(key))
	}
	return list
}

func TestUnit_TheNameIsTheRegisteredObjects(t *testing.T) {
	t.Parallel()
	m := &monitor{computed: resource.PropertyMap{"name": resource.NewStringProperty("what the API server says")}}
	m.run(t, func(ctx *pulumi.Context) error {
		namespace, err := object.NewNamespace(ctx, "x", object.Metadata{Name: pulumi.String("a")})
		if err != nil {
			return err
		}
		name, err := internals.UnsafeAwaitOutput(ctx.Context(), namespace.Name())
		if err != nil {
			return err
		}
		assert.Equal(t, "what the API server says", name.Value)
		require.Len(t, name.Dependencies, 1, "who uses the name waits for the object")
		assert.Same(t, namespace, name.Dependencies[0])
		return nil
	})
}
