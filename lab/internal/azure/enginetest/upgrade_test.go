package enginetest

import (
	"testing"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// The procedure of docs/OPERATIONS.md: az upgrades the control plane and all pools, and the program
// follows without a change.
func TestEngine_K9_AzUpgradesAndTheProgramFollows(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().program("pool")).accepted()
	require.NoError(t, l.cloud.Upgrade(t.Context(), clusterID, "1.36"))
	assert.Equal(t, map[string]string{"system": "1.36.0", "user": "1.36.0"}, l.cloud.PoolVersions(clusterID))

	e := valid()
	e.cluster.KubernetesVersion = pulumi.String("1.36")
	followed := l.upRefreshed(e.program("pool")).accepted()
	assert.Zero(t, followed.summary[apitype.OpUpdate], "%v", followed.ops)
	assert.Zero(t, followed.summary[apitype.OpReplace], "%v", followed.ops)
	assert.Equal(t, map[string]string{"system": "1.36.0", "user": "1.36.0"}, l.cloud.PoolVersions(clusterID))
	require.ErrorContains(t, l.cloud.Upgrade(t.Context(), clusterID, "1.38"), "go to 1.37 first")
}

// Without az the pools keep their version, and no error says so.
func TestEngine_K9_AnUpdateRaisesTheControlPlaneOnly(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	l.up(valid().program("pool")).accepted()
	e := valid()
	e.cluster.KubernetesVersion = pulumi.String("1.36")
	l.up(e.program("pool")).accepted()
	assert.Equal(t, map[string]string{"system": "1.35.0", "user": "1.35.0"}, l.cloud.PoolVersions(clusterID))
}

func TestEngine_K9_VersionsOfAllPoolsOrOfNone(t *testing.T) {
	t.Parallel()
	const law = "all Agent pools' OrchestratorVersion must be all specified or all unspecified"
	for name, test := range map[string]struct {
		change func(e *environment)
		goal   string
		says   string
	}{
		"the one pool in the request":  {func(e *environment) { e.systemPool.OrchestratorVersion = pulumi.String("1.36") }, "pool", "that of agent pool 'user'"},
		"the old version of that pool": {func(e *environment) { e.systemPool.OrchestratorVersion = pulumi.String("1.35") }, "pool", "that of agent pool 'user'"},
		"a version of its own": {
			func(e *environment) { e.systemPool.OrchestratorVersion = pulumi.String("1.34") }, "cluster",
			"that of agent pool 'system' is 1.35.0 and would become 1.34",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := valid()
			e.cluster.KubernetesVersion = pulumi.String("1.36")
			test.change(e)
			l := open(t, azure.Options{})
			l.up(valid().program(test.goal)).accepted()
			l.up(e.program(test.goal)).refused(mistake{
				resource: "cluster", rule: "K9", code: "NotAllAgentPoolOrchestratorVersionSpecifiedAndUnchanged", property: "agentPoolProfiles",
				says: []string{law, test.says},
			})
		})
	}
}

// The only pool of a cluster may be named: then the request has all versions.
func TestEngine_K9_TheVersionsOfAllPoolsAreTaken(t *testing.T) {
	t.Parallel()
	e := valid()
	e.cluster.KubernetesVersion = pulumi.String("1.36")
	e.systemPool.OrchestratorVersion = pulumi.String("1.36")
	l := open(t, azure.Options{})
	l.up(valid().program("cluster")).accepted()
	l.up(e.program("cluster")).accepted()
	assert.Equal(t, map[string]string{"system": "1.36.0"}, l.cloud.PoolVersions(clusterID))
}

// meshed returns a cluster with a mesh of these revisions.
func meshed(revisions ...string) *environment {
	e := valid()
	e.cluster.ServiceMeshProfile = containerservice.ServiceMeshProfileArgs{
		Mode: pulumi.String("Istio"), Istio: containerservice.IstioServiceMeshArgs{
			Revisions: pulumi.ToStringArray(revisions),
			Components: containerservice.IstioComponentsArgs{IngressGateways: containerservice.IstioIngressGatewayArray{
				containerservice.IstioIngressGatewayArgs{Enabled: pulumi.Bool(true), Mode: pulumi.String("Internal")},
			}},
		},
	}
	return e
}

