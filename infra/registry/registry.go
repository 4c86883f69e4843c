// Package registry creates the container registry that the application's images are pushed to.
package registry

import (
	"errors"

	azure "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/naming"
)

// Settings is the configuration of the registry.
type Settings struct {
	// SKU is Basic, Standard or Premium.
	SKU string
	// ZoneRedundant spreads a Premium registry over the region's zones.
	ZoneRedundant bool
}

// Load reads Settings, recording mistakes in r.
func Load(r *config.Reader) Settings {
	s := Settings{
		SKU: r.OneOf("registrySku",
			string(azure.SkuNameBasic), string(azure.SkuNameStandard), string(azure.SkuNamePremium)),
		ZoneRedundant: r.Bool("registryZoneRedundant"),
	}
	if s.ZoneRedundant && s.SKU != string(azure.SkuNamePremium) {
		r.Check("registryZoneRedundant", errors.New("only a Premium registry spreads over zones; set registrySku to Premium"))
	}
	return s
}

// Args is what a Registry needs. Every field is required.
type Args struct {
	Names             naming.Names
	Settings          Settings
	Location          string
	ResourceGroupName pulumi.StringInput
	Tags              pulumi.StringMap
}

// Registry is the container registry of one environment.
type Registry struct {
	pulumi.ResourceState

	// ID is the registry's ARM id.
	ID pulumi.StringOutput
	// LoginServer is the registry's host name.
	LoginServer pulumi.StringOutput
}

// New registers the registry.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Registry, error) {
	r := &Registry{}
	if err := ctx.RegisterComponentResource("gridos-infra:registry:Registry", name, r, opts...); err != nil {
		return nil, err
	}
	registryArgs := &azure.RegistryArgs{
		ResourceGroupName: args.ResourceGroupName,
		RegistryName:      pulumi.String(args.Names.Registry),
		Location:          pulumi.String(args.Location),
		Sku:               azure.SkuArgs{Name: pulumi.String(args.Settings.SKU)},
		AdminUserEnabled:  pulumi.Bool(false), // identities pull and push; there is no shared password
		Tags:              args.Tags,
	}
	if args.Settings.ZoneRedundant {
		registryArgs.ZoneRedundancy = pulumi.String(azure.ZoneRedundancyEnabled)
	}
	registry, err := azure.NewRegistry(ctx, name+"-registry", registryArgs, pulumi.Parent(r))
	if err != nil {
		return nil, err
	}
	r.ID = registry.ID().ToStringOutput()
	r.LoginServer = registry.LoginServer
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{"id": r.ID, "loginServer": r.LoginServer})
}
