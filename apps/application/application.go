// Package application emits Argo CD Application objects. It spells the fields that the platform
// uses as Go types of its own: Argo CD's module would bring most of Kubernetes with it.
package application

import (
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/internal/untyped"
)

// APIVersion and Kind are those of an Application.
const (
	APIVersion = "argoproj.io/v1alpha1"
	Kind       = "Application"
)

const (
	// resourcesFinalizer makes Argo CD delete an Application's workloads before the Application goes.
	resourcesFinalizer = "resources-finalizer.argocd.argoproj.io"
	// waveAnnotation orders objects that Argo CD syncs, lower first.
	waveAnnotation = "argocd.argoproj.io/sync-wave"
	// waitAnnotation makes the Kubernetes provider of Pulumi wait until the object is as described.
	waitAnnotation = "pulumi.com/waitFor"
	// healthy is how waitAnnotation describes an Application whose workloads run.
	healthy = "jsonpath={.status.health.status}=Healthy"
)

// Args is what an Application needs. Every field is required unless it says otherwise.
type Args struct {
	// Name is the Application's name, such as gridos-dev.
	Name string
	// Environment is dev, test or prod.
	Environment string
	// Namespace is where Argo CD looks for Applications, Project the AppProject, WorkloadNamespace
	// where the workloads go.
	Namespace, Project, WorkloadNamespace pulumi.StringInput
	// Wave is the sync wave; 0 is what Argo CD takes an Application without one for.
	Wave int
	// CascadeDelete deletes the workloads with the Application.
	CascadeDelete bool
	// WaitHealthy makes an update wait until Argo CD reports the workloads as healthy.
	WaitHealthy bool
	// Values are the chart's values, where they have outputs in them: they take the place of those in
	// Spec. It is optional.
	Values pulumi.Input
	// Spec is the rest.
	Spec Spec
}

// New registers the Application.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*object.Object, error) {
	fields, err := untyped.MapOf(args.Spec)
	if err != nil {
		return nil, fmt.Errorf("application %s: %w", args.Name, err)
	}
	if source, ok := fields["source"].(pulumi.Map); ok && args.Values != nil {
		source["helm"] = pulumi.Map{"valuesObject": args.Values}
	}
	fields["project"] = args.Project
	fields["destination"] = pulumi.Map{"server": pulumi.String(naming.ArgoCDInCluster), "namespace": args.WorkloadNamespace}
	return object.NewCustom(ctx, name, APIVersion, Kind, metadata(args), fields, opts...)
}

func metadata(args Args) object.Metadata {
	m := object.Metadata{
		Name:      pulumi.String(args.Name),
		Namespace: args.Namespace,
		Labels: pulumi.StringMap{
			"app.kubernetes.io/part-of": pulumi.String(naming.Application),
			"environment":               pulumi.String(args.Environment),
		},
	}
	if host := gitHost(args.Spec.Source); host != "" {
		m.Labels[naming.LabelGitHost] = pulumi.String(host)
	}
	if args.CascadeDelete {
		m.Finalizers = pulumi.StringArray{pulumi.String(resourcesFinalizer)}
	}
	annotations := pulumi.StringMap{}
	if args.Wave != 0 {
		annotations[waveAnnotation] = pulumi.String(strconv.Itoa(args.Wave))
	}
	if args.WaitHealthy {
		annotations[waitAnnotation] = pulumi.String(healthy)
	}
	if len(annotations) > 0 {
		m.Annotations = annotations
	}
	return m
}
