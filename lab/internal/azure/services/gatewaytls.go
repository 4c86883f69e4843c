package services

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// tlsPolicies are the predefined TLS policies of gateways (rule G5); an outdated one has the
// reason. Source: azure-docs application-gateway/application-gateway-ssl-policy-overview.
var tlsPolicies = map[string]string{
	"AppGwSslPolicy20150501": "allows TLS 1.0", "AppGwSslPolicy20170401": "allows TLS 1.1", "AppGwSslPolicy20170401S": "",
	"AppGwSslPolicy20220101": "", "AppGwSslPolicy20220101S": "",
}

// gatewayTLS is G5: a gateway with a listener for HTTPS pins a TLS policy of TLS 1.2 or newer.
// Azure would take the default of the API version, which changes over time; here the policy must be
// written down.
var gatewayTLS = arm.Rule{ID: "G5", Code: "ApplicationGatewaySslPolicyInvalid", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	secure := slices.ContainsFunc(s.In.Documents("httpListeners"), func(l arm.Document) bool { return l.Text("protocol") == "Https" })
	if secure && !s.In.Has("sslPolicy") {
		result = append(result, arm.Found("sslPolicy", "a gateway with a listener for Https needs a pinned TLS policy; set sslPolicy, "+
			"such as the predefined AppGwSslPolicy20220101")...)
	}
	result = append(result, policyFindings("sslPolicy", s.In.Document("sslPolicy"))...)
	generation := policyGeneration(s.In.Document("sslPolicy"))
	for i, profile := range s.In.Documents("sslProfiles") {
		path, policy := arm.Indexed("sslProfiles", i)+".sslPolicy", profile.Document("sslPolicy")
		result = append(result, policyFindings(path, policy)...)
		if other := policyGeneration(policy); generation != "" && other != "" && other != generation {
			result = append(result, arm.Found(path, "the TLS policy of profile '%s' is %s, and that of the gateway is %s; a gateway has "+
				"one kind, use AppGwSslPolicy20220101 or CustomV2 for both", profile.Text("name"), other, generation)...)
		}
	}
	return result
}}

// policyGeneration is "new" for the policies with TLS 1.3, which do not go together with the "old"
// ones on a gateway, and "" while that is unknown. Source: azure-docs
// application-gateway/application-gateway-ssl-policy-overview, 17 December 2020.
func policyGeneration(policy arm.Document) string {
	switch kind, name := policy.Text("policyType"), policy.Text("policyName"); {
	case kind == "CustomV2" || strings.HasPrefix(name, "AppGwSslPolicy2022"):
		return "new"
	case kind == "Custom" || strings.HasPrefix(name, "AppGwSslPolicy2017"):
		return "old"
	default:
		return ""
	}
}

func policyFindings(path string, policy arm.Document) []arm.Finding {
	if policy == nil || policy.Unsure("policyType") {
		return nil
	}
	var result []arm.Finding
	name, kind := policy.Text("policyName"), policy.Text("policyType")
	switch kind {
	case "Predefined":
		flaw, known := tlsPolicies[name]
		switch {
		case policy.Unsure("policyName"):
		case !known:
			result = append(result, arm.Found(path+".policyName", "'%s' is no predefined TLS policy; use AppGwSslPolicy20220101", name)...)
		case flaw != "":
			result = append(result, arm.Found(path+".policyName", "TLS policy %s %s, which is no longer accepted; use AppGwSslPolicy20220101", name, flaw)...)
		}
	case "Custom", "CustomV2":
		if !policy.Has("minProtocolVersion") || !policy.Has("cipherSuites") {
			result = append(result, arm.Found(path, "a TLS policy of type %s needs minProtocolVersion and cipherSuites; set both", kind)...)
		}
		if policy.Has("policyName") {
			result = append(result, arm.Found(path+".policyName", "a TLS policy of type %s has no policyName; drop it", kind)...)
		}
	default:
		result = append(result, arm.Found(path+".policyType", "policyType is '%s'; use Predefined, Custom or CustomV2", kind)...)
	}
	if version := policy.Text("minProtocolVersion"); version != "" && version != "TLSv1_2" && version != "TLSv1_3" {
		result = append(result, arm.Found(path+".minProtocolVersion", "minProtocolVersion is '%s'; use TLSv1_2 or TLSv1_3, older ones are no longer accepted", version)...)
	}
	return result
}

