package enginetest

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// Azure changes a pool in the cluster as little as one with a resource of its own.
func TestEngine_ARM_InlinePoolsAreFrozen(t *testing.T) {
	t.Parallel()
	for property, change := range map[string]func(e *environment){
		"vmSize":                 func(e *environment) { e.systemPool.VmSize = pulumi.String("Standard_D8s_v5") },
		"availabilityZones":      func(e *environment) { e.systemPool.AvailabilityZones = pulumi.ToStringArray([]string{"1", "2", "3"}) },
		"maxPods":                func(e *environment) { e.systemPool.MaxPods = pulumi.Int(60) },
		"osDiskType":             func(e *environment) { e.systemPool.OsDiskType = pulumi.String("Managed") },
		"osDiskSizeGB":           func(e *environment) { e.systemPool.OsDiskSizeGB = pulumi.Int(256) },
		"osType":                 func(e *environment) { e.systemPool.OsType = pulumi.String("Windows") },
		"enableEncryptionAtHost": func(e *environment) { e.systemPool.EnableEncryptionAtHost = pulumi.Bool(true) },
	} {
		t.Run(property, func(t *testing.T) {
			t.Parallel()
			e := valid()
			change(e)
			path := "agentPoolProfiles[0]." + property
			thenRefuses(t, e, mistake{
				code: "PropertyChangeNotAllowed", property: path,
				says: []string{"Changing property '" + path + "' of '" + clusterID + "' is not allowed", "create a new pool"},
			}, "cluster")
		})
	}
}

func TestEngine_ARM_NoPoolIsAddedThroughTheCluster(t *testing.T) {
	t.Parallel()
	e := valid()
	e.systemPool.Name = pulumi.String("system2")
	thenRefuses(t, e, mistake{
		code: "BadRequest", property: "agentPoolProfiles[0].name",
		says: []string{"A new agent pool was introduced: 'system2'", "add it with `az aks nodepool add` first"},
	}, "cluster")
}

func TestEngine_K10_AnEphemeralDiskFits(t *testing.T) {
	t.Parallel()
	e := valid()
	e.systemPool.VmSize, e.systemPool.OsDiskType = pulumi.String("Standard_D2ds_v5"), pulumi.String("Ephemeral")
	e.systemPool.OsDiskSizeGB = pulumi.Int(128)
	previewRefuses(t, e, "cluster", mistake{
		rule: "K10", code: "VMCacheSizeTooSmall", property: "agentPoolProfiles[0].osDiskSizeGB",
		says: []string{"The virtual machine size Standard_D2ds_v5 has a cache size of 80530636800 bytes", "disable ephemeral OS"},
	})
}

func TestEngine_K10_AnEphemeralDiskNeedsALocalOne(t *testing.T) {
	t.Parallel()
	e := valid()
	e.pool.OsDiskType = pulumi.String("Ephemeral") // Standard_D4s_v5 has none
	previewRefuses(t, e, "pool", mistake{
		rule: "K10", code: "VMSizeDoesNotSupportEphemeralOS", property: "osDiskType",
		says: []string{"The Virtual Machine size Standard_D4s_v5 does not support Ephemeral OS disk", "set osDiskType to Managed"},
	})
}

func TestEngine_K10_AnEphemeralDiskOnItsOwnMachineIsTaken(t *testing.T) {
	t.Parallel()
	e := valid()
	e.systemPool.VmSize, e.systemPool.OsDiskType = pulumi.String("Standard_D4ds_v5"), pulumi.String("Ephemeral")
	e.systemPool.OsDiskSizeGB = pulumi.Int(128)
	l := open(t, azure.Options{})
	l.up(e.program("cluster")).accepted()
}
