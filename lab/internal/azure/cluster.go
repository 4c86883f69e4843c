package azure

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
)

// ARM types that rules look for.
const (
	typeCluster = "Microsoft.ContainerService/managedClusters"
	typePool    = "Microsoft.ContainerService/managedClusters/agentPools"
)

// defaultKubernetesVersion is what a cluster gets that asks for none.
const defaultKubernetesVersion = "1.35"

const clusterPath = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.ContainerService/" +
	"managedClusters/{resourceName}"

// onePoolAtATime: a cluster takes one operation at a time, those on its pools included.
var onePoolAtATime = &serial{
	owner: typeCluster, code: "OperationNotAllowed",
	remedy: "Chain the agent pools of a cluster with DependsOn",
}

// clusterTypes are AKS clusters and their agent pools.
func clusterTypes() []definition {
	return []definition{
		typed[containerservice.ManagedCluster, containerservice.ManagedClusterArgs](definition{
			path: clusterPath,
			name: nameRule{
				pattern: regexp.MustCompile(`^[a-zA-Z0-9]$|^[a-zA-Z0-9][-_a-zA-Z0-9]{0,61}[a-zA-Z0-9]$`),
				say:     "1 to 63 letters, digits, hyphens and underscores, a letter or digit first and last",
			},
			immutable: []string{
				"diskEncryptionSetID", "dnsPrefix", "fqdnSubdomain", "linuxProfile", "location", "networkProfile",
				"nodeResourceGroup", "windowsProfile",
			},
			frozen: map[string]string{
				"apiServerAccessProfile.enablePrivateCluster": "a cluster is private from the start or never; replace it deliberately",
			},
			refers: map[string]string{
				"agentPoolProfiles.vnetSubnetID": typeSubnet, "identity.userAssignedIdentities": typeIdentity,
				"securityProfile.defender.logAnalyticsWorkspaceResourceId": typeWorkspace,
			},
			writeOnly: []string{"aadProfile.serverAppSecret", "servicePrincipalProfile.secret", "windowsProfile.adminPassword"},
			serial:    onePoolAtATime,
			checks: []rule{
				clusterDNS, overlayNetwork, serviceNetwork, workloadIdentity, localAccounts, clusterSKU, systemPool, inlinePools,
				addOnKeys, clusterVersion, clusterAccess, clusterMesh, clusterUpkeep, availabilityZones,
			},
			demands: []rule{
				inRegion, clusterSpace, poolSubnets, nodeSubnetPermission, nodeTraffic, clusterZone, addOnResources, gatewayOfOneAddOn, gatewayForOverlay,
				addOnPermissions, oneKubernetes,
			},
			settle:  autoscaleInlinePools,
			compute: clusterOutputs,
			after:   setCluster,
		}),
		typed[containerservice.AgentPool, containerservice.AgentPoolArgs](definition{
			path:      clusterPath + "/agentPools/{agentPoolName}",
			name:      poolName,
			immutable: []string{"vmSize", "gpuInstanceProfile"},
			frozen: map[string]string{
				"vnetSubnetID":      "create a new pool in the other subnet",
				"availabilityZones": "create a new pool in the other zones",
				"maxPods":           "create a new pool with the other limit",
				"osDiskSizeGB":      "create a new pool with the other disk",
				"osDiskType":        "create a new pool with the other disk",
				"osType":            "create a new pool with the other system",
			},
			refers:  map[string]string{"vnetSubnetID": typeSubnet},
			serial:  onePoolAtATime,
			checks:  []rule{poolSize},
			demands: []rule{poolSubnets, poolNameFree, poolsFitPodNetwork, poolVersion, poolZones, nodeTraffic},
			settle:  autoscale,
			compute: func(s subject) document {
				return document{
					"currentOrchestratorVersion": versionOf(s.in.text("orchestratorVersion")),
					"nodeImageVersion":           "AKSUbuntu-2204gen2containerd-202409.01.0",
					"powerState":                 map[string]any{"code": "Running"},
					"type":                       s.in.text("type"),
				}
			},
			after: setNodes,
		}),
	}
}

var poolName = nameRule{
	pattern: regexp.MustCompile(`^[a-z][a-z0-9]{0,11}$`),
	say:     "1 to 12 lower-case letters and digits, a letter first",
}

