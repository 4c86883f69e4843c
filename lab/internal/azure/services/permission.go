package services

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// rolePropagation is about how long a role assignment takes until Azure acts on it (rule I5).
// Options.TimeScale scales it.
const rolePropagation = 30 * time.Second

// Built-in roles that rules look for.
const (
	roleAcrPull              = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
	roleOwner                = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	roleContributor          = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	roleReader               = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	roleNetworkContributor   = "4d97b98b-1d4f-4787-a291-c67834d212e7"
	roleClusterAdmin         = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"
	roleZoneContributor      = "b12aa53e-6015-4669-85d0-8515ebb3ae7f"
	roleIdentityOperator     = "f1a07417-d97a-45cb-824c-7a7467783830"
	roleVaultAdministrator   = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
	roleVaultSecretsOfficer  = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
	roleVaultSecretsUser     = "4633458b-17de-408a-b874-0445c86b69e6"
	roleVaultCertificateUser = "db79e9a7-68ee-4b58-9aeb-b90e7c24fcba"
)

// permission is the name of a role, with the roles that include its permissions.
type permission struct {
	name string
	any  []string
}

// Permissions that operations need.
var (
	mayJoinSubnet = permission{"Network Contributor", []string{roleNetworkContributor, roleContributor, roleOwner}}
	mayKeepZone   = permission{"Private DNS Zone Contributor", []string{roleZoneContributor, roleNetworkContributor, roleContributor, roleOwner}}
	mayContribute = permission{"Contributor", []string{roleContributor, roleOwner}}
	mayRead       = permission{"Reader", []string{roleReader, roleContributor, roleOwner}}
	mayAssign     = permission{"Managed Identity Operator", []string{roleIdentityOperator, roleOwner, roleContributor}}
	// Owners of a vault may not read its content: only the roles of the data plane count.
	mayGetSecret    = permission{"Key Vault Secrets User", []string{roleVaultSecretsUser, roleVaultSecretsOfficer, roleVaultCertificateUser, roleVaultAdministrator}}
	mayDeleteSecret = permission{"Key Vault Secrets Officer", []string{roleVaultSecretsOfficer, roleVaultAdministrator}}
)

// lacks says why a principal does not have a permission on a scope, or returns "". An assignment at
// the scope or above it gives the permission, once it has existed long enough.
func lacks(v *arm.View, principal string, p permission, scope string) string {
	var pending *arm.Record
	for _, r := range v.All(typeRoleAssignment) {
		at := r.Inputs.Text("scope")
		if v.Find(r.ID) == nil || !strings.EqualFold(r.Inputs.Text("principalId"), principal) ||
			!slices.Contains(p.any, roleOf(r.Inputs)) || arm.Key(at) != arm.Key(scope) && !arm.Within(scope, at) {
			continue
		}
		if effective(v, r) {
			return ""
		}
		pending = r
	}
	if pending == nil {
		return fmt.Sprintf("Assign it %s there first, and let this depend on that assignment", p.name)
	}
	return fmt.Sprintf("The role was assigned %s ago by '%s' and is not effective yet: that takes about %s (rule I5). "+
		"Let the creation wait for the propagation, not only for the assignment",
		time.Since(pending.Created).Round(time.Millisecond), pending.ID, propagation(v).Round(time.Millisecond))
}

// effective reports whether a role assignment has existed long enough.
func effective(v *arm.View, assignment *arm.Record) bool {
	return time.Since(assignment.Created) >= propagation(v)
}

// propagation returns how long role assignments take until they are effective.
func propagation(v *arm.View) time.Duration {
	if within := v.Options().RolePropagation; within != nil {
		return *within
	}
	return time.Duration(float64(rolePropagation) * v.Options().TimeScale)
}

// unauthorized is the message for a client, an identity or the deployer, that may not do something.
func unauthorized(client, principal, action, scope, remedy string) string {
	return fmt.Sprintf("The client '%s' with object id '%s' does not have authorization to perform action '%s' on '%s'. %s",
		client, principal, action, scope, remedy)
}
