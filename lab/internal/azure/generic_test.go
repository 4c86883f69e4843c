package azure_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/providers"
)

func TestUnit_CheckComparesWithTheSDK(t *testing.T) {
	h := open(t, azure.Options{})
	tests := map[string]struct {
		token   string
		inputs  in
		failure []string // substrings, one per expected failure
	}{
		"good":                     {tokenNetwork, networkInputs, nil},
		"default token of a group": {"azure-native:resources:ResourceGroup", groupInputs, nil},
		"unknown property":         {tokenNetwork, with(networkInputs, in{"adressSpace": in{}}), []string{"adressSpace is no property"}},
		"unknown nested property": {
			tokenNetwork, with(networkInputs, in{"addressSpace": in{"addressPrefix": "10.0.0.0/8"}}),
			[]string{"addressSpace.addressPrefix is no property of AddressSpace"},
		},
		"unknown property in a list": {
			tokenNSG, with(nsgInputs, in{"securityRules": []any{with(securityRule("a", 100, "Allow", "*", "1"), in{"prio": 1})}}),
			[]string{"securityRules[0].prio"},
		},
		"missing required property": {tokenServer, with(serverInputs, in{"resourceGroupName": nil}), []string{"resourceGroupName is missing"}},
		"missing nested required property": {
			tokenVault, with(vaultInputs, in{"properties": in{"tenantId": azure.DefaultTenantID}}), []string{"properties.sku is missing"},
		},
		"empty required property": {
			tokenVault, nested(vaultInputs, "properties", in{"sku": in{"family": "A", "name": ""}}),
			[]string{"properties.sku.name is empty; it is required"},
		},
		"missing name": {tokenNetwork, with(networkInputs, in{"virtualNetworkName": nil}), []string{"random suffix"}},
		"wrong types": {
			tokenNetwork, with(networkInputs, in{"location": 7, "addressSpace": "10.0.0.0/8", "enableDdosProtection": "yes"}),
			[]string{"addressSpace is a string", "enableDdosProtection is a string", "location is a number"},
		},
		"fraction":             {tokenPool, with(poolInputs, in{"count": 1.5}), []string{"count is a number; it must be a whole number"}},
		"unknown values":       {tokenNetwork, with(networkInputs, in{"location": computed, "addressSpace": computed}), nil},
		"unknown name":         {tokenNetwork, with(networkInputs, in{"resourceGroupName": computed}), nil},
		"secret values":        {tokenNetwork, with(networkInputs, in{"location": secret("westeurope")}), nil},
		"secret of wrong type": {tokenNetwork, with(networkInputs, in{"location": resource.MakeSecret(resource.NewProperty(1.0))}), []string{"location"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := h.check(test.token, nil, test.inputs)
			require.Len(t, got, len(test.failure), "%v", got)
			for i, want := range test.failure {
				assert.Contains(t, got[i], want)
			}
		})
	}
	_, err := h.provider.Check(t.Context(), &pulumirpc.CheckRequest{Urn: urn("azure-native:storage:StorageAccount")})
	require.ErrorContains(t, err, "azure-native:storage:StorageAccount")
	_, err = h.invoke("azure-native:storage:listStorageAccountKeys", nil)
	require.ErrorContains(t, err, "listStorageAccountKeys")
}

func TestUnit_ParentsAndReferencesMustExist(t *testing.T) {
	h := open(t, azure.Options{})
	assert.Contains(t, h.refused(tokenNetwork, networkInputs), `Code="ResourceGroupNotFound"`)
	h.must(tokenGroup, groupInputs)
	assert.Contains(t, h.refused(tokenSubnet, subnet("aks", "10.10.0.0/20", nil)), `Code="ParentResourceNotFound"`)
	h.must(tokenNetwork, networkInputs)

	text := h.refused(tokenSubnet, subnet("gateway", "10.10.16.0/24", in{"networkSecurityGroup": in{"id": nsgID}}))
	assert.Contains(t, text, `Code="InvalidResourceReference"`)
	assert.Contains(t, text, "networkSecurityGroup.id", "the property must be named")
	assert.Contains(t, h.refused(tokenDiagnostic, in{
		"name": "logs", "resourceUri": vnet, "logs": []any{in{"categoryGroup": "allLogs", "enabled": true}},
		"workspaceId": "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/w",
	}), "11111111-1111-1111-1111-111111111111' could not be found", "another subscription")

	h.must(tokenNSG, nsgInputs)
	h.must(tokenSubnet, subnet("gateway", "10.10.16.0/24", in{"networkSecurityGroup": in{"id": nsgID}}))
}

