package program_test

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
)

// texts are the strings of a list, and of a single one beside it, as Azure's security rules have
// them.
func texts(rule resource.PropertyMap, one, several string) []string {
	var found []string
	if v := rule[resource.PropertyKey(one)]; v.IsString() {
		found = append(found, v.StringValue())
	}
	if v := rule[resource.PropertyKey(several)]; v.IsArray() {
		for _, element := range v.ArrayValue() {
			found = append(found, element.StringValue())
		}
	}
	return found
}

// passes judges a packet as Azure does: the rules in the order of their priority, and then Azure's
// own, which allow inbound traffic from the network and from its load balancer and outbound traffic
// to the network or the Internet, and refuse the rest (azure-docs,
// virtual-network/network-security-groups-overview.md, "Default security rules").
func passes(group mocks.Resource, space netip.Prefix, direction, from, to, protocol, port string) bool {
	matches := func(names []string, end string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			address, notATag := netip.ParseAddr(end)
			prefix, notAPrefix := netip.ParsePrefix(name)
			switch {
			case name == "*" || name == end:
				return true
			case notATag != nil:
				return false
			case name == "VirtualNetwork":
				return space.Contains(address)
			case name == "Internet":
				return !space.Contains(address)
			default:
				return notAPrefix == nil && prefix.Contains(address)
			}
		})
	}
	rules := slices.Clone(mocks.PropertyAt(group.Inputs, "securityRules").ArrayValue())
	slices.SortFunc(rules, func(a, b resource.PropertyValue) int {
		return int(a.ObjectValue()["priority"].NumberValue() - b.ObjectValue()["priority"].NumberValue())
	})
	for _, r := range rules {
		rule := r.ObjectValue()
		of := rule["protocol"].StringValue()
		if rule["direction"].StringValue() == direction && (of == "*" || of == protocol) &&
			slices.Contains(texts(rule, "sourcePortRange", "sourcePortRanges"), "*") &&
			matches(texts(rule, "sourceAddressPrefix", "sourceAddressPrefixes"), from) &&
			matches(texts(rule, "destinationAddressPrefix", "destinationAddressPrefixes"), to) &&
			slices.ContainsFunc(texts(rule, "destinationPortRange", "destinationPortRanges"), func(open string) bool {
				return open == "*" || open == port
			}) {
			return rule["access"].StringValue() == "Allow"
		}
	}
	if direction == "Outbound" {
		return true
	}
	return matches([]string{"VirtualNetwork", "AzureLoadBalancer"}, from)
}

