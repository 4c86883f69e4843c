package changes

import (
	"regexp"
	"strings"
)

// accessProperties are the properties that decide who reaches a resource, who may do what with it,
// or which way traffic takes. A change of them is risky in either direction: a rule that keeps
// strangers out may keep colleagues out. The keys are the types, without API versions; the
// expressions match a part of a path from one dot to another.
var accessProperties = map[string]*regexp.Regexp{
	// Of whatever resource, known here or not.
	"": named(`publicNetworkAccess\w*`, `networkAcls`, `networkRule\w*`, `ipRules`, `virtualNetworkRules`, `authorizedIPRanges`,
		`enablePrivateCluster\w*`, `apiServerAccessProfile`, `disableLocal\w+`, `enableRBAC`, `enableAzureRBAC`, `enableRbacAuthorization`,
		`aadProfile`, `authConfig`, `accessPolicies`, `adminUserEnabled`, `anonymousPullEnabled`, `min\w*TlsVersion`, `sslPolicy`,
		`sslProfiles`, `sslCertificates`, `requireSecureTransport`, `identity`, `identityProfile`, `userAssignedIdentities`,
		`networkSecurityGroup`, `enableNodePublicIP`, `firewallPolicy`, `pod-security\.kubernetes\.io/\w+`, `serviceAccount\w*`),
	"azure-native:containerservice:ManagedCluster": named(`oidcIssuerProfile`, `networkPolicy`, `networkDataplane`, `outboundType`,
		`loadBalancerSku`, `ingressGateways`, `nodeResourceGroupProfile`, `linuxProfile`, `windowsProfile`, `httpProxyConfig`),
	"azure-native:containerregistry:Registry": named(`exportPolicy`, `azureADAuthenticationAsArmPolicy`, `trustPolicy`,
		`quarantinePolicy`, `dataEndpointEnabled`),
	"azure-native:dbforpostgresql:Server":        named(`network`, `administratorLogin\w*`),
	"azure-native:dbforpostgresql:Configuration": named(`value`, `configurationName`),
	// Azure refuses to change how long a vault can be recovered, in either direction: "the retention
	// policy interval cannot be changed" (azure-docs, key-vault-ovw-soft-delete, commit b93b193).
	"azure-native:keyvault:Vault": named(`enabledFor\w+`, `tenantId`, `softDeleteRetentionInDays`),
	"azure-native:network:ApplicationGateway": named(`httpListeners`, `frontendPorts`, `frontendIPConfigurations`,
		`requestRoutingRules`, `redirectConfigurations`, `urlPathMaps`, `rewriteRuleSets`, `backendAddressPools`,
		`backendHttpSettingsCollection`, `trustedRootCertificates`, `webApplicationFirewallConfiguration`),
	"azure-native:network:Subnet": named(`natGateway`, `routeTable`, `privateEndpointNetworkPolicies`,
		`privateLinkServiceNetworkPolicies`, `delegations`, `serviceEndpoints`, `serviceEndpointPolicies`, `defaultOutboundAccess`),
	"azure-native:network:VirtualNetwork":        named(`virtualNetworkPeerings`, `dhcpOptions`),
	"azure-native:network:NatGateway":            named(`publicIpAddresses`),
	"azure-native:network:PublicIPAddress":       named(`publicIPAllocationMethod`, `publicIPAddressVersion`),
	"azure-native:network:PrivateZone":           named(`privateZoneName`),
	"azure-native:network:PrivateEndpoint":       named(`privateLinkServiceConnections`, `subnet`),
	"azure-native:network:PrivateDnsZoneGroup":   named(`privateDnsZoneConfigs`),
	"azure-native:network:VirtualNetworkLink":    named(`registrationEnabled`, `resolutionPolicy`, `virtualNetwork`),
	"azure-native:operationalinsights:Workspace": named(`features`),
	"pulumi:providers:kubernetes":                named(`kubeconfig`, `cluster`, `context`),
	// It is rotated by replacing it, which a protected one refuses.
	"random:index/randomPassword:RandomPassword": named(`\[protect]`),
	"kubernetes:core:Service": named(`type`, `selector`, `ports`, `externalTrafficPolicy`, `externalIPs`, `loadBalancer\w*`,
		`service\.beta\.kubernetes\.io/[\w-]+`),
	// What Argo CD deploys, from where to where, and what it may delete of it.
	"kubernetes:argoproj.io:Application": named(`project`, `destination`, `sources?`, `syncPolicy`, `finalizers`, `ignoreDifferences`),
	// The switches of the three charts that open something, give rights, or let go of what is stored.
	"kubernetes:helm.sh:Release": named(`rbac`, `providerRBAC`, `configs\.secret`, `\w*users?\.\w+\.enabled`, `admin\.enabled`,
		`exec\.enabled`, `dex\.\w+`, `oidc\.\w+`, `server\.insecure`, `networkPolic\w+`, `podLabels`, `\w*[sS]ecurityContext`,
		`process\w+`, `crds`, `installCRDs`, `keepCRDs`, `applicationsetcontroller\.\w+`, `webhook\.maxPayloadSizeMB`, `ingress`,
		`service\.type`, `dashboard\.enabled`, `extraObjects`, `notifications\.enabled`, `domain`),
}

