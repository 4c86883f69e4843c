// Command bootstrap is the Pulumi program of gridos-bootstrap; run it with `pulumi -C bootstrap up
// -s dev`.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/bootstrap/program"
	"github.com/gridos/sharedinfra/internal/config"
)

func main() { pulumi.Run(program.Program, config.Strict) }
