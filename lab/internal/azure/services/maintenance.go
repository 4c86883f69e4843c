package services

import (
	"regexp"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// defaultMaintenance is the name of the maintenance configuration for the releases of AKS itself;
// the other two are for automatic upgrades of Kubernetes and of the nodes' system.
const defaultMaintenance = "default"

// maintenanceTypes are the times at which AKS may work on a cluster.
func maintenanceTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[containerservice.MaintenanceConfiguration, containerservice.MaintenanceConfigurationArgs](arm.Definition{
			Path: clusterPath + "/maintenanceConfigurations/{configName}",
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^(default|aksManagedAutoUpgradeSchedule|aksManagedNodeOSUpgradeSchedule)$`), ID: "K6",
				Say: "default, aksManagedAutoUpgradeSchedule or aksManagedNodeOSUpgradeSchedule",
			},
			Serial: onePoolAtATime,
			Checks: []arm.Rule{maintenanceForm, maintenanceWindow},
		}),
	}
}

// maintenanceForm is K6: the configuration default has slots in the week, the schedules of upgrades
// have a window.
var maintenanceForm = arm.Rule{ID: "K6", Code: "InvalidMaintenanceConfiguration", Broken: func(s arm.Subject) []arm.Finding {
	name := s.In.Text("configName")
	if name == "" {
		return nil
	}
	weekly, window := s.In.Has("timeInWeek"), s.In.Has("maintenanceWindow")
	switch {
	case name != defaultMaintenance && (weekly || s.In.Has("notAllowedTime")):
		return arm.Found("timeInWeek", "configuration %s has a maintenanceWindow, and neither timeInWeek nor notAllowedTime; drop these", name)
	case name != defaultMaintenance && !window:
		return arm.Found("maintenanceWindow", "configuration %s needs a maintenanceWindow; set it", name)
	case name == defaultMaintenance && window && otherThanWeekly(s.In.Document("maintenanceWindow.schedule")):
		return arm.Found("maintenanceWindow.schedule", "configuration default comes back weekly only; set schedule.weekly")
	case name == defaultMaintenance && weekly == window:
		return arm.Found("timeInWeek", "configuration default needs either timeInWeek or maintenanceWindow; set one of them")
	default:
		return nil
	}
}}

// otherThanWeekly: the releases of AKS take a weekly window only. Source: azure-aks-docs
// planned-maintenance, 19 December 2025.
func otherThanWeekly(schedule arm.Document) bool {
	return schedule.Has("daily") || schedule.Has("absoluteMonthly") || schedule.Has("relativeMonthly")
}

var (
	clockTime   = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	clockOffset = regexp.MustCompile(`^[+-](0[0-9]|1[0-4]):[0-5][0-9]$`)
	isoDate     = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`)
)

// maintenanceWindow is K6: a window has real times, where the schema asks for digits only, and
// comes back by exactly one schedule.
var maintenanceWindow = arm.Rule{ID: "K6", Code: "InvalidMaintenanceWindow", Broken: func(s arm.Subject) []arm.Finding {
	const path = "maintenanceWindow."
	window := s.In.Document("maintenanceWindow")
	if window == nil {
		return nil
	}
	var result []arm.Finding
	for _, text := range []struct {
		name, form string
		pattern    *regexp.Regexp
	}{
		{"startTime", "HH:MM", clockTime}, {"utcOffset", "+HH:MM or -HH:MM", clockOffset}, {"startDate", "YYYY-MM-DD", isoDate},
	} {
		if value := window.Text(text.name); value != "" && !text.pattern.MatchString(value) {
			result = append(result, arm.Found(path+text.name, "%s is '%s'; write it as %s", text.name, value, text.form)...)
		}
	}
	if !window.Unsure("schedule") {
		result = append(result, scheduleFindings(path+"schedule", window.Document("schedule"))...)
	}
	return result
}}

// scheduleFindings: exactly one kind of schedule.
func scheduleFindings(path string, schedule arm.Document) []arm.Finding {
	given := 0
	for _, kind := range []string{"daily", "weekly", "absoluteMonthly", "relativeMonthly"} {
		if schedule.Has(kind) {
			given++
		}
	}
	if given == 1 {
		return nil
	}
	return arm.Found(path, "a maintenance window has exactly one schedule of daily, weekly, absoluteMonthly and relativeMonthly, not %d", given)
}
