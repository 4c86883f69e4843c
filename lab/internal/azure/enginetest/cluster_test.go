package enginetest

import (
	"fmt"
	"strings"
	"testing"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

func TestEngine_K1_TheIdentityMayJoinTheSubnetFirst(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().only("group", "network", "nodes-nsg", "nodes", "identity", "cluster")).refused(mistake{
		resource: "cluster", rule: "K1", code: "LinkedAuthorizationFailed", property: "identity",
		says: []string{
			"does not have authorization to perform action 'Microsoft.Network/virtualNetworks/subnets/join/action' on '" + nodesID,
			"Assign it Network Contributor there first",
		},
	})
}

func TestEngine_K1_TheIdentityIsUserAssigned(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.Identity = containerservice.ManagedClusterIdentityArgs{Type: containerservice.ResourceIdentityTypeSystemAssigned}
	upRefuses(t, e, mistake{
		rule: "K1", code: "LinkedAuthorizationFailed", property: "identity",
		says: []string{"needs a user-assigned identity", "set identity.userAssignedIdentities"},
	}, "cluster")
}

func TestEngine_K2_WorkloadIdentityNeedsTheIssuer(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.OidcIssuerProfile = nil
	previewRefuses(t, e, "cluster", mistake{
		rule: "K2", code: "WorkloadIdentityRequiresOIDCIssuer", property: "oidcIssuerProfile.enabled",
		says: []string{"workload identity needs the OIDC issuer", "set oidcIssuerProfile.enabled to true"},
	})
}

func TestEngine_K3_NoLocalAccountsWithoutEntra(t *testing.T) {
	t.Parallel()
	for name, profile := range map[string]containerservice.ManagedClusterAADProfilePtrInput{
		"no profile":                  nil,
		"a profile that says nothing": containerservice.ManagedClusterAADProfileArgs{EnableAzureRBAC: pulumi.Bool(true)},
		"a profile that is not AKS'":  containerservice.ManagedClusterAADProfileArgs{Managed: pulumi.Bool(false)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := valid()
			e.cluster.AadProfile = profile
			previewRefuses(t, e, "cluster", mistake{
				rule: "K3", code: "DisableLocalAccountsRequiresAAD", property: "aadProfile",
				says: []string{"disableLocalAccounts needs an Entra ID profile", "set aadProfile.managed to true"},
			})
		})
	}
}

func TestEngine_K3_NoAdministratorCredentials(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	cluster := valid().program("cluster")
	l.up(cluster).accepted()
	l.preview(func(ctx *pulumi.Context) error {
		if err := cluster(ctx); err != nil {
			return err
		}
		_, err := containerservice.ListManagedClusterAdminCredentials(ctx, &containerservice.ListManagedClusterAdminCredentialsArgs{
			ResourceGroupName: "rg", ResourceName: "gridos-aks",
		})
		return err
	}).refused(mistake{
		rule: "K3", code: "BadRequest",
		says: []string{
			"Getting static credential is not allowed because this cluster is set to disable local accounts: '" + clusterID + "'",
			"Use listManagedClusterUserCredentials",
		},
	})
}

func TestEngine_K4_OnePoolIsInline(t *testing.T) {
	t.Parallel()
	e := valid()
	second := *e.systemPool
	second.Name, second.Mode = pulumi.String("user"), pulumi.String("User")
	e.cluster.AgentPoolProfiles = containerservice.ManagedClusterAgentPoolProfileArray{e.systemPool, second}
	previewRefuses(t, e, "cluster", mistake{
		rule: "K4", code: "InvalidAgentPoolProfiles", property: "agentPoolProfiles",
		says: []string{"2 agent pools are inline", "keep exactly one, of mode System, and make the others AgentPool resources"},
	})
}

func TestEngine_K4_TheInlinePoolIsOfModeSystem(t *testing.T) {
	t.Parallel()
	e := valid()
	e.systemPool.Mode = pulumi.String("User")
	previewRefuses(t, e, "cluster", mistake{
		rule: "K4", code: "InvalidAgentPoolProfiles", property: "agentPoolProfiles[0].mode",
		says: []string{"the inline agent pool has mode 'User'", "it must be System"},
	})
}

