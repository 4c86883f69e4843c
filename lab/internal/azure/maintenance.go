package azure

import (
	"regexp"
	"slices"
	"strings"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
)

// defaultMaintenance is the name of the maintenance configuration for the releases of AKS itself; the other two are for
// automatic upgrades of Kubernetes and of the nodes' system.
const defaultMaintenance = "default"

// maintenanceTypes are the times at which AKS may work on a cluster.
func maintenanceTypes() []definition {
	return []definition{
		typed[containerservice.MaintenanceConfiguration, containerservice.MaintenanceConfigurationArgs](definition{
			path: clusterPath + "/maintenanceConfigurations/{configName}",
			name: nameRule{
				pattern: regexp.MustCompile(`^(default|aksManagedAutoUpgradeSchedule|aksManagedNodeOSUpgradeSchedule)$`), id: "K6",
				say: "default, aksManagedAutoUpgradeSchedule or aksManagedNodeOSUpgradeSchedule",
			},
			serial: onePoolAtATime,
			checks: []rule{maintenanceForm, maintenanceWindow},
		}),
	}
}

// maintenanceForm is K6: the configuration default has slots in the week, the schedules of upgrades have a window.
var maintenanceForm = rule{id: "K6", code: "InvalidMaintenanceConfiguration", broken: func(s subject) []finding {
	name := s.in.text("configName")
	if name == "" {
		return nil
	}
	weekly, window := s.in.has("timeInWeek"), s.in.has("maintenanceWindow")
	switch {
	case name != defaultMaintenance && (weekly || s.in.has("notAllowedTime")):
		return found("timeInWeek", "configuration %s has a maintenanceWindow, and neither timeInWeek nor notAllowedTime; drop these", name)
	case name != defaultMaintenance && !window:
		return found("maintenanceWindow", "configuration %s needs a maintenanceWindow; set it", name)
	case name == defaultMaintenance && weekly == window:
		return found("timeInWeek", "configuration default needs either timeInWeek or maintenanceWindow; set one of them")
	default:
		return nil
	}
}}

var (
	clockTime   = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	clockOffset = regexp.MustCompile(`^[+-](0[0-9]|1[0-4]):[0-5][0-9]$`)
	isoDate     = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`)
	weekdays    = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
)

// maintenanceWindow is K6: a window lasts 4 to 24 hours and comes back by exactly one schedule.
var maintenanceWindow = rule{id: "K6", code: "InvalidMaintenanceWindow", broken: func(s subject) []finding {
	const path = "maintenanceWindow."
	window := s.in.document("maintenanceWindow")
	if window == nil {
		return nil
	}
	var result []finding
	if hours, ok := window.number("durationHours"); ok && (hours < 4 || hours > 24) {
		result = append(result, found(path+"durationHours", "a maintenance window lasts 4 to 24 hours, not %g", hours)...)
	}
	for _, text := range []struct {
		name, form string
		pattern    *regexp.Regexp
	}{
		{"startTime", "HH:MM", clockTime}, {"utcOffset", "+HH:MM or -HH:MM", clockOffset}, {"startDate", "YYYY-MM-DD", isoDate},
	} {
		if value := window.text(text.name); value != "" && !text.pattern.MatchString(value) {
			result = append(result, found(path+text.name, "%s is '%s'; write it as %s", text.name, value, text.form)...)
		}
	}
	if !window.unsure("schedule") {
		result = append(result, scheduleFindings(path+"schedule", window.document("schedule"))...)
	}
	return result
}}

// scheduleFindings: exactly one kind of schedule, with its bounds.
func scheduleFindings(path string, schedule document) []finding {
	var given []string
	for _, kind := range []string{"daily", "weekly", "absoluteMonthly", "relativeMonthly"} {
		if schedule.has(kind) {
			given = append(given, kind)
		}
	}
	if len(given) != 1 {
		return found(path, "a maintenance window has exactly one schedule of daily, weekly, absoluteMonthly and relativeMonthly, not %d", len(given))
	}
	kind := given[0]
	inner := schedule.document(kind)
	path += "." + kind + "."
	var result []finding
	for _, bound := range []struct {
		kind, name string
		most       float64
	}{
		{"daily", "intervalDays", 7},
		{"weekly", "intervalWeeks", 4},
		{"absoluteMonthly", "intervalMonths", 6},
		{"absoluteMonthly", "dayOfMonth", 31},
		{"relativeMonthly", "intervalMonths", 6},
	} {
		if value, ok := inner.number(bound.name); bound.kind == kind && ok && (value < 1 || value > bound.most) {
			result = append(result, found(path+bound.name, "%s is %g; use 1 to %g", bound.name, value, bound.most)...)
		}
	}
	if day := inner.text("dayOfWeek"); day != "" && !slices.Contains(weekdays, day) {
		result = append(result, found(path+"dayOfWeek", "'%s' is no day of the week; use %s", day, strings.Join(weekdays, ", "))...)
	}
	weeks := []string{"First", "Second", "Third", "Fourth", "Last"}
	if week := inner.text("weekIndex"); week != "" && !slices.Contains(weeks, week) {
		result = append(result, found(path+"weekIndex", "'%s' is no week of a month; use %s", week, strings.Join(weeks, ", "))...)
	}
	return result
}
