package program

import (
	"regexp"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/scope"
	"github.com/gridos/sharedinfra/internal/naming"
)

// workloadArgs is what workloads needs. Every field is required.
type workloadArgs struct {
	scope.Scope
	Settings Settings
	Caller   identity.Caller
	// Issuer is the OIDC issuer of the cluster; VaultID and RegistryID are ARM ids.
	Issuer, VaultID, RegistryID pulumi.StringInput
}

// identities are those that sign in without a secret.
type identities struct {
	// Secrets brings the vault's secrets into the cluster, Application is the application itself,
	// Pipeline pushes images.
	Secrets, Application, Pipeline *identity.Workload
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9]+`)

// credentialName makes the name of a credential from its subject, so that reordering a list of
// subjects changes nothing.
func credentialName(subject string) string {
	const longest = 120 // rule I4
	name := "github-" + notInNames.ReplaceAllString(subject, "-")
	return name[:min(len(name), longest)]
}

// workloads registers the identities of workloads in the cluster and of pipelines, with the roles
// that they need. Nothing here waits for the roles: they are used long after this program has
// ended.
func workloads(ctx *pulumi.Context, args workloadArgs, opts ...pulumi.ResourceOption) (identities, error) {
	names, prefix := args.Names, args.Names.Environment
	pods := func(namespace, account string) []identity.Credential {
		return []identity.Credential{{
			Name: "kubernetes", Issuer: args.Issuer, Subject: identity.ServiceAccount(namespace, account),
		}}
	}
	var pipelines []identity.Credential
	for _, subject := range args.Settings.PipelineSubjects {
		pipelines = append(pipelines, identity.Credential{
			Name: credentialName(subject), Issuer: pulumi.String(identity.GitHubIssuer), Subject: subject,
		})
	}
	var out identities
	for _, w := range []struct {
		into        **identity.Workload
		part, name  string
		credentials []identity.Credential
		role        identity.Role // "" for none
		scope       pulumi.StringInput
	}{
		{
			&out.Secrets, "secrets", names.SecretsIdentity,
			pods(naming.NamespaceExternalSecrets, naming.ServiceAccountExternalSecrets), identity.KeyVaultSecretsUser, args.VaultID,
		},
		{
			&out.Application, "application", names.WorkloadIdentity,
			pods(naming.NamespaceGridOS, naming.ServiceAccountGridOS), "", nil,
		},
		{&out.Pipeline, "pipeline", names.PipelineIdentity, pipelines, identity.AcrPush, args.RegistryID},
	} {
		workload, err := identity.NewWorkload(ctx, prefix+"-"+w.part, identity.WorkloadArgs{
			Scope: args.Scope, Name: w.name, Credentials: w.credentials,
		}, opts...)
		if err != nil {
			return identities{}, err
		}
		*w.into = workload
		if w.role == "" {
			continue
		}
		if _, err := identity.Assign(ctx, prefix+"-"+w.part+"-role", identity.Assignment{
			SubscriptionID: args.Caller.SubscriptionID,
			Scope:          w.scope,
			Principal:      identity.Principal{ID: workload.PrincipalID, Type: identity.ServicePrincipal},
			Role:           w.role,
		}, pulumi.Parent(workload)); err != nil {
			return identities{}, err
		}
	}
	return out, nil
}
