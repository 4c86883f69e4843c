package azure

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	postgres "github.com/pulumi/pulumi-azure-native-sdk/dbforpostgresql/v2/v20240801"
)

// typeServer is the ARM type of a PostgreSQL flexible server.
const typeServer = "Microsoft.DBforPostgreSQL/flexibleServers"

const (
	serverPath     = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{serverName}"
	postgresDomain = ".postgres.database.azure.com"
	// serverDelegation is the service that the subnet of a PostgreSQL server is delegated to.
	serverDelegation = "Microsoft.DBforPostgreSQL/flexibleServers"
)

// serverIsBusy is P5: a server takes one operation at a time, those on its databases, settings and administrators included.
var serverIsBusy = &serial{
	owner: typeServer, rule: "P5", code: "ServerIsBusy",
	remedy: "Chain the databases, configurations and administrators of a server with DependsOn",
}

// databaseTypes are PostgreSQL flexible servers and what is in them.
func databaseTypes() []definition {
	return []definition{
		typed[postgres.Server, postgres.ServerArgs](definition{
			path: serverPath,
			name: nameRule{
				pattern: regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`),
				say:     "3 to 63 lower-case letters, digits and hyphens, no hyphen first or last",
			},
			global: true,
			immutable: []string{
				"location", "administratorLogin", "backup.geoRedundantBackup", "createMode", "pointInTimeUTC", "sourceServerResourceId",
			},
			replaceIf: func(path string, before, after document) bool {
				return path == "version" && downgrade(before.text("version"), after.text("version"))
			},
			frozen: map[string]string{
				"network.delegatedSubnetResourceId": "a server cannot switch between private and public access, or to another subnet (rule P6); " +
					"replace it deliberately",
			},
			refers: map[string]string{
				"network.delegatedSubnetResourceId": typeSubnet, "network.privateDnsZoneArmResourceId": typeZone,
			},
			writeOnly: []string{"administratorLoginPassword"},
			serial:    serverIsBusy,
			checks: []rule{
				serverTier, serverAvailability, serverZone, serverStorage, serverBackup, serverLogin, serverSignIn, serverAccess, serverZoneName, serverMaintenance,
				availabilityZones,
			},
			demands: []rule{inRegion, serverSubnet, serverTraffic, serverZoneLink},
			inUse:   "ServerHasChildResources",
			compute: func(s subject) document {
				return document{
					"fullyQualifiedDomainName": s.in.text("serverName") + postgresDomain,
					"state":                    "Ready", "minorVersion": "4", "replicaCapacity": 5.0, "replicationRole": "Primary",
				}
			},
		}),
		typed[postgres.Database, postgres.DatabaseArgs](definition{
			path: serverPath + "/databases/{databaseName}",
			name: nameRule{
				pattern: regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`),
				say:     "1 to 63 letters, digits, underscores and hyphens, a letter or underscore first",
			},
			immutable: []string{"charset", "collation"},
			serial:    serverIsBusy,
		}),
		typed[postgres.Configuration, postgres.ConfigurationArgs](definition{
			path:    serverPath + "/configurations/{configurationName}",
			name:    nameRule{pattern: regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`), say: "the name of a server parameter, such as azure.extensions"},
			builtIn: true,
			builtInRemedy: "server parameters exist as long as their server (azure-native issue 3072). " +
				"Set the resource option RetainOnDelete, so that it goes with the server",
			serial: serverIsBusy,
		}),
		typed[postgres.Administrator, postgres.AdministratorArgs](definition{
			path:      serverPath + "/administrators/{objectId}",
			name:      nameRule{pattern: guid, say: "the object id (a GUID) of the principal"},
			immutable: []string{"principalName", "principalType", "tenantId"},
			serial:    serverIsBusy,
			checks:    []rule{administratorInputs},
			demands:   []rule{administratorNeedsEntra},
		}),
	}
}

func downgrade(before, after string) bool {
	old, errOld := strconv.Atoi(before)
	wanted, errWanted := strconv.Atoi(after)
	return errOld == nil && errWanted == nil && wanted < old
}

// serverTier is P1: the name of the SKU fits its tier.
var serverTier = rule{id: "P1", code: "ServerSkuNotSupported", broken: func(s subject) []finding {
	if s.in.unsure("sku") || s.in.unsure("sku.name") || s.in.unsure("sku.tier") {
		return nil
	}
	prefixes := map[string]string{"Burstable": "Standard_B", "GeneralPurpose": "Standard_D", "MemoryOptimized": "Standard_E"}
	name, tier := s.in.text("sku.name"), s.in.text("sku.tier")
	prefix, ok := prefixes[tier]
	if !ok {
		return found("sku.tier", "'%s' is no tier; use Burstable, GeneralPurpose or MemoryOptimized", tier)
	}
	if !strings.HasPrefix(name, prefix) {
		return found("sku.name", "SKU '%s' does not belong to tier %s; use one that starts with %s", name, tier, prefix)
	}
	return nil
}}

// serverAvailability is P1: high availability is not for Burstable, and a standby in another zone is in another zone.
var serverAvailability = rule{id: "P1", code: "HighAvailabilityNotSupported", broken: func(s subject) []finding {
	mode := s.in.text("highAvailability.mode")
	if result := s.oneOf("highAvailability.mode", "Disabled", "SameZone", "ZoneRedundant"); len(result) > 0 {
		return result
	}
	if mode == "" || mode == "Disabled" {
		return nil
	}
	if s.in.text("sku.tier") == "Burstable" {
		return found("highAvailability.mode", "high availability is not supported for tier Burstable; use GeneralPurpose, or set mode to Disabled")
	}
	if standby := s.in.text("highAvailability.standbyAvailabilityZone"); mode == "ZoneRedundant" && standby != "" &&
		standby == s.in.text("availabilityZone") {
		return found("highAvailability.standbyAvailabilityZone",
			"the standby is in zone %s like the primary; ZoneRedundant needs another zone", standby)
	}
	return nil
}}

// serverZone is P1: a server that lives stays in its zone, except that primary and standby change places at a failover.
var serverZone = rule{id: "P1", code: "AvailabilityZoneCannotBeChanged", broken: func(s subject) []finding {
	const path, standby = "availabilityZone", "highAvailability.standbyAvailabilityZone"
	before, after := s.before.text(path), s.in.text(path)
	if s.creating() || before == "" || after == "" || before == after ||
		s.before.text(standby) == after && s.in.text(standby) == before {
		return nil
	}
	return found(path, "the primary cannot move from zone %s to %s; keep the zone (IgnoreChanges lets failovers pass)", before, after)
}}

// storageSizes are the sizes of a server's disk in GiB (rule P2).
var storageSizes = []float64{32, 64, 128, 256, 512, 1024, 2048, 4095, 4096, 8192, 16384, 32767}

// serverStorage is P2: the disk has one of Azure's sizes and never shrinks.
var serverStorage = rule{id: "P2", code: "InvalidStorageSize", broken: func(s subject) []finding {
	const path = "storage.storageSizeGB"
	size, ok := s.in.number(path)
	if !ok {
		return nil
	}
	var result []finding
	if !slices.Contains(storageSizes, size) {
		result = append(result, finding{path, fmt.Sprintf("storage of %g GB is not offered; use one of %v", size, storageSizes)})
	}
	if before, ok := s.before.number(path); ok && size < before {
		result = append(result, finding{path, fmt.Sprintf("storage cannot shrink from %g to %g GB; keep %g", before, size, before)})
	}
	return result
}}

// serverBackup is P2: backups are kept for 7 to 35 days.
var serverBackup = rule{id: "P2", code: "InvalidBackupRetention", broken: func(s subject) []finding {
	days, ok := s.in.number("backup.backupRetentionDays")
	if !ok || days >= 7 && days <= 35 {
		return nil
	}
	return found("backup.backupRetentionDays", "backups cannot be kept for %g days; use 7 to 35", days)
}}

// forbiddenLogins are names that PostgreSQL or Azure keep for themselves (rule P3).
var forbiddenLogins = []string{"azure_superuser", "azure_pg_admin", "admin", "administrator", "root", "guest", "public"}

// serverLogin is P3: login and password belong to password authentication, both or none.
var serverLogin = rule{id: "P3", code: "InvalidAdministratorLogin", broken: func(s subject) []finding {
	login, password := s.in.has("administratorLogin"), s.in.has("administratorLoginPassword")
	var result []finding
	switch {
	case s.in.unsure("authConfig") || s.in.unsure("authConfig.passwordAuth"):
	case s.in.text("authConfig.passwordAuth") == "Disabled":
		if login || password {
			result = append(result, finding{
				"administratorLogin",
				"password authentication is off; drop administratorLogin and administratorLoginPassword",
			})
		}
	default:
		if s.creating() && (!login || !password) {
			result = append(result, finding{
				"administratorLogin",
				"password authentication is on; set both administratorLogin and administratorLoginPassword",
			})
		}
	}
	name := s.in.text("administratorLogin")
	if slices.Contains(forbiddenLogins, strings.ToLower(name)) || strings.HasPrefix(strings.ToLower(name), "pg_") {
		result = append(result, finding{"administratorLogin", fmt.Sprintf(
			"'%s' cannot be the login of an administrator: %s and names that start with pg_ are reserved", name,
			strings.Join(forbiddenLogins, ", "))})
	}
	return result
}}

// serverSignIn is P4: somebody can sign in, and Entra ID knows in which tenant.
var serverSignIn = rule{id: "P4", code: "InvalidAuthConfig", broken: func(s subject) []finding {
	const path = "authConfig."
	result := append(s.oneOf(path+"activeDirectoryAuth", "Enabled", "Disabled"), s.oneOf(path+"passwordAuth", "Enabled", "Disabled")...)
	if s.in.unsure("authConfig") || s.in.unsure(path+"activeDirectoryAuth") || s.in.unsure(path+"passwordAuth") {
		return result
	}
	entra := s.in.text(path+"activeDirectoryAuth") == "Enabled"
	if !entra && s.in.text(path+"passwordAuth") == "Disabled" {
		result = append(result, found(path+"activeDirectoryAuth", "neither passwords nor Entra ID can sign in; enable one of them")...)
	}
	// The typed SDK sends an empty text for a tenant that is left out.
	if entra && s.in.text(path+"tenantId") == "" && !s.in.unsure(path+"tenantId") {
		result = append(result, found(path+"tenantId", "Entra ID authentication needs its tenant; set tenantId")...)
	}
	return result
}}

// serverAccess is P6: a server in a virtual network has no public access, and needs its private DNS zone.
var serverAccess = rule{id: "P6", code: "InvalidNetworkConfiguration", broken: func(s subject) []finding {
	if !s.in.has("network.delegatedSubnetResourceId") {
		return nil
	}
	var result []finding
	if s.in.text("network.publicNetworkAccess") == "Enabled" {
		result = append(result, finding{
			"network.publicNetworkAccess",
			"a server in a virtual network cannot have public access; drop publicNetworkAccess",
		})
	}
	if !s.in.has("network.privateDnsZoneArmResourceId") {
		result = append(result, finding{
			"network.privateDnsZoneArmResourceId",
			"a server in a virtual network needs a private DNS zone; set privateDnsZoneArmResourceId",
		})
	}
	return result
}}

// serverZoneName is N5: the zone ends with postgres.database.azure.com and is not the server's own name.
var serverZoneName = rule{id: "N5", code: "InvalidPrivateDnsZoneName", broken: func(s subject) []finding {
	const path = "network.privateDnsZoneArmResourceId"
	id := s.in.text(path)
	if id == "" {
		return nil
	}
	zone := strings.ToLower(id[strings.LastIndex(id, "/")+1:])
	if !strings.HasSuffix(zone, postgresDomain) {
		return found(path, "the private DNS zone '%s' must end with %s; use <name>.private%s", zone, postgresDomain, postgresDomain)
	}
	if zone == strings.ToLower(s.in.text("serverName"))+postgresDomain {
		return found(path, "the private DNS zone '%s' has the name of the server itself; use <name>.private%s", zone, postgresDomain)
	}
	return nil
}}

// serverMaintenance is P7: the maintenance window can be changed, but not given at the creation.
var serverMaintenance = rule{id: "P7", code: "MaintenanceWindowNotSupportedAtCreate", broken: func(s subject) []finding {
	if !s.creating() || !s.in.has("maintenanceWindow") {
		return nil
	}
	return found("maintenanceWindow", "a maintenance window cannot be set when the server is created; leave it out and set it later")
}}

// serverSubnet is N4: the subnet is /28 or larger, delegated to PostgreSQL servers, and holds nothing else.
var serverSubnet = rule{id: "N4", code: "InvalidSubnetForFlexibleServer", broken: func(s subject) []finding {
	const path = "network.delegatedSubnetResourceId"
	id := s.in.text(path)
	subnet, ok := subnetOf(s.cloud, id)
	if !ok {
		return nil // none, or reported as a missing reference
	}
	var result []finding
	if service := delegationOf(subnet); !strings.EqualFold(service, serverDelegation) {
		result = append(result, finding{path, fmt.Sprintf(
			"subnet '%s' is delegated to '%s'; delegate it to %s", id, service, serverDelegation)})
	}
	for _, text := range prefixesOf(subnet) {
		if prefix, err := parsePrefix(text); err == nil && prefix.Bits() > 28 {
			result = append(result, finding{path, fmt.Sprintf("subnet '%s' (%s) is too small; it must be /28 or larger", id, text)})
		}
	}
	others := slices.DeleteFunc(tenantsOf(s.cloud, id), func(r *record) bool { return r.Kind == typeServer })
	if len(others) > 0 {
		result = append(result, finding{path, fmt.Sprintf(
			"subnet '%s' has other resources in it (%s); give PostgreSQL a subnet of its own", id, nameList(others))})
	}
	return result
}}

// serverZoneLink is N5: the zone is linked to the server's virtual network before the server exists. Azure does not look at
// this any more, and the server's name silently does not resolve; here it is an error.
var serverZoneLink = rule{id: "N5", code: "PrivateDnsZoneNotLinked", broken: func(s subject) []finding {
	zone := s.in.text("network.privateDnsZoneArmResourceId")
	network, ok := ancestor(s.in.text("network.delegatedSubnetResourceId"), typeNetwork)
	if !ok || s.cloud.find(zone) == nil {
		return nil // none, or reported as a missing reference
	}
	if s.cloud.linked(zone, network) {
		return nil
	}
	return found("network.privateDnsZoneArmResourceId",
		"private DNS zone '%s' is not linked to '%s', so that the server's name would not resolve. Create the VirtualNetworkLink first, "+
			"and let the server depend on it", zone, network)
}}

// administratorInputs is P4: what Azure must know of a principal.
var administratorInputs = rule{id: "P4", code: "InvalidAdministrator", broken: func(s subject) []finding {
	var result []finding
	for _, name := range []string{"principalName", "principalType", "tenantId"} {
		if !s.in.has(name) {
			result = append(result, finding{name, fmt.Sprintf("an administrator needs %s; set it", name)})
		}
	}
	return append(result, s.oneOf("principalType", "User", "Group", "ServicePrincipal")...)
}}

// administratorNeedsEntra is P4: an administrator of Entra ID needs a server that lets Entra ID sign in.
var administratorNeedsEntra = rule{id: "P4", code: "AadAuthNotEnabled", broken: func(s subject) []finding {
	owner, _ := ancestor(s.id, typeServer)
	server := s.cloud.find(owner)
	if server == nil || server.Inputs.text("authConfig.activeDirectoryAuth") == "Enabled" {
		return nil
	}
	return found("serverName", "server '%s' has no Entra ID authentication; set authConfig.activeDirectoryAuth to Enabled", owner)
}}
