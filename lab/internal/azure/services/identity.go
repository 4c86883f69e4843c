package services

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	authorization "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220401"
	managedidentity "github.com/pulumi/pulumi-azure-native-sdk/managedidentity/v2/v20230131"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// ARM types that rules look for.
const (
	typeIdentity       = "Microsoft.ManagedIdentity/userAssignedIdentities"
	typeCredential     = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"
	typeRoleAssignment = "Microsoft.Authorization/roleAssignments"
)

const identityTemplate = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.ManagedIdentity/" +
	"userAssignedIdentities/{resourceName}"

// identityTypes are managed identities, their federated credentials and role assignments.
func identityTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[managedidentity.UserAssignedIdentity, managedidentity.UserAssignedIdentityArgs](arm.Definition{
			Path: identityTemplate,
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$`),
				Say:     "3 to 128 letters, digits, hyphens and underscores, a letter or digit first",
			},
			Immutable: []string{"location"},
			InUse:     "IdentityInUse",
			Compute: func(s arm.Subject) arm.Document {
				return arm.Document{
					"principalId": s.Issued("principal"), "clientId": s.Issued("client"),
					"tenantId": s.Cloud.Options().TenantID,
				}
			},
		}),
		arm.Typed[managedidentity.FederatedIdentityCredential, managedidentity.FederatedIdentityCredentialArgs](arm.Definition{
			Path: identityTemplate + "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}",
			Name: arm.NameRule{
				Pattern: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$`), ID: "I4",
				Say: "3 to 120 letters, digits, hyphens and underscores, a letter or digit first",
			},
			Serial: &arm.Serial{
				Owner: typeIdentity, Rule: "I4", Code: "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity",
				Remedy: "Chain the federated credentials of one identity with DependsOn",
			},
			Checks:  []arm.Rule{credentialSubject},
			Demands: []arm.Rule{credentialIssuer, credentialUnique},
		}),
		arm.Typed[authorization.RoleAssignment, authorization.RoleAssignmentArgs](arm.Definition{
			Path:      "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
			Name:      arm.NameRule{Pattern: arm.GUID, ID: "I2", Say: "a GUID, best made of scope, principal and role, so that it can be made again"},
			Immutable: []string{"principalId", "scope"},
			Frozen: map[string]string{
				"roleDefinitionId": "Azure answers RoleAssignmentUpdateNotPermitted; give the assignment a new name with its new role (rule I2)",
				"principalType":    "a principal keeps its type (rule I1); if it is another one, name the other principal too",
			},
			Checks:  []arm.Rule{principalType, principalForm, roleDefinition},
			Demands: []arm.Rule{principalExists, principalMatches, assignmentUnique, pullByKubelet},
			Compute: func(s arm.Subject) arm.Document {
				return arm.Document{"createdBy": s.Cloud.Options().ObjectID, "updatedBy": s.Cloud.Options().ObjectID}
			},
		}),
	}
}

// identityPath returns the id of an identity.
func identityPath(subscription, group, name string) string {
	return "/subscriptions/" + subscription + "/resourceGroups/" + group + "/providers/" + typeIdentity + "/" + name
}

// identities returns the values that Azure adds to user-assigned identities, by their ids.
func identities(v *arm.View, ids []string) map[string]any {
	result := map[string]any{}
	for _, id := range ids {
		if identity := v.Find(id); identity != nil {
			result[id] = map[string]any{
				"principalId": identity.Outputs.Text("principalId"), "clientId": identity.Outputs.Text("clientId"),
			}
		}
	}
	return result
}

// roleOf returns the GUID of an assignment's role.
func roleOf(assignment arm.Document) string {
	id := assignment.Text("roleDefinitionId")
	return strings.ToLower(id[strings.LastIndex(id, "/")+1:])
}

// principalType is I1: without the type Azure looks the principal up in a directory that may not
// know a new identity yet.
var principalType = arm.Rule{ID: "I1", Code: "PrincipalNotFound", Broken: func(s arm.Subject) []arm.Finding {
	if !s.In.Has("principalType") {
		return arm.Found("principalType", "principalType is missing; set it to ServicePrincipal for an identity, or User or Group")
	}
	return nil
}}

// roleDefinition is I2: a role is named by the id of its definition.
var roleDefinition = arm.Rule{ID: "I2", Code: "InvalidRoleDefinitionId", Broken: func(s arm.Subject) []arm.Finding {
	id := s.In.Text("roleDefinitionId")
	if id == "" || arm.GUID.MatchString(roleOf(s.In)) && strings.Contains(strings.ToLower(id), "/providers/microsoft.authorization/roledefinitions/") {
		return nil
	}
	return arm.Found("roleDefinitionId",
		"'%s' is no role; use /subscriptions/<subscription>/providers/Microsoft.Authorization/roleDefinitions/<GUID>", id)
}}

