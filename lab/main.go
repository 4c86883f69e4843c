// Command lab runs the whole platform on one machine: the real Pulumi engine against a simulated
// Azure and a real Kubernetes API server. Start with `bin/lab up`.
package main

import (
	"context"
	"os"

	"github.com/gridos/sharedinfra/lab/command"
)

func main() { os.Exit(command.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }
