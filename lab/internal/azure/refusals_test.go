package azure_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
	"github.com/gridos/sharedinfra/lab/internal/azure/schema"
	"github.com/gridos/sharedinfra/lab/internal/azure/services"
)

// refusal is a request that Azure refuses according to its documents or to an observation.
type refusal struct {
	// what says what is wrong with the request, and source is the evidence: a document of Microsoft
	// with its date, or an issue that shows Azure's answer.
	what, source string
	// code is Azure's error code, if the source has it.
	code   string
	token  string
	inputs in
}

const (
	tokenLock = "azure-native:authorization/v20200501:ManagementLockByScope"
	tokenNAT  = "azure-native:network/v20240501:NatGateway"

	tokenRecipients  = "azure-native:insights/v20230101:ActionGroup"
	tokenMetricAlert = "azure-native:insights/v20180301:MetricAlert"
	tokenLogAlert    = "azure-native:insights/v20201001:ActivityLogAlert"
	tokenCollection  = "azure-native:insights/v20230311:DataCollectionRule"
	tokenBudget      = "azure-native:consumption/v20240801:Budget"
)

// Documents of Microsoft, with their dates.
const (
	docTags       = "azure-docs azure-resource-manager/management/tag-resources, 15 March 2022"
	docNames      = "azure-docs azure-resource-manager/management/resource-name-rules, 11 February 2020"
	docNetworks   = "azure-docs virtual-network/virtual-networks-faq, 12 February 2019"
	docGroups     = "azure-docs virtual-network/network-security-groups-overview, 15 July 2025"
	docAddresses  = "azure-docs virtual-network/ip-services/public-ip-addresses, 27 December 2021"
	docNAT        = "azure-docs nat-gateway/nat-gateway-resource, 10 July 2023"
	docProbes     = "azure-docs application-gateway/application-gateway-probe-overview, 9 July 2020"
	docBackends   = "azure-docs application-gateway/configuration-http-settings, 14 April 2025"
	docTLS        = "azure-docs application-gateway/application-gateway-ssl-policy-overview, 17 December 2020"
	docOldTLS     = "azure-docs application-gateway/application-gateway-tls-version-retirement, 18 July 2025"
	docScaling    = "azure-docs application-gateway/application-gateway-autoscaling-zone-redundant, 26 February 2020"
	docCustom     = "azure-docs web-application-firewall/ag/custom-waf-rules-overview, 4 October 2019"
	docFirewall   = "azure-docs includes/application-gateway-limits, 19 June 2024"
	docSecrets    = "azure-docs key-vault/secrets/about-secrets, 4 September 2019"
	docDeleted    = "azure-docs key-vault/general/soft-delete-overview, 25 January 2022"
	docNewNames   = "azure-docs azure-resource-manager/management/resource-name-rules, 20 November 2023"
	docAlerts     = "azure-monitor-docs alerts/alerts-create-metric-alert-rule, 9 July 2025"
	docPeriods    = "azure-monitor-docs alerts/resource-manager-alerts-metric, 16 February 2024"
	docReceivers  = "azure-monitor-docs alerts/azure-monitor-limits-action-groups, 25 April 2023"
	docBudgets    = "azure-docs cost-management-billing/costs/tutorial-acm-create-budgets, 26 June 2025"
	specBudgets   = "specification consumption 2024-08-01, BudgetProperties"
	docRegistry   = "azure-docs container-registry/container-registry-access-selected-networks, 11 October 2022"
	docCredential = "entra-docs workload-id/workload-identity-federation-considerations, 28 February 2024"
	docServer     = "azure-databases-docs postgresql/flexible-server/concepts-limits, 26 September 2024"
	docStorage    = "azure-databases-docs postgresql/flexible-server/concepts-storage, 16 January 2025"
	docPools      = "azure-aks-docs create-node-pools, 13 July 2026"
	docSystem     = "azure-aks-docs use-system-pools, 30 April 2026"
	docSpot       = "azure-aks-docs spot-node-pool, 6 April 2025"
	docLabels     = "azure-aks-docs use-labels, 10 June 2024"
	docTaints     = "azure-aks-docs use-node-taints, 7 May 2024"
	docUpgrades   = "azure-aks-docs upgrade-aks-node-pools-rolling, 29 May 2026"
	docSurge      = "azure-docs aks/upgrade-aks-cluster, 19 October 2023"
	docAddressing = "azure-aks-docs concepts-network-ip-address-planning, 16 April 2026"
	docServices   = "azure-aks-docs concepts-network-legacy-cni, 16 April 2026"
	docOverlay    = "azure-aks-docs concepts-network-azure-cni-overlay, 31 July 2026"
	docRanges     = "azure-aks-docs api-server-authorized-ip-ranges, 3 August 2026"
	docWindows    = "azure-aks-docs planned-maintenance, 19 December 2025"
	docTiers      = "azure-aks-docs free-standard-pricing-tiers, 6 July 2026"
	docOutbound   = "azure-aks-docs configure-load-balancer-standard, 23 January 2024"
)

