package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/naming"
	"github.com/gridos/sharedinfra/stacks"
)

// A firewall in Detection mode, or one that is off, passes everything, and everything else works as before: nobody would notice.
func TestUnit_TheFirewallPreventsInEveryEnvironment(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := mocks.Run{
				Project: stacks.Infra, Root: "../..", Stack: environment,
				Config: map[string]string{"rolePropagation": "0s"}, // the SDK's mocks know no hooks, and waiting is what they are for
				Functions: map[string]map[string]any{
					"azure-native:authorization:getClientConfig": {"objectId": "o", "tenantId": "t", "subscriptionId": "s"},
				},
				Preview: true,
			}.Do(program.Program)
			require.NoError(t, err)
			policies := recorded.OfType("azure-native:network/v20240501:WebApplicationFirewallPolicy")
			gateways := recorded.OfType("azure-native:network/v20240501:ApplicationGateway")
			require.Len(t, policies, 1)
			require.Len(t, gateways, 1)

			policy := policies[0].Inputs.Mappable()
			assert.Equal(t, map[string]any{
				"state": "Enabled", "mode": "Prevention",
				"requestBodyCheck": true, "requestBodyEnforcement": true, "fileUploadEnforcement": true,
			}, policy["policySettings"])
			assert.Equal(t, map[string]any{"managedRuleSets": []any{
				map[string]any{"ruleSetType": "Microsoft_DefaultRuleSet", "ruleSetVersion": "2.1"},
			}}, policy["managedRules"], "no rule is off, and nothing is excluded")
			assert.NotContains(t, policy, "customRules", "one that allows is asked before the managed rules")

			gateway := gateways[0].Inputs.Mappable()
			assert.Equal(t, map[string]any{"name": "WAF_v2", "tier": "WAF_v2"}, gateway["sku"], "no other has a firewall")
			assert.Equal(t, map[string]any{"id": policies[0].Name + "-id"}, gateway["firewallPolicy"])
			assert.Equal(t, 1, strings.Count(fmt.Sprint(gateway), "firewallPolicy:"), "that of a listener or a path would take its place")
		})
	}
}
