package policy

import (
	"fmt"
	"slices"
)

func noAdminUser(r Resource, _ string) []finding {
	if r.kind() != "containerregistry:Registry" {
		return nil
	}
	var found []finding
	if r.at("adminUserEnabled").isTrue() {
		found = append(found, finding{
			"the admin user is enabled: one password, shared by all, that no directory can revoke",
			"set adminUserEnabled to false; nodes pull and pipelines push with their identities",
		})
	}
	if r.at("anonymousPullEnabled").isTrue() {
		found = append(found, finding{"images are pulled without signing in", "set anonymousPullEnabled to false"})
	}
	return found
}

func noPasswordOnly(r Resource, _ string) []finding {
	switch r.kind() {
	case "dbforpostgresql:Server":
		if entra := r.at("authConfig", "activeDirectoryAuth"); !entra.may("Enabled") {
			return []finding{{
				fmt.Sprintf("a password is the only way to sign in: authConfig.activeDirectoryAuth is %s", entra),
				"set authConfig.activeDirectoryAuth to Enabled",
			}}
		}
	case "containerservice:ManagedCluster":
		return slices.Concat(
			r.mustBeTrue("local accounts bypass the directory", "disableLocalAccounts"),
			r.mustBeTrue("workloads need passwords", "oidcIssuerProfile", "enabled"),
			r.mustBeTrue("workloads need passwords", "securityProfile", "workloadIdentity", "enabled"),
		)
	}
	return nil
}
