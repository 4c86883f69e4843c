package services

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// ARM types that rules look for.
const (
	typeCluster = "Microsoft.ContainerService/managedClusters"
	typePool    = "Microsoft.ContainerService/managedClusters/agentPools"
)

// defaultKubernetesVersion is the version of a cluster that does not ask for one.
const defaultKubernetesVersion = "1.35"

const clusterPath = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.ContainerService/" +
	"managedClusters/{resourceName}"

// onePoolAtATime: a cluster takes one operation at a time, those on its pools included.
var onePoolAtATime = &arm.Serial{
	Owner: typeCluster, Code: "OperationNotAllowed",
	Remedy: "Chain the agent pools of a cluster with DependsOn",
}

// clusterTypes are AKS clusters and their agent pools.
func clusterTypes(k behind) []arm.Definition {
	return []arm.Definition{
		arm.Typed[containerservice.ManagedCluster, containerservice.ManagedClusterArgs](arm.Definition{
			Path: clusterPath,
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[a-zA-Z0-9]$|^[a-zA-Z0-9][-_a-zA-Z0-9]{0,61}[a-zA-Z0-9]$`),
				Say:     "1 to 63 letters, digits, hyphens and underscores, a letter or digit first and last",
			},
			Immutable: []string{
				"diskEncryptionSetID", "dnsPrefix", "fqdnSubdomain", "linuxProfile", "location", "networkProfile",
				"nodeResourceGroup", "windowsProfile",
			},
			Frozen: map[string]string{
				"apiServerAccessProfile.enablePrivateCluster": "a cluster is private from the start or never; replace it deliberately",
			},
			Refers: map[string]string{
				"agentPoolProfiles.vnetSubnetID": typeSubnet, "identity.userAssignedIdentities": typeIdentity,
				"securityProfile.defender.logAnalyticsWorkspaceResourceId": typeWorkspace,
			},
			WriteOnly: []string{"aadProfile.serverAppSecret", "servicePrincipalProfile.secret", "windowsProfile.adminPassword"},
			Serial:    onePoolAtATime,
			Checks: []arm.Rule{
				clusterDNS, overlayNetwork, serviceNetwork, workloadIdentity, localAccounts, systemPool, inlinePools,
				addOnKeys, clusterVersion, clusterAccess, clusterMesh, clusterUpkeep, availabilityZones, inlinePoolsStay, noLocalDisk,
				localDiskTooSmall, poolLabels, poolForm, longTermSupport,
			},
			Demands: []arm.Rule{
				networkSettled, inRegion, clusterSpace, poolSubnets, nodeSubnetPermission, nodeTraffic, clusterZone, addOnResources,
				gatewayOfOneAddOn, gatewayForOverlay, addOnPermissions, natGatewayOfNodes, nodesReachAPIServer, k.countStays(), k.oneCluster(),
			},
			Standing: []arm.Rule{versionsOfAllPools, meshRevisions, noNewInlinePool},
			Settle:   autoscaleInlinePools,
			Compute:  clusterOutputs,
			After:    k.setCluster,
			OwnGroup: func(r *arm.Record) string { return r.Outputs.Text("nodeResourceGroup") },
		}),
		arm.Typed[containerservice.AgentPool, containerservice.AgentPoolArgs](arm.Definition{
			Path:      clusterPath + "/agentPools/{agentPoolName}",
			Name:      poolName,
			Immutable: []string{"vmSize", "gpuInstanceProfile"},
			Frozen:    frozenOfPools,
			Refers:    map[string]string{"vnetSubnetID": typeSubnet},
			Serial:    onePoolAtATime,
			Checks:    []arm.Rule{poolSize, noLocalDisk, localDiskTooSmall, poolLabels, poolForm},
			Demands: []arm.Rule{
				networkSettled, poolSubnets, poolNameFree, poolsFitPodNetwork, poolVersion, poolZones, nodeTraffic, k.countStays(),
			},
			Settle: autoscale,
			Compute: func(s arm.Subject) arm.Document {
				return arm.Document{
					"currentOrchestratorVersion": poolRunsNow(s),
					"nodeImageVersion":           "AKSUbuntu-2204gen2containerd-202409.01.0",
					"powerState":                 map[string]any{"code": "Running"},
					"type":                       s.In.Text("type"),
				}
			},
			After: k.setNodes,
		}),
	}
}

var poolName = arm.NameRule{
	Pattern: regexp.MustCompile(`^[a-z][a-z0-9]{0,11}$`),
	Say:     "1 to 12 lower-case letters and digits, a letter first",
}

var dnsPrefix = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,52}[A-Za-z0-9])?$`)

// clusterDNS: dnsPrefix is required and has 1 to 54 characters.
var clusterDNS = arm.Rule{Code: "InvalidDnsPrefix", Broken: func(s arm.Subject) []arm.Finding {
	if s.In.Unsure("dnsPrefix") || s.In.Has("fqdnSubdomain") || dnsPrefix.MatchString(s.In.Text("dnsPrefix")) {
		return nil
	}
	return arm.Found("dnsPrefix", "'%s' is no DNS prefix; set dnsPrefix to 1 to 54 letters, digits and hyphens, a letter or digit first and last",
		s.In.Text("dnsPrefix"))
}}

// reserved are the ranges that AKS uses itself (rule N7).
var reserved = []string{"169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24"}

// overlayNetwork is N6, as far as the cluster's own inputs show: overlay belongs to the plugin
// azure, the pods have a network of their own with a /24 for each node, and a node takes 10 to 250
// pods.
var overlayNetwork = arm.Rule{ID: "N6", Code: "InvalidNetworkProfile", Broken: func(s arm.Subject) []arm.Finding {
	network := s.In.Document("networkProfile")
	var result []arm.Finding
	if network.Text("networkPluginMode") == "overlay" && !network.Unsure("networkPlugin") && network.Text("networkPlugin") != "azure" {
		result = append(result, arm.Finding{Property: "networkProfile.networkPlugin", Message: fmt.Sprintf(
			"networkPluginMode overlay needs networkPlugin azure, not '%s'", network.Text("networkPlugin"))})
	}
	pods := podRange(network)
	if pods == "" {
		return result
	}
	prefix, err := parsePrefix(pods)
	if err != nil {
		return append(result, arm.Finding{Property: "networkProfile.podCidr", Message: err.Error()})
	}
	result = append(result, reservedRange("networkProfile.podCidr", pods)...)
	if services := serviceRange(network); overlap(pods, services) {
		result = append(result, arm.Finding{Property: "networkProfile.podCidr", Message: fmt.Sprintf("podCidr %s and serviceCidr %s overlap", pods, services)})
	}
	if nodes := nodesAtMost(s.In.Documents("agentPoolProfiles")); nodes > nodesIn(prefix) {
		result = append(result, arm.Finding{Property: "networkProfile.podCidr", Message: tooManyNodes(pods, nodes)})
	}
	return result
}}

// serviceNetwork is N7: the service range is smaller than /12, disjoint from everything, and holds
// the DNS service's address, which is not its first.
var serviceNetwork = arm.Rule{ID: "N7", Code: "InvalidServiceCidr", Broken: func(s arm.Subject) []arm.Finding {
	services := s.In.Text("networkProfile.serviceCidr")
	if services == "" {
		if s.In.Has("networkProfile.dnsServiceIP") && !s.In.Has("networkProfile.serviceCidr") {
			return arm.Found("networkProfile.serviceCidr", "dnsServiceIP is set without serviceCidr; set both")
		}
		return nil
	}
	const path = "networkProfile.serviceCidr"
	prefix, err := parsePrefix(services)
	if err != nil {
		return arm.Found(path, "%v", err)
	}
	var result []arm.Finding
	if prefix.Addr().Is4() && prefix.Bits() <= 12 {
		result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("serviceCidr %s is too large; it must be smaller than /12", services)})
	}
	result = append(result, reservedRange(path, services)...)
	if text := s.In.Text("networkProfile.dnsServiceIP"); text != "" {
		address, err := netip.ParseAddr(text)
		if err != nil || !prefix.Contains(address) || address == prefix.Addr() || address == prefix.Addr().Next() {
			result = append(result, arm.Finding{Property: "networkProfile.dnsServiceIP", Message: fmt.Sprintf(
				"dnsServiceIP %s must be an address in serviceCidr %s, and not its first", text, services)})
		}
	} else if !s.In.Has("networkProfile.dnsServiceIP") {
		result = append(result, arm.Finding{Property: "networkProfile.dnsServiceIP", Message: "serviceCidr is set without dnsServiceIP; set both"})
	}
	return result
}}

func reservedRange(path, prefix string) []arm.Finding {
	var result []arm.Finding
	for _, other := range reserved {
		if overlap(prefix, other) {
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("%s overlaps with %s, which is reserved for AKS; choose another range", prefix, other)})
		}
	}
	return result
}

