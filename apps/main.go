// Command apps is the Pulumi program of gridos-apps; run it with `pulumi -C apps up -s dev`.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/apps/program"
	"github.com/gridos/sharedinfra/internal/config"
)

func main() { pulumi.Run(program.Program, config.Strict) }