func TestEngine_K4_PoolsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	e := valid()
	e.pool.AgentPoolName = pulumi.String("system")
	upRefuses(t, e, mistake{
		rule: "K4", code: "AgentPoolNameInUse", property: "agentPoolName",
		says: []string{"has an inline agent pool 'system' already", "use another name"},
	}, "pool")
}

func TestEngine_K4_PremiumGoesWithLongTermSupport(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.Sku = containerservice.ManagedClusterSKUArgs{Name: pulumi.String("Base"), Tier: pulumi.String("Premium")}
	previewRefuses(t, e, "cluster", mistake{
		rule: "K4", code: "BadRequest", property: "supportPlan",
		says: []string{"the tier is 'Premium' and supportPlan is ''", "Premium goes with AKSLongTermSupport"},
	})
}

// gatewayAddOn is the add-on that writes a gateway from Ingresses.
func gatewayAddOn() containerservice.ManagedClusterAddonProfileMap {
	return addOn("ingressApplicationGateway", map[string]string{"applicationGatewayId": gatewayID})
}

func addOn(key string, config map[string]string) containerservice.ManagedClusterAddonProfileMap {
	return containerservice.ManagedClusterAddonProfileMap{key: containerservice.ManagedClusterAddonProfileArgs{
		Enabled: pulumi.Bool(true), Config: pulumi.ToStringMap(config),
	}}
}

func TestEngine_K1_TheIdentityMayAssignTheKubelets(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.IdentityProfile = containerservice.UserAssignedIdentityMap{kubeletIdentity: containerservice.UserAssignedIdentityArgs{
		ResourceId: pulumi.String(gatewayIdentityID),
	}}
	upRefuses(t, e, mistake{
		rule: "K1", code: "LinkedAuthorizationFailed", property: "identityProfile",
		says: []string{
			"'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on '" + gatewayIdentityID,
			"Assign it Managed Identity Operator there first",
		},
	}, "gateway-identity", "cluster")
}

func TestEngine_K5_AddOnsHaveTheirKeys(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.AddonProfiles = addOn("applicationGateway", nil)
	previewRefuses(t, e, "cluster", mistake{
		rule: "K5", code: "InvalidAddonProfile", property: "addonProfiles.applicationGateway",
		says: []string{"'applicationGateway' is no add-on", "use one of aciConnectorLinux", "ingressApplicationGateway"},
	})
}

func TestEngine_K5_AddOnsHaveTheirSettings(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.AddonProfiles = addOn("omsagent", nil)
	previewRefuses(t, e, "cluster", mistake{
		rule: "K5", code: "InvalidAddonProfile", property: "addonProfiles.omsagent.config",
		says: []string{"add-on omsagent needs the setting logAnalyticsWorkspaceResourceID", "add it to config"},
	})
}

func TestEngine_K5_SettingsAreOfTheRightType(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.AddonProfiles = addOn("omsagent", map[string]string{"logAnalyticsWorkspaceResourceID": vaultID})
	upRefuses(t, e, mistake{
		rule: "K5", code: "InvalidAddonProfile", property: "addonProfiles.omsagent.config.logAnalyticsWorkspaceResourceID",
		says: []string{"'" + vaultID + "' is no Microsoft.OperationalInsights/workspaces", "set logAnalyticsWorkspaceResourceID to the id of one"},
	}, "vault", "cluster")
}

func TestEngine_K6_ConfigurationsHaveTheirNames(t *testing.T) {
	t.Parallel()
	e := valid()
	e.upkeep.ConfigName = pulumi.String("nightly")
	previewRefuses(t, e, "upkeep", mistake{
		rule: "K6", code: invalidName, property: "configName",
		says: []string{"'nightly' is invalid", "use default, aksManagedAutoUpgradeSchedule or aksManagedNodeOSUpgradeSchedule"},
	})
}

func TestEngine_K6_AScheduleHasAWindow(t *testing.T) {
	t.Parallel()
	e := valid()
	e.upkeep.MaintenanceWindow = nil
	previewRefuses(t, e, "upkeep", mistake{
		rule: "K6", code: "InvalidMaintenanceConfiguration", property: "maintenanceWindow",
		says: []string{"configuration aksManagedAutoUpgradeSchedule needs a maintenanceWindow", "set it"},
	})
}

