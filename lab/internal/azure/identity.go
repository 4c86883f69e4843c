package azure

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	authorization "github.com/pulumi/pulumi-azure-native-sdk/authorization/v2/v20220401"
	managedidentity "github.com/pulumi/pulumi-azure-native-sdk/managedidentity/v2/v20230131"
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
func identityTypes() []definition {
	return []definition{
		typed[managedidentity.UserAssignedIdentity, managedidentity.UserAssignedIdentityArgs](definition{
			path: identityTemplate,
			name: nameRule{
				pattern: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$`),
				say:     "3 to 128 letters, digits, hyphens and underscores, a letter or digit first",
			},
			immutable: []string{"location"},
			inUse:     "IdentityInUse",
			compute: func(s subject) document {
				return document{
					"principalId": s.issued("principal"), "clientId": s.issued("client"),
					"tenantId": s.cloud.cloud.options.TenantID,
				}
			},
		}),
		typed[managedidentity.FederatedIdentityCredential, managedidentity.FederatedIdentityCredentialArgs](definition{
			path: identityTemplate + "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}",
			name: nameRule{
				pattern: regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$`), id: "I4",
				say: "3 to 120 letters, digits, hyphens and underscores, a letter or digit first",
			},
			serial: &serial{
				owner: typeIdentity, rule: "I4", code: "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity",
				remedy: "Chain the federated credentials of one identity with DependsOn",
			},
			checks:  []rule{credentialSubject},
			demands: []rule{credentialIssuer, credentialUnique},
		}),
		typed[authorization.RoleAssignment, authorization.RoleAssignmentArgs](definition{
			path:      "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
			name:      nameRule{pattern: guid, id: "I2", say: "a GUID, best made of scope, principal and role, so that it can be made again"},
			immutable: []string{"principalId", "scope"},
			frozen:    map[string]string{"roleDefinitionId": "Azure answers RoleAssignmentUpdateNotPermitted; give the assignment a new name with its new role (rule I2)"},
			checks:    []rule{principalType, roleDefinition},
			demands:   []rule{principalExists, principalMatches, assignmentUnique, pullByKubelet},
			compute: func(s subject) document {
				return document{"createdBy": s.cloud.cloud.options.ObjectID, "updatedBy": s.cloud.cloud.options.ObjectID}
			},
		}),
	}
}

// identityPath returns the id of an identity.
func identityPath(subscription, group, name string) string {
	return "/subscriptions/" + subscription + "/resourceGroups/" + group + "/providers/" + typeIdentity + "/" + name
}

// identities returns what Azure adds about user-assigned identities, by their ids.
func (v *view) identities(ids []string) map[string]any {
	result := map[string]any{}
	for _, id := range ids {
		if identity := v.find(id); identity != nil {
			result[id] = map[string]any{
				"principalId": identity.Outputs.text("principalId"), "clientId": identity.Outputs.text("clientId"),
			}
		}
	}
	return result
}

// roleOf returns the GUID of an assignment's role.
func roleOf(assignment document) string {
	id := assignment.text("roleDefinitionId")
	return strings.ToLower(id[strings.LastIndex(id, "/")+1:])
}

// principalType is I1: without the type Azure looks the principal up in a directory that may not know a new identity yet.
var principalType = rule{id: "I1", code: "PrincipalNotFound", broken: func(s subject) []finding {
	if !s.in.has("principalType") {
		return found("principalType", "principalType is missing; set it to ServicePrincipal for an identity, or User or Group")
	}
	return s.oneOf("principalType", "ServicePrincipal", "User", "Group", "ForeignGroup", "Device")
}}

// roleDefinition is I2: a role is named by the id of its definition.
var roleDefinition = rule{id: "I2", code: "InvalidRoleDefinitionId", broken: func(s subject) []finding {
	id := s.in.text("roleDefinitionId")
	if id == "" || guid.MatchString(roleOf(s.in)) && strings.Contains(strings.ToLower(id), "/providers/microsoft.authorization/roledefinitions/") {
		return nil
	}
	return found("roleDefinitionId",
		"'%s' is no role; use /subscriptions/<subscription>/providers/Microsoft.Authorization/roleDefinitions/<GUID>", id)
}}

