// Package apitest gives tests a real Kubernetes API server, without controllers and nodes, which
// takes a few seconds to start.
package apitest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

// Start runs an API server until the test ends and returns the clients of an administrator. tools
// is the path of the repository's folder tools/; definitions are the paths of custom resource
// definitions, or of folders with them.
func Start(t *testing.T, tools string, definitions ...string) *kube.Clients {
	t.Helper()
	resolver := toolchain.Resolver{ToolsDir: tools}
	binaries, err := resolver.Resolve(t.Context(), toolchain.Etcd, toolchain.KubeAPIServer)
	require.NoError(t, err)
	environment := &envtest.Environment{CRDDirectoryPaths: definitions, ErrorIfCRDPathMissing: true}
	environment.ControlPlane.Etcd = &envtest.Etcd{Path: binaries[toolchain.Etcd]}
	environment.ControlPlane.GetAPIServer().Path = binaries[toolchain.KubeAPIServer]
	config, err := environment.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, environment.Stop()) })
	clients, err := kube.New(config)
	require.NoError(t, err)
	return clients
}
