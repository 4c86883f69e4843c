// Package scope has what every part of an environment knows about it: its names, its place, its
// tags, and where its diagnostics go.
package scope

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/naming"
)

// Scope is the environment that a resource belongs to.
type Scope struct {
	Names naming.Names
	// Location is the Azure region.
	Location          string
	ResourceGroupName pulumi.StringInput
	Tags              pulumi.StringMap
	// Diagnostics is where logs and metrics go.
	Diagnostics Sink
	// Protect refuses to delete what cannot be made again as it was.
	Protect bool
}
