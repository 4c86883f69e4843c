package policy

import (
	"fmt"
	"slices"
	"strings"
)

// watched are the types that must send their logs and metrics somewhere.
var watched = []string{
	"containerregistry:Registry",
	"containerservice:ManagedCluster",
	"dbforpostgresql:Server",
	"keyvault:Vault",
	"network:ApplicationGateway",
	"network:NetworkSecurityGroup",
	"network:PublicIPAddress",
	"network:VirtualNetwork",
}

// setting is the type of a diagnostic setting, and target its property with the ARM id of what it
// watches.
const (
	setting = "DiagnosticSetting"
	target  = "resourceUri"
)

func isSetting(token string) bool {
	return strings.HasPrefix(token, "azure-native:") && strings.HasSuffix(token, ":"+setting)
}

// diagnostics looks for a diagnostic setting of every watched resource.
//
// A resource's ARM id is not known at its first preview, so a comparison of ids would find nothing.
// The resources that a property's value was made of are always known: the setting must refer to the
// resource, not spell its id.
func diagnostics(rs []Resource) map[int][]finding {
	var referred []string
	for _, r := range rs {
		if isSetting(r.Type) {
			referred = append(referred, r.References[target]...)
		}
	}
	found := map[int][]finding{}
	for i, r := range rs {
		if slices.Contains(watched, r.kind()) && !slices.Contains(referred, r.URN) {
			found[i] = []finding{{
				"no diagnostic setting of this stack refers to it",
				"register a DiagnosticSetting whose " + target + " is the id output of the resource",
			}}
		}
	}
	return found
}

// sinks are the properties of a diagnostic setting that name where its logs go.
var sinks = []string{"workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId"}

// logsOn refuses a diagnostic setting that sends nothing, or that lacks the record of who did what:
// the category groups allLogs and audit have it, and so do kube-audit and guard of AKS, which
// together cost less. Source: learn.microsoft.com, "Diagnostic settings in Azure Monitor" (category
// groups) and "Azure Kubernetes Service monitoring data reference".
func logsOn(r Resource, _ string) []finding {
	if !isSetting(r.Type) {
		return nil
	}
	var found []finding
	if !slices.ContainsFunc(sinks, func(sink string) bool { return !r.at(sink).empty() }) {
		found = append(found, finding{"it sends its logs nowhere", "set workspaceId"})
	}
	audited, kubernetes, signIns := false, false, false
	for _, name := range []string{"logs", "metrics"} {
		for _, entry := range r.at(name).elements() {
			on := entry.at("enabled")
			if !on.unknown() && !on.isTrue() {
				found = append(found, finding{
					fmt.Sprintf("%s %s %s is off: enabled is %s", name, entry.at("categoryGroup").text(), entry.at("category").text(), on),
					"set enabled to true, or leave the entry out",
				})
				continue
			}
			group, category := entry.at("categoryGroup"), entry.at("category")
			audited = audited || group.may("allLogs", "audit")
			kubernetes = kubernetes || category.may("kube-audit", "kube-audit-admin")
			signIns = signIns || category.may("guard")
		}
	}
	if logs := r.at("logs"); !logs.unknown() && !audited && (!kubernetes || !signIns) {
		found = append(found, finding{
			"its logs do not say who did what",
			"send the category group allLogs or audit, or, of a cluster, the categories kube-audit-admin and guard",
		})
	}
	return found
}