// podRange returns the range of the pods, which has a default with overlay; "" without overlay or
// while it is unknown.
func podRange(network arm.Document) string {
	switch {
	case network.Text("podCidr") != "":
		return network.Text("podCidr")
	case network.Text("networkPluginMode") == "overlay" && !network.Has("podCidr") && !network.Has("podCidrs"):
		return "10.244.0.0/16"
	default:
		return ""
	}
}

func serviceRange(network arm.Document) string {
	if network.Has("serviceCidr") {
		return network.Text("serviceCidr")
	}
	return "10.0.0.0/16"
}

// nodesIn returns the number of nodes, with a /24 each, that fit into a range of pods.
func nodesIn(pods netip.Prefix) int {
	if pods.Bits() > 24 || pods.Addr().Is6() {
		return 0
	}
	return 1 << (24 - pods.Bits())
}

func tooManyNodes(pods string, nodes int) string {
	return fmt.Sprintf("podCidr %s is too small for %d nodes, each of which takes a /24; enlarge it or lower the maximum of nodes", pods, nodes)
}

func nodesAtMost(pools []arm.Document) int {
	sum := 0
	for _, pool := range pools {
		sum += nodeCount(pool)
	}
	return sum
}

// workloadIdentity is K2: workload identity needs the OIDC issuer.
var workloadIdentity = arm.Rule{ID: "K2", Code: "WorkloadIdentityRequiresOIDCIssuer", Broken: func(s arm.Subject) []arm.Finding {
	if !s.In.Flag("securityProfile.workloadIdentity.enabled") || s.In.Flag("oidcIssuerProfile.enabled") ||
		s.In.Unsure("oidcIssuerProfile.enabled") {
		return nil
	}
	return arm.Found("oidcIssuerProfile.enabled", "workload identity needs the OIDC issuer; set oidcIssuerProfile.enabled to true")
}}

