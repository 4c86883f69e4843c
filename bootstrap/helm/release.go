// Package helm registers Helm releases with the Kubernetes provider.
//
// The SDK has a package for the same resource, but importing it compiles every API group of
// Kubernetes: 13 CPU-minutes for one resource. This one spells the few inputs that the platform
// uses, under the names of the provider's schema.
package helm

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/versions"
)

// ReleaseToken is the resource type of a release in the Kubernetes provider's schema.
const ReleaseToken = "kubernetes:helm.sh/v3:Release"

// Chart says which chart to install, from where, and how long that may take.
type Chart struct {
	// Name is the chart's name in Repository or, when Repository is empty, the path of a chart's
	// directory or archive.
	Name string
	// Version pins the chart.
	Version string
	// Repository is the address of a chart repository; or the path of a folder of charts as `helm
	// pull` leaves them, <name>-<version>.tgz; or "".
	Repository string
	// TimeoutSeconds is how long to wait until the chart's objects are ready.
	TimeoutSeconds int
}

// LoadChart reads a Chart from the keys repositoryKey, <prefix>Chart and <prefix>ChartVersion,
// whose defaults are those of pinned, and from the key that all charts share.
func LoadChart(r *config.Reader, repositoryKey, prefix string, pinned versions.Chart) Chart {
	c := Chart{
		Name:       r.Text(prefix+"Chart", pinned.Name),
		Version:    r.Text(prefix+"ChartVersion", pinned.Version),
		Repository: r.String(repositoryKey, pinned.Repository),

		TimeoutSeconds: r.IntBetween("releaseTimeoutSeconds", 900, 60, 3600),
	}
	r.Check(repositoryKey, config.CheckPublic(c.Repository))
	if scheme, _, isURL := strings.Cut(c.Repository, "://"); isURL && scheme != "https" && scheme != "http" {
		r.Check(repositoryKey, fmt.Errorf("%s is no chart repository; use an https address or the path of a folder, and for a chart "+
			"in an OCI registry set %s empty and %sChart to its whole oci:// address", c.Repository, repositoryKey, prefix))
	}
	return c
}

// InFolder reports whether the chart comes from a folder of packaged charts: a copy of a
// repository, for a network that reaches none.
func (c Chart) InFolder() bool { return c.Repository != "" && !strings.Contains(c.Repository, "://") }

// Args is what a Release needs. Every field is required.
type Args struct {
	Chart Chart
	// Name is the release's name; the names of the chart's objects begin with it, so it is never
	// generated.
	Name string
	// Namespace exists already: it is a resource of its own, so that uninstalling the chart does not
	// delete it.
	Namespace pulumi.StringInput
	// Values override the chart's default values.
	Values pulumi.Map
}

// Release is an installed chart.
type Release struct {
	pulumi.CustomResourceState

	// Name is the release's name.
	Name pulumi.StringOutput `pulumi:"name"`
	// Version is the installed version of the chart.
	Version pulumi.StringOutput `pulumi:"version"`
}

// NewRelease registers the release; the resource is created when everything that the chart installs
// is ready.
func NewRelease(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Release, error) {
	var release Release
	if err := ctx.RegisterResource(ReleaseToken, name, inputs(args), &release, opts...); err != nil {
		return nil, fmt.Errorf("release %s: %w", args.Name, err)
	}
	return &release, nil
}

// maxHistory is how many records of a release Helm keeps. The provider's own default is 0, which is
// all of them (pulumi-kubernetes 4.24.0, provider/pkg/provider/helm_release.go; Helm 3.18.6,
// pkg/action/upgrade.go). A record of Argo CD has 550 KB, and each pod of Argo CD holds every
// Secret of its namespace in memory (Argo CD 3.4.4, util/settings/settings.go). A failed update
// leaves two records, its own and that of the rollback: five leave room for those of the two
// updates before it.
const maxHistory = 5

func inputs(args Args) pulumi.Map {
	in := pulumi.Map{
		"chart":           pulumi.String(args.Chart.Name),
		"version":         pulumi.String(args.Chart.Version),
		"name":            pulumi.String(args.Name),
		"namespace":       args.Namespace,
		"createNamespace": pulumi.Bool(false),
		"values":          args.Values,
		"timeout":         pulumi.Int(args.Chart.TimeoutSeconds),
		"skipAwait":       pulumi.Bool(false),
		// Helm rolls a failed installation back, so that the next attempt does not run into "cannot
		// re-use a name" (pulumi-kubernetes issues 2751 and 2758).
		"atomic":      pulumi.Bool(true),
		"description": pulumi.String(installedBy),
		"maxHistory":  pulumi.Int(maxHistory),
		// Without it the provider omits from its plan the values that are known only after another
		// resource's creation: the plan then does not have them, and an update that must follow the
		// plan is refused (pulumi-kubernetes 4.24.0, provider/pkg/provider/helm_release.go:
		// decodeRelease makes them nil, excludeNulls deletes them). No value of ours is null.
		"allowNullValues": pulumi.Bool(true),
		// The SDK sends it with every release; without it the provider keeps to an older shape of the
		// inputs.
		"compat": pulumi.String("true"),
	}
	switch {
	case args.Chart.InFolder():
		in["chart"] = pulumi.String(filepath.Join(args.Chart.Repository, args.Chart.Name+"-"+args.Chart.Version+".tgz"))
	case args.Chart.Repository != "":
		in["repositoryOpts"] = pulumi.Map{"repo": pulumi.String(args.Chart.Repository)}
	}
	return in
}
