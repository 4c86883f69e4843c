// Package identity says who may do what: role assignments, named so that they survive re-creation,
// and the federated identities with which workloads and pipelines sign in without a secret.
package identity

import (
	"fmt"

	"github.com/google/uuid"
	authorization "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220401"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Role is the GUID of a role that is built into Azure, from "Azure built-in roles".
type Role string

// The built-in roles that the platform assigns.
const (
	// AcrPull lets a cluster's kubelets pull images.
	AcrPull Role = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
	// NetworkContributor lets a cluster's identity join nodes and load balancers to subnets.
	NetworkContributor Role = "4d97b98b-1d4f-4787-a291-c67834d212e7"
	// AcrPush lets a pipeline push images.
	AcrPush Role = "8311e382-0749-4cb8-b61a-304f252e45ec"
	// KeyVaultSecretsUser reads secrets, and certificates with their keys, through a vault's data
	// plane.
	KeyVaultSecretsUser Role = "4633458b-17de-408a-b874-0445c86b69e6"
	// KeyVaultSecretsOfficer reads, writes and deletes secrets through a vault's data plane.
	KeyVaultSecretsOfficer Role = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
	// ClusterAdmin is Azure Kubernetes Service RBAC Cluster Admin.
	ClusterAdmin Role = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"
	// MetricsPublisher is Monitoring Metrics Publisher: it writes metrics by a data collection rule.
	MetricsPublisher Role = "3913510d-42f4-4e42-8a64-420c390055eb"
)

// Assigned returns the roles that the platform assigns: what a deployer has to be allowed to
// assign. MetricsPublisher is one only where metrics are sent to an Azure Monitor workspace.
func Assigned(metrics bool) []Role {
	roles := []Role{AcrPull, AcrPush, NetworkContributor, KeyVaultSecretsUser, KeyVaultSecretsOfficer, ClusterAdmin}
	if metrics {
		roles = append(roles, MetricsPublisher)
	}
	return roles
}

// PrincipalType is the kind of a principal. Without the kind, Azure looks a new service principal
// up in a directory that may not know it yet (rule I1).
type PrincipalType string

// The kinds of principals.
const (
	// ServicePrincipal is a managed identity or an application.
	ServicePrincipal PrincipalType = "ServicePrincipal"
	// User is a person.
	User PrincipalType = "User"
	// Group is a group of the directory.
	Group PrincipalType = "Group"
)

// Principal is an identity of the directory.
type Principal struct {
	// ID is the object id, a GUID.
	ID pulumi.StringInput
	// Type is the principal's kind.
	Type PrincipalType
}

// Assignment says who gets which role where. Every field is required.
type Assignment struct {
	// SubscriptionID is the GUID of the subscription.
	SubscriptionID string
	// Scope is the ARM id that the role applies to.
	Scope pulumi.StringInput
	// Principal is whom the role is assigned to.
	Principal Principal
	// Role is what is assigned.
	Role Role
}

// Assign registers the role assignment.
func Assign(
	ctx *pulumi.Context, name string, a Assignment, opts ...pulumi.ResourceOption,
) (*authorization.RoleAssignment, error) {
	return authorization.NewRoleAssignment(ctx, name, &authorization.RoleAssignmentArgs{
		RoleAssignmentName: assignmentName(a.Scope, a.Principal.ID, a.Role),
		Scope:              a.Scope,
		PrincipalId:        a.Principal.ID,
		PrincipalType:      pulumi.String(a.Principal.Type),
		RoleDefinitionId: pulumi.String(fmt.Sprintf("/subscriptions/%s/providers/Microsoft.Authorization/roleDefinitions/%s",
			a.SubscriptionID, a.Role)),
	}, opts...)
}

// assignmentName is a UUID made of what the assignment says: Azure refuses a second assignment of
// the same role under another name (RoleAssignmentExists), which a random name would run into after
// a re-creation (rule I2).
func assignmentName(scope, principal pulumi.StringInput, role Role) pulumi.StringOutput {
	return pulumi.All(scope, principal).ApplyT(func(v []any) string {
		return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s|%s|%s", v[0], v[1], role)).String()
	}).(pulumi.StringOutput)
}
