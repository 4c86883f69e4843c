package enginetest

import (
	"fmt"
	"testing"
	"time"

	authorization "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220401"
	managedidentity "github.com/pulumi/pulumi-azure-native-sdk/managedidentity/v2/v20230131"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// The typed SDK writes User if a program leaves the type out, so a forgotten type looks like this.
func TestEngine_I1_AnIdentityIsAServicePrincipal(t *testing.T) {
	t.Parallel()
	e := valid()
	e.nodesRole.PrincipalType = nil
	upRefuses(t, e, mistake{
		rule: "I1", code: "UnmatchedPrincipalType", property: "principalType",
		says: []string{"has type 'ServicePrincipal'", "the specified PrincipalType 'User'", "set principalType to ServicePrincipal"},
	}, "nodes-role")
}

func TestEngine_I1_ThePrincipalExists(t *testing.T) {
	t.Parallel()
	e := valid()
	e.nodesRole.PrincipalId = pulumi.String(nobodysPrincipal)
	upRefuses(t, e, mistake{
		rule: "I1", code: "PrincipalNotFound", property: "principalId",
		says: []string{
			"Principal " + nobodysPrincipal + " does not exist in the directory " + azure.DefaultTenantID,
			"Use the principalId output of an identity that exists",
		},
	}, "nodes-role")
}

func TestEngine_I1_APrincipalKeepsItsType(t *testing.T) {
	t.Parallel()
	e := valid()
	e.secretsRole.PrincipalType = pulumi.String("Group")
	thenPreviewRefuses(t, e, mistake{
		rule: "I1", code: "PropertyChangeNotAllowed", property: "principalType",
		says: []string{"from User to Group", "name the other principal too"},
	}, "secrets-role")
}

func TestEngine_I2_TheNameIsAGUID(t *testing.T) {
	t.Parallel()
	e := valid()
	e.nodesRole.RoleAssignmentName = pulumi.String("network-contributor")
	previewRefuses(t, e, "nodes-role", mistake{
		rule: "I2", code: invalidName, property: "roleAssignmentName",
		says: []string{"'network-contributor' is invalid", "use a GUID, best made of scope, principal and role"},
	})
}

func TestEngine_I2_TheRoleIsAnId(t *testing.T) {
	t.Parallel()
	e := valid()
	e.nodesRole.RoleDefinitionId = pulumi.String("Network Contributor")
	previewRefuses(t, e, "nodes-role", mistake{
		rule: "I2", code: "InvalidRoleDefinitionId", property: "roleDefinitionId",
		says: []string{"'Network Contributor' is no role", "use /subscriptions/<subscription>/providers/Microsoft.Authorization/roleDefinitions/<GUID>"},
	})
}

func TestEngine_I2_TheRoleCannotBeChanged(t *testing.T) {
	t.Parallel()
	e := valid()
	e.nodesRole.RoleDefinitionId = role("", "", acrPull).RoleDefinitionId
	thenRefuses(t, e, mistake{
		rule: "I2", code: "PropertyChangeNotAllowed", property: "roleDefinitionId",
		says: []string{"Azure answers RoleAssignmentUpdateNotPermitted", "give the assignment a new name with its new role"},
	}, "nodes-role")
}

func TestEngine_I2_TheSameAssignmentExistsOnce(t *testing.T) {
	t.Parallel()
	second := role(anotherRoleName, vaultID, secretsOfficer)
	second.PrincipalId, second.PrincipalType = pulumi.String(azure.DefaultObjectID), pulumi.String("User")
	e := valid().with(of("second", second, authorization.NewRoleAssignment, "secrets-role"))
	upRefuses(t, e, mistake{
		rule: "I2", code: "RoleAssignmentExists", property: "roleAssignmentName",
		says: []string{"The role assignment already exists", secretsRoleName, "drop one of the two"},
	}, "second")
}

func TestEngine_I3_NodesPullWithTheKubeletsIdentity(t *testing.T) {
	t.Parallel()
	e := valid().with(roleOf("wrong-pull", role(pullRoleName, registryID, acrPull), "identity", "registry", "cluster"))
	upRefuses(t, e, mistake{
		rule: "I3", code: "AcrPullForWrongIdentity", property: "principalId",
		says: []string{"is the control plane of '" + clusterID + "', which pulls no images", "assign AcrPull to identityProfile.kubeletidentity.objectId"},
	}, "wrong-pull")
}

const (
	githubIssuer  = pulumi.String("https://token.actions.githubusercontent.com")
	githubSubject = pulumi.String("repo:gridos/sharedinfra:environment:dev")
)

// fromGitHub returns a valid environment whose credential is for a pipeline. It needs the identity
// and no cluster.
func fromGitHub() (e *environment, pipeline *managedidentity.FederatedIdentityCredentialArgs) {
	pipeline = githubCredential("pipeline", githubSubject)
	e = valid()
	return e.with(of("pipeline", pipeline, managedidentity.NewFederatedIdentityCredential, "identity")), pipeline
}

func githubCredential(name string, subject pulumi.String) *managedidentity.FederatedIdentityCredentialArgs {
	return &managedidentity.FederatedIdentityCredentialArgs{
		ResourceGroupName: groupName, ResourceName: pulumi.String("aks-id"),
		FederatedIdentityCredentialResourceName: pulumi.String(name),
		Issuer:                                  githubIssuer, Subject: subject,
		Audiences: pulumi.ToStringArray([]string{exchangeAudience}),
	}
}

const badCredential = "InvalidFederatedIdentityCredential"

func TestEngine_I4_OneAudience(t *testing.T) {
	t.Parallel()
	e, pipeline := fromGitHub()
	pipeline.Audiences = pulumi.ToStringArray([]string{exchangeAudience, "api://other"})
	previewRefuses(t, e, "pipeline", mistake{
		rule: "I4", code: badCredential, property: "audiences",
		says: []string{"audiences are [" + exchangeAudience + " api://other]", "use exactly one, " + exchangeAudience},
	})
}

func TestEngine_I4_NoWildcards(t *testing.T) {
	t.Parallel()
	e, pipeline := fromGitHub()
	pipeline.Subject = pulumi.String("repo:gridos/*")
	previewRefuses(t, e, "pipeline", mistake{
		rule: "I4", code: badCredential, property: "subject",
		says: []string{"subject 'repo:gridos/*' has a wildcard, which would never match", "write it out"},
	})
}

func TestEngine_I4_AClustersSubjectIsAServiceAccount(t *testing.T) {
	t.Parallel()
	e, pipeline := fromGitHub()
	pipeline.Subject = pulumi.String("system:serviceaccount:gridos")
	previewRefuses(t, e, "pipeline", mistake{
		rule: "I4", code: badCredential, property: "subject",
		says: []string{"subject 'system:serviceaccount:gridos' is no service account", "use system:serviceaccount:<namespace>:<name>"},
	})
}

func TestEngine_I4_TheNameIsLongEnough(t *testing.T) {
	t.Parallel()
	e, pipeline := fromGitHub()
	pipeline.FederatedIdentityCredentialResourceName = pulumi.String("ci")
	previewRefuses(t, e, "pipeline", mistake{
		rule: "I4", code: invalidName, property: "federatedIdentityCredentialResourceName",
		says: []string{"'ci' is invalid", "use 3 to 120 letters, digits, hyphens and underscores"},
	})
}

func TestEngine_I4_TheIssuerIsTheClusters(t *testing.T) {
	t.Parallel()
	e := valid()
	e.credential.Issuer = pulumi.String("https://westeurope.oic.prod-aks.azure.com/" + azure.DefaultTenantID + "/" + nobodysPrincipal)
	upRefuses(t, e, mistake{
		rule: "I4", code: "UnknownIssuer", property: "issuer",
		says: []string{"no cluster has the issuer", "use oidcIssuerProfile.issuerURL verbatim"},
	}, "credential")
}

func TestEngine_I4_IssuerAndSubjectAreUnique(t *testing.T) {
	t.Parallel()
	e, _ := fromGitHub()
	e.with(of("second", githubCredential("second", githubSubject), managedidentity.NewFederatedIdentityCredential, "pipeline"))
	upRefuses(t, e, mistake{
		rule: "I4", code: "FederatedIdentityCredentialConflict", property: "subject",
		says: []string{"federatedIdentityCredentials/pipeline' has the same issuer and subject already", "drop one of the two"},
	}, "second")
}

func TestEngine_I4_TwentyPerIdentity(t *testing.T) {
	t.Parallel()
	e, _ := fromGitHub()
	before := "pipeline"
	for i := range 20 {
		name := fmt.Sprintf("more-%d", i)
		e.with(of(name, githubCredential(name, githubSubject+pulumi.String(name)),
			managedidentity.NewFederatedIdentityCredential, before))
		before = name
	}
	upRefuses(t, e, mistake{
		rule: "I4", code: "FederatedIdentityCredentialConflict", property: "resourceName",
		says: []string{"'" + identityID + "' has 20 federated credentials already", "use another identity"},
	}, before)
}

func TestEngine_I4_OneWriteAtATime(t *testing.T) {
	t.Parallel()
	e, _ := fromGitHub()
	e.with(of("second", githubCredential("second", githubSubject+"2"), managedidentity.NewFederatedIdentityCredential, "identity"))
	togetherRefuses(t, e, 0.2, "identity", mistake{
		resource: "pipeline or second", rule: "I4",
		code: "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity",
		says: []string{"'" + identityID + "' is busy with", "Chain the federated credentials of one identity with DependsOn"},
	}, "pipeline", "second")
}

func TestEngine_I5_ARoleTakesTimeToBeEffective(t *testing.T) {
	t.Parallel()
	hour := time.Hour
	l := open(t, azure.Options{RolePropagation: &hour})
	l.up(valid().program("cluster")).refused(mistake{
		resource: "cluster", rule: "I5", code: "LinkedAuthorizationFailed", property: "identity",
		says: []string{
			"The role was assigned ", " ago by '" + networkID + "/providers/Microsoft.Authorization/roleAssignments/" + nodesRoleName +
				"' and is not effective yet: that takes about 1h0m0s",
			"Let the creation wait for the propagation, not only for the assignment",
		},
	})

	// Some time later the same program succeeds.
	var over time.Duration
	options := l.options
	options.RolePropagation = &over
	l.serve(options)
	l.up(valid().program("cluster")).accepted()
}
