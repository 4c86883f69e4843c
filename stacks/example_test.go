package stacks_test

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/stacks"
)

// Another team's program reads the environment of its own stack's name.
func Example() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		gridos, err := stacks.ReadPublic[stacks.PublishedOutputs](ctx, stacks.Published)
		if err != nil {
			return err
		}
		ctx.Export("database", pulumi.Sprintf("%s/%s", gridos.DatabaseHost, gridos.DatabaseName))
		return nil
	})
}
