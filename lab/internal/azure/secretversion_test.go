package azure_test

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// Entra ID exchanges the token of one service account, and Key Vault gives its secrets to one
// identity.
func TestUnit_OnlyOneServiceAccountReadsTheVault(t *testing.T) {
	t.Parallel()
	const (
		subject  = "system:serviceaccount:external-secrets:external-secrets"
		audience = "api://AzureADTokenExchange"
		url      = "https://dev-gridos-kv.vault.azure.net"
	)
	var atOnce time.Duration
	h := open(t, azure.Options{RolePropagation: &atOnce})
	cluster := h.withCluster()
	vault, _ := h.must(tokenVault, vaultInputs)
	_, secretOutputs := h.must(tokenSecret, in{
		"resourceGroupName": "rg", "vaultName": "dev-gridos-kv", "secretName": "password", "properties": in{"value": secret("x")},
	})
	readerInputs := maps.Clone(identityInputs)
	readerInputs["resourceName"] = "secrets-id"
	_, reader := h.must(tokenIdentity, readerInputs)
	_, other := h.must(tokenIdentity, in{"resourceGroupName": "rg", "resourceName": "other-id", "location": "westeurope"})
	login := azure.WorkloadLogin{ClientID: reader["clientId"].StringValue(), Subject: subject, Audience: audience}
	refused := func(login azure.WorkloadLogin, why string) {
		t.Helper()
		_, err := h.cloud.SecretVersion(login, url, "password")
		require.ErrorContains(t, err, why)
	}

	refused(login, "AADSTS70021")
	trusted := credential("external-secrets")
	trusted["resourceName"], trusted["subject"] = "secrets-id", subject
	trusted["issuer"] = cluster["oidcIssuerProfile"].ObjectValue()["issuerURL"].StringValue()
	h.must(tokenCredential, trusted)
	refused(login, "ForbiddenByRbac")
	h.must(tokenRole, role("8f0c1c6e-0000-4000-8000-000000000041", vault, reader["principalId"].StringValue(), secretsUser))
	version, err := h.cloud.SecretVersion(login, url, "password")
	require.NoError(t, err)
	assert.Equal(t, secretOutputs["properties"].ObjectValue()["secretUriWithVersion"].StringValue(), version)

	for name, wrong := range map[string]azure.WorkloadLogin{
		"another service account":   {ClientID: login.ClientID, Subject: "system:serviceaccount:gridos:intruder", Audience: audience},
		"a token for somebody else": {ClientID: login.ClientID, Subject: subject, Audience: "https://kubernetes.default.svc"},
		"another identity":          {ClientID: other["clientId"].StringValue(), Subject: subject, Audience: audience},
	} {
		t.Run(name, func(*testing.T) { refused(wrong, "AADSTS70021") })
	}
	refused(azure.WorkloadLogin{Subject: subject, Audience: audience}, "AADSTS700016")
	_, err = h.cloud.SecretVersion(login, url, "another")
	require.ErrorContains(t, err, "SecretNotFound")
	_, err = h.cloud.SecretVersion(login, "https://another.vault.azure.net", "password")
	require.ErrorContains(t, err, "https://another.vault.azure.net")
}
