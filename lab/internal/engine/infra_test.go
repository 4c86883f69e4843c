package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/support"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/stacks"
)

// userKubeconfig is the kubeconfig that AKS returns: without a credential, but with a program that
// signs in.
const userKubeconfig = `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: kubelogin,
  interactiveMode: Never, args: [get-token, --login, devicecode, --server-id, kubeconfig-of-this-test]}}}]
`

// standIn is a Kubernetes without any client: gridos-infra only hands its kubeconfig on.
type standIn struct{}

func (standIn) Kubeconfig(context.Context) ([]byte, error)   { return []byte(userKubeconfig), nil }
func (standIn) SetNodes(context.Context, []azure.Node) error { return nil }

func (standIn) SetIngressGateways(context.Context, []azure.IngressGateway) error { return nil }

// pick returns the entries of counts that the keys name.
func pick(counts map[string]int, keys ...string) map[string]int {
	picked := map[string]int{}
	for _, key := range keys {
		if n := counts[key]; n > 0 {
			picked[key] = n
		}
	}
	return picked
}

func changedOnly(t *testing.T, r Result, allowed ...string) {
	t.Helper()
	for op := range r.Changes {
		assert.Contains(t, append(allowed, "same", "read"), op, "%v", r.Changes)
	}
}

// TestEngine_InfraLivesAsDesigned plays the life of gridos-infra in every environment, with its own
// stack file.
func TestEngine_InfraLivesAsDesigned(t *testing.T) {
	for _, environment := range naming.Environments() {
		t.Run(environment, func(t *testing.T) {
			// Azure honours a role some time after its assignment (rule I5), and the program waits
			// a little longer.
			propagation := 300 * time.Millisecond
			e, cloud := newEngineFor(t, environment, azure.Options{Kubernetes: standIn{}, RolePropagation: &propagation})
			with := func(key string, value any) Overrides {
				return Overrides{stacks.Infra.Name: {"rolePropagation": "400ms", key: value}}
			}
			asIs := with("subscriptionId", "")
			infra := partOf(t, stacks.Infra)
			up, err := e.one(t.Context(), upOperation(asIs), infra)
			require.NoError(t, err)
			assert.Equal(t, up.Changed(), up.Resources)
			assert.Empty(t, cloud.Unfulfilled(), "what Azure accepts although it cannot work")

			again, err := e.one(t.Context(), upOperation(asIs), infra)
			require.NoError(t, err)
			assert.Equal(t, "no change", again.Summary(), "the second up changes nothing")

			var seen changes.Collector
			retagged := previewOperation(with("costCentre", "another"))
			retagged.see = seen.See
			tag, err := e.one(t.Context(), retagged, infra)
			require.NoError(t, err)
			costsNothing(t, environment, seen.Project(infra.Name, nil))
			namesItsVersions(t, environment, seen.Project(infra.Name, nil))
			assert.Greater(t, tag.Changes["update"], 20, "a tag is on everything")
			changedOnly(t, tag, "update")

			noSecretIsReadable(t, e, infra, with("costCentre", "another"))

			if environment != "dev" { // the gateway's identity may read every certificate of the vault: only the gateway changes
				settings, err := InfraSettings(t.Context(), e.site)
				require.NoError(t, err)
				vault, _, err := settings.Gateway.Certificate.Parse()
				require.NoError(t, err)
				require.NoError(t, cloud.Seed(azure.ExistingSecret(settings.Gateway.Certificate.ResourceGroup, vault, "another-tls")))
				another := with("gatewayCertificate", "https://"+vault+".vault.azure.net/secrets/another-tls")
				renewed, err := e.one(t.Context(), upOperation(another), infra)
				require.NoError(t, err)
				assert.Equal(t, map[string]int{"update": 1}, pick(renewed.Changes, "replace", "update", "create", "delete"))
			}

			prefix, err := e.one(t.Context(), previewOperation(with("clusterDnsPrefix", "another")), infra)
			if environment == "dev" {
				require.NoError(t, err)
				assert.Positive(t, prefix.Changes["replace"], "only dev may lose its cluster: %v", prefix.Changes)
			} else {
				require.ErrorContains(t, err, "marked for protection")
			}

			_, err = e.one(t.Context(), downOperation(), infra)
			require.NoError(t, err)
			assert.Empty(t, azure.Unseeded(cloud.Inventory()))
		})
	}
}

