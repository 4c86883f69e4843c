package stacks

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// The types of the outputs. A program exports and reads the Outputs; Values are the same as plain
// values. S, I and L stand for a text, a number and a list of texts. A field's comment is
// what docs/CONSUMING_OUTPUTS.md says about a published output.
type (
	// InfraOutputs is InfraContract as Pulumi's outputs.
	InfraOutputs = InfraContract[pulumi.StringOutput, pulumi.IntOutput, pulumi.StringArrayOutput]
	// InfraValues is InfraContract as plain values.
	InfraValues = InfraContract[string, int, []string]
	// BootstrapOutputs is BootstrapContract as Pulumi's outputs.
	BootstrapOutputs = BootstrapContract[pulumi.StringOutput, pulumi.IntOutput]
	// BootstrapValues is BootstrapContract as plain values.
	BootstrapValues = BootstrapContract[string, int]
	// AppsOutputs is AppsContract as Pulumi's outputs.
	AppsOutputs = AppsContract[pulumi.StringOutput, pulumi.IntOutput, pulumi.StringArrayOutput]
	// AppsValues is AppsContract as plain values.
	AppsValues = AppsContract[string, int, []string]
	// PublishedOutputs is PublishedContract as Pulumi's outputs.
	PublishedOutputs = PublishedContract[pulumi.StringOutput, pulumi.IntOutput, pulumi.StringArrayOutput]
	// PublishedValues is PublishedContract as plain values.
	PublishedValues = PublishedContract[string, int, []string]

	// PublicInfraOutputs is the part of gridos-infra's outputs that the root project publishes.
	PublicInfraOutputs = PublicInfra[pulumi.StringOutput, pulumi.StringArrayOutput]
	// PublicBootstrapOutputs is the part of gridos-bootstrap's outputs that the root project
	// publishes.
	PublicBootstrapOutputs = PublicBootstrap[pulumi.StringOutput]
	// PublicAppsOutputs is the part of gridos-apps' outputs that the root project publishes.
	PublicAppsOutputs = PublicApps[pulumi.StringArrayOutput]
)

// PublicInfra is what gridos-infra exports and the root project publishes.
type PublicInfra[S, L any] struct {
	// Location is the Azure region, such as `francecentral`.
	Location S `json:"location"`
	// ResourceGroupName is the name of the environment's resource group.
	ResourceGroupName S `json:"resourceGroupName"`
	// ClusterName is the name of the AKS cluster.
	ClusterName S `json:"clusterName"`
	// OIDCIssuerURL is the issuer that federated credentials of workloads name, to the letter.
	OIDCIssuerURL S `json:"oidcIssuerUrl"`
	// RegistryLoginServer is the host name of the container registry.
	RegistryLoginServer S `json:"registryLoginServer"`
	// PipelineClientID is the client id of the identity that pushes images.
	PipelineClientID S `json:"pipelineClientId"`
	// KeyVaultName is the name of the key vault.
	KeyVaultName S `json:"keyVaultName"`
	// KeyVaultURI is the https address of the key vault.
	KeyVaultURI S `json:"keyVaultUri"`
	// DatabaseHost is the private host name of the PostgreSQL server.
	DatabaseHost S `json:"databaseHost"`
	// DatabaseName is the name of the application's database.
	DatabaseName S `json:"databaseName"`
	// DatabasePasswordSecretName is the name, in the key vault, of the secret with the password of
	// the database server.
	DatabasePasswordSecretName S `json:"databasePasswordSecretName"`
	// GatewayPublicIP is the address at which clients reach the environment.
	GatewayPublicIP S `json:"gatewayPublicIp"`
	// EgressAddresses are the fixed public addresses that workloads are seen with outside, for
	// allow lists; empty where Azure chooses the address (`egress` is `loadBalancer`).
	EgressAddresses L `json:"egressAddresses"`
}