// principalForm is I1: a principal is named by the GUID that the directory knows.
var principalForm = arm.Rule{ID: "I1", Code: "InvalidPrincipalId", Broken: func(s arm.Subject) []arm.Finding {
	principal := s.In.Text("principalId")
	if s.In.Unsure("principalId") || arm.GUID.MatchString(principal) {
		return nil
	}
	return arm.Found("principalId", "The Principal ID '%s' is not valid. Principal ID must be a GUID: use the principalId of an identity, "+
		"not its id or name", principal)
}}

// principalExists: an assignment to a service principal needs the principal. Users and groups are
// not checked, because there is no directory here.
var principalExists = arm.Rule{ID: "I1", Code: "PrincipalNotFound", Broken: func(s arm.Subject) []arm.Finding {
	principal := s.In.Text("principalId")
	if s.In.Text("principalType") != "ServicePrincipal" || strings.EqualFold(principal, s.Cloud.Options().ObjectID) ||
		hasPrincipal(s.Cloud, principal) {
		return nil
	}
	return arm.Found("principalId", "Principal %s does not exist in the directory %s. Use the principalId output of an identity that exists",
		principal, s.Cloud.Options().TenantID)
}}

// principalMatches is I1 for a wrong type. The typed SDK writes User for a type that a program
// leaves out, so Azure sees a forgotten one this way.
var principalMatches = arm.Rule{ID: "I1", Code: "UnmatchedPrincipalType", Broken: func(s arm.Subject) []arm.Finding {
	kind := s.In.Text("principalType")
	if kind == "" || kind == "ServicePrincipal" || !hasPrincipal(s.Cloud, s.In.Text("principalId")) {
		return nil
	}
	return arm.Found("principalType", "The PrincipalId '%s' has type 'ServicePrincipal', which is different from the specified "+
		"PrincipalType '%s'; set principalType to ServicePrincipal (the SDK writes User where it is left out)",
		s.In.Text("principalId"), kind)
}}

// hasPrincipal says whether an identity of a live resource is the given principal: of a
// user-assigned identity, or a cluster's own, its kubelet's or an add-on's.
func hasPrincipal(v *arm.View, principal string) bool {
	for _, identity := range v.All(typeIdentity) {
		if strings.EqualFold(identity.Outputs.Text("principalId"), principal) {
			return true
		}
	}
	for _, cluster := range v.All(typeCluster) {
		candidates := []string{
			cluster.Outputs.Text("identity.principalId"), cluster.Outputs.Text("identityProfile.kubeletidentity.objectId"),
		}
		for addon := range cluster.Outputs.Document("addonProfiles") {
			candidates = append(candidates, cluster.Outputs.Text("addonProfiles."+addon+".identity.objectId"))
		}
		if slices.ContainsFunc(candidates, func(c string) bool { return strings.EqualFold(c, principal) }) {
			return true
		}
	}
	return false
}

// assignmentUnique is I2: one principal has one role once in one scope.
var assignmentUnique = arm.Rule{ID: "I2", Code: "RoleAssignmentExists", Broken: func(s arm.Subject) []arm.Finding {
	for _, other := range s.Cloud.Present() {
		if strings.EqualFold(other.Kind, typeRoleAssignment) && arm.Key(other.ID) != arm.Key(s.ID) &&
			arm.Key(other.Inputs.Text("scope")) == arm.Key(s.In.Text("scope")) &&
			strings.EqualFold(other.Inputs.Text("principalId"), s.In.Text("principalId")) && roleOf(other.Inputs) == roleOf(s.In) {
			return arm.Found("roleAssignmentName", "The role assignment already exists: '%s' gives the same role to the same principal; drop one of the two",
				other.ID)
		}
	}
	return nil
}}

// pullByKubelet is I3: the kubelet's identity pulls images, not that of the control plane.
var pullByKubelet = arm.Rule{ID: "I3", Code: "AcrPullForWrongIdentity", Broken: func(s arm.Subject) []arm.Finding {
	if roleOf(s.In) != roleAcrPull {
		return nil
	}
	principal := s.In.Text("principalId")
	for _, cluster := range s.Cloud.All(typeCluster) {
		if strings.EqualFold(cluster.Outputs.Text("identityProfile.kubeletidentity.objectId"), principal) {
			return nil
		}
	}
	for _, cluster := range s.Cloud.All(typeCluster) {
		own := strings.EqualFold(cluster.Outputs.Text("identity.principalId"), principal)
		for _, id := range cluster.Inputs.Texts("identity.userAssignedIdentities") {
			identity := s.Cloud.Find(id)
			own = own || identity != nil && strings.EqualFold(identity.Outputs.Text("principalId"), principal)
		}
		if own {
			return arm.Found("principalId", "principal %s is the control plane of '%s', which pulls no images; assign AcrPull to "+
				"identityProfile.kubeletidentity.objectId", principal, cluster.ID)
		}
	}
	return nil
}}

