// Command sharedinfra is the Pulumi program of the root project, which publishes the contract that
// other teams read; run it with `pulumi up -s dev`.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/published"
)

func main() { pulumi.Run(published.Program, config.Strict) }
