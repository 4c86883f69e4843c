// Package versions pins the plugins and the charts that the programs install. A test compares with
// them the files that cannot read Go.
package versions

// The resource plugins that the projects' explicit providers request: those of the SDKs in go.mod.
const (
	// AzureNative serves every Azure resource. The SDK's modules differ in version and would each ask
	// for a plugin of their own; one explicit provider means that one plugin runs.
	AzureNative = "2.90.0"
	// Kubernetes serves everything in the cluster, Helm releases included.
	Kubernetes = "4.24.0"
	// Random generates passwords.
	Random = "4.19.0"
)