func TestUnit_IdsAreComparedWithoutCase(t *testing.T) {
	h := open(t, azure.Options{})
	h.must(tokenGroup, groupInputs)
	h.must(tokenNetwork, with(networkInputs, in{"resourceGroupName": "RG"}))
	assert.Contains(t, h.refused(tokenNetwork, with(networkInputs, in{"virtualNetworkName": "VNET"})),
		"cannot create already existing resource '"+group+"/providers/Microsoft.Network/virtualNetworks/VNET'")
}

func TestUnit_WhatIsInUseCannotBeDeleted(t *testing.T) {
	h := open(t, azure.Options{}).withNetwork()
	h.must(tokenNSG, nsgInputs)
	gateway := subnet("gateway", "10.10.16.0/24", in{"networkSecurityGroup": in{"id": nsgID}})
	gatewaySubnet, _ := h.must(tokenSubnet, gateway)

	require.ErrorContains(t, h.delete(tokenGroup, group), "ResourceGroupNotEmpty")
	require.ErrorContains(t, h.delete(tokenNetwork, vnet), vnet+"/subnets/aks")
	err := h.delete(tokenNSG, nsgID)
	require.ErrorContains(t, err, "InUseNetworkSecurityGroupCannotBeDeleted")
	require.ErrorContains(t, err, gatewaySubnet, "the user must be named")

	require.NoError(t, h.delete(tokenSubnet, gatewaySubnet))
	require.NoError(t, h.delete(tokenNSG, nsgID))
	require.NoError(t, h.delete(tokenNSG, nsgID), "deleting what is gone succeeds")
	require.NoError(t, h.delete(tokenSubnet, vnet+"/subnets/aks"))
	require.NoError(t, h.delete(tokenNetwork, vnet))
	require.NoError(t, h.delete(tokenGroup, group))
	assert.Empty(t, h.cloud.Inventory())
}

