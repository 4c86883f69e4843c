// Command kubectl is kubectl as Kubernetes builds it, from the module of its commands alone: the main package is in Kubernetes' own
// module, with everything that it pulls in.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() { os.Exit(cli.Run(cmd.NewDefaultKubectlCommand())) }
