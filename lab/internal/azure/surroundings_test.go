package azure_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

const (
	platform      = subscription + "/resourceGroups/platform"
	platformVault = platform + "/providers/Microsoft.KeyVault/vaults/platform-kv"
	certificateID = platformVault + "/secrets/site"
)

// platformOwned are resources of another team: a vault with a certificate.
var platformOwned = []azure.Existing{
	azure.ExistingGroup("platform", "westeurope"),
	azure.ExistingVault("platform", "platform-kv", "westeurope", ""),
	azure.ExistingSecret("platform", "platform-kv", "site"),
}

// roleNamed is a role assignment whose name ends with two given digits.
func roleNamed(last, scope, principal, definition string) in {
	return role("8f0c1c6e-0000-4000-8000-0000000000"+last, scope, principal, definition)
}

// principal returns the principal id of the identity that a harness has created.
func (h *harness) principal() string {
	h.t.Helper()
	return h.read(tokenIdentity, identityID)["principalId"].StringValue()
}

func TestUnit_SeededResourcesBelongToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "azure.json")
	options := azure.Options{StateFile: path, Existing: platformOwned}
	h := open(t, options)
	require.Len(t, h.cloud.Inventory(), 3)
	assert.Empty(t, azure.Unseeded(h.cloud.Inventory()))
	assert.Equal(t, "https://platform-kv.vault.azure.net/", h.read(tokenVault, platformVault)["properties"].ObjectValue()["vaultUri"].StringValue())

	h.must(tokenGroup, groupInputs)
	before := h.cloud.Inventory()
	h = open(t, options)
	assert.Equal(t, before, h.cloud.Inventory(), "seeding again changes nothing, and the mark is stored")
	assert.Equal(t, []azure.Resource{{ID: group, Type: "Microsoft.Resources/resourceGroups", Name: "rg"}}, azure.Unseeded(h.cloud.Inventory()))

	assert.Contains(t, h.refused(tokenGroup, with(groupInputs, in{"resourceGroupName": "platform"})), "already existing resource")
	require.ErrorContains(t, h.cloud.Seed(azure.ExistingVault("none", "other-kv", "westeurope", "")), "ResourceGroupNotFound")
	require.ErrorContains(t, h.cloud.Seed(azure.ExistingGroup("", "westeurope")), "resourceGroupName")
	require.ErrorContains(t, h.cloud.Seed(azure.Existing{Type: "Microsoft.Storage/storageAccounts"}), "does not serve")
	require.ErrorContains(t, h.cloud.Seed(azure.Existing{
		Type: "Microsoft.Resources/resourceGroups", Inputs: in{"resourceGroupName": "a", "place": "b"},
	}), "place is no property")
	assert.Equal(t, before, h.cloud.Inventory())
}

