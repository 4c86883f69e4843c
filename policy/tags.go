package policy

import (
	"fmt"
	"slices"
	"strings"
)

// requiredTags are on every resource: what it belongs to, who answers for it, who pays, and where
// to change it.
var requiredTags = []string{"cost-centre", "environment", "managed-by", "owner"}

// untaggable are the types among those of the platform, and next to them, that have no tags; every
// other type of Azure has them until a test against the SDK's own types says otherwise. Sorted.
var untaggable = []string{
	"authorization:ManagementLockByScope",
	"authorization:PolicyAssignment",
	"authorization:RoleAssignment",
	"consumption:Budget",
	"containerregistry:CacheRule",
	"containerregistry:ScopeMap",
	"containerregistry:Token",
	"containerservice:MaintenanceConfiguration",
	"dbforpostgresql:Administrator",
	"dbforpostgresql:Configuration",
	"dbforpostgresql:Database",
	"dbforpostgresql:FirewallRule",
	"dbforpostgresql:VirtualEndpoint",
	"insights:DataCollectionRuleAssociation",
	"insights:DiagnosticSetting",
	"managedidentity:FederatedIdentityCredential",
	"network:PrivateDnsZoneGroup",
	"network:PrivateRecordSet",
	"network:Route",
	"network:SecurityRule",
	"network:Subnet",
	"network:VirtualNetworkPeering",
	"operationalinsights:Query", // its tags are lists, for people who look for a query
}

func tags(r Resource, environment string) []finding {
	if r.kind() == "" || slices.Contains(untaggable, r.kind()) {
		return nil
	}
	var missing []string
	for _, tag := range requiredTags {
		if value := r.at("tags", tag); !value.unknown() && value.empty() {
			missing = append(missing, tag)
		}
	}
	var found []finding
	if len(missing) > 0 {
		found = append(found, finding{
			"missing or empty: " + strings.Join(missing, ", "),
			"give it the tags " + strings.Join(requiredTags, ", "),
		})
	}
	if value := r.at("tags", "environment"); !value.empty() && !value.may(environment) {
		found = append(found, finding{
			fmt.Sprintf("the tag environment is %s in the stack %s", value, environment),
			"set it to " + environment,
		})
	}
	return found
}
