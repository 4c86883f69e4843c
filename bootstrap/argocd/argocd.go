// Package argocd installs Argo CD, highly available, and the AppProject of the application.
package argocd

import (
	"fmt"
	"regexp"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/naming"
)

// Settings is the configuration of Argo CD.
type Settings struct {
	Chart helm.Chart
	// Domain is the host name of the user interface.
	Domain string
	// ControllerReplicas is the number of application controllers. They divide clusters among each other: with one
	// cluster a second one stands by without taking over.
	ControllerReplicas int
	// ServerMinReplicas and ServerMaxReplicas bound the API server's autoscaling.
	ServerMinReplicas, ServerMaxReplicas       int
	RepoServerReplicas, ApplicationSetReplicas int
	// RedisReplicas is the number of Redis servers, each on a node of its own; an odd number, so that they can elect.
	RedisReplicas int
	// SourceRepositories are the Git repositories that the application's project may sync from.
	SourceRepositories []string
}

const maxReplicas = 20

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$`)

// Load reads Settings, recording mistakes in r.
func Load(r *config.Reader) Settings {
	s := Settings{
		Chart:                  helm.LoadChart(r, "argocd", "argo-cd", "10.1.1"),
		Domain:                 r.Text("argocdDomain", "argocd.gridos.example.com"),
		ControllerReplicas:     r.IntBetween("argocdControllerReplicas", 2, 1, maxReplicas),
		ServerMinReplicas:      r.IntBetween("argocdServerMinReplicas", 2, 1, maxReplicas),
		ServerMaxReplicas:      r.IntBetween("argocdServerMaxReplicas", 5, 1, maxReplicas),
		RepoServerReplicas:     r.IntBetween("argocdRepoServerReplicas", 2, 1, maxReplicas),
		ApplicationSetReplicas: r.IntBetween("argocdApplicationSetReplicas", 2, 1, maxReplicas),
		RedisReplicas:          r.IntBetween("argocdRedisReplicas", 3, 3, 7),
		SourceRepositories:     r.Strings("sourceRepositories", []string{naming.RepositoryURL}),
	}
	if s.ServerMinReplicas > s.ServerMaxReplicas {
		r.Check("argocdServerMaxReplicas", fmt.Errorf("%d is less than argocdServerMinReplicas %d; raise it",
			s.ServerMaxReplicas, s.ServerMinReplicas))
	}
	if s.RedisReplicas%2 == 0 {
		r.Check("argocdRedisReplicas", fmt.Errorf("%d servers cannot elect a leader safely; use an odd number", s.RedisReplicas))
	}
	if !hostName.MatchString(s.Domain) {
		r.Check("argocdDomain", fmt.Errorf("%q is not a host name; write it like argocd.dev.example.com", s.Domain))
	}
	if len(s.SourceRepositories) == 0 {
		r.Check("sourceRepositories", fmt.Errorf("is empty; list the Git repositories that Argo CD may sync from"))
	}
	for _, repository := range s.SourceRepositories {
		if repository == "*" {
			r.Check("sourceRepositories", fmt.Errorf("* would let the project sync from anywhere; list the repositories"))
		}
	}
	return s
}

// Args is what ArgoCD needs. Every field is required.
type Args struct {
	Settings Settings
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
	// AdminPassword is the initial password of the user admin; it is secret.
	AdminPassword pulumi.StringOutput
	// ProjectName is the AppProject of the application.
	ProjectName pulumi.StringOutput
}

// New registers Argo CD.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*ArgoCD, error) {
	a := &ArgoCD{}
	if err := ctx.RegisterComponentResource("gridos-bootstrap:argocd:ArgoCD", name, a, opts...); err != nil {
		return nil, err
	}
	if err := a.provision(ctx, name, args.Settings); err != nil {
		return nil, fmt.Errorf("argocd: %w", err)
	}
	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{
		"namespace":   a.Namespace,
		"version":     a.Version,
		"url":         a.URL,
		"projectName": a.ProjectName,
	})
}

func (a *ArgoCD) provision(ctx *pulumi.Context, name string, s Settings) error {
	namespace, err := corev1.NewNamespace(ctx, name+"-namespace", &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(naming.NamespaceArgoCD)},
	}, pulumi.Parent(a))
	if err != nil {
		return err
	}
	// The hash is part of what is generated once: hashing at each run would salt anew and change the release every time.
	password, err := random.NewRandomPassword(ctx, name+"-admin-password", &random.RandomPasswordArgs{
		Length:  pulumi.Int(32),
		Special: pulumi.Bool(false),
	}, pulumi.Parent(a))
	if err != nil {
		return err
	}
	values, err := newValues(s).input(password.BcryptHash)
	if err != nil {
		return err
	}
	release, err := helm.NewRelease(ctx, name+"-release", helm.Args{
		Chart:     s.Chart,
		Name:      "argocd",
		Namespace: namespace.Metadata.Name().Elem(),
		Values:    values,
	}, pulumi.Parent(a))
	if err != nil {
		return err
	}
	project, err := newProject(ctx, name+"-project", s.SourceRepositories, pulumi.Parent(a),
		pulumi.DependsOn([]pulumi.Resource{release})) // the release brings the CRD
	if err != nil {
		return err
	}
	a.Namespace = namespace.Metadata.Name().Elem()
	a.Version = release.Version
	a.URL = pulumi.String("https://" + s.Domain).ToStringOutput()
	a.AdminPassword = pulumi.ToSecret(password.Result).(pulumi.StringOutput)
	a.ProjectName = project.Metadata.Name().Elem()
	return nil
}
