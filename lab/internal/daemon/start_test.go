package daemon

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/cluster/controlplane"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

func TestUnit_ARunningProcessIsKeptWhileItDoesWhatIsWanted(t *testing.T) {
	t.Parallel()
	s := site.Site{Dir: t.TempDir()}
	with := func(others ...azure.Existing) Config { return Config{Site: s, Existing: others} }
	vault := func(name string) azure.Existing { return azure.ExistingVault("others-rg", name, "westeurope", "") }
	text, err := json.Marshal(with(azure.ExistingGroup("others-rg", "westeurope"), vault("old-kv")))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(configFile(s), text, 0o600))

	git := with()
	git.GitOps = &gitops.Options{Dir: "gitops"}
	cluster := with()
	cluster.Binaries = controlplane.Binaries{Etcd: "/bin/etcd"}
	for _, c := range []struct {
		config Config
		kept   bool
	}{
		{with(azure.ExistingGroup("others-rg", "westeurope"), vault("old-kv")), true},
		{with(azure.ExistingGroup("others-rg", "westeurope"), vault("new-kv")), false},
		{with(), true}, // down requires none
		{git, false},
		{cluster, false}, // the control plane was still being built
	} {
		kept, err := isAsWanted(c.config)
		require.NoError(t, err)
		assert.Equal(t, c.kept, kept, c.config)
	}
}
