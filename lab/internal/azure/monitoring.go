package azure

import (
	"regexp"

	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20210501preview"
	operationalinsights "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20230901"
)

// ARM types that rules look for.
const (
	typeWorkspace = "Microsoft.OperationalInsights/workspaces"
	typeSetting   = "Microsoft.Insights/diagnosticSettings"
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
			refers:  map[string]string{"workspaceId": typeWorkspace},
			checks:  []rule{settingDestination, settingSources, settingCategories},
			demands: []rule{settingUnique},
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
