package engine

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/cluster/argocluster"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

const (
	typeNetwork  = "Microsoft.Network/virtualNetworks"
	typeDatabase = "Microsoft.DBforPostgreSQL/flexibleServers"
)

// trouble makes Azure fail for a while.
type trouble struct {
	mu sync.Mutex
	// kind is the ARM type whose creations fail, or "" for every operation.
	kind string
	// spared is how many creations succeed before.
	spared int
	// left is how many attempts will fail; asked is the number of all attempts since the trouble
	// began.
	left, asked int
	answer      *azure.ServiceError
}

func (o *trouble) fault(operation azure.Operation, kind, _ string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	creates := operation == azure.OperationCreate
	if o.kind != "" && !(creates && strings.EqualFold(kind, o.kind)) {
		return nil
	}
	if o.spared > 0 {
		if creates {
			o.spared--
		}
		return nil
	}
	o.asked++
	if o.left == 0 {
		return nil
	}
	o.left--
	return o.answer
}

// ends stops the trouble; it returns the number of attempts.
func (o *trouble) ends() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left = 0
	return o.asked
}

// forEver is more attempts than any test makes.
const forEver = 1 << 30

// soonEffective makes role assignments effective almost at once; promptly tells the program so.
var soonEffective = 300 * time.Millisecond

func promptly() Overrides { return Overrides{stacks.Infra.Name: {"rolePropagation": "400ms"}} }

// troubled returns an engine for gridos-infra, and a function that brings it up.
func troubled(t *testing.T, o *trouble) (e *Engine, cloud *azure.Cloud, up func() (Result, error)) {
	t.Helper()
	e, cloud = newEngineFor(t, "dev", azure.Options{Kubernetes: standIn{}, RolePropagation: &soonEffective, Faults: o.fault})
	return e, cloud, func() (Result, error) { return e.one(t.Context(), upOperation(promptly()), partOf(t, stacks.Infra)) }
}

// failed returns the message that the user reads about a failed update.
func failed(t *testing.T, err error) string {
	t.Helper()
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	return strings.Join(failure.Messages, "\n")
}

// converged requires that nothing is left to do.
func converged(t *testing.T, cloud *azure.Cloud, up func() (Result, error)) {
	t.Helper()
	again, err := up()
	require.NoError(t, err)
	assert.Equal(t, "no change", again.Summary())
	assert.Empty(t, cloud.Unfulfilled(), "what Azure accepts although it cannot work")
}

// Passing faults are retried, and the user does not see them. A lasting fault is an error, and
// after it the same command goes on.
func TestEngine_WhatPassesIsRetriedAndWhatLastsIsAClearError(t *testing.T) {
	const attempts = 4 // the first, and three more
	for name, answer := range map[string]azure.ServiceError{
		"throttled": {
			Status: 429, Code: "TooManyRequests", Message: "The request is being throttled as the limit has been reached.",
			RetryAfter: 17 * time.Second,
		},
		"busy": {
			Status: 409, Code: "AnotherOperationInProgress", Message: "Another operation on this or dependent resource is in progress.",
		},
		"out of order": {Status: 503, Code: "ServiceUnavailable", Message: "The service is temporarily unavailable."},
	} {
		t.Run(name, func(t *testing.T) {
			outage := &trouble{kind: typeNetwork, left: attempts + 3, answer: &answer}
			_, cloud, up := troubled(t, outage)
			_, err := up()
			said := failed(t, err)
			assert.Contains(t, said, answer.Error())
			assert.Contains(t, said, "create of "+typeNetwork+" ", "which resource it was")
			assert.Equal(t, attempts, outage.asked)

			// Three more attempts fail, and the fourth does not.
			_, err = up()
			require.NoError(t, err)
			assert.Equal(t, 2*attempts, outage.asked)
			converged(t, cloud, up)
		})
	}
}

