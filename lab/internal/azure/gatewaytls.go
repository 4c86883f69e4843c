package azure

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// tlsPolicies are the predefined TLS policies of gateways (rule G5), with what is wrong with those that are too old.
// Source: azure-docs application-gateway/application-gateway-ssl-policy-overview.
var tlsPolicies = map[string]string{
	"AppGwSslPolicy20150501": "allows TLS 1.0", "AppGwSslPolicy20170401": "allows TLS 1.1", "AppGwSslPolicy20170401S": "",
	"AppGwSslPolicy20220101": "", "AppGwSslPolicy20220101S": "",
}

// gatewayTLS is G5: a gateway with a listener for HTTPS pins a TLS policy of TLS 1.2 or newer. Azure would take the default of
// the API version, which moves; here it must be written down.
var gatewayTLS = rule{id: "G5", code: "ApplicationGatewaySslPolicyInvalid", broken: func(s subject) []finding {
	var result []finding
	secure := slices.ContainsFunc(s.in.documents("httpListeners"), func(l document) bool { return l.text("protocol") == "Https" })
	if secure && !s.in.has("sslPolicy") {
		result = append(result, found("sslPolicy", "a gateway with a listener for Https needs a pinned TLS policy; set sslPolicy, "+
			"such as the predefined AppGwSslPolicy20220101")...)
	}
	result = append(result, policyFindings("sslPolicy", s.in.document("sslPolicy"))...)
	for i, profile := range s.in.documents("sslProfiles") {
		result = append(result, policyFindings(indexed("sslProfiles", i)+".sslPolicy", profile.document("sslPolicy"))...)
	}
	return result
}}

func policyFindings(path string, policy document) []finding {
	if policy == nil || policy.unsure("policyType") {
		return nil
	}
	var result []finding
	name, kind := policy.text("policyName"), policy.text("policyType")
	switch kind {
	case "Predefined":
		flaw, known := tlsPolicies[name]
		switch {
		case policy.unsure("policyName"):
		case !known:
			result = append(result, found(path+".policyName", "'%s' is no predefined TLS policy; use AppGwSslPolicy20220101", name)...)
		case flaw != "":
			result = append(result, found(path+".policyName", "TLS policy %s %s, which is no longer accepted; use AppGwSslPolicy20220101", name, flaw)...)
		}
	case "Custom", "CustomV2":
		if !policy.has("minProtocolVersion") || !policy.has("cipherSuites") {
			result = append(result, found(path, "a TLS policy of type %s needs minProtocolVersion and cipherSuites; set both", kind)...)
		}
		if policy.has("policyName") {
			result = append(result, found(path+".policyName", "a TLS policy of type %s has no policyName; drop it", kind)...)
		}
	default:
		result = append(result, found(path+".policyType", "policyType is '%s'; use Predefined, Custom or CustomV2", kind)...)
	}
	if version := policy.text("minProtocolVersion"); version != "" && version != "TLSv1_2" && version != "TLSv1_3" {
		result = append(result, found(path+".minProtocolVersion", "minProtocolVersion is '%s'; use TLSv1_2 or TLSv1_3, older ones are no longer accepted", version)...)
	}
	return result
}

// secretURL is the id of a secret in a vault, maybe with its version.
var secretURL = regexp.MustCompile(`^https://([A-Za-z][A-Za-z0-9-]+)\.vault\.azure\.net(?::443)?/secrets/([A-Za-z0-9-]+)(?:/[0-9a-f]{32})?/?$`)

// gatewayCertificates is G8, as far as the inputs tell: a certificate is given, or taken from a vault, for which the gateway has
// one user-assigned identity.
var gatewayCertificates = rule{id: "G8", code: "ApplicationGatewaySslCertificateInvalid", broken: func(s subject) []finding {
	var result []finding
	fromVault := false
	for i, certificate := range s.in.documents("sslCertificates") {
		path := indexed("sslCertificates", i)
		if certificate.has("keyVaultSecretId") == certificate.has("data") {
			result = append(result, found(path, "certificate '%s' needs either keyVaultSecretId or data; set one", certificate.text("name"))...)
		}
		fromVault = fromVault || certificate.has("keyVaultSecretId")
		if id := certificate.text("keyVaultSecretId"); id != "" && !secretURL.MatchString(id) {
			result = append(result, found(path+".keyVaultSecretId", "'%s' is no secret of a vault; "+
				"use https://<vault>.vault.azure.net/secrets/<name>, without a version, so that a renewed certificate is taken", id)...)
		}
	}
	if !fromVault || s.in.unsure("identity") || s.in.unsure("identity.userAssignedIdentities") {
		return result
	}
	if identities := s.in.items("identity.userAssignedIdentities"); s.in.text("identity.type") != "UserAssigned" || len(identities) != 1 {
		result = append(result, found("identity", "a gateway that takes certificates from a vault needs one user-assigned identity; "+
			"set identity.type to UserAssigned and identity.userAssignedIdentities to one id")...)
	}
	return result
}}