const (
	// ExchangeAudience is the only audience of a federated credential, and of the tokens that Entra
	// ID exchanges (rule I4).
	ExchangeAudience = "api://AzureADTokenExchange"
	// clusterIssuerHost is part of the URL of every AKS issuer.
	clusterIssuerHost = ".oic.prod-aks.azure.com/"
	// credentialsAtMost is how many federated credentials an identity can have.
	credentialsAtMost = 20
)

var serviceAccountSubject = regexp.MustCompile(`^system:serviceaccount:[a-z0-9]([a-z0-9-]*[a-z0-9])?:[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// credentialSubject is I4: one audience, and a subject without wildcards; with a cluster's issuer
// it is a service account.
var credentialSubject = arm.Rule{ID: "I4", Code: "InvalidFederatedIdentityCredential", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	if audiences := s.In.Texts("audiences"); !s.In.Unsure("audiences") &&
		(len(s.In.Items("audiences")) != 1 || len(audiences) == 1 && audiences[0] != ExchangeAudience) {
		result = append(result, arm.Finding{Property: "audiences", Message: fmt.Sprintf("audiences are %v; use exactly one, %s", audiences, ExchangeAudience)})
	}
	text := s.In.Text("subject")
	if strings.Contains(text, "*") {
		result = append(result, arm.Finding{Property: "subject", Message: fmt.Sprintf("subject '%s' has a wildcard, which would never match; write it out", text)})
	}
	issuer := s.In.Text("issuer")
	if text != "" && (strings.Contains(issuer, clusterIssuerHost) || strings.HasPrefix(text, "system:")) &&
		!serviceAccountSubject.MatchString(text) {
		result = append(result, arm.Finding{Property: "subject", Message: fmt.Sprintf(
			"subject '%s' is no service account; use system:serviceaccount:<namespace>:<name>", text)})
	}
	if issuer != "" && !strings.HasPrefix(issuer, "https://") {
		result = append(result, arm.Finding{Property: "issuer", Message: fmt.Sprintf("issuer '%s' is no URL; use the cluster's oidcIssuerProfile.issuerURL", issuer)})
	}
	return result
}}

// credentialIssuer is I4: an AKS issuer is exactly that of a cluster. Azure takes any URL, and the
// exchange of tokens fails later, silently; here it is an error.
var credentialIssuer = arm.Rule{ID: "I4", Code: "UnknownIssuer", Broken: func(s arm.Subject) []arm.Finding {
	issuer := s.In.Text("issuer")
	if !strings.Contains(issuer, clusterIssuerHost) {
		return nil
	}
	var known []string
	for _, cluster := range s.Cloud.All(typeCluster) {
		if url := cluster.Outputs.Text("oidcIssuerProfile.issuerURL"); url != "" {
			known = append(known, url)
		}
	}
	if slices.Contains(known, issuer) {
		return nil
	}
	return arm.Found("issuer", "no cluster has the issuer '%s' (known: %s); use oidcIssuerProfile.issuerURL verbatim", issuer, strings.Join(known, ", "))
}}

// credentialUnique is I4: at most 20 per identity, each with an issuer and subject of its own.
var credentialUnique = arm.Rule{ID: "I4", Code: "FederatedIdentityCredentialConflict", Broken: func(s arm.Subject) []arm.Finding {
	owner, _ := arm.Ancestor(s.ID, typeIdentity)
	var siblings []*arm.Record
	for _, r := range s.Cloud.Children(owner) {
		if r.Kind == typeCredential && arm.Key(r.ID) != arm.Key(s.ID) {
			siblings = append(siblings, r)
		}
	}
	var result []arm.Finding
	if len(siblings) >= credentialsAtMost {
		result = append(result, arm.Found("resourceName", "identity '%s' has %d federated credentials already; use another identity", owner, len(siblings))...)
	}
	for _, r := range siblings {
		if r.Inputs.Text("issuer") == s.In.Text("issuer") && r.Inputs.Text("subject") == s.In.Text("subject") {
			result = append(result, arm.Found("subject", "'%s' has the same issuer and subject already; drop one of the two", r.ID)...)
		}
	}
	return result
}}
