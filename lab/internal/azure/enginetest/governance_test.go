package enginetest

import (
	"testing"

	locks "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20200501"
	policies "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220601"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

func lock(level string) *locks.ManagementLockByScopeArgs {
	return &locks.ManagementLockByScopeArgs{
		Scope: pulumi.String(groupID), LockName: pulumi.String("keep"), Level: pulumi.String(level),
	}
}

func TestEngine_Locks_NothingInALockedGroupIsDeleted(t *testing.T) {
	t.Parallel()
	locked := func() *environment {
		return valid().with(of("lock", lock("CanNotDelete"), locks.NewManagementLockByScope, "group"))
	}
	l := open(t, azure.Options{})
	l.up(locked().program("lock", "workspace")).accepted()
	l.up(locked().only("group", "lock")).refused(mistake{
		resource: "workspace", rule: "Locks", code: "ScopeLocked",
		says: []string{"'" + workspaceID + "' cannot perform delete operation", "Please remove the lock"},
	})
	l.up(valid().only("group", "workspace")).accepted() // the lock is in no scope of its own
	l.up(valid().only("group")).accepted()
}

func TestEngine_Policies_AnAssignmentNamesAPolicy(t *testing.T) {
	t.Parallel()
	e := valid().with(of("assignment", &policies.PolicyAssignmentArgs{
		Scope: pulumi.String(groupID), PolicyAssignmentName: pulumi.String("pods"), PolicyDefinitionId: pulumi.String("baseline"),
	}, policies.NewPolicyAssignment, "group"))
	previewRefuses(t, e, "assignment", mistake{
		rule: "Policies", code: "InvalidCreatePolicyAssignmentRequest", property: "policyDefinitionId",
		says: []string{"'baseline' is no policy and no initiative", "set policyDefinitionId"},
	})
}
