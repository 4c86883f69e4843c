package services

import (
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// diagnostics is what a diagnostic setting can send from a resource type.
type diagnostics struct {
	// logs are the categories of its logs; groups are the groups of categories that it has.
	logs, groups []string
	// metrics is set when the type has the category AllMetrics.
	metrics bool
}

var (
	allLogs  = []string{"allLogs"}
	andAudit = []string{"allLogs", "audit"}
)

// diagnosed are the types that have diagnostic settings, by ARM type in lower case. A type that is
// not listed has none. Source: azure-monitor-docs reference/supported-logs, 16 April 2025; where it
// names no groups, they are inferred `log-category-groups`.
var diagnosed = map[string]diagnostics{
	strings.ToLower(typeCluster): {[]string{
		"kube-apiserver", "kube-audit", "kube-audit-admin", "kube-controller-manager", "kube-scheduler", "cluster-autoscaler",
		"cloud-controller-manager", "guard", "csi-azuredisk-controller", "csi-azurefile-controller", "csi-snapshot-controller",
		"fleet-member-agent", "fleet-member-net-controller-manager", "fleet-mcs-controller-manager",
	}, andAudit, true},
	strings.ToLower(typeRegistry): {[]string{"ContainerRegistryRepositoryEvents", "ContainerRegistryLoginEvents"}, andAudit, true},
	strings.ToLower(typeVault):    {[]string{"AuditEvent", "AzurePolicyEvaluationDetails"}, andAudit, true},
	strings.ToLower(typeServer): {[]string{
		"PostgreSQLLogs", "PostgreSQLFlexSessions", "PostgreSQLFlexQueryStoreRuntime", "PostgreSQLFlexQueryStoreWaitStats",
		"PostgreSQLFlexTableStats", "PostgreSQLFlexDatabaseXacts", "PostgreSQLFlexPGBouncer",
	}, andAudit, true},
	strings.ToLower(typeGateway): {[]string{
		"ApplicationGatewayAccessLog", "ApplicationGatewayPerformanceLog", "ApplicationGatewayFirewallLog",
	}, allLogs, true},
	strings.ToLower(typeSecurityGroup): {[]string{"NetworkSecurityGroupEvent", "NetworkSecurityGroupRuleCounter"}, allLogs, false},
	strings.ToLower(typeAddress): {[]string{
		"DDoSProtectionNotifications", "DDoSMitigationFlowLogs", "DDoSMitigationReports",
	}, andAudit, true},
	strings.ToLower(typeNetwork):         {[]string{"VMProtectionAlerts"}, allLogs, true},
	strings.ToLower(typeWorkspace):       {[]string{"Audit", "SummaryLogs", "Jobs"}, andAudit, true},
	strings.ToLower(typePrivateEndpoint): {metrics: true},
	strings.ToLower(arm.TypeSubscription): {logs: []string{
		"Administrative", "Security", "ServiceHealth", "Alert", "Recommendation", "Policy", "Autoscale", "ResourceHealth",
	}},
}

// sinks are the inputs that name the destination of a diagnostic setting.
var sinks = []string{"workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId"}

// settingDestination: logs must go somewhere.
var settingDestination = arm.Rule{ID: "Logs", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	result := s.OneOf("logAnalyticsDestinationType", "Dedicated", "AzureDiagnostics")
	if slices.ContainsFunc(sinks, s.In.Has) {
		return result
	}
	return append(result, arm.Found("workspaceId", "at least one data sink needs to be specified; set workspaceId")...)
}}

// settingSources: something must be sent, and each log is named by its category or by a group of
// categories, not by both.
var settingSources = arm.Rule{ID: "Logs", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	if !s.In.Has("logs") && !s.In.Has("metrics") {
		return arm.Found("logs", "a diagnostic setting without logs and metrics sends nothing; set one of them")
	}
	var result []arm.Finding
	grouped, single := false, false
	for i, log := range s.In.Documents("logs") {
		if log.Has("category") == log.Has("categoryGroup") {
			result = append(result, arm.Found(arm.Indexed("logs", i), "set either category or categoryGroup")...)
			continue
		}
		grouped, single = grouped || log.Has("categoryGroup"), single || log.Has("category")
	}
	if grouped && single {
		result = append(result, arm.Found("logs", "categories and groups of categories cannot be mixed in one setting; use one of them")...)
	}
	return result
}}

