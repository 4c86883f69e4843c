package floor

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/versions"
)

// Like returns a program that registers as many resources as a state has, with the same parents and
// dependencies, and exports as many outputs. Components stay components; resources that the stack
// only reads are left out. With a kubeconfig, the state's cluster resources become ConfigMaps
// there, made by the real Kubernetes provider, so the figure includes that provider's own time.
func Like(resources []apitype.ResourceV3, kubeconfig string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		made := map[resource.URN]pulumi.Resource{}
		var p *random.Provider // stands for the first one of the state
		var clusters []pulumi.ProviderResource
		for i, r := range resources {
			if r.Type == resource.RootStackType {
				for key := range r.Outputs {
					ctx.Export(key, pulumi.String(key))
				}
				continue
			}
			if r.External || r.Type == "pulumi:providers:pulumi" {
				continue // it is only read, by a reference to a stack
			}
			var err error
			if kubeconfig != "" && r.Type == "pulumi:providers:kubernetes" {
				cluster, err := newCluster(ctx, r, kubeconfig)
				if err != nil {
					return err
				}
				clusters, made[r.URN] = append(clusters, cluster), cluster
				continue
			}
			if p == nil && isProvider(r) {
				if p, err = newProvider(ctx); err != nil {
					return err
				}
				made[r.URN] = p
				continue
			}
			options := []pulumi.ResourceOption{pulumi.DependsOn(dependencies(r, made))}
			if parent, ok := made[r.Parent]; ok {
				options = append(options, pulumi.Parent(parent))
			}
			name := fmt.Sprintf("%03d-%s", i, r.URN.Name())
			switch {
			case !r.Custom:
				made[r.URN], err = component(ctx, string(r.Type), name, options...)
			case len(clusters) > 0 && r.Type.Package() == "kubernetes":
				made[r.URN], err = configMap(ctx, name, append(options, pulumi.Provider(clusters[0]))...)
			default:
				if p == nil {
					if p, err = newProvider(ctx); err != nil {
						return err
					}
				}
				made[r.URN], err = nothing(ctx, name, append(options, pulumi.Provider(p))...)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// newCluster returns a provider of Kubernetes that works as the one in the state does.
func newCluster(ctx *pulumi.Context, r apitype.ResourceV3, kubeconfig string) (*kubernetes.Provider, error) {
	return kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{
		Kubeconfig:            pulumi.ToSecret(pulumi.String(kubeconfig)).(pulumi.StringOutput),
		EnableServerSideApply: pulumi.Bool(fmt.Sprint(r.Inputs["enableServerSideApply"]) != "false"),
	}, pulumi.Version(versions.Kubernetes))
}

func configMap(ctx *pulumi.Context, name string, options ...pulumi.ResourceOption) (pulumi.Resource, error) {
	var r pulumi.CustomResourceState
	err := ctx.RegisterResource("kubernetes:core/v1:ConfigMap", name, pulumi.Map{
		"apiVersion": pulumi.String("v1"), "kind": pulumi.String("ConfigMap"),
		"metadata": pulumi.StringMap{"name": pulumi.String("bench-" + ctx.Project() + "-" + name), "namespace": pulumi.String("default")},
	}, &r, options...)
	return &r, err
}

func component(ctx *pulumi.Context, token, name string, options ...pulumi.ResourceOption) (pulumi.Resource, error) {
	r := &pulumi.ResourceState{}
	if err := ctx.RegisterComponentResource(token, name, r, options...); err != nil {
		return nil, err
	}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{})
}

func newProvider(ctx *pulumi.Context) (*random.Provider, error) {
	return random.NewProvider(ctx, "nothing", nil, pulumi.Version(versions.Random))
}

func nothing(ctx *pulumi.Context, name string, options ...pulumi.ResourceOption) (pulumi.Resource, error) {
	var r pulumi.CustomResourceState
	err := ctx.RegisterResource(token, name, pulumi.Map{"name": pulumi.String(name)}, &r, options...)
	return &r, err
}

func isProvider(r apitype.ResourceV3) bool {
	return strings.HasPrefix(string(r.Type), "pulumi:providers:")
}

// dependencies returns the resources that r waits for. A state lists resources in the order of
// their registration, so all of them are made already.
func dependencies(r apitype.ResourceV3, made map[resource.URN]pulumi.Resource) []pulumi.Resource {
	var found []pulumi.Resource
	for _, urn := range r.Dependencies {
		if before, ok := made[urn]; ok {
			found = append(found, before)
		}
	}
	return found
}
