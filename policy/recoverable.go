package policy

import "fmt"

const (
	// prodBackupDays is how long the backups of prod's databases are kept at least: long enough to
	// notice a loss after holidays.
	prodBackupDays = 14
	// logDays is how long logs are kept at least: an intrusion is often found only after weeks.
	logDays = 30
)

// recoverable requires a way to recover from a deletion, or from the loss of a region.
func recoverable(r Resource, environment string) []finding {
	prod := environment == "prod"
	var found []finding
	switch r.kind() {
	case "keyvault:Vault":
		found = r.mustBeTrue("a deleted vault is gone at once", "properties", "enableSoftDelete")
		if prod {
			found = append(found,
				r.mustBeTrue("a deleted vault can be purged, with all its secrets", "properties", "enablePurgeProtection")...)
		}
	case "dbforpostgresql:Server":
		backup := r.at("backup")
		if prod {
			found = atLeast(backup.at("backupRetentionDays"), prodBackupDays, "backup.backupRetentionDays", "backups are kept too short")
		}
		if prod && !backup.at("geoRedundantBackup").may("Enabled") {
			found = append(found, finding{
				fmt.Sprintf("the backups are lost with the region: backup.geoRedundantBackup is %s", backup.at("geoRedundantBackup")),
				"set backup.geoRedundantBackup to Enabled",
			})
		}
	case "operationalinsights:Workspace":
		found = atLeast(r.at("retentionInDays"), logDays, "retentionInDays", "logs are deleted too early")
	}
	return found
}

func atLeast(value property, least float64, path, meaning string) []finding {
	if value.unknown() || value.value.IsNumber() && value.value.NumberValue() >= least {
		return nil
	}
	return []finding{{fmt.Sprintf("%s: %s is %s", meaning, path, value), fmt.Sprintf("set %s to %g or more", path, least)}}
}