// Each line is a packet; whether it passes is what docs/azure-rules.md (N3, N4, N8) and the design
// say.
func TestUnit_WhoReachesWhat(t *testing.T) {
	t.Parallel()
	const (
		client, gatewayVM, node, pod = "198.51.100.7", "10.30.16.4", "10.30.0.5", "10.244.3.4"
		primary, private, operator   = "10.30.17.4", "10.30.19.5", "192.168.0.9"
	)
	recorded, err := run("prod", map[string]string{"operatorNetworkId": operatorNetwork, "operatorRanges": `["192.168.0.0/16"]`})
	require.NoError(t, err)
	space := netip.MustParsePrefix("10.30.0.0/16")
	for _, packet := range []struct {
		subnet, direction, from, to, protocol, port string
		want                                        bool
	}{
		{"appgw", "Inbound", client, gatewayVM, "Tcp", "443", true},
		{"appgw", "Inbound", client, gatewayVM, "Tcp", "80", true},
		{"appgw", "Inbound", client, gatewayVM, "Tcp", "22", false},
		{"appgw", "Inbound", client, gatewayVM, "Udp", "443", false},
		{"appgw", "Inbound", "GatewayManager", gatewayVM, "Tcp", "65200-65535", true},
		{"appgw", "Inbound", client, gatewayVM, "Tcp", "65200-65535", false},
		{"aks", "Inbound", node, node, "Udp", "53", true},
		{"aks", "Inbound", node, pod, "Tcp", "8080", true},
		{"aks", "Inbound", pod, pod, "Udp", "53", true},
		{"aks", "Inbound", gatewayVM, "10.30.18.10", "Tcp", "80", true},
		{"aks", "Inbound", gatewayVM, "10.30.18.10", "Tcp", "443", true},
		{"aks", "Inbound", gatewayVM, "10.30.18.10", "Tcp", "15021", true},
		{"aks", "Inbound", gatewayVM, "10.30.18.10", "Tcp", "22", false},
		{"aks", "Inbound", gatewayVM, "10.30.18.10", "Udp", "443", false},
		{"aks", "Inbound", "AzureLoadBalancer", node, "Tcp", "30080", true},
		{"aks", "Inbound", operator, node, "Tcp", "443", true},
		{"aks", "Inbound", operator, node, "Tcp", "22", false},
		{"aks", "Inbound", primary, node, "Tcp", "443", false},
		{"aks", "Inbound", client, node, "Tcp", "443", false},
		{"postgres", "Inbound", node, primary, "Tcp", "5432", true},
		{"postgres", "Inbound", primary, "10.30.17.5", "Tcp", "5432", true},
		{"postgres", "Inbound", node, primary, "Tcp", "22", false},
		{"postgres", "Inbound", node, primary, "Udp", "5432", false},
		{"postgres", "Inbound", gatewayVM, primary, "Tcp", "5432", false},
		{"postgres", "Inbound", "AzureLoadBalancer", primary, "Tcp", "5432", true},
		{"postgres", "Outbound", primary, "Storage", "Tcp", "443", true},
		{"postgres", "Outbound", primary, "AzureActiveDirectory", "Tcp", "443", true},
		{"endpoints", "Inbound", node, private, "Tcp", "443", true},
		{"endpoints", "Inbound", operator, private, "Tcp", "443", true},
		{"endpoints", "Inbound", operator, private, "Tcp", "22", false},
		{"endpoints", "Inbound", node, private, "Tcp", "80", false},
		{"endpoints", "Inbound", gatewayVM, private, "Tcp", "443", false},
		{"endpoints", "Inbound", client, private, "Tcp", "443", false},
		{"ingress", "Inbound", node, "10.30.18.10", "Tcp", "443", false},
		{"ingress", "Inbound", "AzureLoadBalancer", "10.30.18.10", "Tcp", "443", true},
	} {
		groups := recorded.OfType(nsg)
		i := slices.IndexFunc(groups, func(g mocks.Resource) bool { return g.Name == "prod-network-"+packet.subnet+"-nsg" })
		require.GreaterOrEqual(t, i, 0, packet.subnet)
		assert.Equal(t, packet.want, passes(groups[i], space, packet.direction, packet.from, packet.to, packet.protocol, packet.port), "%+v", packet)
	}
	outbound := map[string]string{} // Azure's own rules allow outbound traffic too, until a rule denies it
	for _, group := range recorded.OfType(nsg) {
		for _, rule := range mocks.PropertyAt(group.Inputs, "securityRules").ArrayValue() {
			if r := rule.ObjectValue(); r["direction"].StringValue() == "Outbound" {
				outbound[r["destinationAddressPrefix"].StringValue()] = r["protocol"].StringValue() + " " + r["destinationPortRange"].StringValue()
			}
		}
		rules := mocks.PropertyAt(group.Inputs, "securityRules").ArrayValue()
		for i, rule := range rules {
			want := 100 + 10*float64(i) // with room between two rules
			if closing := 2 - (len(rules) - i); closing >= 0 && !strings.HasSuffix(group.Name, "-appgw-nsg") {
				want = 4095 + float64(closing) // after all others
			}
			assert.InDelta(t, want, rule.ObjectValue()["priority"].NumberValue(), 0, "%s, rule %d", group.Name, i)
		}
	}
	assert.Equal(t, map[string]string{"Storage": "Tcp 443", "AzureActiveDirectory": "Tcp 443"}, outbound, "rule N4")
	// Azure exempts private endpoints from the rules of their subnet unless the subnet says otherwise.
	for _, s := range recorded.OfType(subnet) {
		want := "Disabled"
		if strings.HasSuffix(s.Name, "-endpoints") {
			want = "NetworkSecurityGroupEnabled"
		}
		assert.Equal(t, want, mocks.PropertyAt(s.Inputs, "privateEndpointNetworkPolicies").StringValue(), s.Name)
		assert.Contains(t, mocks.PropertyAt(s.Inputs, "networkSecurityGroup", "id").StringValue(), s.Name+"-nsg")
	}
}