// namesItsVersions: the engine's events have every version of the environment, changed or not, and
// each has a row in docs/support-dates.yaml.
func namesItsVersions(t *testing.T, environment string, project changes.Project) {
	t.Helper()
	r := changes.Report{Environment: environment, Projects: []changes.Project{project}}
	require.NoError(t, r.CheckSupport(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))) // all that has a date has ended by then
	require.NotNil(t, r.Support)
	assert.Empty(t, r.Support.Unknown)
	var ended []string
	for _, e := range r.Support.Ending {
		ended = append(ended, e.What)
	}
	assert.Subset(t, ended, []string{support.Kubernetes, support.Mesh, support.PostgreSQL, support.Plugin("azure-native")})
}

// costsNothing: all resources are priced from the engine's events, changed or not, and the change
// of a tag costs nothing.
func costsNothing(t *testing.T, environment string, project changes.Project) {
	t.Helper()
	r := changes.Report{Environment: environment, Projects: []changes.Project{project}}
	require.NoError(t, r.Price(time.Now()))
	require.NotNil(t, r.Cost)
	assert.Equal(t, r.Cost.Before, r.Cost.After)
	assert.Equal(t, []string{"egress/Internet"}, r.Cost.Unpriced)
	document, err := os.ReadFile("../../../docs/cost.md")
	require.NoError(t, err)
	assert.Contains(t, string(document), fmt.Sprintf(" %.2f to %.2f |", r.Cost.After.Low, r.Cost.After.High), "the sums of the defaults")
}

// noSecretIsReadable: a secret of the state cannot be read anywhere: not in the state's file, a
// log, the events of a preview, or a plain output.
func noSecretIsReadable(t *testing.T, e *Engine, p part, overrides Overrides) {
	t.Helper()
	stack, _, err := configured(overrides)(t.Context(), e, p)
	require.NoError(t, err)
	secrets := secretsOf(t, stack)
	require.GreaterOrEqual(t, len(secrets), 2, "the password and the kubeconfig")

	preview := make(chan events.EngineEvent)
	var reported bytes.Buffer
	written := make(chan error)
	go func() {
		var failed error
		for event := range preview {
			if err := json.NewEncoder(&reported).Encode(event.EngineEvent); err != nil {
				failed = err
			}
		}
		written <- failed
	}()
	// A changed tag makes the preview show the resources with secrets.
	_, err = stack.Preview(t.Context(), optpreview.Diff(), optpreview.EventStreams(preview), optpreview.ProgressStreams(&reported))
	require.NoError(t, err)
	require.NoError(t, <-written)
	outputs, err := e.Outputs(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, outputs[p.Name])
	for name, output := range outputs[p.Name] {
		if !output.Secret {
			text, err := json.Marshal(output.Value)
			require.NoError(t, err)
			reported.WriteString(name + string(text))
		}
	}
	for _, secret := range secrets {
		assert.NotContains(t, reported.String(), secret)
	}
	files := 0
	require.NoError(t, filepath.WalkDir(e.site.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || strings.HasPrefix(path, e.site.HomeDir()) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, secret := range secrets {
			assert.NotContains(t, string(text), secret, path)
		}
		return nil
	}))
	assert.Greater(t, files, 3, "the state and the logs")
}

// secretsOf returns the secrets in the stack's state, in clear text and as base64, which is how
// Azure writes kubeconfigs.
func secretsOf(t *testing.T, stack auto.Stack) []string {
	t.Helper()
	work := stack.Workspace()
	variables := []string{}
	for key, value := range work.GetEnvVars() {
		variables = append(variables, key+"="+value)
	}
	text, _, _, err := work.PulumiCommand().Run(t.Context(), work.WorkDir(), nil, nil, nil, variables,
		"stack", "export", "--show-secrets", "--stack", stack.Name())
	require.NoError(t, err)
	var state any
	require.NoError(t, json.Unmarshal([]byte(text), &state))
	found := map[string]bool{}
	var visit func(value any)
	visit = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			if plain, ok := v["plaintext"].(string); ok {
				var secret string
				if json.Unmarshal([]byte(plain), &secret) == nil && len(secret) > 10 {
					found[secret] = true
					found[base64.StdEncoding.EncodeToString([]byte(secret))] = true
				}
			}
			for _, inner := range v {
				visit(inner)
			}
		case []any:
			for _, inner := range v {
				visit(inner)
			}
		}
	}
	visit(state)
	secrets := []string{"kubeconfig-of-this-test"}
	for secret := range found {
		secrets = append(secrets, secret)
	}
	return secrets
}