func TestUnit_DiffReplacesForImmutableProperties(t *testing.T) {
	h := open(t, azure.Options{})
	changed := func(object any, changes in) in { return with(object.(in), changes) }
	tests := map[string]struct {
		token    string
		before   in
		after    in
		path     string
		replaces bool
	}{
		"tags":                {tokenNetwork, networkInputs, with(networkInputs, in{"tags": in{"a": "b"}}), "tags", false},
		"location":            {tokenNetwork, networkInputs, with(networkInputs, in{"location": "northeurope"}), "location", true},
		"name":                {tokenSubnet, subnet("a", "10.0.0.0/24", nil), subnet("b", "10.0.0.0/24", nil), "subnetName", true},
		"subnet range":        {tokenSubnet, subnet("a", "10.0.0.0/24", nil), subnet("a", "10.0.1.0/24", nil), "addressPrefix", false},
		"network of cluster":  {tokenCluster, clusterInputs, with(clusterInputs, in{"networkProfile": changed(clusterInputs["networkProfile"], in{"networkPolicy": "cilium"})}), "networkProfile.networkPolicy", true},
		"version of cluster":  {tokenCluster, clusterInputs, with(clusterInputs, in{"kubernetesVersion": "1.36"}), "kubernetesVersion", false},
		"size of nodes":       {tokenPool, poolInputs, with(poolInputs, in{"vmSize": "Standard_D8s_v5"}), "vmSize", true},
		"count of nodes":      {tokenPool, poolInputs, with(poolInputs, in{"count": 3}), "count", false},
		"geo-backup":          {tokenServer, serverInputs, with(serverInputs, in{"backup": in{"backupRetentionDays": 7, "geoRedundantBackup": "Enabled"}}), "backup.geoRedundantBackup", true},
		"backup retention":    {tokenServer, serverInputs, with(serverInputs, in{"backup": in{"backupRetentionDays": 14, "geoRedundantBackup": "Disabled"}}), "backup.backupRetentionDays", false},
		"geo-backup removed":  {tokenServer, serverInputs, with(serverInputs, in{"backup": nil}), "backup", true},
		"login":               {tokenServer, serverInputs, with(serverInputs, in{"administratorLogin": "other"}), "administratorLogin", true},
		"password":            {tokenServer, serverInputs, with(serverInputs, in{"administratorLoginPassword": secret("new")}), "administratorLoginPassword", false},
		"version down":        {tokenServer, serverInputs, with(serverInputs, in{"version": "15"}), "version", true},
		"version up":          {tokenServer, serverInputs, with(serverInputs, in{"version": "17"}), "version", false},
		"location of a vault": {tokenVault, vaultInputs, with(vaultInputs, in{"location": "northeurope"}), "location", true},
		"scope":               {tokenRole, role("n", group, "a", acrPull), role("n", vnet, "a", acrPull), "scope", true},
		"role":                {tokenRole, role("n", group, "a", acrPull), role("n", group, "a", contributor), "roleDefinitionId", false},
		"SKU of an address":   {tokenAddress, in{"sku": in{"name": "Standard"}}, in{"sku": in{"name": "Basic"}}, "sku.name", true},
		"place of an address": {tokenAddress, in{"location": "a"}, in{"location": "b"}, "location", true},
		"version of address":  {tokenAddress, in{"publicIPAddressVersion": "IPv4"}, in{"publicIPAddressVersion": "IPv6"}, "publicIPAddressVersion", true},
		"prefix of address":   {tokenAddress, in{"publicIPPrefix": in{"id": "a"}}, in{"publicIPPrefix": in{"id": "b"}}, "publicIPPrefix.id", true},
		"GPU of nodes":        {tokenPool, with(poolInputs, in{"gpuInstanceProfile": "MIG1g"}), with(poolInputs, in{"gpuInstanceProfile": "MIG2g"}), "gpuInstanceProfile", true},
		"place of group":      {tokenGroup, groupInputs, with(groupInputs, in{"location": "northeurope"}), "location", true},
		"disks of cluster":    {tokenCluster, clusterInputs, with(clusterInputs, in{"diskEncryptionSetID": "x"}), "diskEncryptionSetID", true},
		"DNS of cluster":      {tokenCluster, clusterInputs, with(clusterInputs, in{"dnsPrefix": "x"}), "dnsPrefix", true},
		"name of cluster":     {tokenCluster, clusterInputs, with(clusterInputs, in{"fqdnSubdomain": "x"}), "fqdnSubdomain", true},
		"Linux of cluster":    {tokenCluster, clusterInputs, with(clusterInputs, in{"linuxProfile": in{"adminUsername": "x"}}), "linuxProfile", true},
		"Windows of cluster":  {tokenCluster, clusterInputs, with(clusterInputs, in{"windowsProfile": in{"adminUsername": "x"}}), "windowsProfile", true},
		"place of cluster":    {tokenCluster, clusterInputs, with(clusterInputs, in{"location": "northeurope"}), "location", true},
		"nodes' group":        {tokenCluster, clusterInputs, with(clusterInputs, in{"nodeResourceGroup": "nodes"}), "nodeResourceGroup", true},
		"place of endpoint":   {tokenEndpoint, endpoint("a", vaultID, "vault"), with(endpoint("a", vaultID, "vault"), in{"location": "b"}), "location", true},
		"name of credential":  {tokenCredential, credential("one"), credential("two"), "federatedIdentityCredentialResourceName", true},
		"principal":           {tokenRole, role("n", group, "a", acrPull), role("n", group, "b", acrPull), "principalId", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			none := h.diff(test.token, test.before, test.before)
			assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, none.GetChanges())

			diff := h.diff(test.token, test.before, test.after)
			assert.Equal(t, pulumirpc.DiffResponse_DIFF_SOME, diff.GetChanges())
			require.Contains(t, diff.GetDetailedDiff(), test.path)
			assert.Equal(t, test.replaces, len(diff.GetReplaces()) > 0, "%v", diff.GetReplaces())
			assert.Equal(t, test.replaces, diff.GetDeleteBeforeReplace())
		})
	}
}

func TestUnit_OneOperationAtATime(t *testing.T) {
	tests := map[string]struct {
		token        string
		first, other in
		code         string
	}{
		"subnets of a network":    {tokenSubnet, subnet("a", "10.10.32.0/24", nil), subnet("b", "10.10.33.0/24", nil), "AnotherOperationInProgress"},
		"network and its subnet":  {tokenSubnet, subnet("c", "10.10.34.0/24", nil), nil, "AnotherOperationInProgress"},
		"databases of a server":   {tokenDatabase, database("a"), database("b"), "ServerIsBusy"},
		"credentials of identity": {tokenCredential, credential("one"), credential("two"), "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // its clock is simulated: minutes of Azure pass at once
				h := open(t, azure.Options{TimeScale: 1}).withNetwork()
				h.must(tokenServer, serverInputs)
				h.must(tokenIdentity, identityInputs)

				done := make(chan error, 1)
				go func() {
					_, _, err := h.create(t.Context(), test.token, test.first)
					done <- err
				}()
				synctest.Wait() // the first operation is under way
				if test.other == nil {
					_, err := h.update(tokenNetwork, vnet, networkInputs, with(networkInputs, in{"tags": in{"a": "b"}}))
					require.ErrorContains(t, err, test.code)
				} else {
					start := time.Now()
					assert.Contains(t, h.refused(test.token, test.other), test.code)
					assert.Zero(t, time.Since(start), "Azure refuses at once")
				}
				require.NoError(t, <-done)
				if test.other != nil {
					h.must(test.token, test.other)
				}
			})
		})
	}
}