func TestUnit_GatewayTakesItsCertificateFromAVault(t *testing.T) {
	certificates := func(url string) in {
		return secureGateway(in{"sslCertificates": []any{in{"name": "site", "keyVaultSecretId": url}}})
	}
	for name, test := range map[string]struct{ scope, definition, want string }{
		"role on the vault":       {platformVault, secretsUser, ""},
		"role on the certificate": {certificateID, secretsUser, ""},
		"role on the group":       {platform, secretsOfficer, ""},
		"role on another group":   {group, secretsUser, "does not have authorization"},
		"role of the owner":       {platformVault, "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "rule G8"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, azure.Options{Existing: platformOwned}).withGateway()
			h.must(tokenIdentity, identityInputs)
			assignment, _ := h.must(tokenRole, roleNamed("41", test.scope, h.principal(), test.definition))
			if test.want != "" {
				assert.Contains(t, h.refused(tokenGateway, secureGateway(nil)), test.want)
				return
			}
			h.must(tokenGateway, secureGateway(nil))
			require.NoError(t, h.delete(tokenGateway, gatewayID))
			require.NoError(t, h.delete(tokenRole, assignment))
		})
	}
	h := open(t, azure.Options{Existing: platformOwned}).withGateway()
	h.must(tokenIdentity, identityInputs)
	h.must(tokenRole, roleNamed("41", platformVault, h.principal(), secretsUser))
	assert.Contains(t, h.refused(tokenGateway, certificates("https://other-kv.vault.azure.net/secrets/site")), "is called 'other-kv'")
	assert.Contains(t, h.refused(tokenGateway, certificates("https://platform-kv.vault.azure.net/secrets/none")), "has no secret or certificate 'none'")

	// A vault without public access needs a private endpoint in the gateway's network.
	h.must(tokenVault, nested(vaultInputs, "properties", in{"publicNetworkAccess": "Disabled"}))
	h.must(tokenSecret, in{"resourceGroupName": "rg", "vaultName": "dev-gridos-kv", "secretName": "site", "properties": in{"value": "x"}})
	h.must(tokenRole, roleNamed("42", vaultID, h.principal(), secretsUser))
	closed := certificates("https://dev-gridos-kv.vault.azure.net/secrets/site")
	assert.Contains(t, h.refused(tokenGateway, closed), "has no public access")
	h.must(tokenSubnet, subnet("endpoints", "10.10.20.0/24", nil))
	h.must(tokenEndpoint, endpoint("kv", vaultID, "vault"))
	h.must(tokenGateway, closed)
}

func TestUnit_VaultFirewallNeedsServiceEndpoints(t *testing.T) {
	h := open(t, azure.Options{}).withNetwork()
	open := nested(vaultInputs, "properties", in{"networkAcls": in{"defaultAction": "Deny", "virtualNetworkRules": []any{in{"id": vnet + "/subnets/aks"}}}})
	assert.Contains(t, h.refused(tokenVault, open), "rule V3")
	_, err := h.update(tokenSubnet, vnet+"/subnets/aks", subnet("aks", "10.10.0.0/20", nil),
		subnet("aks", "10.10.0.0/20", in{"serviceEndpoints": []any{in{"service": "Microsoft.KeyVault"}}}))
	require.NoError(t, err)
	h.must(tokenVault, open)
}

// TestUnit_RolesTakeTimeToBeEffective: an operation that needs a role is refused until the role is
// effective, also after a restart.
func TestUnit_RolesTakeTimeToBeEffective(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock is simulated
		path := filepath.Join(t.TempDir(), "azure.json")
		delay := 20 * time.Second
		options := azure.Options{StateFile: path, RolePropagation: &delay}
		h := open(t, options).withNetwork()
		h.must(tokenIdentity, identityInputs)
		h.must(tokenVault, vaultInputs)
		secretID, _ := h.must(tokenSecret, in{"resourceGroupName": "rg", "vaultName": "dev-gridos-kv", "secretName": "a", "properties": in{"value": "x"}})
		h.must(tokenRole, roleNamed("51", vnet, h.principal(), contributor))
		h.must(tokenRole, roleNamed("52", vaultID, azure.DefaultObjectID, secretsOfficer))

		time.Sleep(5 * time.Second)
		h = open(t, options)
		early := h.refused(tokenCluster, clusterInputs)
		assert.Contains(t, early, "The role was assigned 5s ago by '"+vnet+"/providers/Microsoft.Authorization/roleAssignments/")
		assert.Contains(t, early, "rule K1")
		assert.Contains(t, early, "wait for the propagation")
		err := h.delete(tokenSecret, secretID)
		require.ErrorContains(t, err, "rule V2")
		require.ErrorContains(t, err, "takes about 20s")

		time.Sleep(15 * time.Second)
		h.must(tokenCluster, clusterInputs)
		require.NoError(t, h.delete(tokenSecret, secretID))
	})
	synctest.Test(t, func(t *testing.T) {
		h := open(t, azure.Options{TimeScale: 0.1}).withNetwork()
		h.must(tokenIdentity, identityInputs)
		h.must(tokenRole, roleNamed("51", vnet, h.principal(), contributor))
		assert.Contains(t, h.refused(tokenCluster, clusterInputs), "takes about 3s", "it is scaled like all durations")
		time.Sleep(3 * time.Second)
		h.must(tokenCluster, clusterInputs)
	})
}

