package policy_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/policy"
)

type object = map[string]any

// unknown is a value that is not known at a preview.
var unknown = resource.MakeComputed(resource.NewProperty(""))

const (
	aks      = "azure-native:containerservice/v20240901:ManagedCluster"
	pool     = "azure-native:containerservice/v20240901:AgentPool"
	acr      = "azure-native:containerregistry/v20230701:Registry"
	vault    = "azure-native:keyvault/v20241101:Vault"
	postgres = "azure-native:dbforpostgresql/v20240801:Server"
	param    = "azure-native:dbforpostgresql/v20240801:Configuration"
	address  = "azure-native:network/v20240501:PublicIPAddress"
	gateway  = "azure-native:network/v20240501:ApplicationGateway"
	group    = "azure-native:resources/v20240301:ResourceGroup"
	subnet   = "azure-native:network/v20240501:Subnet"
	zone     = "azure-native:network/v20240601:PrivateZone"
	logs     = "azure-native:operationalinsights/v20230901:Workspace"
	setting  = "azure-native:insights/v20210501preview:DiagnosticSetting"
	service  = "kubernetes:core/v1:Service"
	edge     = "gridos-infra:gateway:Gateway"
)

func tagged() object {
	return object{"environment": "prod", "owner": "platform", "cost-centre": "gridos", "managed-by": "pulumi"}
}

// check returns what Check says about one rule for a resource of the given type in prod, unless told otherwise.
func check(rule, environment, token, parent string, properties object) []string {
	var messages []string
	for _, v := range policy.Check(policy.Resource{
		Type: token, Name: "x", ParentType: parent, Properties: resource.NewPropertyMapFromMap(properties),
	}, environment) {
		if v.Rule == rule {
			messages = append(messages, v.Message+"; "+v.Remedy)
		}
	}
	return messages
}