func TestEngine_K6_AWindowHasOneSchedule(t *testing.T) {
	t.Parallel()
	e := valid()
	e.window.Schedule = containerservice.ScheduleArgs{
		Weekly: containerservice.WeeklyScheduleArgs{DayOfWeek: pulumi.String("Sunday"), IntervalWeeks: pulumi.Int(1)},
		Daily:  containerservice.DailyScheduleArgs{IntervalDays: pulumi.Int(1)},
	}
	previewRefuses(t, e, "upkeep", mistake{
		rule: "K6", code: "InvalidMaintenanceWindow", property: "maintenanceWindow.schedule",
		says: []string{"exactly one schedule of daily, weekly, absoluteMonthly and relativeMonthly, not 2"},
	})
}

func TestEngine_K6_ReleasesComeWeekly(t *testing.T) {
	t.Parallel()
	e := valid()
	e.upkeep.ConfigName = pulumi.String("default")
	e.window.Schedule = containerservice.ScheduleArgs{Daily: containerservice.DailyScheduleArgs{IntervalDays: pulumi.Int(1)}}
	previewRefuses(t, e, "upkeep", mistake{
		rule: "K6", code: "InvalidMaintenanceConfiguration", property: "maintenanceWindow.schedule",
		says: []string{"configuration default comes back weekly only", "set schedule.weekly"},
	})
}

func privately(zone string) containerservice.ManagedClusterAPIServerAccessProfileArgs {
	return containerservice.ManagedClusterAPIServerAccessProfileArgs{
		EnablePrivateCluster: pulumi.Bool(true), PrivateDNSZone: pulumi.String(zone),
	}
}

const badAccess = "InvalidApiServerAccessProfile"

func TestEngine_K7_APrivateClusterHasNoAuthorizedRanges(t *testing.T) {
	t.Parallel()
	e := valid()
	access := privately("system")
	access.AuthorizedIPRanges = pulumi.ToStringArray([]string{"203.0.113.0/24"})
	e.cluster.ApiServerAccessProfile = access
	previewRefuses(t, e, "cluster", mistake{
		rule: "K7", code: badAccess, property: "apiServerAccessProfile.authorizedIPRanges",
		says: []string{"a private cluster has no public API server, so authorizedIPRanges have no use", "drop them"},
	})
}

func TestEngine_K7_TwoHundredRangesAreTheMost(t *testing.T) {
	t.Parallel()
	e := valid()
	var ranges []string
	for i := range 201 {
		ranges = append(ranges, fmt.Sprintf("198.51.100.%d/32", i))
	}
	e.cluster.ApiServerAccessProfile = containerservice.ManagedClusterAPIServerAccessProfileArgs{AuthorizedIPRanges: pulumi.ToStringArray(ranges)}
	previewRefuses(t, e, "cluster", mistake{
		rule: "K7", code: badAccess, property: "apiServerAccessProfile.authorizedIPRanges",
		says: []string{"there are 201 ranges, and a cluster takes 200", "join neighbouring ones"},
	})
}

func TestEngine_K7_TheZoneIsKnown(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.ApiServerAccessProfile = privately("gridos.example.com")
	previewRefuses(t, e, "cluster", mistake{
		rule: "K7", code: badAccess, property: "apiServerAccessProfile.privateDNSZone",
		says: []string{"privateDNSZone is 'gridos.example.com'", "use system, none or the id of a zone"},
	})
}

func TestEngine_K7_TheIdentityMayKeepTheZone(t *testing.T) {
	t.Parallel()
	const name = "privatelink.westeurope.azmk8s.io"
	id := strings.ReplaceAll(vaultZoneID, vaultZoneName, name)
	e := valid()
	e.vaultZone.PrivateZoneName = pulumi.String(name)
	e.cluster.ApiServerAccessProfile = privately(id)
	upRefuses(t, e, mistake{
		rule: "K7", code: "CustomPrivateDNSZoneMissingPermissionError", property: "apiServerAccessProfile.privateDNSZone",
		says: []string{
			"does not have authorization to perform action 'Microsoft.Network/privateDnsZones/A/write' on '" + id,
			"Assign it Private DNS Zone Contributor there first",
		},
	}, "nodes", "vault-zone", "cluster")
}

