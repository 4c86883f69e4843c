package externalsecrets

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/internal/untyped"
)

// storeSpec is the spec of a ClusterSecretStore (external-secrets.io/v1), as far as the platform
// uses it.
type storeSpec struct {
	Provider storeProvider `json:"provider"`
	// Conditions say which namespaces may use the store: those that meet one of them.
	Conditions []storeCondition `json:"conditions"`
}

type storeProvider struct {
	AzureKeyVault azureKeyVault `json:"azurekv"`
}

type azureKeyVault struct {
	// AuthType WorkloadIdentity exchanges a token of the service account for one of Entra.
	AuthType          string            `json:"authType"`
	ServiceAccountRef serviceAccountRef `json:"serviceAccountRef"`
	// VaultURL and TenantID are known when infra's outputs are.
	VaultURL string `json:"vaultUrl,omitempty"`
	TenantID string `json:"tenantId,omitempty"`
}

type serviceAccountRef struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type storeCondition struct {
	Namespaces []string `json:"namespaces"`
}

func newStoreSpec(s Settings) storeSpec {
	return storeSpec{
		Provider: storeProvider{AzureKeyVault: azureKeyVault{
			AuthType: "WorkloadIdentity",
			ServiceAccountRef: serviceAccountRef{
				Name:      naming.ServiceAccountExternalSecrets,
				Namespace: naming.NamespaceExternalSecrets,
			},
		}},
		Conditions: []storeCondition{{Namespaces: s.Namespaces}},
	}
}

// newStore registers the store. Only infra's values are outputs, so that a preview shows the rest.
func newStore(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*object.Object, error) {
	spec, err := untyped.MapOf(newStoreSpec(args.Settings))
	if err != nil {
		return nil, fmt.Errorf("ClusterSecretStore %s: %w", naming.SecretStore, err)
	}
	vault := spec["provider"].(pulumi.Map)["azurekv"].(pulumi.Map)
	vault["vaultUrl"], vault["tenantId"] = args.VaultURI, args.TenantID
	return object.NewCustom(ctx, name, "external-secrets.io/v1", "ClusterSecretStore",
		object.Metadata{Name: pulumi.String(naming.SecretStore)}, spec, opts...)
}
