package stacks

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// InfraOutputs is what gridos-infra exports.
type InfraOutputs struct {
	// ContractVersion is the version of this contract.
	ContractVersion pulumi.IntOutput `output:"contractVersion"`
	// Location is the Azure region, such as francecentral.
	Location pulumi.StringOutput `output:"location"`
	// SubscriptionID is the GUID of the subscription.
	SubscriptionID pulumi.StringOutput `output:"subscriptionId"`
	// TenantID is the GUID of the Entra tenant.
	TenantID pulumi.StringOutput `output:"tenantId"`
	// ResourceGroupName names the resource group of the environment.
	ResourceGroupName pulumi.StringOutput `output:"resourceGroupName"`
	// VirtualNetworkID is the ARM id of the virtual network.
	VirtualNetworkID pulumi.StringOutput `output:"virtualNetworkId"`
	// ClusterName names the AKS cluster.
	ClusterName pulumi.StringOutput `output:"clusterName"`
	// ClusterID is the ARM id of the AKS cluster.
	ClusterID pulumi.StringOutput `output:"clusterId"`
	// OIDCIssuerURL is the issuer that federated identity credentials name, verbatim.
	OIDCIssuerURL pulumi.StringOutput `output:"oidcIssuerUrl"`
	// Kubeconfig logs in to the cluster as the caller.
	Kubeconfig pulumi.StringOutput `output:"kubeconfig,secret"`
	// RegistryLoginServer is the host name of the container registry.
	RegistryLoginServer pulumi.StringOutput `output:"registryLoginServer"`
	// KeyVaultName names the key vault.
	KeyVaultName pulumi.StringOutput `output:"keyVaultName"`
	// KeyVaultURI is the https address of the key vault.
	KeyVaultURI pulumi.StringOutput `output:"keyVaultUri"`
	// DatabaseHost is the private host name of the PostgreSQL server.
	DatabaseHost pulumi.StringOutput `output:"databaseHost"`
	// DatabaseName names the application's database.
	DatabaseName pulumi.StringOutput `output:"databaseName"`
	// DatabaseUser is the administrator's login.
	DatabaseUser pulumi.StringOutput `output:"databaseUser"`
	// DatabasePasswordSecretName names the secret in the key vault that holds the password.
	DatabasePasswordSecretName pulumi.StringOutput `output:"databasePasswordSecretName"`
	// GatewayPublicIP is the address at which clients reach the Application Gateway.
	GatewayPublicIP pulumi.StringOutput `output:"gatewayPublicIp"`
	// IngressIP is the fixed internal address that the gateway sends traffic to.
	IngressIP pulumi.StringOutput `output:"ingressIp"`
	// EgressAddresses are the fixed public addresses that workloads are seen with outside; none where Azure chooses the address.
	EgressAddresses pulumi.StringArrayOutput `output:"egressAddresses"`
	// LogAnalyticsWorkspaceID is the ARM id of the Log Analytics workspace.
	LogAnalyticsWorkspaceID pulumi.StringOutput `output:"logAnalyticsWorkspaceId"`
	// SecretsClientID is the GUID that the controller which reads the key vault signs in as.
	SecretsClientID pulumi.StringOutput `output:"secretsClientId"`
	// WorkloadClientID is the GUID that the application signs in as.
	WorkloadClientID pulumi.StringOutput `output:"workloadClientId"`
	// PipelineClientID is the GUID that the pipeline which pushes images signs in as.
	PipelineClientID pulumi.StringOutput `output:"pipelineClientId"`
}