// How long deleted data can be recovered, and from where, in days.
func TestUnit_WhatIsLostCanBeHadBackForSoLong(t *testing.T) {
	t.Parallel()
	type days struct{ vault, backups, logs, untagged float64 }
	for environment, want := range map[string]days{"dev": {7, 7, 30, 0}, "test": {7, 14, 30, 0}, "prod": {90, 35, 90, 30}} {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			kv, pg, images := recorded.OfType(vault)[0].Inputs, recorded.OfType(server)[0].Inputs, recorded.OfType(registry)[0].Inputs
			got := days{
				vault: mocks.PropertyAt(kv, "properties", "softDeleteRetentionInDays").NumberValue(), backups: mocks.PropertyAt(pg, "backup", "backupRetentionDays").NumberValue(),
				logs: mocks.PropertyAt(recorded.OfType(workspace)[0].Inputs, "retentionInDays").NumberValue(),
			}
			if retention := mocks.PropertyAt(images, "policies", "retentionPolicy"); retention.IsObject() {
				got.untagged = retention.ObjectValue()["days"].NumberValue()
				assert.Equal(t, "enabled", retention.ObjectValue()["status"].StringValue())
			}
			assert.Equal(t, want, got)
			assert.Equal(t, map[bool]string{true: "Enabled", false: "Disabled"}[environment == "prod"],
				mocks.PropertyAt(pg, "backup", "geoRedundantBackup").StringValue())
			assert.Equal(t, environment == "prod", len(recorded.OfType(lock)) > 0)
		})
	}
}

// The shortest time for which the registry keeps an image without a tag is a day.
func TestUnit_ADayIsATimeToo(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", map[string]string{"registryUntaggedDays": "1"})
	require.NoError(t, err)
	assert.InDelta(t, 1, mocks.PropertyAt(recorded.OfType(registry)[0].Inputs, "policies", "retentionPolicy", "days").NumberValue(), 0)
}

// The vault and the registry refuse every client that no rule names. The rules do not apply to
// Resource Manager, which writes secrets, and to Azure's own services, which scan images.
func TestUnit_StoresAreClosedToWhomNoRuleNames(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			private := environment == "prod"
			access := map[bool]string{true: "Disabled", false: "Enabled"}[private]
			kv := mocks.PropertyAt(recorded.OfType(vault)[0].Inputs, "properties").ObjectValue()
			assert.Equal(t, access, mocks.PropertyAt(kv, "publicNetworkAccess").StringValue())
			assert.Equal(t, "Deny", mocks.PropertyAt(kv, "networkAcls", "defaultAction").StringValue())
			assert.Equal(t, "AzureServices", mocks.PropertyAt(kv, "networkAcls", "bypass").StringValue())
			images := recorded.OfType(registry)[0].Inputs
			assert.Equal(t, private, mocks.PropertyAt(images, "publicNetworkAccess").DeepEquals(resource.NewProperty("Disabled")))
			assert.Equal(t, "AzureServices", mocks.PropertyAt(images, "networkRuleBypassOptions").StringValue())
			for _, endpoint := range recorded.OfType(privateEndpoint) {
				connection := mocks.PropertyAt(endpoint.Inputs, "privateLinkServiceConnections").ArrayValue()[0].ObjectValue()
				part := map[bool]string{true: "vault", false: "registry"}[strings.Contains(endpoint.Name, "vault")]
				assert.Equal(t, []resource.PropertyValue{resource.NewProperty(part)}, mocks.PropertyAt(connection, "groupIds").ArrayValue(), endpoint.Name)
			}
		})
	}
}

