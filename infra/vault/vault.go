// Package vault creates the key vault, the only place where the platform's secrets live.
package vault

import (
	azure "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/naming"
)

// Settings is the configuration of the vault.
type Settings struct {
	// PurgeProtection keeps a deleted vault, and its name, for the whole retention. It cannot be taken back.
	PurgeProtection bool
	// SoftDeleteDays is how long a deleted vault can be recovered, 7 to 90 days.
	SoftDeleteDays int
}

// Load reads Settings, recording mistakes in r.
func Load(r *config.Reader) Settings {
	return Settings{
		PurgeProtection: r.Bool("vaultPurgeProtection"),
		SoftDeleteDays:  r.IntBetween("vaultSoftDeleteDays", 7, 90),
	}
}

// Args is what a Vault needs. Every field is required.
type Args struct {
	Names             naming.Names
	Settings          Settings
	Location          string
	Caller            identity.Caller
	Deployer          identity.Principal
	ResourceGroupName pulumi.StringInput
	Tags              pulumi.StringMap
	// Protect refuses to delete the vault.
	Protect bool
}

// Vault is the key vault of one environment.
type Vault struct {
	pulumi.ResourceState

	// Name and URI are the vault's name and https address.
	Name, URI pulumi.StringOutput
	// Access is the deployer's right to secrets. Azure's provider deletes secrets through the vault's data plane, so
	// secrets depend on it: on the way down it must go after them (rule V2).
	Access pulumi.Resource
}

// New registers the vault and the deployer's access to its secrets.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Vault, error) {
	v := &Vault{}
	if err := ctx.RegisterComponentResource("gridos-infra:vault:Vault", name, v, opts...); err != nil {
		return nil, err
	}
	properties := azure.VaultPropertiesArgs{
		TenantId:                  pulumi.String(args.Caller.TenantID),
		Sku:                       azure.SkuArgs{Family: pulumi.String(azure.SkuFamilyA), Name: azure.SkuNameStandard},
		EnableRbacAuthorization:   pulumi.Bool(true),
		SoftDeleteRetentionInDays: pulumi.Int(args.Settings.SoftDeleteDays),
	}
	if args.Settings.PurgeProtection {
		properties.EnablePurgeProtection = pulumi.Bool(true) // Azure refuses false: it is true or absent (rule V1)
	}
	vault, err := azure.NewVault(ctx, name+"-vault", &azure.VaultArgs{
		ResourceGroupName: args.ResourceGroupName,
		VaultName:         pulumi.String(args.Names.Vault),
		Location:          pulumi.String(args.Location),
		Properties:        properties,
		Tags:              args.Tags,
	}, pulumi.Parent(v), pulumi.Protect(args.Protect))
	if err != nil {
		return nil, err
	}
	access, err := identity.Assign(ctx, name+"-deployer-secrets-officer", identity.Assignment{
		SubscriptionID: args.Caller.SubscriptionID,
		Scope:          vault.ID().ToStringOutput(),
		Principal:      args.Deployer,
		Role:           identity.KeyVaultSecretsOfficer,
	}, pulumi.Parent(v))
	if err != nil {
		return nil, err
	}
	v.Name = vault.Name
	v.URI = vault.Properties.VaultUri()
	v.Access = access
	return v, ctx.RegisterResourceOutputs(v, pulumi.Map{"name": v.Name, "uri": v.URI})
}
