// Command infra is the Pulumi program of gridos-infra; run it with `pulumi -C infra up -s dev`.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
)

func main() { pulumi.Run(program.Program, config.Strict) }
