package azure

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// clusterAccess is K7: a private cluster has a private DNS zone that is system, none or the id of one, and an API server that is
// public can be limited to ranges of addresses.
var clusterAccess = rule{id: "K7", code: "InvalidApiServerAccessProfile", broken: func(s subject) []finding {
	const path = "apiServerAccessProfile."
	profile := s.in.document("apiServerAccessProfile")
	private := profile.flag("enablePrivateCluster")
	var result []finding
	ranges := profile.items("authorizedIPRanges")
	if private && len(ranges) > 0 {
		result = append(result, found(path+"authorizedIPRanges", "a private cluster has no public API server, so authorizedIPRanges have no use; drop them")...)
	}
	for i, text := range profile.texts("authorizedIPRanges") {
		_, errPrefix := parsePrefix(text)
		address, errAddress := netip.ParseAddr(text)
		if errPrefix != nil && (errAddress != nil || !address.Is4()) {
			result = append(result, found(indexed(path+"authorizedIPRanges", i), "'%s' is no range of addresses; write it as 203.0.113.0/24", text)...)
		}
	}
	zone := profile.text("privateDNSZone")
	switch {
	case profile.unsure("enablePrivateCluster"):
	case zone != "" && !private:
		result = append(result, found(path+"privateDNSZone", "privateDNSZone belongs to a private cluster; set enablePrivateCluster, or drop it")...)
	case zone != "" && zone != "system" && zone != "none" && !looksLikeID(zone):
		result = append(result, found(path+"privateDNSZone", "privateDNSZone is '%s'; use system, none or the id of a zone", zone)...)
	case looksLikeID(zone) && !strings.HasSuffix(strings.ToLower(zone), ".azmk8s.io"):
		result = append(result, found(path+"privateDNSZone", "the private DNS zone '%s' must be called privatelink.<region>.azmk8s.io, "+
			"or a subdomain of that", zone)...)
	}
	if profile.flag("enablePrivateClusterPublicFQDN") && !private && !profile.unsure("enablePrivateCluster") {
		result = append(result, found(path+"enablePrivateClusterPublicFQDN", "a public name belongs to a private cluster; set enablePrivateCluster, or drop it")...)
	}
	return result
}}

// clusterZone is K7: a zone of one's own is one of the region, and the identity of the cluster may write it, before the cluster is
// created.
var clusterZone = rule{id: "K7", code: "CustomPrivateDNSZoneMissingPermissionError", broken: func(s subject) []finding {
	const path = "apiServerAccessProfile.privateDNSZone"
	id := s.in.text(path)
	zone := s.cloud.find(id)
	if zone == nil {
		return nil // system or none, or reported as a missing reference
	}
	if zone.Kind != typeZone {
		return found(path, "'%s' is no private DNS zone", id)
	}
	var result []finding
	location := s.location()
	if name := "privatelink." + regionOf(location) + ".azmk8s.io"; !strings.EqualFold(zone.name(), name) &&
		!strings.HasSuffix(strings.ToLower(zone.name()), "."+name) {
		result = append(result, found(path, "a private cluster in %s needs the zone %s or a subdomain of it, not '%s'", location, name, zone.name())...)
	}
	for _, user := range s.in.texts("identity.userAssignedIdentities") {
		identity := s.cloud.find(user)
		if identity == nil {
			continue // reported as a missing reference
		}
		principal := identity.Outputs.text("principalId")
		if why := s.cloud.lacks(principal, mayKeepZone, id); why != "" {
			result = append(result, found(path, "%s", unauthorized(user, principal, "Microsoft.Network/privateDnsZones/A/write", id, why))...)
		}
	}
	return result
}}

// clusterVersion is K9: Kubernetes goes up one minor version at a time, and never down.
var clusterVersion = rule{id: "K9", code: "OperationNotAllowed", broken: func(s subject) []finding {
	before, okBefore := minorOf(s.before.text("kubernetesVersion"))
	after, okAfter := minorOf(s.in.text("kubernetesVersion"))
	switch {
	case s.creating() || !okBefore || !okAfter:
		return nil
	case after < before:
		return found("kubernetesVersion", "Kubernetes cannot go down from %s to %s; keep the version", s.before.text("kubernetesVersion"),
			s.in.text("kubernetesVersion"))
	case after > before+1:
		return found("kubernetesVersion", "upgrading from Kubernetes %s to %s skips a minor version; go to 1.%d first",
			s.before.text("kubernetesVersion"), s.in.text("kubernetesVersion"), before+1)
	default:
		return nil
	}
}}

