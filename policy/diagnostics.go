package policy

import (
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

// setting is the type of a diagnostic setting, and target its property with the ARM id of what it watches.
const (
	setting = "DiagnosticSetting"
	target  = "resourceUri"
)

func isSetting(token string) bool {
	return strings.HasPrefix(token, "azure-native:") && strings.HasSuffix(token, ":"+setting)
}

// diagnostics looks for a diagnostic setting of every watched resource.
//
// A resource's ARM id is not known at its first preview, so that nothing could be found by comparing ids. What is known at any
// time is which resources the value of a property was made of: the setting must refer to the resource, not spell its id.
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