func TestEngine_AResourceWhoseCreationWasNotAnsweredIsAdopted(t *testing.T) {
	outage := &trouble{kind: typeDatabase, left: 1, answer: &azure.ServiceError{Message: "read: connection reset by peer", Lost: true}}
	e, cloud, up := troubled(t, outage)
	_, err := up()
	assert.Contains(t, failed(t, err), "no answer from Azure: read: connection reset by peer")
	servers := slices.DeleteFunc(cloud.Inventory(), func(r azure.Resource) bool { return !strings.EqualFold(r.Type, typeDatabase) })
	require.Len(t, servers, 1, "it was made all the same")
	id := servers[0].ID
	creation := cloud.Creation(id)

	_, err = up()
	assert.Contains(t, failed(t, err), "cannot create already existing resource '"+id+"'")

	adopted, err := e.Recover(t.Context(), promptly(), func(typ string, inputs map[string]any) (string, bool, error) {
		found, softDeleted, exists := cloud.Lookup(typ, inputs)
		return found, exists && !softDeleted, nil
	})
	require.NoError(t, err)
	assert.Equal(t, []string{id}, adopted)
	result, err := up()
	require.NoError(t, err)
	assert.Empty(t, pick(result.Changes, "replace", "delete"))
	assert.Equal(t, creation, cloud.Creation(id), "it is the one that was there, with its data")
	converged(t, cloud, up)
}

// A token lives for about an hour, and an update of an environment with a cluster and a database
// takes about as long.
func TestEngine_ATokenThatExpiresEndsTheUpdateAndLosesNothing(t *testing.T) {
	const spared = 12
	expired := &azure.ServiceError{
		Status: 401, Code: "ExpiredAuthenticationToken", Message: "The access token expiry UTC time is earlier than current UTC time.",
	}
	outage := &trouble{spared: spared, left: forEver, answer: expired}
	e, cloud, up := troubled(t, outage)
	_, err := up()
	assert.Contains(t, failed(t, err), expired.Error())
	made := azure.Unseeded(cloud.Inventory())
	require.NotEmpty(t, made)
	known, err := e.AzureIDs(t.Context())
	require.NoError(t, err)
	creations := map[string]string{}
	for _, r := range made {
		assert.Contains(t, known, r.ID, "what was created is in the state")
		creations[r.ID] = cloud.Creation(r.ID)
	}

	outage.ends()
	result, err := up()
	require.NoError(t, err)
	assert.Empty(t, pick(result.Changes, "replace", "delete"))
	for id, creation := range creations {
		assert.Equal(t, creation, cloud.Creation(id), id)
	}
	converged(t, cloud, up)
}

// The charts are fetched before anything of a release is written, so nothing must be undone.
func TestEngine_AChartRepositoryThatDoesNotAnswerIsNamed(t *testing.T) {
	const nobody = "http://127.0.0.1:1"
	e := newEngine(t, azure.Options{})
	cluster, err := argocluster.Start(t.Context(), &toolchain.Resolver{ToolsDir: e.site.ToolsDir()}, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	outputs := map[string]pulumi.Input{}
	for _, o := range stacks.OutputsOf[stacks.InfraOutputs]() {
		outputs[o.Key] = pulumi.String(strings.ToLower("the-" + o.Key))
	}
	outputs["egressAddresses"] = pulumi.StringArray{}
	outputs["kubeconfig"] = pulumi.ToSecret(pulumi.String(cluster.Kubeconfig))
	infra := partOf(t, stacks.Infra)
	infra.program = Exporting(outputs)
	_, err = e.one(t.Context(), upOperation(nil), infra)
	require.NoError(t, err)

	overrides := Overrides{stacks.Bootstrap.Name: {"chartRepository": nobody, "externalSecretsChartRepository": nobody}}
	_, err = e.one(t.Context(), upOperation(overrides), partOf(t, stacks.Bootstrap))
	assert.Contains(t, failed(t, err), nobody, "which repository")

	clients, err := kube.Parse(cluster.Kubeconfig)
	require.NoError(t, err)
	records, err := clients.Core.CoreV1().Secrets(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
	require.NoError(t, err)
	assert.Empty(t, records.Items, "no release was begun")
	deployments, err := clients.Core.AppsV1().Deployments(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, deployments.Items, "nothing of a chart was installed")
	noted, err := e.State(t.Context(), stacks.Bootstrap)
	require.NoError(t, err)
	assert.NotEmpty(t, noted.Resources)
	for _, r := range noted.Resources {
		assert.NotEqual(t, helm.ReleaseToken, string(r.Type), "nor is it in the state")
	}
}
