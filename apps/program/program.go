// Package program is the Pulumi program of gridos-apps: the Argo CD Applications of one environment, nothing else.
package program

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/apps/application"
	"github.com/gridos/sharedinfra/apps/boundary"
	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/naming"
	"github.com/gridos/sharedinfra/plugins"
	"github.com/gridos/sharedinfra/policy"
	"github.com/gridos/sharedinfra/stacks"
)

// Settings is the whole configuration of gridos-apps; docs/configuration.md describes each key.
type Settings struct {
	// RepositoryURL is the Git repository that Argo CD syncs from, TargetRevision its branch, tag or commit.
	RepositoryURL, TargetRevision string
	// CascadeDelete deletes the workloads with their Application.
	CascadeDelete bool
	// Policy is how the environment departs from the guardrails.
	Policy policy.Settings
}

// repository accepts the addresses that Argo CD can fetch from: https, ssh, a local path, and git's short form of ssh.
var repository = regexp.MustCompile(`^((https?|ssh|file)://[^\s]+|[\w.-]+@[\w.-]+:[^\s]+)$`)

// Load reads Settings for environment. Its error is a *config.Error with every mistake.
func Load(r *config.Reader, environment string) (Settings, error) {
	s := Settings{
		RepositoryURL:  r.String("repositoryUrl", naming.RepositoryURL),
		TargetRevision: r.String("targetRevision", "main"),
		CascadeDelete:  r.Bool("cascadeDelete", true),
		Policy:         policy.Load(r, environment),
	}
	if !repository.MatchString(s.RepositoryURL) {
		r.Check("repositoryUrl", fmt.Errorf("%q is not the address of a Git repository; write it like "+
			"https://github.com/gridos/sharedinfra.git", s.RepositoryURL))
	}
	if s.TargetRevision == "" || strings.ContainsAny(s.TargetRevision, " \t\n~^:?*[\\") {
		r.Check("targetRevision", errors.New("is not a branch, tag or commit; write it like main"))
	}
	return s, r.Err()
}

// Program registers the Application of the running stack's environment.
func Program(ctx *pulumi.Context) error {
	settings, err := Load(config.FromContext(ctx), ctx.Stack())
	if err != nil {
		return err
	}
	return policy.Guard(ctx, settings.Policy, settings.register)
}

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
	cluster, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{
		Kubeconfig:        infra.Kubeconfig,
		ClusterIdentifier: infra.OIDCIssuerURL, // as in gridos-bootstrap
	}, pulumi.Version(plugins.Kubernetes))
	if err != nil {
		return err
	}
	name := naming.Application + "-" + ctx.Stack()
	app, err := application.New(ctx, name, application.Args{
		Name:              name,
		Environment:       ctx.Stack(),
		RepositoryURL:     settings.RepositoryURL,
		Revision:          settings.TargetRevision,
		Path:              application.OverlayPath(naming.Application, ctx.Stack()),
		Namespace:         platform.ArgoCDNamespace,
		Project:           platform.ProjectName,
		WorkloadNamespace: platform.WorkloadNamespace,
		CascadeDelete:     settings.CascadeDelete,
	}, pulumi.Provider(cluster))
	if err != nil {
		return err
	}
	return stacks.Export(ctx, stacks.AppsOutputs{
		Applications:   pulumi.StringArray{app.Metadata.Name().Elem()}.ToStringArrayOutput(),
		RepositoryURL:  pulumi.String(settings.RepositoryURL).ToStringOutput(),
		TargetRevision: pulumi.String(settings.TargetRevision).ToStringOutput(),
	})
}
