package deployed

import (
	"io"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
)

// With returns an environment with a CLI of the test.
func With(cli auto.PulumiCommand, repository, name string, log io.Writer) Environment {
	return Environment{name: name, repository: repository, cli: cli, log: log}
}