func TestEngine_K7_AClusterStaysPublic(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.ApiServerAccessProfile = containerservice.ManagedClusterAPIServerAccessProfileArgs{EnablePrivateCluster: pulumi.Bool(true)}
	thenRefuses(t, e, mistake{
		code: "PropertyChangeNotAllowed", property: "apiServerAccessProfile.enablePrivateCluster",
		says: []string{"of '" + clusterID + "' is not allowed", "a cluster is private from the start or never; replace it deliberately"},
	}, "cluster")
}

func TestEngine_K8_OneIngressGatewayPerMode(t *testing.T) {
	t.Parallel()
	internal := containerservice.IstioIngressGatewayArgs{Enabled: pulumi.Bool(true), Mode: pulumi.String("Internal")}
	e := valid()
	e.cluster.ServiceMeshProfile = containerservice.ServiceMeshProfileArgs{
		Mode: pulumi.String("Istio"), Istio: containerservice.IstioServiceMeshArgs{
			Components: containerservice.IstioComponentsArgs{
				IngressGateways: containerservice.IstioIngressGatewayArray{internal, internal},
			},
		},
	}
	previewRefuses(t, e, "cluster", mistake{
		rule: "K8", code: "InvalidServiceMeshProfile", property: "serviceMeshProfile.istio.components.ingressGateways[1].mode",
		says: []string{"the mesh has two ingress gateways of mode Internal", "keep one"},
	})
}

func TestEngine_K8_DefenderHasAWorkspace(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.SecurityProfile = containerservice.ManagedClusterSecurityProfileArgs{
		Defender: containerservice.ManagedClusterSecurityProfileDefenderArgs{
			SecurityMonitoring: containerservice.ManagedClusterSecurityProfileDefenderSecurityMonitoringArgs{Enabled: pulumi.Bool(true)},
		},
	}
	previewRefuses(t, e, "cluster", mistake{
		rule: "K8", code: "InvalidParameter", property: "securityProfile.defender.logAnalyticsWorkspaceResourceId",
		says: []string{"Defender needs a workspace", "set logAnalyticsWorkspaceResourceId"},
	})
}

func TestEngine_Zones_AreThree(t *testing.T) {
	t.Parallel()
	e := valid()
	e.systemPool.AvailabilityZones = pulumi.ToStringArray([]string{"1", "4"})
	previewRefuses(t, e, "cluster", mistake{
		rule: "Zones", code: "AvailabilityZoneNotSupported", property: "agentPoolProfiles[0].availabilityZones",
		says: []string{"availability zones are 1, 4", "use 1, 2 and 3, each once"},
	})
}

func TestEngine_Zones_AreNotInAllRegions(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.Location = pulumi.String("westus")
	previewRefuses(t, e, "cluster", mistake{
		rule: "Zones", code: "AvailabilityZoneNotSupported", property: "agentPoolProfiles[0].availabilityZones",
		says: []string{"region westus has no availability zones", "or use another region"},
	})
}

func TestEngine_K9_KubernetesGoesUpOneVersionAtATime(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.KubernetesVersion = pulumi.String("1.37")
	thenRefuses(t, e, mistake{
		rule: "K9", code: "OperationNotAllowed", property: "kubernetesVersion",
		says: []string{"upgrading from Kubernetes 1.35 to 1.37 skips a minor version", "go to 1.36 first"},
	}, "cluster")
}

func TestEngine_K9_KubernetesNeverGoesDown(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.KubernetesVersion = pulumi.String("1.34")
	thenRefuses(t, e, mistake{
		rule: "K9", code: "OperationNotAllowed", property: "kubernetesVersion",
		says: []string{"Kubernetes cannot go down from 1.35 to 1.34", "keep the version"},
	}, "cluster")
}

func TestEngine_K9_NodesAreNotNewerThanTheirCluster(t *testing.T) {
	t.Parallel()
	e := valid()
	e.pool.OrchestratorVersion = pulumi.String("1.36")
	upRefuses(t, e, mistake{
		rule: "K9", code: "NodePoolMcVersionIncompatible", property: "orchestratorVersion",
		says: []string{"nodes with Kubernetes 1.36 do not fit cluster '" + clusterID + "' with 1.35", "they may be 3 minor versions older, and not newer"},
	}, "pool")
}