// localAccounts is K3: without local accounts a cluster needs Entra ID, managed by AKS. A profile
// that is not managed belongs to the integration that AKS retired.
var localAccounts = arm.Rule{ID: "K3", Code: "DisableLocalAccountsRequiresAAD", Broken: func(s arm.Subject) []arm.Finding {
	if !s.In.Flag("disableLocalAccounts") || s.In.Flag("aadProfile.managed") || s.In.Unsure("aadProfile.managed") {
		return nil
	}
	return arm.Found("aadProfile", "disableLocalAccounts needs an Entra ID profile, or no user could sign in; set aadProfile.managed to true")
}}

// systemPool is K4: exactly one pool is inline, and it is of mode System. Inline pools cannot be
// changed one by one.
var systemPool = arm.Rule{ID: "K4", Code: "InvalidAgentPoolProfiles", Broken: func(s arm.Subject) []arm.Finding {
	if s.In.Unsure("agentPoolProfiles") {
		return nil
	}
	pools := s.In.Items("agentPoolProfiles")
	if len(pools) != 1 {
		return arm.Found("agentPoolProfiles", "%d agent pools are inline; keep exactly one, of mode System, and make the others AgentPool resources", len(pools))
	}
	pool, ok := pools[0].(map[string]any)
	if !ok || arm.Document(pool).Unsure("mode") || arm.Document(pool).Text("mode") == "System" {
		return nil
	}
	return arm.Found(arm.Indexed("agentPoolProfiles", 0)+".mode", "the inline agent pool has mode '%s'; it must be System", arm.Document(pool).Text("mode"))
}}

