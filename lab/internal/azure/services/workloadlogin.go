package services

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// WorkloadLogin is the login that a workload of a cluster presents to Entra ID: the token of its
// service account, which its issuer has verified.
type WorkloadLogin struct {
	// ClientID is the client id of the identity as which the workload signs in.
	ClientID string
	// Subject is the token's subject, such as
	// system:serviceaccount:external-secrets:external-secrets.
	Subject string
	// Audience is the token's audience; Entra ID takes only api://AzureADTokenExchange.
	Audience string
}

// ErrSecretNotFound says that the login may read the vault's secrets, and that there is none of
// that name.
var ErrSecretNotFound = errors.New(`Status=404 Code="SecretNotFound"`)

// SecretVersion returns the URI of a secret's version in place of its value; it changes when the
// value does. The value itself is write-only, and cannot be read back. The error says, as Entra ID
// and Key Vault do, why the login may not read it: the identity has no federated credential for
// this subject and a cluster's issuer (rule I4), or no role in the vault (rule V2).
func SecretVersion(c *arm.Cloud, login WorkloadLogin, vaultURL, name string) (uri string, err error) {
	c.Look(func(v *arm.View) { uri, err = secretVersion(v, login, vaultURL, name) })
	return uri, err
}

func secretVersion(v *arm.View, login WorkloadLogin, vaultURL, name string) (uri string, err error) {
	principal, err := exchange(v, login)
	if err != nil {
		return "", err
	}
	for _, vault := range v.All(typeVault) {
		if strings.TrimSuffix(vault.Outputs.Text("properties.vaultUri"), "/") != strings.TrimSuffix(vaultURL, "/") {
			continue
		}
		secret := vault.ID + "/secrets/" + name
		if why := lacks(v, principal, mayGetSecret, secret); why != "" {
			return "", fmt.Errorf("Status=403 Code=%q %s", "ForbiddenByRbac",
				unauthorized(login.ClientID, principal, "Microsoft.KeyVault/vaults/secrets/getSecret/action", secret, why))
		}
		if found := v.Find(secret); found != nil {
			return found.Outputs.Text("properties.secretUriWithVersion"), nil
		}
		return "", fmt.Errorf("%w A secret with (name/id) %s was not found in this key vault", ErrSecretNotFound, name)
	}
	return "", fmt.Errorf("no such host: there is no key vault %s", vaultURL)
}

// exchange returns the principal for a login.
func exchange(v *arm.View, login WorkloadLogin) (principal string, err error) {
	identities := v.All(typeIdentity)
	i := slices.IndexFunc(identities, func(r *arm.Record) bool { return r.Outputs.Text("clientId") == login.ClientID })
	if login.ClientID == "" || i < 0 {
		return "", fmt.Errorf("AADSTS700016: Application with identifier '%s' was not found in the directory '%s'",
			login.ClientID, v.Options().TenantID)
	}
	identity := identities[i]
	var issuers []string
	for _, cluster := range v.All(typeCluster) {
		issuers = append(issuers, cluster.Outputs.Text("oidcIssuerProfile.issuerURL"))
	}
	for _, credential := range v.All(typeCredential) {
		if arm.Within(credential.ID, identity.ID) && slices.Contains(issuers, credential.Inputs.Text("issuer")) &&
			credential.Inputs.Text("subject") == login.Subject && slices.Contains(credential.Inputs.Texts("audiences"), login.Audience) {
			return identity.Outputs.Text("principalId"), nil
		}
	}
	return "", fmt.Errorf("AADSTS70021: No matching federated identity record found for presented assertion subject '%s' and audience '%s' "+
		"of identity '%s'", login.Subject, login.Audience, identity.ID)
}