// gatewayMayGetSecrets is G8: the vault and the secret exist, the gateway reaches the vault, and its identity may get the secret,
// by a role that is effective when the gateway is created.
var gatewayMayGetSecrets = rule{id: "G8", code: "ApplicationGatewayKeyVaultSecretException", broken: func(s subject) []finding {
	var result []finding
	for i, certificate := range s.in.documents("sslCertificates") {
		path := indexed("sslCertificates", i) + ".keyVaultSecretId"
		match := secretURL.FindStringSubmatch(certificate.text("keyVaultSecretId"))
		if match == nil {
			continue // none, or refused already
		}
		vault := s.cloud.vaultNamed(match[1])
		if vault == nil {
			result = append(result, found(path, "no vault of subscription %s is called '%s'; correct the name, or add the vault to the "+
				"resources of other owners that the simulated Azure has", s.cloud.cloud.options.SubscriptionID, match[1])...)
			continue
		}
		secret := vault.ID + "/secrets/" + match[2]
		if s.cloud.find(secret) == nil {
			result = append(result, found(path, "vault '%s' has no secret or certificate '%s'; create it first", vault.ID, match[2])...)
			continue
		}
		for _, id := range s.in.texts("identity.userAssignedIdentities") {
			if identity := s.cloud.find(id); identity != nil {
				result = append(result, secretFindings(s, path, identity, vault, secret)...)
			}
		}
		result = append(result, s.reaches(path, vault)...)
	}
	return result
}}

// secretFindings finds an identity that may not get a secret.
func secretFindings(s subject, path string, identity, vault *record, secret string) []finding {
	principal := identity.Outputs.text("principalId")
	if !vault.Inputs.flag("properties.enableRbacAuthorization") {
		if policyAllows(vault.Inputs, principal, "get") {
			return nil
		}
		return found(path, "identity '%s' has no access policy of vault '%s' that lets it get secrets; add one", identity.ID, vault.ID)
	}
	if why := s.cloud.lacks(principal, mayGetSecret, secret); why != "" {
		return found(path, "%s", unauthorized(identity.ID, principal, "Microsoft.KeyVault/vaults/secrets/getSecret/action", secret, why))
	}
	return nil
}

// reaches finds a vault without public access to which no private endpoint leads from the gateway's network.
func (s subject) reaches(path string, vault *record) []finding {
	if !strings.EqualFold(vault.Inputs.text("properties.publicNetworkAccess"), "Disabled") {
		return nil
	}
	for _, configuration := range s.in.documents("gatewayIPConfigurations") {
		joined, _ := ancestor(configuration.text("subnet.id"), typeNetwork)
		if slices.ContainsFunc(s.cloud.users(vault.ID), func(r *record) bool {
			owner, _ := ancestor(r.Inputs.text("subnet.id"), typeNetwork)
			return r.Kind == typePrivateEndpoint && key(owner) == key(joined)
		}) {
			return nil
		}
	}
	return found(path, "vault '%s' has no public access, and no private endpoint leads to it from the gateway's virtual network; "+
		"create one first, with its DNS zone group, and let the gateway depend on it", vault.ID)
}

// vaultNamed returns the live vault of a name, which is unique in all of Azure, or nil.
func (v *view) vaultNamed(name string) *record {
	for _, vault := range v.all(typeVault) {
		if strings.EqualFold(vault.name(), name) {
			return v.find(vault.ID)
		}
	}
	return nil
}

// refersToPart returns the name of the part of the gateway to which a SubResource at path refers, or "".
func refersToPart(d document, path string) string {
	id := d.text(path + ".id")
	return id[strings.LastIndex(id, "/")+1:]
}

