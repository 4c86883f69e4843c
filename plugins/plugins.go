// Package plugins pins the resource plugins that the projects' explicit providers ask for: those of the SDKs in go.mod.
package plugins

const (
	// AzureNative serves every Azure resource. The SDK's modules differ in version and would each ask for a plugin of their
	// own; one explicit provider means that one plugin runs.
	AzureNative = "2.90.0"
	// Kubernetes serves everything in the cluster, Helm releases included.
	Kubernetes = "4.24.0"
	// Random generates passwords.
	Random = "4.19.0"
)