// inlinePools applies the rules for pools to the inline ones.
var inlinePools = arm.Rule{Code: "InvalidParameter", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for i, pool := range s.In.Documents("agentPoolProfiles") {
		path := arm.Indexed("agentPoolProfiles", i) + "."
		if name := pool.Text("name"); name != "" && !poolName.Pattern.MatchString(name) {
			result = append(result, arm.Finding{Property: path + "name", Message: fmt.Sprintf("agent pool name '%s' is invalid: use %s", name, poolName.Say)})
		}
		result = append(result, poolFindings(path, pool)...)
	}
	return result
}}

// poolSize applies the rules for pools to an agent pool.
var poolSize = arm.Rule{Code: "InvalidParameter", Broken: func(s arm.Subject) []arm.Finding { return poolFindings("", s.In) }}

// poolFindings: a pool must set its number of nodes, even if the autoscaler decides later
// (azure-native issue 2943), and the bounds of the autoscaler are in order. A new pool starts
// inside them; autoscale moves a live one there. N6: a node takes 10 to 250 pods.
func poolFindings(path string, pool arm.Document) []arm.Finding {
	var result []arm.Finding
	if !pool.Has("vmSize") {
		result = append(result, arm.Finding{Property: path + "vmSize", Message: "vmSize is missing; set the size of the nodes"})
	}
	if !pool.Has("count") {
		result = append(result, arm.Finding{Property: path + "count", Message: "count is missing; set it, even with autoscaling"})
	}
	if pods, ok := pool.Number("maxPods"); ok && (pods < 10 || pods > 250) {
		result = append(result, arm.Finding{Property: path + "maxPods", Message: fmt.Sprintf("maxPods is %g; use 10 to 250 (rule N6)", pods)})
	}
	low, okLow := pool.Number("minCount")
	high, okHigh := pool.Number("maxCount")
	if !pool.Flag("enableAutoScaling") {
		if !pool.Unsure("enableAutoScaling") && (pool.Has("minCount") || pool.Has("maxCount")) {
			result = append(result, arm.Finding{Property: path + "enableAutoScaling", Message: "minCount and maxCount need enableAutoScaling; set it, or drop them"})
		}
		return result
	}
	if !pool.Has("minCount") || !pool.Has("maxCount") {
		return append(result, arm.Finding{Property: path + "enableAutoScaling", Message: "autoscaling needs minCount and maxCount; set both"})
	}
	if !okLow || !okHigh {
		return result
	}
	if low > high {
		result = append(result, arm.Finding{Property: path + "minCount", Message: fmt.Sprintf("minCount %g is above maxCount %g", low, high)})
	}
	if count, ok := pool.Number("count"); ok && (count < low || count > high) {
		result = append(result, arm.Finding{Property: path + "count", Message: fmt.Sprintf("count %g is not between minCount %g and maxCount %g", count, low, high)})
	}
	return result
}

// autoscale returns a live pool as its autoscaler keeps it. The autoscaler owns the count. A
// program that ignores changes of the count still sends an old one after the minimum was raised,
// and that is no mistake: the count moves into the bounds.
func autoscale(pool arm.Document) arm.Document {
	count, okCount := pool.Number("count")
	low, okLow := pool.Number("minCount")
	high, okHigh := pool.Number("maxCount")
	if !pool.Flag("enableAutoScaling") || !okCount || !okLow || !okHigh || low > high {
		return pool
	}
	return pool.Merge(arm.Document{"count": min(max(count, low), high)})
}