func TestUnit_DurationsAreScaled(t *testing.T) {
	for scale, want := range map[float64]time.Duration{1: 3 * time.Second, 0.5: 3 * time.Second / 2, 0: 0} {
		synctest.Test(t, func(t *testing.T) {
			h := open(t, azure.Options{TimeScale: scale})
			start := time.Now()
			h.must(tokenGroup, groupInputs)
			assert.Equal(t, want, time.Since(start))
		})
	}
}

// Azure does not notice that the engine has ended after sending a request.
func TestUnit_OperationsThatNobodyWaitsForHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "azure.json")
		h := open(t, azure.Options{StateFile: path, TimeScale: 1}).withNetwork()
		before := len(h.cloud.Inventory())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		id, _, err := h.create(ctx, tokenSubnet, subnet("a", "10.10.32.0/24", nil))
		require.NoError(t, err)
		require.Error(t, ctx.Err())
		assert.Len(t, h.cloud.Inventory(), before+1)
		assert.Len(t, open(t, azure.Options{StateFile: path}).cloud.Inventory(), before+1)
		require.NoError(t, h.delete(tokenSubnet, id)) // nothing stays locked
	})
}

func database(name string) in {
	return in{"resourceGroupName": "rg", "serverName": "dev-gridos-pg", "databaseName": name}
}

func credential(name string) in {
	return in{
		"resourceGroupName": "rg", "resourceName": "aks-id", "federatedIdentityCredentialResourceName": name,
		"issuer":  "https://token.actions.githubusercontent.com",
		"subject": "repo:gridos/sharedinfra:environment:" + name, "audiences": []any{"api://AzureADTokenExchange"},
	}
}

func TestUnit_SecretsAreNeitherStoredNorReturned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "azure.json")
	h := open(t, azure.Options{StateFile: path})
	h.must(tokenGroup, groupInputs)
	_, server := h.must(tokenServer, serverInputs)
	h.must(tokenVault, vaultInputs)
	secretInputs := in{
		"resourceGroupName": "rg", "vaultName": "dev-gridos-kv", "secretName": "db-password",
		"properties": in{"value": secret("hunter2hunter2"), "contentType": secret("text/plain")},
	}
	id, outputs := h.must(tokenSecret, secretInputs)

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.NotContains(t, string(content), "hunter2")
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	assert.NotContains(t, server, resource.PropertyKey("administratorLoginPassword"))
	contents := outputs["properties"].ObjectValue()
	assert.NotContains(t, contents, resource.PropertyKey("value"))
	assert.True(t, contents["contentType"].IsSecret(), "what is secret going in is secret coming out")
	assert.Equal(t, "https://dev-gridos-kv.vault.azure.net/secrets/db-password", contents["secretUri"].StringValue())

	// A refresh keeps what only the engine knows.
	read, err := h.provider.Read(t.Context(), &pulumirpc.ReadRequest{
		Id: id, Urn: urn(tokenSecret), Properties: marshal(t, outputs), Inputs: marshal(t, properties(secretInputs)),
	})
	require.NoError(t, err)
	assert.Equal(t, properties(secretInputs), unmarshal(t, read.GetInputs()))
	assert.Equal(t, outputs, unmarshal(t, read.GetProperties()))

	// A new value is a new version of the secret.
	changed := with(secretInputs, in{"properties": in{"value": secret("other"), "contentType": secret("text/plain")}})
	updated, err := h.update(tokenSecret, id, secretInputs, changed)
	require.NoError(t, err)
	assert.NotEqual(t, contents["secretUriWithVersion"], updated["properties"].ObjectValue()["secretUriWithVersion"])
}