// The firewall counts the requests of every address: its rule exempts one address, which no client
// has.
func TestUnit_TheFirewallRefusesAndCounts(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", map[string]string{"firewallRequestsPerMinute": "1200", "firewallMaxBodyKb": "64"})
	require.NoError(t, err)
	in := recorded.OfType("azure-native:network/v20240501:WebApplicationFirewallPolicy")[0].Inputs
	sets := map[string]string{}
	for _, set := range mocks.PropertyAt(in, "managedRules", "managedRuleSets").ArrayValue() {
		sets[set.ObjectValue()["ruleSetType"].StringValue()] = set.ObjectValue()["ruleSetVersion"].StringValue()
	}
	assert.Equal(t, map[string]string{"Microsoft_DefaultRuleSet": "2.1", "Microsoft_BotManagerRuleSet": "1.1"}, sets)
	assert.InDelta(t, 64, mocks.PropertyAt(in, "policySettings", "maxRequestBodySizeInKb").NumberValue(), 0)
	assert.InDelta(t, 64, mocks.PropertyAt(in, "policySettings", "requestBodyInspectLimitInKB").NumberValue(), 0, "no more than there can be")
	require.Len(t, mocks.PropertyAt(in, "customRules").ArrayValue(), 1)
	rule := mocks.PropertyAt(in, "customRules").ArrayValue()[0].ObjectValue()
	assert.Equal(t, "Block", rule["action"].StringValue())
	assert.Equal(t, "RateLimitRule", rule["ruleType"].StringValue())
	assert.Equal(t, "OneMin", rule["rateLimitDuration"].StringValue())
	assert.InDelta(t, 1200, rule["rateLimitThreshold"].NumberValue(), 0)
	by := rule["groupByUserSession"].ArrayValue()[0].ObjectValue()["groupByVariables"].ArrayValue()[0].ObjectValue()
	assert.Equal(t, "ClientAddr", by["variableName"].StringValue())
	condition := rule["matchConditions"].ArrayValue()[0].ObjectValue()
	assert.Equal(t, "RemoteAddr", condition["matchVariables"].ArrayValue()[0].ObjectValue()["variableName"].StringValue())
	assert.Equal(t, "IPMatch", condition["operator"].StringValue())
	assert.True(t, condition["negationConditon"].BoolValue(), "every address but the one")
	assert.Equal(t, "255.255.255.255/32", condition["matchValues"].ArrayValue()[0].StringValue())

	standard, err := run("prod", nil)
	require.NoError(t, err)
	in = standard.OfType("azure-native:network/v20240501:WebApplicationFirewallPolicy")[0].Inputs
	assert.InDelta(t, 128, mocks.PropertyAt(in, "policySettings", "requestBodyInspectLimitInKB").NumberValue(), 0, "as much as Azure inspects")
	assert.Greater(t, mocks.PropertyAt(in, "policySettings", "maxRequestBodySizeInKb").NumberValue(), 1024.0, "the application answers to a body that is too long")
	assert.InDelta(t, 3000, mocks.PropertyAt(in, "customRules").ArrayValue()[0].ObjectValue()["rateLimitThreshold"].NumberValue(), 0, "50 a second")
}