// gatewayListeners is G9: a listener for Https has a certificate and one for Http none, and no two listen to the same.
var gatewayListeners = rule{id: "G9", code: "ApplicationGatewayHttpListenerInvalid", broken: func(s subject) []finding {
	var result []finding
	type socket struct{ address, port, host string }
	taken, protocols := map[socket]string{}, map[socket]string{}
	for i, listener := range s.in.documents("httpListeners") {
		path, name := indexed("httpListeners", i), listener.text("name")
		certified := listener.has("sslCertificate") || listener.has("sslProfile")
		switch protocol := listener.text("protocol"); {
		case protocol == "Https" && !certified:
			result = append(result, found(path+".sslCertificate", "listener '%s' for Https needs an sslCertificate; set it", name)...)
		case protocol == "Http" && certified:
			result = append(result, found(path+".protocol", "listener '%s' for Http cannot have a certificate; set protocol to Https, or drop it", name)...)
		case protocol != "Http" && protocol != "Https" && !listener.unsure("protocol"):
			result = append(result, found(path+".protocol", "listener '%s' has protocol '%s'; use Http or Https", name, protocol)...)
		}
		for _, part := range []string{"frontendIPConfiguration", "frontendPort"} {
			if !listener.has(part) {
				result = append(result, found(path+"."+part, "listener '%s' needs a %s; set its id", name, part)...)
			}
		}
		at := socket{address: refersToPart(listener, "frontendIPConfiguration"), port: refersToPart(listener, "frontendPort")}
		if at.address == "" || at.port == "" {
			continue
		}
		if other, ok := protocols[at]; ok && other != listener.text("protocol") {
			result = append(result, found(path+".frontendPort", "listener '%s' shares port '%s' of '%s' with one for %s; use another port",
				name, at.port, at.address, other)...)
		}
		protocols[at] = listener.text("protocol")
		hosts := listener.texts("hostNames")
		if host := listener.text("hostName"); host != "" || len(hosts) == 0 {
			hosts = append(hosts, host)
		}
		for _, host := range hosts {
			at.host = strings.ToLower(host)
			if other, ok := taken[at]; ok {
				result = append(result, found(path, "listeners '%s' and '%s' both listen to port '%s' of '%s' for host '%s'; "+
					"give each a port or a host name of its own", other, name, at.port, at.address, host)...)
			}
			taken[at] = name
		}
	}
	ports := map[float64]string{}
	for i, port := range s.in.documents("frontendPorts") {
		number, ok := port.number("port")
		path := indexed("frontendPorts", i) + ".port"
		switch other, again := ports[number]; {
		case port.unsure("port"):
		case !ok || number < 1 || number >= gatewayPortFirst:
			result = append(result, found(path, "frontend port '%s' is %g; use 1 to 64999, Azure manages the gateway by those above", port.text("name"), number)...)
		case again:
			result = append(result, found(path, "frontend ports '%s' and '%s' are both %g; refer to one of them", other, port.text("name"), number)...)
		}
		ports[number] = port.text("name")
	}
	return result
}}

// gatewayRouting is G9: a routing rule leads to a backend or to a redirection, of one listener that no other rule has.
var gatewayRouting = rule{id: "G9", code: "ApplicationGatewayRequestRoutingRuleInvalid", broken: func(s subject) []finding {
	var result []finding
	listeners := map[string]string{}
	for i, routing := range s.in.documents("requestRoutingRules") {
		path, name := indexed("requestRoutingRules", i), routing.text("name")
		listener := refersToPart(routing, "httpListener")
		if !routing.has("httpListener") {
			result = append(result, found(path+".httpListener", "routing rule '%s' needs an httpListener; set its id", name)...)
		}
		if other, ok := listeners[listener]; ok && listener != "" {
			result = append(result, found(path+".httpListener", "routing rules '%s' and '%s' have the same listener '%s'; each needs its own", other, name, listener)...)
		}
		listeners[listener] = name
		redirects, maps := routing.has("redirectConfiguration"), routing.has("urlPathMap")
		backend := routing.has("backendAddressPool") || routing.has("backendHttpSettings")
		switch kind := routing.text("ruleType"); {
		case kind == "PathBasedRouting":
			if !maps || backend || redirects {
				result = append(result, found(path+".urlPathMap", "routing rule '%s' is of type PathBasedRouting; it needs a urlPathMap, and no backend or redirection of its own", name)...)
			}
		case kind != "" && kind != "Basic":
			result = append(result, found(path+".ruleType", "routing rule '%s' has type '%s'; use Basic or PathBasedRouting", name, kind)...)
		case backend == redirects || maps:
			result = append(result, found(path, "routing rule '%s' needs either a backend (backendAddressPool and backendHttpSettings) or a redirectConfiguration", name)...)
		case backend && (!routing.has("backendAddressPool") || !routing.has("backendHttpSettings")):
			result = append(result, found(path, "routing rule '%s' needs both backendAddressPool and backendHttpSettings", name)...)
		}
		for _, redirect := range s.in.documents("redirectConfigurations") {
			if redirect.text("name") == refersToPart(routing, "redirectConfiguration") && listener != "" &&
				refersToPart(redirect, "targetListener") == listener {
				result = append(result, found(path, "routing rule '%s' redirects listener '%s' to itself; choose another targetListener", name, listener)...)
			}
		}
	}
	for i, redirect := range s.in.documents("redirectConfigurations") {
		path, name := indexed("redirectConfigurations", i), redirect.text("name")
		if redirect.has("targetListener") == redirect.has("targetUrl") {
			result = append(result, found(path, "redirection '%s' needs either targetListener or targetUrl; set one", name)...)
		}
		kinds := []string{"Permanent", "Found", "SeeOther", "Temporary"}
		if kind := redirect.text("redirectType"); !redirect.unsure("redirectType") && !slices.Contains(kinds, kind) {
			result = append(result, found(path+".redirectType", "redirection '%s' has type '%s'; use %s", name, kind, strings.Join(kinds, ", "))...)
		}
	}
	return result
}}

