package daemon

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/delivery/page"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// People keep the address of the page, but it must not keep the lab from starting.
func TestUnit_ThePageComesBackAtItsAddressUnlessThatIsTaken(t *testing.T) {
	t.Parallel()
	s := site.Site{Environment: "dev", Dir: t.TempDir(), Repository: "../../.."}
	cloud, err := azure.Open(azure.Options{StateFile: s.AzureFile()})
	require.NoError(t, err)
	address := func() string {
		shown, err := servePage(t.Context(), s, cloud)
		require.NoError(t, err)
		defer func() { require.NoError(t, shown.Stop()) }()
		return shown.Address()
	}
	first := address()
	assert.Equal(t, first, address())
	other, err := new(net.ListenConfig).Listen(context.WithoutCancel(t.Context()), "tcp4", first)
	require.NoError(t, err)
	second := address()
	assert.NotEqual(t, first, second)
	require.NoError(t, other.Close())
	assert.Equal(t, second, address())
}

func TestUnit_ThePageCountsResourcesByType(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []page.Kind{
		{Type: "Microsoft.KeyVault/vaults", Names: []string{"kv"}}, {Type: "Microsoft.Network/virtualNetworks", Names: []string{"one", "two"}},
	}, kindsOf([]azure.Resource{
		{Type: "Microsoft.Network/virtualNetworks", Name: "one"},
		{Type: "Microsoft.KeyVault/vaults", Name: "kv"},
		{Type: "Microsoft.Network/virtualNetworks", Name: "two"},
	}))
	assert.NotNil(t, kindsOf(nil), "which is a list in JSON")
}
