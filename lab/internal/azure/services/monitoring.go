package services

import (
	"fmt"
	"regexp"
	"strings"

	insights "github.com/pulumi/pulumi-azure-native-sdk/insights/v2/v20210501preview"
	operationalinsights "github.com/pulumi/pulumi-azure-native-sdk/operationalinsights/v2/v20230901"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// ARM types that rules look for.
const (
	typeWorkspace = "Microsoft.OperationalInsights/workspaces"
	typeSetting   = "Microsoft.Insights/diagnosticSettings"
)

// monitoringTypes are Log Analytics workspaces and the diagnostic settings that send logs there.
func monitoringTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[operationalinsights.Workspace, operationalinsights.WorkspaceArgs](arm.Definition{
			Path: "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.OperationalInsights/workspaces/{workspaceName}",
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$`),
				Say:     "4 to 63 letters, digits and hyphens, a letter or digit first and last",
			},
			Immutable: []string{"location"},
			Checks:    []arm.Rule{workspaceRetention},
			InUse:     "WorkspaceInUse",
			SoftDeletes: &arm.SoftDeletion{
				Conflict: workspaceConflict,
				Recovers: func(s arm.Subject, gone *arm.Record) bool {
					return strings.EqualFold(s.Location(), gone.Outputs.Text("location"))
				},
			},
			Compute: func(s arm.Subject) arm.Document { return arm.Document{"customerId": s.Issued("customer")} },
		}),
		arm.Typed[insights.DiagnosticSetting, insights.DiagnosticSettingArgs](arm.Definition{
			Path: "{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[^*<>%&:\\?+/]{1,260}$`),
				Say:     "1 to 260 characters, none of * < > % & : \\ ? + /",
			},
			Refers:  map[string]string{"workspaceId": typeWorkspace},
			Checks:  []arm.Rule{settingDestination, settingSources, settingCategories},
			Demands: []arm.Rule{settingUnique},
		}),
	}
}

// workspaceConflict is Azure's answer to a name that a deleted workspace of another location still
// has. A workspace that is created in the old location is the deleted one again, with its logs.
// Source: "Workspaces - Delete" of the Log Analytics REST API 2025-07-01, and for the answer
// azure-docs#41719.
func workspaceConflict(gone *arm.Record) arm.Violation {
	return arm.Violation{Code: "Conflict", Property: "workspaceName", Message: fmt.Sprintf(
		"The workspace name is not unique: '%s' was deleted in %s, and keeps its name for 14 days. Create it there again, which brings it and "+
			"its logs back, and delete it with force, or use another name",
		gone.ID, gone.Outputs.Text("location"))}
}

// workspaceRetention: a workspace that is paid per GB keeps logs for 30 to 730 days.
var workspaceRetention = arm.Rule{ID: "Logs", Code: "InvalidRetentionInDays", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	if sku := s.In.Text("sku.name"); sku != "" && sku != "PerGB2018" {
		result = append(result, arm.Found("sku.name", "SKU '%s' is not offered to new workspaces; use PerGB2018", sku)...)
	}
	if days, ok := s.In.Number("retentionInDays"); ok && (days < 30 || days > 730) {
		result = append(result, arm.Found("retentionInDays", "logs cannot be kept for %g days; use 30 to 730", days)...)
	}
	return result
}}
