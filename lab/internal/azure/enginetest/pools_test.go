package enginetest

import (
	"testing"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// A pool inside the cluster is as frozen as one with a resource of its own.
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
	thenPreviewRefuses(t, e, mistake{
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

func TestEngine_K11_LabelsAreOnesOwn(t *testing.T) {
	t.Parallel()
	azures, form := valid(), valid()
	azures.pool.NodeLabels = pulumi.StringMap{"kubernetes.azure.com/team": pulumi.String("scada")}
	form.pool.NodeLabels = pulumi.StringMap{"team": pulumi.String("scada and more")}
	for name, test := range map[string]struct {
		e    *environment
		says []string
	}{
		"namespace": {azures, []string{"Invalid node label key kubernetes.azure.com/team", "use one of your own"}},
		"form":      {form, []string{"Node label 'team: scada and more' does not meet syntax and character specifications", "use up to 63 letters"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			previewRefuses(t, test.e, "pool", mistake{rule: "K11", code: "BadRequest", property: "nodeLabels", says: test.says})
		})
	}
}

func TestEngine_K11_TaintsHaveAnEffect(t *testing.T) {
	t.Parallel()
	e := valid()
	e.pool.NodeTaints = pulumi.ToStringArray([]string{"spot=true"})
	previewRefuses(t, e, "pool", mistake{
		rule: "K11", code: "InvalidParameter", property: "nodeTaints[0]",
		says: []string{"'spot=true' is no taint", "write it as key=value:NoSchedule"},
	})
}

func TestEngine_K11_UpgradesHaveBounds(t *testing.T) {
	t.Parallel()
	surge, drain := valid(), valid()
	surge.pool.UpgradeSettings = containerservice.AgentPoolUpgradeSettingsArgs{MaxSurge: pulumi.String("101%")}
	drain.pool.UpgradeSettings = containerservice.AgentPoolUpgradeSettingsArgs{DrainTimeoutInMinutes: pulumi.Int(3)}
	for property, test := range map[string]struct {
		e    *environment
		says []string
	}{
		"maxSurge":              {surge, []string{"maxSurge is '101%'", "use a number such as 5, or 1% to 100%"}},
		"drainTimeoutInMinutes": {drain, []string{"drainTimeoutInMinutes is 3", "use 5 to 1440"}},
	} {
		t.Run(property, func(t *testing.T) {
			t.Parallel()
			previewRefuses(t, test.e, "pool", mistake{
				rule: "K11", code: "InvalidParameter", property: "upgradeSettings." + property, says: test.says,
			})
		})
	}
}

func TestEngine_K11_SystemPoolsAreOfLinuxAndRegular(t *testing.T) {
	t.Parallel()
	windows, spot := valid(), valid()
	windows.systemPool.OsType = pulumi.String("Windows")
	spot.systemPool.ScaleSetPriority = pulumi.String("Spot")
	for property, test := range map[string]struct {
		e    *environment
		says []string
	}{
		"osType":           {windows, []string{"a pool of mode System runs Linux", "set osType to Linux"}},
		"scaleSetPriority": {spot, []string{"a pool of mode System cannot be of Spot machines", "use Regular, or mode User"}},
	} {
		t.Run(property, func(t *testing.T) {
			t.Parallel()
			previewRefuses(t, test.e, "cluster", mistake{
				rule: "K11", code: "InvalidParameter", property: "agentPoolProfiles[0]." + property, says: test.says,
			})
		})
	}
}
