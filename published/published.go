// Package published is the Pulumi program of the root project: it owns no resource and publishes
// what other teams read.
package published

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/policy"
	"github.com/gridos/sharedinfra/stacks"
)

// Load reads how the environment departs from the guardrails, which is all that can be configured.
// Its error is a *config.Error with every mistake.
func Load(r *config.Reader, environment string) (policy.Settings, error) {
	s := policy.Load(r, environment)
	return s, r.Err()
}

// Program publishes the outputs of the running stack's environment. It reads without secrets, so
// that its state, which other teams may read, holds none.
func Program(ctx *pulumi.Context) error {
	settings, err := Load(config.FromContext(ctx), ctx.Stack())
	if err != nil {
		return err
	}
	return policy.Guard(ctx, settings, publish)
}

func publish(ctx *pulumi.Context) error {
	infra, err := stacks.ReadPublic[stacks.InfraOutputs](ctx, stacks.Infra)
	if err != nil {
		return err
	}
	platform, err := stacks.ReadPublic[stacks.BootstrapOutputs](ctx, stacks.Bootstrap)
	if err != nil {
		return err
	}
	apps, err := stacks.ReadPublic[stacks.AppsOutputs](ctx, stacks.Apps)
	if err != nil {
		return err
	}
	return stacks.Export(ctx, stacks.PublishedOutputs{
		Environment:     pulumi.String(ctx.Stack()).ToStringOutput(),
		PublicInfra:     infra.PublicInfra,
		PublicBootstrap: platform.PublicBootstrap,
		PublicApps:      apps.PublicApps,
	})
}
