// Package application emits Argo CD Application objects. It spells the fields that the platform uses as Go types of its
// own: Argo CD's module would bring most of Kubernetes with it.
package application

import (
	"fmt"
	"path"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/untyped"
	"github.com/gridos/sharedinfra/naming"
)

// APIVersion and Kind are those of an Application.
const (
	APIVersion = "argoproj.io/v1alpha1"
	Kind       = "Application"
)

// resourcesFinalizer makes Argo CD delete an Application's workloads before the Application goes.
const resourcesFinalizer = "resources-finalizer.argocd.argoproj.io"

// Args is what an Application needs. Every field is required.
type Args struct {
	// Name is the Application's name, such as gridos-dev.
	Name string
	// Environment is dev, test or prod.
	Environment string
	// RepositoryURL and Revision say where Argo CD syncs from: a Git repository and its branch, tag or commit.
	RepositoryURL, Revision string
	// Path is the directory in the repository, such as applications/gridos/overlays/dev.
	Path string
	// Namespace is where Argo CD looks for Applications, Project the AppProject, WorkloadNamespace where the
	// workloads go.
	Namespace, Project, WorkloadNamespace pulumi.StringInput
	// CascadeDelete deletes the workloads with the Application.
	CascadeDelete bool
}

// OverlayPath returns the directory of an application's overlay for an environment.
func OverlayPath(app, environment string) string {
	return path.Join("applications", app, "overlays", environment)
}

// New registers the Application.
func New(
	ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption,
) (*apiextensions.CustomResource, error) {
	fields, err := untyped.MapOf(specOf(args))
	if err != nil {
		return nil, fmt.Errorf("application %s: %w", args.Name, err)
	}
	fields["project"] = args.Project
	fields["destination"] = pulumi.Map{"server": pulumi.String(naming.ArgoCDInCluster), "namespace": args.WorkloadNamespace}
	metadata := metav1.ObjectMetaArgs{
		Name:      pulumi.String(args.Name),
		Namespace: args.Namespace,
		Labels: pulumi.StringMap{
			"app.kubernetes.io/part-of": pulumi.String("gridos"),
			"environment":               pulumi.String(args.Environment),
		},
	}
	if args.CascadeDelete {
		metadata.Finalizers = pulumi.StringArray{pulumi.String(resourcesFinalizer)}
	}
	return apiextensions.NewCustomResource(ctx, name, &apiextensions.CustomResourceArgs{
		ApiVersion:  pulumi.String(APIVersion),
		Kind:        pulumi.String(Kind),
		Metadata:    metadata,
		OtherFields: kubernetes.UntypedArgs{"spec": fields},
	}, opts...)
}

// spec is an Application's spec without what other stacks decide.
type spec struct {
	Source            source             `json:"source"`
	SyncPolicy        syncPolicy         `json:"syncPolicy"`
	IgnoreDifferences []ignoreDifference `json:"ignoreDifferences"`
}

type source struct {
	RepoURL        string `json:"repoURL"`
	TargetRevision string `json:"targetRevision"`
	Path           string `json:"path"`
}

type syncPolicy struct {
	Automated   automated `json:"automated"`
	SyncOptions []string  `json:"syncOptions"`
	Retry       retry     `json:"retry"`
}

type automated struct {
	// Prune deletes what left Git, SelfHeal undoes what was changed by hand: Git is the only writer.
	Prune    bool `json:"prune"`
	SelfHeal bool `json:"selfHeal"`
}

type retry struct {
	Limit   int     `json:"limit"`
	Backoff backoff `json:"backoff"`
}

type backoff struct {
	Duration    string `json:"duration"` // such as 5s
	Factor      int    `json:"factor"`
	MaxDuration string `json:"maxDuration"` // such as 3m
}

type ignoreDifference struct {
	Group        string   `json:"group"`
	Kind         string   `json:"kind"`
	JSONPointers []string `json:"jsonPointers"`
}

func specOf(args Args) spec {
	return spec{
		Source: source{RepoURL: args.RepositoryURL, TargetRevision: args.Revision, Path: args.Path},
		SyncPolicy: syncPolicy{
			Automated: automated{Prune: true, SelfHeal: true},
			// Without RespectIgnoreDifferences a sync would reset what the controllers below own (argo-rollouts
			// issue 3565).
			SyncOptions: []string{"RespectIgnoreDifferences=true", "ApplyOutOfSyncOnly=true"},
			Retry:       retry{Limit: 5, Backoff: backoff{Duration: "5s", Factor: 2, MaxDuration: "3m"}},
		},
		IgnoreDifferences: []ignoreDifference{
			// The HorizontalPodAutoscaler owns the replicas.
			{Group: "argoproj.io", Kind: "Rollout", JSONPointers: []string{"/spec/replicas"}},
		},
	}
}
