package policy

import "fmt"

func noAdminUser(r Resource, _ string) []finding {
	if r.kind() == "containerregistry:Registry" && r.at("adminUserEnabled").isTrue() {
		return []finding{{
			"the admin user is enabled: one password, shared by all, that no directory can revoke",
			"set adminUserEnabled to false; nodes pull and pipelines push with their identities",
		}}
	}
	return nil
}

func noPasswordOnly(r Resource, _ string) []finding {
	switch r.kind() {
	case "dbforpostgresql:Server":
		if entra := r.at("authConfig", "activeDirectoryAuth"); !entra.may("Enabled") {
			return []finding{{
				fmt.Sprintf("nobody signs in but with a password: authConfig.activeDirectoryAuth is %s", entra),
				"set authConfig.activeDirectoryAuth to Enabled",
			}}
		}
	case "containerservice:ManagedCluster":
		if off := r.at("disableLocalAccounts"); !off.unknown() && !off.isTrue() {
			return []finding{{
				fmt.Sprintf("local accounts bypass the directory: disableLocalAccounts is %s", off),
				"set disableLocalAccounts to true",
			}}
		}
	}
	return nil
}
