package program

import (
	locks "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20200501"
	policies "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220601"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/identity"
)

// podSecurityBaseline is the built-in initiative "Kubernetes cluster pod security baseline standards for Linux-based workloads". Its
// defaults exempt kube-system, gatekeeper-system and azure-arc, and not the namespaces of the mesh. Source: azure-policy,
// built-in-policies/policySetDefinitions/Kubernetes/Kubernetes_PSPBaselineStandard.json, version 1.2.0.
const podSecurityBaseline = "/providers/Microsoft.Authorization/policySetDefinitions/a8640138-9b0a-4a28-b8cb-1666c838647d"

// What Azure Policy does with a pod that is not as the baseline says.
const (
	podSecurityDisabled = "Disabled"
	podSecurityAudit    = "Audit"
	podSecurityDeny     = "Deny"
)

// guardArgs is what guard needs. Every field is required.
type guardArgs struct {
	// GroupID is the ARM id of the environment's resource group.
	GroupID pulumi.StringInput
	Caller  identity.Caller
	// Everything is what the lock keeps from deletion, as components.
	Everything []pulumi.Resource
}

// guard registers what guards the environment from outside of it: what Azure Policy asks of pods, and the lock of the resource group.
// The lock is created last and deleted first: the update that creates it can still replace resources,
// and a teardown can delete them.
func (s Settings) guard(ctx *pulumi.Context, name string, args guardArgs, opts ...pulumi.ResourceOption) error {
	if s.PodSecurity != podSecurityDisabled {
		if _, err := policies.NewPolicyAssignment(ctx, name+"-pod-security", &policies.PolicyAssignmentArgs{
			PolicyAssignmentName: pulumi.String(name + "-pod-security"),
			Scope:                args.GroupID,
			DisplayName:          pulumi.String("Pods of " + name + " keep to the baseline of pod security"),
			PolicyDefinitionId:   pulumi.String(podSecurityBaseline),
			EnforcementMode:      pulumi.String("Default"),
			Parameters: policies.ParameterValuesValueMap{
				"effect": policies.ParameterValuesValueArgs{Value: pulumi.String(s.PodSecurity)},
			},
		}, opts...); err != nil {
			return err
		}
	}
	if !s.DeleteLock {
		return nil
	}
	_, err := locks.NewManagementLockByScope(ctx, name+"-delete-lock", &locks.ManagementLockByScopeArgs{
		LockName: pulumi.String("keep-the-environment"),
		Scope:    args.GroupID,
		Level:    pulumi.String("CanNotDelete"),
		Notes:    pulumi.String("gridos-infra, deleteLock: nothing in the group is deleted while it is true"),
	}, append(opts[:len(opts):len(opts)], pulumi.DependsOn(args.Everything))...)
	return err
}
