// Package externalsecrets installs the External Secrets Operator, which brings secrets from the
// environment's key vault into the cluster, and the store through which it reads that vault.
package externalsecrets

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/internal/versions"
)

// Settings is the configuration of the operator and its store.
type Settings struct {
	Chart helm.Chart
	// Replicas is the number of controllers, of webhooks and of certificate controllers. Of the
	// controllers, one leads.
	Replicas int
	// Namespaces are those whose ExternalSecrets may read the key vault. Everyone who can write
	// ExternalSecrets there can read every secret in the vault.
	Namespaces []string
}

// namespaceName is what Kubernetes takes as the name of a namespace: an RFC 1123 label.
var namespaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Load reads Settings, recording mistakes in r. needed are namespaces in which the platform itself
// has ExternalSecrets.
func Load(r *config.Reader, needed ...string) Settings {
	const namespacesKey = "secretStoreNamespaces"
	s := Settings{
		Chart:    helm.LoadChart(r, "externalSecretsChartRepository", "externalSecrets", versions.ExternalSecrets),
		Replicas: r.IntBetween("externalSecretsReplicas", 2, 1, 5),
		Namespaces: r.Strings(namespacesKey,
			[]string{naming.NamespaceArgoCD, naming.NamespaceArgoRollouts, naming.NamespaceGridOS}),
	}
	if len(s.Namespaces) == 0 {
		// A store without conditions is open to all.
		r.Check(namespacesKey, fmt.Errorf("is empty; list the namespaces that may read the key vault, such as %s", naming.NamespaceGridOS))
	}
	for _, namespace := range needed {
		if len(s.Namespaces) > 0 && !slices.Contains(s.Namespaces, namespace) {
			r.Check(namespacesKey, fmt.Errorf("does not list %s, whose notifications are sent to addresses in the key vault; list it, "+
				"or empty notificationsRecipients", namespace))
		}
	}
	for _, namespace := range s.Namespaces {
		if !namespaceName.MatchString(namespace) {
			r.Check(namespacesKey, fmt.Errorf("%q is no name of a namespace; list each by its name, without wildcards", namespace))
		}
	}
	return s
}

// Args is what ExternalSecrets needs. Every field is required.
type Args struct {
	Settings Settings
	// ClientID is the GUID that the operator signs in to Entra as; its federated credential names the
	// operator's service account.
	ClientID pulumi.StringInput
	// TenantID is the GUID of the Entra tenant.
	TenantID pulumi.StringInput
	// VaultURI is the https address of the key vault.
	VaultURI pulumi.StringInput
}

// ExternalSecrets is the installed operator with its store.
type ExternalSecrets struct {
	pulumi.ResourceState

	// Version is the installed version of the chart.
	Version pulumi.StringOutput
	// StoreName names the ClusterSecretStore that ExternalSecrets refer to.
	StoreName pulumi.StringOutput
	// Release is the operator's release: resources that must be deleted before the operator depend
	// on it. Depending on the component is not enough: that covers only those of its resources that
	// are registered by then.
	Release *helm.Release
}

// New registers the operator and its store.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*ExternalSecrets, error) {
	e := &ExternalSecrets{}
	if err := ctx.RegisterComponentResource("gridos-bootstrap:externalsecrets:ExternalSecrets", name, e, opts...); err != nil {
		return nil, err
	}
	if err := e.provision(ctx, name, args); err != nil {
		return nil, fmt.Errorf("externalsecrets: %w", err)
	}
	return e, ctx.RegisterResourceOutputs(e, pulumi.Map{"version": e.Version, "storeName": e.StoreName})
}

func (e *ExternalSecrets) provision(ctx *pulumi.Context, name string, args Args) error {
	namespace, err := object.NewNamespace(ctx, name+"-namespace", object.Metadata{
		Name: pulumi.String(naming.NamespaceExternalSecrets), Labels: object.RestrictedPods(),
	}, pulumi.Parent(e))
	if err != nil {
		return err
	}
	values, err := newValues(args.Settings).input(args.ClientID)
	if err != nil {
		return err
	}
	release, err := helm.NewRelease(ctx, name+"-release", helm.Args{
		Chart:     args.Settings.Chart,
		Name:      releaseName,
		Namespace: namespace.Name(),
		Values:    values,
	}, pulumi.Parent(e))
	if err != nil {
		return err
	}
	// The release brings the definition, and the webhook that checks the store.
	store, err := newStore(ctx, name+"-store", args, pulumi.Parent(e), pulumi.DependsOn([]pulumi.Resource{release}))
	if err != nil {
		return err
	}
	e.Release, e.Version = release, release.Version
	e.StoreName = store.Name()
	return nil
}
