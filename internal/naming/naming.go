// Package naming spells the names that more than one part of the platform, or Azure's rules, care
// about: Azure resources and Kubernetes namespaces. The names of the documents are fixed
// (dev-gridos-rg, dev-gridos-aks, devgridosacr, argocd, gridos); the rest follow their pattern.
package naming

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Kubernetes names that the documents fix.
const (
	// Application is the application that the platform serves; it is part of every name.
	Application = "gridos"
	// NamespaceArgoCD holds Argo CD and its Application objects.
	NamespaceArgoCD = "argocd"
	// NamespaceGridOS holds the application's workloads.
	NamespaceGridOS = "gridos"
	// NamespaceExternalSecrets holds the controller that brings secrets from the key vault.
	NamespaceExternalSecrets = "external-secrets"
	// ServiceAccountExternalSecrets is whom that controller signs in as.
	ServiceAccountExternalSecrets = "external-secrets"
	// SecretStore is the ClusterSecretStore through which that controller reads the key vault.
	SecretStore = "azure-key-vault"
	// NamespaceIstioIngress is where AKS runs the ingress gateways of its Istio add-on, and
	// IstioInternalIngress is the value of the label istio on the pods of the internal one. Source:
	// learn.microsoft.com, "Deploy ingress gateways for Istio service mesh add-on for Azure Kubernetes
	// Service".
	NamespaceIstioIngress = "aks-istio-ingress"
	IstioInternalIngress  = "aks-istio-ingressgateway-internal"
	// NamespaceIstioSystem is where AKS runs the control plane of its Istio add-on, and looks for its
	// configuration. Source: azure-aks-docs, istio-meshconfig, 14 February 2024.
	NamespaceIstioSystem = "aks-istio-system"
	// The subnets: of the cluster's nodes, the gateway, the database server, the edge load balancer
	// with its fixed address, and private endpoints. Renaming one moves everything that is in it.
	SubnetAKS       = "aks"
	SubnetGateway   = "appgw"
	SubnetPostgres  = "postgres"
	SubnetIngress   = "ingress"
	SubnetEndpoints = "endpoints"
	// ServiceAccountGridOS is whom the application signs in as.
	ServiceAccountGridOS = "gridos"
	// NamespaceArgoRollouts holds the progressive delivery controller.
	NamespaceArgoRollouts = "argo-rollouts"
	// ProjectGridOS is the Argo CD AppProject of the application.
	ProjectGridOS = "gridos"
	// ProjectPlatform is the Argo CD AppProject of the programs that the platform itself runs
	// beside the application.
	ProjectPlatform = "platform"
	// ProjectDefault is the Argo CD AppProject of Applications that name none. Argo CD creates it.
	ProjectDefault = "default"
	// NamespaceMonitoring holds Prometheus, which the analysis of a rollout asks.
	NamespaceMonitoring = "monitoring"
	// ServiceAccountPrometheus is whom it signs in as: the chart names it after the release.
	ServiceAccountPrometheus = "prometheus-server"
	// RepositoryURL is the Git repository that Argo CD syncs from unless the configuration names
	// another.
	RepositoryURL = "https://github.com/gridos/sharedinfra.git"
	// LabelGitHost is the label of an Application whose manifests are in Git: the host of the
	// repository. One that takes a chart from a repository of charts has none.
	LabelGitHost = "git-host"
	// ArgoCDInCluster is how Argo CD names the cluster that it runs in.
	ArgoCDInCluster = "https://kubernetes.default.svc"
	// ArgoCDInClusterName is the name that Argo CD shows for that cluster.
	ArgoCDInClusterName = "in-cluster"
)

// Environments returns the names of the environments, in the order of promotion. A stack is named
// after its environment.
func Environments() []string { return []string{"dev", "test", "prod"} }

// Names are the names of one environment's Azure resources. Globally unique ones carry the suffix.
type Names struct {
	Environment       string
	ResourceGroup     string
	VirtualNetwork    string
	Cluster           string
	ClusterDNSPrefix  string
	NodeResourceGroup string
	ClusterIdentity   string
	Registry          string
	Vault             string
	PostgresServer    string
	PostgresZone      string
	Gateway           string
	GatewayPublicIP   string
	NATGateway        string
	FirewallPolicy    string
	GatewayIdentity   string
	VaultEndpoint     string
	RegistryEndpoint  string
	SecretsIdentity   string
	WorkloadIdentity  string
	PipelineIdentity  string
	Workspace         string
	QueryPack         string
	PodLogsRule       string
	// Metrics is the name of the data collection endpoint and of the rule that take metrics.
	Metrics         string
	MetricsIdentity string
	ActionGroup     string
	// DatabasePasswordSecret is that of the server's administrator, DatabaseServicePasswordSecret that
	// of the role that the application connects as.
	DatabasePasswordSecret        string
	DatabaseServicePasswordSecret string
	IngestTokenSecret             string
}

// Overlay is the folder of an environment's overlay of the application, which Argo CD syncs, from
// the root of the repository and with slashes.
func Overlay(environment string) string {
	return path.Join("applications", Application, "overlays", environment)
}

