package argocd

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/stacks"
)

// newCluster registers the Secret by which Argo CD knows the cluster that it runs in. It grants
// nothing that Argo CD does not have: its labels and annotations tell ApplicationSets about the
// environment, with a `clusters` generator, so that manifests need not repeat values that Azure
// decided. Generators select by labels; templates read annotations.
func newCluster(
	ctx *pulumi.Context, name, environment string, infra stacks.InfraOutputs, namespace pulumi.StringInput, opts ...pulumi.ResourceOption,
) error {
	_, err := object.NewSecret(ctx, name, object.Metadata{
		Name:      pulumi.String(naming.ArgoCDInClusterName),
		Namespace: namespace,
		Labels: pulumi.StringMap{
			"argocd.argoproj.io/secret-type": pulumi.String("cluster"),
			"app.kubernetes.io/part-of":      pulumi.String(naming.Application),
			"environment":                    pulumi.String(environment),
			"region":                         infra.Location,
			"cluster":                        infra.ClusterName,
		},
		// Names that Go templates can write after a dot: {{ .metadata.annotations.key_vault_uri }}.
		Annotations: pulumi.StringMap{
			"environment":           pulumi.String(environment),
			"region":                infra.Location,
			"tenant_id":             infra.TenantID,
			"subscription_id":       infra.SubscriptionID,
			"resource_group":        infra.ResourceGroupName,
			"cluster_name":          infra.ClusterName,
			"cluster_id":            infra.ClusterID,
			"oidc_issuer_url":       infra.OIDCIssuerURL,
			"registry_login_server": infra.RegistryLoginServer,
			"key_vault_name":        infra.KeyVaultName,
			"key_vault_uri":         infra.KeyVaultURI,
			"database_host":         infra.DatabaseHost,
			"database_name":         infra.DatabaseName,
			"database_user":         infra.DatabaseUser,
			"ingress_ip":            infra.IngressIP,
			"secrets_client_id":     infra.SecretsClientID,
			"workload_client_id":    infra.WorkloadClientID,
		},
	}, pulumi.StringMap{
		"name":   pulumi.String(naming.ArgoCDInClusterName),
		"server": pulumi.String(naming.ArgoCDInCluster),
		// Argo CD's own service account is who it signs in as.
		"config": pulumi.String(`{"tlsClientConfig":{"insecure":false}}`),
	}, opts...)
	return err
}