// The procedure of docs/OPERATIONS.md: the new revision beside the old one, then alone; or back.
func TestEngine_K8_AMeshIsUpgradedInTwoSteps(t *testing.T) {
	t.Parallel()
	l := open(t, azure.Options{})
	for _, revisions := range [][]string{
		{"asm-1-29"},
		{"asm-1-29", "asm-1-30"},
		{"asm-1-29"}, // taken back
		{"asm-1-29", "asm-1-31"},
		{"asm-1-31"},
	} {
		done := l.up(meshed(revisions...).program("cluster")).accepted()
		assert.Zero(t, done.summary[apitype.OpReplace], "%v", done.ops)
		again := l.upRefreshed(meshed(revisions...).program("cluster")).accepted()
		assert.Zero(t, again.summary[apitype.OpUpdate], "%v", again.ops)
	}
}

func TestEngine_K8_NoRevisionIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, after []string
		says          string
	}{
		"another at once":           {[]string{"asm-1-29"}, []string{"asm-1-30"}, "asm-1-30 would replace asm-1-29 at once"},
		"three ahead":               {[]string{"asm-1-29"}, []string{"asm-1-29", "asm-1-32"}, "asm-1-32 is not one of the next two revisions after asm-1-29"},
		"back":                      {[]string{"asm-1-30"}, []string{"asm-1-29", "asm-1-30"}, "asm-1-29 is not one of the next two revisions after asm-1-30"},
		"another during an upgrade": {[]string{"asm-1-29", "asm-1-30"}, []string{"asm-1-30", "asm-1-31"}, "an upgrade from asm-1-29 to asm-1-30 is under way"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t, azure.Options{})
			l.up(meshed(test.before[0]).program("cluster")).accepted()
			l.up(meshed(test.before...).program("cluster")).accepted()
			l.preview(meshed(test.after...).program("cluster")).refused(mistake{
				resource: "cluster", rule: "K8", code: "BadRequest", property: "serviceMeshProfile.istio.revisions",
				says: []string{"Requested change in revisions is not allowed", test.says},
			})
		})
	}
}

// autoscaled returns a cluster whose program leaves the number of nodes to the autoscaler, with a
// tag of this value.
func autoscaled(tag string) pulumi.RunFunc {
	e := valid()
	e.cluster.Tags = pulumi.StringMap{"tag": pulumi.String(tag)}
	e.pool.EnableAutoScaling, e.pool.MinCount, e.pool.MaxCount = pulumi.Bool(true), pulumi.Int(2), pulumi.Int(5)
	e.pool.Tags = e.cluster.Tags
	e.leave("cluster", "agentPoolProfiles[*].count")
	e.leave("pool", "count")
	return e.program("pool")
}

// An update sends the number of nodes in the state. Azure may refuse an old number, or scale the
// pool to it; a refresh avoids both.
func TestEngine_ARM_AnOldNumberOfNodesIsNotSentBack(t *testing.T) {
	t.Parallel()
	grown := func(t *testing.T, strict bool) *lab {
		t.Helper()
		l := open(t, azure.Options{StrictCounts: strict})
		l.up(autoscaled("a")).accepted()
		require.NoError(t, l.cloud.Autoscale(clusterID, "user", 4))
		require.NoError(t, l.cloud.Autoscale(clusterID, "system", 3))
		return l
	}
	for _, strict := range []bool{true, false} {
		l := grown(t, strict)
		l.upRefreshed(autoscaled("b")).accepted()
		assert.Equal(t, map[string]int{"system": 3, "user": 4}, l.cloud.PoolCounts(clusterID), "strict: %v", strict)
	}
	l := grown(t, true)
	l.up(autoscaled("b")).refused(mistake{
		resource: "cluster or pool", code: "BadRequest", says: []string{
			"Cannot manually scale AgentPool of an AKS cluster with cluster autoscaler enabled", "Update with --refresh",
		},
	})
	l = grown(t, false)
	l.up(autoscaled("b")).accepted()
	assert.Equal(t, map[string]int{"system": 2, "user": 2}, l.cloud.PoolCounts(clusterID), "the old numbers are orders")
}
