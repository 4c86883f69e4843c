package policy

import (
	"fmt"
	"slices"
	"strings"
)

// rolesDecide refuses settings that let people or machines bypass the roles of the directory.
func rolesDecide(r Resource, _ string) []finding {
	switch r.kind() {
	case "containerservice:ManagedCluster":
		return slices.Concat(
			r.mustBeTrue("any client that reaches the API server may do everything", "enableRBAC"),
			r.mustBeTrue("people do not sign in with the directory", "aadProfile", "managed"),
			r.mustBeTrue("the roles of Azure do not decide who may do what in the cluster", "aadProfile", "enableAzureRBAC"),
		)
	case "keyvault:Vault":
		found := r.mustBeTrue("access policies, and not roles, decide who reads secrets", "properties", "enableRbacAuthorization")
		for _, door := range []string{"enabledForDeployment", "enabledForDiskEncryption", "enabledForTemplateDeployment"} {
			if r.at("properties", door).isTrue() {
				found = append(found, finding{
					"a service of Azure reads secrets for everyone who asks it, past the roles: properties." + door + " is true",
					"set properties." + door + " to false",
				})
			}
		}
		return found
	default:
		return nil
	}
}

// mustBeTrue finds a switch that is known to be off or left out, and says what that means.
func (r Resource) mustBeTrue(meaning string, path ...string) []finding {
	value, name := r.at(path...), strings.Join(path, ".")
	if value.unknown() || value.isTrue() {
		return nil
	}
	return []finding{{fmt.Sprintf("%s: %s is %s", meaning, name, value), "set " + name + " to true"}}
}

// mighty are the roles of Azure that allow everything, or allow their holders to grant it to
// themselves. Source: learn.microsoft.com, "Azure built-in roles", and "Privileged administrator
// roles" there.
var mighty = map[string]string{
	"8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
	"b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
	"18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
	"f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
}

func leastPrivilege(r Resource, _ string) []finding {
	switch {
	case r.kind() == "authorization:RoleAssignment":
		if role := mighty[lastSegment(r.at("roleDefinitionId"))]; role != "" {
			return []finding{{
				"the role " + role + " may do everything in its scope, or give itself the right to",
				"assign the role of the one task",
			}}
		}
	case isOf(r.Type, "kubernetes:argoproj.io", "AppProject"):
		return anything(r.at("spec"))
	case isOf(r.Type, "kubernetes:external-secrets.io", "ClusterSecretStore"):
		if conditions := r.at("spec", "conditions"); !conditions.unknown() && conditions.empty() {
			return []finding{{
				"every namespace reads every secret of the vault: spec.conditions is not set",
				"name the namespaces in spec.conditions",
			}}
		}
	}
	return nil
}

// isOf reports whether a token is of the kind in the API group, in any version of it.
func isOf(token, group, kind string) bool {
	return strings.HasPrefix(token, group+"/") && strings.HasSuffix(token, ":"+kind)
}

// anything finds the asterisks with which an AppProject permits all there is. Source: argo-cd
// docs/operator-manual/project.yaml.
func anything(spec property) []finding {
	found := func(where string) []finding {
		return []finding{{where + " permits everything", "name what the project needs"}}
	}
	for _, repository := range spec.at("sourceRepos").elements() {
		if repository.is("*") {
			return found("sourceRepos")
		}
	}
	for _, destination := range spec.at("destinations").elements() {
		if destination.at("namespace").is("*") || destination.at("server").is("*") {
			return found("destinations")
		}
	}
	for _, resource := range spec.at("clusterResourceWhitelist").elements() {
		if resource.at("kind").is("*") {
			return found("clusterResourceWhitelist")
		}
	}
	return nil
}

// podSecurity requires the label with the standard that admission enforces for the pods of a
// namespace. Source: kubernetes.io, "Pod Security Admission".
func podSecurity(r Resource, _ string) []finding {
	const label = "pod-security.kubernetes.io/enforce"
	if r.Type != "kubernetes:core/v1:Namespace" || r.at("metadata", "labels", label).may("baseline", "restricted") {
		return nil
	}
	return []finding{{
		fmt.Sprintf("pods may do what they like on their nodes: the label %s is %s", label, r.at("metadata", "labels", label)),
		"set it to restricted, or to baseline",
	}}
}