// A request by HTTP is redirected permanently to the same page by HTTPS.
func TestUnit_PlainRequestsAreSentToHTTPS(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	in := recorded.OfType(gateway)[0].Inputs
	part := func(list, name string) resource.PropertyMap {
		for _, element := range mocks.PropertyAt(in, list).ArrayValue() {
			if element.ObjectValue()["name"].StringValue() == name {
				return element.ObjectValue()
			}
		}
		require.Fail(t, "no such part", "%s %s", list, name)
		return nil
	}
	follow := func(of resource.PropertyMap, key, list string) resource.PropertyMap {
		id := mocks.PropertyAt(of, key, "id").StringValue()
		name := id[strings.LastIndex(id, "/")+1:]
		assert.Equal(t, "/subscriptions/s/resourceGroups/prod-group-name/providers/Microsoft.Network/applicationGateways/"+
			mocks.PropertyAt(in, "applicationGatewayName").StringValue()+"/"+list+"/"+name, id)
		return part(list, name)
	}
	routes := map[string]string{} // by port
	for _, r := range mocks.PropertyAt(in, "requestRoutingRules").ArrayValue() {
		rule := r.ObjectValue()
		assert.Equal(t, "Basic", rule["ruleType"].StringValue())
		listener := follow(rule, "httpListener", "httpListeners")
		port := follow(listener, "frontendPort", "frontendPorts")["port"].NumberValue()
		assert.Contains(t, follow(listener, "frontendIPConfiguration", "frontendIPConfigurations"), resource.PropertyKey("publicIPAddress"))
		if rule["redirectConfiguration"].IsObject() {
			redirect := follow(rule, "redirectConfiguration", "redirectConfigurations")
			assert.Equal(t, "Permanent", redirect["redirectType"].StringValue())
			assert.True(t, redirect["includePath"].BoolValue())
			assert.True(t, redirect["includeQueryString"].BoolValue())
			assert.Equal(t, "Https", follow(redirect, "targetListener", "httpListeners")["protocol"].StringValue())
			assert.Equal(t, "Http", listener["protocol"].StringValue())
			routes[resource.NewProperty(port).String()] = "redirect"
			continue
		}
		assert.Equal(t, "Https", listener["protocol"].StringValue())
		assert.NotEmpty(t, follow(listener, "sslCertificate", "sslCertificates")["keyVaultSecretId"].StringValue())
		settings := follow(rule, "backendHttpSettings", "backendHttpSettingsCollection")
		assert.NotEmpty(t, follow(rule, "backendAddressPool", "backendAddressPools")["backendAddresses"].ArrayValue())
		probe := follow(settings, "probe", "probes")
		assert.Equal(t, "Http", settings["protocol"].StringValue())
		assert.InDelta(t, 80, settings["port"].NumberValue(), 0)
		assert.Equal(t, "Disabled", settings["cookieBasedAffinity"].StringValue(), "a rollout moves users with the weights")
		assert.InDelta(t, 15021, probe["port"].NumberValue(), 0, "Istio's own")
		assert.Equal(t, "/healthz/ready", probe["path"].StringValue())
		assert.Less(t, probe["timeout"].NumberValue(), probe["interval"].NumberValue())
		routes[resource.NewProperty(port).String()] = "backend"
	}
	assert.Equal(t, map[string]string{
		resource.NewProperty(80.0).String(): "redirect", resource.NewProperty(443.0).String(): "backend",
	}, routes)
	assert.Equal(t, "UserAssigned", mocks.PropertyAt(in, "identity", "type").StringValue())
}

// Each identity has the roles of its task, by the names that Azure gives them (learn.microsoft.com,
// "Azure built-in roles").
func TestUnit_EachIdentityHasTheRolesOfItsTask(t *testing.T) {
	t.Parallel()
	builtIn := map[string]string{
		"7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
		"8311e382-0749-4cb8-b61a-304f252e45ec": "AcrPush",
		"4d97b98b-1d4f-4787-a291-c67834d212e7": "Network Contributor",
		"4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
		"b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
		"b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b": "Azure Kubernetes Service RBAC Cluster Admin",
	}
	recorded, err := run("prod", map[string]string{"adminGroupObjectIds": `["22222222-2222-2222-2222-222222222222"]`})
	require.NoError(t, err)
	got, given := map[string][3]string{}, map[identity.Role]bool{}
	for _, r := range recorded.OfType(role) {
		definition := r.Inputs["roleDefinitionId"].StringValue()
		given[identity.Role(definition[strings.LastIndex(definition, "/")+1:])] = true
		got[strings.TrimPrefix(r.Name, "prod-")] = [3]string{
			builtIn[definition[strings.LastIndex(definition, "/")+1:]], r.Inputs["principalType"].StringValue(), r.Inputs["principalId"].StringValue(),
		}
	}
	assert.Equal(t, map[string][3]string{
		"cluster-acr-pull":            {"AcrPull", "ServicePrincipal", "kubelet"},
		"cluster-network-contributor": {"Network Contributor", "ServicePrincipal", "prod-cluster-identity-principal"},
		"cluster-deployer-admin":      {"Azure Kubernetes Service RBAC Cluster Admin", "User", "o"},
		"cluster-admin-22222222-2222-2222-2222-222222222222": {
			"Azure Kubernetes Service RBAC Cluster Admin", "Group", "22222222-2222-2222-2222-222222222222",
		},
		"gateway-certificate-reader":     {"Key Vault Secrets User", "ServicePrincipal", "prod-gateway-identity-principal"},
		"pipeline-role":                  {"AcrPush", "ServicePrincipal", "prod-pipeline-identity-principal"},
		"secrets-role":                   {"Key Vault Secrets User", "ServicePrincipal", "prod-secrets-identity-principal"},
		"vault-deployer-secrets-officer": {"Key Vault Secrets Officer", "User", "o"},
	}, got)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(given)), identity.Assigned(false), "what a deployer has to be allowed to assign")
	names := []string{}
	for _, c := range recorded.OfType(credential) {
		names = append(names, c.Name)
		assert.Equal(t, []resource.PropertyValue{resource.NewProperty("api://AzureADTokenExchange")}, c.Inputs["audiences"].ArrayValue(), c.Name)
		issuer, subject := c.Inputs["issuer"].StringValue(), c.Inputs["subject"].StringValue()
		if strings.Contains(c.Name, "pipeline") {
			assert.Equal(t, "https://token.actions.githubusercontent.com", issuer)
			assert.True(t, strings.HasPrefix(subject, "repo:gridos/sharedinfra:environment:"), subject)
			continue
		}
		assert.Equal(t, "https://issuer", issuer)
		assert.Contains(t, []string{
			"system:serviceaccount:gridos:gridos", "system:serviceaccount:external-secrets:external-secrets",
		}, subject)
	}
	assert.ElementsMatch(t, []string{
		"prod-application-kubernetes", "prod-secrets-kubernetes", "prod-pipeline-github-repo-gridos-sharedinfra-environment-prod",
	}, names, "a credential with another name is made before the old one goes, and Azure takes no two of one subject")
}