// secretURL is the id of a secret in a vault, maybe with its version.
var secretURL = regexp.MustCompile(`^https://([A-Za-z][A-Za-z0-9-]+)\.vault\.azure\.net(?::443)?/secrets/([A-Za-z0-9-]+)(?:/[0-9a-f]{32})?/?$`)

// gatewayCertificates is G8, as far as the inputs show: a certificate is given, or comes from a
// vault, for which the gateway has one user-assigned identity.
var gatewayCertificates = arm.Rule{ID: "G8", Code: "ApplicationGatewaySslCertificateInvalid", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	fromVault := false
	for i, certificate := range s.In.Documents("sslCertificates") {
		path := arm.Indexed("sslCertificates", i)
		if certificate.Has("keyVaultSecretId") == certificate.Has("data") {
			result = append(result, arm.Found(path, "certificate '%s' needs either keyVaultSecretId or data; set one", certificate.Text("name"))...)
		}
		fromVault = fromVault || certificate.Has("keyVaultSecretId")
		if id := certificate.Text("keyVaultSecretId"); id != "" && !secretURL.MatchString(id) {
			result = append(result, arm.Found(path+".keyVaultSecretId", "'%s' is no secret of a vault; "+
				"use https://<vault>.vault.azure.net/secrets/<name>, without a version, so that a renewed certificate is taken", id)...)
		}
	}
	if !fromVault || s.In.Unsure("identity") || s.In.Unsure("identity.userAssignedIdentities") {
		return result
	}
	if identities := s.In.Items("identity.userAssignedIdentities"); s.In.Text("identity.type") != "UserAssigned" || len(identities) != 1 {
		result = append(result, arm.Found("identity", "a gateway that takes certificates from a vault needs one user-assigned identity; "+
			"set identity.type to UserAssigned and identity.userAssignedIdentities to one id")...)
	}
	return result
}}

// gatewayMayGetSecrets is G8: the vault and the secret exist, the gateway reaches the vault, and
// its identity may get the secret, by a role that is effective when the gateway is created.
var gatewayMayGetSecrets = arm.Rule{ID: "G8", Code: "ApplicationGatewayKeyVaultSecretException", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for i, certificate := range s.In.Documents("sslCertificates") {
		path := arm.Indexed("sslCertificates", i) + ".keyVaultSecretId"
		match := secretURL.FindStringSubmatch(certificate.Text("keyVaultSecretId"))
		if match == nil {
			continue // none, or refused already
		}
		vault := vaultNamed(s.Cloud, match[1])
		if vault == nil {
			result = append(result, arm.Found(path, "no vault of subscription %s is called '%s'; correct the name, or add the vault to the "+
				"resources of other owners that the simulated Azure has", s.Cloud.Options().SubscriptionID, match[1])...)
			continue
		}
		secret := vault.ID + "/secrets/" + match[2]
		if s.Cloud.Find(secret) == nil {
			result = append(result, arm.Found(path, "vault '%s' has no secret or certificate '%s'; create it first", vault.ID, match[2])...)
			continue
		}
		for _, id := range s.In.Texts("identity.userAssignedIdentities") {
			if identity := s.Cloud.Find(id); identity != nil {
				result = append(result, secretFindings(s, path, identity, vault, secret)...)
			}
		}
		result = append(result, reaches(s, path, vault)...)
	}
	return result
}}