func TestUnit_GatewayAddOn(t *testing.T) {
	delegated := in{
		"networkSecurityGroup": in{"id": nsgID},
		"delegations":          []any{in{"name": "agw", "serviceName": "Microsoft.Network/applicationGateways"}},
	}
	withGateway := addOn("ingressApplicationGateway", in{"applicationGatewayId": gatewayID})
	prepare := func(t *testing.T, changes in) *harness {
		h := open(t, azure.Options{}).withGateway()
		before := subnet("gateway", "10.10.16.0/24", in{"networkSecurityGroup": in{"id": nsgID}})
		_, err := h.update(tokenSubnet, vnet+"/subnets/gateway", before, with(before, changes))
		require.NoError(t, err)
		h.must(tokenGateway, gatewayInputs)
		h.must(tokenIdentity, identityInputs)
		h.must(tokenRole, roleNamed("61", vnet, h.principal(), contributor))
		return h
	}
	t.Run("N2 delegation", func(t *testing.T) {
		h := prepare(t, nil)
		assert.Contains(t, h.refused(tokenCluster, withGateway), "rule N2")
		assert.Contains(t, h.refused(tokenCluster, addOn("ingressApplicationGateway", in{"applicationGatewayId": addressID})), "rule K5")
		assert.Contains(t, h.refused(tokenCluster, addOn("ingressApplicationGateway", in{"applicationGatewayId": gatewayID + "x"})), "was not found")
		assert.Contains(t, h.refused(tokenCluster, addOn("omsagent", in{"logAnalyticsWorkspaceResourceID": "log"})), "rule K5")
	})
	t.Run("N2 size", func(t *testing.T) {
		h := prepare(t, with(delegated, in{"addressPrefix": "10.10.16.0/23"}))
		assert.Contains(t, h.refused(tokenCluster, withGateway), "too large for overlay networking")
	})

	h := prepare(t, delegated)
	_, outputs := h.must(tokenCluster, withGateway)
	principal := outputs["addonProfiles"].ObjectValue()["ingressApplicationGateway"].ObjectValue()["identity"].ObjectValue()["objectId"].StringValue()
	h.must(tokenRole, with(roleNamed("60", clusterID, azure.DefaultObjectID, "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"), in{"principalType": "User"}))
	require.Len(t, h.cloud.Unfulfilled(), 3, "roles on the gateway, its group and its subnet")
	tagged := with(withGateway, in{"tags": in{"a": "b"}})
	_, err := h.update(tokenCluster, clusterID, withGateway, tagged)
	require.ErrorContains(t, err, "rule G6")
	h.must(tokenRole, roleNamed("62", gatewayID, principal, "b24988ac-6180-42a0-ab88-20f7382dd24c"))
	h.must(tokenRole, roleNamed("63", group, principal, "acdd72a7-3385-48ef-bd42-f606fba81ae7"))
	require.Len(t, h.cloud.Unfulfilled(), 1)
	h.must(tokenRole, roleNamed("64", vnet+"/subnets/gateway", principal, contributor))
	assert.Empty(t, h.cloud.Unfulfilled())
	_, err = h.update(tokenCluster, clusterID, withGateway, tagged)
	require.NoError(t, err)

	_, err = h.update(tokenGateway, gatewayID, gatewayInputs, with(gatewayInputs, in{"tags": in{"a": "b"}}))
	require.ErrorContains(t, err, "rule G7", "the add-on owns the gateway")
	assert.Contains(t, h.refused(tokenCluster, with(withGateway, in{"resourceName": "other"})), "rule G7")
	_, err = h.update(tokenCluster, clusterID, tagged, clusterInputs)
	require.NoError(t, err)
	_, err = h.update(tokenGateway, gatewayID, gatewayInputs, with(gatewayInputs, in{"tags": in{"a": "b"}}))
	require.NoError(t, err, "without the add-on the gateway is the program's again")
}

