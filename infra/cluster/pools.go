package cluster

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	azure "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/config"
)

// Pool is the configuration of one node pool.
type Pool struct {
	// VMSize is the size of a node, such as Standard_D4ds_v5.
	VMSize string
	// Min and Max are the bounds of the cluster autoscaler, in nodes.
	Min, Max int
}

// Disk is the disk of a node's operating system. Azure does not change it in a pool that exists.
type Disk struct {
	// Type is Ephemeral, on the machine's own local disk, or Managed.
	Type string
	// SizeGB is its size in GiB.
	SizeGB int
}

const (
	// maxNodes is what AKS allows in a node pool.
	maxNodes = 1000
	// maxSurge is how many nodes more than its own a pool has while it is upgraded: as a share, and as
	// a divisor.
	maxSurge        = "10%"
	maxSurgeDivisor = 10
	// smallestDisk is what the images of AKS need at least, in GiB (AKS-Construction#592).
	smallestDisk, largestDisk = 30, 2048
)

// poolName is what AKS takes as the name of a pool of Linux nodes.
var poolName = regexp.MustCompile(`^[a-z][a-z0-9]{0,11}$`)

// fifthGeneration are the D and E sizes of the fifth generation: number of vCPUs, and letters for
// what a machine has.
var fifthGeneration = regexp.MustCompile(`^Standard_[DE]([0-9]+)(?:-[0-9]+)?([a-z]*)_v5$`)

// localDisk is how many GiB of local disk a machine has, where that is known: 37.5 for each vCPU
// with the letter d, and none without it. Sources: azure-aks-docs, concepts-storage
// (Standard_E2bds_v5 has 75 GiB, Standard_E4bds_v5 150, Standard_D8ds_v5 300); Azure/AKS#2672.
func localDisk(vmSize string) (gib int, known bool) {
	found := fifthGeneration.FindStringSubmatch(vmSize)
	if found == nil {
		return 0, false
	}
	if !strings.Contains(found[2], "d") {
		return 0, true
	}
	processors, err := strconv.Atoi(found[1])
	return processors * 75 / 2, err == nil
}

// Most is how many nodes the pool has at most: its maximum, and those that an upgrade adds while it
// runs.
func (p Pool) Most() int { return p.Max + (p.Max+maxSurgeDivisor-1)/maxSurgeDivisor }

func loadPool(r *config.Reader, name string, d Pool) Pool {
	p := Pool{
		VMSize: r.Text(name+"VmSize", d.VMSize),
		Min:    r.IntBetween(name+"Min", d.Min, 1, maxNodes), // an empty pool could schedule nothing
		Max:    r.IntBetween(name+"Max", d.Max, 1, maxNodes),
	}
	if p.Max > 0 && p.Min > p.Max {
		r.Check(name+"Max", fmt.Errorf("%d is less than %sMin %d; raise it", p.Max, name, p.Min))
	}
	return p
}

func loadDisk(r *config.Reader, d Disk) Disk {
	return Disk{
		Type:   r.OneOf("osDiskType", d.Type, string(azure.OSDiskTypeEphemeral), string(azure.OSDiskTypeManaged)),
		SizeGB: r.IntBetween("osDiskSizeGb", d.SizeGB, smallestDisk, largestDisk),
	}
}

// checkPools records the mistakes that a single pool does not see.
func (s Settings) checkPools(r *config.Reader) {
	switch {
	case !poolName.MatchString(s.SystemPoolName):
		r.Check("systemPoolName", fmt.Errorf("%q is not the name of a pool; use 1 to 12 lower-case letters and digits, a letter first",
			s.SystemPoolName))
	case s.SystemPoolName == userPoolName:
		r.Check("systemPoolName", fmt.Errorf("%q is the name of the user pool; choose another", s.SystemPoolName))
	}
	if s.UserPool.Max > 0 && s.UserPool.Max < fewestForRedis {
		r.Check("userPoolMax", fmt.Errorf("%d nodes are too few for Argo CD, whose %d Redis servers share none; raise it",
			s.UserPool.Max, fewestForRedis))
	}
	if s.Disk.Type != string(azure.OSDiskTypeEphemeral) {
		return
	}
	for _, size := range slices.Compact([]string{s.SystemPool.VMSize, s.UserPool.VMSize}) {
		if room, known := localDisk(size); known && room < s.Disk.SizeGB {
			r.Check("osDiskSizeGb", fmt.Errorf("%d GiB do not fit on the local disk of %s, which has %d; lower it, choose a larger size, "+
				"or set osDiskType to Managed", s.Disk.SizeGB, size, room))
		}
	}
}

// userPoolName is the name of the pool of the workloads.
const userPoolName = "user"