func TestUnit_PreviewKnowsWhatIsEchoedAndNothingElse(t *testing.T) {
	h := open(t, azure.Options{})
	preview := func(inputs in) resource.PropertyMap {
		response, err := h.provider.Create(t.Context(), &pulumirpc.CreateRequest{
			Urn: urn(tokenCluster), Preview: true, Properties: marshal(t, properties(inputs)),
		})
		require.NoError(t, err)
		assert.Empty(t, response.GetId())
		return unmarshal(t, response.GetProperties())
	}
	outputs := preview(with(clusterInputs, in{"nodeResourceGroup": computed}))
	assert.Equal(t, "westeurope", outputs["location"].StringValue())
	assert.True(t, outputs["nodeResourceGroup"].IsComputed())
	assert.NotContains(t, outputs, resource.PropertyKey("fqdn"))
	assert.NotContains(t, outputs, resource.PropertyKey("resourceGroupName"), "inputs that do not come back stay out")
	issuer := outputs["oidcIssuerProfile"].ObjectValue()
	assert.True(t, issuer["enabled"].BoolValue())
	assert.True(t, issuer["issuerURL"].IsComputed(), "what Azure adds to an echoed object is unknown, not empty")
	assert.Empty(t, h.cloud.Inventory(), "a preview creates nothing")

	// The preview of an update keeps the known values.
	live := h.withCluster()
	response, err := h.provider.Update(t.Context(), &pulumirpc.UpdateRequest{
		Id: clusterID, Urn: urn(tokenCluster), Preview: true, Olds: marshal(t, live), OldInputs: marshal(t, properties(clusterInputs)),
		News: marshal(t, properties(with(clusterInputs, in{"tags": in{"a": "b"}}))),
	})
	require.NoError(t, err)
	updated := unmarshal(t, response.GetProperties())
	assert.Equal(t, live["oidcIssuerProfile"], updated["oidcIssuerProfile"])
	assert.Equal(t, live["fqdn"], updated["fqdn"])
	assert.Contains(t, updated, resource.PropertyKey("tags"))
}

func TestUnit_SoftDeletedVaultKeepsItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "azure.json")
	h := open(t, azure.Options{StateFile: path})
	h.must(tokenGroup, groupInputs)
	vault, _ := h.must(tokenVault, vaultInputs)
	password := in{
		"resourceGroupName": "rg", "vaultName": "dev-gridos-kv", "secretName": "password", "properties": in{"value": secret("x")},
	}
	passwordID, _ := h.must(tokenSecret, password)
	require.ErrorContains(t, h.delete(tokenSecret, passwordID), "rule V2")
	officer, _ := h.must(tokenRole, role("8f0c1c6e-0000-4000-8000-000000000031", vault, azure.DefaultObjectID, secretsOfficer))
	require.NoError(t, h.delete(tokenSecret, passwordID))
	assert.Contains(t, h.refused(tokenSecret, password), "ObjectIsDeletedButRecoverable")
	require.NoError(t, h.delete(tokenRole, officer))
	require.NoError(t, h.delete(tokenVault, vault))
	require.Equal(t, []azure.Resource{
		{ID: vault, Type: "Microsoft.KeyVault/vaults", Name: "dev-gridos-kv"},
		{ID: passwordID, Type: "Microsoft.KeyVault/vaults/secrets", Name: "password"},
	}, h.cloud.SoftDeleted())

	h = open(t, azure.Options{StateFile: path}) // it survives a restart
	text := h.refused(tokenVault, vaultInputs)
	assert.Contains(t, text, "already exists in deleted state")
	assert.Contains(t, text, "az keyvault purge")
	h.must(tokenGroup, with(groupInputs, in{"resourceGroupName": "other"}))
	assert.Contains(t, h.refused(tokenVault, with(vaultInputs, in{"resourceGroupName": "other"})), "deleted state", "the name is global")

	require.Error(t, h.cloud.Purge(group+"/providers/Microsoft.KeyVault/vaults/none"))
	require.NoError(t, h.cloud.Purge(vault))
	assert.Empty(t, h.cloud.SoftDeleted(), "the secrets go with their vault")
	protected := with(vaultInputs, in{"properties": with(vaultInputs["properties"].(in), in{"enablePurgeProtection": true})})
	h.must(tokenVault, protected)
	require.NoError(t, h.delete(tokenVault, vault))
	require.ErrorContains(t, h.cloud.Purge(vault), "purge protection")
	h.must(tokenVault, with(protected, in{"properties": with(protected["properties"].(in), in{"createMode": "recover"})}))
	assert.Empty(t, h.cloud.SoftDeleted())
}

