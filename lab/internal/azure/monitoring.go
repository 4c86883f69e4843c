package azure

import (
	"regexp"

	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20210501preview"
	operationalinsights "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20230901"
)

// monitoringTypes are Log Analytics workspaces and the diagnostic settings that send logs there.
func monitoringTypes() []definition {
	return []definition{
		typed[operationalinsights.Workspace, operationalinsights.WorkspaceArgs](definition{
			path: "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.OperationalInsights/workspaces/{workspaceName}",
			name: nameRule{
				pattern: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$`),
				say:     "4 to 63 letters, digits and hyphens, a letter or digit first and last",
			},
			immutable: []string{"location"},
			checks:    []rule{workspaceRetention},
			inUse:     "WorkspaceInUse",
			compute:   func(s subject) document { return document{"customerId": guidFor(s.id, "customer")} },
		}),
		typed[insights.DiagnosticSetting, insights.DiagnosticSettingArgs](definition{
			path: "{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
			name: nameRule{
				pattern: regexp.MustCompile(`^[^*<>%&:\\?+/]{1,260}$`),
				say:     "1 to 260 characters, none of * < > % & : \\ ? + /",
			},
			checks: []rule{settingDestination, settingSources},
		}),
	}
}

// workspaceRetention: a workspace that is paid per GB keeps logs for 30 to 730 days.
var workspaceRetention = rule{id: "Logs", code: "InvalidRetentionInDays", broken: func(s subject) []finding {
	var result []finding
	if sku := s.in.text("sku.name"); sku != "" && sku != "PerGB2018" {
		result = append(result, found("sku.name", "SKU '%s' is not offered to new workspaces; use PerGB2018", sku)...)
	}
	if days, ok := s.in.number("retentionInDays"); ok && (days < 30 || days > 730) {
		result = append(result, found("retentionInDays", "logs cannot be kept for %g days; use 30 to 730", days)...)
	}
	return result
}}

// settingDestination: logs must go somewhere.
var settingDestination = rule{code: "BadRequest", broken: func(s subject) []finding {
	for _, path := range []string{"workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId"} {
		if s.in.has(path) {
			return nil
		}
	}
	return found("workspaceId", "at least one data sink needs to be specified; set workspaceId")
}}

// settingSources: something must be sent, and each log is named by its category or by a group of categories, not by both.
var settingSources = rule{code: "BadRequest", broken: func(s subject) []finding {
	if !s.in.has("logs") && !s.in.has("metrics") {
		return found("logs", "a diagnostic setting without logs and metrics sends nothing; set one of them")
	}
	var result []finding
	for i, log := range s.in.documents("logs") {
		if log.has("category") == log.has("categoryGroup") {
			result = append(result, found(indexed("logs", i), "set either category or categoryGroup")...)
		}
	}
	return result
}}
