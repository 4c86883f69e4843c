// Command pulumi-resource-kubernetes is Pulumi's Kubernetes provider, built from its Go module.
//
// The provider's own main package embeds files that its release process generates and that its Go module does not carry
// where that package expects them. This one embeds the same two files, which the lab's build supplies from the module's
// folder cmd/pulumi-resource-kubernetes by "go build -overlay"; a plain "go build" here says that they are missing.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// version is the release that the engine knows the provider by. The build sets it to the version of
// github.com/pulumi/pulumi-kubernetes/sdk/v4 in go.mod.
var version string

var (
	//go:embed schema.json
	schema []byte

	//go:embed terraform-mapping.json
	terraformMapping []byte
)

func main() {
	provider.Serve("kubernetes", version, schema, terraformMapping)
}