// InfraValues is InfraOutputs as plain values.
type InfraValues struct {
	ContractVersion            int      `json:"contractVersion"`
	Location                   string   `json:"location"`
	SubscriptionID             string   `json:"subscriptionId"`
	TenantID                   string   `json:"tenantId"`
	ResourceGroupName          string   `json:"resourceGroupName"`
	VirtualNetworkID           string   `json:"virtualNetworkId"`
	ClusterName                string   `json:"clusterName"`
	ClusterID                  string   `json:"clusterId"`
	OIDCIssuerURL              string   `json:"oidcIssuerUrl"`
	Kubeconfig                 string   `json:"kubeconfig"`
	RegistryLoginServer        string   `json:"registryLoginServer"`
	KeyVaultName               string   `json:"keyVaultName"`
	KeyVaultURI                string   `json:"keyVaultUri"`
	DatabaseHost               string   `json:"databaseHost"`
	DatabaseName               string   `json:"databaseName"`
	DatabaseUser               string   `json:"databaseUser"`
	DatabasePasswordSecretName string   `json:"databasePasswordSecretName"`
	GatewayPublicIP            string   `json:"gatewayPublicIp"`
	IngressIP                  string   `json:"ingressIp"`
	EgressAddresses            []string `json:"egressAddresses"`
	LogAnalyticsWorkspaceID    string   `json:"logAnalyticsWorkspaceId"`
	SecretsClientID            string   `json:"secretsClientId"`
	WorkloadClientID           string   `json:"workloadClientId"`
	PipelineClientID           string   `json:"pipelineClientId"`
}

// BootstrapOutputs is what gridos-bootstrap exports.
type BootstrapOutputs struct {
	// ContractVersion is the version of this contract.
	ContractVersion pulumi.IntOutput `output:"contractVersion"`
	// ArgoCDNamespace is the namespace in which Argo CD looks for Applications.
	ArgoCDNamespace pulumi.StringOutput `output:"argocdNamespace"`
	// ArgoCDVersion is the version of the installed chart.
	ArgoCDVersion pulumi.StringOutput `output:"argocdVersion"`
	// ArgoCDURL is the address of Argo CD's user interface.
	ArgoCDURL pulumi.StringOutput `output:"argocdUrl"`
	// ArgoCDAdminPassword is the password of Argo CD's user admin, who signs in only where the configuration says so.
	ArgoCDAdminPassword pulumi.StringOutput `output:"argocdAdminPassword,secret"`
	// ArgoCDWebhookSecret is what the Git host signs its messages to <argocdUrl>/api/webhook with.
	ArgoCDWebhookSecret pulumi.StringOutput `output:"argocdWebhookSecret,secret"`
	// ArgoRolloutsVersion is the version of the installed chart.
	ArgoRolloutsVersion pulumi.StringOutput `output:"argoRolloutsVersion"`
	// ProjectName names the AppProject that the application's Applications belong to.
	ProjectName pulumi.StringOutput `output:"projectName"`
	// WorkloadNamespace is the namespace of the application's workloads.
	WorkloadNamespace pulumi.StringOutput `output:"workloadNamespace"`
}

// BootstrapValues is BootstrapOutputs as plain values.
type BootstrapValues struct {
	ContractVersion     int    `json:"contractVersion"`
	ArgoCDNamespace     string `json:"argocdNamespace"`
	ArgoCDVersion       string `json:"argocdVersion"`
	ArgoCDURL           string `json:"argocdUrl"`
	ArgoCDAdminPassword string `json:"argocdAdminPassword"`
	ArgoCDWebhookSecret string `json:"argocdWebhookSecret"`
	ArgoRolloutsVersion string `json:"argoRolloutsVersion"`
	ProjectName         string `json:"projectName"`
	WorkloadNamespace   string `json:"workloadNamespace"`
}

// AppsOutputs is what gridos-apps exports.
type AppsOutputs struct {
	// ContractVersion is the version of this contract.
	ContractVersion pulumi.IntOutput `output:"contractVersion"`
	// Applications are the names of the Argo CD Applications, sorted.
	Applications pulumi.StringArrayOutput `output:"applications"`
	// RepositoryURL is the Git repository that Argo CD syncs from.
	RepositoryURL pulumi.StringOutput `output:"repositoryUrl"`
	// TargetRevision is the branch, tag or commit that Argo CD follows.
	TargetRevision pulumi.StringOutput `output:"targetRevision"`
}

