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
}

// Backends returns the targets of the routing rules of the live Application Gateways. A rule that
// redirects has none.
func Backends(c *arm.Cloud) []Backend {
	var found []Backend
	c.Look(func(v *arm.View) {
		for _, gateway := range v.All(typeGateway) {
			for _, backend := range backendsOf(gateway.Inputs) {
				if !slices.Contains(found, backend) {
					found = append(found, backend)
				}
			}
		}
	})
	return found
}

func backendsOf(gateway arm.Document) []Backend {
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
				found = append(found, Backend{ip, int32(port), int32(probePort)})
			}
		}
	}
	return found
}
