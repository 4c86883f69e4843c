package notifications

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/internal/untyped"
)

// Where the controllers look for their Secret, by the defaults of their programs (argo-cd v3.2.11,
// cmd/argocd-notification/commands/controller.go; argo-rollouts v1.9.0, utils/record/record.go).
var (
	namespaceOf = map[Controller]string{ArgoCD: naming.NamespaceArgoCD, Rollouts: naming.NamespaceArgoRollouts}
	secretOf    = map[Controller]string{ArgoCD: "argocd-notifications-secret", Rollouts: "argo-rollouts-notification-secret"}
)

// refreshInterval is how soon a secret that was changed in the key vault is used.
const refreshInterval = "5m"

// externalSecretSpec is the spec of an ExternalSecret (external-secrets.io/v1), as far as it is
// used here.
type externalSecretSpec struct {
	RefreshInterval string           `json:"refreshInterval"`
	SecretStoreRef  storeRef         `json:"secretStoreRef"`
	Target          externalTarget   `json:"target"`
	Data            []externalSecret `json:"data"`
}

type storeRef struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

type externalTarget struct {
	Name string `json:"name"`
	// CreationPolicy Owner deletes the Secret with its ExternalSecret.
	CreationPolicy string `json:"creationPolicy"`
}

type externalSecret struct {
	SecretKey string    `json:"secretKey"`
	RemoteRef remoteRef `json:"remoteRef"`
}

type remoteRef struct {
	Key string `json:"key"`
}

func (s Settings) secretSpec(of Controller) externalSecretSpec {
	spec := externalSecretSpec{
		RefreshInterval: refreshInterval,
		SecretStoreRef:  storeRef{Kind: "ClusterSecretStore", Name: naming.SecretStore},
		Target:          externalTarget{Name: secretOf[of], CreationPolicy: "Owner"},
	}
	for _, service := range s.services() {
		if of == Rollouts && service.of == GitHub { // it knows no commit
			continue
		}
		spec.Data = append(spec.Data, externalSecret{SecretKey: secrets[service.of], RemoteRef: remoteRef{Key: VaultSecret(service.of)}})
	}
	return spec
}

// NewSecrets has External Secrets bring what the recipients are reached with from the key vault to
// the controllers. opts has dependencies on the operator, which must outlive its ExternalSecrets,
// and on the namespaces.
func NewSecrets(ctx *pulumi.Context, name string, s Settings, opts ...pulumi.ResourceOption) error {
	for _, of := range []Controller{ArgoCD, Rollouts} {
		wanted := s.secretSpec(of)
		if len(wanted.Data) == 0 {
			continue
		}
		spec, err := untyped.MapOf(wanted)
		if err != nil {
			return fmt.Errorf("notifications of %s: %w", of, err)
		}
		_, err = object.NewCustom(ctx, name+"-"+namespaceOf[of], "external-secrets.io/v1", "ExternalSecret", object.Metadata{
			Name: pulumi.String(secretOf[of]), Namespace: pulumi.String(namespaceOf[of]),
			// The API server adds the defaults of the definition to each entry of the list data, so that a
			// program that has lost its state would find another list there than its own.
			Shared: true,
		}, spec, opts...)
		if err != nil {
			return fmt.Errorf("notifications of %s: %w", of, err)
		}
	}
	return nil
}
