// Package golang has the reference consumer in Go.
package golang

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/stacks"
)

// Reports is the program of another team: its reports need the database, and an allow list that
// lets the platform's workloads in.
func Reports(ctx *pulumi.Context) error {
	gridos, err := stacks.ReadPublic[stacks.PublishedOutputs](ctx, stacks.Published)
	if err != nil {
		return err
	}
	ctx.Export("database", pulumi.Sprintf("%s/%s", gridos.DatabaseHost, gridos.DatabaseName))
	ctx.Export("registry", gridos.RegistryLoginServer)
	ctx.Export("allowed", gridos.EgressAddresses)
	return nil
}