// oldestNodes is by how many minor versions nodes may be older than their cluster.
const oldestNodes = 3

// poolVersion is K9: nodes are never newer than their cluster, and not much older.
var poolVersion = rule{id: "K9", code: "NodePoolMcVersionIncompatible", broken: func(s subject) []finding {
	owner, _ := ancestor(s.id, typeCluster)
	cluster := s.cloud.find(owner)
	if cluster == nil {
		return nil // reported as a missing parent
	}
	nodes, okNodes := minorOf(s.in.text("orchestratorVersion"))
	version := versionOf(cluster.Inputs.text("kubernetesVersion"))
	of, okOf := minorOf(version)
	if !okNodes || !okOf || nodes <= of && nodes >= of-oldestNodes {
		return nil
	}
	return found("orchestratorVersion", "nodes with Kubernetes %s do not fit cluster '%s' with %s; they may be %d minor versions older, and not newer",
		s.in.text("orchestratorVersion"), owner, version, oldestNodes)
}}

// minorOf returns 35 for 1.35 or 1.35.2.
func minorOf(version string) (int, bool) {
	parts := strings.Split(version, ".")
	if len(parts) < 2 {
		return 0, false
	}
	minor, err := strconv.Atoi(parts[1])
	return minor, err == nil
}

// clusterMesh is K8: the mesh is Istio or none, with at most one ingress gateway outside and one inside.
var clusterMesh = rule{id: "K8", code: "InvalidServiceMeshProfile", broken: func(s subject) []finding {
	const path = "serviceMeshProfile.istio.components.ingressGateways"
	result := s.oneOf("serviceMeshProfile.mode", "Istio", "Disabled")
	if s.in.text("serviceMeshProfile.mode") == "Disabled" && s.in.has("serviceMeshProfile.istio") {
		result = append(result, found("serviceMeshProfile.istio", "istio is set, but the mode of the mesh is Disabled; drop one of the two")...)
	}
	seen := map[string]bool{}
	for i, gateway := range s.in.documents(path) {
		mode := gateway.text("mode")
		switch {
		case gateway.unsure("mode"):
		case mode != "External" && mode != "Internal":
			result = append(result, found(indexed(path, i)+".mode", "an ingress gateway of the mesh has mode '%s'; use External or Internal", mode)...)
		case seen[mode]:
			result = append(result, found(indexed(path, i)+".mode", "the mesh has two ingress gateways of mode %s; keep one", mode)...)
		}
		seen[mode] = true
	}
	if revisions := s.in.texts("serviceMeshProfile.istio.revisions"); len(revisions) > 2 {
		result = append(result, found("serviceMeshProfile.istio.revisions", "the mesh has %d revisions; use one, or two during an upgrade", len(revisions))...)
	}
	for i, revision := range s.in.texts("serviceMeshProfile.istio.revisions") {
		if !strings.HasPrefix(revision, "asm-") {
			result = append(result, found(indexed("serviceMeshProfile.istio.revisions", i), "'%s' is no revision of the mesh; use one such as asm-1-24", revision)...)
		}
	}
	return result
}}

// clusterUpkeep is K8: automatic upgrades have known channels, and Defender has a workspace to send to.
var clusterUpkeep = rule{id: "K8", code: "InvalidParameter", broken: func(s subject) []finding {
	result := slices.Concat(
		s.oneOf("autoUpgradeProfile.upgradeChannel", "none", "patch", "stable", "rapid", "node-image"),
		s.oneOf("autoUpgradeProfile.nodeOSUpgradeChannel", "None", "Unmanaged", "NodeImage", "SecurityPatch"),
	)
	if s.in.text("autoUpgradeProfile.upgradeChannel") == "node-image" {
		if channel := s.in.text("autoUpgradeProfile.nodeOSUpgradeChannel"); channel != "" && channel != "NodeImage" {
			result = append(result, found("autoUpgradeProfile.nodeOSUpgradeChannel", "upgradeChannel node-image goes with nodeOSUpgradeChannel NodeImage, not %s", channel)...)
		}
	}
	const defender = "securityProfile.defender"
	if s.in.flag(defender+".securityMonitoring.enabled") && !s.in.has(defender+".logAnalyticsWorkspaceResourceId") {
		result = append(result, found(defender+".logAnalyticsWorkspaceResourceId", "Defender needs a workspace; set logAnalyticsWorkspaceResourceId")...)
	}
	return result
}}
