package enginetest

import (
	"testing"

	postgres "github.com/pulumi/pulumi-azure-native-sdk/dbforpostgresql/v2/v20240801"
	network "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

func burstable() postgres.SkuArgs {
	return postgres.SkuArgs{Name: pulumi.String("Standard_B2s"), Tier: pulumi.String("Burstable")}
}

func TestEngine_P1_TheSKUBelongsToItsTier(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.Sku = postgres.SkuArgs{Name: pulumi.String("Standard_B2s"), Tier: pulumi.String("GeneralPurpose")}
	previewRefuses(t, e, "server", mistake{
		rule: "P1", code: "ServerSkuNotSupported", property: "sku.name",
		says: []string{"SKU 'Standard_B2s' does not belong to tier GeneralPurpose", "use one that starts with Standard_D"},
	})
}

func TestEngine_P1_BurstableIsNotHighlyAvailable(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.Sku = burstable()
	e.server.HighAvailability = postgres.HighAvailabilityArgs{Mode: pulumi.String("ZoneRedundant")}
	previewRefuses(t, e, "server", mistake{
		rule: "P1", code: "HighAvailabilityNotSupported", property: "highAvailability.mode",
		says: []string{"high availability is not supported for tier Burstable", "use GeneralPurpose, or set mode to Disabled"},
	})
}

func TestEngine_P1_TheStandbyIsInAnotherZone(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.AvailabilityZone = pulumi.String("1")
	e.server.HighAvailability = postgres.HighAvailabilityArgs{
		Mode: pulumi.String("ZoneRedundant"), StandbyAvailabilityZone: pulumi.String("1"),
	}
	previewRefuses(t, e, "server", mistake{
		rule: "P1", code: "HighAvailabilityNotSupported", property: "highAvailability.standbyAvailabilityZone",
		says: []string{"the standby is in zone 1 like the primary", "ZoneRedundant needs another zone"},
	})
}

func TestEngine_P2_StorageHasOneOfAzuresSizes(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.Storage = postgres.StorageArgs{StorageSizeGB: pulumi.Int(100)}
	previewRefuses(t, e, "server", mistake{
		rule: "P2", code: "InvalidStorageSize", property: "storage.storageSizeGB",
		says: []string{"storage of 100 GB is not offered", "use one of [32 64 128"},
	})
}

func TestEngine_P2_StorageNeverShrinks(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.Storage = postgres.StorageArgs{StorageSizeGB: pulumi.Int(32)}
	thenRefuses(t, e, mistake{
		rule: "P2", code: "InvalidStorageSize", property: "storage.storageSizeGB",
		says: []string{"storage cannot shrink from 64 to 32 GB", "keep 64"},
	}, "server")
}

func TestEngine_P2_BackupsAreKeptForAWeekAtLeast(t *testing.T) {
	t.Parallel()
	e := valid()
	e.serverBackup.BackupRetentionDays = pulumi.Int(6)
	previewRefuses(t, e, "server", mistake{
		rule: "P2", code: "InvalidBackupRetention", property: "backup.backupRetentionDays",
		says: []string{"backups cannot be kept for 6 days", "use 7 to 35"},
	})
}

const badLogin = "InvalidAdministratorLogin"

func TestEngine_P3_LoginAndPasswordGoTogether(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.AdministratorLoginPassword = nil
	previewRefuses(t, e, "server", mistake{
		rule: "P3", code: badLogin, property: "administratorLogin",
		says: []string{"password authentication is on", "set both administratorLogin and administratorLoginPassword"},
	})
}

func TestEngine_P3_NoLoginWithoutPasswordAuthentication(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.AuthConfig = postgres.AuthConfigArgs{
		ActiveDirectoryAuth: pulumi.String("Enabled"), PasswordAuth: pulumi.String("Disabled"), TenantId: pulumi.String(azure.DefaultTenantID),
	}
	previewRefuses(t, e, "server", mistake{
		rule: "P3", code: badLogin, property: "administratorLogin",
		says: []string{"password authentication is off", "drop administratorLogin and administratorLoginPassword"},
	})
}

func TestEngine_P3_SomeLoginsAreReserved(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.AdministratorLogin = pulumi.String("pg_gridos")
	previewRefuses(t, e, "server", mistake{
		rule: "P3", code: badLogin, property: "administratorLogin",
		says: []string{"'pg_gridos' cannot be the login of an administrator", "names that start with pg_ are reserved"},
	})
}

func TestEngine_P3_APasswordIsStrong(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.AdministratorLoginPassword = pulumi.String("correct horse")
	previewRefuses(t, e, "server", mistake{
		rule: "P3", code: "InternalServerError", property: "administratorLoginPassword",
		says: []string{"the password is not accepted", "it needs 8 to 128 characters, and three of upper-case letters"},
	})
}

func TestEngine_P4_AnAdministratorIsNamedInFull(t *testing.T) {
	t.Parallel()
	e := valid()
	e.administrator.PrincipalName = nil
	previewRefuses(t, e, "administrator", mistake{
		rule: "P4", code: "InvalidAdministrator", property: "principalName",
		says: []string{"an administrator needs principalName", "set it"},
	})
}

func TestEngine_P4_AnAdministratorNeedsEntraAuthentication(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.AuthConfig = nil
	upRefuses(t, e, mistake{
		rule: "P4", code: "AadAuthNotEnabled", property: "serverName",
		says: []string{"server '" + serverID + "' has no Entra ID authentication", "set authConfig.activeDirectoryAuth to Enabled"},
	}, "administrator")
}

func TestEngine_P5_AServerTakesOneOperationAtATime(t *testing.T) {
	t.Parallel()
	second := *valid().database
	second.DatabaseName = pulumi.String("second")
	e := valid().with(of("second", &second, postgres.NewDatabase, "server"))
	togetherRefuses(t, e, 0.05, "server", mistake{
		resource: "database or second", rule: "P5", code: "ServerIsBusy",
		says: []string{"'" + serverID + "' is busy with", "Chain the databases, configurations and administrators of a server with DependsOn"},
	}, "database", "second")
}

func TestEngine_P6_APrivateServerHasNoPublicAccess(t *testing.T) {
	t.Parallel()
	e := valid()
	e.serverNetwork.PublicNetworkAccess = pulumi.String("Enabled")
	previewRefuses(t, e, "server", mistake{
		rule: "P6", code: "InvalidNetworkConfiguration", property: "network.publicNetworkAccess",
		says: []string{"a server in a virtual network cannot have public access", "drop publicNetworkAccess"},
	})
}

func TestEngine_P6_APrivateServerHasAZone(t *testing.T) {
	t.Parallel()
	e := valid()
	e.serverNetwork.PrivateDnsZoneArmResourceId = nil
	previewRefuses(t, e, "server", mistake{
		rule: "P6", code: "InvalidNetworkConfiguration", property: "network.privateDnsZoneArmResourceId",
		says: []string{"a server in a virtual network needs a private DNS zone", "set privateDnsZoneArmResourceId"},
	})
}

func TestEngine_P6_APrivateServerStaysPrivate(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.Network = nil
	thenRefuses(t, e, mistake{
		rule: "P6", code: "PropertyChangeNotAllowed", property: "network.delegatedSubnetResourceId",
		says: []string{"a server cannot switch between private and public access, or to another subnet", "replace it deliberately"},
	}, "server")
}

func TestEngine_P7_NoMaintenanceWindowAtCreation(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.MaintenanceWindow = postgres.MaintenanceWindowArgs{CustomWindow: pulumi.String("Enabled"), DayOfWeek: pulumi.Int(0)}
	previewRefuses(t, e, "server", mistake{
		rule: "P7", code: "MaintenanceWindowNotSupportedAtCreate", property: "maintenanceWindow",
		says: []string{"a maintenance window cannot be set when the server is created", "leave it out and set it later"},
	})
}

func TestEngine_P1_TheServerStaysInItsZone(t *testing.T) {
	t.Parallel()
	at := func(zone string) *environment {
		e := valid()
		e.server.AvailabilityZone = pulumi.String(zone)
		return e
	}
	l := open(t, azure.Options{})
	l.up(at("1").program("server")).accepted()
	l.up(at("2").program("server")).refused(mistake{
		resource: "server", rule: "P1", code: "AvailabilityZoneCannotBeChanged", property: "availabilityZone",
		says: []string{"the primary cannot move from zone 1 to 2", "keep the zone (IgnoreChanges lets failovers pass)"},
	})
}

func TestEngine_P4_EntraAuthenticationHasATenant(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.AuthConfig = postgres.AuthConfigArgs{ActiveDirectoryAuth: pulumi.String("Enabled"), PasswordAuth: pulumi.String("Enabled")}
	previewRefuses(t, e, "server", mistake{
		rule: "P4", code: "InvalidAuthConfig", property: "authConfig.tenantId",
		says: []string{"Entra ID authentication needs its tenant", "set tenantId"},
	})
}

func TestEngine_P4_SomebodyCanSignIn(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.AuthConfig = postgres.AuthConfigArgs{ActiveDirectoryAuth: pulumi.String("Disabled"), PasswordAuth: pulumi.String("Disabled")}
	e.server.AdministratorLogin, e.server.AdministratorLoginPassword = nil, nil
	previewRefuses(t, e, "server", mistake{
		rule: "P4", code: "InvalidAuthConfig", property: "authConfig.activeDirectoryAuth",
		says: []string{"neither passwords nor Entra ID can sign in", "enable one of them"},
	})
}

func TestEngine_P8_TheStandbyMayBeBlocked(t *testing.T) {
	t.Parallel()
	e := valid()
	e.server.HighAvailability = postgres.HighAvailabilityArgs{Mode: pulumi.String("ZoneRedundant")}
	e.postgres.ServiceEndpoints = network.ServiceEndpointPropertiesFormatArray{
		network.ServiceEndpointPropertiesFormatArgs{Service: pulumi.String("Microsoft.Storage")},
	}
	l := open(t, azure.Options{RestrictedRegions: []string{"westeurope"}})
	l.up(e.program("server")).refused(mistake{
		resource: "server", rule: "P8", code: "ZoneRedundantHaNotSupported", property: "highAvailability.mode",
		says: []string{"blocked in westeurope for this subscription", "use SameZone, or another region"},
	})
	e.server.HighAvailability = postgres.HighAvailabilityArgs{Mode: pulumi.String("SameZone")}
	l.up(e.program("server")).accepted()
}
