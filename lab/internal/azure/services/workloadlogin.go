package services

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// WorkloadLogin is what Entra ID is shown for a workload of a cluster: the token of its service account, verified by who issued it.
type WorkloadLogin struct {
	// ClientID is that of the identity that the workload wants to be.
	ClientID string
	// Subject is the token's, such as system:serviceaccount:external-secrets:external-secrets.
	Subject string
	// Audience is the token's; Entra ID takes none but api://AzureADTokenExchange.
	Audience string
}

// SecretVersion returns what stands for the value of a secret: the URI of its version, which changes when the value does. The value itself
// is written only, and not given back. The error says, as Entra ID and Key Vault do, why the login may not have it: the identity has no
// federated credential for this subject and a cluster's issuer (rule I4), or no role in the vault (rule V2).
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
		return "", fmt.Errorf("Status=404 Code=%q A secret with (name/id) %s was not found in this key vault", "SecretNotFound", name)
	}
	return "", fmt.Errorf("no such host: there is no key vault %s", vaultURL)
}

// exchange returns the principal that a login becomes.
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
