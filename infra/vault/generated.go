package vault

import (
	"fmt"

	azure "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// generatedLength is the number of letters and digits of a generated secret: 238 bits.
const generatedLength = 40

// GeneratedArgs is what NewGenerated needs. Every field is required.
type GeneratedArgs struct {
	// SecretName is the name in the vault.
	SecretName        string
	ResourceGroupName pulumi.StringInput
	Tags              pulumi.StringMap
}

// NewGenerated registers a secret that nobody chose, such as a token that both sides read from the vault. Replacing the resource
// "<name>-value" issues another.
func (v *Vault) NewGenerated(ctx *pulumi.Context, name string, args GeneratedArgs) error {
	value, err := random.NewRandomPassword(ctx, name+"-value", &random.RandomPasswordArgs{
		Length: pulumi.Int(generatedLength), Special: pulumi.Bool(false),
	}, pulumi.Parent(v))
	if err != nil {
		return fmt.Errorf("secret %s: %w", args.SecretName, err)
	}
	if _, err := azure.NewSecret(ctx, name+"-secret", &azure.SecretArgs{
		ResourceGroupName: args.ResourceGroupName,
		VaultName:         v.Name,
		SecretName:        pulumi.String(args.SecretName),
		Properties:        azure.SecretPropertiesArgs{Value: value.Result},
		Tags:              args.Tags,
	}, pulumi.Parent(v), pulumi.DependsOn(v.Access)); err != nil {
		return fmt.Errorf("secret %s: %w", args.SecretName, err)
	}
	return nil
}
