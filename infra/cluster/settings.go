package cluster

import (
	"fmt"
	"regexp"
	"slices"

	azure "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"

	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/infra/identity"
)

// Settings is the configuration of the cluster.
type Settings struct {
	// KubernetesVersion is the minor version, such as 1.33; Azure picks the patch.
	KubernetesVersion string
	// Tier is Free, Standard or Premium; Free has no service level agreement (rule K4).
	Tier string
	// SystemPool runs what the cluster itself needs, UserPool the workloads.
	SystemPool, UserPool Pool
	// Zones are the availability zones that both pools spread over.
	Zones []string
	// AdminGroups are the object ids of the directory groups that administer the cluster.
	AdminGroups []string
	// LoginMode is how kubelogin signs in: azurecli, workloadidentity or spn.
	LoginMode string
}

// Pool is the configuration of one node pool.
type Pool struct {
	// VMSize is the size of a node, such as Standard_D4ds_v5.
	VMSize string
	// Min and Max are the bounds of the cluster autoscaler, in nodes.
	Min, Max int
}

var minorVersion = regexp.MustCompile(`^1\.[0-9]{2}$`)

// zones are what Azure calls the availability zones of a region.
var zones = []string{"1", "2", "3"}

// maxNodes is what AKS allows in a node pool.
const maxNodes = 1000

// Load reads Settings, recording mistakes in r.
func Load(r *config.Reader) Settings {
	s := Settings{
		KubernetesVersion: r.Text("kubernetesVersion"),
		Tier: r.OneOf("clusterTier", string(azure.ManagedClusterSKUTierFree),
			string(azure.ManagedClusterSKUTierStandard), string(azure.ManagedClusterSKUTierPremium)),
		SystemPool:  loadPool(r, "systemPool"),
		UserPool:    loadPool(r, "userPool"),
		Zones:       r.Strings("zones"),
		AdminGroups: r.Strings("adminGroupObjectIds"),
		LoginMode:   r.OneOf("kubeloginMode", "azurecli", "workloadidentity", "spn"),
	}
	if !minorVersion.MatchString(s.KubernetesVersion) {
		r.Check("kubernetesVersion", fmt.Errorf(
			"%q is not a minor version; write it like 1.33, in quotes, because Azure upgrades the patch itself", s.KubernetesVersion))
	}
	for _, zone := range s.Zones {
		if !slices.Contains(zones, zone) {
			r.Check("zones", fmt.Errorf("%q is not an availability zone; use %v", zone, zones))
		}
	}
	for _, group := range s.AdminGroups {
		identity.CheckObjectID(r, "adminGroupObjectIds", group)
	}
	return s
}

func loadPool(r *config.Reader, name string) Pool {
	p := Pool{
		VMSize: r.Text(name + "VmSize"),
		Min:    r.IntBetween(name+"Min", 1, maxNodes), // an empty pool could schedule nothing
		Max:    r.IntBetween(name+"Max", 1, maxNodes),
	}
	if p.Max > 0 && p.Min > p.Max {
		r.Check(name+"Max", fmt.Errorf("%d is less than %sMin %d; raise it", p.Max, name, p.Min))
	}
	return p
}
