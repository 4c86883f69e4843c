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
	nsg      = "azure-native:network/v20240501:NetworkSecurityGroup"
	waf      = "azure-native:network/v20240501:WebApplicationFirewallPolicy"
	roleOf   = "azure-native:authorization/v20220401:RoleAssignment"
	project  = "kubernetes:argoproj.io/v1alpha1:AppProject"
	store    = "kubernetes:external-secrets.io/v1:ClusterSecretStore"
	edge     = "gridos-infra:gateway:Gateway"
)

func tagged() object {
	return object{"environment": "prod", "owner": "platform", "cost-centre": "gridos", "managed-by": "pulumi"}
}

// check returns what Check says about one rule for a resource of the given type in prod, unless
// told otherwise.
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
		{
			"no-public-endpoint", "prod", aks, "",
			object{"apiServerAccessProfile": object{"enablePrivateCluster": true}},
			"apiServerAccessProfile.enablePrivateClusterPublicFQDN is not set",
		},
		{"no-public-endpoint", "prod", aks, "", object{"apiServerAccessProfile": object{
			"enablePrivateCluster": true, "enablePrivateClusterPublicFQDN": false,
		}}, ""},
		{"no-public-endpoint", "prod", aks, "", object{"apiServerAccessProfile": object{
			"enablePrivateCluster": true, "enablePrivateClusterPublicFQDN": unknown,
		}}, ""},
		{"no-public-endpoint", "prod", aks, "", ranges("198.0.0.0/7"), "a good part of the Internet"},
		{"no-public-endpoint", "prod", aks, "", ranges("198.0.0.0/7"), "none wider than a /8"},
		{"no-public-endpoint", "prod", aks, "", ranges("198.0.0.0/8"), ""},
		{"no-public-endpoint", "prod", aks, "", with(ranges("198.51.100.0/24"), "serviceMeshProfile", mesh(true, "External")), "its mode is"},
		{"no-public-endpoint", "prod", aks, "", with(ranges("198.51.100.0/24"), "serviceMeshProfile", mesh(false, "External")), ""},
		{"no-public-endpoint", "prod", aks, "", with(ranges("198.51.100.0/24"), "serviceMeshProfile", mesh(true, "Internal")), ""},
		{"no-public-endpoint", "prod", nsg, "", security("Allow", "Inbound", "Internet", "22"), `lets the Internet in to port "22"`},
		{"no-public-endpoint", "prod", nsg, "", security("Allow", "Inbound", "*", "*"), `lets the Internet in to port "*"`},
		{"no-public-endpoint", "prod", nsg, "", security("Allow", "Inbound", "Internet", "443"), ""},
		{"no-public-endpoint", "prod", nsg, "", security("Deny", "Inbound", "Internet", "22"), ""},
		{"no-public-endpoint", "prod", nsg, "", security("Allow", "Outbound", "*", "22"), ""},
		{"no-public-endpoint", "prod", nsg, "", security("Allow", "Inbound", "10.0.0.0/8", "22"), ""},
		{"no-public-endpoint", "prod", nsg, "", object{"securityRules": []any{object{
			"access": "Allow", "direction": "Inbound", "name": "r", "sourceAddressPrefixes": []any{"10.0.0.0/8", "0.0.0.0/0"},
			"destinationPortRanges": []any{"80", "8080-8090"},
		}}}, `port "8080-8090"`},
		{"no-public-endpoint", "prod", "azure-native:network:SecurityRule", "", object{
			"access": "Allow", "direction": "Inbound", "sourceAddressPrefix": "*", "destinationPortRange": "22",
		}, `lets the Internet in to port "22"`},
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
		{"no-public-endpoint", "prod", service + "Patch", "", balancer(nil), "a load balancer with a public address"},
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
		{"https-only", "prod", gateway, "", with(byPath(object{}), "urlPathMaps", []any{}), ""},
		{"https-only", "prod", gateway, "", byPath(object{
			"defaultRedirectConfiguration": object{"id": "r"}, "pathRules": []any{object{"backendAddressPool": object{"id": "b"}}},
		}), `"route" passes plain HTTP on`},
		{"https-only", "prod", vault, "", object{}, ""},

		{"no-admin-user", "prod", acr, "", object{"adminUserEnabled": true}, "the admin user is enabled"},
		{"no-admin-user", "prod", acr, "", object{"adminUserEnabled": false}, ""},
		{"no-admin-user", "prod", acr, "", object{}, ""},
		{"no-admin-user", "prod", acr, "", object{"anonymousPullEnabled": true}, "without signing in"},

		{"no-password-only", "prod", postgres, "", object{}, "activeDirectoryAuth is not set"},
		{"no-password-only", "prod", postgres, "", object{"authConfig": object{"activeDirectoryAuth": "Disabled"}}, `is "Disabled"`},
		{"no-password-only", "prod", postgres, "", object{"authConfig": object{"activeDirectoryAuth": "Enabled"}}, ""},
		{"no-password-only", "prod", aks, "", signingIn(), ""},
		{"no-password-only", "prod", aks, "", with(signingIn(), "disableLocalAccounts", unknown), ""},
		{"no-password-only", "prod", aks, "", with(signingIn(), "disableLocalAccounts", false), "disableLocalAccounts is false"},
		{"no-password-only", "prod", aks, "", with(signingIn(), "oidcIssuerProfile", nil), "oidcIssuerProfile.enabled is not set"},
		{
			"no-password-only", "prod", aks, "", with(signingIn(), "securityProfile", object{"workloadIdentity": object{"enabled": false}}),
			"securityProfile.workloadIdentity.enabled is false",
		},

		{"roles", "prod", aks, "", governed(), ""},
		{"roles", "prod", aks, "", with(governed(), "enableRBAC", false), "enableRBAC is false"},
		{"roles", "prod", aks, "", with(governed(), "enableRBAC", unknown), ""},
		{
			"roles", "prod", aks, "", with(governed(), "aadProfile", object{"managed": false, "enableAzureRBAC": true}),
			"aadProfile.managed is false",
		},
		{"roles", "prod", aks, "", with(governed(), "aadProfile", object{"managed": true}), "aadProfile.enableAzureRBAC is not set"},
		{"roles", "prod", aks, "", with(governed(), "aadProfile", unknown), ""},
		{"roles", "prod", vault, "", object{"properties": object{"enableRbacAuthorization": true, "enabledForDeployment": false}}, ""},
		{"roles", "prod", vault, "", object{"properties": object{}}, "properties.enableRbacAuthorization is not set"},
		{
			"roles", "prod", vault, "",
			object{"properties": object{"enableRbacAuthorization": true, "enabledForTemplateDeployment": true}},
			"properties.enabledForTemplateDeployment is true",
		},

		{"least-privilege", "prod", roleOf, "", assigned("7f951dda-4ed3-4680-a7ca-43fe172d538d"), ""},
		{"least-privilege", "prod", roleOf, "", assigned("8E3AF657-a8ff-443c-a75c-2fe8c4bcb635"), "the role Owner may do everything"},
		{"least-privilege", "prod", roleOf, "", assigned("b24988ac-6180-42a0-ab88-20f7382dd24c"), "the role Contributor"},
		{"least-privilege", "prod", roleOf, "", object{"roleDefinitionId": unknown}, ""},
		{"least-privilege", "prod", project, "", permits("https://git.example.com/a.git", "gridos", "Namespace"), ""},
		{"least-privilege", "prod", project, "", permits("*", "gridos", "Namespace"), "sourceRepos permits everything"},
		{"least-privilege", "prod", project, "", permits("https://git.example.com/a.git", "*", "Namespace"), "destinations permits everything"},
		{"least-privilege", "prod", project, "", permits("https://git.example.com/a.git", "gridos", "*"), "clusterResourceWhitelist permits"},
		{"least-privilege", "prod", store, "", object{"spec": object{"conditions": []any{object{"namespaces": []any{"gridos"}}}}}, ""},
		{"least-privilege", "prod", store, "", object{"spec": object{}}, "every namespace reads every secret"},
		{"least-privilege", "prod", store, "", object{"spec": unknown}, ""},

		{"pod-security", "prod", "kubernetes:core/v1:Namespace", "", labelled("restricted"), ""},
		{"pod-security", "prod", "kubernetes:core/v1:Namespace", "", labelled("baseline"), ""},
		{"pod-security", "prod", "kubernetes:core/v1:Namespace", "", labelled("privileged"), "pods may do what they like"},
		{"pod-security", "prod", "kubernetes:core/v1:Namespace", "", object{}, "enforce is not set"},

		{"firewall", "prod", gateway, "", object{"firewallPolicy": object{"id": unknown}}, ""},
		{"firewall", "prod", gateway, "", object{"firewallPolicy": object{"id": "p"}}, ""},
		{"firewall", "prod", gateway, "", object{}, "no firewall policy"},
		{"firewall", "prod", waf, "", guarding("Enabled", "Prevention", true, "Microsoft_DefaultRuleSet"), ""},
		{"firewall", "prod", waf, "", guarding("Disabled", "Prevention", true, "Microsoft_DefaultRuleSet"), "the firewall is off"},
		{"firewall", "prod", waf, "", guarding("Enabled", "Detection", true, "OWASP"), "attacks get through"},
		{"firewall", "prod", waf, "", guarding("Enabled", "Prevention", false, "OWASP"), "what requests carry is not inspected"},
		{"firewall", "prod", waf, "", guarding("Enabled", "Prevention", true, "Microsoft_BotManagerRuleSet"), "no rule set knows"},

		{"recoverable", "prod", vault, "", object{"properties": object{"enableSoftDelete": true, "enablePurgeProtection": true}}, ""},
		{"recoverable", "dev", vault, "", object{"properties": object{"enableSoftDelete": true}}, ""},
		{"recoverable", "prod", vault, "", object{"properties": object{"enableSoftDelete": true}}, "properties.enablePurgeProtection is not set"},
		{"recoverable", "dev", vault, "", object{"properties": object{"enableSoftDelete": false}}, "properties.enableSoftDelete is false"},
		{"recoverable", "prod", postgres, "", kept(14, "Enabled"), ""},
		{
			"recoverable", "prod", postgres, "", kept(13, "Enabled"),
			"backup.backupRetentionDays is 13; set backup.backupRetentionDays to 14 or more",
		},
		{"recoverable", "prod", postgres, "", kept(35, "Disabled"), "lost with the region"},
		{"recoverable", "prod", postgres, "", object{"backup": unknown}, ""},
		{"recoverable", "dev", postgres, "", kept(7, "Disabled"), ""},
		{"recoverable", "dev", logs, "", object{"retentionInDays": 30.0}, ""},
		{"recoverable", "dev", logs, "", object{"retentionInDays": 29.0}, "logs are deleted too early"},

		{"diagnostics", "prod", setting, "", sends(entry("categoryGroup", "allLogs", true)), ""},
		{"diagnostics", "prod", setting, "", sends(entry("categoryGroup", "audit", true)), ""},
		{"diagnostics", "prod", setting, "", sends(entry("category", "kube-audit-admin", true), entry("category", "guard", true)), ""},
		{"diagnostics", "prod", setting, "", sends(entry("category", "kube-audit-admin", true)), "do not say who did what"},
		{"diagnostics", "prod", setting, "", sends(entry("category", "guard", true)), "do not say who did what"},
		{"diagnostics", "prod", setting, "", sends(), "do not say who did what"},
		{"diagnostics", "prod", setting, "", sends(entry("categoryGroup", "allLogs", true), entry("category", "x", false)), "logs  x is off"},
		{"diagnostics", "prod", setting, "", with(sends(entry("categoryGroup", "allLogs", true)), "metrics",
			[]any{entry("category", "AllMetrics", false)}), "metrics  AllMetrics is off"},
		{"diagnostics", "prod", setting, "", with(sends(entry("categoryGroup", "allLogs", true)), "workspaceId", nil), "sends its logs nowhere"},
		{"diagnostics", "prod", setting, "", object{"workspaceId": unknown, "logs": unknown}, ""},

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