// secretFindings finds an identity that may not get a secret.
func secretFindings(s arm.Subject, path string, identity, vault *arm.Record, secret string) []arm.Finding {
	principal := identity.Outputs.Text("principalId")
	if !vault.Inputs.Flag("properties.enableRbacAuthorization") {
		if policyAllows(vault.Inputs, principal, "get") {
			return nil
		}
		return arm.Found(path, "identity '%s' has no access policy of vault '%s' that lets it get secrets; add one", identity.ID, vault.ID)
	}
	if why := lacks(s.Cloud, principal, mayGetSecret, secret); why != "" {
		return arm.Found(path, "%s", unauthorized(identity.ID, principal, "Microsoft.KeyVault/vaults/secrets/getSecret/action", secret, why))
	}
	return nil
}

// reaches finds a vault without public access that has no private endpoint in the gateway's
// network.
func reaches(s arm.Subject, path string, vault *arm.Record) []arm.Finding {
	if !strings.EqualFold(vault.Inputs.Text("properties.publicNetworkAccess"), "Disabled") {
		return nil
	}
	for _, configuration := range s.In.Documents("gatewayIPConfigurations") {
		joined, _ := arm.Ancestor(configuration.Text("subnet.id"), typeNetwork)
		if slices.ContainsFunc(s.Cloud.Users(vault.ID), func(r *arm.Record) bool {
			owner, _ := arm.Ancestor(r.Inputs.Text("subnet.id"), typeNetwork)
			return r.Kind == typePrivateEndpoint && arm.Key(owner) == arm.Key(joined)
		}) {
			return nil
		}
	}
	return arm.Found(path, "vault '%s' has no public access, and no private endpoint leads to it from the gateway's virtual network; "+
		"create one first, with its DNS zone group, and let the gateway depend on it", vault.ID)
}

// vaultNamed returns the live vault of a name, which is unique in all of Azure, or nil.
func vaultNamed(v *arm.View, name string) *arm.Record {
	for _, vault := range v.All(typeVault) {
		if strings.EqualFold(vault.Name(), name) {
			return v.Find(vault.ID)
		}
	}
	return nil
}

// refersToPart returns the name of the part of the gateway to which a SubResource at path refers,
// or "".
func refersToPart(d arm.Document, path string) string {
	id := d.Text(path + ".id")
	return id[strings.LastIndex(id, "/")+1:]
}

// gatewayListeners is G9: a listener for Https has a certificate and one for Http none, and no two
// listeners have the same address, port and host.
var gatewayListeners = arm.Rule{ID: "G9", Code: "ApplicationGatewayHttpListenerInvalid", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	type socket struct{ address, port, host string }
	taken, protocols := map[socket]string{}, map[socket]string{}
	for i, listener := range s.In.Documents("httpListeners") {
		path, name := arm.Indexed("httpListeners", i), listener.Text("name")
		certified := listener.Has("sslCertificate") || listener.Has("sslProfile")
		switch protocol := listener.Text("protocol"); {
		case protocol == "Https" && !certified:
			result = append(result, arm.Found(path+".sslCertificate", "listener '%s' for Https needs an sslCertificate; set it", name)...)
		case protocol == "Http" && certified:
			result = append(result, arm.Found(path+".protocol", "listener '%s' for Http cannot have a certificate; set protocol to Https, or drop it", name)...)
		case protocol != "Http" && protocol != "Https" && !listener.Unsure("protocol"):
			result = append(result, arm.Found(path+".protocol", "listener '%s' has protocol '%s'; use Http or Https", name, protocol)...)
		}
		for _, part := range []string{"frontendIPConfiguration", "frontendPort"} {
			if !listener.Has(part) {
				result = append(result, arm.Found(path+"."+part, "listener '%s' needs a %s; set its id", name, part)...)
			}
		}
		at := socket{address: refersToPart(listener, "frontendIPConfiguration"), port: refersToPart(listener, "frontendPort")}
		if at.address == "" || at.port == "" {
			continue
		}
		if other, ok := protocols[at]; ok && other != listener.Text("protocol") {
			result = append(result, arm.Found(path+".frontendPort", "listener '%s' shares port '%s' of '%s' with one for %s; use another port",
				name, at.port, at.address, other)...)
		}
		protocols[at] = listener.Text("protocol")
		hosts := listener.Texts("hostNames")
		if host := listener.Text("hostName"); host != "" || len(hosts) == 0 {
			hosts = append(hosts, host)
		}
		for _, host := range hosts {
			at.host = strings.ToLower(host)
			if other, ok := taken[at]; ok {
				result = append(result, arm.Found(path, "listeners '%s' and '%s' both listen to port '%s' of '%s' for host '%s'; "+
					"give each a port or a host name of its own", other, name, at.port, at.address, host)...)
			}
			taken[at] = name
		}
	}
	ports := map[float64]string{}
	for i, port := range s.In.Documents("frontendPorts") {
		number, ok := port.Number("port")
		path := arm.Indexed("frontendPorts", i) + ".port"
		switch other, again := ports[number]; {
		case port.Unsure("port"):
		case !ok || number < 1 || number >= gatewayPortFirst:
			result = append(result, arm.Found(path, "frontend port '%s' is %g; use 1 to 64999, Azure manages the gateway by those above", port.Text("name"), number)...)
		case again:
			result = append(result, arm.Found(path, "frontend ports '%s' and '%s' are both %g; refer to one of them", other, port.Text("name"), number)...)
		}
		ports[number] = port.Text("name")
	}
	return result
}}

