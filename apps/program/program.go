// Package program is the Pulumi program of gridos-apps: the Argo CD Applications of one
// environment, nothing else.
package program

import (
	"slices"
	"time"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/apps/application"
	"github.com/gridos/sharedinfra/apps/boundary"
	"github.com/gridos/sharedinfra/apps/catalogue"
	"github.com/gridos/sharedinfra/apps/preflight"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/policy"
	"github.com/gridos/sharedinfra/stacks"
)

// Settings is the whole configuration of gridos-apps; docs/configuration.md describes each key.
type Settings struct {
	// RepositoryURL is the Git repository that Argo CD syncs from, TargetRevision its branch, tag or
	// commit: those of the entries of the catalogue that name no other.
	RepositoryURL, TargetRevision string
	// Applications is the catalogue, in the order of registration.
	Applications []catalogue.Application
	// DeleteTimeout is how long Argo CD may take to delete an Application's workloads.
	DeleteTimeout time.Duration
	// Policy is how the environment departs from the guardrails.
	Policy policy.Settings
}

// Load reads Settings for environment. Its error is a *config.Error with every mistake.
func Load(r *config.Reader, environment string) (Settings, error) {
	s := Settings{
		RepositoryURL:  r.String("repositoryUrl", naming.RepositoryURL),
		TargetRevision: r.String("targetRevision", "main"),
		DeleteTimeout:  r.DurationBetween("deleteTimeout", 10*time.Minute, time.Second, 24*time.Hour),
		Policy:         policy.Load(r, environment),
	}
	defaults := catalogue.Defaults{
		RepositoryURL: s.RepositoryURL, Revision: s.TargetRevision, Cascade: r.Bool("cascadeDelete", true),
	}
	entries := config.Decode(r, "applications", []catalogue.Entry{})
	if err := catalogue.CheckRepository(s.RepositoryURL); err != nil {
		r.Check("repositoryUrl", err)
		defaults.RepositoryURL = naming.RepositoryURL // said once, not for every entry
	}
	if err := catalogue.CheckRevision(s.TargetRevision); err != nil {
		r.Check("targetRevision", err)
		defaults.Revision = "main"
	}
	var err error
	s.Applications, err = catalogue.Of(environment, entries, defaults)
	r.Check("applications", err)
	return s, r.Err()
}

// Program registers the Applications of the running stack's environment.
func Program(ctx *pulumi.Context) error {
	settings, err := Load(config.FromContext(ctx), ctx.Stack())
	if err != nil {
		return err
	}
	return policy.Guard(ctx, settings.Policy, settings.register)
}

// clientRate and clientBurst are how many requests a second, and at once, the Kubernetes provider
// may make. An Application takes a few; at the provider's own limit, 50 a second, a large catalogue
// would spend most of its time waiting for itself. The API server has limits of its own (priority
// and fairness).
const (
	clientRate  = 500
	clientBurst = 1000
)

func (settings Settings) register(ctx *pulumi.Context) error {
	if err := boundary.Guard(ctx); err != nil {
		return err
	}
	infra, err := stacks.Read[stacks.InfraOutputs](ctx, stacks.Infra)
	if err != nil {
		return err
	}
	platform, err := stacks.ReadPublic[stacks.BootstrapOutputs](ctx, stacks.Bootstrap)
	if err != nil {
		return err
	}
	err = preflight.Run(ctx, preflight.Args{
		Kubeconfig: infra.Kubeconfig, Namespace: platform.ArgoCDNamespace, Uses: settings.uses(),
	})
	if err != nil {
		return err
	}
	cluster, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{
		Kubeconfig:        infra.Kubeconfig,
		ClusterIdentifier: infra.OIDCIssuerURL, // as in gridos-bootstrap
		// With server-side apply, every Application would be sent to the API server in a preview
		// too, which takes several times as long as everything else. Tests against the official
		// definition find the same mistakes.
		EnableServerSideApply: pulumi.Bool(false),
		KubeClientSettings:    kubernetes.KubeClientSettingsArgs{Qps: pulumi.Float64(clientRate), Burst: pulumi.Int(clientBurst)},
	}, pulumi.Version(versions.Kubernetes))
	if err != nil {
		return err
	}
	if err := settings.registerAll(ctx, infra, platform, pulumi.Provider(cluster)); err != nil {
		return err
	}
	return stacks.Export(ctx, stacks.AppsOutputs{
		PublicApps:     stacks.PublicAppsOutputs{Applications: pulumi.ToStringArray(settings.names()).ToStringArrayOutput()},
		RepositoryURL:  pulumi.String(settings.RepositoryURL).ToStringOutput(),
		TargetRevision: pulumi.String(settings.TargetRevision).ToStringOutput(),
	})
}

