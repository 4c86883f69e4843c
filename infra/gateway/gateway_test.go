package gateway_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/gateway"
	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/stacks"
)

// run runs the program against mocks.
func run(environment string, overrides map[string]string) (*mocks.Recorded, error) {
	values := map[string]string{"rolePropagation": "0s"} // the SDK's mocks know no hooks, and the wait is in a hook
	maps.Copy(values, overrides)
	return mocks.Run{
		Project: stacks.Infra, Root: "../..", Stack: environment, Config: values,
		Functions: map[string]map[string]any{
			"azure-native:authorization:getClientConfig": {"objectId": "o", "tenantId": "t", "subscriptionId": "s"},
		},
		Preview: true,
	}.Do(program.Program)
}

func TestUnit_TheFirewallIsConfigured(t *testing.T) {
	t.Parallel()
	recorded, err := run("dev", map[string]string{"firewallMaxBodyKb": "64", "firewallRequestsPerMinute": "0"})
	require.NoError(t, err)
	policy := recorded.OfType("azure-native:network/v20240501:WebApplicationFirewallPolicy")[0].Inputs.Mappable()
	settings, ok := policy["policySettings"].(map[string]any)
	require.True(t, ok)
	assert.InDelta(t, 64, settings["maxRequestBodySizeInKb"], 0)
	assert.InDelta(t, 64, settings["requestBodyInspectLimitInKB"], 0, "no more is inspected than is let through")
	assert.NotContains(t, policy, "customRules")

	_, err = run("dev", map[string]string{"firewallMaxBodyKb": "2001", "firewallRequestsPerMinute": "-1"})
	require.ErrorContains(t, err, "gridos-infra:firewallMaxBodyKb: 2001 is out of range; use 8 to 2000")
	require.ErrorContains(t, err, "gridos-infra:firewallRequestsPerMinute: -1 is out of range")
}

// A firewall in Detection mode, or one that is off, lets everything through, and nothing else shows
// it.
func TestUnit_TheFirewallPreventsInEveryEnvironment(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			policies := recorded.OfType("azure-native:network/v20240501:WebApplicationFirewallPolicy")
			gateways := recorded.OfType("azure-native:network/v20240501:ApplicationGateway")
			require.Len(t, policies, 1)
			require.Len(t, gateways, 1)

			policy := policies[0].Inputs.Mappable()
			assert.Equal(t, map[string]any{
				"state": "Enabled", "mode": "Prevention",
				"requestBodyCheck": true, "requestBodyEnforcement": true, "fileUploadEnforcement": true,
				"requestBodyInspectLimitInKB": 128.0, "maxRequestBodySizeInKb": 1100.0,
			}, policy["policySettings"])
			assert.Equal(t, map[string]any{"managedRuleSets": []any{
				map[string]any{"ruleSetType": "Microsoft_DefaultRuleSet", "ruleSetVersion": "2.1"},
				map[string]any{"ruleSetType": "Microsoft_BotManagerRuleSet", "ruleSetVersion": "1.1"},
			}}, policy["managedRules"], "no rule is off, and nothing is excluded")
			assert.Equal(t, []any{map[string]any{
				"name": "ClientRateLimit", "priority": 10.0, "ruleType": "RateLimitRule", "action": "Block",
				"rateLimitDuration": "OneMin", "rateLimitThreshold": 3000.0,
				"groupByUserSession": []any{map[string]any{"groupByVariables": []any{map[string]any{"variableName": "ClientAddr"}}}},
				"matchConditions": []any{map[string]any{
					"matchVariables": []any{map[string]any{"variableName": "RemoteAddr"}},
					"operator":       "IPMatch", "negationConditon": true, "matchValues": []any{"255.255.255.255/32"},
				}},
			}}, policy["customRules"], "a rule that allows would be asked before the managed rules")

			gateway := gateways[0].Inputs.Mappable()
			assert.Equal(t, map[string]any{"name": "WAF_v2", "tier": "WAF_v2"}, gateway["sku"], "no other has a firewall")
			assert.Equal(t, map[string]any{"id": policies[0].Name + "-id"}, gateway["firewallPolicy"])
			assert.Equal(t, 1, strings.Count(fmt.Sprint(gateway), "firewallPolicy:"), "that of a listener or a path would take its place")
		})
	}
}

// An address that is not one of a certificate in a vault, or that names one version of it, would
// not follow a renewal.
func TestUnit_OnlyASecretWithoutAVersionIsACertificate(t *testing.T) {
	t.Parallel()
	vault, secret, err := gateway.Certificate{SecretID: "https://kv.vault.azure.net/secrets/tls"}.Parse()
	require.NoError(t, err)
	assert.Equal(t, "kv/tls", vault+"/"+secret)
	for _, address := range []string{
		"https://kv.vault.azure.net/secrets/tls/1", "https://kv.vault.azure.net/certificates/tls", "https://kv.vault.azure.net/secrets/",
		"https://kv.example.com/secrets/tls", "https://.vault.azure.net/secrets/tls", "http://kv.vault.azure.net/secrets/tls",
		"https://kv.vault.azure.net/secrets/tls?version=1", "kv", "%",
	} {
		_, _, err := gateway.Certificate{SecretID: address}.Parse()
		require.ErrorContains(t, err, "is not the address of a secret in a key vault", address)
	}
}