// InfraContract is what gridos-infra exports.
type InfraContract[S, I, L any] struct {
	// ContractVersion is the version of this contract.
	ContractVersion I `json:"contractVersion"`
	PublicInfra[S, L]
	// SubscriptionID is the GUID of the subscription.
	SubscriptionID S `json:"subscriptionId"`
	// TenantID is the GUID of the Entra tenant.
	TenantID S `json:"tenantId"`
	// VirtualNetworkID is the ARM id of the virtual network.
	VirtualNetworkID S `json:"virtualNetworkId"`
	// ClusterID is the ARM id of the AKS cluster.
	ClusterID S `json:"clusterId"`
	// Kubeconfig logs in to the cluster as the caller.
	Kubeconfig S `json:"kubeconfig" secret:"true"`
	// DatabaseUser is the administrator's login.
	DatabaseUser S `json:"databaseUser"`
	// IngressIP is the fixed internal address that the gateway sends traffic to.
	IngressIP S `json:"ingressIp"`
	// LogAnalyticsWorkspaceID is the ARM id of the Log Analytics workspace.
	LogAnalyticsWorkspaceID S `json:"logAnalyticsWorkspaceId"`
	// SecretsClientID is the GUID that the controller which reads the key vault signs in as.
	SecretsClientID S `json:"secretsClientId"`
	// WorkloadClientID is the GUID that the application signs in as.
	WorkloadClientID S `json:"workloadClientId"`
	// MetricsWriteURL is the https address that Prometheus writes its metrics to as well, or "".
	MetricsWriteURL S `json:"metricsWriteUrl"`
	// MetricsClientID is the GUID that Prometheus signs in as there, or "".
	MetricsClientID S `json:"metricsClientId"`
}

// PublicBootstrap is what gridos-bootstrap exports and the root project publishes.
type PublicBootstrap[S any] struct {
	// ArgoCDURL is the address of Argo CD's user interface.
	ArgoCDURL S `json:"argocdUrl"`
	// WorkloadNamespace is the namespace of the application's workloads.
	WorkloadNamespace S `json:"workloadNamespace"`
}

// BootstrapContract is what gridos-bootstrap exports.
type BootstrapContract[S, I any] struct {
	// ContractVersion is the version of this contract.
	ContractVersion I `json:"contractVersion"`
	PublicBootstrap[S]
	// ArgoCDNamespace is the namespace in which Argo CD looks for Applications.
	ArgoCDNamespace S `json:"argocdNamespace"`
	// ArgoCDVersion is the version of the installed chart.
	ArgoCDVersion S `json:"argocdVersion"`
	// ArgoCDAdminPassword is the password of Argo CD's user admin, who signs in only where the
	// configuration says so.
	ArgoCDAdminPassword S `json:"argocdAdminPassword" secret:"true"`
	// ArgoCDWebhookSecret is what the Git host signs its messages to <argocdUrl>/api/webhook with.
	ArgoCDWebhookSecret S `json:"argocdWebhookSecret" secret:"true"`
	// ArgoRolloutsVersion is the version of the installed chart.
	ArgoRolloutsVersion S `json:"argoRolloutsVersion"`
	// ProjectName is the name of the AppProject that the application's Applications belong to.
	ProjectName S `json:"projectName"`
}

// PublicApps is what gridos-apps exports and the root project publishes.
type PublicApps[L any] struct {
	// Applications are the names of the Argo CD Applications, sorted.
	Applications L `json:"applications"`
}

// AppsContract is what gridos-apps exports.
type AppsContract[S, I, L any] struct {
	// ContractVersion is the version of this contract.
	ContractVersion I `json:"contractVersion"`
	PublicApps[L]
	// RepositoryURL is the Git repository that Argo CD syncs from.
	RepositoryURL S `json:"repositoryUrl"`
	// TargetRevision is the branch, tag or commit that Argo CD follows.
	TargetRevision S `json:"targetRevision"`
}

// PublishedContract is what the root project publishes to other teams. It has no secret: who can
// read a stack can read all of it, and this is the only stack to which other teams get access.
type PublishedContract[S, I, L any] struct {
	// ContractVersion is the version of this contract.
	ContractVersion I `json:"contractVersion"`
	// Environment is `dev`, `test` or `prod`.
	Environment S `json:"environment"`
	PublicInfra[S, L]
	PublicBootstrap[S]
	PublicApps[L]
}