// autoscaleInlinePools applies autoscale to the inline pools of a live cluster.
func autoscaleInlinePools(in arm.Document) arm.Document {
	pools := slices.Clone(in.Items("agentPoolProfiles"))
	if len(pools) == 0 {
		return in // missing, or unknown in a preview
	}
	for i, item := range pools {
		if pool, ok := item.(map[string]any); ok {
			pools[i] = map[string]any(autoscale(pool))
		}
	}
	return in.Merge(arm.Document{"agentPoolProfiles": pools})
}

// clusterSpace is N6 and N7 against the virtual networks that the cluster joins: their addresses
// are disjoint from those of pods and services, and outside of what AKS reserves.
var clusterSpace = arm.Rule{ID: "N6/N7", Code: "ServiceCidrOverlapExistingSubnetsCidr", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	network := s.In.Document("networkProfile")
	for _, owner := range joinedNetworks(s) {
		joined := s.Cloud.Find(owner)
		if joined == nil {
			continue
		}
		for _, space := range joined.Inputs.Texts("addressSpace.addressPrefixes") {
			if pods := podRange(network); overlap(pods, space) {
				result = append(result, arm.Finding{Property: "networkProfile.podCidr", Message: fmt.Sprintf(
					"podCidr %s overlaps with the address space %s of '%s'; choose another range", pods, space, owner)})
			}
			if services := serviceRange(network); overlap(services, space) {
				result = append(result, arm.Finding{Property: "networkProfile.serviceCidr", Message: fmt.Sprintf(
					"serviceCidr %s overlaps with the address space %s of '%s'; choose another range", services, space, owner)})
			}
			result = append(result, reservedRange("agentPoolProfiles", space)...)
		}
	}
	return result
}}

// joinedNetworks returns the ids of the virtual networks whose subnets the pools of a cluster use.
func joinedNetworks(s arm.Subject) []string {
	var result []string
	for _, id := range poolSubnetIDs(s.In) {
		if owner, ok := arm.Ancestor(id, typeNetwork); ok && !slices.Contains(result, owner) {
			result = append(result, owner)
		}
	}
	return result
}

// poolSubnetIDs returns the subnets of a cluster's inline pools, or of a pool.
func poolSubnetIDs(in arm.Document) []string {
	var result []string
	for _, pool := range append(in.Documents("agentPoolProfiles"), in) {
		if id := pool.Text("vnetSubnetID"); id != "" {
			result = append(result, id)
		}
	}
	return result
}

// poolSubnets is N2 and N4 from the side of the cluster: nodes do not go into a subnet of gateways
// or one that is delegated.
var poolSubnets = arm.Rule{ID: "N2/N4", Code: "SubnetIsDelegated", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for _, id := range poolSubnetIDs(s.In) {
		subnet, ok := subnetOf(s.Cloud, id)
		if !ok {
			continue // reported as a missing reference
		}
		if service := delegationOf(subnet); service != "" {
			result = append(result, arm.Finding{Property: "vnetSubnetID", Message: fmt.Sprintf(
				"subnet '%s' is delegated to %s, so that nodes cannot be in it; use a subnet for nodes", id, service)})
		}
		gateways := slices.DeleteFunc(tenantsOf(s.Cloud, id), func(r *arm.Record) bool { return r.Kind != typeGateway })
		if len(gateways) > 0 {
			result = append(result, arm.Finding{Property: "vnetSubnetID", Message: fmt.Sprintf(
				"subnet '%s' is used by %s; give the gateway a subnet of its own", id, arm.NameList(gateways))})
		}
	}
	return result
}}