func TestUnit_EachRuleRefusesWhatItIsThereFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, environment, token, parent string
		properties                       object
		want                             string // part of the only message; "" for none
	}{
		{"tags", "prod", group, "", object{"tags": tagged()}, ""},
		{"tags", "prod", group, "", object{}, "missing or empty: cost-centre, environment, managed-by, owner"},
		{"tags", "prod", group, "", object{"tags": unknown}, ""},
		{"tags", "prod", group, "", object{"tags": with(tagged(), "owner", unknown)}, ""},
		{"tags", "prod", group, "", object{"tags": with(tagged(), "owner", " ")}, "missing or empty: owner"},
		{"tags", "dev", group, "", object{"tags": tagged()}, `the tag environment is "prod" in the stack dev`},
		{"tags", "prod", subnet, "", object{}, ""},
		{"tags", "prod", "kubernetes:core/v1:Namespace", "", object{}, ""},

		{"no-public-endpoint", "prod", address, edge, object{}, ""},
		{"no-public-endpoint", "prod", address, "gridos-infra:network:Egress", object{}, ""},
		{"no-public-endpoint", "prod", address, "gridos-infra:network:Network", object{}, "a public address that is not the gateway's"},
		{"no-public-endpoint", "prod", address, "", object{}, "not the gateway's"},
		{"no-public-endpoint", "prod", "azure-native:network:PublicIPPrefix", edge, object{}, "public addresses"},
		{"no-public-endpoint", "prod", aks, "", object{}, "open to the Internet"},
		{"no-public-endpoint", "prod", aks, "", object{"apiServerAccessProfile": unknown}, ""},
		{"no-public-endpoint", "prod", aks, "", object{"apiServerAccessProfile": object{"enablePrivateCluster": true}}, ""},
		{"no-public-endpoint", "prod", aks, "", ranges(), "open to the Internet"},
		{"no-public-endpoint", "prod", aks, "", ranges("198.51.100.0/24", "203.0.113.7"), ""},
		{"no-public-endpoint", "prod", aks, "", ranges("198.51.100.0/24", "0.0.0.0/0"), `lets in "0.0.0.0/0"`},
		{"no-public-endpoint", "prod", aks, "", ranges("128.0.0.0/1"), `lets in "128.0.0.0/1"`},
		{"no-public-endpoint", "prod", aks, "", with(ranges("198.51.100.0/24"), "agentPoolProfiles",
			[]any{object{"enableNodePublicIP": true}}), "nodes have public addresses"},
		{"no-public-endpoint", "prod", pool, "", object{"enableNodePublicIP": true}, "nodes have public addresses"},
		{"no-public-endpoint", "prod", pool, "", object{}, ""},
		{"no-public-endpoint", "prod", postgres, "", object{}, "the server has a public endpoint"},
		{"no-public-endpoint", "prod", postgres, "", object{"network": object{"publicNetworkAccess": "Enabled"}}, "public endpoint"},
		{"no-public-endpoint", "prod", postgres, "", object{"network": object{"publicNetworkAccess": "disabled"}}, ""},
		{"no-public-endpoint", "prod", postgres, "", object{"network": object{"delegatedSubnetResourceId": unknown}}, ""},
		{"no-public-endpoint", "prod", vault, "", object{"properties": object{}}, "the vault is open to the Internet"},
		{"no-public-endpoint", "prod", vault, "", object{"properties": object{"publicNetworkAccess": "Disabled"}}, ""},
		{"no-public-endpoint", "prod", vault, "", object{"properties": object{"networkAcls": object{"defaultAction": "Allow"}}}, "open"},
		{"no-public-endpoint", "prod", vault, "", object{"properties": object{"networkAcls": object{
			"defaultAction": "Deny", "ipRules": []any{object{"value": "203.0.113.0/24"}},
		}}}, ""},
		{"no-public-endpoint", "prod", vault, "", object{"properties": object{"networkAcls": object{
			"defaultAction": "Deny", "ipRules": []any{object{"value": "0.0.0.0/1"}},
		}}}, "a good part of the Internet"},
		{"no-public-endpoint", "prod", acr, "", object{}, "the registry is open to the Internet"},
		{"no-public-endpoint", "prod", acr, "", object{"publicNetworkAccess": "Disabled"}, ""},
		{"no-public-endpoint", "prod", acr, "", object{"networkRuleSet": object{"defaultAction": "Deny"}}, ""},
		{"no-public-endpoint", "prod", service, "", balancer(nil), "a load balancer with a public address"},
		{"no-public-endpoint", "prod", service, "", balancer("false"), "a load balancer with a public address"},
		{"no-public-endpoint", "prod", service, "", balancer("true"), ""},
		{"no-public-endpoint", "prod", service, "", object{"spec": object{"type": "ClusterIP"}}, ""},

		{"minimum-tls", "prod", gateway, "", object{}, "sslPolicy is not set"},
		{"minimum-tls", "prod", gateway, "", object{"sslPolicy": predefined("AppGwSslPolicy20220101S")}, ""},
		{"minimum-tls", "prod", gateway, "", object{"sslPolicy": predefined("AppGwSslPolicy20170401")}, "may speak less than TLS 1.2"},
		{"minimum-tls", "prod", gateway, "", object{"sslPolicy": object{"policyType": "Custom"}}, "minProtocolVersion not set"},
		{"minimum-tls", "prod", gateway, "", object{"sslPolicy": object{"policyType": "CustomV2", "minProtocolVersion": "TLSv1_2"}}, ""},
		{"minimum-tls", "prod", gateway, "", object{"sslPolicy": unknown}, ""},
		{"minimum-tls", "prod", gateway, "", object{"sslPolicy": predefined("AppGwSslPolicy20220101"), "sslProfiles": []any{
			object{"name": "old", "sslPolicy": predefined("AppGwSslPolicy20150501")}, object{"name": "inherits"},
		}}, `sslPolicy of the profile "old" is the predefined policy`},
		{"minimum-tls", "prod", param, "", parameter("ssl_min_protocol_version", "TLSv1.2"), ""},
		{"minimum-tls", "prod", param, "", parameter("ssl_min_protocol_version", "TLSv1.1"), `is "TLSv1.1", less than TLS 1.2`},
		{"minimum-tls", "prod", param, "", parameter("require_secure_transport", "ON"), ""},
		{"minimum-tls", "prod", param, "", parameter("require_secure_transport", "off"), "connections may be plain"},
		{"minimum-tls", "prod", param, "", parameter("max_connections", "5"), ""},

		{"https-only", "prod", gateway, "", routed("Http", "http", false), `"route" passes plain HTTP on`},
		{"https-only", "prod", gateway, "", routed("Https", "http", false), ""},
		{"https-only", "prod", gateway, "", routed("Http", "http", true), ""},
		{"https-only", "prod", gateway, "", routed("Http", unknown, false), "a routing rule passes plain HTTP on"},
		{"https-only", "prod", gateway, "", routed("Https", unknown, false), ""},
		{"https-only", "prod", gateway, "", object{"httpListeners": []any{unknown}}, ""},
		{"https-only", "prod", gateway, "", byPath(object{"defaultRedirectConfiguration": object{"id": "r"}}), ""},
		{"https-only", "prod", gateway, "", byPath(object{}), `"route" passes plain HTTP on`},
		{"https-only", "prod", gateway, "", byPath(object{
			"defaultRedirectConfiguration": object{"id": "r"}, "pathRules": []any{object{"backendAddressPool": object{"id": "b"}}},
		}), `"route" passes plain HTTP on`},
		{"https-only", "prod", vault, "", object{}, ""},

		{"no-admin-user", "prod", acr, "", object{"adminUserEnabled": true}, "the admin user is enabled"},
		{"no-admin-user", "prod", acr, "", object{"adminUserEnabled": false}, ""},
		{"no-admin-user", "prod", acr, "", object{}, ""},

		{"no-password-only", "prod", postgres, "", object{}, "activeDirectoryAuth is not set"},
		{"no-password-only", "prod", postgres, "", object{"authConfig": object{"activeDirectoryAuth": "Disabled"}}, `is "Disabled"`},
		{"no-password-only", "prod", postgres, "", object{"authConfig": object{"activeDirectoryAuth": "Enabled"}}, ""},
		{"no-password-only", "prod", aks, "", object{"disableLocalAccounts": true}, ""},
		{"no-password-only", "prod", aks, "", object{"disableLocalAccounts": unknown}, ""},
		{"no-password-only", "prod", aks, "", object{"disableLocalAccounts": false}, "disableLocalAccounts is false"},

		{"allowed-regions", "prod", group, "", object{"location": "West Europe"}, ""},
		{"allowed-regions", "prod", group, "", object{"location": "eastus"}, `the location "eastus" is not allowed`},
		{"allowed-regions", "prod", group, "", object{"location": "global"}, `the location "global" is not allowed`},
		{"allowed-regions", "prod", group, "", object{"location": unknown}, ""},
		{"allowed-regions", "prod", group, "", object{}, ""},
		{"allowed-regions", "prod", zone, "", object{"location": "Global"}, ""},
		{"allowed-regions", "prod", "pulumi:providers:azure-native", "", object{"location": "eastus"}, "not allowed"},
		{"allowed-regions", "prod", "kubernetes:core/v1:Namespace", "", object{"location": "eastus"}, ""},

		{"allowed-skus", "prod", acr, "", object{"sku": object{"name": "Premium"}}, ""},
		{"allowed-skus", "prod", acr, "", object{"sku": object{"name": "Basic"}}, `sku.name is "Basic"; use Standard or Premium`},
		{"allowed-skus", "prod", aks, "", object{"sku": object{"tier": "Free"}}, `sku.tier is "Free"`},
		{"allowed-skus", "dev", aks, "", object{"sku": object{"tier": "Free"}}, ""},
		{"allowed-skus", "test", postgres, "", object{"sku": object{"tier": "Burstable"}}, `sku.tier is "Burstable"`},
		{"allowed-skus", "dev", postgres, "", object{"sku": object{"tier": "Burstable"}}, ""},
		{"allowed-skus", "prod", gateway, "", object{"sku": object{"name": "Standard_v2", "tier": "WAF_v2"}}, `sku.name is "Standard_v2"`},
		{"allowed-skus", "prod", logs, "", object{"sku": object{"name": "Free"}}, `sku.name is "Free"`},
		{"allowed-skus", "prod", address, "", object{"sku": object{"name": unknown}}, ""},
		{"allowed-skus", "prod", pool, "", object{"vmSize": "Standard_D4ds_v5"}, ""},
		{"allowed-skus", "prod", pool, "", object{"vmSize": "Standard_E16-4ads_v6"}, ""},
		{"allowed-skus", "prod", pool, "", object{"vmSize": "Standard_D4s_v3"}, "nodes of size"},
		{"allowed-skus", "prod", pool, "", object{"vmSize": "Standard_B2ms"}, "nodes of size"},
		{"allowed-skus", "dev", pool, "", object{"vmSize": "Standard_B2ms"}, ""},
		{"allowed-skus", "dev", pool, "", object{"vmSize": "Standard_NC6s_v3"}, "or one of the B series"},
		{"allowed-skus", "prod", aks, "", object{"agentPoolProfiles": []any{object{"vmSize": "Standard_A2"}}}, "nodes of size"},
	} {
		messages := check(c.rule, c.environment, c.token, c.parent, c.properties)
		if c.want == "" {
			assert.Empty(t, messages, "%s %s %v", c.rule, c.token, c.properties)
			continue
		}
		if assert.Len(t, messages, 1, "%s %s %v", c.rule, c.token, c.properties) {
			assert.Contains(t, messages[0], c.want)
			_, remedy, _ := strings.Cut(messages[0], "; ")
			assert.NotEmpty(t, remedy)
		}
	}
}

