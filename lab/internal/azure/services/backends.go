package services

import (
	"slices"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// Backend is a target to which an Application Gateway sends requests, after asking it whether it is
// healthy.
type Backend struct {
	// Address is an IPv4 address.
	Address string
	// Port takes the requests, and ProbePort the probes.
	Port, ProbePort int32
	// MostBody is how many bytes of a request's body the firewall lets through; 0 is any number.
	MostBody int64
}

// Backends returns the targets of the routing rules of the live Application Gateways. A rule that
// redirects has none.
func Backends(c *arm.Cloud) []Backend {
	var found []Backend
	c.Look(func(v *arm.View) {
		for _, gateway := range v.All(typeGateway) {
			var firewall arm.Document
			if policy := v.Live(gateway.Inputs.Text("firewallPolicy.id")); policy != nil {
				firewall = policy.Inputs
			}
			for _, backend := range backendsOf(gateway.Inputs, firewall) {
				if !slices.Contains(found, backend) {
					found = append(found, backend)
				}
			}
		}
	})
	return found
}

// backendsOf returns the targets of a gateway, whose firewall policy may be missing.
func backendsOf(gateway, firewall arm.Document) []Backend {
	part := func(collection, name string) arm.Document {
		for _, candidate := range gateway.Documents(collection) {
			if name != "" && candidate.Text("name") == name {
				return candidate
			}
		}
		return arm.Document{}
	}
	var found []Backend
	for _, rule := range gateway.Documents("requestRoutingRules") {
		settings := part("backendHttpSettingsCollection", refersToPart(rule, "backendHttpSettings"))
		port, ok := settings.Number("port")
		if !ok {
			continue
		}
		// A probe without a port of its own uses the port of the requests (learn.microsoft.com,
		// "Application Gateway health probes").
		probePort, ok := part("probes", refersToPart(settings, "probe")).Number("port")
		if !ok {
			probePort = port
		}
		for _, address := range part("backendAddressPools", refersToPart(rule, "backendAddressPool")).Documents("backendAddresses") {
			if ip := address.Text("ipAddress"); ip != "" {
				found = append(found, Backend{ip, int32(port), int32(probePort), mostBody(firewall)})
			}
		}
	}
	return found
}

// mostBody returns how many bytes of a body a firewall lets through: 128 KB without a limit of its
// own. One that only detects, or does not enforce the limit, lets all through. Source: azure-docs,
// web-application-firewall/ag/application-gateway-waf-request-size-limits, 25 February 2026.
func mostBody(firewall arm.Document) int64 {
	settings := firewall.Document("policySettings")
	if firewall == nil || settings.At("requestBodyEnforcement") == false || settings.Text("mode") == "Detection" ||
		settings.Text("state") == "Disabled" {
		return 0
	}
	kilobytes, limited := settings.Number("maxRequestBodySizeInKb")
	if !limited {
		kilobytes = 128
	}
	return int64(kilobytes) << 10
}