func mesh(enabled bool, mode string) object {
	gateways := []any{object{"enabled": enabled, "mode": mode}}
	return object{"istio": object{"components": object{"ingressGateways": gateways}}}
}

func security(access, direction, from, port string) object {
	return object{"securityRules": []any{object{
		"name": "r", "access": access, "direction": direction, "sourceAddressPrefix": from, "destinationPortRange": port,
	}}}
}

// signingIn is a cluster without passwords, governed one in which roles decide.
func signingIn() object {
	on := object{"enabled": true}
	return object{"disableLocalAccounts": true, "oidcIssuerProfile": on, "securityProfile": object{"workloadIdentity": on}}
}

func governed() object {
	return object{"enableRBAC": true, "aadProfile": object{"managed": true, "enableAzureRBAC": true}}
}

func assigned(role string) object {
	return object{"roleDefinitionId": "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/" + role}
}

func permits(repository, namespace, kind string) object {
	return object{"spec": object{
		"sourceRepos":              []any{repository},
		"destinations":             []any{object{"namespace": namespace, "server": "https://kubernetes.default.svc"}},
		"clusterResourceWhitelist": []any{object{"group": "", "kind": kind}},
	}}
}

func labelled(standard string) object {
	return object{"metadata": object{"labels": object{"pod-security.kubernetes.io/enforce": standard}}}
}

func guarding(state, mode string, bodies bool, set string) object {
	return object{
		"policySettings": object{"state": state, "mode": mode, "requestBodyCheck": bodies},
		"managedRules":   object{"managedRuleSets": []any{object{"ruleSetType": set}}},
	}
}

func kept(days float64, elsewhere string) object {
	return object{"backup": object{"backupRetentionDays": days, "geoRedundantBackup": elsewhere}}
}

func sends(entries ...any) object { return object{"workspaceId": "/w", "logs": entries} }

func entry(kind, name string, enabled bool) object { return object{kind: name, "enabled": enabled} }

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
	assert.Len(t, policy.Rules(), 14)
}