func with(o object, key string, value any) object {
	out := maps.Clone(o)
	out[key] = value
	return out
}

func ranges(list ...any) object {
	return object{"apiServerAccessProfile": object{"authorizedIPRanges": list}}
}

func balancer(internal any) object {
	annotations := object{}
	if internal != nil {
		annotations["service.beta.kubernetes.io/azure-load-balancer-internal"] = internal
	}
	return object{"spec": object{"type": "LoadBalancer"}, "metadata": object{"annotations": annotations}}
}

func predefined(name string) object { return object{"policyType": "Predefined", "policyName": name} }

func parameter(name, value string) object { return object{"configurationName": name, "value": value} }

// routed is a gateway with one listener, called http, and one rule.
func routed(protocol string, listener any, redirects bool) object {
	route := object{"name": "route", "httpListener": object{"id": listener}}
	if name, ok := listener.(string); ok {
		route["httpListener"] = object{"id": "/subscriptions/s/applicationGateways/g/httpListeners/" + strings.ToUpper(name)}
	}
	if redirects {
		route["redirectConfiguration"] = object{"id": unknown}
	}
	return object{
		"httpListeners":       []any{object{"name": "http", "protocol": protocol}},
		"requestRoutingRules": []any{route},
	}
}

// byPath is a gateway whose plain listener is routed by a map of paths.
func byPath(paths object) object {
	gateway := routed("Http", "http", false)
	gateway["requestRoutingRules"].([]any)[0].(object)["urlPathMap"] = object{"id": "/g/urlPathMaps/paths"}
	gateway["urlPathMaps"] = []any{object{"name": "other"}, with(paths, "name", "paths")}
	return gateway
}

