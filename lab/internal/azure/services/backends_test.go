package services

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

func TestUnit_BackendsAreWhereTheRulesOfAGatewayLead(t *testing.T) {
	t.Parallel()
	part := func(collection, name string) any {
		return map[string]any{"id": "/subscriptions/s/resourceGroups/rg/providers/" + typeGateway + "/agw/" + collection + "/" + name}
	}
	settings := map[string]any{"name": "plain", "port": 80.0, "probe": part("probes", "ready")}
	gateway := arm.Document{
		"requestRoutingRules": []any{
			map[string]any{
				"name": "to-edge", "backendAddressPool": part("backendAddressPools", "edge"),
				"backendHttpSettings": part("backendHttpSettingsCollection", "plain"),
			},
			map[string]any{"name": "to-https", "redirectConfiguration": part("redirectConfigurations", "to-https")},
		},
		"backendAddressPools": []any{
			map[string]any{"name": "unused", "backendAddresses": []any{map[string]any{"ipAddress": "10.0.0.9"}}},
			map[string]any{"name": "edge", "backendAddresses": []any{
				map[string]any{"ipAddress": "10.10.18.10"}, map[string]any{"fqdn": "edge.example.com"},
			}},
		},
		"backendHttpSettingsCollection": []any{settings},
		"probes":                        []any{map[string]any{"name": "ready", "port": 15021.0}},
	}
	assert.Equal(t, []Backend{{"10.10.18.10", 80, 15021, 0}}, backendsOf(gateway, nil))
	delete(settings, "probe")
	assert.Equal(t, []Backend{{"10.10.18.10", 80, 80, 0}}, backendsOf(gateway, nil))
	assert.Empty(t, backendsOf(arm.Document{}, nil))

	firewall := map[string]any{"maxRequestBodySizeInKb": 64.0, "mode": "Prevention"}
	refuses := func() int64 { return backendsOf(gateway, arm.Document{"policySettings": firewall})[0].MostBody }
	assert.EqualValues(t, 65536, refuses())
	firewall["requestBodyEnforcement"] = true
	assert.EqualValues(t, 65536, refuses())
	firewall["requestBodyEnforcement"] = false
	assert.Zero(t, refuses())
	delete(firewall, "requestBodyEnforcement")
	delete(firewall, "maxRequestBodySizeInKb")
	assert.EqualValues(t, 131072, refuses())
	firewall["mode"] = "Detection"
	assert.Zero(t, refuses())
}
