package changes

import (
	"regexp"
	"slices"
	"strings"
)

// holder is a type of resource that loses something for good when it is deleted or replaced, and
// what.
type holder struct{ kind, loses string }

// guarded are the types whose deletion or replacement needs a reviewer's explicit consent: their
// data, or the resources that depend on them, do not come back by themselves.
var guarded = []holder{
	{"azure-native:containerservice:ManagedCluster", "the cluster with all that runs in it"},
	{"azure-native:containerservice:AgentPool", "the nodes that workloads run on, which have no others until there is another pool"},
	{"azure-native:dbforpostgresql:Server", "the database server with its data and its backups"},
	{"azure-native:dbforpostgresql:Database", "the database with its data"},
	{"azure-native:keyvault:Vault", "the key vault with its secrets, and its name until it is purged"},
	{"azure-native:network:VirtualNetwork", "the virtual network with everything in it"},
	{"azure-native:network:Subnet", "the subnet, which everything in it has to leave first"},
	{"azure-native:containerregistry:Registry", "the registry with its images"},
	{"azure-native:resources:ResourceGroup", "the resource group with everything in it"},
}

// interrupts are types whose deletion or replacement interrupts a service, although they can be
// created again.
var interrupts = []holder{
	{"azure-native:network:ApplicationGateway", "no request gets through until there is another"},
	{"azure-native:network:PublicIPAddress", "clients reach the environment at another address, or others see it with another one"},
	{"azure-native:network:NatGateway", "nothing in the cluster reaches the Internet until there is another"},
	{"azure-native:network:PrivateEndpoint", "nothing reaches what is behind it until there is another"},
	{"azure-native:network:PrivateZone", "private names are not resolved until there is another"},
	{"azure-native:network:VirtualNetworkLink", "the linked network does not resolve private names until there is another"},
	{"azure-native:network:VirtualNetworkPeering", "people and pipelines do not reach private addresses until there is another"},
	{"azure-native:operationalinsights:Workspace", "logs are lost"},
	{"azure-native:insights:DiagnosticSetting", "what happens to the resource is no longer logged"},
	{"azure-native:insights:DataCollectionEndpoint", "no metrics reach the Azure Monitor workspace"},
	{"azure-native:insights:DataCollectionRule", "logs or metrics are no longer collected"},
	{"azure-native:insights:DataCollectionRuleAssociation", "the logs of pods are no longer collected"},
	{"azure-native:insights:ActionGroup", "no alert of Azure reaches a person until there is another"},
	{"azure-native:insights:MetricAlert", "no person hears of what it watches"},
	{"azure-native:insights:ActivityLogAlert", "no person hears of what it watches"},
	{"azure-native:consumption:Budget", "no person hears that the environment costs more than it should"},
	{"azure-native:keyvault:Secret", "what reads the secret does not find it until there is another"},
	{"azure-native:managedidentity:UserAssignedIdentity", "its workloads get a new principal, without the old role assignments"},
	{"azure-native:managedidentity:FederatedIdentityCredential", "workloads cannot sign in with it until there is another"},
	{"random:index/randomPassword:RandomPassword", "everything that signs in with it needs the new password"},
	{"kubernetes:helm.sh:Release", "what the release installed is gone meanwhile"},
	{"kubernetes:argoproj.io:Application", "Argo CD deletes what it deployed, unless the Application has no finalizer"},
	{"kubernetes:argoproj.io:AppProject", "Argo CD stops syncing the project's Applications"},
	{"kubernetes:core:Namespace", "everything in the namespace is deleted"},
	{"kubernetes:core:Service", "clients lose the Service's address"},
}

// access are types that decide who may do what, and who reaches what: every change of them is
// risky.
var access = []string{
	"azure-native:authorization:RoleAssignment",
	"azure-native:authorization:ManagementLockByScope",
	"azure-native:authorization:PolicyAssignment",
	"azure-native:managedidentity:FederatedIdentityCredential",
	"azure-native:network:NetworkSecurityGroup",
	"azure-native:network:VirtualNetworkPeering",
	"azure-native:network:WebApplicationFirewallPolicy",
	"azure-native:dbforpostgresql:Administrator",
	"azure-native:dbforpostgresql:FirewallRule",
	"azure-native:keyvault:Secret",
	"kubernetes:core:Secret",
	"kubernetes:external-secrets.io:ClusterSecretStore",
	"kubernetes:external-secrets.io:ExternalSecret",
	"kubernetes:rbac.authorization.k8s.io:ClusterRole",
	"kubernetes:rbac.authorization.k8s.io:ClusterRoleBinding",
	"kubernetes:rbac.authorization.k8s.io:Role",
	"kubernetes:rbac.authorization.k8s.io:RoleBinding",
	"kubernetes:networking.k8s.io:NetworkPolicy",
	"kubernetes:argoproj.io:AppProject",
}

