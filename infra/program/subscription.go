package program

import (
	locks "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20200501"
	policies "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220601"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/identity"
)

// podSecurityBaseline is the built-in initiative "Kubernetes cluster pod security baseline
// standards for Linux-based workloads". Its defaults exempt kube-system, gatekeeper-system and
// azure-arc, and not the namespaces of the mesh. Source: azure-policy,
// built-in-policies/policySetDefinitions/Kubernetes/Kubernetes_PSPBaselineStandard.json, version
// 1.2.0.
const podSecurityBaseline = "/providers/Microsoft.Authorization/policySetDefinitions/a8640138-9b0a-4a28-b8cb-1666c838647d"

// namespacesOfAKS are exempt from the baseline: the defaults of the initiative, and what the mesh's
// add-on makes (azure-aks-docs, istio-deploy-addon.md).
func namespacesOfAKS() []string {
	return []string{"kube-system", "gatekeeper-system", "azure-arc", "aks-istio-system", "aks-istio-ingress", "aks-istio-egress"}
}

// What Azure Policy does with a pod that is not as the baseline says.
const (
	podSecurityDisabled = "Disabled"
	podSecurityAudit    = "Audit"
	podSecurityDeny     = "Deny"
)

// AssignsPodSecurity says whether the environment assigns the baseline of pod security to its
// resource group.
func (s Settings) AssignsPodSecurity() bool { return s.PodSecurity != podSecurityDisabled }

// guardArgs is what guard needs. Every field is required.
type guardArgs struct {
	// GroupID is the ARM id of the environment's resource group.
	GroupID pulumi.StringInput
	Caller  identity.Caller
	// Kept are the locked resources: those that Git cannot restore.
	Kept []kept
	// Everything has the components that the locks are created after.
	Everything []pulumi.Resource
}

// kept is a resource with a lock of its own.
type kept struct {
	part string
	// id is its ARM id.
	id pulumi.StringInput
}

// guard registers the environment's protection from outside: the requirements of Azure Policy for
// pods, and locks. The locks are created last and deleted first: the update that creates them can
// still replace resources, and a teardown can delete them.
//
// There is no lock on the resource group. The private DNS zone and the network would inherit it,
// and Azure advises against a lock on them: it may keep a server from failing over to its standby,
// and from being created (azure-databases-docs, concepts-networking-private.md, "Unsupported
// virtual network scenarios", 27 June 2024; terraform-provider-azurerm#19262).
func (s Settings) guard(ctx *pulumi.Context, name string, args guardArgs, opts ...pulumi.ResourceOption) error {
	if s.AssignsPodSecurity() {
		if _, err := policies.NewPolicyAssignment(ctx, name+"-pod-security", &policies.PolicyAssignmentArgs{
			PolicyAssignmentName: pulumi.String(name + "-pod-security"),
			Scope:                args.GroupID,
			DisplayName:          pulumi.String("Pods of " + name + " keep to the baseline of pod security"),
			PolicyDefinitionId:   pulumi.String(podSecurityBaseline),
			EnforcementMode:      pulumi.String("Default"),
			Parameters: policies.ParameterValuesValueMap{
				"effect":             policies.ParameterValuesValueArgs{Value: pulumi.String(s.PodSecurity)},
				"excludedNamespaces": policies.ParameterValuesValueArgs{Value: pulumi.ToStringArray(namespacesOfAKS())},
			},
		}, opts...); err != nil {
			return err
		}
	}
	if !s.DeleteLock {
		return nil
	}
	for _, k := range args.Kept {
		if _, err := locks.NewManagementLockByScope(ctx, name+"-"+k.part+"-delete-lock", &locks.ManagementLockByScopeArgs{
			LockName: pulumi.String("keep-" + k.part),
			Scope:    k.id,
			Level:    pulumi.String("CanNotDelete"),
			Notes:    pulumi.String("gridos-infra, deleteLock: neither this nor what is in it is deleted while it is true"),
		}, append(opts[:len(opts):len(opts)], pulumi.DependsOn(args.Everything))...); err != nil {
			return err
		}
	}
	return nil
}
