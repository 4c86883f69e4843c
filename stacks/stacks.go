// Package stacks is the contract between the projects, and between this repository and everyone who
// reads its outputs. It is the only place that spells the name of a project or the key of an
// output.
//
// Each project has one struct, which is both its Outputs, whose fields are Pulumi outputs (what its
// program exports and other programs read), and its Values, whose fields are plain (what `pulumi
// stack output --json` prints). A field's tag json names its key; the tag secret marks a value that
// is encrypted in state and never printed.
package stacks

// ContractVersion is exported by every project as contractVersion. It increases when an output is
// removed or changes its meaning, but not when one is added.
const ContractVersion = 1

// Project is one of the Pulumi projects of this repository.
type Project struct {
	// Name is the name in Pulumi.yaml.
	Name string
	// Directory is relative to the root of the repository, "." for the root project.
	Directory string
}

// The projects.
var (
	// Infra owns the Azure resources.
	Infra = Project{Name: "gridos-infra", Directory: "infra"}
	// Bootstrap owns Argo CD, its companions and what they need in the cluster.
	Bootstrap = Project{Name: "gridos-bootstrap", Directory: "bootstrap"}
	// Apps owns the Argo CD Applications.
	Apps = Project{Name: "gridos-apps", Directory: "apps"}
	// Published owns nothing; its outputs are what other teams read.
	Published = Project{Name: "gridos", Directory: "."}
)

// Projects returns the projects in the order in which they go up; they come down in reverse.
func Projects() []Project { return []Project{Infra, Bootstrap, Apps, Published} }

// Reference returns the fully qualified name of the stack of environment:
// "<organization>/<project>/<stack>", the form that the Pulumi service and self-managed backends
// both accept.
func (p Project) Reference(organization, environment string) string {
	return organization + "/" + p.Name + "/" + environment
}