// safeguards are the properties that protect stored data, keep records, make a recovery possible,
// or have a person told. Switching one on, or extending it, is no risk.
var safeguards = map[string]*regexp.Regexp{
	"": named(`enablePurgeProtection`, `enableSoftDelete`, `\w*[eE]ncrypt\w*`, `enableFIPS`,
		`securityProfile`, `retentionInDays`, `backup\w*`, `geoRedundantBackup`, `workspaceCapping`, `dailyQuotaGb`, `\w*[dD]dos\w*`,
		`enableVmProtection`, `retentionPolicy`, `softDeletePolicy`, `\[protect]`, `\[retainOnDelete]`),
	"azure-native:containerservice:ManagedCluster": named(`addonProfiles\.(azurepolicy|omsagent|azureKeyvaultSecretsProvider)`,
		`azureMonitorProfile`, `autoUpgradeProfile`),
	"azure-native:dbforpostgresql:Server": named(`highAvailability`, `autoGrow`),
	"azure-native:insights:DiagnosticSetting": named(`logs`, `metrics`, `workspaceId`, `storageAccountId`, `eventHub\w+`,
		`marketplacePartnerId`, `logAnalyticsDestinationType`, `resourceUri`),
	"azure-native:consumption:Budget":                     named(`filter`, `notifications`),
	"azure-native:insights:DataCollectionRule":            named(`dataFlows`, `dataSources`, `destinations`),
	"azure-native:insights:DataCollectionRuleAssociation": named(`dataCollectionRuleId`),
	"azure-native:insights:ActionGroup":                   named(`enabled`, `\w+Receivers`),
	"azure-native:insights:ActivityLogAlert":              named(`enabled`, `actions`, `scopes`),
	"azure-native:insights:MetricAlert":                   named(`enabled`, `actions`, `scopes`),
	"kubernetes:argoproj.io:AppProject":                   named(`finalizers`),
}

// named matches paths that have one of the names between two dots, brackets or quotes.
func named(names ...string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)(^|[."\]])(` + strings.Join(names, "|") + `)([."\[]|$)`)
}

func matches(of map[string]*regexp.Regexp, kind, path string) bool {
	if strings.HasPrefix(path, "tags") { // people may give tags any name
		return false
	}
	if of[""].MatchString(path) {
		return true
	}
	own := of[kind]
	return own != nil && own.MatchString(path)
}

func decidesAccess(kind, path string) bool { return matches(accessProperties, kind, path) }

// weakens reports whether the change of a property removes a safeguard, or a part of one. A value
// that is known only later may do so.
func weakens(kind string, p Property) bool {
	return matches(safeguards, kind, p.Path) && !strengthens(p.Old, p.New)
}

// strengthens reports whether a safeguard reaches further afterwards: it was absent, off or smaller
// before.
func strengthens(old, made any) bool {
	switch was := old.(type) {
	case nil:
		return made != Unknown && !isOff(made)
	case bool:
		return !was && made == true
	case float64:
		more, ok := made.(float64)
		return ok && (more > was && was >= 0 || more < 0 && was >= 0) // -1 is without a limit
	case string:
		return isOff(was) && made != Unknown && !isOff(made)
	default:
		return false
	}
}

func isOff(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == "" || strings.EqualFold(v, "Disabled") || strings.EqualFold(v, "None")
	default:
		return false
	}
}
