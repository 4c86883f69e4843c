package helm

import (
	"os"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/versions"
)

// The list is what the provider's schema declares; an engine test compares the two.
func TestUnit_EveryInputIsOneThatTheProviderKnows(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/release-inputs-4.24.0.txt")
	require.NoError(t, err)
	known := strings.Fields(string(text))
	in := inputs(Args{
		Chart:     Chart{Name: "argo-cd", Version: "1.2.3", Repository: "https://charts.example.com"},
		Name:      "argocd",
		Namespace: pulumi.String("argocd"),
		Values:    pulumi.Map{},
	})
	assert.Len(t, in, 14)
	assert.Equal(t, pulumi.Int(5), in["maxHistory"], "without it Helm keeps every record")
	for key := range in {
		assert.Contains(t, known, key)
	}
}

func TestUnit_AChartInADirectoryHasNoRepository(t *testing.T) {
	t.Parallel()
	in := inputs(Args{Chart: Chart{Name: "/charts/argo-cd", Version: "1.2.3"}, Name: "argocd", Namespace: pulumi.String("argocd")})
	assert.NotContains(t, in, "repositoryOpts")
}

func TestUnit_AChartInAFolderIsTheOneThatHelmPulledThere(t *testing.T) {
	t.Parallel()
	in := inputs(Args{
		Chart: Chart{Name: "argo-cd", Version: "1.2.3", Repository: "/mirror/charts"}, Name: "argocd", Namespace: pulumi.String("argocd"),
	})
	assert.NotContains(t, in, "repositoryOpts")
	assert.Equal(t, pulumi.String("/mirror/charts/argo-cd-1.2.3.tgz"), in["chart"])
}

func TestUnit_EachChartHasItsMirror(t *testing.T) {
	t.Parallel()
	r := config.FromMap("p", "dev", map[string]string{"p:chartRepository": "https://mirror.example.com", "p:otherRepository": "oci://x"})
	chart := versions.Chart{Name: "chart", Version: "1.0.0", Repository: "https://third.example.com"}
	assert.Equal(t, "https://mirror.example.com", LoadChart(r, "chartRepository", "x", chart).Repository)
	assert.Equal(t, "https://third.example.com", LoadChart(r, "thirdRepository", "z", chart).Repository)
	LoadChart(r, "otherRepository", "y", chart)
	require.ErrorContains(t, r.Err(), "p:otherRepository: oci://x is no chart repository; use an https address or the path of a folder")
	assert.Contains(t, r.Err().Error(), "yChart to its whole oci:// address")
}

func TestUnit_AChartIsPinned(t *testing.T) {
	t.Parallel()
	r := config.FromMap("p", "dev", map[string]string{"p:xChart": "", "p:xChartVersion": "", "p:chartRepository": "", "p:releaseTimeoutSeconds": "900"})
	LoadChart(r, "chartRepository", "x", versions.Chart{Name: "chart", Version: "1.0.0"})
	require.ErrorContains(t, r.Err(), "p:xChart: is empty")
	require.ErrorContains(t, r.Err(), "p:xChartVersion: is empty")
}
