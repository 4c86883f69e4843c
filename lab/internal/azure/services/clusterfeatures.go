package services

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// mostAuthorizedRanges is how many ranges may call the API server (MicrosoftDocs/azure-docs#68469).
const mostAuthorizedRanges = 200

// clusterAccess is K7: a private cluster has a private DNS zone that is system, none or the id of
// one, and an API server that is public can be limited to ranges of addresses.
var clusterAccess = arm.Rule{ID: "K7", Code: "InvalidApiServerAccessProfile", Broken: func(s arm.Subject) []arm.Finding {
	const path = "apiServerAccessProfile."
	profile := s.In.Document("apiServerAccessProfile")
	private := profile.Flag("enablePrivateCluster")
	var result []arm.Finding
	ranges := profile.Items("authorizedIPRanges")
	if private && len(ranges) > 0 {
		result = append(result, arm.Found(path+"authorizedIPRanges", "a private cluster has no public API server, so authorizedIPRanges have no use; drop them")...)
	}
	if len(ranges) > mostAuthorizedRanges {
		result = append(result, arm.Found(path+"authorizedIPRanges", "there are %d ranges, and a cluster takes %d; join neighbouring ones",
			len(ranges), mostAuthorizedRanges)...)
	}
	for i, text := range profile.Texts("authorizedIPRanges") {
		_, errPrefix := parsePrefix(text)
		address, errAddress := netip.ParseAddr(text)
		if errPrefix != nil && (errAddress != nil || !address.Is4()) {
			result = append(result, arm.Found(arm.Indexed(path+"authorizedIPRanges", i), "'%s' is no range of addresses; write it as 203.0.113.0/24", text)...)
		}
	}
	zone := profile.Text("privateDNSZone")
	switch {
	case profile.Unsure("enablePrivateCluster"):
	case zone != "" && !private:
		result = append(result, arm.Found(path+"privateDNSZone", "privateDNSZone belongs to a private cluster; set enablePrivateCluster, or drop it")...)
	case zone != "" && zone != "system" && zone != "none" && !arm.LooksLikeID(zone):
		result = append(result, arm.Found(path+"privateDNSZone", "privateDNSZone is '%s'; use system, none or the id of a zone", zone)...)
	case arm.LooksLikeID(zone) && !strings.HasSuffix(strings.ToLower(zone), ".azmk8s.io"):
		result = append(result, arm.Found(path+"privateDNSZone", "the private DNS zone '%s' must be called privatelink.<region>.azmk8s.io, "+
			"or a subdomain of that", zone)...)
	}
	if profile.Flag("enablePrivateClusterPublicFQDN") && !private && !profile.Unsure("enablePrivateCluster") {
		result = append(result, arm.Found(path+"enablePrivateClusterPublicFQDN", "a public name belongs to a private cluster; set enablePrivateCluster, or drop it")...)
	}
	return result
}}

// clusterZone is K7: a zone of the user's own is one of the region, and the identity of the cluster
// may write it before the cluster is created.
var clusterZone = arm.Rule{ID: "K7", Code: "CustomPrivateDNSZoneMissingPermissionError", Broken: func(s arm.Subject) []arm.Finding {
	const path = "apiServerAccessProfile.privateDNSZone"
	id := s.In.Text(path)
	zone := s.Cloud.Find(id)
	if zone == nil {
		return nil // system or none, or reported as a missing reference
	}
	if zone.Kind != typeZone {
		return arm.Found(path, "'%s' is no private DNS zone", id)
	}
	var result []arm.Finding
	location := s.Location()
	if name := "privatelink." + regionOf(location) + ".azmk8s.io"; !strings.EqualFold(zone.Name(), name) &&
		!strings.HasSuffix(strings.ToLower(zone.Name()), "."+name) {
		result = append(result, arm.Found(path, "a private cluster in %s needs the zone %s or a subdomain of it, not '%s'", location, name, zone.Name())...)
	}
	for _, user := range s.In.Texts("identity.userAssignedIdentities") {
		identity := s.Cloud.Find(user)
		if identity == nil {
			continue // reported as a missing reference
		}
		principal := identity.Outputs.Text("principalId")
		if why := lacks(s.Cloud, principal, mayKeepZone, id); why != "" {
			result = append(result, arm.Found(path, "%s", unauthorized(user, principal, "Microsoft.Network/privateDnsZones/A/write", id, why))...)
		}
	}
	return result
}}

