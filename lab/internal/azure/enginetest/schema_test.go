package enginetest

import (
	"testing"

	locks "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20200501"
	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func TestEngine_Schema_ValuesAreThoseOfTheSpecification(t *testing.T) {
	t.Parallel()
	tier, channel := valid(), valid()
	tier.cluster.Sku = containerservice.ManagedClusterSKUArgs{Name: pulumi.String("Base"), Tier: pulumi.String("Paid")}
	channel.cluster.AutoUpgradeProfile = containerservice.ManagedClusterAutoUpgradeProfileArgs{UpgradeChannel: pulumi.String("nightly")}
	level := valid().with(of("lock", lock("Never"), locks.NewManagementLockByScope, "group"))

	outOfForm(t, tier, "cluster", "sku.tier", "sku.tier is 'Paid'; use Premium, Standard, Free")
	outOfForm(t, channel, "cluster", "autoUpgradeProfile.upgradeChannel", "is 'nightly'; use rapid, stable, patch, node-image, none")
	outOfForm(t, level, "lock", "level", "level is 'Never'; use NotSpecified, CanNotDelete, ReadOnly")
}

func TestEngine_Schema_BoundsAreThoseOfTheSpecification(t *testing.T) {
	t.Parallel()
	drain, closing, window := valid(), valid(), valid()
	drain.pool.UpgradeSettings = containerservice.AgentPoolUpgradeSettingsArgs{DrainTimeoutInMinutes: pulumi.Int(2000)}
	closing.backend.ConnectionDraining = network.ApplicationGatewayConnectionDrainingArgs{Enabled: pulumi.Bool(true), DrainTimeoutInSec: pulumi.Int(0)}
	window.window.DurationHours = pulumi.Int(2)

	outOfForm(t, drain, "pool", "upgradeSettings.drainTimeoutInMinutes", "is 2000; it must be 1440 at most")
	outOfForm(t, closing, "gateway", "backendHttpSettingsCollection[0].connectionDraining.drainTimeoutInSec", "is 0; it must be 1 at least")
	outOfForm(t, window, "upkeep", "maintenanceWindow.durationHours", "is 2; it must be 4 at least")
}

// outOfForm previews an environment with a request that Azure's specification does not allow.
func outOfForm(t *testing.T, e *environment, resource, property, says string) {
	t.Helper()
	t.Run(property, func(t *testing.T) {
		t.Parallel()
		previewRefuses(t, e, resource, mistake{
			rule: "Schema", code: "InvalidRequestContent", property: property, says: []string{says},
		})
	})
}