// The telemetry of a resource: who did what, and its health. The reads of kube-audit would be nine
// tenths of the bill.
func TestUnit_ResourcesTellAllThatIsWatched(t *testing.T) {
	t.Parallel()
	recorded, err := run("prod", nil)
	require.NoError(t, err)
	for _, d := range recorded.OfType(diagnostics) {
		var logs, metrics []string
		for _, entry := range mocks.PropertyAt(d.Inputs, "logs").ArrayValue() {
			for _, kind := range []string{"category", "categoryGroup"} {
				if value := entry.ObjectValue()[resource.PropertyKey(kind)]; value.IsString() {
					logs = append(logs, value.StringValue())
				}
			}
		}
		if list := mocks.PropertyAt(d.Inputs, "metrics"); list.IsArray() {
			for _, entry := range list.ArrayValue() {
				metrics = append(metrics, entry.ObjectValue()["category"].StringValue())
			}
		}
		want, measured := []string{"allLogs"}, []string{"AllMetrics"}
		switch {
		case strings.HasPrefix(d.Name, "prod-cluster-aks"):
			want = []string{
				"kube-apiserver", "kube-audit-admin", "kube-controller-manager", "kube-scheduler", "cluster-autoscaler",
				"cloud-controller-manager", "guard",
			}
		case strings.Contains(d.Name, "-nsg-"):
			measured = nil // Azure has none of a security group
		}
		assert.Equal(t, want, logs, d.Name)
		assert.Equal(t, measured, metrics, d.Name)
	}
}