// billed are types that cost money by existing.
var billed = []string{
	"azure-native:containerservice:ManagedCluster",
	"azure-native:containerservice:AgentPool",
	"azure-native:dbforpostgresql:Server",
	"azure-native:network:ApplicationGateway",
	"azure-native:network:PublicIPAddress",
	"azure-native:network:NatGateway",
	"azure-native:network:PrivateEndpoint",
	"azure-native:containerregistry:Registry",
	"azure-native:operationalinsights:Workspace",
	// Logs are paid for by the gigabyte that a workspace takes in, and metrics by the sample
	// (azure.microsoft.com/pricing/details/monitor).
	"azure-native:insights:DataCollectionEndpoint",
	"azure-native:insights:DataCollectionRuleAssociation",
	"azure-native:insights:DiagnosticSetting",
	"azure-native:insights:MetricAlert",
}

var (
	// costProperty are properties, of resources in Azure, that are paid for. A registry pays by the
	// gigabyte above the storage that its tier includes (Microsoft Learn, container-registry-skus,
	// "Each SKU includes a specific amount of free storage"; read 29 November 2026).
	costProperty = regexp.MustCompile(`(?i)(^|\.)(sku|vmSize|count|minCount|maxCount|capacity|minCapacity|maxCapacity|storage|` +
		`storageSizeGB|iops|tier|retentionInDays|backupRetentionDays|geoRedundantBackup|highAvailability|zoneRedundancy|` +
		`dailyQuotaGb|workspaceCapping|osDiskSizeGB|retentionPolicy)(\.|\[|$)`)
	// release are the properties of a Helm release that bring other software.
	release = regexp.MustCompile(`^(version|chart|repositoryOpts)(\.|$)`)
	// apiVersion is the version in a type token: azure-native:network/v20240501:Subnet,
	// kubernetes:helm.sh/v3:Release.
	apiVersion = regexp.MustCompile(`/v[^:/]*:`)
)

// kindOf is the type without the version of its API.
func kindOf(token string) string { return apiVersion.ReplaceAllString(token, ":") }

// rate sets how much attention a change needs, and why. A change that a refresh found has already
// happened.
func rate(c *Change, refresh bool) {
	c.Level, c.Reasons = Plain, nil
	note := func(level Level, reason string) {
		c.Level = worse(c.Level, level)
		c.Reasons = append(c.Reasons, reason)
	}
	kind := kindOf(c.Type)
	if refresh && c.Op == Delete {
		note(Risky, "is not there any more")
	}
	if (c.Op == Delete || c.Op == Replace) && !refresh {
		verb := "deletes "
		if c.Op == Replace {
			verb = "deletes and makes again "
		}
		for _, h := range guarded {
			if h.kind == kind {
				note(Dangerous, verb+h.loses)
			}
		}
		for _, h := range interrupts {
			if h.kind == kind {
				note(Risky, h.loses)
			}
		}
		if c.Op == Replace && len(c.Reasons) == 0 {
			note(Risky, "is deleted and made again")
		}
	}
	if slices.Contains(access, kind) {
		note(Risky, "decides who may do or reach what")
	}
	azure := strings.HasPrefix(kind, "azure-native:")
	if azure && c.Op != Update && slices.Contains(billed, kind) {
		note(Costly, "costs money by being there")
	}
	for _, p := range c.Properties {
		switch {
		case decidesAccess(kind, p.Path):
			note(Risky, p.Path+" decides who reaches it, or how it is protected")
		case weakens(kind, p):
			note(Risky, p.Path+" was a safeguard")
		case azure && costProperty.MatchString(p.Path):
			note(Costly, p.Path+" is paid for")
		case kind == "kubernetes:helm.sh:Release" && release.MatchString(p.Path):
			note(Risky, "brings another version of what runs in the cluster")
		}
	}
	if c.Was != "" {
		was := c.Was[strings.LastIndex(c.Was, ":")+1:]
		if kind == "kubernetes:argoproj.io:Application" { // the catalogue names it (argo-cd#22607)
			note(Risky, "is another Application: "+was+" goes, and takes its workloads along unless cascadeDelete is off; keep the name")
		} else {
			note(Risky, "has another name in the program; an alias of "+was+" would keep it")
		}
	}
	c.Reasons = unique(c.Reasons)
}

// unique leaves out what was said before, in the order in which it was said.
func unique(reasons []string) []string {
	var kept []string
	for _, r := range reasons {
		if !slices.Contains(kept, r) {
			kept = append(kept, r)
		}
	}
	return kept
}
