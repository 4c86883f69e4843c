// Package program is the Pulumi program of gridos-bootstrap: Argo CD, its companions and what they
// need in the cluster.
package program

import (
	"fmt"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/bootstrap/accesslog"
	"github.com/gridos/sharedinfra/bootstrap/argocd"
	"github.com/gridos/sharedinfra/bootstrap/edge"
	"github.com/gridos/sharedinfra/bootstrap/externalsecrets"
	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/bootstrap/notifications"
	"github.com/gridos/sharedinfra/bootstrap/repository"
	"github.com/gridos/sharedinfra/bootstrap/rollouts"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/policy"
	"github.com/gridos/sharedinfra/stacks"
)

// Settings is the whole configuration of gridos-bootstrap; docs/configuration.md describes each
// key.
type Settings struct {
	ArgoCD          argocd.Settings
	Rollouts        rollouts.Settings
	ExternalSecrets externalsecrets.Settings
	Repository      repository.Settings
	// Protect refuses to delete the application's namespace, and with it its workloads, and the GitOps
	// engine.
	Protect bool
	// Policy is how the environment departs from the guardrails.
	Policy policy.Settings
}

// Load reads Settings for environment. Its error is a *config.Error with every mistake.
func Load(r *config.Reader, environment string) (Settings, error) {
	told := notifications.Load(r, environment)
	cd := argocd.Load(r, environment, told)
	s := Settings{
		ArgoCD:          cd,
		Rollouts:        rollouts.Load(r, environment, cd.URL(), told),
		ExternalSecrets: externalsecrets.Load(r, told.Namespaces()...),
		Repository:      repository.Load(r),
		Protect:         r.Bool("protect", false),
		Policy:          policy.Load(r, environment),
	}
	return s, r.Err()
}

// Program registers what the cluster of the running stack's environment needs before Git takes
// over.
func Program(ctx *pulumi.Context) error {
	settings, err := Load(config.FromContext(ctx), ctx.Stack())
	if err != nil {
		return err
	}
	return policy.Guard(ctx, settings.Policy, settings.register)
}

func (settings Settings) register(ctx *pulumi.Context) error {
	infra, err := stacks.Read[stacks.InfraOutputs](ctx, stacks.Infra)
	if err != nil {
		return err
	}
	cluster, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{
		Kubeconfig: infra.Kubeconfig,
		// The issuer identifies the cluster: it stays when only the kubeconfig changes, which must
		// replace nothing, and it differs when the cluster was replaced under the same name, which
		// must replace everything.
		ClusterIdentifier: infra.OIDCIssuerURL,
	}, pulumi.Version(versions.Kubernetes))
	if err != nil {
		return err
	}
	if err := helm.RecoverReleases(ctx, infra.Kubeconfig); err != nil {
		return err
	}
	generator, err := random.NewProvider(ctx, "random", nil, pulumi.Version(versions.Random))
	if err != nil {
		return err
	}
	providers := pulumi.Providers(cluster, generator)

	cd, err := argocd.New(ctx, "argocd", argocd.Args{Settings: settings.ArgoCD, Infra: infra},
		providers, pulumi.Protect(settings.Protect))
	if err != nil {
		return err
	}
	delivery, err := rollouts.New(ctx, "argo-rollouts", settings.Rollouts, providers, pulumi.Protect(settings.Protect))
	if err != nil {
		return err
	}
	secrets, err := externalsecrets.New(ctx, "external-secrets", externalsecrets.Args{
		Settings: settings.ExternalSecrets,
		ClientID: infra.SecretsClientID,
		TenantID: infra.TenantID,
		VaultURI: infra.KeyVaultURI,
	}, providers, pulumi.Protect(settings.Protect))
	if err != nil {
		return err
	}
	if err := notifications.NewSecrets(ctx, "notifications", settings.ArgoCD.Notifications, providers,
		// A removal deletes them first, as below. The controllers' namespaces come with them.
		pulumi.DependsOn([]pulumi.Resource{secrets.Release, cd, delivery})); err != nil {
		return err
	}
	// A removal deletes it first: its ExternalSecrets have a finalizer that only the operator
	// removes.
	workloads, err := object.NewNamespace(ctx, "gridos-namespace", object.Metadata{
		Name: pulumi.String(naming.NamespaceGridOS), Labels: object.RestrictedPods(),
	}, providers, pulumi.Protect(settings.Protect), pulumi.DependsOn([]pulumi.Resource{secrets.Release}))
	if err != nil {
		return fmt.Errorf("namespace %s: %w", naming.NamespaceGridOS, err)
	}
	if _, err := repository.New(ctx, "repository", repository.Args{
		Settings: settings.Repository, Namespace: cd.Namespace,
	}, providers); err != nil {
		return err
	}
	if _, err := edge.New(ctx, "edge", edge.Args{IngressIP: infra.IngressIP}, providers, pulumi.Protect(settings.Protect)); err != nil {
		return err
	}
	if _, err := accesslog.New(ctx, "access-log", providers); err != nil {
		return err
	}
	return stacks.Export(ctx, stacks.BootstrapOutputs{
		PublicBootstrap:     stacks.PublicBootstrapOutputs{ArgoCDURL: cd.URL, WorkloadNamespace: workloads.Name()},
		ArgoCDNamespace:     cd.Namespace,
		ArgoCDVersion:       cd.Version,
		ArgoCDAdminPassword: cd.AdminPassword,
		ArgoCDWebhookSecret: cd.WebhookSecret,
		ArgoRolloutsVersion: delivery.Version,
		ProjectName:         cd.ProjectName,
	})
}