func TestUnit_PrivateCluster(t *testing.T) {
	zone := func(name string) (in, string) {
		return in{"resourceGroupName": "rg", "privateZoneName": name, "location": "Global"}, group + "/providers/Microsoft.Network/privateDnsZones/" + name
	}
	h := open(t, azure.Options{}).withNetwork()
	h.must(tokenIdentity, identityInputs)
	h.must(tokenRole, roleNamed("71", vnet, h.principal(), contributor))
	own, ownID := zone("privatelink.westeurope.azmk8s.io")
	north, northID := zone("privatelink.northeurope.azmk8s.io")
	h.must(tokenZone, own)
	h.must(tokenZone, north)
	private := func(id string) in { return access(in{"enablePrivateCluster": true, "privateDNSZone": id}) }
	assert.Contains(t, h.refused(tokenCluster, private(ownID)), "Private DNS Zone Contributor")
	h.must(tokenRole, roleNamed("72", group, h.principal(), "b12aa53e-6015-4669-85d0-8515ebb3ae7f"))
	assert.Contains(t, h.refused(tokenCluster, private(northID)), "needs the zone privatelink.westeurope.azmk8s.io")
	_, outputs := h.must(tokenCluster, private(ownID))
	assert.Contains(t, outputs["privateFQDN"].StringValue(), "azmk8s.io")
}

func TestUnit_OwnKubeletIdentityIsAssigned(t *testing.T) {
	kubelet := identityID[:len(identityID)-len("aks-id")] + "kubelet-id"
	h := open(t, azure.Options{}).withNetwork()
	h.must(tokenIdentity, identityInputs)
	h.must(tokenIdentity, with(identityInputs, in{"resourceName": "kubelet-id"}))
	h.must(tokenRole, roleNamed("73", vnet, h.principal(), contributor))
	cluster := with(clusterInputs, in{"identityProfile": in{"kubeletidentity": in{"resourceId": kubelet}}})
	assert.Contains(t, h.refused(tokenCluster, cluster), "Managed Identity Operator")
	h.must(tokenRole, roleNamed("74", kubelet, h.principal(), "f1a07417-d97a-45cb-824c-7a7467783830"))
	h.must(tokenCluster, cluster)
}

func TestUnit_PoolsAreInTheZonesOfTheirCluster(t *testing.T) {
	h := open(t, azure.Options{})
	h.must(tokenGroup, groupInputs)
	h.must(tokenNetwork, with(networkInputs, in{"location": "westus"}))
	h.must(tokenSubnet, subnet("aks", "10.10.0.0/20", nil))
	h.must(tokenIdentity, identityInputs)
	h.must(tokenRole, roleNamed("75", vnet, h.principal(), contributor))
	h.must(tokenCluster, with(pool(in{"availabilityZones": nil}), in{"location": "westus"}))
	assert.Contains(t, h.refused(tokenPool, with(poolInputs, in{"availabilityZones": []any{"1"}})), "rule Zones")
	h.must(tokenPool, poolInputs)
}

func TestUnit_NodesFitTheVersionOfTheirCluster(t *testing.T) {
	h := open(t, azure.Options{})
	h.withCluster()
	for version, accepted := range map[string]bool{"1.36": false, "1.35.0": true, "1.32": true, "1.31": false} {
		_, _, err := h.create(t.Context(), tokenPool, with(poolInputs, in{"agentPoolName": "v" + version[2:4], "orchestratorVersion": version}))
		if accepted {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "rule K9")
	}
}

func TestUnit_WhatIsInASubnetIsInItsRegion(t *testing.T) {
	h := open(t, azure.Options{}).withGateway()
	h.must(tokenIdentity, identityInputs)
	h.must(tokenRole, roleNamed("91", vnet, h.principal(), contributor))
	north := in{"location": "North Europe"}
	assert.Contains(t, h.refused(tokenCluster, with(clusterInputs, north)), "use one region for both")
	assert.Contains(t, h.refused(tokenGateway, with(gatewayInputs, north)), "rule N1")
	h.must(tokenCluster, with(clusterInputs, in{"location": "West Europe"}))
}