// settingCategories: a type has its own categories of logs, and maybe metrics.
var settingCategories = arm.Rule{ID: "Logs", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	target, err := arm.ParseID(s.In.Text("resourceUri"))
	if err != nil {
		return nil // unknown in a preview, or reported as a bad reference
	}
	kind := target.Kind()
	offered, ok := diagnosed[strings.ToLower(kind)]
	if !ok {
		return arm.Found("resourceUri", "The resource type '%s' does not support diagnostic settings; drop the setting", kind)
	}
	var result []arm.Finding
	for i, log := range s.In.Documents("logs") {
		if name := log.Text("category"); name != "" && !containsFold(offered.logs, name) {
			result = append(result, arm.Found(arm.Indexed("logs", i)+".category", "Category '%s' is not supported for type '%s'; it has %s",
				name, kind, strings.Join(offered.logs, ", "))...)
		}
		if name := log.Text("categoryGroup"); name != "" && !containsFold(offered.groups, name) {
			result = append(result, arm.Found(arm.Indexed("logs", i)+".categoryGroup", "Category group '%s' is not supported for type '%s'; it has: %s",
				name, kind, strings.Join(offered.groups, ", "))...)
		}
	}
	for i, metric := range s.In.Documents("metrics") {
		name := metric.Text("category")
		switch {
		case !offered.metrics:
			result = append(result, arm.Found(arm.Indexed("metrics", i), "Metric category '%s' is not supported for type '%s', which has no metrics; drop it", name, kind)...)
		case name != "" && !strings.EqualFold(name, "AllMetrics"):
			result = append(result, arm.Found(arm.Indexed("metrics", i)+".category", "Metric category '%s' is not supported for type '%s'; use AllMetrics", name, kind)...)
		}
	}
	return result
}}

// settingsAtMost is how many diagnostic settings a resource can have.
const settingsAtMost = 5

// settingUnique: a resource has at most five settings, and no two that send one category to one
// place.
var settingUnique = arm.Rule{ID: "Logs", Code: "Conflict", Broken: func(s arm.Subject) []arm.Finding {
	var others []*arm.Record
	for _, r := range s.Cloud.Present() {
		if strings.EqualFold(r.Kind, typeSetting) && arm.Key(r.ID) != arm.Key(s.ID) && arm.Key(r.Inputs.Text("resourceUri")) == arm.Key(s.In.Text("resourceUri")) {
			others = append(others, r)
		}
	}
	if len(others) >= settingsAtMost {
		return arm.Found("name", "'%s' has %d diagnostic settings already, the most that there can be: %s; change one of these",
			s.In.Text("resourceUri"), len(others), arm.NameList(others))
	}
	var result []arm.Finding
	for _, other := range others {
		for _, sink := range sinks {
			if !s.In.Has(sink) || arm.Key(s.In.Text(sink)) != arm.Key(other.Inputs.Text(sink)) {
				continue
			}
			for _, category := range sentBy(s.In) {
				if slices.Contains(sentBy(other.Inputs), category) {
					result = append(result, arm.Found(sink, "Data sink '%s' is already used in diagnostic setting '%s' for category '%s'; "+
						"send each category to one place once", s.In.Text(sink), other.ID, category)...)
				}
			}
		}
	}
	return result
}}

// sentBy returns the categories and groups that a diagnostic setting sends.
func sentBy(in arm.Document) []string {
	var result []string
	for _, entry := range slices.Concat(in.Documents("logs"), in.Documents("metrics")) {
		if entry.Flag("enabled") {
			result = append(result, strings.ToLower(entry.Text("category")+entry.Text("categoryGroup")))
		}
	}
	return result
}

// containsFold says whether a list has a text, whatever its case.
func containsFold(list []string, text string) bool {
	return slices.ContainsFunc(list, func(item string) bool { return strings.EqualFold(item, text) })
}