// Manifests is the folder of the manifests that an environment's overlay changes, from the root of
// the repository and with slashes. In the first environment it is the base, which developers
// change. In each other one it is a copy, which a promotion has made: environments are folders, and
// a promotion copies files from one to the next. Source: Codefresh, "How to Model Your Gitops
// Environments and Promote Releases between Them", 2022.
func Manifests(environment string) string {
	if environment == Environments()[0] {
		return path.Join("applications", Application, "base")
	}
	return path.Join("applications", Application, "promoted", environment)
}

// rule is what Azure accepts as the name of one kind of resource; source: the table of names in
// Azure's "Naming rules and restrictions for Azure resources".
type rule struct {
	kind    string
	name    func(Names) string
	pattern *regexp.Regexp
	never   string // a substring that is refused, or ""
	say     string
}

var rules = []rule{
	{
		"resource group", func(n Names) string { return n.ResourceGroup },
		regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.()-]{0,61}[A-Za-z0-9_()-]$`),
		"", "2 to 63 letters, digits and hyphens, because it becomes a node label",
	},
	{
		"AKS cluster", func(n Names) string { return n.Cluster },
		regexp.MustCompile(`^[a-zA-Z0-9][-_a-zA-Z0-9]{0,61}[a-zA-Z0-9]$`),
		"", "2 to 63 letters, digits, hyphens and underscores",
	},
	{
		"container registry", func(n Names) string { return n.Registry },
		regexp.MustCompile(`^[A-Za-z0-9]{5,50}$`),
		"", "5 to 50 letters and digits",
	},
	{
		"key vault", func(n Names) string { return n.Vault },
		regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$`),
		"--", "3 to 24 letters, digits and single hyphens, a letter first",
	},
	{
		"PostgreSQL server", func(n Names) string { return n.PostgresServer },
		regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{1,61})[a-z0-9]$`),
		"", "3 to 63 lower-case letters, digits and hyphens",
	},
}

// For returns the names of environment. The suffix, up to the lengths that Azure sets, goes to
// names that must be unique in all of Azure: the registry, the vault and the PostgreSQL server. The
// error joins one error per broken rule.
func For(environment, suffix string) (Names, error) {
	if !slices.Contains(Environments(), environment) {
		return Names{}, fmt.Errorf("stack %q is no environment of this platform; use one of %s",
			environment, strings.Join(Environments(), ", "))
	}
	base := environment + "-" + Application
	unique := base
	if suffix != "" {
		unique += "-" + suffix
	}
	names := Names{
		Environment:                   environment,
		ResourceGroup:                 base + "-rg",
		VirtualNetwork:                base + "-vnet",
		Cluster:                       base + "-aks",
		ClusterDNSPrefix:              base,
		NodeResourceGroup:             base + "-aks-nodes-rg",
		ClusterIdentity:               base + "-aks-id",
		Registry:                      environment + Application + "acr" + suffix,
		Vault:                         base + "-kv" + strings.TrimPrefix(unique, base),
		PostgresServer:                base + "-pg" + strings.TrimPrefix(unique, base),
		PostgresZone:                  base + ".private.postgres.database.azure.com",
		Gateway:                       base + "-agw",
		GatewayPublicIP:               base + "-agw-pip",
		NATGateway:                    base + "-nat",
		FirewallPolicy:                base + "-waf",
		GatewayIdentity:               base + "-agw-id",
		VaultEndpoint:                 base + "-kv-pe",
		RegistryEndpoint:              base + "-acr-pe",
		SecretsIdentity:               base + "-secrets-id",
		WorkloadIdentity:              base + "-id",
		PipelineIdentity:              base + "-pipeline-id",
		Workspace:                     base + "-log",
		QueryPack:                     base + "-queries",
		PodLogsRule:                   base + "-pod-logs",
		Metrics:                       base + "-metrics",
		MetricsIdentity:               base + "-metrics-id",
		ActionGroup:                   base + "-alerts",
		DatabasePasswordSecret:        Application + "-db-password",
		DatabaseServicePasswordSecret: Application + "-db-service-password",
		IngestTokenSecret:             Application + "-ingest-token",
	}
	var broken []error
	for _, r := range rules {
		if name := r.name(names); !r.pattern.MatchString(name) || (r.never != "" && strings.Contains(name, r.never)) {
			broken = append(broken, fmt.Errorf(
				"makes %q (%d characters), which Azure refuses as the name of a %s; a name has %s, so change the suffix",
				name, len(name), r.kind, r.say))
		}
	}
	return names, errors.Join(broken...)
}

// SecurityGroup returns the name of the network security group of the subnet for the given purpose.
func (n Names) SecurityGroup(purpose string) string {
	return n.Environment + "-" + Application + "-" + purpose + "-nsg"
}

// Alert returns the name of the alert about something.
func (n Names) Alert(about string) string { return n.Environment + "-" + Application + "-" + about }

// EgressAddress returns the name of the public address, by its number from 1 on, that the nodes
// leave the network with.
func (n Names) EgressAddress(number int) string {
	return fmt.Sprintf("%s-%s-nat-pip-%d", n.Environment, Application, number)
}
