// Package registry creates the container registry that the application's images are pushed to.
package registry

import (
	"fmt"
	"strings"

	azure "github.com/pulumi/pulumi-azure-native-sdk/containerregistry/v2/v20230701"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/scope"
	"github.com/gridos/sharedinfra/internal/config"
)

// Settings is the configuration of the registry.
type Settings struct {
	// SKU is Basic, Standard or Premium.
	SKU string
	// ZoneRedundant spreads a Premium registry over the region's zones.
	ZoneRedundant bool
	// Private gives a Premium registry an address in the virtual network and no public one.
	Private bool
	// UntaggedDays is how long a Premium registry keeps manifests without a tag, 0 to 365 days; 0
	// keeps them for ever.
	UntaggedDays int
}

// Load reads Settings with the defaults d, recording mistakes in r.
func Load(r *config.Reader, d Settings) Settings {
	s := Settings{
		SKU: r.OneOf("registrySku", d.SKU,
			string(azure.SkuNameBasic), string(azure.SkuNameStandard), string(azure.SkuNamePremium)),
		ZoneRedundant: r.Bool("registryZoneRedundant", d.ZoneRedundant),
		Private:       r.Bool("registryPrivate", d.Private),
		UntaggedDays:  r.IntBetween("registryUntaggedDays", d.UntaggedDays, 0, 365),
	}
	var premium []string
	if s.ZoneRedundant {
		premium = append(premium, "zone redundancy (registryZoneRedundant)")
	}
	if s.Private {
		premium = append(premium, "a private endpoint (registryPrivate)")
	}
	if s.UntaggedDays > 0 {
		premium = append(premium, "retention (registryUntaggedDays)")
	}
	if s.SKU != string(azure.SkuNamePremium) && len(premium) > 0 {
		r.Check("registrySku", fmt.Errorf("%s lacks %s; set it to Premium, or do without", s.SKU, strings.Join(premium, ", ")))
	}
	return s
}

// Args is what a Registry needs. Every field is required.
type Args struct {
	scope.Scope
	Settings Settings
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
	registry, err := azure.NewRegistry(ctx, name+"-registry", registryArgs(args), pulumi.Parent(r), pulumi.Protect(args.Protect))
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	r.ID = registry.ID().ToStringOutput()
	r.LoginServer = registry.LoginServer
	if err := args.Diagnostics.Watch(ctx, name+"-registry", r.ID, scope.LogsAndMetrics, pulumi.Parent(r)); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{"id": r.ID, "loginServer": r.LoginServer})
}

func registryArgs(args Args) *azure.RegistryArgs {
	out := &azure.RegistryArgs{
		ResourceGroupName: args.ResourceGroupName,
		RegistryName:      pulumi.String(args.Names.Registry),
		Location:          pulumi.String(args.Location),
		Sku:               azure.SkuArgs{Name: pulumi.String(args.Settings.SKU)},
		AdminUserEnabled:  pulumi.Bool(false), // identities pull and push; there is no shared password
		Tags:              args.Tags,
	}
	if args.Settings.ZoneRedundant {
		out.ZoneRedundancy = pulumi.String(azure.ZoneRedundancyEnabled)
	}
	if args.Settings.Private {
		out.PublicNetworkAccess = pulumi.String(azure.PublicNetworkAccessDisabled)
		out.NetworkRuleBypassOptions = pulumi.String(azure.NetworkRuleBypassOptionsAzureServices)
	}
	if args.Settings.UntaggedDays > 0 {
		out.Policies = azure.PoliciesArgs{RetentionPolicy: azure.RetentionPolicyArgs{
			Days:   pulumi.Int(args.Settings.UntaggedDays),
			Status: pulumi.String(azure.PolicyStatusEnabled),
		}}
	}
	return out
}
