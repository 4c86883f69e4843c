package services

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	postgres "github.com/pulumi/pulumi-azure-native-sdk/dbforpostgresql/v2/v20240801"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// typeServer is the ARM type of a PostgreSQL flexible server.
const typeServer = "Microsoft.DBforPostgreSQL/flexibleServers"

const (
	serverPath     = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{serverName}"
	postgresDomain = ".postgres.database.azure.com"
	// serverDelegation is the service that the subnet of a PostgreSQL server is delegated to.
	serverDelegation = "Microsoft.DBforPostgreSQL/flexibleServers"
)

// serverIsBusy is P5: a server takes one operation at a time, those on its databases, settings and
// administrators included.
var serverIsBusy = &arm.Serial{
	Owner: typeServer, Rule: "P5", Code: "ServerIsBusy",
	Remedy: "Chain the databases, configurations and administrators of a server with DependsOn",
}

// databaseTypes are PostgreSQL flexible servers and the resources in them.
func databaseTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[postgres.Server, postgres.ServerArgs](arm.Definition{
			Path: serverPath,
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`),
				Say:     "3 to 63 lower-case letters, digits and hyphens, no hyphen first or last",
			},
			Global: true,
			Immutable: []string{
				"location", "administratorLogin", "backup.geoRedundantBackup", "createMode", "pointInTimeUTC", "sourceServerResourceId",
			},
			ReplaceIf: func(path string, before, after arm.Document) bool {
				return path == "version" && downgrade(before.Text("version"), after.Text("version"))
			},
			Frozen: map[string]string{
				"network.delegatedSubnetResourceId": "a server cannot switch between private and public access, or to another subnet (rule P6); " +
					"replace it deliberately",
			},
			Refers: map[string]string{
				"network.delegatedSubnetResourceId": typeSubnet, "network.privateDnsZoneArmResourceId": typeZone,
			},
			WriteOnly: []string{"administratorLoginPassword"},
			Serial:    serverIsBusy,
			Checks: []arm.Rule{
				serverTier, serverAvailability, serverZone, serverStorage, serverBackup, serverLogin, serverPassword, serverSignIn, serverAccess, serverZoneName, serverMaintenance,
				availabilityZones,
			},
			Demands: []arm.Rule{networkSettled, standbyOffered, inRegion, serverSubnet, serverTraffic, serverZoneLink},
			After:   leaveSubnet,
			InUse:   "ServerHasChildResources",
			Compute: func(s arm.Subject) arm.Document {
				return arm.Document{
					"fullyQualifiedDomainName": s.In.Text("serverName") + postgresDomain,
					"state":                    "Ready", "minorVersion": "4", "replicaCapacity": 5.0, "replicationRole": "Primary",
				}
			},
		}),
		arm.Typed[postgres.Database, postgres.DatabaseArgs](arm.Definition{
			Path: serverPath + "/databases/{databaseName}",
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`),
				Say:     "1 to 63 letters, digits, underscores and hyphens, a letter or underscore first",
			},
			Immutable: []string{"charset", "collation"},
			Serial:    serverIsBusy,
		}),
		arm.Typed[postgres.Configuration, postgres.ConfigurationArgs](arm.Definition{
			Path:    serverPath + "/configurations/{configurationName}",
			Name:    arm.NameRule{Pattern: regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`), Say: "the name of a server parameter, such as azure.extensions"},
			BuiltIn: true,
			BuiltInRemedy: "server parameters exist as long as their server (azure-native issue 3072). " +
				"Set the resource option RetainOnDelete, so that it goes with the server",
			Serial: serverIsBusy,
		}),
		arm.Typed[postgres.Administrator, postgres.AdministratorArgs](arm.Definition{
			Path:      serverPath + "/administrators/{objectId}",
			Name:      arm.NameRule{Pattern: arm.GUID, Say: "the object id (a GUID) of the principal"},
			Immutable: []string{"principalName", "principalType", "tenantId"},
			Serial:    serverIsBusy,
			Checks:    []arm.Rule{administratorInputs},
			Demands:   []arm.Rule{administratorNeedsEntra},
		}),
	}
}

func downgrade(before, after string) bool {
	old, errOld := strconv.Atoi(before)
	wanted, errWanted := strconv.Atoi(after)
	return errOld == nil && errWanted == nil && wanted < old
}

// serverTier is P1: the name of the SKU fits its tier.
var serverTier = arm.Rule{ID: "P1", Code: "ServerSkuNotSupported", Broken: func(s arm.Subject) []arm.Finding {
	if s.In.Unsure("sku") || s.In.Unsure("sku.name") || s.In.Unsure("sku.tier") {
		return nil
	}
	prefixes := map[string]string{"Burstable": "Standard_B", "GeneralPurpose": "Standard_D", "MemoryOptimized": "Standard_E"}
	name, tier := s.In.Text("sku.name"), s.In.Text("sku.tier")
	prefix, ok := prefixes[tier]
	if !ok {
		return arm.Found("sku.tier", "'%s' is no tier; use Burstable, GeneralPurpose or MemoryOptimized", tier)
	}
	if !strings.HasPrefix(name, prefix) {
		return arm.Found("sku.name", "SKU '%s' does not belong to tier %s; use one that starts with %s", name, tier, prefix)
	}
	return nil
}}

// leaveSubnet: the subnet of a server stays in use for a while after it (rule N12).
func leaveSubnet(_ context.Context, c *arm.Cloud, verb arm.Operation, r *arm.Record) error {
	if subnet := r.Inputs.Text("network.delegatedSubnetResourceId"); verb == arm.OperationDelete && subnet != "" {
		c.Linger(subnet, leaving)
	}
	return nil
}

// standbyOffered is P8: in some regions, and for some subscriptions, Azure creates no
// zone-redundant server.
var standbyOffered = arm.Rule{ID: "P8", Code: "ZoneRedundantHaNotSupported", Broken: func(s arm.Subject) []arm.Finding {
	const path = "highAvailability.mode"
	region := regionOf(s.Location())
	if s.In.Text(path) != "ZoneRedundant" || s.Before.Text(path) == "ZoneRedundant" || !slices.Contains(s.Cloud.Options().RestrictedRegions, region) {
		return nil
	}
	return arm.Found(path, "zone-redundant high availability is blocked in %s for this subscription; use SameZone, or another region", region)
}}

// serverAvailability is P1: high availability is not for Burstable, and a standby in another zone
// is in another zone.
var serverAvailability = arm.Rule{ID: "P1", Code: "HighAvailabilityNotSupported", Broken: func(s arm.Subject) []arm.Finding {
	mode := s.In.Text("highAvailability.mode")
	if mode == "" || mode == "Disabled" {
		return nil
	}
	if s.In.Text("sku.tier") == "Burstable" {
		return arm.Found("highAvailability.mode", "high availability is not supported for tier Burstable; use GeneralPurpose, or set mode to Disabled")
	}
	if standby := s.In.Text("highAvailability.standbyAvailabilityZone"); mode == "ZoneRedundant" && standby != "" &&
		standby == s.In.Text("availabilityZone") {
		return arm.Found("highAvailability.standbyAvailabilityZone",
			"the standby is in zone %s like the primary; ZoneRedundant needs another zone", standby)
	}
	return nil
}}

// serverZone is P1: a live server stays in its zone, except that primary and standby change places
// at a failover.
var serverZone = arm.Rule{ID: "P1", Code: "AvailabilityZoneCannotBeChanged", Broken: func(s arm.Subject) []arm.Finding {
	const path, standby = "availabilityZone", "highAvailability.standbyAvailabilityZone"
	before, after := s.Before.Text(path), s.In.Text(path)
	if s.Creating() || before == "" || after == "" || before == after ||
		s.Before.Text(standby) == after && s.In.Text(standby) == before {
		return nil
	}
	return arm.Found(path, "the primary cannot move from zone %s to %s; keep the zone (IgnoreChanges lets failovers pass)", before, after)
}}

// storageSizes are the sizes of a server's disk in GiB (rule P2).
var storageSizes = []float64{32, 64, 128, 256, 512, 1024, 2048, 4095, 4096, 8192, 16384, 32767}

// serverStorage is P2: the disk has one of Azure's sizes and never shrinks.
var serverStorage = arm.Rule{ID: "P2", Code: "InvalidStorageSize", Broken: func(s arm.Subject) []arm.Finding {
	const path = "storage.storageSizeGB"
	size, ok := s.In.Number(path)
	if !ok {
		return nil
	}
	var result []arm.Finding
	if !slices.Contains(storageSizes, size) {
		result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("storage of %g GB is not offered; use one of %v", size, storageSizes)})
	}
	if before, ok := s.Before.Number(path); ok && size < before {
		result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("storage cannot shrink from %g to %g GB; keep %g", before, size, before)})
	}
	return result
}}

// serverBackup is P2: backups are kept for 7 to 35 days.
var serverBackup = arm.Rule{ID: "P2", Code: "InvalidBackupRetention", Broken: func(s arm.Subject) []arm.Finding {
	days, ok := s.In.Number("backup.backupRetentionDays")
	if !ok || days >= 7 && days <= 35 {
		return nil
	}
	return arm.Found("backup.backupRetentionDays", "backups cannot be kept for %g days; use 7 to 35", days)
}}

// forbiddenLogins are names that PostgreSQL or Azure reserve for themselves (rule P3).
var forbiddenLogins = []string{"azure_superuser", "azure_pg_admin", "admin", "administrator", "root", "guest", "public"}

// serverLogin is P3: login and password belong to password authentication, both or none.
var serverLogin = arm.Rule{ID: "P3", Code: "InvalidAdministratorLogin", Broken: func(s arm.Subject) []arm.Finding {
	login, password := s.In.Has("administratorLogin"), s.In.Has("administratorLoginPassword")
	var result []arm.Finding
	switch {
	case s.In.Unsure("authConfig") || s.In.Unsure("authConfig.passwordAuth"):
	case s.In.Text("authConfig.passwordAuth") == "Disabled":
		if login || password {
			result = append(result, arm.Finding{
				Property: "administratorLogin",
				Message:  "password authentication is off; drop administratorLogin and administratorLoginPassword",
			})
		}
	default:
		if s.Creating() && (!login || !password) {
			result = append(result, arm.Finding{
				Property: "administratorLogin",
				Message:  "password authentication is on; set both administratorLogin and administratorLoginPassword",
			})
		}
	}
	name := s.In.Text("administratorLogin")
	if slices.Contains(forbiddenLogins, strings.ToLower(name)) || strings.HasPrefix(strings.ToLower(name), "pg_") {
		result = append(result, arm.Finding{Property: "administratorLogin", Message: fmt.Sprintf(
			"'%s' cannot be the login of an administrator: %s and names that start with pg_ are reserved", name,
			strings.Join(forbiddenLogins, ", "))})
	}
	return result
}}

// kindsOfCharacters are the kinds of characters; a password must have three of them.
var kindsOfCharacters = []*regexp.Regexp{
	regexp.MustCompile(`[A-Z]`), regexp.MustCompile(`[a-z]`), regexp.MustCompile(`[0-9]`), regexp.MustCompile(`[^A-Za-z0-9]`),
}

// serverPassword is P3: a password has 8 to 128 characters of three kinds. Azure was seen to return
// this code without the reason (reliable-web-app-pattern-java#98).
var serverPassword = arm.Rule{ID: "P3", Code: "InternalServerError", Broken: func(s arm.Subject) []arm.Finding {
	const path = "administratorLoginPassword"
	password := s.In.Text(path)
	if password == "" {
		return nil // none, unknown, or reported by another rule
	}
	kinds := 0
	for _, kind := range kindsOfCharacters {
		if kind.MatchString(password) {
			kinds++
		}
	}
	if length := utf8.RuneCountInString(password); length >= 8 && length <= 128 && kinds >= 3 {
		return nil
	}
	return arm.Found(path, "the password is not accepted; it needs 8 to 128 characters, and three of upper-case letters, lower-case letters, "+
		"digits and others")
}}

// serverSignIn is P4: there is a way to sign in, and Entra ID knows in which tenant.
var serverSignIn = arm.Rule{ID: "P4", Code: "InvalidAuthConfig", Broken: func(s arm.Subject) []arm.Finding {
	const path = "authConfig."
	var result []arm.Finding
	if s.In.Unsure("authConfig") || s.In.Unsure(path+"activeDirectoryAuth") || s.In.Unsure(path+"passwordAuth") {
		return result
	}
	entra := s.In.Text(path+"activeDirectoryAuth") == "Enabled"
	if !entra && s.In.Text(path+"passwordAuth") == "Disabled" {
		result = append(result, arm.Found(path+"activeDirectoryAuth", "neither passwords nor Entra ID can sign in; enable one of them")...)
	}
	// The typed SDK sends an empty text for a missing tenant.
	if entra && s.In.Text(path+"tenantId") == "" && !s.In.Unsure(path+"tenantId") {
		result = append(result, arm.Found(path+"tenantId", "Entra ID authentication needs its tenant; set tenantId")...)
	}
	return result
}}

// serverAccess is P6: a server in a virtual network has no public access, and needs its private DNS
// zone.
var serverAccess = arm.Rule{ID: "P6", Code: "InvalidNetworkConfiguration", Broken: func(s arm.Subject) []arm.Finding {
	if !s.In.Has("network.delegatedSubnetResourceId") {
		return nil
	}
	var result []arm.Finding
	if s.In.Text("network.publicNetworkAccess") == "Enabled" {
		result = append(result, arm.Finding{
			Property: "network.publicNetworkAccess",
			Message:  "a server in a virtual network cannot have public access; drop publicNetworkAccess",
		})
	}
	if !s.In.Has("network.privateDnsZoneArmResourceId") {
		result = append(result, arm.Finding{
			Property: "network.privateDnsZoneArmResourceId",
			Message:  "a server in a virtual network needs a private DNS zone; set privateDnsZoneArmResourceId",
		})
	}
	return result
}}

// serverZoneName is N5: the zone ends with postgres.database.azure.com and is not the server's own
// name.
var serverZoneName = arm.Rule{ID: "N5", Code: "InvalidPrivateDnsZoneName", Broken: func(s arm.Subject) []arm.Finding {
	const path = "network.privateDnsZoneArmResourceId"
	id := s.In.Text(path)
	if id == "" {
		return nil
	}
	zone := strings.ToLower(id[strings.LastIndex(id, "/")+1:])
	if !strings.HasSuffix(zone, postgresDomain) {
		return arm.Found(path, "the private DNS zone '%s' must end with %s; use <name>.private%s", zone, postgresDomain, postgresDomain)
	}
	if zone == strings.ToLower(s.In.Text("serverName"))+postgresDomain {
		return arm.Found(path, "the private DNS zone '%s' has the name of the server itself; use <name>.private%s", zone, postgresDomain)
	}
	return nil
}}

// serverMaintenance is P7: the maintenance window can be changed later, but not set at the
// creation.
var serverMaintenance = arm.Rule{ID: "P7", Code: "MaintenanceWindowNotSupportedAtCreate", Broken: func(s arm.Subject) []arm.Finding {
	if !s.Creating() || !s.In.Has("maintenanceWindow") {
		return nil
	}
	return arm.Found("maintenanceWindow", "a maintenance window cannot be set when the server is created; leave it out and set it later")
}}

// serverSubnet is N4: the subnet is /28 or larger, delegated to PostgreSQL servers, and holds
// nothing else.
var serverSubnet = arm.Rule{ID: "N4", Code: "InvalidSubnetForFlexibleServer", Broken: func(s arm.Subject) []arm.Finding {
	const path = "network.delegatedSubnetResourceId"
	id := s.In.Text(path)
	subnet, ok := subnetOf(s.Cloud, id)
	if !ok {
		return nil // none, or reported as a missing reference
	}
	var result []arm.Finding
	if service := delegationOf(subnet); !strings.EqualFold(service, serverDelegation) {
		result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf(
			"subnet '%s' is delegated to '%s'; delegate it to %s", id, service, serverDelegation)})
	}
	for _, text := range prefixesOf(subnet) {
		if prefix, err := parsePrefix(text); err == nil && prefix.Bits() > 28 {
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf("subnet '%s' (%s) is too small; it must be /28 or larger", id, text)})
		}
	}
	others := slices.DeleteFunc(tenantsOf(s.Cloud, id), func(r *arm.Record) bool { return r.Kind == typeServer })
	if len(others) > 0 {
		result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf(
			"subnet '%s' has other resources in it (%s); give PostgreSQL a subnet of its own", id, arm.NameList(others))})
	}
	return result
}}

// serverZoneLink is N5: the zone is linked to the server's virtual network before the server
// exists. Azure does not check this any more, and the server's name silently does not resolve; here
// it is an error.
var serverZoneLink = arm.Rule{ID: "N5", Code: "PrivateDnsZoneNotLinked", Broken: func(s arm.Subject) []arm.Finding {
	zone := s.In.Text("network.privateDnsZoneArmResourceId")
	network, ok := arm.Ancestor(s.In.Text("network.delegatedSubnetResourceId"), typeNetwork)
	if !ok || s.Cloud.Find(zone) == nil {
		return nil // none, or reported as a missing reference
	}
	if linked(s.Cloud, zone, network) {
		return nil
	}
	return arm.Found("network.privateDnsZoneArmResourceId",
		"private DNS zone '%s' is not linked to '%s', so that the server's name would not resolve. Create the VirtualNetworkLink first, "+
			"and let the server depend on it", zone, network)
}}

// administratorInputs is P4: the facts about a principal that Azure requires.
var administratorInputs = arm.Rule{ID: "P4", Code: "InvalidAdministrator", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for _, name := range []string{"principalName", "principalType", "tenantId"} {
		if !s.In.Has(name) {
			result = append(result, arm.Finding{Property: name, Message: fmt.Sprintf("an administrator needs %s; set it", name)})
		}
	}
	return append(result, s.OneOf("principalType", "User", "Group", "ServicePrincipal")...)
}}

// administratorNeedsEntra is P4: an administrator of Entra ID needs a server that lets Entra ID
// sign in.
var administratorNeedsEntra = arm.Rule{ID: "P4", Code: "AadAuthNotEnabled", Broken: func(s arm.Subject) []arm.Finding {
	owner, _ := arm.Ancestor(s.ID, typeServer)
	server := s.Cloud.Find(owner)
	if server == nil || server.Inputs.Text("authConfig.activeDirectoryAuth") == "Enabled" {
		return nil
	}
	return arm.Found("serverName", "server '%s' has no Entra ID authentication; set authConfig.activeDirectoryAuth to Enabled", owner)
}}
