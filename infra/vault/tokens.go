package vault

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	azure "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/scope"
)

const (
	// tokenLength is the number of letters and digits of a token: 238 bits.
	tokenLength = 40
	// mostSenders keeps the secret below the 25 kB that a key vault takes. Source: azure-docs,
	// key-vault/secrets/about-secrets.md.
	mostSenders = 100
)

// sender is a name that the service takes for one (access.Tokens in src).
var sender = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func checkSenders(senders []string) error {
	if len(senders) == 0 || len(senders) > mostSenders {
		return fmt.Errorf("names %d senders; name 1 to %d", len(senders), mostSenders)
	}
	for i, name := range senders {
		switch {
		case !sender.MatchString(name):
			return fmt.Errorf("%q is not a name of a sender; use lower-case letters, digits and hyphens", name)
		case name == "any":
			return errors.New(`"any" is what the service calls a sender without a name; choose another`)
		case slices.Contains(senders[:i], name):
			return fmt.Errorf("%q is listed twice; list each sender once", name)
		}
	}
	return nil
}

// TokensArgs is what NewTokens needs. Every field is required.
type TokensArgs struct {
	scope.Scope
	// SecretName is the name in the vault.
	SecretName string
}

// NewTokens registers one secret with two tokens of each sender, as lines of the sender's name and
// the token. Both are valid. A sender uses one of them, so that the other can be replaced, and used
// from then on, while the first still is valid. Replacing the resource "<name>-<sender>-first" or
// "-second" issues another.
func (v *Vault) NewTokens(ctx *pulumi.Context, name string, senders []string, args TokensArgs) error {
	var lines strings.Builder
	var values []any
	for _, sender := range senders {
		for _, which := range []string{"first", "second"} {
			token, err := random.NewRandomPassword(ctx, name+"-"+sender+"-"+which, &random.RandomPasswordArgs{
				Length: pulumi.Int(tokenLength), Special: pulumi.Bool(false),
			}, pulumi.Parent(v))
			if err != nil {
				return fmt.Errorf("secret %s: %w", args.SecretName, err)
			}
			lines.WriteString("%s %s\n")
			values = append(values, sender, token.Result)
		}
	}
	if _, err := azure.NewSecret(ctx, name+"-secret", &azure.SecretArgs{
		ResourceGroupName: args.ResourceGroupName,
		VaultName:         v.Name,
		SecretName:        pulumi.String(args.SecretName),
		Properties:        azure.SecretPropertiesArgs{Value: pulumi.Sprintf(lines.String(), values...)},
		Tags:              args.Tags,
	}, pulumi.Parent(v), pulumi.DependsOn(v.Access)); err != nil {
		return fmt.Errorf("secret %s: %w", args.SecretName, err)
	}
	return nil
}
