package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	managedidentity "github.com/pulumi/pulumi-azure-native-sdk/managedidentity/v2/v20230131"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/internal/config"
)

// Certificate is a certificate in a key vault that exists before the environment does: it outlives
// environments, and a gateway cannot start without it.
type Certificate struct {
	// SecretID is the address of the certificate's secret,
	// https://<vault>.vault.azure.net/secrets/<name>, without a version, so that the gateway follows
	// renewals; or "" for none.
	SecretID string
	// ResourceGroup is the name of the resource group of its vault, in the environment's subscription.
	ResourceGroup string
}

// Configured says whether there is a certificate.
func (c Certificate) Configured() bool { return c.SecretID != "" }

// Parse returns the names of the vault and of the secret. The error says how the address is
// written.
func (c Certificate) Parse() (vault, secret string, err error) {
	address, err := url.Parse(c.SecretID)
	if err == nil && address.Scheme == "https" && address.RawQuery == "" {
		host, isVault := strings.CutSuffix(address.Host, ".vault.azure.net")
		name, isSecret := strings.CutPrefix(address.Path, "/secrets/")
		if isVault && isSecret && host != "" && name != "" && !strings.Contains(name, "/") {
			return host, name, nil
		}
	}
	return "", "", fmt.Errorf("%q is not the address of a secret in a key vault; write it like "+
		"https://<vault>.vault.azure.net/secrets/<certificate>, without a version, so that the gateway follows renewals", c.SecretID)
}

// VaultID is the ARM id of the certificate's vault, whose secrets the gateway may read. Azure
// documents the vault as the scope of a gateway's right (azure-docs,
// application-gateway/key-vault-certs.md), not the one secret.
func (c Certificate) VaultID(subscription string) (string, error) {
	vault, _, err := c.Parse()
	return fmt.Sprintf("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.KeyVault/vaults/%s",
		subscription, c.ResourceGroup, vault), err
}

func loadCertificate(r *config.Reader, d Certificate, environment string) Certificate {
	const key = "gatewayCertificate"
	c := Certificate{
		SecretID:      r.String(key, d.SecretID),
		ResourceGroup: r.String("gatewayCertificateResourceGroup", d.ResourceGroup),
	}
	switch {
	case c.Configured():
		_, _, err := c.Parse()
		r.Check(key, err)
		if c.ResourceGroup == "" {
			r.Check("gatewayCertificateResourceGroup", errors.New(
				"is empty; name the resource group of the certificate's key vault, so that the gateway can be given access"))
		}
	case environment != "dev":
		r.Check(key, fmt.Errorf("is empty, but %s serves HTTPS only; set it to https://<vault>.vault.azure.net/secrets/<certificate>",
			environment))
	}
	return c
}

// certificateReader is how the gateway reads its certificate.
type certificateReader struct {
	identityID pulumi.StringInput // nil without a certificate
	granted    pulumi.ResourceOption
}

func (g *Gateway) certificateReader(ctx *pulumi.Context, name string, args Args) (certificateReader, error) {
	certificate := args.Settings.Certificate
	if !certificate.Configured() {
		return certificateReader{granted: pulumi.Composite()}, nil
	}
	scope, err := certificate.VaultID(args.SubscriptionID)
	if err != nil {
		return certificateReader{}, err
	}
	reader, err := managedidentity.NewUserAssignedIdentity(ctx, name+"-identity", &managedidentity.UserAssignedIdentityArgs{
		ResourceGroupName: args.ResourceGroupName,
		ResourceName:      pulumi.String(args.Names.GatewayIdentity),
		Location:          pulumi.String(args.Location),
		Tags:              args.Tags,
	}, pulumi.Parent(g))
	if err != nil {
		return certificateReader{}, err
	}
	granted, err := identity.AssignBefore(ctx, name+"-certificate-reader", identity.Assignment{
		SubscriptionID: args.SubscriptionID,
		Scope:          pulumi.String(scope),
		Principal:      identity.Principal{ID: reader.PrincipalId, Type: identity.ServicePrincipal},
		Role:           identity.KeyVaultSecretsUser,
	}, args.Propagation, pulumi.Parent(g)) // the gateway reads the certificate while it is created
	if err != nil {
		return certificateReader{}, err
	}
	return certificateReader{identityID: reader.ID().ToStringOutput(), granted: granted}, nil
}