// outbound is a security rule for traffic that leaves the subnet.
func outbound(name string, priority int, verdict, destination, ports string) in {
	return with(securityRule(name, priority, verdict, "*", ports), in{"direction": "Outbound", "destinationAddressPrefix": destination})
}

func TestUnit_SecurityGroupOfNodes(t *testing.T) {
	all := func(name string, priority int, from, to string) in {
		return with(securityRule(name, priority, "Allow", from, "*"), in{"protocol": "*", "destinationAddressPrefix": to})
	}
	allowed := []any{
		all("nodes", 105, "10.10.0.0/20", "10.10.0.0/20"), all("pods", 110, "10.10.0.0/20", "10.244.0.0/16"), all("overlay", 120, "10.244.0.0/16", "10.244.0.0/16"),
		all("probes", 130, "AzureLoadBalancer", "*"),
	}
	deny := securityRule("deny", 4000, "Deny", "*", "*")
	for name, test := range map[string]struct {
		rules []any
		want  string
	}{
		"accepted":                {append(allowed[:4:4], deny), ""},
		"denied from outside":     {[]any{securityRule("deny", 4000, "Deny", "Internet", "*")}, ""},
		"nodes":                   {[]any{allowed[1], allowed[2], allowed[3], deny}, "denies traffic from nodes to nodes"},
		"nodes to pods":           {[]any{allowed[0], allowed[2], allowed[3], deny}, "denies traffic from nodes to pods"},
		"pods":                    {[]any{allowed[0], allowed[1], allowed[3], deny}, "denies traffic from pods to pods"},
		"probes":                  {append(allowed[:3:3], deny), "denies traffic from the load balancer's probes to nodes"},
		"the tag has the host":    {append(allowed[:3:3], securityRule("deny", 4000, "Deny", "VirtualNetwork", "*")), "load balancer's probes"},
		"only TCP":                {[]any{with(allowed[0].(in), in{"protocol": "Tcp"}), allowed[1], allowed[2], allowed[3], deny}, "rule N8"},
		"only some ports":         {[]any{with(allowed[0].(in), in{"destinationPortRange": "443"}), allowed[1], allowed[2], allowed[3], deny}, "rule N8"},
		"only some nodes":         {[]any{with(allowed[0].(in), in{"sourceAddressPrefix": "10.10.0.0/24"}), allowed[1], allowed[2], allowed[3], deny}, "rule N8"},
		"outbound":                {append(allowed[:4:4], outbound("deny", 4000, "Deny", "VirtualNetwork", "*")), "(outbound, "},
		"denied before it passes": {append(allowed[:4:4], securityRule("ssh", 100, "Deny", "*", "22")), "rule N8"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, azure.Options{})
			h.withCluster()
			nodes := with(nsgInputs, in{"networkSecurityGroupName": "aks-nsg", "securityRules": []any{}})
			id, _ := h.must(tokenNSG, nodes)
			plain := subnet("aks", "10.10.0.0/20", nil)
			grouped := with(plain, in{"networkSecurityGroup": in{"id": id}})
			_, err := h.update(tokenSubnet, vnet+"/subnets/aks", plain, grouped)
			require.NoError(t, err)
			_, ofGroup := h.update(tokenNSG, id, nodes, with(nodes, in{"securityRules": test.rules}))

			other, _ := h.must(tokenNSG, with(nodes, in{"networkSecurityGroupName": "other-nsg", "securityRules": test.rules}))
			_, ofSubnet := h.update(tokenSubnet, vnet+"/subnets/aks", grouped, with(plain, in{"networkSecurityGroup": in{"id": other}}))
			require.NoError(t, h.delete(tokenCluster, clusterID))
			_, err = h.update(tokenSubnet, vnet+"/subnets/aks", grouped, with(plain, in{"networkSecurityGroup": in{"id": other}}))
			require.NoError(t, err, "without nodes the rules are free")
			_, _, ofCluster := h.create(t.Context(), tokenCluster, clusterInputs)
			for _, err := range []error{ofGroup, ofSubnet, ofCluster} {
				if test.want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, test.want)
			}
		})
	}
}

