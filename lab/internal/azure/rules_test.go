package azure_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// nested changes properties inside an object of inputs.
func nested(inputs in, object string, changes in) in {
	inner, _ := inputs[object].(in)
	return with(inputs, in{object: with(inner, changes)})
}

// pool changes the inline pool of the cluster.
func pool(changes in) in {
	return with(clusterInputs, in{"agentPoolProfiles": []any{with(clusterInputs["agentPoolProfiles"].([]any)[0].(in), changes)}})
}

// TestUnit_RulesOfInputs checks the rules that need no other resource; a preview applies them. An
// empty want means accepted.
func TestUnit_RulesOfInputs(t *testing.T) {
	h := open(t, azure.Options{})
	registry := in{"resourceGroupName": "rg", "registryName": "devgridosacr", "location": "westeurope", "sku": in{"name": "Standard"}}
	workspace := in{
		"resourceGroupName": "rg", "workspaceName": "dev-gridos-log", "location": "westeurope",
		"sku": in{"name": "PerGB2018"}, "retentionInDays": 30,
	}
	zone := in{"resourceGroupName": "rg", "privateZoneName": "dev.private.postgres.database.azure.com", "location": "Global"}
	address := in{
		"resourceGroupName": "rg", "publicIpAddressName": "pip", "location": "westeurope",
		"sku": in{"name": "Standard"}, "publicIPAllocationMethod": "Static",
	}
	assignment := role("8f0c1c6e-0000-4000-8000-000000000001", group, "8f0c1c6e-0000-4000-8000-000000000002", acrPull)
	long := "a234567890123456789012345678901234567890123456789012345678901234" // 64 characters
	tests := []struct {
		name, token string
		inputs      in
		want        string
	}{
		{"name of group", tokenGroup, groupInputs, ""},
		{"name of group, 64 characters", tokenGroup, with(groupInputs, in{"resourceGroupName": long}), "rule N1"},
		{"name of network, 64 characters", tokenNetwork, with(networkInputs, in{"virtualNetworkName": long}), "rule N1"},
		{"name of subnet, 64 characters", tokenSubnet, subnet(long, "10.10.0.0/24", nil), "rule N1"},
		{"name of vault, 25 characters", tokenVault, with(vaultInputs, in{"vaultName": "a234567890123456789012345"}), "InvalidResourceName"},
		{"name of vault, two hyphens", tokenVault, with(vaultInputs, in{"vaultName": "dev--kv"}), "two hyphens"},
		{"name of registry", tokenRegistry, registry, ""},
		{"name of registry, hyphen", tokenRegistry, with(registry, in{"registryName": "dev-acr"}), "InvalidResourceName"},
		{"name of server, upper case", tokenServer, with(serverInputs, in{"serverName": "Dev"}), "InvalidResourceName"},
		{"name of cluster, underscore last", tokenCluster, with(clusterInputs, in{"resourceName": "aks_"}), "InvalidResourceName"},
		{"name of pool, 13 characters", tokenPool, with(poolInputs, in{"agentPoolName": "a234567890123"}), "InvalidResourceName"},
		{"name of workspace, 3 characters", tokenWorkspace, with(workspace, in{"workspaceName": "abc"}), "InvalidResourceName"},
		{"name of identity, 2 characters", tokenIdentity, with(identityInputs, in{"resourceName": "ab"}), "InvalidResourceName"},

		{"N1 bad prefix", tokenSubnet, subnet("aks", "10.10.0.1/20", nil), "host bits"},
		{"N1 overlapping address space", tokenNetwork, with(networkInputs, in{"addressSpace": in{"addressPrefixes": []any{"10.0.0.0/8", "10.1.0.0/16"}}}), "rule N1"},
		{"N1 inline subnets", tokenNetwork, with(networkInputs, in{"subnets": []any{in{"name": "a", "addressPrefix": "10.10.0.0/24"}, in{"name": "b", "addressPrefix": "10.10.1.0/24"}}}), ""},
		{"N1 inline subnets overlap", tokenNetwork, with(networkInputs, in{"subnets": []any{in{"name": "a", "addressPrefix": "10.10.0.0/24"}, in{"name": "b", "addressPrefix": "10.10.0.0/25"}}}), "rule N1"},
		{"security rules with one priority", tokenNSG, with(nsgInputs, in{"securityRules": []any{securityRule("a", 100, "Allow", "*", "1"), securityRule("b", 100, "Allow", "*", "2")}}), "same priority"},
		{"N5 zone", tokenZone, zone, ""},
		{"N5 zone in a region", tokenZone, with(zone, in{"location": "westeurope"}), "rule N5"},
		{"N5 zone without location", tokenZone, with(zone, in{"location": nil}), "rule N5"},
		{"N5 zone of other domain", tokenServer, with(serverInputs, in{"network": in{"delegatedSubnetResourceId": vnet + "/subnets/pg", "privateDnsZoneArmResourceId": zoneID + ".example.com"}}), "must end with"},
		{"N5 zone of the server's name", tokenServer, with(serverInputs, in{"serverName": "dev", "network": in{"delegatedSubnetResourceId": vnet + "/subnets/pg", "privateDnsZoneArmResourceId": group + "/providers/Microsoft.Network/privateDnsZones/dev.postgres.database.azure.com"}}), "rule N5"},

		{"cluster", tokenCluster, clusterInputs, ""},
		{"N6 overlay with kubenet", tokenCluster, nested(clusterInputs, "networkProfile", in{"networkPlugin": "kubenet"}), "rule N6"},
		{"N6 pods too few", tokenCluster, nested(clusterInputs, "networkProfile", in{"podCidr": "10.244.0.0/23"}), "too small for 3 nodes"},
		{"N6 pods overlap services", tokenCluster, nested(clusterInputs, "networkProfile", in{"podCidr": "10.96.0.0/16"}), "rule N6"},
		{"N6 maxPods", tokenCluster, pool(in{"maxPods": 251}), "rule N6"},
		{"N6 maxPods in range", tokenCluster, pool(in{"maxPods": 250}), ""},
		{"N7 services too large", tokenCluster, nested(clusterInputs, "networkProfile", in{"serviceCidr": "10.96.0.0/12"}), "rule N7"},
		{"N7 services reserved", tokenCluster, nested(clusterInputs, "networkProfile", in{"serviceCidr": "172.30.0.0/20", "dnsServiceIP": "172.30.0.10"}), "reserved"},
		{"N7 DNS first address", tokenCluster, nested(clusterInputs, "networkProfile", in{"dnsServiceIP": "10.96.0.1"}), "rule N7"},
		{"N7 DNS outside", tokenCluster, nested(clusterInputs, "networkProfile", in{"dnsServiceIP": "10.97.0.10"}), "rule N7"},
		{"K2", tokenCluster, with(clusterInputs, in{"oidcIssuerProfile": nil}), "rule K2"},
		{"K3", tokenCluster, with(clusterInputs, in{"aadProfile": nil}), "rule K3"},
		{"K3 with local accounts", tokenCluster, with(clusterInputs, in{"aadProfile": nil, "disableLocalAccounts": false}), ""},
		{"Schema tier of a cluster", tokenCluster, nested(clusterInputs, "sku", in{"tier": "Paid"}), "rule Schema"},
		{"K4 two inline pools", tokenCluster, with(clusterInputs, in{"agentPoolProfiles": []any{clusterInputs["agentPoolProfiles"].([]any)[0], clusterInputs["agentPoolProfiles"].([]any)[0]}}), "rule K4"},
		{"K4 user pool inline", tokenCluster, pool(in{"mode": "User"}), "rule K4"},
		{"pool without count", tokenPool, with(poolInputs, in{"count": nil}), "count is missing"},
		{"pool with bounds, not autoscaled", tokenPool, with(poolInputs, in{"maxCount": 3}), "enableAutoScaling"},
		{"pool with count out of bounds", tokenCluster, pool(in{"count": 4}), "between minCount"},

		{"gateway", tokenGateway, gatewayInputs, ""},
		{"G1 no routing rule", tokenGateway, with(gatewayInputs, in{"requestRoutingRules": []any{}}), "rule G1"},
		{"G1 reference to a missing part", tokenGateway, with(gatewayInputs, in{"backendAddressPools": []any{in{"name": "other"}}}), "has no edge in its backendAddressPools"},
		{"G2 no priority", tokenGateway, routing(in{"priority": nil}), "rule G2"},
		{"G2 priority too high", tokenGateway, routing(in{"priority": 20001}), "rule G2"},
		{"G3 name and tier", tokenGateway, with(gatewayInputs, in{"sku": in{"name": "Standard_v2", "tier": "WAF_v2"}}), "rule G3"},
		{"G3 capacity twice", tokenGateway, with(gatewayInputs, in{"sku": in{"name": "WAF_v2", "tier": "WAF_v2", "capacity": 2}}), "rule G3"},
		{"G3 fixed capacity", tokenGateway, with(gatewayInputs, in{"sku": in{"name": "WAF_v2", "tier": "WAF_v2", "capacity": 2}, "autoscaleConfiguration": nil}), ""},
		{"G3 public address", tokenAddress, address, ""},
		{"G3 dynamic public address", tokenAddress, with(address, in{"publicIPAllocationMethod": "Dynamic"}), "rule G3"},
		{"G4 own configuration", tokenGateway, with(gatewayInputs, in{"webApplicationFirewallConfiguration": in{"enabled": true, "firewallMode": "Prevention", "ruleSetType": "OWASP", "ruleSetVersion": "3.2"}}), "rule G4"},
		{"G4 no policy", tokenGateway, with(gatewayInputs, in{"firewallPolicy": nil}), "rule G4"},
		{"G4 policy without rule sets", tokenPolicy, in{"resourceGroupName": "rg", "policyName": "waf", "managedRules": in{"managedRuleSets": []any{}}}, "rule G4"},

		{"I1", tokenRole, with(assignment, in{"principalType": nil}), "rule I1"},
		{"I2", tokenRole, with(assignment, in{"roleAssignmentName": "pull"}), "rule I2"},
		{"I2 role by name", tokenRole, with(assignment, in{"roleDefinitionId": "AcrPull"}), "rule I2"},
		{"role assignment", tokenRole, assignment, ""},
		{"I4", tokenCredential, credential("github"), ""},
		{"I4 two audiences", tokenCredential, with(credential("a12"), in{"audiences": []any{"api://AzureADTokenExchange", "x"}}), "rule I4"},
		{"I4 wildcard", tokenCredential, with(credential("a12"), in{"subject": "repo:gridos/*"}), "rule I4"},
		{"I4 no service account", tokenCredential, with(credential("a12"), in{"subject": "system:serviceaccount:gridos"}), "rule I4"},
		{"I4 service account", tokenCredential, with(credential("a12"), in{"subject": "system:serviceaccount:gridos:gridos"}), ""},

		{"V1", tokenVault, nested(vaultInputs, "properties", in{"enablePurgeProtection": false}), "rule V1"},
		{"V1 protected", tokenVault, nested(vaultInputs, "properties", in{"enablePurgeProtection": true, "softDeleteRetentionInDays": 90}), ""},
		{"V1 retention", tokenVault, nested(vaultInputs, "properties", in{"softDeleteRetentionInDays": 6}), "rule V1"},

		{"server", tokenServer, serverInputs, ""},
		{"P1 tier and name", tokenServer, nested(serverInputs, "sku", in{"tier": "GeneralPurpose"}), "rule P1"},
		{"P1 high availability of Burstable", tokenServer, with(serverInputs, in{"highAvailability": in{"mode": "ZoneRedundant"}}), "rule P1"},
		{"P1 high availability", tokenServer, with(serverInputs, in{"sku": in{"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"}, "availabilityZone": "1", "highAvailability": in{"mode": "ZoneRedundant", "standbyAvailabilityZone": "2"}}), ""},
		{"P1 standby in the same zone", tokenServer, with(serverInputs, in{"sku": in{"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"}, "availabilityZone": "1", "highAvailability": in{"mode": "ZoneRedundant", "standbyAvailabilityZone": "1"}}), "rule P1"},
		{"P2 storage", tokenServer, with(serverInputs, in{"storage": in{"storageSizeGB": 50}}), "rule P2"},
		{"P2 retention", tokenServer, with(serverInputs, in{"backup": in{"backupRetentionDays": 36}}), "rule P2"},
		{"P3 login without password", tokenServer, with(serverInputs, in{"administratorLoginPassword": nil}), "rule P3"},
		{"P3 password though off", tokenServer, with(serverInputs, in{"authConfig": in{"passwordAuth": "Disabled", "activeDirectoryAuth": "Enabled", "tenantId": azure.DefaultTenantID}}), "rule P3"},
		{"P3 off and omitted", tokenServer, with(serverInputs, in{"authConfig": in{"passwordAuth": "Disabled", "activeDirectoryAuth": "Enabled", "tenantId": azure.DefaultTenantID}, "administratorLogin": nil, "administratorLoginPassword": nil}), ""},
		{"P3 reserved login", tokenServer, with(serverInputs, in{"administratorLogin": "pg_gridos"}), "rule P3"},
		{"P6 public access", tokenServer, with(serverInputs, in{"network": in{"delegatedSubnetResourceId": vnet + "/subnets/pg", "privateDnsZoneArmResourceId": zoneID, "publicNetworkAccess": "Enabled"}}), "rule P6"},
		{"P6 no zone", tokenServer, with(serverInputs, in{"network": in{"delegatedSubnetResourceId": vnet + "/subnets/pg"}}), "rule P6"},
		{"P7", tokenServer, with(serverInputs, in{"maintenanceWindow": in{"customWindow": "Enabled"}}), "rule P7"},

		{"ACR zone redundancy", tokenRegistry, with(registry, in{"zoneRedundancy": "Enabled"}), "rule ACR"},
		{"ACR no public access", tokenRegistry, with(registry, in{"publicNetworkAccess": "Disabled"}), "rule ACR"},
		{"ACR Premium", tokenRegistry, with(registry, in{"sku": in{"name": "Premium"}, "zoneRedundancy": "Enabled", "publicNetworkAccess": "Disabled"}), ""},
		{"workspace", tokenWorkspace, workspace, ""},
		{"workspace retention", tokenWorkspace, with(workspace, in{"retentionInDays": 7}), "InvalidRetentionInDays"},
		{"ACR private address in the firewall", tokenRegistry, with(registry, in{"sku": in{"name": "Premium"}, "networkRuleSet": in{"defaultAction": "Deny", "ipRules": []any{in{"iPAddressOrRange": "10.0.0.0/8"}}}}), "rule ACR"},
		{"ACR firewall", tokenRegistry, with(registry, in{"sku": in{"name": "Premium"}, "networkRuleSet": in{"defaultAction": "Deny", "ipRules": []any{in{"iPAddressOrRange": "203.0.113.0/24"}}}}), ""},
		{"ACR firewall of Standard", tokenRegistry, with(registry, in{"networkRuleSet": in{"defaultAction": "Allow"}}), "needs SKU Premium"},
		{"G4 unknown rule set", tokenPolicy, in{"resourceGroupName": "rg", "policyName": "waf", "managedRules": in{"managedRuleSets": []any{in{"ruleSetType": "CRS", "ruleSetVersion": "3.2"}}}}, "rule G4"},
		{"G4 no base", tokenPolicy, in{"resourceGroupName": "rg", "policyName": "waf", "managedRules": in{"managedRuleSets": []any{in{"ruleSetType": "Microsoft_BotManagerRuleSet", "ruleSetVersion": "1.1"}}}}, "rule G4"},
		{"V2 roles and policies", tokenVault, nested(vaultInputs, "properties", in{"accessPolicies": []any{in{"objectId": azure.DefaultObjectID, "tenantId": azure.DefaultTenantID, "permissions": in{"secrets": []any{"get"}}}}}), "rule V2"},
		{"V2 neither roles nor policies", tokenVault, nested(vaultInputs, "properties", in{"enableRbacAuthorization": false}), "rule V2"},
		{"P4 nobody signs in", tokenServer, with(serverInputs, in{"authConfig": in{"passwordAuth": "Disabled", "activeDirectoryAuth": "Disabled"}, "administratorLogin": nil, "administratorLoginPassword": nil}), "rule P4"},
		{"P4 no tenant", tokenServer, with(serverInputs, in{"authConfig": in{"activeDirectoryAuth": "Enabled"}}), "rule P4"},
		{"V3 private address", tokenVault, nested(vaultInputs, "properties", in{"networkAcls": in{"defaultAction": "Deny", "bypass": "AzureServices", "ipRules": []any{in{"value": "192.168.1.1"}}}}), "is private"},
		{"V3 no address", tokenVault, nested(vaultInputs, "properties", in{"networkAcls": in{"defaultAction": "Deny", "ipRules": []any{in{"value": "2001:db8::/32"}}}}), "rule V3"},
		{"Schema action of a vault", tokenVault, nested(vaultInputs, "properties", in{"networkAcls": in{"defaultAction": "Refuse"}}), "rule Schema"},
		{"Schema bypass of a vault", tokenVault, nested(vaultInputs, "properties", in{"networkAcls": in{"bypass": "All"}}), "rule Schema"},
		{"V3 access", tokenVault, nested(vaultInputs, "properties", in{"publicNetworkAccess": "off"}), "rule V3"},
		{"V3", tokenVault, nested(vaultInputs, "properties", in{"publicNetworkAccess": "disabled", "networkAcls": in{"defaultAction": "Deny", "bypass": "AzureServices", "ipRules": []any{in{"value": "203.0.113.7"}}}}), ""},

		{"K5 unknown add-on", tokenCluster, addOn("agic", in{}), "rule K5"},
		{"K5 missing setting", tokenCluster, addOn("ingressApplicationGateway", in{}), "needs the setting applicationGatewayId"},
		{"K5 unknown setting", tokenCluster, addOn("azureKeyvaultSecretsProvider", in{"rotation": "true"}), "has no setting rotation"},
		{"K5 no text", tokenCluster, addOn("azureKeyvaultSecretsProvider", in{"enableSecretRotation": true}), "must be a string"},
		{"K5 neither true nor false", tokenCluster, addOn("azureKeyvaultSecretsProvider", in{"enableSecretRotation": "yes"}), "rule K5"},
		{"K5 secrets", tokenCluster, addOn("azureKeyvaultSecretsProvider", in{"enableSecretRotation": "true", "rotationPollInterval": "2m"}), ""},
		{"K5 policy", tokenCluster, addOn("azurepolicy", in{}), ""},
		{"K7 private", tokenCluster, access(in{"enablePrivateCluster": true, "privateDNSZone": "system"}), ""},
		{"K7 zone of a public cluster", tokenCluster, access(in{"privateDNSZone": "system"}), "rule K7"},
		{"K7 unknown zone", tokenCluster, access(in{"enablePrivateCluster": true, "privateDNSZone": "own"}), "use system, none or"},
		{"K7 zone of another service", tokenCluster, access(in{"enablePrivateCluster": true, "privateDNSZone": zoneID}), "azmk8s.io"},
		{"K7 ranges", tokenCluster, access(in{"authorizedIPRanges": []any{"203.0.113.0/24", "203.0.113.9"}}), ""},
		{"K7 no range", tokenCluster, access(in{"authorizedIPRanges": []any{"office"}}), "rule K7"},
		{"K7 ranges of a private cluster", tokenCluster, access(in{"enablePrivateCluster": true, "authorizedIPRanges": []any{"203.0.113.0/24"}}), "rule K7"},
		{"K7 public name of a public cluster", tokenCluster, access(in{"enablePrivateClusterPublicFQDN": true}), "rule K7"},
		{"K8 mesh", tokenCluster, mesh("Istio", "External", "Internal"), ""},
		{"Schema mode of a mesh", tokenCluster, with(clusterInputs, in{"serviceMeshProfile": in{"mode": "Linkerd"}}), "rule Schema"},
		{"K8 two gateways", tokenCluster, mesh("Istio", "External", "External"), "two ingress gateways of mode External"},
		{"Schema mode of a gateway of the mesh", tokenCluster, mesh("Istio", "Public"), "rule Schema"},
		{"K8 mesh switched off", tokenCluster, mesh("Disabled", "External"), "rule K8"},
		{"K8 channels", tokenCluster, with(clusterInputs, in{"autoUpgradeProfile": in{"upgradeChannel": "patch", "nodeOSUpgradeChannel": "NodeImage"}}), ""},
		{"Schema channel of Kubernetes", tokenCluster, with(clusterInputs, in{"autoUpgradeProfile": in{"upgradeChannel": "latest"}}), "rule Schema"},
		{"Schema channel of nodes", tokenCluster, with(clusterInputs, in{"autoUpgradeProfile": in{"nodeOSUpgradeChannel": "node-image"}}), "rule Schema"},
		{"K8 channels that do not go together", tokenCluster, with(clusterInputs, in{"autoUpgradeProfile": in{"upgradeChannel": "node-image", "nodeOSUpgradeChannel": "SecurityPatch"}}), "rule K8"},
		{"K8 Defender without workspace", tokenCluster, nested(clusterInputs, "securityProfile", in{"defender": in{"securityMonitoring": in{"enabled": true}}}), "rule K8"},
		{"zones of a region without", tokenCluster, with(clusterInputs, in{"location": "UK West"}), "rule Zones"},
		{"zones of an unknown region", tokenCluster, with(clusterInputs, in{"location": "moonbase"}), ""},
		{"zone that is none", tokenAddress, with(address, in{"zones": []any{"1", "4"}}), "rule Zones"},
		{"zone twice", tokenAddress, with(address, in{"zones": []any{"1", "1"}}), "rule Zones"},
		{"zone of a server", tokenServer, with(serverInputs, in{"location": "westus", "availabilityZone": "1"}), "rule Zones"},
		{"zone redundancy in a region without", tokenRegistry, with(registry, in{"location": "westus", "sku": in{"name": "Premium"}, "zoneRedundancy": "Enabled"}), "rule Zones"},

		{"G1 two parts of one name", tokenGateway, with(gatewayInputs, in{"backendAddressPools": []any{in{"name": "edge"}, in{"name": "Edge"}}}), "rule G1"},
		{"gateway with TLS", tokenGateway, secureGateway(nil), ""},
		{"G5 no policy", tokenGateway, secureGateway(in{"sslPolicy": nil}), "rule G5"},
		{"G5 old policy", tokenGateway, secureGateway(in{"sslPolicy": in{"policyType": "Predefined", "policyName": "AppGwSslPolicy20170401"}}), "allows TLS 1.1"},
		{"G5 unknown policy", tokenGateway, secureGateway(in{"sslPolicy": in{"policyType": "Predefined", "policyName": "AppGwSslPolicy2099"}}), "rule G5"},
		{"G5 type of policy", tokenGateway, secureGateway(in{"sslPolicy": in{"policyName": "AppGwSslPolicy20220101"}}), "rule G5"},
		{"G5 custom policy", tokenGateway, secureGateway(in{"sslPolicy": in{"policyType": "CustomV2", "minProtocolVersion": "TLSv1_3", "cipherSuites": []any{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}}), ""},
		{"G5 custom policy too old", tokenGateway, secureGateway(in{"sslPolicy": in{"policyType": "CustomV2", "minProtocolVersion": "TLSv1_1", "cipherSuites": []any{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}}), "TLSv1_1"},
		{"G5 custom policy incomplete", tokenGateway, secureGateway(in{"sslPolicy": in{"policyType": "Custom", "minProtocolVersion": "TLSv1_2"}}), "rule G5"},
		{"G5 old policy of a profile", tokenGateway, secureGateway(in{"sslProfiles": []any{in{"name": "old", "sslPolicy": in{"policyType": "Predefined", "policyName": "AppGwSslPolicy20150501"}}}}), "rule G5"},
		{"G8 no identity", tokenGateway, secureGateway(in{"identity": nil}), "rule G8"},
		{"G8 system-assigned identity", tokenGateway, secureGateway(in{"identity": in{"type": "SystemAssigned"}}), "rule G8"},
		{"G8 no secret", tokenGateway, secureGateway(in{"sslCertificates": []any{in{"name": "site", "keyVaultSecretId": vaultID + "/secrets/site"}}}), "is no secret of a vault"},
		{"G8 no source", tokenGateway, secureGateway(in{"sslCertificates": []any{in{"name": "site"}}}), "rule G8"},
		{"G9 Https without certificate", tokenGateway, secureListener(in{"sslCertificate": nil}), "rule G9"},
		{"G9 Http with certificate", tokenGateway, secureListener(in{"protocol": "Http"}), "cannot have a certificate"},
		{"G9 unknown protocol", tokenGateway, secureListener(in{"protocol": "Tcp"}), "rule G9"},
		{"G9 listener without port", tokenGateway, secureListener(in{"frontendPort": nil}), "needs a frontendPort"},
		{"G9 one port for two protocols", tokenGateway, secureListener(in{"frontendPort": part("frontendPorts", "http"), "hostName": "a.example.com"}), "rule G9"},
		{"G9 one socket twice", tokenGateway, secureListener(in{"protocol": "Http", "sslCertificate": nil, "frontendPort": part("frontendPorts", "http")}), "both listen to port"},
		{"G9 one port for two hosts", tokenGateway, secureListener(in{"protocol": "Http", "sslCertificate": nil, "frontendPort": part("frontendPorts", "http"), "hostName": "a.example.com"}), ""},
		{"G9 port of Azure", tokenGateway, with(gatewayInputs, in{"frontendPorts": []any{in{"name": "http", "port": 65300}}}), "rule G9"},
		{"G9 port twice", tokenGateway, with(gatewayInputs, in{"frontendPorts": []any{in{"name": "http", "port": 80}, in{"name": "web", "port": 80}}}), "rule G9"},
		{"G9 backend and redirection", tokenGateway, redirected(in{"backendAddressPool": part("backendAddressPools", "edge")}, nil), "rule G9"},
		{"G9 neither backend nor redirection", tokenGateway, routing(in{"backendAddressPool": nil, "backendHttpSettings": nil}), "rule G9"},
		{"G9 half a backend", tokenGateway, routing(in{"backendHttpSettings": nil}), "needs both"},
		{"G9 rule without listener", tokenGateway, routing(in{"httpListener": nil}), "needs an httpListener"},
		{"Schema type of a routing rule", tokenGateway, routing(in{"ruleType": "Weighted"}), "rule Schema"},
		{"G9 path-based rule without map", tokenGateway, routing(in{"ruleType": "PathBasedRouting"}), "rule G9"},
		{"G9 one listener for two rules", tokenGateway, secureGateway(in{"requestRoutingRules": []any{secureGateway(nil)["requestRoutingRules"].([]any)[0], with(secureGateway(nil)["requestRoutingRules"].([]any)[0].(in), in{"name": "more", "priority": 300})}}), "the same listener"},
		{"G9 redirection to nowhere", tokenGateway, redirected(nil, in{"targetListener": nil}), "rule G9"},
		{"G9 redirection to a page", tokenGateway, redirected(nil, in{"targetListener": nil, "targetUrl": "https://example.com"}), ""},
		{"G9 redirection to itself", tokenGateway, redirected(nil, in{"targetListener": part("httpListeners", "http")}), "to itself"},
		{"G9 type of redirection", tokenGateway, redirected(nil, in{"redirectType": "301"}), "rule G9"},
		{"G1 redirection that is missing", tokenGateway, redirected(in{"redirectConfiguration": part("redirectConfigurations", "none")}, nil), "has no none in its redirectConfigurations"},
		{"G9 probe", tokenGateway, probed(nil, nil), ""},
		{"G1 probe that is missing", tokenGateway, probed(in{"name": "other"}, nil), "has no health in its probes"},
		{"G9 probe of another protocol", tokenGateway, probed(in{"protocol": "Https"}, nil), "use one protocol"},
		{"G9 probe without host", tokenGateway, probed(in{"host": nil}, nil), "rule G9"},
		{"G9 probe with the host of nobody", tokenGateway, probed(in{"host": nil, "pickHostNameFromBackendHttpSettings": true}, nil), "which have none"},
		{"G9 probe with the host of its settings", tokenGateway, probed(in{"host": nil, "pickHostNameFromBackendHttpSettings": true}, in{"hostName": "edge.example.com"}), ""},
		{"G9 path of probe", tokenGateway, probed(in{"path": "healthz"}, nil), "must start with a slash"},
		{"G9 threshold of probe", tokenGateway, probed(in{"unhealthyThreshold": 21}, nil), "rule G9"},
		{"G9 two hosts", tokenGateway, probed(nil, in{"hostName": "edge.example.com", "pickHostNameFromBackendAddress": true}), "rule G9"},
		{"G9 protocol of backend", tokenGateway, probed(nil, in{"protocol": "Grpc"}), "rule G9"},
		{"G9 timeout of backend", tokenGateway, probed(nil, in{"requestTimeout": 0}), "rule G9"},

		{"diagnostics to nowhere", tokenDiagnostic, in{"name": "a", "resourceUri": vnet, "metrics": []any{in{"category": "AllMetrics", "enabled": true}}}, "data sink"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := h.check(test.token, nil, test.inputs)
			if test.want == "" {
				assert.Empty(t, got)
				return
			}
			require.Len(t, got, 1, "one message per mistake: %v", got)
			assert.Contains(t, got[0], test.want)
		})
	}
}

// addOn returns the cluster with an add-on.
func addOn(name string, config in) in {
	return with(clusterInputs, in{"addonProfiles": in{name: in{"enabled": true, "config": config}}})
}

// access returns the cluster with a profile for access to its API server.
func access(profile in) in { return with(clusterInputs, in{"apiServerAccessProfile": profile}) }

// mesh returns the cluster with a mesh and its ingress gateways.
func mesh(mode string, gateways ...string) in {
	var list []any
	for _, gateway := range gateways {
		list = append(list, in{"enabled": true, "mode": gateway})
	}
	return with(clusterInputs, in{"serviceMeshProfile": in{"mode": mode, "istio": in{"components": in{"ingressGateways": list}}}})
}

// secureGateway returns the gateway with a listener for HTTPS, to which the one for HTTP redirects,
// and a certificate from a vault.
func secureGateway(changes in) in {
	listener := gatewayInputs["httpListeners"].([]any)[0].(in)
	toBackend := gatewayInputs["requestRoutingRules"].([]any)[0].(in)
	return with(with(gatewayInputs, in{
		"identity":        in{"type": "UserAssigned", "userAssignedIdentities": []any{identityID}},
		"sslCertificates": []any{in{"name": "site", "keyVaultSecretId": "https://platform-kv.vault.azure.net/secrets/site"}},
		"sslPolicy":       in{"policyType": "Predefined", "policyName": "AppGwSslPolicy20220101"},
		"frontendPorts":   []any{in{"name": "http", "port": 80}, in{"name": "https", "port": 443}},
		"httpListeners": []any{listener, with(listener, in{
			"name": "https", "protocol": "Https", "frontendPort": part("frontendPorts", "https"), "sslCertificate": part("sslCertificates", "site"),
		})},
		"redirectConfigurations": []any{in{
			"name": "to-https", "redirectType": "Permanent", "includePath": true, "targetListener": part("httpListeners", "https"),
		}},
		"requestRoutingRules": []any{
			with(toBackend, in{"name": "https", "httpListener": part("httpListeners", "https")}),
			with(toBackend, in{
				"name": "http", "priority": 200, "backendAddressPool": nil, "backendHttpSettings": nil,
				"redirectConfiguration": part("redirectConfigurations", "to-https"),
			}),
		},
	}), changes)
}

// secureListener changes the listener for HTTPS of the secure gateway.
func secureListener(changes in) in {
	listeners := secureGateway(nil)["httpListeners"].([]any)
	return secureGateway(in{"httpListeners": []any{listeners[0], with(listeners[1].(in), changes)}})
}

// redirected changes the routing rule that redirects, and its redirection.
func redirected(rule, redirection in) in {
	gateway := secureGateway(nil)
	rules := gateway["requestRoutingRules"].([]any)
	return with(gateway, in{
		"requestRoutingRules":    []any{rules[0], with(rules[1].(in), rule)},
		"redirectConfigurations": []any{with(gateway["redirectConfigurations"].([]any)[0].(in), redirection)},
	})
}

// probed returns the gateway with a probe for its backend settings.
func probed(probe, settings in) in {
	return with(gatewayInputs, in{
		"probes": []any{with(in{
			"name": "health", "protocol": "Http", "path": "/healthz", "host": "edge.example.com", "interval": 30, "timeout": 30, "unhealthyThreshold": 3,
		}, probe)},
		"backendHttpSettingsCollection": []any{with(gatewayInputs["backendHttpSettingsCollection"].([]any)[0].(in),
			with(in{"probe": part("probes", "health")}, settings))},
	})
}

func routing(changes in) in {
	return with(gatewayInputs, in{"requestRoutingRules": []any{with(gatewayInputs["requestRoutingRules"].([]any)[0].(in), changes)}})
}

func TestUnit_ChangesThatAzureRefuses(t *testing.T) {
	h := open(t, azure.Options{})
	shrunk := h.check(tokenServer, serverInputs, with(serverInputs, in{"storage": in{"storageSizeGB": 32}}))
	require.Len(t, shrunk, 1)
	assert.Contains(t, shrunk[0], "cannot shrink from 64 to 32 GB")
	assert.Empty(t, h.check(tokenServer, serverInputs, with(serverInputs, in{"storage": in{"storageSizeGB": 128}})))
	assert.Empty(t, h.check(tokenServer, serverInputs, with(serverInputs, in{"storage": in{"storageSizeGB": 32}, "serverName": "new"})),
		"a new server may be smaller")
	assert.Empty(t, h.check(tokenServer, serverInputs, with(serverInputs, in{"maintenanceWindow": in{"customWindow": "Enabled"}})), "P7: later it may")
	assert.Len(t, h.check(tokenPool, poolInputs, with(poolInputs, in{"maxPods": 30})), 1)
	assert.Empty(t, h.check(tokenPool, poolInputs, with(poolInputs, in{"maxPods": 30, "vmSize": "Standard_D8s_v5"})), "a new pool may differ")
	one := func(failures []string) string {
		require.Len(t, failures, 1)
		return failures[0]
	}
	version := func(text string) in { return with(clusterInputs, in{"kubernetesVersion": text}) }
	assert.Empty(t, h.check(tokenCluster, clusterInputs, version("1.36.1")))
	assert.Contains(t, one(h.check(tokenCluster, clusterInputs, version("1.37"))), "go to 1.36 first")
	assert.Contains(t, one(h.check(tokenCluster, clusterInputs, version("1.34"))), "rule K9")
	available := func(zone, standby string) in {
		return with(serverInputs, in{
			"sku": in{"name": "Standard_D2ds_v5", "tier": "GeneralPurpose"}, "availabilityZone": zone,
			"highAvailability": in{"mode": "ZoneRedundant", "standbyAvailabilityZone": standby},
		})
	}
	assert.Empty(t, h.check(tokenServer, available("1", "2"), available("2", "1")), "after a failover")
	assert.Contains(t, one(h.check(tokenServer, available("1", "2"), available("3", "2"))), "rule P1")
	private := func(enabled bool) in {
		return with(clusterInputs, in{"apiServerAccessProfile": in{"enablePrivateCluster": enabled}})
	}
	assert.Empty(t, h.check(tokenCluster, clusterInputs, private(false)), "false is what left out means")
	assert.Len(t, h.check(tokenCluster, clusterInputs, private(true)), 1)
}

func TestUnit_Subnets(t *testing.T) {
	h := open(t, azure.Options{}).withNetwork()
	assert.Contains(t, h.refused(tokenSubnet, subnet("a", "10.10.8.0/24", nil)), "overlaps with subnet '"+vnet+"/subnets/aks'")
	assert.Contains(t, h.refused(tokenSubnet, subnet("a", "10.11.0.0/24", nil)), "outside of the address space")
	h.must(tokenSubnet, subnet("a", "10.10.16.0/24", nil))

	_, err := h.update(tokenNetwork, vnet, networkInputs, with(networkInputs, in{"addressSpace": in{"addressPrefixes": []any{"10.10.0.0/20"}}}))
	require.ErrorContains(t, err, "rule N1")
	_, err = h.update(tokenNetwork, vnet, networkInputs, with(networkInputs, in{"addressSpace": in{"addressPrefixes": []any{"10.10.0.0/16", "10.20.0.0/16"}}}))
	require.NoError(t, err)
}

func TestUnit_GatewayNeedsItsSurroundings(t *testing.T) {
	t.Run("accepted", func(t *testing.T) {
		h := open(t, azure.Options{}).withGateway()
		_, outputs := h.must(tokenGateway, gatewayInputs)
		listener := outputs["httpListeners"].ArrayValue()[0].ObjectValue()
		assert.Equal(t, gatewayID+"/httpListeners/http", listener["id"].StringValue())
		assert.Equal(t, "Http", listener["protocol"].StringValue())
		require.ErrorContains(t, h.delete(tokenAddress, addressID), gatewayID)

		// N3 holds as long as the gateway is there.
		closed := with(nsgInputs, in{"securityRules": []any{securityRule("web", 110, "Allow", "Internet", "443")}})
		_, err := h.update(tokenNSG, nsgID, nsgInputs, closed)
		require.ErrorContains(t, err, "rule N3")
		require.NoError(t, h.delete(tokenGateway, gatewayID))
		_, err = h.update(tokenNSG, nsgID, nsgInputs, closed)
		require.NoError(t, err)
	})

	groups := map[string]struct {
		rules []any
		want  string
	}{
		"N3 without GatewayManager": {[]any{securityRule("web", 110, "Allow", "Internet", "443")}, "65200-65535 from GatewayManager"},
		"N3 too few ports":          {[]any{securityRule("manager", 100, "Allow", "GatewayManager", "65200-65300")}, "rule N3"},
		"N3 denied before": {
			[]any{securityRule("deny", 100, "Deny", "*", "*"), securityRule("manager", 110, "Allow", "GatewayManager", "65200-65535")}, "rule N3",
		},
		"N3 balancer denied": {
			[]any{securityRule("manager", 100, "Allow", "GatewayManager", "65200-65535"), securityRule("deny", 110, "Deny", "AzureLoadBalancer", "*")},
			"denies AzureLoadBalancer",
		},
	}
	for name, test := range groups {
		t.Run(name, func(t *testing.T) {
			h := open(t, azure.Options{}).withGateway()
			_, err := h.update(tokenNSG, nsgID, nsgInputs, with(nsgInputs, in{"securityRules": test.rules}))
			require.NoError(t, err, "without a gateway the rules are free")
			assert.Contains(t, h.refused(tokenGateway, gatewayInputs), test.want)
		})
	}

	t.Run("N2 other tenants", func(t *testing.T) {
		h := open(t, azure.Options{}).withGateway()
		h.must(tokenSubnet, subnet("pg", "10.10.17.0/24", in{"delegations": []any{in{"name": "pg", "serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}}}))
		assert.Contains(t, h.refused(tokenGateway, with(gatewayInputs, in{
			"gatewayIPConfigurations": []any{in{"name": "ip", "subnet": in{"id": vnet + "/subnets/pg"}}},
		})), "rule N2")
	})
	t.Run("G3 basic address", func(t *testing.T) {
		h := open(t, azure.Options{}).withGateway()
		h.must(tokenAddress, in{"resourceGroupName": "rg", "publicIpAddressName": "basic", "location": "westeurope"})
		assert.Contains(t, h.refused(tokenGateway, with(gatewayInputs, in{
			"frontendIPConfigurations": []any{in{"name": "public", "publicIPAddress": in{"id": group + "/providers/Microsoft.Network/publicIPAddresses/basic"}}},
		})), "rule G3")
	})
}

func TestUnit_PrivateServerNeedsItsNetwork(t *testing.T) {
	private := with(serverInputs, in{"network": in{
		"delegatedSubnetResourceId": vnet + "/subnets/pg", "privateDnsZoneArmResourceId": zoneID,
	}})
	delegated := in{"delegations": []any{in{"name": "pg", "serviceName": "Microsoft.DBforPostgreSQL/flexibleServers"}}}
	link := in{
		"resourceGroupName": "rg", "privateZoneName": "dev.private.postgres.database.azure.com", "virtualNetworkLinkName": "vnet",
		"location": "Global", "registrationEnabled": false, "virtualNetwork": in{"id": vnet},
	}
	zone := in{"resourceGroupName": "rg", "privateZoneName": "dev.private.postgres.database.azure.com", "location": "Global"}

	h := open(t, azure.Options{}).withNetwork()
	h.must(tokenZone, zone)
	h.must(tokenSubnet, subnet("pg", "10.10.32.0/28", delegated))
	assert.Contains(t, h.refused(tokenServer, private), "is not linked to '"+vnet+"'")
	linkID, _ := h.must(tokenLink, link)
	_, outputs := h.must(tokenServer, private)
	assert.Equal(t, "dev-gridos-pg.postgres.database.azure.com", outputs["fullyQualifiedDomainName"].StringValue())
	assert.Equal(t, "Ready", outputs["state"].StringValue())
	require.ErrorContains(t, h.delete(tokenZone, zoneID), linkID)

	server := group + "/providers/Microsoft.DBforPostgreSQL/flexibleServers/dev-gridos-pg"
	_, err := h.update(tokenServer, server, private, serverInputs)
	require.ErrorContains(t, err, "rule P6", "a private server stays private")

	for name, changes := range map[string]in{"N4 not delegated": nil, "N4 too small": delegated} {
		t.Run(name, func(t *testing.T) {
			h := open(t, azure.Options{}).withNetwork()
			h.must(tokenZone, zone)
			h.must(tokenLink, link)
			h.must(tokenSubnet, subnet("pg", "10.10.32.0/29", changes))
			assert.Contains(t, h.refused(tokenServer, private), "rule N4")
		})
	}
}

func TestUnit_ServerChildren(t *testing.T) {
	h := open(t, azure.Options{})
	h.must(tokenGroup, groupInputs)
	server, _ := h.must(tokenServer, serverInputs)
	database, _ := h.must(tokenDatabase, database("gridos"))
	setting := in{"resourceGroupName": "rg", "serverName": "dev-gridos-pg", "configurationName": "azure.extensions", "value": "PGCRYPTO", "source": "user-override"}
	settingID, _ := h.must(tokenSetting, setting)
	admin := in{
		"resourceGroupName": "rg", "serverName": "dev-gridos-pg", "objectId": azure.DefaultObjectID, "principalName": "me",
		"principalType": "User", "tenantId": azure.DefaultTenantID,
	}
	assert.Contains(t, h.refused(tokenAdmin, admin), "rule P4", "the server has no Entra ID authentication")

	require.ErrorContains(t, h.delete(tokenSetting, settingID), "RetainOnDelete")
	h.must(tokenSetting, setting) // so it may exist when the resource is created again
	require.ErrorContains(t, h.delete(tokenServer, server), database)
	require.NoError(t, h.delete(tokenDatabase, database))
	require.NoError(t, h.delete(tokenServer, server))
	assert.Len(t, h.cloud.Inventory(), 1, "the setting went with the server")
}

func TestUnit_RoleAssignments(t *testing.T) {
	h := open(t, azure.Options{})
	cluster := h.withCluster()
	kubelet := cluster["identityProfile"].ObjectValue()["kubeletidentity"].ObjectValue()["objectId"].StringValue()
	registry, outputs := h.must(tokenRegistry, in{"resourceGroupName": "rg", "registryName": "devgridosacr", "location": "westeurope", "sku": in{"name": "Standard"}})
	assert.Equal(t, "devgridosacr.azurecr.io", outputs["loginServer"].StringValue())
	name := func(last string) string { return "8f0c1c6e-0000-4000-8000-00000000001" + last }

	assert.Contains(t, h.refused(tokenRole, role(name("1"), registry, "8f0c1c6e-dead-4000-8000-000000000000", acrPull)), "PrincipalNotFound")
	assert.Contains(t, h.refused(tokenRole, role(name("1"), registry+"x", kubelet, acrPull)), "InvalidResourceReference")
	identity, _ := h.must(tokenIdentity, with(identityInputs, in{"resourceName": "other-id"}))
	assert.NotEmpty(t, identity)

	principal := h.read(tokenIdentity, identityID)["principalId"].StringValue()
	assert.Contains(t, h.refused(tokenRole, role(name("1"), registry, principal, acrPull)), "rule I3", "the control plane pulls no images")

	pull, _ := h.must(tokenRole, role(name("1"), registry, kubelet, acrPull))
	assert.Equal(t, registry+"/providers/Microsoft.Authorization/roleAssignments/"+name("1"), pull)
	assert.Contains(t, h.refused(tokenRole, role(name("2"), registry, kubelet, acrPull)), "RoleAssignmentExists")
	h.must(tokenRole, role(name("2"), group, kubelet, acrPull))                                                                        // another scope
	h.must(tokenRole, role(name("3"), subscription, azure.DefaultObjectID, contributor))                                               // the deployer
	h.must(tokenRole, with(role(name("4"), group, "8f0c1c6e-beef-4000-8000-000000000000", contributor), in{"principalType": "Group"})) // a group

	require.ErrorContains(t, h.delete(tokenRegistry, registry), pull, "an assignment counts as a part of its scope")
	require.NoError(t, h.delete(tokenRole, pull))
	require.NoError(t, h.delete(tokenRegistry, registry))
}

func TestUnit_FederatedCredentials(t *testing.T) {
	h := open(t, azure.Options{})
	cluster := h.withCluster()
	issuer := cluster["oidcIssuerProfile"].ObjectValue()["issuerURL"].StringValue()
	account := with(credential("eso"), in{"issuer": issuer, "subject": "system:serviceaccount:gridos:eso"})
	h.must(tokenCredential, account)
	assert.Contains(t, h.refused(tokenCredential, with(account, in{"federatedIdentityCredentialResourceName": "same"})), "same issuer and subject")
	assert.Contains(t, h.refused(tokenCredential, with(account, in{
		"federatedIdentityCredentialResourceName": "slash", "issuer": issuer[:len(issuer)-1] + "0/", "subject": "system:serviceaccount:gridos:x",
	})), "verbatim")
	for i := range 19 {
		h.must(tokenCredential, credential("c-"+string(rune('a'+i))))
	}
	assert.Contains(t, h.refused(tokenCredential, credential("one-more")), "has 20 federated credentials already")
}

func TestUnit_ClusterOutputs(t *testing.T) {
	h := open(t, azure.Options{})
	outputs := h.withCluster()
	assert.Equal(t, "MC_rg_dev-gridos-aks_westeurope", outputs["nodeResourceGroup"].StringValue())
	assert.Equal(t, "1.35.0", outputs["currentKubernetesVersion"].StringValue())
	assert.Contains(t, outputs["fqdn"].StringValue(), "dev-gridos-")
	assert.NotContains(t, outputs, resource.PropertyKey("privateFQDN"))
	assert.Equal(t, "Running", outputs["powerState"].ObjectValue()["code"].StringValue())
	users := outputs["identity"].ObjectValue()["userAssignedIdentities"].ObjectValue()
	assert.Contains(t, users, resource.PropertyKey(identityID), "the list of identities comes back as an object")
	// The resources that AKS makes in the node resource group can be referred to.
	kubelet := outputs["identityProfile"].ObjectValue()["kubeletidentity"].ObjectValue()
	h.must(tokenRole, role("8f0c1c6e-0000-4000-8000-000000000021", kubelet["resourceId"].StringValue(), azure.DefaultObjectID, contributor))
}

func TestUnit_ClusterNeedsItsSurroundings(t *testing.T) {
	h := open(t, azure.Options{}).withNetwork()
	_, identity := h.must(tokenIdentity, identityInputs)
	assert.Contains(t, h.refused(tokenCluster, clusterInputs), "rule K1")
	assert.Contains(t, h.refused(tokenCluster, with(clusterInputs, in{"identity": in{"type": "SystemAssigned"}})), "rule K1")
	h.must(tokenRole, role("8f0c1c6e-0000-4000-8000-000000000001", group, identity["principalId"].StringValue(), contributor)) // above the subnet
	assert.Contains(t, h.refused(tokenCluster, nested(clusterInputs, "networkProfile", in{"podCidr": "10.10.0.0/16"})), "rule N6/N7")
	h.must(tokenCluster, clusterInputs)
}

func TestUnit_Nodes(t *testing.T) {
	k := &kubernetes{}
	h := open(t, azure.Options{Kubernetes: k})
	h.withCluster()
	assert.Equal(t, []string{
		"aks-system-00000000-vmss000000", "aks-system-00000000-vmss000001", "aks-system-00000000-vmss000002",
	}, k.names(), "an autoscaled pool has its maximum of nodes")
	assert.Equal(t, []string{"westeurope-1", "westeurope-2", "westeurope-1"}, []string{k.nodes[0].Zone, k.nodes[1].Zone, k.nodes[2].Zone})

	pool, _ := h.must(tokenPool, poolInputs)
	require.Len(t, k.nodes, 5)
	node := k.nodes[4]
	assert.Equal(t, "aks-user-00000000-vmss000001", node.Name)
	assert.Equal(t, "User", node.Mode)
	assert.Equal(t, []string{"spot=true:NoSchedule"}, node.Taints)
	assert.Empty(t, node.Zone)
	for label, want := range map[string]string{
		"kubernetes.azure.com/mode": "user", "kubernetes.azure.com/agentpool": "user", "topology.kubernetes.io/zone": "0",
		"kubernetes.io/os": "linux", "node.kubernetes.io/instance-type": "Standard_D4s_v5", "team": "scada",
	} {
		assert.Equal(t, want, node.Labels[label], label)
	}

	_, err := h.update(tokenPool, pool, poolInputs, with(poolInputs, in{"count": 1}))
	require.NoError(t, err)
	assert.Len(t, k.nodes, 4)
	_, err = h.update(tokenPool, pool, poolInputs, with(poolInputs, in{"maxPods": 30}))
	require.ErrorContains(t, err, "PropertyChangeNotAllowed")
	assert.Contains(t, h.refused(tokenPool, with(poolInputs, in{"agentPoolName": "system"})), "AgentPoolNameInUse")

	k.err = assert.AnError
	_, _, err = h.create(t.Context(), tokenPool, with(poolInputs, in{"agentPoolName": "more"}))
	require.ErrorIs(t, err, assert.AnError, "a pool without nodes is not created")
	k.err = nil

	other := with(clusterInputs, in{"resourceName": "other", "agentPoolProfiles": clusterInputs["agentPoolProfiles"]})
	assert.Contains(t, h.refused(tokenCluster, other), "LabHasOneCluster")

	require.NoError(t, h.cloud.Sync(t.Context()))
	assert.Len(t, k.nodes, 4)
	require.ErrorContains(t, h.delete(tokenCluster, clusterID), pool)
	require.NoError(t, h.delete(tokenPool, pool))
	assert.Len(t, k.nodes, 3)
	require.NoError(t, h.delete(tokenCluster, clusterID))
	assert.Empty(t, k.nodes)
}

// TestUnit_TheAutoscalerOwnsTheCount: a new pool must start inside the bounds, and the autoscaler
// moves a live one there.
func TestUnit_TheAutoscalerOwnsTheCount(t *testing.T) {
	k := &kubernetes{}
	h := open(t, azure.Options{Kubernetes: k})
	h.withCluster()
	bounds := func(count, low, high int) in {
		return in{"count": count, "enableAutoScaling": true, "minCount": low, "maxCount": high}
	}
	autoscaled := with(poolInputs, bounds(2, 1, 3))
	assert.Contains(t, h.refused(tokenPool, with(poolInputs, bounds(2, 3, 5))), "not between minCount")
	poolID, _ := h.must(tokenPool, autoscaled)

	// live returns the counts: the one that an update returned, and those that a refresh finds in
	// inputs and outputs.
	live := func(token, id string, updated resource.PropertyMap, count func(resource.PropertyMap) resource.PropertyValue) []float64 {
		response, err := h.provider.Read(t.Context(), &pulumirpc.ReadRequest{Id: id, Urn: urn(token)})
		require.NoError(t, err)
		return []float64{
			count(updated).NumberValue(), count(unmarshal(t, response.GetInputs())).NumberValue(),
			count(unmarshal(t, response.GetProperties())).NumberValue(),
		}
	}
	ofPool := func(p resource.PropertyMap) resource.PropertyValue { return p["count"] }
	ofCluster := func(p resource.PropertyMap) resource.PropertyValue {
		return p["agentPoolProfiles"].ArrayValue()[0].ObjectValue()["count"]
	}
	for _, test := range []struct{ sent, low, high, want int }{{2, 3, 5, 3}, {4, 1, 2, 2}, {2, 1, 4, 2}} {
		changes := bounds(test.sent, test.low, test.high)
		want := []float64{float64(test.want), float64(test.want), float64(test.want)}
		updated, err := h.update(tokenPool, poolID, autoscaled, with(poolInputs, changes))
		require.NoError(t, err)
		assert.Equal(t, want, live(tokenPool, poolID, updated, ofPool))
		updated, err = h.update(tokenCluster, clusterID, clusterInputs, pool(changes))
		require.NoError(t, err)
		assert.Equal(t, want, live(tokenCluster, clusterID, updated, ofCluster))
		assert.Len(t, k.nodes, 2*test.high)
	}
	_, err := h.update(tokenPool, poolID, autoscaled, with(poolInputs, bounds(2, 3, 1)))
	require.ErrorContains(t, err, "minCount 3 is above maxCount 1", "the bounds are still judged")

	// For a replacement the engine checks first with the old inputs and the old count, then without
	// the old inputs and with the new count.
	larger := with(poolInputs, with(bounds(2, 3, 5), in{"vmSize": "Standard_D8s_v5"}))
	assert.Empty(t, h.check(tokenPool, autoscaled, larger))
	assert.Len(t, h.check(tokenPool, nil, larger), 1)
	_, err = h.provider.Create(t.Context(), &pulumirpc.CreateRequest{
		Urn: urn(tokenPool), Properties: marshal(t, properties(with(larger, in{"agentPoolName": "larger"}))),
	})
	require.ErrorContains(t, err, "not between minCount", "Azure refuses it as well")
}

func TestUnit_Invokes(t *testing.T) {
	const listUser = "azure-native:containerservice/v20240901:listManagedClusterUserCredentials"
	arguments := in{"resourceGroupName": "rg", "resourceName": "dev-gridos-aks"}
	h := open(t, azure.Options{Kubernetes: &kubernetes{}})
	config, err := h.invoke("azure-native:authorization:getClientConfig", nil)
	require.NoError(t, err)
	assert.Equal(t, azure.DefaultTenantID, config["tenantId"].StringValue())
	assert.Equal(t, azure.DefaultSubscriptionID, config["subscriptionId"].StringValue())

	_, err = h.invoke(listUser, arguments)
	require.ErrorContains(t, err, "ResourceNotFound")
	h.withCluster()
	result, err := h.invoke(listUser, arguments)
	require.NoError(t, err)
	kubeconfig := result["kubeconfigs"].ArrayValue()[0].ObjectValue()
	assert.Equal(t, "clusterUser", kubeconfig["name"].StringValue())
	require.True(t, kubeconfig["value"].IsSecret())
	assert.Equal(t, "YXBpVmVyc2lvbjogdjEK", kubeconfig["value"].SecretValue().Element.StringValue())
	_, err = h.invoke("azure-native:containerservice/v20240901:listManagedClusterAdminCredentials", arguments)
	require.ErrorContains(t, err, "rule K3")

	h = open(t, azure.Options{})
	h.withCluster()
	_, err = h.invoke(listUser, arguments)
	require.ErrorContains(t, err, "no Kubernetes")
}

func TestUnit_TheMeshBringsItsIngressGateways(t *testing.T) {
	k := &kubernetes{}
	h := open(t, azure.Options{Kubernetes: k})
	h.withCluster()
	assert.Empty(t, k.gateways, "no mesh")
	meshed := func(istio in) in {
		return with(clusterInputs, in{"serviceMeshProfile": in{"mode": "Istio", "istio": istio}})
	}
	gateways := in{"ingressGateways": []any{in{"mode": "Internal", "enabled": true}, in{"mode": "External", "enabled": false}}}
	before := clusterInputs
	for _, step := range []struct {
		inputs in
		want   []azure.IngressGateway
	}{
		{meshed(in{"components": gateways}), []azure.IngressGateway{{Name: "aks-istio-ingressgateway-internal", Revision: "asm-1-25"}}},
		{meshed(in{"components": gateways, "revisions": []any{"asm-1-25", "asm-1-26"}}), []azure.IngressGateway{
			{Name: "aks-istio-ingressgateway-internal", Revision: "asm-1-25"},
			{Name: "aks-istio-ingressgateway-internal", Revision: "asm-1-26"},
		}},
	} {
		_, err := h.update(tokenCluster, clusterID, before, step.inputs)
		require.NoError(t, err)
		assert.Equal(t, step.want, k.gateways)
		before = step.inputs
	}
	k.gateways = nil
	require.NoError(t, h.cloud.Sync(t.Context()))
	assert.Len(t, k.gateways, 2, "a control plane that is new gets them again")
	require.NoError(t, h.delete(tokenCluster, clusterID))
	assert.Empty(t, k.gateways)
}