// A workspace that is created where it was deleted is the deleted one again, with its logs;
// elsewhere its name is taken.
func TestUnit_ADeletedWorkspaceComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "azure.json")
	h := open(t, azure.Options{StateFile: path})
	h.must(tokenGroup, groupInputs)
	workspace := in{"resourceGroupName": "rg", "workspaceName": "dev-gridos-log", "location": "westeurope"}
	id, made := h.must(tokenWorkspace, workspace)
	require.NoError(t, h.delete(tokenWorkspace, id))

	h = open(t, azure.Options{StateFile: path})
	text := h.refused(tokenWorkspace, with(workspace, in{"location": "northeurope"}))
	assert.Contains(t, text, "The workspace name is not unique")
	assert.Contains(t, text, "was deleted in westeurope, and keeps its name for 14 days")
	_, again := h.must(tokenWorkspace, workspace)
	assert.Equal(t, made["customerId"], again["customerId"], "what sends logs to it finds it")
	assert.Empty(t, h.cloud.SoftDeleted())

	require.NoError(t, h.delete(tokenWorkspace, id))
	require.NoError(t, h.cloud.Purge(id))
	_, another := h.must(tokenWorkspace, with(workspace, in{"location": "northeurope"}))
	assert.NotEqual(t, made["customerId"], another["customerId"])
}

func TestUnit_NamesInAllOfAzure(t *testing.T) {
	h := open(t, azure.Options{})
	h.must(tokenGroup, groupInputs)
	h.must(tokenGroup, with(groupInputs, in{"resourceGroupName": "other"}))
	h.must(tokenServer, serverInputs)
	assert.Contains(t, h.refused(tokenServer, with(serverInputs, in{"resourceGroupName": "other"})), `Code="NameAlreadyInUse"`)
	h.must(tokenServer, with(serverInputs, in{"resourceGroupName": "other", "serverName": "other-pg"}))
	h.must(tokenRegistry, registryInputs)
	assert.Contains(t, h.refused(tokenRegistry, with(registryInputs, in{"resourceGroupName": "other"})), `Code="NameAlreadyInUse"`)
	h.must(tokenVault, vaultInputs)
	assert.Contains(t, h.refused(tokenVault, with(vaultInputs, in{"resourceGroupName": "other"})), `Code="NameAlreadyInUse"`)
}

func TestUnit_ReopeningRestoresEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "azure.json")
	h := open(t, azure.Options{StateFile: path})
	outputs := h.withCluster()
	before := h.cloud.Inventory()

	h = open(t, azure.Options{StateFile: path})
	assert.Equal(t, before, h.cloud.Inventory())
	read, err := h.provider.Read(t.Context(), &pulumirpc.ReadRequest{Id: clusterID, Urn: urn(tokenCluster)})
	require.NoError(t, err)
	assert.Equal(t, outputs, unmarshal(t, read.GetProperties()))
	assert.Equal(t, properties(clusterInputs), unmarshal(t, read.GetInputs()))

	gone, err := h.provider.Read(t.Context(), &pulumirpc.ReadRequest{Id: clusterID + "x", Urn: urn(tokenCluster)})
	require.NoError(t, err)
	assert.Empty(t, gone.GetId(), "what is gone has no id")

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err = azure.Open(azure.Options{StateFile: path})
	require.ErrorContains(t, err, path)
}