// principalExists: an assignment to a service principal needs the principal. Users and groups are taken on trust: there is no
// directory here.
var principalExists = rule{id: "I1", code: "PrincipalNotFound", broken: func(s subject) []finding {
	principal := s.in.text("principalId")
	if !guid.MatchString(principal) {
		return found("principalId", "principalId '%s' is no GUID; use the principalId of an identity, not its id or clientId", principal)
	}
	if s.in.text("principalType") != "ServicePrincipal" || strings.EqualFold(principal, s.cloud.cloud.options.ObjectID) ||
		s.cloud.hasPrincipal(principal) {
		return nil
	}
	return found("principalId", "Principal %s does not exist in the directory %s. Use the principalId output of an identity that exists",
		principal, s.cloud.cloud.options.TenantID)
}}

// principalMatches is I1 for a type that is there and wrong. The typed SDK writes User for a type that a program leaves out, so
// this is how Azure meets a forgotten one.
var principalMatches = rule{id: "I1", code: "UnmatchedPrincipalType", broken: func(s subject) []finding {
	kind := s.in.text("principalType")
	if kind == "" || kind == "ServicePrincipal" || !s.cloud.hasPrincipal(s.in.text("principalId")) {
		return nil
	}
	return found("principalType", "The PrincipalId '%s' has type 'ServicePrincipal', which is different from the specified "+
		"PrincipalType '%s'; set principalType to ServicePrincipal (the SDK writes User where it is left out)",
		s.in.text("principalId"), kind)
}}

// hasPrincipal says whether an identity of a live resource is the given principal: of a user-assigned identity, or a cluster's
// own, its kubelet's or an add-on's.
func (v *view) hasPrincipal(principal string) bool {
	for _, identity := range v.all(typeIdentity) {
		if strings.EqualFold(identity.Outputs.text("principalId"), principal) {
			return true
		}
	}
	for _, cluster := range v.all(typeCluster) {
		candidates := []string{
			cluster.Outputs.text("identity.principalId"), cluster.Outputs.text("identityProfile.kubeletidentity.objectId"),
		}
		for addon := range cluster.Outputs.document("addonProfiles") {
			candidates = append(candidates, cluster.Outputs.text("addonProfiles."+addon+".identity.objectId"))
		}
		if slices.ContainsFunc(candidates, func(c string) bool { return strings.EqualFold(c, principal) }) {
			return true
		}
	}
	return false
}

// assignmentUnique is I2: one principal has one role once in one scope.
var assignmentUnique = rule{id: "I2", code: "RoleAssignmentExists", broken: func(s subject) []finding {
	for _, other := range s.cloud.present() {
		if strings.EqualFold(other.Kind, typeRoleAssignment) && key(other.ID) != key(s.id) &&
			key(other.Inputs.text("scope")) == key(s.in.text("scope")) &&
			strings.EqualFold(other.Inputs.text("principalId"), s.in.text("principalId")) && roleOf(other.Inputs) == roleOf(s.in) {
			return found("roleAssignmentName", "The role assignment already exists: '%s' gives the same role to the same principal; drop one of the two",
				other.ID)
		}
	}
	return nil
}}

// pullByKubelet is I3: images are pulled by the kubelet's identity, not by the one of the control plane.
var pullByKubelet = rule{id: "I3", code: "AcrPullForWrongIdentity", broken: func(s subject) []finding {
	if roleOf(s.in) != roleAcrPull {
		return nil
	}
	principal := s.in.text("principalId")
	for _, cluster := range s.cloud.all(typeCluster) {
		if strings.EqualFold(cluster.Outputs.text("identityProfile.kubeletidentity.objectId"), principal) {
			return nil
		}
	}
	for _, cluster := range s.cloud.all(typeCluster) {
		own := strings.EqualFold(cluster.Outputs.text("identity.principalId"), principal)
		for _, id := range cluster.Inputs.texts("identity.userAssignedIdentities") {
			identity := s.cloud.find(id)
			own = own || identity != nil && strings.EqualFold(identity.Outputs.text("principalId"), principal)
		}
		if own {
			return found("principalId", "principal %s is the control plane of '%s', which pulls no images; assign AcrPull to "+
				"identityProfile.kubeletidentity.objectId", principal, cluster.ID)
		}
	}
	return nil
}}