// nodeSubnetPermission is K1: a cluster that brings its own virtual network needs, before it is
// created, a user-assigned identity that may join the nodes' subnet.
var nodeSubnetPermission = arm.Rule{ID: "K1", Code: "LinkedAuthorizationFailed", Broken: func(s arm.Subject) []arm.Finding {
	subnets := poolSubnetIDs(s.In)
	if len(subnets) == 0 || s.In.Has("servicePrincipalProfile") {
		return nil
	}
	identities := s.In.Texts("identity.userAssignedIdentities")
	if len(identities) == 0 {
		return arm.Found("identity", "a cluster in a virtual network of its own needs a user-assigned identity, which can get "+
			"Network Contributor on the nodes' subnet before the cluster exists; set identity.userAssignedIdentities")
	}
	var result []arm.Finding
	for _, id := range identities {
		identity := s.Cloud.Find(id)
		if identity == nil {
			continue // reported as a missing reference
		}
		principal := identity.Outputs.Text("principalId")
		for _, subnet := range subnets {
			if why := lacks(s.Cloud, principal, mayJoinSubnet, subnet); why != "" {
				result = append(result, arm.Found("identity", "%s", unauthorized(
					id, principal, "Microsoft.Network/virtualNetworks/subnets/join/action", subnet, why))...)
			}
		}
		if kubelet := s.In.Text("identityProfile.kubeletidentity.resourceId"); kubelet != "" {
			if why := lacks(s.Cloud, principal, mayAssign, kubelet); why != "" {
				result = append(result, arm.Found("identityProfile", "%s", unauthorized(
					id, principal, "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", kubelet, why))...)
			}
		}
	}
	return result
}}

// poolNameFree: an agent pool cannot have the name of the inline pool.
var poolNameFree = arm.Rule{ID: "K4", Code: "AgentPoolNameInUse", Broken: func(s arm.Subject) []arm.Finding {
	owner, ok := arm.Ancestor(s.ID, typeCluster)
	cluster := s.Cloud.Find(owner)
	if !ok || cluster == nil {
		return nil // reported as a missing parent
	}
	for _, pool := range cluster.Inputs.Documents("agentPoolProfiles") {
		if strings.EqualFold(pool.Text("name"), s.In.Text("agentPoolName")) {
			return arm.Found("agentPoolName", "cluster '%s' has an inline agent pool '%s' already; use another name", owner, pool.Text("name"))
		}
	}
	return nil
}}

// poolsFitPodNetwork is N6 over all pools of the cluster.
var poolsFitPodNetwork = arm.Rule{ID: "N6", Code: "InsufficientPodCidr", Broken: func(s arm.Subject) []arm.Finding {
	owner, _ := arm.Ancestor(s.ID, typeCluster)
	cluster := s.Cloud.Find(owner)
	if cluster == nil {
		return nil // reported as a missing parent
	}
	pods := podRange(cluster.Inputs.Document("networkProfile"))
	prefix, err := parsePrefix(pods)
	if err != nil {
		return nil // not overlay, or refused with the cluster
	}
	nodes := nodeCount(s.In) + nodesAtMost(cluster.Inputs.Documents("agentPoolProfiles"))
	for _, pool := range s.Cloud.Children(owner) {
		if pool.Kind == typePool && arm.Key(pool.ID) != arm.Key(s.ID) {
			nodes += nodeCount(pool.Inputs)
		}
	}
	if nodes > nodesIn(prefix) {
		return arm.Found("maxCount", "%s", tooManyNodes(pods, nodes))
	}
	return nil
}}

// oneCluster: the lab has one API server, so only one of its clusters can be real.
func (k behind) oneCluster() arm.Rule {
	return arm.Rule{Code: "LabHasOneCluster", Broken: func(s arm.Subject) []arm.Finding {
		if k.Kubernetes == nil {
			return nil
		}
		others := slices.DeleteFunc(s.Cloud.Present(), func(r *arm.Record) bool { return r.Kind != typeCluster || arm.Key(r.ID) == arm.Key(s.ID) })
		if len(others) == 0 {
			return nil
		}
		return arm.Found("", "the lab has one Kubernetes API server, and '%s' uses it; delete that cluster first, or start another lab", arm.NameList(others))
	}}
}