// Each line is a setting of every environment that no guardrail asks for, because other platforms
// may do well without it.
func TestUnit_EveryEnvironmentIsClosedAndWatchedAlike(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			managed := recorded.OfType(cluster)[0].Inputs
			assert.Equal(t, "UserAssigned", mocks.PropertyAt(managed, "identity", "type").StringValue(), "it has its rights first (rule K1)")
			ingress := mocks.PropertyAt(managed, "serviceMeshProfile", "istio", "components", "ingressGateways").ArrayValue()
			require.Len(t, ingress, 1)
			assert.Equal(t, map[string]any{"enabled": true, "mode": "Internal"}, ingress[0].Mappable(), "the way from the edge into the mesh")
			assert.Equal(t, "cilium", mocks.PropertyAt(managed, "networkProfile", "networkPolicy").StringValue(), "or no NetworkPolicy is enforced")
			assert.Equal(t, "standard", mocks.PropertyAt(managed, "networkProfile", "loadBalancerSku").StringValue(), "no other has zones")
			defended := mocks.PropertyAt(managed, "securityProfile", "defender", "securityMonitoring", "enabled")
			if environment == "prod" {
				assert.Equal(t, "system", mocks.PropertyAt(managed, "apiServerAccessProfile", "privateDNSZone").StringValue(), "AKS keeps the API server's name")
				assert.True(t, defended.IsBool() && defended.BoolValue(), "Defender watches the nodes")
			} else {
				assert.True(t, defended.IsNull(), "Defender costs by the core")
			}

			assert.Equal(t, "Enabled", mocks.PropertyAt(recorded.OfType(server)[0].Inputs, "authConfig", "passwordAuth").StringValue(),
				"the application signs in with the vault's password")
			tls := recorded.OfType("azure-native:dbforpostgresql/v20240801:Configuration")
			require.Len(t, tls, 1)
			assert.True(t, tls[0].RetainOnDelete(), "a server that goes does not speak older versions of TLS first")
			for _, a := range recorded.OfType(address) {
				assert.Regexp(t, "^"+environment+"-(gateway-ip|network-egress-[12])$", a.Name, "under another name it would be another address")
				assert.Equal(t, "Static", a.Inputs["publicIPAllocationMethod"].StringValue(), a.Name)
				assert.Equal(t, "IPv4", a.Inputs["publicIPAddressVersion"].StringValue(), a.Name)
			}
			services := map[string]string{}
			for _, s := range recorded.OfType(subnet) {
				if list := mocks.PropertyAt(s.Inputs, "serviceEndpoints"); list.IsArray() {
					require.Len(t, list.ArrayValue(), 1, s.Name)
					services[strings.TrimPrefix(s.Name, environment+"-network-")] = list.ArrayValue()[0].ObjectValue()["service"].StringValue()
				}
			}
			want := map[string]string{"postgres": "Microsoft.Storage"} // where a standby's logs are archived (rule N4)
			zones := []string{}
			if environment == "prod" {
				zones = append(zones, "privatelink.vaultcore.azure.net", "privatelink.azurecr.io")
			} else {
				want["aks"] = "Microsoft.KeyVault" // the vault knows the nodes by their subnet
			}
			assert.Equal(t, want, services)
			var private []string
			for _, z := range recorded.OfType("azure-native:network/v20240601:PrivateZone") {
				if name := z.Inputs["privateZoneName"].StringValue(); strings.HasPrefix(name, "privatelink.") {
					private = append(private, name)
				}
			}
			assert.ElementsMatch(t, zones, private, "the names that Azure gives to private endpoints")
			for _, a := range recorded.OfType(assignment) {
				assert.Equal(t, "Default", a.Inputs["enforcementMode"].StringValue())
				assert.Equal(t, []any{"kube-system", "gatekeeper-system", "azure-arc", "aks-istio-system", "aks-istio-ingress", "aks-istio-egress"},
					mocks.PropertyAt(a.Inputs, "parameters", "excludedNamespaces", "value").Mappable(), "what AKS runs itself, and no more")
			}
		})
	}
}

// A resource with another name in the program is deleted and created again: then a password
// changes, a store is empty, and an identity has no rights.
func TestUnit_WhatCannotBeMadeAgainKeepsItsName(t *testing.T) {
	t.Parallel()
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			recorded, err := run(environment, nil)
			require.NoError(t, err)
			names := func(token string) []string {
				found := []string{}
				for _, r := range recorded.OfType(token) {
					found = append(found, strings.TrimPrefix(r.Name, environment+"-"))
				}
				return found
			}
			identities := []string{"cluster-identity", "application-identity", "secrets-identity", "pipeline-identity"}
			if environment != "dev" { // HTTPS
				identities = append(identities, "gateway-identity")
			}
			for token, want := range map[string][]string{
				group: {"group"}, vnet: {"network-vnet"}, cluster: {"cluster-aks"}, pool: {"cluster-user-pool"},
				server: {"database-server"}, "azure-native:dbforpostgresql/v20240801:Database": {"database-gridos"},
				vault: {"vault-vault"}, registry: {"registry-registry"}, workspace: {"monitoring-workspace"},
				subnet: {"network-aks", "network-appgw", "network-postgres", "network-ingress", "network-endpoints"},
				"random:index/randomPassword:RandomPassword": {
					"database-password", "database-service-password", "ingest-token-gateways-first", "ingest-token-gateways-second",
				},
				"azure-native:keyvault/v20241101:Secret": {
					"database-password-secret", "database-service-password-secret", "ingest-token-secret",
				},
				"azure-native:managedidentity/v20230131:UserAssignedIdentity": identities,
			} {
				assert.ElementsMatch(t, want, names(token), token)
			}
		})
	}
}
