package engine

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/lab/internal/offline/random"
	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/stacks"
)

// newEngine returns an engine over this repository's files with a state and providers for this test
// alone, and without a cluster.
func newEngine(t *testing.T, options azure.Options) *Engine {
	t.Helper()
	e, _ := newEngineFor(t, "dev", options)
	return e
}

// newEngineFor is newEngine for an environment; it returns the simulated Azure as well.
func newEngineFor(t *testing.T, environment string, options azure.Options) (*Engine, *azure.Cloud) {
	t.Helper()
	root, err := filepath.Abs(repository)
	require.NoError(t, err)
	s := site.Site{Repository: root, Environment: environment, Dir: t.TempDir()}
	require.NoError(t, s.Prepare())
	resolver := toolchain.Resolver{ToolsDir: s.ToolsDir()}
	paths, err := resolver.Resolve(t.Context(), toolchain.Pulumi, toolchain.PulumiKubernetes)
	require.NoError(t, err)
	options.Existing, err = Existing(t.Context(), s)
	require.NoError(t, err)
	cloud, err := azure.Open(options)
	require.NoError(t, err)
	azureServer, err := providers.Serve(t.Context(), cloud.Provider())
	require.NoError(t, err)
	randomServer, err := providers.Serve(t.Context(), random.New())
	require.NoError(t, err)
	e, err := New(s, site.Record{
		AzurePort: azureServer.Port, RandomPort: randomServer.Port, Tools: paths.Dirs(),
	}, progress.New(io.Discard))
	require.NoError(t, err)
	return e, cloud
}

func partOf(t *testing.T, project stacks.Project) part {
	t.Helper()
	for _, p := range line() {
		if p.Project == project {
			return p
		}
	}
	require.Fail(t, "no such project")
	return part{}
}

func TestEngine_AMissingUpstreamStackIsOneClearSentence(t *testing.T) {
	e := newEngine(t, azure.Options{})
	for _, project := range []stacks.Project{stacks.Bootstrap, stacks.Apps, stacks.Published} {
		for _, do := range []operation{previewOperation(nil), upOperation(nil)} {
			_, err := e.one(t.Context(), do, partOf(t, project))
			require.ErrorContains(t, err, "stack organization/gridos-infra/dev cannot be read; if it does not exist yet, "+
				"run `pulumi -C infra up -s dev` first", "%s %s", project.Name, do.verb)
		}
	}
}

// If a program waited for something that never comes, every failure would look like a hang.
func TestEngine_AClusterThatAzureRefusesEndsTheUpdate(t *testing.T) {
	const quota = "Insufficient regional vcpu quota left for location westeurope."
	refused := &azure.ServiceError{Status: 400, Code: "ErrCode_InsufficientVCPUQuota", Message: quota}
	outage := &trouble{kind: "Microsoft.ContainerService/managedClusters", left: forEver, answer: refused}
	e, cloud, up := troubled(t, outage)
	_, err := up()
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	assert.Contains(t, strings.Join(failure.Messages, "\n"), refused.Error())
	require.NoError(t, failure.QuoteLog())
	assert.Equal(t, 1, outage.ends(), "no retry brings a quota")

	// With a higher quota the same command goes on.
	_, err = up()
	require.NoError(t, err)
	converged(t, cloud, up)

	// After a preview from nothing no file is left, not even the log.
	require.NoError(t, e.site.Remove())
	assert.NotContains(t, failure.Error(), e.site.Dir)
	assert.Regexp(t, `(?s)the end of what the engine said:\n.*`+quota+`.*Duration: `, failure.Error())
}

func TestEngine_AnUnreachableClusterIsAnErrorThatSaysSo(t *testing.T) {
	e := newEngine(t, azure.Options{})
	infra := partOf(t, stacks.Infra)
	infra.program = func(ctx *pulumi.Context) error {
		for _, o := range stacks.OutputsOf[stacks.InfraOutputs]() {
			ctx.Export(o.Key, pulumi.String("the "+o.Key))
		}
		ctx.Export("egressAddresses", pulumi.StringArray{})
		ctx.Export("contractVersion", pulumi.Int(stacks.ContractVersion))
		ctx.Export("kubeconfig", pulumi.ToSecret(pulumi.String(`apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
`)))
		return nil
	}
	_, err := e.one(t.Context(), upOperation(nil), infra)
	require.NoError(t, err)
	_, err = e.one(t.Context(), upOperation(nil), partOf(t, stacks.Bootstrap))
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	assert.Contains(t, strings.Join(failure.Messages, "\n"), "unreachable")
	assert.FileExists(t, failure.Log)
}
