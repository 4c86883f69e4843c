// Package object registers objects of Kubernetes with the Kubernetes provider.
//
// The SDK has a type for each of them, but they cost more than the rest of a program: compiling
// core/v1 takes 38 CPU-seconds, meta/v1 7 and apiextensions 4, of a cold build of gridos-bootstrap
// that took 184; and each package that mentions one of their types takes 3 to 4 more, because the
// compiler writes the descriptors of thousands of generic types into it. This one spells the tokens
// and the few fields that the platform uses, under the names of the provider's schema.
package object

import (
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/versions"
)

// The resource types of the kinds that Kubernetes itself brings, in the Kubernetes provider's
// schema.
const (
	ConfigMapToken = "kubernetes:core/v1:ConfigMap"
	NamespaceToken = "kubernetes:core/v1:Namespace"
	SecretToken    = "kubernetes:core/v1:Secret"
	ServiceToken   = "kubernetes:core/v1:Service"
)

// Metadata is an object's name and place. Only Name is required.
type Metadata struct {
	Name pulumi.StringInput
	// Namespace is nil for an object of the whole cluster.
	Namespace           pulumi.StringInput
	Labels, Annotations pulumi.StringMap
	Finalizers          pulumi.StringArray
	// Shared says that a controller also writes fields that the program sets, and that the
	// program's values win. A controller that updates an object becomes the owner of the fields
	// that it changes, and of the whole list around them. Without Shared the next change by the
	// program then fails with a conflict of field managers.
	Shared bool
}

// patchForce makes the provider take fields back from other managers. It forces nothing by default
// (pulumi-kubernetes 4.24.0, provider/pkg/await/await.go, and its documentation, "Server-Side
// Apply").
const patchForce = "pulumi.com/patchForce"

// input leaves out what is not set, as the SDK does: an empty map would be a change.
func (m Metadata) input() pulumi.Map {
	in := pulumi.Map{"name": m.Name}
	if m.Namespace != nil {
		in["namespace"] = m.Namespace
	}
	if m.Labels != nil {
		in["labels"] = m.Labels
	}
	annotations := m.Annotations
	if m.Shared {
		annotations = pulumi.StringMap{patchForce: pulumi.String("true")}
		maps.Copy(annotations, m.Annotations)
	}
	if annotations != nil {
		in["annotations"] = annotations
	}
	if m.Finalizers != nil {
		in["finalizers"] = m.Finalizers
	}
	return in
}

// RestrictedPods are the labels of a namespace by which the API server refuses pods that Pod
// Security "restricted" does not allow (kubernetes.io, "Pod Security Standards"), and warns users
// who apply an object that would create such pods.
func RestrictedPods() pulumi.StringMap {
	labels := pulumi.StringMap{}
	for _, mode := range []string{"enforce", "audit", "warn"} {
		labels["pod-security.kubernetes.io/"+mode] = pulumi.String("restricted")
	}
	return labels
}

// Object is a registered object.
type Object struct {
	pulumi.CustomResourceState

	// Metadata is the object's metadata as the API server has it.
	Metadata pulumi.MapOutput `pulumi:"metadata"`
}

// Name returns the object's name. A resource that uses it waits until the object exists.
func (o *Object) Name() pulumi.StringOutput {
	return o.Metadata.ApplyT(func(metadata map[string]any) string {
		name, _ := metadata["name"].(string)
		return name
	}).(pulumi.StringOutput)
}

// NewNamespace registers a Namespace.
func NewNamespace(ctx *pulumi.Context, name string, metadata Metadata, opts ...pulumi.ResourceOption) (*Object, error) {
	return register(ctx, NamespaceToken, name, "v1", "Namespace", metadata, nil, opts)
}

// NewConfigMap registers a ConfigMap.
func NewConfigMap(
	ctx *pulumi.Context, name string, metadata Metadata, data pulumi.StringMap, opts ...pulumi.ResourceOption,
) (*Object, error) {
	return register(ctx, ConfigMapToken, name, "v1", "ConfigMap", metadata, pulumi.Map{"data": data}, opts)
}

// NewSecret registers a Secret. All its values are secret in the state too, even those that were
// not secret before.
func NewSecret(
	ctx *pulumi.Context, name string, metadata Metadata, stringData pulumi.StringMap, opts ...pulumi.ResourceOption,
) (*Object, error) {
	// The provider answers with data, which it derives from stringData.
	opts = append(opts[:len(opts):len(opts)], pulumi.AdditionalSecretOutputs([]string{"data", "stringData"}))
	return register(ctx, SecretToken, name, "v1", "Secret", metadata, pulumi.Map{"stringData": pulumi.ToSecret(stringData)}, opts)
}

// NewService registers a Service.
func NewService(
	ctx *pulumi.Context, name string, metadata Metadata, spec pulumi.Map, opts ...pulumi.ResourceOption,
) (*Object, error) {
	return register(ctx, ServiceToken, name, "v1", "Service", metadata, pulumi.Map{"spec": spec}, opts)
}

// NewCustom registers an object of a kind that a CustomResourceDefinition brings, such as
// Application of argoproj.io/v1alpha1.
func NewCustom(
	ctx *pulumi.Context, name, apiVersion, kind string, metadata Metadata, spec pulumi.Map, opts ...pulumi.ResourceOption,
) (*Object, error) {
	token := "kubernetes:" + apiVersion + ":" + kind
	return register(ctx, token, name, apiVersion, kind, metadata, pulumi.Map{"spec": spec}, opts)
}

func register(
	ctx *pulumi.Context, token, name, apiVersion, kind string, metadata Metadata, fields pulumi.Map, opts []pulumi.ResourceOption,
) (*Object, error) {
	in := pulumi.Map{"apiVersion": pulumi.String(apiVersion), "kind": pulumi.String(kind), "metadata": metadata.input()}
	for key, value := range fields {
		in[key] = value
	}
	var registered Object
	// Without the version and without a provider the engine would take any plugin that it finds.
	opts = append([]pulumi.ResourceOption{pulumi.Version(versions.Kubernetes)}, opts...)
	if err := ctx.RegisterResource(token, name, in, &registered, opts...); err != nil {
		return nil, err
	}
	return &registered, nil
}