var dnsPrefix = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,52}[A-Za-z0-9])?$`)

// clusterDNS: dnsPrefix is required and has 1 to 54 characters.
var clusterDNS = rule{code: "InvalidDnsPrefix", broken: func(s subject) []finding {
	if s.in.unsure("dnsPrefix") || s.in.has("fqdnSubdomain") || dnsPrefix.MatchString(s.in.text("dnsPrefix")) {
		return nil
	}
	return found("dnsPrefix", "'%s' is no DNS prefix; set dnsPrefix to 1 to 54 letters, digits and hyphens, a letter or digit first and last",
		s.in.text("dnsPrefix"))
}}

// reserved are the ranges that AKS uses itself (rule N7).
var reserved = []string{"169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24"}

// overlayNetwork is N6, as far as the cluster's own inputs tell: overlay belongs to the plugin azure, the pods have a network of
// their own with a /24 for each node, and a node takes 10 to 250 pods.
var overlayNetwork = rule{id: "N6", code: "InvalidNetworkProfile", broken: func(s subject) []finding {
	network := s.in.document("networkProfile")
	var result []finding
	if network.text("networkPluginMode") == "overlay" && !network.unsure("networkPlugin") && network.text("networkPlugin") != "azure" {
		result = append(result, finding{"networkProfile.networkPlugin", fmt.Sprintf(
			"networkPluginMode overlay needs networkPlugin azure, not '%s'", network.text("networkPlugin"))})
	}
	pods := podRange(network)
	if pods == "" {
		return result
	}
	prefix, err := parsePrefix(pods)
	if err != nil {
		return append(result, finding{"networkProfile.podCidr", err.Error()})
	}
	result = append(result, reservedRange("networkProfile.podCidr", pods)...)
	if services := serviceRange(network); overlap(pods, services) {
		result = append(result, finding{"networkProfile.podCidr", fmt.Sprintf("podCidr %s and serviceCidr %s overlap", pods, services)})
	}
	if nodes := nodesAtMost(s.in.documents("agentPoolProfiles")); nodes > nodesIn(prefix) {
		result = append(result, finding{"networkProfile.podCidr", tooManyNodes(pods, nodes)})
	}
	return result
}}

// serviceNetwork is N7: the service range is smaller than /12, disjoint from everything, and holds the DNS service's address,
// which is not its first.
var serviceNetwork = rule{id: "N7", code: "InvalidServiceCidr", broken: func(s subject) []finding {
	services := s.in.text("networkProfile.serviceCidr")
	if services == "" {
		if s.in.has("networkProfile.dnsServiceIP") && !s.in.has("networkProfile.serviceCidr") {
			return found("networkProfile.serviceCidr", "dnsServiceIP is set without serviceCidr; set both")
		}
		return nil
	}
	const path = "networkProfile.serviceCidr"
	prefix, err := parsePrefix(services)
	if err != nil {
		return found(path, "%v", err)
	}
	var result []finding
	if prefix.Addr().Is4() && prefix.Bits() <= 12 {
		result = append(result, finding{path, fmt.Sprintf("serviceCidr %s is too large; it must be smaller than /12", services)})
	}
	result = append(result, reservedRange(path, services)...)
	if text := s.in.text("networkProfile.dnsServiceIP"); text != "" {
		address, err := netip.ParseAddr(text)
		if err != nil || !prefix.Contains(address) || address == prefix.Addr() || address == prefix.Addr().Next() {
			result = append(result, finding{"networkProfile.dnsServiceIP", fmt.Sprintf(
				"dnsServiceIP %s must be an address in serviceCidr %s, and not its first", text, services)})
		}
	} else if !s.in.has("networkProfile.dnsServiceIP") {
		result = append(result, finding{"networkProfile.dnsServiceIP", "serviceCidr is set without dnsServiceIP; set both"})
	}
	return result
}}

func reservedRange(path, prefix string) []finding {
	var result []finding
	for _, other := range reserved {
		if overlap(prefix, other) {
			result = append(result, finding{path, fmt.Sprintf("%s overlaps with %s, which is reserved for AKS; choose another range", prefix, other)})
		}
	}
	return result
}

// podRange returns the range of the pods, which has a default with overlay; "" without overlay or while it is unknown.
func podRange(network document) string {
	switch {
	case network.text("podCidr") != "":
		return network.text("podCidr")
	case network.text("networkPluginMode") == "overlay" && !network.has("podCidr") && !network.has("podCidrs"):
		return "10.244.0.0/16"
	default:
		return ""
	}
}

func serviceRange(network document) string {
	if network.has("serviceCidr") {
		return network.text("serviceCidr")
	}
	return "10.0.0.0/16"
}

// nodesIn returns for how many nodes, with a /24 each, a range of pods is enough.
func nodesIn(pods netip.Prefix) int {
	if pods.Bits() > 24 || pods.Addr().Is6() {
		return 0
	}
	return 1 << (24 - pods.Bits())
}

func tooManyNodes(pods string, nodes int) string {
	return fmt.Sprintf("podCidr %s is too small for %d nodes, each of which takes a /24; enlarge it or lower the maximum of nodes", pods, nodes)
}

func nodesAtMost(pools []document) int {
	sum := 0
	for _, pool := range pools {
		sum += nodeCount(pool)
	}
	return sum
}

// workloadIdentity is K2: workload identity needs the OIDC issuer.
var workloadIdentity = rule{id: "K2", code: "WorkloadIdentityRequiresOIDCIssuer", broken: func(s subject) []finding {
	if !s.in.flag("securityProfile.workloadIdentity.enabled") || s.in.flag("oidcIssuerProfile.enabled") ||
		s.in.unsure("oidcIssuerProfile.enabled") {
		return nil
	}
	return found("oidcIssuerProfile.enabled", "workload identity needs the OIDC issuer; set oidcIssuerProfile.enabled to true")
}}

// localAccounts is K3: without local accounts a cluster needs Entra ID.
var localAccounts = rule{id: "K3", code: "DisableLocalAccountsRequiresAAD", broken: func(s subject) []finding {
	if !s.in.flag("disableLocalAccounts") || s.in.has("aadProfile") {
		return nil
	}
	return found("aadProfile", "disableLocalAccounts needs an Entra ID profile, or nobody could sign in; set aadProfile.managed to true")
}}

// clusterSKU is K4: the SKU is Base, with one of three tiers.
var clusterSKU = rule{id: "K4", code: "InvalidSku", broken: func(s subject) []finding {
	return append(s.oneOf("sku.name", "Base"), s.oneOf("sku.tier", "Free", "Standard", "Premium")...)
}}

// systemPool is K4: exactly one pool is inline, and it is of mode System. Inline pools cannot be changed one by one.
var systemPool = rule{id: "K4", code: "InvalidAgentPoolProfiles", broken: func(s subject) []finding {
	if s.in.unsure("agentPoolProfiles") {
		return nil
	}
	pools := s.in.items("agentPoolProfiles")
	if len(pools) != 1 {
		return found("agentPoolProfiles", "%d agent pools are inline; keep exactly one, of mode System, and make the others AgentPool resources", len(pools))
	}
	pool, ok := pools[0].(map[string]any)
	if !ok || document(pool).unsure("mode") || document(pool).text("mode") == "System" {
		return nil
	}
	return found(indexed("agentPoolProfiles", 0)+".mode", "the inline agent pool has mode '%s'; it must be System", document(pool).text("mode"))
}}

// inlinePools applies the rules for pools to the inline ones.
var inlinePools = rule{code: "InvalidParameter", broken: func(s subject) []finding {
	var result []finding
	for i, pool := range s.in.documents("agentPoolProfiles") {
		path := indexed("agentPoolProfiles", i) + "."
		if name := pool.text("name"); name != "" && !poolName.pattern.MatchString(name) {
			result = append(result, finding{path + "name", fmt.Sprintf("agent pool name '%s' is invalid: use %s", name, poolName.say)})
		}
		result = append(result, poolFindings(path, pool)...)
	}
	return result
}}

// poolSize applies the rules for pools to an agent pool.
var poolSize = rule{code: "InvalidParameter", broken: func(s subject) []finding { return poolFindings("", s.in) }}

// poolFindings: a pool says how many nodes it has, even where the autoscaler decides later (azure-native issue 2943), and the
// bounds of the autoscaler are in order. A new pool starts inside them; autoscale moves a live one there. N6: a node takes 10
// to 250 pods.
func poolFindings(path string, pool document) []finding {
	var result []finding
	if !pool.has("vmSize") {
		result = append(result, finding{path + "vmSize", "vmSize is missing; set the size of the nodes"})
	}
	if !pool.has("count") {
		result = append(result, finding{path + "count", "count is missing; set it, even with autoscaling"})
	}
	if pods, ok := pool.number("maxPods"); ok && (pods < 10 || pods > 250) {
		result = append(result, finding{path + "maxPods", fmt.Sprintf("maxPods is %g; use 10 to 250 (rule N6)", pods)})
	}
	low, okLow := pool.number("minCount")
	high, okHigh := pool.number("maxCount")
	if !pool.flag("enableAutoScaling") {
		if !pool.unsure("enableAutoScaling") && (pool.has("minCount") || pool.has("maxCount")) {
			result = append(result, finding{path + "enableAutoScaling", "minCount and maxCount need enableAutoScaling; set it, or drop them"})
		}
		return result
	}
	if !pool.has("minCount") || !pool.has("maxCount") {
		return append(result, finding{path + "enableAutoScaling", "autoscaling needs minCount and maxCount; set both"})
	}
	if !okLow || !okHigh {
		return result
	}
	if low > high {
		result = append(result, finding{path + "minCount", fmt.Sprintf("minCount %g is above maxCount %g", low, high)})
	}
	if count, ok := pool.number("count"); ok && (count < low || count > high) {
		result = append(result, finding{path + "count", fmt.Sprintf("count %g is not between minCount %g and maxCount %g", count, low, high)})
	}
	return result
}

// autoscale returns a live pool as its autoscaler keeps it. The autoscaler owns the count: a program that ignores changes of it
// still sends an old one after somebody has raised the minimum, and that is no mistake. The count moves into the bounds.
func autoscale(pool document) document {
	count, okCount := pool.number("count")
	low, okLow := pool.number("minCount")
	high, okHigh := pool.number("maxCount")
	if !pool.flag("enableAutoScaling") || !okCount || !okLow || !okHigh || low > high {
		return pool
	}
	return pool.merge(document{"count": min(max(count, low), high)})
}

// autoscaleInlinePools applies autoscale to the inline pools of a live cluster.
func autoscaleInlinePools(in document) document {
	pools := slices.Clone(in.items("agentPoolProfiles"))
	if len(pools) == 0 {
		return in // missing, or unknown in a preview
	}
	for i, item := range pools {
		if pool, ok := item.(map[string]any); ok {
			pools[i] = map[string]any(autoscale(pool))
		}
	}
	return in.merge(document{"agentPoolProfiles": pools})
}

// clusterSpace is N6 and N7 against the virtual networks that the cluster joins: their addresses are disjoint from those of
// pods and services, and outside of what AKS reserves.
var clusterSpace = rule{id: "N6/N7", code: "ServiceCidrOverlapExistingSubnetsCidr", broken: func(s subject) []finding {
	var result []finding
	network := s.in.document("networkProfile")
	for _, owner := range joinedNetworks(s) {
		joined := s.cloud.find(owner)
		if joined == nil {
			continue
		}
		for _, space := range joined.Inputs.texts("addressSpace.addressPrefixes") {
			if pods := podRange(network); overlap(pods, space) {
				result = append(result, finding{"networkProfile.podCidr", fmt.Sprintf(
					"podCidr %s overlaps with the address space %s of '%s'; choose another range", pods, space, owner)})
			}
			if services := serviceRange(network); overlap(services, space) {
				result = append(result, finding{"networkProfile.serviceCidr", fmt.Sprintf(
					"serviceCidr %s overlaps with the address space %s of '%s'; choose another range", services, space, owner)})
			}
			result = append(result, reservedRange("agentPoolProfiles", space)...)
		}
	}
	return result
}}

// joinedNetworks returns the ids of the virtual networks whose subnets the pools of a cluster use.
func joinedNetworks(s subject) []string {
	var result []string
	for _, id := range poolSubnetIDs(s.in) {
		if owner, ok := ancestor(id, typeNetwork); ok && !slices.Contains(result, owner) {
			result = append(result, owner)
		}
	}
	return result
}

// poolSubnetIDs returns the subnets of a cluster's inline pools, or of a pool.
func poolSubnetIDs(in document) []string {
	var result []string
	for _, pool := range append(in.documents("agentPoolProfiles"), in) {
		if id := pool.text("vnetSubnetID"); id != "" {
			result = append(result, id)
		}
	}
	return result
}

// poolSubnets is N2 and N4 from the side of the cluster: nodes do not go into a subnet of gateways or one that is delegated.
var poolSubnets = rule{id: "N2/N4", code: "SubnetIsDelegated", broken: func(s subject) []finding {
	var result []finding
	for _, id := range poolSubnetIDs(s.in) {
		subnet, ok := subnetOf(s.cloud, id)
		if !ok {
			continue // reported as a missing reference
		}
		if service := delegationOf(subnet); service != "" {
			result = append(result, finding{"vnetSubnetID", fmt.Sprintf(
				"subnet '%s' is delegated to %s, so that nodes cannot be in it; use a subnet for nodes", id, service)})
		}
		gateways := slices.DeleteFunc(tenantsOf(s.cloud, id), func(r *record) bool { return r.Kind != typeGateway })
		if len(gateways) > 0 {
			result = append(result, finding{"vnetSubnetID", fmt.Sprintf(
				"subnet '%s' is used by %s; give the gateway a subnet of its own", id, nameList(gateways))})
		}
	}
	return result
}}

// nodeSubnetPermission is K1: a cluster that brings its own virtual network needs, before it is created, a user-assigned
// identity that may join the nodes' subnet.
var nodeSubnetPermission = rule{id: "K1", code: "LinkedAuthorizationFailed", broken: func(s subject) []finding {
	subnets := poolSubnetIDs(s.in)
	if len(subnets) == 0 || s.in.has("servicePrincipalProfile") {
		return nil
	}
	identities := s.in.texts("identity.userAssignedIdentities")
	if len(identities) == 0 {
		return found("identity", "a cluster in a virtual network of its own needs a user-assigned identity, which can get "+
			"Network Contributor on the nodes' subnet before the cluster exists; set identity.userAssignedIdentities")
	}
	var result []finding
	for _, id := range identities {
		identity := s.cloud.find(id)
		if identity == nil {
			continue // reported as a missing reference
		}
		principal := identity.Outputs.text("principalId")
		for _, subnet := range subnets {
			if why := s.cloud.lacks(principal, mayJoinSubnet, subnet); why != "" {
				result = append(result, found("identity", "%s", unauthorized(
					id, principal, "Microsoft.Network/virtualNetworks/subnets/join/action", subnet, why))...)
			}
		}
		if kubelet := s.in.text("identityProfile.kubeletidentity.resourceId"); kubelet != "" {
			if why := s.cloud.lacks(principal, mayAssign, kubelet); why != "" {
				result = append(result, found("identityProfile", "%s", unauthorized(
					id, principal, "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", kubelet, why))...)
			}
		}
	}
	return result
}}

// poolNameFree: an agent pool cannot have the name of the inline pool.
var poolNameFree = rule{id: "K4", code: "AgentPoolNameInUse", broken: func(s subject) []finding {
	owner, ok := ancestor(s.id, typeCluster)
	cluster := s.cloud.find(owner)
	if !ok || cluster == nil {
		return nil // reported as a missing parent
	}
	for _, pool := range cluster.Inputs.documents("agentPoolProfiles") {
		if strings.EqualFold(pool.text("name"), s.in.text("agentPoolName")) {
			return found("agentPoolName", "cluster '%s' has an inline agent pool '%s' already; use another name", owner, pool.text("name"))
		}
	}
	return nil
}}

// poolsFitPodNetwork is N6 over all pools of the cluster.
var poolsFitPodNetwork = rule{id: "N6", code: "InsufficientPodCidr", broken: func(s subject) []finding {
	owner, _ := ancestor(s.id, typeCluster)
	cluster := s.cloud.find(owner)
	if cluster == nil {
		return nil // reported as a missing parent
	}
	pods := podRange(cluster.Inputs.document("networkProfile"))
	prefix, err := parsePrefix(pods)
	if err != nil {
		return nil // not overlay, or refused with the cluster
	}
	nodes := nodeCount(s.in) + nodesAtMost(cluster.Inputs.documents("agentPoolProfiles"))
	for _, pool := range s.cloud.children(owner) {
		if pool.Kind == typePool && key(pool.ID) != key(s.id) {
			nodes += nodeCount(pool.Inputs)
		}
	}
	if nodes > nodesIn(prefix) {
		return found("maxCount", "%s", tooManyNodes(pods, nodes))
	}
	return nil
}}

// oneKubernetes: the lab has one API server, so only one of its clusters can be real.
var oneKubernetes = rule{code: "LabHasOneCluster", broken: func(s subject) []finding {
	if s.cloud.cloud.options.Kubernetes == nil {
		return nil
	}
	others := slices.DeleteFunc(s.cloud.present(), func(r *record) bool { return r.Kind != typeCluster || key(r.ID) == key(s.id) })
	if len(others) == 0 {
		return nil
	}
	return found("", "the lab has one Kubernetes API server, and '%s' uses it; delete that cluster first, or start another lab", nameList(others))
}}

// clusterOutputs are what AKS computes.
func clusterOutputs(s subject) document {
	options := s.cloud.cloud.options
	location := strings.ToLower(strings.ReplaceAll(s.in.text("location"), " ", ""))
	host := s.in.text("dnsPrefix") + "-" + s.issued("dns")[:8]
	group := nodeGroup(s)
	version := versionOf(s.in.text("kubernetesVersion"))
	result := document{
		"currentKubernetesVersion": version,
		"kubernetesVersion":        s.in.text("kubernetesVersion"),
		"nodeResourceGroup":        group,
		"maxAgentPools":            100.0,
		"powerState":               map[string]any{"code": "Running"},
		"resourceUID":              s.issued("uid"),
		"azurePortalFQDN":          host + ".portal.hcp." + location + ".azmk8s.io",
	}
	if !s.in.has("kubernetesVersion") {
		result["kubernetesVersion"] = defaultKubernetesVersion
	}
	if s.in.flag("apiServerAccessProfile.enablePrivateCluster") {
		result["privateFQDN"] = host + "." + s.issued("private") + ".privatelink." + location + ".azmk8s.io"
	} else {
		result["fqdn"] = host + ".hcp." + location + ".azmk8s.io"
	}
	if s.in.flag("oidcIssuerProfile.enabled") {
		result["oidcIssuerProfile"] = map[string]any{
			"enabled":   true,
			"issuerURL": "https://" + location + ".oic.prod-aks.azure.com/" + options.TenantID + "/" + s.issued("oidc") + "/",
		}
	}
	result["identityProfile"] = map[string]any{"kubeletidentity": kubeletIdentity(s, group)}
	if strings.Contains(s.in.text("identity.type"), "SystemAssigned") {
		result["identity"] = map[string]any{"principalId": s.issued("system-principal"), "tenantId": options.TenantID}
	} else if len(s.in.texts("identity.userAssignedIdentities")) > 0 {
		result["identity"] = map[string]any{"userAssignedIdentities": s.cloud.identities(s.in.texts("identity.userAssignedIdentities"))}
	}
	addons := map[string]any{}
	for name := range s.in.document("addonProfiles") {
		if s.in.flag("addonProfiles." + name + ".enabled") {
			addons[name] = map[string]any{"identity": map[string]any{
				"clientId":   s.issued(name + "-client"),
				"objectId":   s.issued(name + "-principal"),
				"resourceId": identityPath(options.SubscriptionID, group, strings.ToLower(name)+"-"+s.in.text("resourceName")),
			}}
		}
	}
	if len(addons) > 0 {
		result["addonProfiles"] = addons
	}
	return result
}

// nodeGroup returns the name of the resource group that AKS makes for the nodes.
func nodeGroup(s subject) string {
	if group := s.in.text("nodeResourceGroup"); group != "" {
		return group
	}
	name := "MC_" + s.in.text("resourceGroupName") + "_" + s.in.text("resourceName") + "_" +
		strings.ToLower(strings.ReplaceAll(s.in.text("location"), " ", ""))
	return name[:min(len(name), 80)]
}

// kubeletIdentity is the identity with which nodes pull images: the given one, or one that AKS makes in the node resource group.
func kubeletIdentity(s subject, group string) map[string]any {
	if id := s.in.text("identityProfile.kubeletidentity.resourceId"); id != "" {
		identity, _ := s.cloud.identities([]string{id})[id].(map[string]any)
		return map[string]any{"resourceId": id, "clientId": identity["clientId"], "objectId": identity["principalId"]}
	}
	return map[string]any{
		"resourceId": identityPath(s.cloud.cloud.options.SubscriptionID, group, s.in.text("resourceName")+"-agentpool"),
		"clientId":   s.issued("kubelet-client"),
		"objectId":   s.issued("kubelet-principal"),
	}
}

// versionOf returns the patch version that a cluster runs: the asked one, or the first patch of the asked minor version.
func versionOf(asked string) string {
	if asked == "" {
		asked = defaultKubernetesVersion
	}
	if strings.Count(asked, ".") < 2 {
		return asked + ".0"
	}
	return asked
}