// AppsValues is AppsOutputs as plain values.
type AppsValues struct {
	ContractVersion int      `json:"contractVersion"`
	Applications    []string `json:"applications"`
	RepositoryURL   string   `json:"repositoryUrl"`
	TargetRevision  string   `json:"targetRevision"`
}

// PublishedOutputs is what the root project publishes to other teams. It has no secret: who can
// read a stack can read all of it, and this is the only stack to which other teams get access.
type PublishedOutputs struct {
	// ContractVersion is the version of this contract.
	ContractVersion pulumi.IntOutput `output:"contractVersion"`
	// Environment is dev, test or prod.
	Environment pulumi.StringOutput `output:"environment"`
	// Location is the Azure region, such as francecentral.
	Location pulumi.StringOutput `output:"location"`
	// ResourceGroupName names the resource group of the environment.
	ResourceGroupName pulumi.StringOutput `output:"resourceGroupName"`
	// ClusterName names the AKS cluster.
	ClusterName pulumi.StringOutput `output:"clusterName"`
	// OIDCIssuerURL is the issuer that federated identity credentials name, verbatim.
	OIDCIssuerURL pulumi.StringOutput `output:"oidcIssuerUrl"`
	// RegistryLoginServer is the host name of the container registry.
	RegistryLoginServer pulumi.StringOutput `output:"registryLoginServer"`
	// PipelineClientID is the GUID that the pipeline which pushes images signs in as.
	PipelineClientID pulumi.StringOutput `output:"pipelineClientId"`
	// KeyVaultName names the key vault.
	KeyVaultName pulumi.StringOutput `output:"keyVaultName"`
	// KeyVaultURI is the https address of the key vault.
	KeyVaultURI pulumi.StringOutput `output:"keyVaultUri"`
	// DatabaseHost is the private host name of the PostgreSQL server.
	DatabaseHost pulumi.StringOutput `output:"databaseHost"`
	// DatabaseName names the application's database.
	DatabaseName pulumi.StringOutput `output:"databaseName"`
	// DatabasePasswordSecretName names the secret in the key vault that holds the password.
	DatabasePasswordSecretName pulumi.StringOutput `output:"databasePasswordSecretName"`
	// GatewayPublicIP is the address at which clients reach the environment.
	GatewayPublicIP pulumi.StringOutput `output:"gatewayPublicIp"`
	// EgressAddresses are the fixed public addresses that workloads are seen with outside; none where Azure chooses the address.
	EgressAddresses pulumi.StringArrayOutput `output:"egressAddresses"`
	// ArgoCDURL is the address of Argo CD's user interface.
	ArgoCDURL pulumi.StringOutput `output:"argocdUrl"`
	// WorkloadNamespace is the namespace of the application's workloads.
	WorkloadNamespace pulumi.StringOutput `output:"workloadNamespace"`
	// Applications are the names of the Argo CD Applications, sorted.
	Applications pulumi.StringArrayOutput `output:"applications"`
}

// PublishedValues is PublishedOutputs as plain values.
type PublishedValues struct {
	ContractVersion            int      `json:"contractVersion"`
	Environment                string   `json:"environment"`
	Location                   string   `json:"location"`
	ResourceGroupName          string   `json:"resourceGroupName"`
	ClusterName                string   `json:"clusterName"`
	OIDCIssuerURL              string   `json:"oidcIssuerUrl"`
	RegistryLoginServer        string   `json:"registryLoginServer"`
	PipelineClientID           string   `json:"pipelineClientId"`
	KeyVaultName               string   `json:"keyVaultName"`
	KeyVaultURI                string   `json:"keyVaultUri"`
	DatabaseHost               string   `json:"databaseHost"`
	DatabaseName               string   `json:"databaseName"`
	DatabasePasswordSecretName string   `json:"databasePasswordSecretName"`
	GatewayPublicIP            string   `json:"gatewayPublicIp"`
	EgressAddresses            []string `json:"egressAddresses"`
	ArgoCDURL                  string   `json:"argocdUrl"`
	WorkloadNamespace          string   `json:"workloadNamespace"`
	Applications               []string `json:"applications"`
}
