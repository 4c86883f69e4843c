// Package vault creates the key vault, the only place where the platform's secrets live.
package vault

import (
	"fmt"

	azure "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/scope"
	"github.com/gridos/sharedinfra/internal/config"
)

// Settings is the configuration of the vault.
type Settings struct {
	// PurgeProtection keeps a deleted vault, and its name, for the whole retention. It cannot be
	// switched off again.
	PurgeProtection bool
	// SoftDeleteDays is how long a deleted vault can be recovered, 7 to 90 days.
	SoftDeleteDays int
	// Private gives the vault an address in the virtual network and no public one.
	Private bool
	// IngestSenders are those who send telemetry to the application, each of which has tokens of
	// its own.
	IngestSenders []string
}

// Load reads Settings with the defaults d, recording mistakes in r.
func Load(r *config.Reader, d Settings) Settings {
	s := Settings{
		PurgeProtection: r.Bool("vaultPurgeProtection", d.PurgeProtection),
		SoftDeleteDays:  r.IntBetween("vaultSoftDeleteDays", d.SoftDeleteDays, 7, 90),
		Private:         r.Bool("vaultPrivate", d.Private),
		IngestSenders:   r.Strings("ingestSenders", d.IngestSenders),
	}
	r.Check("ingestSenders", checkSenders(s.IngestSenders))
	return s
}

// Args is what a Vault needs. Every field is required.
type Args struct {
	scope.Scope
	Settings Settings
	Caller   identity.Caller
	Deployer identity.Principal
	// AuthorizedRanges are the public addresses (CIDRs) that reach a vault which is not private.
	AuthorizedRanges []string
	// NodesSubnetID is the ARM id of the subnet whose nodes reach a vault which is not private.
	NodesSubnetID pulumi.StringInput
	// NetworkSettled is what such a vault waits for: Azure refuses it while it works on a subnet of
	// the network (rule N10).
	NetworkSettled pulumi.Resource
}

// Vault is the key vault of one environment.
type Vault struct {
	pulumi.ResourceState

	// ID, Name and URI are the vault's ARM id, name and https address.
	ID, Name, URI pulumi.StringOutput
	// Access is what a program needs to read and write secrets: the deployer's right and, if the
	// vault is private, the path to it. Azure's provider deletes secrets through the vault's data
	// plane, so secrets depend on Access: a removal must delete it after them (rule V2).
	Access []pulumi.Resource
}

// New registers the vault and the deployer's access to its secrets.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Vault, error) {
	v := &Vault{}
	if err := ctx.RegisterComponentResource("gridos-infra:vault:Vault", name, v, opts...); err != nil {
		return nil, err
	}
	if err := v.provision(ctx, name, args); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return v, ctx.RegisterResourceOutputs(v, pulumi.Map{"id": v.ID, "name": v.Name, "uri": v.URI})
}

func (v *Vault) provision(ctx *pulumi.Context, name string, args Args) error {
	var network []pulumi.Resource
	if !args.Settings.Private {
		network = append(network, args.NetworkSettled)
	}
	vault, err := azure.NewVault(ctx, name+"-vault", &azure.VaultArgs{
		ResourceGroupName: args.ResourceGroupName,
		VaultName:         pulumi.String(args.Names.Vault),
		Location:          pulumi.String(args.Location),
		Properties:        properties(args),
		Tags:              args.Tags,
	}, pulumi.Parent(v), pulumi.Protect(args.Protect), pulumi.DependsOn(network))
	if err != nil {
		return err
	}
	access, err := identity.Assign(ctx, name+"-deployer-secrets-officer", identity.Assignment{
		SubscriptionID: args.Caller.SubscriptionID,
		Scope:          vault.ID().ToStringOutput(),
		Principal:      args.Deployer,
		Role:           identity.KeyVaultSecretsOfficer,
	}, pulumi.Parent(v))
	if err != nil {
		return err
	}
	v.ID = vault.ID().ToStringOutput()
	v.Name = vault.Name
	v.URI = vault.Properties.VaultUri()
	v.Access = []pulumi.Resource{access}
	return args.Diagnostics.Watch(ctx, name+"-vault", v.ID, scope.Tabled, pulumi.Parent(v))
}

func properties(args Args) azure.VaultPropertiesArgs {
	p := azure.VaultPropertiesArgs{
		TenantId:                  pulumi.String(args.Caller.TenantID),
		Sku:                       azure.SkuArgs{Family: pulumi.String(azure.SkuFamilyA), Name: azure.SkuNameStandard},
		EnableRbacAuthorization:   pulumi.Bool(true),
		EnableSoftDelete:          pulumi.Bool(true),
		SoftDeleteRetentionInDays: pulumi.Int(args.Settings.SoftDeleteDays),
		PublicNetworkAccess:       pulumi.String("Disabled"),
	}
	if args.Settings.PurgeProtection {
		p.EnablePurgeProtection = pulumi.Bool(true) // Azure refuses false: it is true or absent (rule V1)
	}
	acls := azure.NetworkRuleSetArgs{
		DefaultAction: pulumi.String(azure.NetworkRuleActionDeny),
		Bypass:        pulumi.String(azure.NetworkRuleBypassOptionsAzureServices), // Resource Manager writes the secrets
	}
	if !args.Settings.Private {
		p.PublicNetworkAccess = pulumi.String("Enabled")
		ranges := make(azure.IPRuleArray, len(args.AuthorizedRanges))
		for i, r := range args.AuthorizedRanges {
			ranges[i] = azure.IPRuleArgs{Value: pulumi.String(r)}
		}
		acls.IpRules = ranges
		acls.VirtualNetworkRules = azure.VirtualNetworkRuleArray{azure.VirtualNetworkRuleArgs{Id: args.NodesSubnetID}}
	}
	p.NetworkAcls = acls
	return p
}