const (
	// ExchangeAudience is the only audience of a federated credential, and of the tokens that Entra ID exchanges (rule I4).
	ExchangeAudience = "api://AzureADTokenExchange"
	// clusterIssuerHost is part of the URL of every AKS issuer.
	clusterIssuerHost = ".oic.prod-aks.azure.com/"
	// credentialsAtMost is how many federated credentials an identity can have.
	credentialsAtMost = 20
)

var serviceAccountSubject = regexp.MustCompile(`^system:serviceaccount:[a-z0-9]([a-z0-9-]*[a-z0-9])?:[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// credentialSubject is I4: one audience, and a subject without wildcards; with a cluster's issuer it is a service account.
var credentialSubject = rule{id: "I4", code: "InvalidFederatedIdentityCredential", broken: func(s subject) []finding {
	var result []finding
	if audiences := s.in.texts("audiences"); !s.in.unsure("audiences") &&
		(len(s.in.items("audiences")) != 1 || len(audiences) == 1 && audiences[0] != ExchangeAudience) {
		result = append(result, finding{"audiences", fmt.Sprintf("audiences are %v; use exactly one, %s", audiences, ExchangeAudience)})
	}
	text := s.in.text("subject")
	if strings.Contains(text, "*") {
		result = append(result, finding{"subject", fmt.Sprintf("subject '%s' has a wildcard, which would never match; write it out", text)})
	}
	issuer := s.in.text("issuer")
	if text != "" && (strings.Contains(issuer, clusterIssuerHost) || strings.HasPrefix(text, "system:")) &&
		!serviceAccountSubject.MatchString(text) {
		result = append(result, finding{"subject", fmt.Sprintf(
			"subject '%s' is no service account; use system:serviceaccount:<namespace>:<name>", text)})
	}
	if issuer != "" && !strings.HasPrefix(issuer, "https://") {
		result = append(result, finding{"issuer", fmt.Sprintf("issuer '%s' is no URL; use the cluster's oidcIssuerProfile.issuerURL", issuer)})
	}
	return result
}}

// credentialIssuer is I4: an AKS issuer is that of a cluster, to the letter. Azure takes any URL, and the exchange of tokens
// fails later, silently; here it is an error.
var credentialIssuer = rule{id: "I4", code: "UnknownIssuer", broken: func(s subject) []finding {
	issuer := s.in.text("issuer")
	if !strings.Contains(issuer, clusterIssuerHost) {
		return nil
	}
	var known []string
	for _, cluster := range s.cloud.all(typeCluster) {
		if url := cluster.Outputs.text("oidcIssuerProfile.issuerURL"); url != "" {
			known = append(known, url)
		}
	}
	if slices.Contains(known, issuer) {
		return nil
	}
	return found("issuer", "no cluster has the issuer '%s' (known: %s); use oidcIssuerProfile.issuerURL verbatim", issuer, strings.Join(known, ", "))
}}

// credentialUnique is I4: at most 20 per identity, each with an issuer and subject of its own.
var credentialUnique = rule{id: "I4", code: "FederatedIdentityCredentialConflict", broken: func(s subject) []finding {
	owner, _ := ancestor(s.id, typeIdentity)
	var siblings []*record
	for _, r := range s.cloud.children(owner) {
		if r.Kind == typeCredential && key(r.ID) != key(s.id) {
			siblings = append(siblings, r)
		}
	}
	var result []finding
	if len(siblings) >= credentialsAtMost {
		result = append(result, found("resourceName", "identity '%s' has %d federated credentials already; use another identity", owner, len(siblings))...)
	}
	for _, r := range siblings {
		if r.Inputs.text("issuer") == s.in.text("issuer") && r.Inputs.text("subject") == s.in.text("subject") {
			result = append(result, found("subject", "'%s' has the same issuer and subject already; drop one of the two", r.ID)...)
		}
	}
	return result
}}