// gatewayRouting is G9: a routing rule leads to a backend or to a redirection, from one listener
// that no other rule has.
var gatewayRouting = arm.Rule{ID: "G9", Code: "ApplicationGatewayRequestRoutingRuleInvalid", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	listeners := map[string]string{}
	for i, routing := range s.In.Documents("requestRoutingRules") {
		path, name := arm.Indexed("requestRoutingRules", i), routing.Text("name")
		listener := refersToPart(routing, "httpListener")
		if !routing.Has("httpListener") {
			result = append(result, arm.Found(path+".httpListener", "routing rule '%s' needs an httpListener; set its id", name)...)
		}
		if other, ok := listeners[listener]; ok && listener != "" {
			result = append(result, arm.Found(path+".httpListener", "routing rules '%s' and '%s' have the same listener '%s'; each needs its own", other, name, listener)...)
		}
		listeners[listener] = name
		redirects, maps := routing.Has("redirectConfiguration"), routing.Has("urlPathMap")
		backend := routing.Has("backendAddressPool") || routing.Has("backendHttpSettings")
		switch kind := routing.Text("ruleType"); {
		case kind == "PathBasedRouting":
			if !maps || backend || redirects {
				result = append(result, arm.Found(path+".urlPathMap", "routing rule '%s' is of type PathBasedRouting; it needs a urlPathMap, and no backend or redirection of its own", name)...)
			}
		case backend == redirects || maps:
			result = append(result, arm.Found(path, "routing rule '%s' needs either a backend (backendAddressPool and backendHttpSettings) or a redirectConfiguration", name)...)
		case backend && (!routing.Has("backendAddressPool") || !routing.Has("backendHttpSettings")):
			result = append(result, arm.Found(path, "routing rule '%s' needs both backendAddressPool and backendHttpSettings", name)...)
		}
		for _, redirect := range s.In.Documents("redirectConfigurations") {
			if redirect.Text("name") == refersToPart(routing, "redirectConfiguration") && listener != "" &&
				refersToPart(redirect, "targetListener") == listener {
				result = append(result, arm.Found(path, "routing rule '%s' redirects listener '%s' to itself; choose another targetListener", name, listener)...)
			}
		}
	}
	for i, redirect := range s.In.Documents("redirectConfigurations") {
		path, name := arm.Indexed("redirectConfigurations", i), redirect.Text("name")
		if redirect.Has("targetListener") == redirect.Has("targetUrl") {
			result = append(result, arm.Found(path, "redirection '%s' needs either targetListener or targetUrl; set one", name)...)
		}
		kinds := []string{"Permanent", "Found", "SeeOther", "Temporary"}
		if kind := redirect.Text("redirectType"); !redirect.Unsure("redirectType") && !slices.Contains(kinds, kind) {
			result = append(result, arm.Found(path+".redirectType", "redirection '%s' has type '%s'; use %s", name, kind, strings.Join(kinds, ", "))...)
		}
	}
	return result
}}

