package providers_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gridos/sharedinfra/lab/internal/providers"
)

func connect(t *testing.T, server *providers.Server) pulumirpc.ResourceProviderClient {
	t.Helper()
	connection, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", server.Port),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, connection.Close()) })
	return pulumirpc.NewResourceProviderClient(connection)
}

func TestUnit_ServerOutlivesCancel(t *testing.T) {
	server, err := providers.Serve(t.Context(), providers.Base{Package: "azure-native", Version: "2.90.0"})
	require.NoError(t, err)
	client := connect(t, server)

	for range 2 { // two engine operations, one after the other
		_, err = client.Attach(t.Context(), &pulumirpc.PluginAttach{Address: "127.0.0.1:1"})
		require.NoError(t, err)
		info, err := client.GetPluginInfo(t.Context(), &emptypb.Empty{})
		require.NoError(t, err)
		assert.Equal(t, "2.90.0", info.GetVersion())
		configured, err := client.Configure(t.Context(), &pulumirpc.ConfigureRequest{})
		require.NoError(t, err)
		assert.True(t, configured.GetAcceptSecrets())
		assert.True(t, configured.GetSupportsPreview())
		_, err = client.Cancel(t.Context(), &emptypb.Empty{})
		require.NoError(t, err)
	}

	_, err = client.Construct(t.Context(), &pulumirpc.ConstructRequest{})
	assert.Equal(t, codes.Unimplemented, status.Code(err), "what is not implemented must fail")

	require.NoError(t, server.Stop())
	require.NoError(t, server.Stop(), "stopping twice is fine")
	_, err = client.GetPluginInfo(t.Context(), &emptypb.Empty{})
	assert.Equal(t, codes.Unavailable, status.Code(err))
}

func TestUnit_ServerEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server, err := providers.Serve(ctx, providers.Base{})
	require.NoError(t, err)
	cancel()
	require.NoError(t, server.Stop())
}

func TestUnit_DiffSeesThroughSecretsAndUnknowns(t *testing.T) {
	before := resource.PropertyMap{
		"name": resource.NewProperty("a"), "password": resource.MakeSecret(resource.NewProperty("x")),
		"tags": resource.NewProperty(resource.PropertyMap{"k": resource.NewProperty("v")}),
	}
	never := func(resource.PropertyPath) bool { return false }
	none, err := providers.Diff(before, resource.PropertyMap{
		"name": resource.MakeSecret(resource.NewProperty("a")), "password": resource.NewProperty("x"), "tags": before["tags"],
	}, never, true)
	require.NoError(t, err)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, none.GetChanges(), "a mark of secrecy is no change")

	some, err := providers.Diff(before, resource.PropertyMap{
		"name": resource.MakeComputed(resource.NewProperty("")), "password": before["password"],
		"tags": resource.NewProperty(resource.PropertyMap{}), "new": resource.MakeComputed(resource.NewProperty("")),
	}, func(path resource.PropertyPath) bool { return path[0] == "name" }, true)
	require.NoError(t, err)
	kinds := map[string]pulumirpc.PropertyDiff_Kind{}
	for path, change := range some.GetDetailedDiff() {
		kinds[path] = change.GetKind()
	}
	assert.Equal(t, map[string]pulumirpc.PropertyDiff_Kind{
		"name": pulumirpc.PropertyDiff_UPDATE_REPLACE, "tags.k": pulumirpc.PropertyDiff_DELETE, "new": pulumirpc.PropertyDiff_ADD,
	}, kinds)
	assert.True(t, some.GetDeleteBeforeReplace())
}