func TestUnit_SecurityGroupOfServers(t *testing.T) {
	private := with(serverInputs, in{
		"network":    in{"delegatedSubnetResourceId": vnet + "/subnets/pg", "privateDnsZoneArmResourceId": zoneID},
		"authConfig": in{"activeDirectoryAuth": "Enabled", "passwordAuth": "Enabled", "tenantId": azure.DefaultTenantID},
	})
	storage := outbound("storage", 100, "Allow", "Storage.WestEurope", "443")
	entra := outbound("entra", 110, "Allow", "AzureActiveDirectory", "*")
	inside := with(securityRule("inside", 100, "Allow", "10.10.32.0/28", "5432"), in{"destinationAddressPrefix": "10.10.32.0/28"})
	insideOut := with(outbound("inside-out", 120, "Allow", "10.10.32.0/28", "5432"), in{"sourceAddressPrefix": "10.10.32.0/28"})
	denyIn, denyOut := securityRule("deny", 4000, "Deny", "*", "*"), outbound("deny-out", 4000, "Deny", "*", "*")
	for name, test := range map[string]struct {
		rules []any
		want  string
	}{
		"accepted":          {[]any{inside, denyIn, storage, entra, insideOut, denyOut}, ""},
		"storage":           {[]any{inside, denyIn, entra, insideOut, denyOut}, "denies TCP 443 to Storage"},
		"Entra ID":          {[]any{inside, denyIn, storage, insideOut, denyOut}, "denies TCP 443 to AzureActiveDirectory"},
		"inside":            {[]any{denyIn}, "denies TCP 5432 inside the subnet (inbound)"},
		"inside, out":       {[]any{storage, entra, denyOut}, "denies TCP 5432 inside the subnet (outbound)"},
		"internet":          {[]any{outbound("internet", 100, "Deny", "Internet", "*")}, "rule N4"},
		"another service":   {[]any{outbound("mail", 100, "Deny", "Internet", "25")}, ""},
		"service by itself": {[]any{outbound("no-storage", 100, "Deny", "Storage", "*")}, "rule N4"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, azure.Options{}).withNetwork()
			group := with(nsgInputs, in{"networkSecurityGroupName": "pg-nsg", "securityRules": test.rules})
			id, _ := h.must(tokenNSG, group)
			h.must(tokenSubnet, subnet("pg", "10.10.32.0/28", in{
				"networkSecurityGroup": in{"id": id},
				"delegations":          []any{in{"name": "pg", "serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}},
			}))
			h.must(tokenZone, in{"resourceGroupName": "rg", "privateZoneName": "dev.private.postgres.database.azure.com", "location": "Global"})
			h.must(tokenLink, in{
				"resourceGroupName": "rg", "privateZoneName": "dev.private.postgres.database.azure.com", "virtualNetworkLinkName": "vnet",
				"location": "Global", "registrationEnabled": false, "virtualNetwork": in{"id": vnet},
			})
			if test.want == "" {
				h.must(tokenServer, private)
				return
			}
			assert.Contains(t, h.refused(tokenServer, private), test.want)
			_, err := h.update(tokenNSG, id, group, with(group, in{"securityRules": []any{}}))
			require.NoError(t, err)
			available := with(private, in{
				"sku": in{"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"}, "availabilityZone": "1",
				"highAvailability": in{"mode": "ZoneRedundant", "standbyAvailabilityZone": "2"},
			})
			assert.Contains(t, h.refused(tokenServer, available), "service endpoint Microsoft.Storage")
			h.must(tokenServer, private)
			_, err = h.update(tokenNSG, id, with(group, in{"securityRules": []any{}}), group)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestUnit_GatewayReachesTheInternet(t *testing.T) {
	h := open(t, azure.Options{}).withGateway()
	rules := nsgInputs["securityRules"].([]any)
	closed := with(nsgInputs, in{"securityRules": append(rules[:len(rules):len(rules)], outbound("deny", 100, "Deny", "Internet", "*"))})
	_, err := h.update(tokenNSG, nsgID, nsgInputs, closed)
	require.NoError(t, err)
	assert.Contains(t, h.refused(tokenGateway, gatewayInputs), "denies traffic to the internet")
	_, err = h.update(tokenNSG, nsgID, closed, nsgInputs)
	require.NoError(t, err)
	assert.Contains(t, h.refused(tokenGateway, with(gatewayInputs, in{"autoscaleConfiguration": in{"minCapacity": 1, "maxCapacity": 125}, "gatewayIPConfigurations": []any{
		in{"name": "ip", "subnet": in{"id": h.small()}},
	}})), "has room for 11 addresses")
	h.must(tokenGateway, gatewayInputs)
	_, err = h.update(tokenNSG, nsgID, nsgInputs, closed)
	require.ErrorContains(t, err, "rule N3")
}

func TestUnit_GatewayIsReachedByClients(t *testing.T) {
	h := open(t, azure.Options{}).withGateway()
	manager := nsgInputs["securityRules"].([]any)[0]
	for name, rules := range map[string][]any{
		"no rule":             {manager},
		"another port":        {manager, securityRule("web", 110, "Allow", "Internet", "443")},
		"denied before":       {manager, securityRule("deny", 110, "Deny", "Internet", "80"), securityRule("web", 120, "Allow", "Internet", "80")},
		"only inside":         {manager, securityRule("web", 110, "Allow", "VirtualNetwork", "80")},
		"another transport":   {manager, with(securityRule("web", 110, "Allow", "Internet", "80"), in{"protocol": "Udp"})},
		"only for the others": {manager, with(securityRule("web", 110, "Allow", "Internet", "80"), in{"direction": "Outbound"})},
	} {
		_, err := h.update(tokenNSG, nsgID, nsgInputs, with(nsgInputs, in{"securityRules": rules}))
		require.NoError(t, err, name)
		assert.Contains(t, h.refused(tokenGateway, gatewayInputs), "lets no client reach listener 'http' on port 80", name)
	}
	_, err := h.update(tokenNSG, nsgID, nsgInputs, with(nsgInputs, in{"securityRules": []any{manager, securityRule("office", 110, "Allow", "203.0.113.0/24", "80")}}))
	require.NoError(t, err)
	h.must(tokenGateway, gatewayInputs)
	_, err = h.update(tokenNSG, nsgID, nsgInputs, with(nsgInputs, in{"securityRules": []any{manager}}))
	require.ErrorContains(t, err, "rule N3")
}

func TestUnit_LinksOfANetwork(t *testing.T) {
	h := open(t, azure.Options{}).withNetwork()
	h.must(tokenGroup, with(groupInputs, in{"resourceGroupName": "other"}))
	link := func(owner, zone, name string, registers bool) in {
		return in{
			"resourceGroupName": owner, "privateZoneName": zone, "virtualNetworkLinkName": name, "location": "Global",
			"registrationEnabled": registers, "virtualNetwork": in{"id": vnet},
		}
	}
	for _, owner := range []string{"rg", "other"} {
		for _, zone := range []string{"privatelink.azurecr.io", "machines.internal"} {
			h.must(tokenZone, in{"resourceGroupName": owner, "privateZoneName": zone, "location": "Global"})
		}
	}
	h.must(tokenLink, link("rg", "privatelink.azurecr.io", "vnet", true))
	assert.Contains(t, h.refused(tokenLink, link("rg", "privatelink.azurecr.io", "again", false)), "rule N5")
	assert.Contains(t, h.refused(tokenLink, link("other", "privatelink.azurecr.io", "vnet", false)), "rule N5")
	assert.Contains(t, h.refused(tokenLink, link("rg", "machines.internal", "vnet", true)), "registers its machines")
	h.must(tokenLink, link("rg", "machines.internal", "vnet", false))
}

func TestUnit_SubnetsAreDeclaredInOneWay(t *testing.T) {
	inline := in{"subnets": []any{in{"name": "a", "addressPrefix": "10.10.100.0/24"}}}
	h := open(t, azure.Options{}).withNetwork()
	_, err := h.update(tokenNetwork, vnet, networkInputs, with(networkInputs, inline))
	require.ErrorContains(t, err, "SubnetsDeclaredTwice")
	require.NoError(t, h.delete(tokenSubnet, vnet+"/subnets/aks"))
	_, err = h.update(tokenNetwork, vnet, networkInputs, with(networkInputs, inline))
	require.NoError(t, err)
	assert.Contains(t, h.refused(tokenSubnet, subnet("aks", "10.10.0.0/20", nil)), "SubnetsDeclaredTwice")
}

// TestUnit_WhatCannotWorkIsTold covers the mistakes for which no request could be refused.
func TestUnit_WhatCannotWorkIsTold(t *testing.T) {
	h := open(t, azure.Options{})
	h.withCluster()
	require.Len(t, h.cloud.Unfulfilled(), 1)
	assert.Contains(t, h.cloud.Unfulfilled()[0], "rule K3")
	h.must(tokenRole, with(roleNamed("81", clusterID, azure.DefaultObjectID, "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"), in{"principalType": "User"}))
	assert.Empty(t, h.cloud.Unfulfilled())

	group := with(nsgInputs, in{"networkSecurityGroupName": "pg-nsg", "securityRules": []any{
		with(securityRule("inside", 100, "Allow", "10.10.32.0/28", "5432"), in{"destinationAddressPrefix": "10.10.32.0/28"}),
		securityRule("deny", 4000, "Deny", "*", "*"),
	}})
	id, _ := h.must(tokenNSG, group)
	h.must(tokenSubnet, subnet("pg", "10.10.32.0/28", in{
		"networkSecurityGroup": in{"id": id},
		"delegations":          []any{in{"name": "pg", "serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}},
	}))
	h.must(tokenZone, in{"resourceGroupName": "rg", "privateZoneName": "dev.private.postgres.database.azure.com", "location": "Global"})
	h.must(tokenLink, in{
		"resourceGroupName": "rg", "privateZoneName": "dev.private.postgres.database.azure.com", "virtualNetworkLinkName": "vnet",
		"location": "Global", "registrationEnabled": false, "virtualNetwork": in{"id": vnet},
	})
	h.must(tokenServer, with(serverInputs, in{"network": in{
		"delegatedSubnetResourceId": vnet + "/subnets/pg", "privateDnsZoneArmResourceId": zoneID,
	}}))
	require.Len(t, h.cloud.Unfulfilled(), 1)
	assert.Contains(t, h.cloud.Unfulfilled()[0], "denies TCP 5432 from 10.10.0.0/20 to 10.10.32.0/28 (inbound) by rule 'deny'")
	rules := group["securityRules"].([]any)
	_, err := h.update(tokenNSG, id, group, with(group, in{"securityRules": append(rules, securityRule("nodes", 110, "Allow", "10.10.0.0/20", "5432"))}))
	require.NoError(t, err)
	assert.Empty(t, h.cloud.Unfulfilled())
}

// small creates a subnet of 16 addresses and returns its id.
func (h *harness) small() string {
	h.t.Helper()
	id, _ := h.must(tokenSubnet, subnet("small", "10.10.40.0/28", nil))
	return id
}

// TestUnit_SettingsOfTheServer: a server parameter is set on a private server as on others, and
// signing in from GitHub needs no AKS issuer.
func TestUnit_SettingsOfTheServer(t *testing.T) {
	h := open(t, azure.Options{})
	h.must(tokenGroup, groupInputs)
	h.must(tokenServer, serverInputs)
	_, outputs := h.must(tokenSetting, in{
		"resourceGroupName": "rg", "serverName": "dev-gridos-pg", "configurationName": "ssl_min_protocol_version",
		"value": "TLSv1.2", "source": "user-override",
	})
	assert.Equal(t, "TLSv1.2", outputs["value"].StringValue())
}
