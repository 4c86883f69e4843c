package services

import (
	"regexp"
	"strings"

	locks "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20200501"
	policies "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220601"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// ARM types that rules look for.
const (
	typeLock             = "Microsoft.Authorization/locks"
	typePolicyAssignment = "Microsoft.Authorization/policyAssignments"
)

// governanceTypes are locks, and the assignments of Azure Policy. Both belong to a scope.
func governanceTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[locks.ManagementLockByScope, locks.ManagementLockByScopeArgs](arm.Definition{
			Path: "{scope}/providers/Microsoft.Authorization/locks/{lockName}",
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[A-Za-z0-9_.()-]{0,89}[A-Za-z0-9_()-]$`), ID: "Locks",
				Say: "1 to 90 letters, digits, underscores, parentheses, hyphens and periods, no period at the end",
			},
			Immutable: []string{"scope"},
		}),
		arm.Typed[policies.PolicyAssignment, policies.PolicyAssignmentArgs](arm.Definition{
			Path: "{scope}/providers/Microsoft.Authorization/policyAssignments/{policyAssignmentName}",
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[^<>*%&:?.+/\\]{1,63}[^<>*%&:?.+/\\ ]$`), ID: "Policies",
				Say: "2 to 64 characters, none of < > * % & : ? . + / \\, no space last",
			},
			Immutable: []string{"scope"},
			Checks:    []arm.Rule{assignedPolicy},
		}),
	}
}

// assignedPolicy: an assignment names its policy.
var assignedPolicy = arm.Rule{ID: "Policies", Code: "InvalidCreatePolicyAssignmentRequest", Broken: func(s arm.Subject) []arm.Finding {
	const path = "policyDefinitionId"
	if s.In.Unsure(path) || strings.Contains(s.In.Text(path), "/providers/Microsoft.Authorization/policy") {
		return nil
	}
	return arm.Found(path, "'%s' is no policy and no initiative; set policyDefinitionId to the id of one", s.In.Text(path))
}}

// lockable adds the rule about locks to each type.
func lockable(definitions []arm.Definition) []arm.Definition {
	for i := range definitions {
		if definitions[i].Kind != typeLock {
			definitions[i].Farewells = append(definitions[i].Farewells, scopeLocked)
		}
	}
	return definitions
}

// scopeLocked: a resource in the scope of a lock cannot be deleted.
var scopeLocked = arm.Rule{ID: "Locks", Code: "ScopeLocked", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for _, lock := range s.Cloud.All(typeLock) {
		scope := lock.Inputs.Text("scope")
		if s.Cloud.Find(lock.ID) != nil && lock.Inputs.Text("level") != "NotSpecified" && (arm.Key(scope) == arm.Key(s.ID) || arm.Within(s.ID, scope)) {
			result = append(result, arm.Found("", "The scope '%s' cannot perform delete operation because following scope(s) are locked: '%s'. "+
				"Please remove the lock '%s' and try again", s.ID, scope, lock.ID)...)
		}
	}
	return result
}}