// TestUnit_EachCreationIsIssuedItsOwnGUIDs: the GUIDs of a resource stay as long as it lives. A
// resource that is created later under the same id can be told from it by its GUIDs.
func TestUnit_EachCreationIsIssuedItsOwnGUIDs(t *testing.T) {
	issued := func(cluster resource.PropertyMap) []string {
		kubelet := cluster["identityProfile"].ObjectValue()["kubeletidentity"].ObjectValue()
		return []string{
			cluster["oidcIssuerProfile"].ObjectValue()["issuerURL"].StringValue(), cluster["resourceUID"].StringValue(),
			kubelet["clientId"].StringValue(), kubelet["objectId"].StringValue(),
		}
	}
	principal := func(identity resource.PropertyMap) []string {
		return []string{identity["principalId"].StringValue(), identity["clientId"].StringValue()}
	}
	path := filepath.Join(t.TempDir(), "azure.json")
	h := open(t, azure.Options{StateFile: path})
	cluster := h.withCluster()
	identity := h.read(tokenIdentity, identityID)
	for range 2 {
		tagged, err := h.update(tokenCluster, clusterID, clusterInputs, with(clusterInputs, in{"tags": in{"a": "b"}}))
		require.NoError(t, err)
		assert.Equal(t, issued(cluster), issued(tagged), "an update issues nothing")
		tagged, err = h.update(tokenIdentity, identityID, identityInputs, with(identityInputs, in{"tags": in{"a": "b"}}))
		require.NoError(t, err)
		assert.Equal(t, principal(identity), principal(tagged), "an update issues nothing")

		h = open(t, azure.Options{StateFile: path})
		assert.Equal(t, issued(cluster), issued(h.read(tokenCluster, clusterID)))
		assert.Equal(t, principal(identity), principal(h.read(tokenIdentity, identityID)))
	}

	require.NoError(t, h.delete(tokenCluster, clusterID))
	_, cluster2 := h.must(tokenCluster, clusterInputs)
	for i, old := range issued(cluster) {
		assert.NotEqual(t, old, issued(cluster2)[i])
	}
	assert.Equal(t, issued(cluster2), issued(h.read(tokenCluster, clusterID)))

	// The roles of an identity are not those of its successor.
	require.NoError(t, h.delete(tokenCluster, clusterID))
	require.NoError(t, h.delete(tokenIdentity, identityID))
	_, identity2 := h.must(tokenIdentity, identityInputs)
	for i, old := range principal(identity) {
		assert.NotEqual(t, old, principal(identity2)[i])
	}
	assert.Contains(t, h.refused(tokenCluster, clusterInputs), "rule K1")
	assignment := func(identity resource.PropertyMap) in {
		return role("8f0c1c6e-0000-4000-8000-000000000002", group, identity["principalId"].StringValue(), contributor)
	}
	assert.Contains(t, h.refused(tokenRole, assignment(identity)), "PrincipalNotFound")
	h.must(tokenRole, assignment(identity2))
	h.must(tokenCluster, clusterInputs)
}

func TestUnit_UpdateStoresAndNeedsTheResource(t *testing.T) {
	h := open(t, azure.Options{})
	h.must(tokenGroup, groupInputs)
	id, _ := h.must(tokenNetwork, networkInputs)
	tagged := with(networkInputs, in{"tags": in{"environment": "dev"}})
	outputs, err := h.update(tokenNetwork, id, networkInputs, tagged)
	require.NoError(t, err)
	assert.Equal(t, "dev", outputs["tags"].ObjectValue()["environment"].StringValue())
	read, err := h.provider.Read(t.Context(), &pulumirpc.ReadRequest{Id: id, Urn: urn(tokenNetwork)})
	require.NoError(t, err)
	assert.Equal(t, outputs, unmarshal(t, read.GetProperties()))

	require.NoError(t, h.delete(tokenNetwork, id))
	_, err = h.update(tokenNetwork, id, networkInputs, tagged)
	require.ErrorContains(t, err, "pulumi refresh")
}

func TestUnit_ForgottenResourcesAreDrift(t *testing.T) {
	h := open(t, azure.Options{}).withNetwork()
	require.NoError(t, h.cloud.Forget(vnet))
	assert.Len(t, h.cloud.Inventory(), 1, "the subnet went with its network")
	gone, err := h.provider.Read(t.Context(), &pulumirpc.ReadRequest{Id: vnet, Urn: urn(tokenNetwork)})
	require.NoError(t, err)
	assert.Empty(t, gone.GetId())
	require.ErrorContains(t, h.cloud.Forget(vnet), "does not exist")
}

func TestUnit_FaultsCanBeInjected(t *testing.T) {
	fail := errors.New("AllocationFailed")
	h := open(t, azure.Options{Faults: func(op azure.Operation, typ, id string) error {
		if op == azure.OperationCreate && typ == "Microsoft.Network/virtualNetworks" && id == vnet {
			return fail
		}
		return nil
	}})
	h.must(tokenGroup, groupInputs)
	_, _, err := h.create(t.Context(), tokenNetwork, networkInputs)
	require.ErrorIs(t, err, fail)
	assert.Len(t, h.cloud.Inventory(), 1)
}

