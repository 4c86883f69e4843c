package identity

import (
	"fmt"

	managedidentity "github.com/pulumi/pulumi-azure-native-sdk/managedidentity/v2/v20230131"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/scope"
)

// audience is the only one that Entra exchanges tokens for (rule I4).
const audience = "api://AzureADTokenExchange"

// MaxCredentials is how many federated credentials an identity has at most (rule I4).
const MaxCredentials = 20

// GitHubIssuer is the issuer of the tokens that GitHub gives to workflows.
const GitHubIssuer = "https://token.actions.githubusercontent.com"

// Credential lets every holder of a token that an issuer made for a subject sign in as an identity.
// Azure accepts a wrong issuer or subject, and the sign-in fails later (rule I4).
type Credential struct {
	// Name is the credential's name in the identity, 3 to 120 letters, digits, hyphens and
	// underscores.
	Name string
	// Issuer is the https address of the OIDC issuer, to the letter.
	Issuer pulumi.StringInput
	// Subject is the sub claim, such as system:serviceaccount:<namespace>:<name>. It has no wildcards.
	Subject string
}

// ServiceAccount is the subject of the tokens that a cluster gives to the pods of a service
// account.
func ServiceAccount(namespace, name string) string {
	return fmt.Sprintf("system:serviceaccount:%s:%s", namespace, name)
}

// WorkloadArgs is what a Workload needs. Every field is required.
type WorkloadArgs struct {
	scope.Scope
	// Name is the identity's name in Azure.
	Name string
	// Credentials are who may sign in; their issuers and subjects differ.
	Credentials []Credential
}

// Workload is a managed identity that a workload or a pipeline signs in as, with tokens that it has
// anyway.
type Workload struct {
	pulumi.ResourceState

	// ClientID is what the workload signs in as, PrincipalID whom roles are assigned to; both are
	// GUIDs.
	ClientID, PrincipalID pulumi.StringOutput
}

// NewWorkload registers the identity and its credentials.
func NewWorkload(ctx *pulumi.Context, name string, args WorkloadArgs, opts ...pulumi.ResourceOption) (*Workload, error) {
	w := &Workload{}
	if err := ctx.RegisterComponentResource("gridos-infra:identity:Workload", name, w, opts...); err != nil {
		return nil, err
	}
	managed, err := managedidentity.NewUserAssignedIdentity(ctx, name+"-identity", &managedidentity.UserAssignedIdentityArgs{
		ResourceGroupName: args.ResourceGroupName,
		ResourceName:      pulumi.String(args.Name),
		Location:          pulumi.String(args.Location),
		Tags:              args.Tags,
	}, pulumi.Parent(w))
	if err != nil {
		return nil, err
	}
	// Azure refuses a write to an identity while another is under way, so the credentials form a chain
	// (rule I4).
	var previous []pulumi.Resource
	for _, c := range args.Credentials {
		credential, err := managedidentity.NewFederatedIdentityCredential(ctx, name+"-"+c.Name,
			&managedidentity.FederatedIdentityCredentialArgs{
				ResourceGroupName:                       args.ResourceGroupName,
				ResourceName:                            managed.Name,
				FederatedIdentityCredentialResourceName: pulumi.String(c.Name),
				Issuer:                                  c.Issuer,
				Subject:                                 pulumi.String(c.Subject),
				Audiences:                               pulumi.StringArray{pulumi.String(audience)},
			}, pulumi.Parent(w), pulumi.DependsOn(previous))
		if err != nil {
			return nil, err
		}
		previous = []pulumi.Resource{credential}
	}
	w.ClientID, w.PrincipalID = managed.ClientId, managed.PrincipalId
	return w, ctx.RegisterResourceOutputs(w, pulumi.Map{"clientId": w.ClientID, "principalId": w.PrincipalID})
}