// registerAll registers one wave after the other. Argo CD syncs each Application by itself, so a
// wave has an effect only if the update waits for the earlier ones: a later wave depends on the
// Applications that are waited for.
func (settings Settings) registerAll(
	ctx *pulumi.Context, infra stacks.InfraOutputs, platform stacks.BootstrapOutputs, cluster pulumi.ResourceOption,
) error {
	var earlier, waited []pulumi.Resource // of earlier waves, and those of this one
	for i, a := range settings.Applications {
		if i > 0 && a.Wave > settings.Applications[i-1].Wave {
			earlier = append(earlier, waited...)
			waited = nil
		}
		// The state keeps them: a removal runs no program, and uses the timeouts of the last
		// update.
		timeouts := &pulumi.CustomTimeouts{Delete: settings.DeleteTimeout.String()}
		if a.Wait > 0 {
			timeouts.Create = a.Wait.String()
			timeouts.Update = timeouts.Create
		}
		args := application.Args{
			Name:              a.Name,
			Environment:       ctx.Stack(),
			Namespace:         platform.ArgoCDNamespace,
			Project:           pulumi.String(a.Project),
			WorkloadNamespace: pulumi.String(a.Namespace),
			Wave:              a.Wave,
			CascadeDelete:     a.Cascade,
			WaitHealthy:       a.Wait > 0,
			Spec:              a.Spec,
		}
		if a.IsPrometheus() {
			args.Values = sendingMetrics(infra, ctx.Stack(), a.Spec.Source.Helm.ValuesObject)
		}
		// What gridos-bootstrap calls the application's own.
		if a.Project == naming.ProjectGridOS {
			args.Project = platform.ProjectName
		}
		if a.Namespace == "" {
			args.WorkloadNamespace = platform.WorkloadNamespace
		}
		registered, err := application.New(ctx, a.Name, args, cluster, pulumi.Timeouts(timeouts), pulumi.DependsOn(earlier))
		if err != nil {
			return err
		}
		if a.Wait > 0 {
			waited = append(waited, registered)
		}
	}
	return nil
}

// sendingMetrics returns the values of Prometheus' chart, which writes to an Azure Monitor
// workspace too if gridos-infra has made a way to one.
func sendingMetrics(infra stacks.InfraOutputs, environment string, values map[string]any) pulumi.Output {
	return pulumi.All(infra.MetricsWriteURL, infra.MetricsClientID, infra.TenantID).ApplyT(func(known []any) (map[string]any, error) {
		url, _ := known[0].(string)
		if url == "" {
			return values, nil
		}
		client, _ := known[1].(string)
		tenant, _ := known[2].(string)
		return catalogue.SendingMetrics(values, environment, catalogue.MetricsWriter{URL: url, ClientID: client, TenantID: tenant})
	})
}

// Prometheus returns the values of the platform's Prometheus for its chart, or nil if the catalogue
// has none.
func (settings Settings) Prometheus() map[string]any {
	i := slices.IndexFunc(settings.Applications, catalogue.Application.IsPrometheus)
	if i < 0 {
		return nil
	}
	return settings.Applications[i].Spec.Source.Helm.ValuesObject
}

// names returns the names of the Applications, sorted.
func (settings Settings) names() []string {
	names := make([]string, len(settings.Applications))
	for i, a := range settings.Applications {
		names[i] = a.Name
	}
	slices.Sort(names)
	return names
}

// uses returns what the Applications need of each AppProject, each list sorted.
func (settings Settings) uses() map[string]preflight.Use {
	used := map[string]preflight.Use{}
	for _, a := range settings.Applications {
		namespace := a.Namespace
		if namespace == "" {
			namespace = naming.NamespaceGridOS // what gridos-bootstrap names it
		}
		use := used[a.Project]
		use.Namespaces = with(use.Namespaces, namespace)
		use.Repositories = with(use.Repositories, a.Spec.Source.RepoURL)
		if slices.Contains(a.Spec.SyncPolicy.SyncOptions, "CreateNamespace=true") {
			use.CreatesNamespaces = true
		}
		used[a.Project] = use
	}
	return used
}

// with adds text to a sorted list that does not have it.
func with(list []string, text string) []string {
	i, found := slices.BinarySearch(list, text)
	if found {
		return list
	}
	return slices.Insert(list, i, text)
}