// clusterVersion is K9: Kubernetes goes up one minor version at a time, and never down.
var clusterVersion = arm.Rule{ID: "K9", Code: "OperationNotAllowed", Broken: func(s arm.Subject) []arm.Finding {
	before, okBefore := minorOf(s.Before.Text("kubernetesVersion"))
	after, okAfter := minorOf(s.In.Text("kubernetesVersion"))
	switch {
	case s.Creating() || !okBefore || !okAfter:
		return nil
	case after < before:
		return arm.Found("kubernetesVersion", "Kubernetes cannot go down from %s to %s; keep the version", s.Before.Text("kubernetesVersion"),
			s.In.Text("kubernetesVersion"))
	case after > before+1:
		return arm.Found("kubernetesVersion", "upgrading from Kubernetes %s to %s skips a minor version; go to 1.%d first",
			s.Before.Text("kubernetesVersion"), s.In.Text("kubernetesVersion"), before+1)
	default:
		return nil
	}
}}

// oldestNodes is how many minor versions older than their cluster nodes may be.
const oldestNodes = 3

// poolVersion is K9: nodes are never newer than their cluster, and not much older.
var poolVersion = arm.Rule{ID: "K9", Code: "NodePoolMcVersionIncompatible", Broken: func(s arm.Subject) []arm.Finding {
	owner, _ := arm.Ancestor(s.ID, typeCluster)
	cluster := s.Cloud.Find(owner)
	if cluster == nil {
		return nil // reported as a missing parent
	}
	nodes, okNodes := minorOf(s.In.Text("orchestratorVersion"))
	version := versionOf(cluster.Inputs.Text("kubernetesVersion"))
	of, okOf := minorOf(version)
	if !okNodes || !okOf || nodes <= of && nodes >= of-oldestNodes {
		return nil
	}
	return arm.Found("orchestratorVersion", "nodes with Kubernetes %s do not fit cluster '%s' with %s; they may be %d minor versions older, and not newer",
		s.In.Text("orchestratorVersion"), owner, version, oldestNodes)
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

// clusterMesh is K8: a mesh has at most one ingress gateway outside and one inside.
var clusterMesh = arm.Rule{ID: "K8", Code: "InvalidServiceMeshProfile", Broken: func(s arm.Subject) []arm.Finding {
	const path = "serviceMeshProfile.istio.components.ingressGateways"
	var result []arm.Finding
	if s.In.Text("serviceMeshProfile.mode") == "Disabled" && s.In.Has("serviceMeshProfile.istio") {
		result = append(result, arm.Found("serviceMeshProfile.istio", "istio is set, but the mode of the mesh is Disabled; drop one of the two")...)
	}
	seen := map[string]bool{}
	for i, gateway := range s.In.Documents(path) {
		mode := gateway.Text("mode")
		switch {
		case gateway.Unsure("mode"):
		case seen[mode]:
			result = append(result, arm.Found(arm.Indexed(path, i)+".mode", "the mesh has two ingress gateways of mode %s; keep one", mode)...)
		}
		seen[mode] = true
	}
	for i, revision := range s.In.Texts("serviceMeshProfile.istio.revisions") {
		if !strings.HasPrefix(revision, "asm-") {
			result = append(result, arm.Found(arm.Indexed("serviceMeshProfile.istio.revisions", i), "'%s' is no revision of the mesh; use one such as asm-1-24", revision)...)
		}
	}
	return result
}}

// clusterUpkeep is K8: the channels of automatic upgrades go together, and Defender has a workspace
// to send to.
var clusterUpkeep = arm.Rule{ID: "K8", Code: "InvalidParameter", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	if s.In.Text("autoUpgradeProfile.upgradeChannel") == "node-image" {
		if channel := s.In.Text("autoUpgradeProfile.nodeOSUpgradeChannel"); channel != "" && channel != "NodeImage" {
			result = append(result, arm.Found("autoUpgradeProfile.nodeOSUpgradeChannel", "upgradeChannel node-image goes with nodeOSUpgradeChannel NodeImage, not %s", channel)...)
		}
	}
	const defender = "securityProfile.defender"
	if s.In.Flag(defender+".securityMonitoring.enabled") && !s.In.Has(defender+".logAnalyticsWorkspaceResourceId") {
		result = append(result, arm.Found(defender+".logAnalyticsWorkspaceResourceId", "Defender needs a workspace; set logAnalyticsWorkspaceResourceId")...)
	}
	return result
}}
