// Package argocd installs Argo CD, highly available, describes to it the cluster that it runs in,
// and confines it to the AppProjects of the platform.
package argocd

import (
	"fmt"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/stacks"
)

// Args is what ArgoCD needs. Every field is required.
type Args struct {
	Settings Settings
	// Infra has the facts about the environment for ApplicationSets.
	Infra stacks.InfraOutputs
}

// ArgoCD is the installed GitOps engine.
type ArgoCD struct {
	pulumi.ResourceState

	// Namespace is where Argo CD runs and looks for Applications.
	Namespace pulumi.StringOutput
	// Version is the installed version of the chart.
	Version pulumi.StringOutput
	// URL is the address of the user interface.
	URL pulumi.StringOutput
	// AdminPassword is the password of the user admin, who may be off; it is secret.
	AdminPassword pulumi.StringOutput
	// WebhookSecret is what GitHub signs its messages to <URL>/api/webhook with; it is secret.
	WebhookSecret pulumi.StringOutput
	// ProjectName is the AppProject of the application.
	ProjectName pulumi.StringOutput
}

// New registers Argo CD.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*ArgoCD, error) {
	a := &ArgoCD{}
	if err := ctx.RegisterComponentResource("gridos-bootstrap:argocd:ArgoCD", name, a, opts...); err != nil {
		return nil, err
	}
	if err := a.provision(ctx, name, args); err != nil {
		return nil, fmt.Errorf("argocd: %w", err)
	}
	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{
		"namespace":   a.Namespace,
		"version":     a.Version,
		"url":         a.URL,
		"projectName": a.ProjectName,
	})
}

func (a *ArgoCD) provision(ctx *pulumi.Context, name string, args Args) error {
	s := args.Settings
	namespace, err := object.NewNamespace(ctx, name+"-namespace", object.Metadata{
		Name: pulumi.String(naming.NamespaceArgoCD), Labels: object.RestrictedPods(),
	}, pulumi.Parent(a))
	if err != nil {
		return err
	}
	a.Namespace = namespace.Name()
	release, err := a.install(ctx, name, s)
	if err != nil {
		return err
	}
	if err := newCluster(ctx, name+"-cluster", s.Environment, args.Infra, a.Namespace, pulumi.Parent(a)); err != nil {
		return err
	}
	for _, project := range s.projects() {
		opts := []pulumi.ResourceOption{pulumi.Parent(a), pulumi.DependsOn([]pulumi.Resource{release})} // the release brings the CRD
		if project.Name == naming.ProjectGridOS {
			// Its name when it was the only project: it is updated, not replaced under the Applications that
			// belong to it.
			opts = append(opts, pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String(name + "-project")}}))
		}
		// An Application that belongs to the closed project is not the platform's: it does not keep
		// the project.
		registered, err := newProject(ctx, name+"-project-"+project.Name, project,
			s.Projects.KeepUsed && project.Name != naming.ProjectDefault, opts...)
		if err != nil {
			return err
		}
		if project.Name == naming.ProjectGridOS {
			a.ProjectName = registered.Name()
		}
	}
	a.Version = release.Version
	a.URL = pulumi.String(s.URL()).ToStringOutput()
	return nil
}

// releaseName is the release's name; the chart names and labels its objects after it.
const releaseName = "argocd"

func (a *ArgoCD) install(ctx *pulumi.Context, name string, s Settings) (*helm.Release, error) {
	// The hash is generated once, with the password: a new hash in each run would have a new salt
	// and change the release every time.
	password, err := random.NewRandomPassword(ctx, name+"-admin-password", &random.RandomPasswordArgs{
		Length:  pulumi.Int(32),
		Special: pulumi.Bool(false),
		Keepers: pulumi.StringMap{"issued": pulumi.String(s.AdminPasswordIssued)},
	}, pulumi.Parent(a), pulumi.Protect(false)) // it is rotated by replacing it
	if err != nil {
		return nil, err
	}
	webhook, err := random.NewRandomPassword(ctx, name+"-webhook-secret", &random.RandomPasswordArgs{
		Length:  pulumi.Int(40),
		Special: pulumi.Bool(false), // it is copied by hand into GitHub's settings
	}, pulumi.Parent(a), pulumi.Protect(false))
	if err != nil {
		return nil, err
	}
	a.AdminPassword = pulumi.ToSecret(password.Result).(pulumi.StringOutput)
	a.WebhookSecret = pulumi.ToSecret(webhook.Result).(pulumi.StringOutput)

	v, err := newValues(s)
	if err != nil {
		return nil, err
	}
	input, err := v.input(secrets{
		AdminPasswordHash: password.BcryptHash,
		WebhookSecret:     a.WebhookSecret,
		SSOClientSecret:   s.SSO.ClientSecret,
	})
	if err != nil {
		return nil, err
	}
	return helm.NewRelease(ctx, name+"-release", helm.Args{
		Chart:     s.Chart,
		Name:      releaseName,
		Namespace: a.Namespace,
		Values:    input,
	}, pulumi.Parent(a))
}
