package cluster

import (
	"fmt"
	"regexp"
	"slices"

	azure "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"

	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/network"
	"github.com/gridos/sharedinfra/internal/config"
)

// Settings is the configuration of the cluster.
type Settings struct {
	// KubernetesVersion is the minor version, such as 1.35; Azure picks the patch.
	KubernetesVersion string
	// UpgradeChannel says which Kubernetes versions Azure moves to by itself, within the
	// maintenance window: none or patch. Wider channels would change the minor version without a
	// change of the configuration.
	UpgradeChannel string
	// NodeOSUpgradeChannel says how nodes get security fixes: None, Unmanaged, SecurityPatch or
	// NodeImage.
	NodeOSUpgradeChannel string
	// IstioRevisions are the revisions of the mesh: one, or the old and the new one during an upgrade.
	IstioRevisions []string
	// Maintenance is when Azure may upgrade.
	Maintenance Maintenance
	// Tier is Free, Standard or Premium; Free has no service level agreement (rule K4).
	Tier string
	// DNSPrefix is the stem of the API server's host name. It never changes; empty means that of the
	// environment's names.
	DNSPrefix string
	// SystemPool runs what the cluster itself needs, UserPool the workloads.
	SystemPool, UserPool Pool
	// SystemPoolName is the name of the system pool in Azure.
	SystemPoolName string
	// Disk is what the nodes' operating system is on.
	Disk Disk
	// EncryptionAtHost encrypts the nodes' local disks and caches. The subscription needs the
	// feature of this name, and Azure can enable it only when a pool is created.
	EncryptionAtHost bool
	// NodeGroupLockdown keeps people from changing the resources in AKS' own resource group.
	NodeGroupLockdown bool
	// MaxPods is how many pods a node runs at most, 10 to 250 (rule N6).
	MaxPods int
	// Zones are the availability zones that both pools spread over.
	Zones []string
	// Private gives the API server an address in the virtual network and no public one. It never
	// changes.
	Private bool
	// AzurePolicy runs Azure Policy's admission controller, Defender its threat detection.
	AzurePolicy, Defender bool
	// AdminGroups are the object ids of the directory groups that administer the cluster.
	AdminGroups []string
	// LoginMode is how kubelogin signs in: azurecli, workloadidentity or spn.
	LoginMode string
}

var (
	minorVersion = regexp.MustCompile(`^1\.[0-9]{2}$`)
	dnsPrefix    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,52}[A-Za-z0-9])?$`)
	// zones are what Azure calls the availability zones of a region.
	zones = []string{"1", "2", "3"}
)

// fewestForRedis is how many nodes the servers of Argo CD's Redis need: no two share one.
const fewestForRedis = 3

// Load reads Settings with the defaults d for a cluster in the network of plan, recording mistakes
// in r.
func Load(r *config.Reader, d Settings, plan network.Plan) Settings {
	s := Settings{
		KubernetesVersion: r.Text("kubernetesVersion", d.KubernetesVersion),
		UpgradeChannel: r.OneOf("upgradeChannel", d.UpgradeChannel,
			string(azure.UpgradeChannelNone), string(azure.UpgradeChannelPatch)),
		NodeOSUpgradeChannel: r.OneOf("nodeOsUpgradeChannel", d.NodeOSUpgradeChannel,
			string(azure.NodeOSUpgradeChannelNone), string(azure.NodeOSUpgradeChannelUnmanaged),
			string(azure.NodeOSUpgradeChannelSecurityPatch), string(azure.NodeOSUpgradeChannelNodeImage)),
		IstioRevisions: r.Strings("istioRevisions", d.IstioRevisions),
		Maintenance:    loadMaintenance(r, d.Maintenance),
		Tier: r.OneOf("clusterTier", d.Tier, string(azure.ManagedClusterSKUTierFree),
			string(azure.ManagedClusterSKUTierStandard), string(azure.ManagedClusterSKUTierPremium)),
		DNSPrefix:         r.Text("clusterDnsPrefix", d.DNSPrefix),
		SystemPool:        loadPool(r, "systemPool", d.SystemPool),
		UserPool:          loadPool(r, "userPool", d.UserPool),
		SystemPoolName:    r.Text("systemPoolName", d.SystemPoolName),
		Disk:              loadDisk(r, d.Disk),
		EncryptionAtHost:  r.Bool("encryptionAtHost", d.EncryptionAtHost),
		NodeGroupLockdown: r.Bool("nodeGroupLockdown", d.NodeGroupLockdown),
		MaxPods:           r.IntBetween("maxPods", d.MaxPods, 10, 250),
		Zones:             r.Strings("zones", d.Zones),
		Private:           r.Bool("clusterPrivate", d.Private),
		AzurePolicy:       r.Bool("azurePolicy", d.AzurePolicy),
		Defender:          r.Bool("defender", d.Defender),
		AdminGroups:       r.Strings("adminGroupObjectIds", d.AdminGroups),
		LoginMode:         r.OneOf("kubeloginMode", d.LoginMode, "azurecli", "workloadidentity", "spn"),
	}
	if !minorVersion.MatchString(s.KubernetesVersion) {
		r.Check("kubernetesVersion", fmt.Errorf(
			"%q is not a minor version; write it like 1.35, in quotes, because Azure upgrades the patch itself", s.KubernetesVersion))
	}
	s.checkRevisions(r)
	if !dnsPrefix.MatchString(s.DNSPrefix) {
		r.Check("clusterDnsPrefix", fmt.Errorf(
			"%q is not a prefix that Azure takes; use 1 to 54 letters, digits and hyphens, no hyphen first or last", s.DNSPrefix))
	}
	for _, zone := range s.Zones {
		if !slices.Contains(zones, zone) {
			r.Check("zones", fmt.Errorf("%q is not an availability zone; use %v", zone, zones))
		}
	}
	for _, group := range s.AdminGroups {
		identity.CheckObjectID(r, "adminGroupObjectIds", group)
	}
	s.checkPools(r)
	s.checkRoom(r, plan)
	return s
}

// checkRoom records a mistake when the ranges have no room for the nodes that the pools may have.
func (s Settings) checkRoom(r *config.Reader, plan network.Plan) {
	nodes := s.SystemPool.Most() + s.UserPool.Most()
	if plan.AKS.IsValid() {
		if room := network.Room(plan.AKS); nodes > room {
			r.Check("aksSubnet", fmt.Errorf("%s has room for %d nodes, but both pools have up to %d while they are upgraded; "+
				"widen it, or lower systemPoolMax or userPoolMax", plan.AKS, room, nodes))
		}
	}
	if plan.Pods.IsValid() {
		// Each node takes a /24 of the pods' range, whatever maxPods says (rule N6).
		room := 0
		if bits := plan.Pods.Bits(); bits <= 24 {
			room = 1 << (24 - bits)
		}
		if nodes > room {
			r.Check("podCidr", fmt.Errorf("%s has a /24 for %d nodes, but both pools have up to %d while they are upgraded; "+
				"widen it, or lower systemPoolMax or userPoolMax", plan.Pods, room, nodes))
		}
	}
}