// The provider's own retries hide a passing fault from users.
func TestUnit_PassingFaultsAreRetriedAsAzureNativeDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer azure.ServiceError
		// passes is the number of attempts that fail; attempts is the number of attempts made
		// within the time.
		passes, attempts int
		waits            time.Duration
		says             string
	}{
		"throttled": {
			azure.ServiceError{Status: 429, Code: "TooManyRequests", RetryAfter: 7 * time.Second}, 3, 4, 21 * time.Second, "",
		},
		"throttled for long": {
			azure.ServiceError{Status: 429, Code: "TooManyRequests", RetryAfter: 3 * time.Minute}, 1, 1, 0, `Status=429 Code="TooManyRequests"`,
		},
		"busy":            {azure.ServiceError{Status: 409, Code: "AnotherOperationInProgress"}, 1, 2, 20 * time.Second, ""},
		"another clash":   {azure.ServiceError{Status: 409, Code: "Conflict"}, 1, 1, 0, `Status=409 Code="Conflict"`},
		"no answer":       {azure.ServiceError{Message: "connection reset"}, 2, 3, 80 * time.Second, ""},
		"out of order":    {azure.ServiceError{Status: 503, Code: "ServiceUnavailable"}, 3, 4, 200 * time.Second, ""},
		"out for long":    {azure.ServiceError{Status: 503, Code: "ServiceUnavailable"}, 4, 4, 200 * time.Second, `Status=503`},
		"not implemented": {azure.ServiceError{Status: 501, Code: "NotImplemented"}, 1, 1, 0, `Status=501`},
		"token expired":   {azure.ServiceError{Status: 401, Code: "ExpiredAuthenticationToken"}, 1, 1, 0, `Status=401`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				h := open(t, azure.Options{TimeScale: 1, Faults: func(op azure.Operation, _, _ string) error {
					if op != azure.OperationRead {
						return nil
					}
					if asked++; asked <= c.passes {
						return &c.answer
					}
					return nil
				}})
				began := time.Now()
				_, err := h.provider.Read(t.Context(), &pulumirpc.ReadRequest{Id: vnet, Urn: urn(tokenNetwork)})
				assert.Equal(t, c.waits, time.Since(began))
				assert.Equal(t, c.attempts, asked)
				if c.says == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.says)
				}
			})
		})
	}
}

func TestUnit_AnInterruptedRetryEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := &azure.ServiceError{Status: 503, Code: "ServiceUnavailable"}
		h := open(t, azure.Options{TimeScale: 1, Faults: func(azure.Operation, string, string) error { return busy }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := h.create(ctx, tokenGroup, groupInputs)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, busy)
		assert.Empty(t, h.cloud.Inventory())
	})
}

func TestUnit_AnAnswerCanGetLost(t *testing.T) {
	t.Parallel()
	lost := &azure.ServiceError{Message: "connection reset", Lost: true}
	lose := map[azure.Operation]bool{}
	h := open(t, azure.Options{Faults: func(op azure.Operation, _, _ string) error {
		if lose[op] {
			return lost
		}
		return nil
	}})
	h.must(tokenGroup, groupInputs)
	lose[azure.OperationCreate], lose[azure.OperationDelete] = true, true
	_, _, err := h.create(t.Context(), tokenNetwork, networkInputs)
	require.ErrorIs(t, err, lost)
	assert.NotEmpty(t, h.cloud.Creation(vnet), "it was made all the same")
	require.ErrorIs(t, h.delete(tokenNetwork, vnet), lost)
	assert.Empty(t, h.cloud.Creation(vnet), "it was deleted all the same")
}

func TestUnit_AllBrokenRulesAtOnce(t *testing.T) {
	h := open(t, azure.Options{})
	failures := h.check(tokenServer, nil, with(serverInputs, in{
		"serverName": "Dev_PG", "sku": in{"name": "Standard_D2s_v3", "tier": "Burstable"}, "storage": in{"storageSizeGB": 100},
		"backup": in{"backupRetentionDays": 3}, "administratorLogin": "admin",
	}))
	assert.Len(t, failures, 5, "%v", failures)

	h.must(tokenGroup, groupInputs)
	h.must(tokenNetwork, networkInputs)
	response, err := h.provider.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(tokenSubnet), Properties: marshal(t, properties(
		subnet("aks", "192.168.0.0/24", in{"networkSecurityGroup": in{"id": nsgID}})))})
	require.Nil(t, response)
	assert.Regexp(t, `(?s)refused:\nCode="InvalidResourceReference".*\nCode="NetcfgSubnetRangesOverlap".*rule N1`, err.Error())
}

func TestUnit_RequestsAreServedOverGRPC(t *testing.T) {
	h := open(t, azure.Options{})
	server, err := providers.Serve(t.Context(), h.provider)
	require.NoError(t, err)
	assert.NotZero(t, server.Port)
	require.NoError(t, server.Stop())
}