// PoolNames are the names of the cluster's pools.
func (s Settings) PoolNames() []string { return []string{s.SystemPoolName, userPoolName} }

// systemPool is the pool that is part of the cluster. Azure changes neither its size nor its disk,
// zones or limit of pods; another pool takes its place instead, under another name
// (docs/OPERATIONS.md).
func systemPool(args Args) azure.ManagedClusterAgentPoolProfileArgs {
	s := args.Settings
	return azure.ManagedClusterAgentPoolProfileArgs{
		Name:   pulumi.String(s.SystemPoolName),
		Mode:   pulumi.String(azure.AgentPoolModeSystem),
		Type:   pulumi.String(azure.AgentPoolTypeVirtualMachineScaleSets),
		OsType: pulumi.String(azure.OSTypeLinux),
		OsSKU:  pulumi.String(azure.OSSKUAzureLinux),
		VmSize: pulumi.String(s.SystemPool.VMSize),
		// No pool names a version: an update that changes the cluster's would have to name those of all
		// pools, and the user pool is not part of this request (rule K9).
		VnetSubnetID:           args.SubnetID,
		AvailabilityZones:      pulumi.ToStringArray(s.Zones),
		EnableAutoScaling:      pulumi.Bool(true),
		MinCount:               pulumi.Int(s.SystemPool.Min),
		MaxCount:               pulumi.Int(s.SystemPool.Max),
		Count:                  pulumi.Int(s.SystemPool.Min),
		MaxPods:                pulumi.Int(s.MaxPods),
		OsDiskType:             pulumi.String(s.Disk.Type),
		OsDiskSizeGB:           pulumi.Int(s.Disk.SizeGB),
		EnableEncryptionAtHost: pulumi.Bool(s.EncryptionAtHost),
		UpgradeSettings:        azure.AgentPoolUpgradeSettingsArgs{MaxSurge: pulumi.String(maxSurge)},
		NodeTaints:             pulumi.StringArray{pulumi.String("CriticalAddonsOnly=true:NoSchedule")},
	}
}

func (c *Cluster) userPool(
	ctx *pulumi.Context, name string, managed *azure.ManagedCluster, args Args,
) (pulumi.Resource, error) {
	s, pool := args.Settings, args.Settings.UserPool
	return azure.NewAgentPool(ctx, name+"-user-pool", &azure.AgentPoolArgs{
		ResourceGroupName:      args.ResourceGroupName,
		ResourceName:           managed.Name,
		AgentPoolName:          pulumi.String(userPoolName),
		Mode:                   pulumi.String(azure.AgentPoolModeUser),
		Type:                   pulumi.String(azure.AgentPoolTypeVirtualMachineScaleSets),
		OsType:                 pulumi.String(azure.OSTypeLinux),
		OsSKU:                  pulumi.String(azure.OSSKUAzureLinux),
		VmSize:                 pulumi.String(pool.VMSize),
		VnetSubnetID:           args.SubnetID,
		AvailabilityZones:      pulumi.ToStringArray(s.Zones),
		EnableAutoScaling:      pulumi.Bool(true),
		MinCount:               pulumi.Int(pool.Min),
		MaxCount:               pulumi.Int(pool.Max),
		Count:                  pulumi.Int(pool.Min),
		MaxPods:                pulumi.Int(s.MaxPods),
		OsDiskType:             pulumi.String(s.Disk.Type),
		OsDiskSizeGB:           pulumi.Int(s.Disk.SizeGB),
		EnableEncryptionAtHost: pulumi.Bool(s.EncryptionAtHost),
		UpgradeSettings:        azure.AgentPoolUpgradeSettingsArgs{MaxSurge: pulumi.String(maxSurge)},
		Tags:                   args.Tags,
	}, pulumi.Parent(c), pulumi.IgnoreChanges([]string{"count"}))
}

// autoscaler says how the cluster autoscaler decides. Azure has defaults for the rest
// (azure-aks-docs, cluster-autoscaler).
func autoscaler() azure.ManagedClusterPropertiesAutoScalerProfileArgs {
	return azure.ManagedClusterPropertiesAutoScalerProfileArgs{
		// Pools that are added for single zones grow alike.
		BalanceSimilarNodeGroups: pulumi.String("true"),
		// Where several pools could take a pod, the one grows that wastes least; by default Azure picks
		// one at random.
		Expander: pulumi.String(azure.Expander_Least_Waste),
		// Almost every pod of the platform has an emptyDir: it must not keep a node for ever.
		SkipNodesWithLocalStorage: pulumi.String("false"),
		// CoreDNS and its like are not moved to save a node.
		SkipNodesWithSystemPods: pulumi.String("true"),
	}
}