// letters returns a text of that many characters.
func letters(count int) string { return strings.Repeat("a", count) }

// surge changes how the pool is upgraded.
func surge(changes in) in { return with(poolInputs, in{"upgradeSettings": changes}) }

// profile changes the network profile of the cluster.
func profile(changes in) in { return nested(clusterInputs, "networkProfile", changes) }

// rule returns the security group with one rule, changed.
func rule(changes in) in {
	return with(nsgInputs, in{"securityRules": []any{with(securityRule("web", 100, "Allow", "Internet", "443"), changes)}})
}

// refusals are those that depend on the inputs of one resource only. Each changes one thing in
// accepted inputs; bases are such inputs, by token.
func refusals() (all []refusal, bases map[string]in) {
	address := in{
		"resourceGroupName": "rg", "publicIpAddressName": "pip", "location": "westeurope",
		"sku": in{"name": "Standard"}, "publicIPAllocationMethod": "Static",
	}
	nat := in{"resourceGroupName": "rg", "natGatewayName": "nat", "location": "westeurope", "sku": in{"name": "Standard"}}
	registry := in{"resourceGroupName": "rg", "registryName": "devgridosacr", "location": "westeurope", "sku": in{"name": "Standard"}}
	workspace := in{
		"resourceGroupName": "rg", "workspaceName": "dev-gridos-log", "location": "westeurope",
		"sku": in{"name": "PerGB2018"}, "retentionInDays": 30,
	}
	zone := in{"resourceGroupName": "rg", "privateZoneName": "dev.private.postgres.database.azure.com", "location": "Global"}
	policy := in{
		"resourceGroupName": "rg", "policyName": "waf", "location": "westeurope",
		"managedRules": in{"managedRuleSets": []any{in{"ruleSetType": "Microsoft_DefaultRuleSet", "ruleSetVersion": "2.1"}}},
	}
	custom := func(name string, priority int) in {
		return in{
			"name": name, "priority": priority, "ruleType": "MatchRule", "action": "Block",
			"matchConditions": []any{in{
				"matchVariables": []any{in{"variableName": "RemoteAddr"}}, "operator": "IPMatch", "matchValues": []any{"203.0.113.7"},
			}},
		}
	}
	keyed := func(value, kind string, tags in) in {
		return with(in{
			"resourceGroupName": "rg", "vaultName": "dev-gridos-kv", "secretName": "password", "properties": in{"value": secret(value), "contentType": kind},
		}, in{"tags": tags})
	}
	tags := func(count int) in {
		result := in{}
		for i := range count {
			result[fmt.Sprintf("tag%d", i)] = "x"
		}
		return result
	}
	window := func(name string, schedule in) in {
		return in{
			"resourceGroupName": "rg", "resourceName": "dev-gridos-aks", "configName": name,
			"maintenanceWindow": in{"durationHours": 4, "startTime": "01:00", "schedule": schedule},
		}
	}
	assignment := role("8f0c1c6e-0000-4000-8000-000000000001", group, "8f0c1c6e-0000-4000-8000-000000000002", acrPull)
	setting := func(changes in) in {
		return with(in{
			"name": "logs", "resourceUri": vaultID, "workspaceId": group + "/providers/Microsoft.OperationalInsights/workspaces/dev-gridos-log",
			"logs": []any{in{"categoryGroup": "allLogs", "enabled": true}},
		}, changes)
	}
	hooks := func(n int) []any {
		var list []any
		for i := range n {
			list = append(list, in{"name": fmt.Sprint("hook-", i), "serviceUri": "https://hooks.gridos.example"})
		}
		return list
	}
	told := in{
		"resourceGroupName": "rg", "actionGroupName": "recipients", "groupShortName": "gridos", "location": "Global", "enabled": true,
		"emailReceivers": []any{in{"name": "mail", "emailAddress": letters(48) + "@gridos.example"}}, "webhookReceivers": hooks(10),
	}
	criteria := func(n int, metric string) in {
		var all []any
		for i := range n {
			all = append(all, in{
				"name": fmt.Sprint("c", i), "criterionType": "StaticThresholdCriterion", "metricName": metric, "operator": "LessThan",
				"threshold": 90, "timeAggregation": "Average",
			})
		}
		return in{"odataType": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": all}
	}
	watched := in{
		"resourceGroupName": "rg", "ruleName": "vault-fails", "location": "Global", "severity": 2, "enabled": true, "scopes": []any{vaultID},
		"windowSize": "PT15M", "evaluationFrequency": "PT5M", "criteria": criteria(5, "Availability"),
	}
	collect := func(stream string, flows ...any) in {
		return in{
			"resourceGroupName": "rg", "dataCollectionRuleName": "pod-logs", "location": "westeurope",
			"dataSources": in{"extensions": []any{
				in{"name": "agent", "extensionName": "ContainerInsights", "streams": []any{stream}},
			}},
			"destinations": in{"logAnalytics": []any{in{"name": "workspace", "workspaceResourceId": group + "/providers/Microsoft.OperationalInsights/workspaces/log"}}},
			"dataFlows":    flows,
		}
	}
	flow := func(stream string, changes in) in {
		return with(in{"streams": []any{stream}, "destinations": []any{"workspace"}}, changes)
	}
	budgeted := func(limits, threshold int, from string) in {
		notifications := in{}
		for i := range limits {
			notifications[fmt.Sprint("limit-", i)] = in{
				"enabled": true, "operator": "GreaterThan", "threshold": threshold, "contactEmails": []any{"a@gridos.example"},
			}
		}
		return in{
			"scope": subscription, "budgetName": "month", "category": "Cost", "amount": 100, "timeGrain": "Monthly",
			"timePeriod": in{"startDate": from + "T00:00:00Z"}, "notifications": notifications,
		}
	}
	const streams, events = "Microsoft-ContainerInsights-Group-Default", "Microsoft-KubeEvents"
	read := in{
		"resourceGroupName": "rg", "activityLogAlertName": "people", "location": "Global", "scopes": []any{subscription},
		"condition": in{"allOf": []any{in{"field": "category", "equals": "Administrative"}, in{"field": "level", "equals": "Error"}}},
		"actions":   in{"actionGroups": []any{}},
	}
	inNetwork := in{"delegatedSubnetResourceId": vnet + "/subnets/pg", "privateDnsZoneArmResourceId": zoneID}
	lockOf := func(changes in) in {
		return with(in{"scope": group, "lockName": "keep", "level": "CanNotDelete"}, changes)
	}
	var addresses []any
	for i := range 17 {
		addresses = append(addresses, in{"id": fmt.Sprintf("%s%d", addressID, i)})
	}

	bases = map[string]in{
		tokenGroup: groupInputs, tokenNetwork: networkInputs, tokenSubnet: subnet("small", "10.10.0.0/29", nil), tokenNSG: rule(nil),
		tokenAddress: address, tokenNAT: nat, tokenGateway: secureGateway(nil), tokenPolicy: with(policy, in{
			"customRules":    []any{custom("one", 1), custom("two", 100)},
			"policySettings": in{"maxRequestBodySizeInKb": 2000, "fileUploadLimitInMb": 4000},
		}),
		tokenCluster: clusterInputs, tokenPool: surge(in{"maxSurge": "100%", "drainTimeoutInMinutes": 5, "nodeSoakDurationInMinutes": 30}),
		tokenMaintained: window("default", in{"weekly": in{"dayOfWeek": "Monday", "intervalWeeks": 1}}),
		tokenServer:     serverInputs, tokenVault: vaultInputs, tokenSecret: keyed(letters(25600), letters(255), tags(15)), tokenRegistry: registry,
		tokenWorkspace: workspace, tokenDiagnostic: setting(nil), tokenZone: with(zone, in{"tags": tags(15)}), tokenIdentity: identityInputs,
		tokenRole: assignment, tokenCredential: credential("github"), tokenLock: lockOf(nil),
		tokenRecipients: told, tokenMetricAlert: watched, tokenLogAlert: read,
		tokenCollection: collect(events, flow(events, in{"transformKql": "source"})), tokenBudget: budgeted(5, 1000, "2017-06-01"),
	}
	all = []refusal{
		{"a resource group with 51 tags", docTags, "", tokenGroup, with(groupInputs, in{"tags": tags(51)})},
		{"a tag whose name has 513 characters", docTags, "", tokenGroup, with(groupInputs, in{"tags": in{letters(513): "x"}})},
		{"a tag whose value has 257 characters", docTags, "", tokenNetwork, with(networkInputs, in{"tags": in{"owner": letters(257)}})},
		{"a tag whose name has a slash", docTags, "", tokenCluster, with(clusterInputs, in{"tags": in{"cost/centre": "x"}})},
		{"a private DNS zone with 16 tags", docTags, "", tokenZone, with(zone, in{"tags": tags(16)})},
		{"a resource group whose name ends with a period", docNames, "", tokenGroup, with(groupInputs, in{"resourceGroupName": "rg."})},
		{"a key vault whose name has 25 characters", docNames, "", tokenVault, with(vaultInputs, in{"vaultName": letters(25)})},
		{"a key vault whose name has two hyphens in a row", docNames, "", tokenVault, with(vaultInputs, in{"vaultName": "dev--kv"})},
		{"a registry whose name has a hyphen", docNames, "", tokenRegistry, with(registry, in{"registryName": "dev-acr"})},
		{"a workspace whose name has 3 characters", docNames, "", tokenWorkspace, with(workspace, in{"workspaceName": "abc"})},
		{"a managed identity whose name has 2 characters", docNames, "", tokenIdentity, with(identityInputs, in{"resourceName": "id"})},
		{"a private DNS zone of one label", docNames, "", tokenZone, with(zone, in{"privateZoneName": "gridos"})},
		{"a lock whose name ends with a period", docNames, "", tokenLock, lockOf(in{"lockName": "keep."})},

		{"a virtual network with the multicast range", docNetworks, "", tokenNetwork, with(networkInputs, in{"addressSpace": in{"addressPrefixes": []any{"224.0.0.0/8"}}})},
		{"a virtual network with the loopback range", docNetworks, "", tokenNetwork, with(networkInputs, in{"addressSpace": in{"addressPrefixes": []any{"127.0.0.0/16"}}})},
		{"a subnet /30", docNetworks, "", tokenSubnet, subnet("small", "10.10.0.0/30", nil)},
		{"a subnet of IPv6 that is not /64", docNetworks, "", tokenSubnet, subnet("six", "fd00:db8::/80", nil)},
		{"a subnet outside of its network", "hashicorp/terraform-provider-azurerm#10826", "NetcfgInvalidSubnet", tokenNetwork, with(networkInputs, in{
			"subnets": []any{in{"name": "internal", "addressPrefix": "10.11.2.0/24"}},
		})},
		{"a subnet whose prefix is an address", "Azure/azure-service-operator#997", "InvalidAddressPrefixFormat", tokenSubnet, subnet("test1", "10.1.0.0", nil)},
		{"a security rule of priority 99", docGroups, "", tokenNSG, rule(in{"priority": 99})},
		{"two security rules of one priority and direction", docGroups, "", tokenNSG, with(nsgInputs, in{"securityRules": []any{
			securityRule("one", 100, "Allow", "Internet", "443"), securityRule("two", 100, "Allow", "Internet", "80"),
		}})},
		{"a security rule with two service tags", docGroups, "", tokenNSG, rule(in{"sourceAddressPrefix": nil, "sourceAddressPrefixes": []any{"Internet", "GatewayManager"}})},
		{"a security rule with a list of ports in one text", "hashicorp/terraform-provider-azurerm#659", "SecurityRuleInvalidPortRange", tokenNSG, rule(in{"destinationPortRange": "80,81"})},
		{"a security rule whose range has host bits", "Azure/azure-powershell#4557", "", tokenNSG, rule(in{"sourceAddressPrefix": "50.206.209.68/27"})},
		{"a Standard public IP address that is dynamic", docAddresses, "", tokenAddress, with(address, in{"publicIPAllocationMethod": "Dynamic"})},
		{"a public IP address with an idle timeout of 32 minutes", "hashicorp/terraform-provider-azurerm#3579", "", tokenAddress, with(address, in{"idleTimeoutInMinutes": 32})},
		{"a NAT gateway with 17 addresses", docNAT, "", tokenNAT, with(nat, in{"publicIpAddresses": addresses})},
		{"a NAT gateway with an idle timeout of 121 minutes", docNAT, "", tokenNAT, with(nat, in{"idleTimeoutInMinutes": 121})},
		{"a NAT gateway in two zones", docNAT, "", tokenNAT, with(nat, in{"zones": []any{"1", "2"}})},

		{"a routing rule without priority", "aztfm/terraform-azurerm-application-gateway#10", "ApplicationGatewayRequestRoutingRulePriorityCannotBeEmpty", tokenGateway, routing(in{"priority": nil})},
		{"two routing rules of one priority", "Azure/application-gateway-kubernetes-ingress#1487", "", tokenGateway, secureGateway(in{"requestRoutingRules": []any{
			secureGateway(nil)["requestRoutingRules"].([]any)[0], with(secureGateway(nil)["requestRoutingRules"].([]any)[1].(in), in{"priority": 100}),
		}})},
		{"a routing rule of priority 20001", "hashicorp/terraform-provider-azurerm#16794", "", tokenGateway, routing(in{"priority": 20001})},
		{"a gateway of 126 instances", docScaling, "", tokenGateway, with(gatewayInputs, in{
			"sku": in{"name": "WAF_v2", "tier": "WAF_v2", "capacity": 126}, "autoscaleConfiguration": nil,
		})},
		{"a gateway that scales up to 126 instances", docScaling, "", tokenGateway, with(gatewayInputs, in{"autoscaleConfiguration": in{"minCapacity": 1, "maxCapacity": 126}})},
		{"backend settings whose connections drain for 3601 seconds", docBackends, "", tokenGateway, probed(nil, in{
			"connectionDraining": in{"enabled": true, "drainTimeoutInSec": 3601},
		})},
		{"backend settings with port 0", docBackends, "", tokenGateway, probed(nil, in{"port": 0})},
		{"backend settings whose requests take 25 hours", docFirewall, "", tokenGateway, probed(nil, in{"requestTimeout": 90000})},
		{"a probe whose path has no slash", docProbes, "", tokenGateway, probed(in{"path": "healthz"}, nil)},
		{"a probe of another protocol than its backend", docProbes, "", tokenGateway, probed(in{"protocol": "Https"}, nil)},
		{"a probe that looks for 4091 characters", docProbes, "", tokenGateway, probed(in{"match": in{"body": letters(4091)}}, nil)},
		{"a TLS policy that allows TLS 1.0", docOldTLS, "", tokenGateway, secureGateway(in{"sslPolicy": in{"policyType": "Predefined", "policyName": "AppGwSslPolicy20150501"}})},
		{"an old TLS policy of a listener beside a new one of the gateway", docTLS, "", tokenGateway, secureGateway(in{"sslProfiles": []any{
			in{"name": "old", "sslPolicy": in{"policyType": "Predefined", "policyName": "AppGwSslPolicy20170401S"}},
		}})},
		{"a firewall rule of priority 890", "Azure/azure-cli#27718", "ApplicationGatewayFirewallCustomRuleInvalidPriority", tokenPolicy, with(policy, in{"customRules": []any{custom("one", 890)}})},
		{"two firewall rules of one priority", docCustom, "", tokenPolicy, with(policy, in{"customRules": []any{custom("one", 1), custom("two", 1)}})},
		{"a firewall that takes requests of 3 MB", docFirewall, "", tokenPolicy, with(policy, in{"policySettings": in{"maxRequestBodySizeInKb": 3000}})},
		{"a firewall that takes requests of 4 KB", docFirewall, "", tokenPolicy, with(policy, in{"policySettings": in{"maxRequestBodySizeInKb": 4}})},
		{"a firewall that takes files of 5 GB", docFirewall, "", tokenPolicy, with(policy, in{"policySettings": in{"fileUploadLimitInMb": 5000}})},

		{"a node pool whose name has a capital", docPools, "", tokenPool, with(poolInputs, in{"agentPoolName": "User"})},
		{"a node pool whose name has 13 characters", docPools, "", tokenPool, with(poolInputs, in{"agentPoolName": letters(13)})},
		{"a node pool of 1001 nodes", docPools, "", tokenPool, with(poolInputs, in{"count": 1001})},
		{"a system pool of Windows", docSystem, "", tokenCluster, pool(in{"osType": "Windows"})},
		{"a system pool without nodes", "Azure/azure-cli#22442", "InvalidParameter", tokenCluster, pool(in{"enableAutoScaling": nil, "count": 0, "minCount": nil, "maxCount": nil})},
		{"a node pool with fewer nodes than its autoscaler keeps", "kubernetes-sigs/cluster-api-provider-azure#5947", "", tokenPool, with(poolInputs, in{"count": 0, "enableAutoScaling": true, "minCount": 1, "maxCount": 3})},
		{"an autoscaled node pool without a number of nodes", "pulumi/pulumi-azure-native#2943", "InvalidParameter", tokenCluster, pool(in{"count": nil})},
		{"a system pool of Spot machines", docSpot, "", tokenCluster, pool(in{"scaleSetPriority": "Spot"})},
		{"a Spot pool with a surge", "XenitAB/terraform-modules#755", "InvalidParameter", tokenPool, with(poolInputs, in{
			"scaleSetPriority": "Spot", "upgradeSettings": in{"maxSurge": "1"},
		})},
		{"a surge of 101 %", docSurge, "", tokenPool, surge(in{"maxSurge": "101%"})},
		{"a surge that is neither a number nor a percentage", docUpgrades, "", tokenPool, surge(in{"maxSurge": "half"})},
		{"a surge of 0 with no node unavailable", docUpgrades, "", tokenPool, surge(in{"maxSurge": "0"})},
		{"nodes that soak for 31 minutes", docUpgrades, "", tokenPool, surge(in{"nodeSoakDurationInMinutes": 31})},
		{"nodes that drain for 25 hours", docUpgrades, "", tokenPool, surge(in{"drainTimeoutInMinutes": 1500})},
		{"nodes that drain for 3 minutes", docUpgrades, "", tokenPool, surge(in{"drainTimeoutInMinutes": 3})},
		{"a node label of kubernetes.io", docLabels, "", tokenPool, with(poolInputs, in{"nodeLabels": in{"kubernetes.io/team": "scada"}})},
		{"a node label of kubernetes.azure.com", "ams0/aks-nvme-ssd-provisioner#5", "BadRequest", tokenPool, with(poolInputs, in{"nodeLabels": in{"kubernetes.azure.com/aks-local-ssd": "true"}})},
		{"a node label of node-restriction.kubernetes.io", "Azure/AKS#2866", "BadRequest", tokenPool, with(poolInputs, in{"nodeLabels": in{"node-restriction.kubernetes.io/mvis": "true"}})},
		{"a taint with an effect that Kubernetes has not", docTaints, "", tokenPool, with(poolInputs, in{"nodeTaints": []any{"spot=true:NoStart"}})},
		{"nodes of 251 pods", docAddressing, "", tokenPool, with(poolInputs, in{"maxPods": 251})},
		{"nodes of 9 pods", docAddressing, "", tokenPool, with(poolInputs, in{"maxPods": 9})},
		{"services in a /12", docAddressing, "", tokenCluster, profile(in{"serviceCidr": "10.96.0.0/12"})},
		{"services in 172.30.0.0/16", docServices, "", tokenCluster, profile(in{"serviceCidr": "172.30.0.0/20", "dnsServiceIP": "172.30.0.10"})},
		{"a cluster DNS at the first address of the services", docServices, "", tokenCluster, profile(in{"dnsServiceIP": "10.96.0.1"})},
		{"a cluster DNS outside of the services", docServices, "", tokenCluster, profile(in{"dnsServiceIP": "10.97.0.10"})},
		{"pods in the range of the services", docOverlay, "", tokenCluster, profile(in{"podCidr": "10.96.0.0/16"})},
		{"authorized ranges of a private cluster", docRanges, "", tokenCluster, access(in{"enablePrivateCluster": true, "authorizedIPRanges": []any{"203.0.113.0/24"}})},
		{"the tier Premium without long-term support", docTiers, "", tokenCluster, nested(clusterInputs, "sku", in{"tier": "Premium"})},
		{"a daily window for the releases of AKS", docWindows, "", tokenMaintained, window("default", in{"daily": in{"intervalDays": 1}})},
		{"1001 outbound ports for each node", docOutbound, "", tokenCluster, profile(in{"loadBalancerProfile": in{"allocatedOutboundPorts": 1001}})},

		{"a server with 50 GB of storage", docStorage, "", tokenServer, with(serverInputs, in{"storage": in{"storageSizeGB": 50}})},
		{"a server that keeps backups for 0 days", "Azure/bicep-types-az#2354", "", tokenServer, with(serverInputs, in{"backup": in{"backupRetentionDays": 0}})},
		{"a server in a virtual network with public access", docServer, "", tokenServer, with(serverInputs, in{"network": with(inNetwork, in{"publicNetworkAccess": "Enabled"})})},
		{"a server whose login is azure_superuser", "hashicorp/terraform-provider-azurerm internal/services/postgres/validate/admin_usernames.go, commit 231248d", "", tokenServer, with(serverInputs, in{"administratorLogin": "azure_superuser"})},
		{"a password of 7 characters", "Azure/reliable-web-app-pattern-java#98", "InternalServerError", tokenServer, with(serverInputs, in{"administratorLoginPassword": secret("Hunter2")})},
		{"a password of two kinds of characters", "Azure/reliable-web-app-pattern-java#98", "InternalServerError", tokenServer, with(serverInputs, in{"administratorLoginPassword": secret("hunter2hunter2")})},

		{"a vault that keeps what is deleted for 91 days", docDeleted, "", tokenVault, nested(vaultInputs, "properties", in{"softDeleteRetentionInDays": 91})},
		{"a vault whose purge protection is false", "Azure/azure-cli#29115", "BadRequest", tokenVault, nested(vaultInputs, "properties", in{"enablePurgeProtection": false})},
		{"a secret of 26 KB", docSecrets, "", tokenSecret, keyed(letters(26*1024), "text/plain", nil)},
		{"a secret whose content type has 256 characters", docSecrets, "", tokenSecret, keyed("x", letters(256), nil)},
		{"a secret with 16 tags", docSecrets, "", tokenSecret, keyed("x", "text/plain", tags(16))},
		{"a Standard registry with a firewall", docRegistry, "", tokenRegistry, with(registry, in{"networkRuleSet": in{"defaultAction": "Deny"}})},
		{"a workspace that keeps logs for 7 days", "Azure/azure-powershell#12524", "BadRequest", tokenWorkspace, with(workspace, in{"retentionInDays": 7})},
		{"a diagnostic setting of categories and groups", "Azure/azure-rest-api-specs#22719", "", tokenDiagnostic, setting(in{"logs": []any{
			in{"categoryGroup": "allLogs", "enabled": true}, in{"category": "AuditEvent", "enabled": true},
		}})},
		{"a diagnostic setting of a category that the resource has not", "hashicorp/terraform-provider-azurerm#2985", "BadRequest", tokenDiagnostic, setting(in{"logs": []any{
			in{"category": "WorkflowRuntime", "enabled": true},
		}})},

		{"an alert whose name has a colon", docNewNames, "", tokenMetricAlert, with(watched, in{"ruleName": "vault: fails"})},
		{"an alert whose name ends with a period", docAlerts, "", tokenMetricAlert, with(watched, in{"ruleName": "vault."})},
		{"an alert with six criteria", docAlerts, "", tokenMetricAlert, with(watched, in{"criteria": criteria(6, "Availability")})},
		{"an alert over ten minutes", docPeriods, "", tokenMetricAlert, with(watched, in{"windowSize": "PT10M"})},
		{"an alert every two minutes", docPeriods, "", tokenMetricAlert, with(watched, in{"evaluationFrequency": "PT2M"})},
		{"an alert over six hours, every minute", "DFE-Digital/publish-teacher-training#4368", "BadRequest", tokenMetricAlert, with(watched, in{
			"windowSize": "PT6H", "evaluationFrequency": "PT1M",
		})},
		{"an alert on a metric that there is not", "hashicorp/terraform-provider-azurerm#22210", "", tokenMetricAlert, with(watched, in{
			"criteria": criteria(1, "Available"),
		})},
		{"an alert on all that people do", "Azure/azure-cli#8732", "UnsupportedCondition", tokenLogAlert, with(read, in{
			"condition": in{"allOf": []any{in{"field": "category", "equals": "Administrative"}}},
		})},
		{"an action group that calls 11 webhooks", docReceivers, "", tokenRecipients, with(told, in{"webhookReceivers": hooks(11)})},
		{"an action group with an address of 65 characters", docReceivers, "", tokenRecipients, with(told, in{
			"emailReceivers": []any{in{"name": "mail", "emailAddress": letters(50) + "@gridos.example"}},
		})},

		{
			"a data collection rule with a stream that there is not", "hashicorp/terraform-provider-azurerm#18481", "InvalidPayload", tokenCollection,
			collect("SomeNonExistentStreamType"),
		},
		{
			"a data collection rule that lets one stream of a group flow", "MicrosoftDocs/azure-docs#112612", "InvalidPayload", tokenCollection,
			collect(streams, flow("Microsoft-InsightsMetrics", nil)),
		},
		{
			"a data collection rule that transforms a group of streams", "MicrosoftDocs/azure-docs#118974", "InvalidPayload", tokenCollection,
			collect(streams, flow(streams, in{"transformKql": "source"})),
		},

		{"a budget with six limits", docBudgets, "", tokenBudget, budgeted(6, 80, "2026-12-01")},
		{"a limit of 1001 % of a budget", docBudgets, "", tokenBudget, budgeted(1, 1001, "2026-12-01")},
		{"a budget from May 2017 on", specBudgets, "", tokenBudget, budgeted(1, 80, "2017-05-01")},
		{"a budget from the second of a month on", specBudgets, "", tokenBudget, budgeted(1, 80, "2026-12-02")},

		{"a role assignment whose name is no GUID", "Azure/Azure-Landing-Zones#3419", "InvalidRoleAssignmentId", tokenRole, with(assignment, in{"roleAssignmentName": "pull"})},
		{"a role assignment whose principal is no GUID", "Azure/azure-powershell#16627", "InvalidPrincipalId", tokenRole, with(assignment, in{"principalId": "User"})},
		{"a federated credential with two audiences", docCredential, "", tokenCredential, with(credential("github"), in{"audiences": []any{"api://AzureADTokenExchange", "x"}})},
		{"a federated credential whose name has 2 characters", docCredential, "", tokenCredential, credential("gh")},
		{"a federated credential with an empty subject", docCredential, "", tokenCredential, with(credential("github"), in{"subject": ""})},
	}
	return all, bases
}

// notRefusedHere are refusals of Azure that the simulated one does not make, with the reason.
var notRefusedHere = map[string]string{
	"1001 outbound ports for each node": "a number that is no multiple of 8; the platform leaves the number to AKS",
}

// These match the parts of a provider's message that show which rule refused.
var (
	byRule = regexp.MustCompile(`\(rule ([^)]+)\)$`)
	byCode = regexp.MustCompile(`Code="([^"]+)"`)
)

// TestUnit_WhatAzureRefuses sends the requests that Azure refuses according to Microsoft's
// documents and to issues that show Azure's answer. The list was made from these sources and not
// from the rules. docs/azure-schema.md says what refuses each here.
func TestUnit_WhatAzureRefuses(t *testing.T) {
	t.Parallel()
	h := open(t, azure.Options{})
	table := []string{"| what | source | refused by |", "|---|---|---|"}
	counts, seen, nothing := map[string]int{}, map[string]bool{}, map[string]bool{}
	all, bases := refusals()
	definitions := map[string]arm.Definition{}
	for _, d := range services.New(services.Options{}).Definitions {
		definitions[d.Token] = d
	}
	for token, inputs := range bases {
		assert.Empty(t, h.check(token, nil, inputs), "what the refusals change must be accepted: %s", token)
		assert.False(t, schemaRefuses(definitions[token], inputs), "what the refusals change must be accepted: %s", token)
	}
	for _, r := range all {
		assert.False(t, seen[r.what], "twice: %s", r.what)
		seen[r.what] = true
		assert.Contains(t, bases, r.token, r.what)
		lines := h.check(r.token, nil, r.inputs)
		assert.LessOrEqual(t, len(lines), 1, "%s: the refusal is for one thing: %v", r.what, lines)
		kind, by := judge(lines)
		if kind == "rule" && schemaRefuses(definitions[r.token], r.inputs) {
			kind, by = "both", "the schema, "+by
		}
		if kind == "nothing" {
			nothing[r.what] = true
			reason := notRefusedHere[r.what]
			assert.NotEmpty(t, reason, "%s: Azure refuses this (%s) and nothing does here; add a rule, or say why not", r.what, r.source)
			by += ": " + reason
		}
		counts[kind]++
		source := r.source
		if r.code != "" {
			source += ": `" + r.code + "`"
		}
		table = append(table, fmt.Sprintf("| %s | %s | %s |", r.what, source, by))
	}
	for what := range notRefusedHere {
		assert.True(t, nothing[what], "%s is refused, or no longer in the list; drop it from notRefusedHere", what)
	}
	assert.LessOrEqual(t, len(nothing), 3)
	line := fmt.Sprintf("%d refusals: %d by the schema alone, %d by the schema and by a rule, %d by a rule alone, %d by the types of the SDK, "+
		"%d by nothing.", len(table)-2, counts["schema"], counts["both"], counts["rule"], counts["types"], counts["nothing"])
	compareSection(t, "refusals", line+"\n\n"+strings.Join(table, "\n"))
}

// schemaRefuses reports whether the specification by itself refuses inputs. If a rule refuses the
// same, the provider reports it in the words of the rule.
func schemaRefuses(d arm.Definition, inputs in) bool {
	d.Name = arm.NameRule{} // for the same reason
	s := arm.Subject{Definition: &d, In: plainInputs(inputs).(in)}
	return len(schema.Of(d.Kind).Rule(nil).Broken(s)) > 0
}

// judge says what refused a request, from the provider's message.
func judge(lines []string) (kind, by string) {
	if len(lines) == 0 {
		return "nothing", "nothing"
	}
	code, id := byCode.FindStringSubmatch(lines[0]), byRule.FindStringSubmatch(lines[0])
	switch {
	case code == nil:
		return "types", "the types of the SDK"
	case id == nil:
		return "rule", "a rule: `" + code[1] + "`"
	case id[1] == "Schema":
		return "schema", "the schema"
	default:
		return "rule", "rule " + id[1]
	}
}