// longestMatch is the maximum length of the text that a probe looks for in an answer. Source:
// azure-docs application-gateway/application-gateway-probe-overview, 9 July 2020.
const longestMatch = 4090

// gatewayBackends is G9: backend settings and probes have a protocol, a port and a host, and fit
// together.
var gatewayBackends = arm.Rule{ID: "G9", Code: "ApplicationGatewayBackendInvalid", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	probes := map[string]arm.Document{}
	for i, probe := range s.In.Documents("probes") {
		path, name := arm.Indexed("probes", i), probe.Text("name")
		probes[name] = probe
		result = append(result, protocolFindings(path, "probe", probe)...)
		if target := probe.Text("path"); !probe.Unsure("path") && !strings.HasPrefix(target, "/") {
			result = append(result, arm.Found(path+".path", "probe '%s' has path '%s'; it must start with a slash", name, target)...)
		}
		result = append(result, within1To(path, probe, "interval", 86400)...)
		result = append(result, within1To(path, probe, "timeout", 86400)...)
		result = append(result, within1To(path, probe, "unhealthyThreshold", 20)...)
		if length := len(probe.Text("match.body")); length > longestMatch {
			result = append(result, arm.Found(path+".match.body", "the body that probe '%s' looks for has %d characters; it can have %d", name, length, longestMatch)...)
		}
		picks := probe.Flag("pickHostNameFromBackendHttpSettings")
		if picks == probe.Has("host") && !probe.Unsure("pickHostNameFromBackendHttpSettings") {
			result = append(result, arm.Found(path+".host", "probe '%s' needs either host or pickHostNameFromBackendHttpSettings; set one", name)...)
		}
	}
	for i, settings := range s.In.Documents("backendHttpSettingsCollection") {
		path, name := arm.Indexed("backendHttpSettingsCollection", i), settings.Text("name")
		result = append(result, protocolFindings(path, "backend settings", settings)...)
		result = append(result, within1To(path, settings, "port", 65535)...)
		result = append(result, within1To(path, settings, "requestTimeout", 86400)...)
		picks, named := settings.Flag("pickHostNameFromBackendAddress"), settings.Has("hostName")
		if picks && named {
			result = append(result, arm.Found(path+".hostName", "backend settings '%s' have both hostName and pickHostNameFromBackendAddress; drop one", name)...)
		}
		probe, ok := probes[refersToPart(settings, "probe")]
		if !ok {
			continue // none, or reported as a bad reference
		}
		if a, b := probe.Text("protocol"), settings.Text("protocol"); a == "Http" && b == "Https" || a == "Https" && b == "Http" {
			result = append(result, arm.Found(path+".probe", "backend settings '%s' are for %s, but their probe '%s' is for %s; use one protocol",
				name, b, probe.Text("name"), a)...)
		}
		if probe.Flag("pickHostNameFromBackendHttpSettings") && !picks && !named && !settings.Unsure("pickHostNameFromBackendAddress") {
			result = append(result, arm.Found(path+".hostName", "probe '%s' takes its host from backend settings '%s', which have none; "+
				"set hostName or pickHostNameFromBackendAddress", probe.Text("name"), name)...)
		}
	}
	return result
}}

func protocolFindings(path, what string, part arm.Document) []arm.Finding {
	protocol := part.Text("protocol")
	if part.Unsure("protocol") || protocol == "Http" || protocol == "Https" {
		return nil
	}
	return arm.Found(path+".protocol", "%s '%s' of the gateway: protocol is '%s'; use Http or Https", what, part.Text("name"), protocol)
}

// within1To finds a number that is not between 1 and most. Nothing is found while it is missing or
// unknown.
func within1To(path string, part arm.Document, name string, most float64) []arm.Finding {
	if number, ok := part.Number(name); ok && (number < 1 || number > most) {
		return []arm.Finding{{Property: path + "." + name, Message: fmt.Sprintf("%s of '%s' is %g; use 1 to %g", name, part.Text("name"), number, most)}}
	}
	return nil
}