// gatewayBackends is G9: backend settings and probes have a protocol, a port and a host, and fit together.
var gatewayBackends = rule{id: "G9", code: "ApplicationGatewayBackendInvalid", broken: func(s subject) []finding {
	var result []finding
	probes := map[string]document{}
	for i, probe := range s.in.documents("probes") {
		path, name := indexed("probes", i), probe.text("name")
		probes[name] = probe
		result = append(result, protocolFindings(path, "probe", probe)...)
		if target := probe.text("path"); !probe.unsure("path") && !strings.HasPrefix(target, "/") {
			result = append(result, found(path+".path", "probe '%s' has path '%s'; it must start with a slash", name, target)...)
		}
		result = append(result, within1To(path, probe, "interval", 86400)...)
		result = append(result, within1To(path, probe, "timeout", 86400)...)
		result = append(result, within1To(path, probe, "unhealthyThreshold", 20)...)
		picks := probe.flag("pickHostNameFromBackendHttpSettings")
		if picks == probe.has("host") && !probe.unsure("pickHostNameFromBackendHttpSettings") {
			result = append(result, found(path+".host", "probe '%s' needs either host or pickHostNameFromBackendHttpSettings; set one", name)...)
		}
	}
	for i, settings := range s.in.documents("backendHttpSettingsCollection") {
		path, name := indexed("backendHttpSettingsCollection", i), settings.text("name")
		result = append(result, protocolFindings(path, "backend settings", settings)...)
		result = append(result, within1To(path, settings, "port", 65535)...)
		result = append(result, within1To(path, settings, "requestTimeout", 86400)...)
		picks, named := settings.flag("pickHostNameFromBackendAddress"), settings.has("hostName")
		if picks && named {
			result = append(result, found(path+".hostName", "backend settings '%s' have both hostName and pickHostNameFromBackendAddress; drop one", name)...)
		}
		probe, ok := probes[refersToPart(settings, "probe")]
		if !ok {
			continue // none, or reported as a bad reference
		}
		if a, b := probe.text("protocol"), settings.text("protocol"); a == "Http" && b == "Https" || a == "Https" && b == "Http" {
			result = append(result, found(path+".probe", "backend settings '%s' are for %s, but their probe '%s' is for %s; use one protocol",
				name, b, probe.text("name"), a)...)
		}
		if probe.flag("pickHostNameFromBackendHttpSettings") && !picks && !named && !settings.unsure("pickHostNameFromBackendAddress") {
			result = append(result, found(path+".hostName", "probe '%s' takes its host from backend settings '%s', which have none; "+
				"set hostName or pickHostNameFromBackendAddress", probe.text("name"), name)...)
		}
	}
	return result
}}

func protocolFindings(path, what string, part document) []finding {
	protocol := part.text("protocol")
	if part.unsure("protocol") || protocol == "Http" || protocol == "Https" {
		return nil
	}
	return found(path+".protocol", "%s '%s' of the gateway: protocol is '%s'; use Http or Https", what, part.text("name"), protocol)
}

// within1To finds a number that is not between 1 and most. Nothing is found while it is missing or unknown.
func within1To(path string, part document, name string, most float64) []finding {
	if number, ok := part.number(name); ok && (number < 1 || number > most) {
		return []finding{{path + "." + name, fmt.Sprintf("%s of '%s' is %g; use 1 to %g", name, part.text("name"), number, most)}}
	}
	return nil
}
