package policy

import (
	"fmt"
	"slices"
	"strings"
)

var (
	// strictPolicies are the predefined TLS policies of Application Gateway that begin at TLS 1.2.
	// Source: learn.microsoft.com, "Application Gateway TLS policy overview".
	strictPolicies = []string{"AppGwSslPolicy20170401S", "AppGwSslPolicy20220101", "AppGwSslPolicy20220101S"}
	// gatewayVersions and databaseVersions are TLS 1.2 and later, as Application Gateway and
	// PostgreSQL write them.
	gatewayVersions  = []string{"TLSv1_2", "TLSv1_3"}
	databaseVersions = []string{"TLSv1.2", "TLSv1.3"}
)

func minimumTLS(r Resource, _ string) []finding {
	switch r.kind() {
	case "network:ApplicationGateway":
		found := weakPolicy("sslPolicy", r.at("sslPolicy"))
		for _, profile := range r.at("sslProfiles").elements() {
			if own := profile.at("sslPolicy"); !own.absent() {
				found = append(found, weakPolicy("sslPolicy of the profile "+profile.at("name").String(), own)...)
			}
		}
		return found
	case "dbforpostgresql:Configuration":
		return weakParameter(r.at("configurationName"), r.at("value"))
	}
	return nil
}

func weakPolicy(where string, policy property) []finding {
	kind, name, version := policy.at("policyType"), policy.at("policyName"), policy.at("minProtocolVersion")
	remedy := fmt.Sprintf("set policyType to Predefined and policyName to one of %s, or policyType to Custom or CustomV2 and "+
		"minProtocolVersion to TLSv1_2 or TLSv1_3", strings.Join(strictPolicies, ", "))
	switch {
	case policy.unknown() || kind.unknown():
		return nil
	case kind.empty(): // of a policy, or without one
		return []finding{{where + " is not set, so that Azure's default decides which versions of TLS are spoken", remedy}}
	case kind.is("Predefined") && !name.may(strictPolicies...):
		return []finding{{fmt.Sprintf("%s is the predefined policy %s, which may speak less than TLS 1.2", where, name), remedy}}
	case !kind.is("Predefined") && !version.may(gatewayVersions...):
		return []finding{{fmt.Sprintf("%s has minProtocolVersion %s, less than TLS 1.2", where, version), remedy}}
	default:
		return nil
	}
}

func weakParameter(name, value property) []finding {
	switch {
	case name.is("ssl_min_protocol_version") && !value.may(databaseVersions...):
		return []finding{{fmt.Sprintf("ssl_min_protocol_version is %s, less than TLS 1.2", value), "set it to TLSv1.2 or TLSv1.3"}}
	case name.is("require_secure_transport") && !value.may("on"):
		return []finding{{fmt.Sprintf("require_secure_transport is %s, so that connections may be plain", value), "set it to on"}}
	default:
		return nil
	}
}

// httpsOnly refuses a gateway that passes plain HTTP on to a backend.
//
// Rules name their listeners by ids that are not known before the gateway's resource group exists.
// But each listener has one rule: if there are more rules that pass traffic on than HTTPS
// listeners, one of them is plain.
func httpsOnly(r Resource, _ string) []finding {
	if r.kind() != "network:ApplicationGateway" {
		return nil
	}
	protocols := map[string]property{} // of the listeners, by name
	secure := 0
	for _, listener := range r.at("httpListeners").elements() {
		if listener.unknown() || listener.at("name").unknown() {
			return nil
		}
		protocols[strings.ToLower(listener.at("name").text())] = listener.at("protocol")
		if listener.at("protocol").may("Https") {
			secure++
		}
	}
	var plain []string
	unresolved := 0
	for _, route := range r.at("requestRoutingRules").elements() {
		if !passesOn(r, route) {
			continue
		}
		listener := route.at("httpListener", "id")
		if listener.unknown() {
			unresolved++
		}
		if protocols[lastSegment(listener)].is("Http") {
			plain = append(plain, route.at("name").String())
		}
	}
	if len(plain) == 0 && unresolved > secure {
		plain = []string{"a routing rule"}
	}
	var found []finding
	for _, route := range slices.Compact(plain) {
		found = append(found, finding{
			route + " passes plain HTTP on to a backend",
			"give the gateway a certificate and an HTTPS listener, and redirect the HTTP listener to it",
		})
	}
	return found
}

// passesOn reports whether a routing rule is known to send anything to a backend instead of
// redirecting it.
func passesOn(gateway Resource, route property) bool {
	paths := route.at("urlPathMap", "id")
	if paths.absent() {
		return !route.unknown() && route.at("redirectConfiguration").absent()
	}
	for _, candidate := range gateway.at("urlPathMaps").elements() {
		if !strings.EqualFold(candidate.at("name").text(), lastSegment(paths)) {
			continue
		}
		if candidate.at("defaultRedirectConfiguration").absent() {
			return true
		}
		return slices.ContainsFunc(candidate.at("pathRules").elements(), func(path property) bool {
			return path.at("redirectConfiguration").absent()
		})
	}
	return false
}

// lastSegment is the name of what an ARM id identifies, in lower case.
func lastSegment(id property) string {
	text := strings.ToLower(id.text())
	return text[strings.LastIndex(text, "/")+1:]
}
