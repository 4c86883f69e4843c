// Package rollouts installs Argo Rollouts, the controller of progressive delivery.
package rollouts

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/bootstrap/notifications"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/internal/untyped"
	"github.com/gridos/sharedinfra/internal/versions"
)

// Settings is the configuration of Argo Rollouts.
type Settings struct {
	Chart helm.Chart
	// Replicas is the number of controllers, one of which leads.
	Replicas int
	// Environment is dev, test or prod.
	Environment string
	// ArgoCDURL is the address of the user interface to which notifications lead.
	ArgoCDURL     string
	Notifications notifications.Settings
}

// Load reads the Settings of environment, recording mistakes in r. told is who is told, and
// argoCDURL where people look then.
func Load(r *config.Reader, environment, argoCDURL string, told notifications.Settings) Settings {
	return Settings{
		Chart:         helm.LoadChart(r, "chartRepository", "argoRollouts", versions.ArgoRollouts),
		Replicas:      r.IntBetween("argoRolloutsReplicas", 2, 1, 5),
		Environment:   environment,
		ArgoCDURL:     argoCDURL,
		Notifications: told,
	}
}

// releaseName is the release's name; the chart names its objects after it.
const releaseName = "argo-rollouts"

// Rollouts is the installed controller.
type Rollouts struct {
	pulumi.ResourceState

	// Version is the installed version of the chart.
	Version pulumi.StringOutput
}

// New registers Argo Rollouts.
func New(ctx *pulumi.Context, name string, s Settings, opts ...pulumi.ResourceOption) (*Rollouts, error) {
	c := &Rollouts{}
	if err := ctx.RegisterComponentResource("gridos-bootstrap:rollouts:Rollouts", name, c, opts...); err != nil {
		return nil, err
	}
	namespace, err := object.NewNamespace(ctx, name+"-namespace", object.Metadata{
		Name: pulumi.String(naming.NamespaceArgoRollouts), Labels: object.RestrictedPods(),
	}, pulumi.Parent(c))
	if err != nil {
		return nil, fmt.Errorf("rollouts: %w", err)
	}
	v, err := newValues(s)
	if err != nil {
		return nil, fmt.Errorf("rollouts: %w", err)
	}
	values, err := untyped.MapOf(v)
	if err != nil {
		return nil, fmt.Errorf("rollouts: values of argo-rollouts: %w", err)
	}
	release, err := helm.NewRelease(ctx, name+"-release", helm.Args{
		Chart:     s.Chart,
		Name:      releaseName,
		Namespace: namespace.Name(),
		Values:    values,
	}, pulumi.Parent(c))
	if err != nil {
		return nil, fmt.Errorf("rollouts: %w", err)
	}
	c.Version = release.Version
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{"version": c.Version})
}