func TestUnit_SecretsAreJudgedAndNeverShown(t *testing.T) {
	t.Parallel()
	hidden := resource.MakeSecret(resource.NewProperty("eastus"))
	messages := check("allowed-regions", "prod", group, "", object{"location": hidden})
	require.Len(t, messages, 1)
	assert.Contains(t, messages[0], "the location (secret) is not allowed")
	assert.NotContains(t, messages[0], "eastus")

	inside := resource.NewProperty(resource.NewPropertyMapFromMap(object{"tier": "Free"}))
	messages = check("allowed-skus", "prod", aks, "", object{"sku": resource.MakeSecret(inside)})
	require.Len(t, messages, 1)
	assert.NotContains(t, messages[0], "is \"Free\"")
	messages = check("allowed-skus", "prod", aks, "", object{"sku": resource.NewProperty(resource.Output{
		Element: inside, Known: true, Secret: true,
	})})
	require.Len(t, messages, 1)
	assert.Empty(t, check("allowed-skus", "prod", aks, "", object{"sku": resource.NewProperty(resource.Output{})}))
}

func TestUnit_AWatchedResourceIsOneThatADiagnosticSettingRefersTo(t *testing.T) {
	t.Parallel()
	violations := policy.CheckStack([]policy.Resource{
		{URN: "urn:watched", Type: vault, Name: "watched"},
		{URN: "urn:forgotten", Type: vault, Name: "forgotten"},
		{URN: "urn:logs", Type: logs, Name: "logs"},
		{URN: "urn:setting", Type: setting, Name: "setting", References: map[string][]string{
			"resourceUri": {"urn:watched"}, "workspaceId": {"urn:forgotten"},
		}},
		{URN: "urn:registry", Type: acr, Name: "a-registry"},
	})
	require.Len(t, violations, 2)
	assert.Equal(t, []string{"a-registry", "forgotten"}, []string{violations[0].Resource, violations[1].Resource})
	assert.Equal(t, "diagnostics", violations[0].Rule)
}

func TestUnit_RulesAreSortedById(t *testing.T) {
	t.Parallel()
	assert.True(t, slices.IsSorted(policy.Rules()))
	assert.Len(t, policy.Rules(), 9)
}