// clusterOutputs are what AKS computes.
func clusterOutputs(s arm.Subject) arm.Document {
	options := s.Cloud.Options()
	location := strings.ToLower(strings.ReplaceAll(s.In.Text("location"), " ", ""))
	host := s.In.Text("dnsPrefix") + "-" + s.Issued("dns")[:8]
	group := nodeGroup(s)
	version := versionOf(s.In.Text("kubernetesVersion"))
	result := arm.Document{
		"currentKubernetesVersion": version,
		"kubernetesVersion":        s.In.Text("kubernetesVersion"),
		"nodeResourceGroup":        group,
		"maxAgentPools":            100.0,
		"powerState":               map[string]any{"code": "Running"},
		"resourceUID":              s.Issued("uid"),
		"azurePortalFQDN":          host + ".portal.hcp." + location + ".azmk8s.io",
	}
	if !s.In.Has("kubernetesVersion") {
		result["kubernetesVersion"] = defaultKubernetesVersion
	}
	if pools := inlineVersions(s); len(pools) > 0 {
		result[inlinePoolsPath] = pools
	}
	if s.In.Flag("apiServerAccessProfile.enablePrivateCluster") {
		result["privateFQDN"] = host + "." + s.Issued("private") + ".privatelink." + location + ".azmk8s.io"
	} else {
		result["fqdn"] = host + ".hcp." + location + ".azmk8s.io"
	}
	if s.In.Flag("oidcIssuerProfile.enabled") {
		result["oidcIssuerProfile"] = map[string]any{
			"enabled":   true,
			"issuerURL": "https://" + location + ".oic.prod-aks.azure.com/" + options.TenantID + "/" + s.Issued("oidc") + "/",
		}
	}
	result["identityProfile"] = map[string]any{"kubeletidentity": kubeletIdentity(s, group)}
	if strings.Contains(s.In.Text("identity.type"), "SystemAssigned") {
		result["identity"] = map[string]any{"principalId": s.Issued("system-principal"), "tenantId": options.TenantID}
	} else if len(s.In.Texts("identity.userAssignedIdentities")) > 0 {
		result["identity"] = map[string]any{"userAssignedIdentities": identities(s.Cloud, s.In.Texts("identity.userAssignedIdentities"))}
	}
	addons := map[string]any{}
	for name := range s.In.Document("addonProfiles") {
		if s.In.Flag("addonProfiles." + name + ".enabled") {
			addons[name] = map[string]any{"identity": map[string]any{
				"clientId":   s.Issued(name + "-client"),
				"objectId":   s.Issued(name + "-principal"),
				"resourceId": identityPath(options.SubscriptionID, group, strings.ToLower(name)+"-"+s.In.Text("resourceName")),
			}}
		}
	}
	if len(addons) > 0 {
		result["addonProfiles"] = addons
	}
	return result
}

// nodeGroup returns the name of the resource group that AKS makes for the nodes.
func nodeGroup(s arm.Subject) string {
	if group := s.In.Text("nodeResourceGroup"); group != "" {
		return group
	}
	name := "MC_" + s.In.Text("resourceGroupName") + "_" + s.In.Text("resourceName") + "_" +
		strings.ToLower(strings.ReplaceAll(s.In.Text("location"), " ", ""))
	return name[:min(len(name), 80)]
}

// kubeletIdentity is the identity with which nodes pull images: the given one, or one that AKS
// makes in the node resource group.
func kubeletIdentity(s arm.Subject, group string) map[string]any {
	if id := s.In.Text("identityProfile.kubeletidentity.resourceId"); id != "" {
		identity, _ := identities(s.Cloud, []string{id})[id].(map[string]any)
		return map[string]any{"resourceId": id, "clientId": identity["clientId"], "objectId": identity["principalId"]}
	}
	return map[string]any{
		"resourceId": identityPath(s.Cloud.Options().SubscriptionID, group, s.In.Text("resourceName")+"-agentpool"),
		"clientId":   s.Issued("kubelet-client"),
		"objectId":   s.Issued("kubelet-principal"),
	}
}

// versionOf returns the patch version that a cluster runs: the requested one, or the first patch of
// the requested minor version.
func versionOf(asked string) string {
	if asked == "" {
		asked = defaultKubernetesVersion
	}
	if strings.Count(asked, ".") < 2 {
		return asked + ".0"
	}
	return asked
}
