package program_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/stacks"
)

// The service is a module of its own, and the parts before it are configured in other places. Each
// part must let through all that the next one promises to accept, and wait longer than the next one
// may take.
func TestUnit_TheLimitsOfServiceFirewallManifestsAndDocumentsAgree(t *testing.T) {
	t.Parallel()
	const service = "../../src/internal/"
	var (
		maxBody        = constantOf(t, service+"api/api.go", "maxBody")
		maxSamples     = constantOf(t, service+"telemetry/telemetry.go", "MaxSamples")
		answerWithin   = time.Duration(constantOf(t, service+"api/api.go", "timeout"))
		ratePerSecond  = constantOf(t, service+"settings/settings.go", "defaultRateLimit")
		drainTimeout   = time.Duration(constantOf(t, service+"service/service.go", "drainTimeout"))
		idleTimeout    = time.Duration(constantOf(t, service+"service/service.go", "idleTimeout"))
		oneMigration   = time.Duration(constantOf(t, service+"store/migrate.go", "migrationTimeout"))
		migrationStops = 30 * time.Second // until its connection has noticed
	)

	for _, environment := range naming.Environments() {
		firewall := program.Defaults(environment).Gateway.Firewall
		// A request that the firewall refuses never reaches the application, and no metric of the
		// application shows it. The unit of the limit is not documented: it is enough if a kilobyte
		// is 1,000 bytes.
		assert.GreaterOrEqual(t, int64(firewall.MaxBodyKB)*1000, maxBody, "%s: the firewall lets what the service takes through", environment)
		assert.EqualValues(t, firewall.RequestsPerMinute, 60*ratePerSecond,
			"%s: one replica answers what the firewall lets through of one address", environment)
	}

	document, err := os.ReadFile("../../docs/service.md")
	require.NoError(t, err)
	require.Zero(t, maxBody%(1<<20))
	assert.Contains(t, string(document),
		fmt.Sprintf("a batch of 1 to %d,%03d samples, up to %d MiB", maxSamples/1000, maxSamples%1000, maxBody>>20))
	assert.Contains(t, string(document), fmt.Sprintf("| `RATE_LIMIT` | `%d` |", ratePerSecond))
	assert.Contains(t, string(document), fmt.Sprintf("waits up to %.0f s for requests that run", drainTimeout.Seconds()))
	configuration, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	assert.Contains(t, string(configuration), fmt.Sprintf("The application takes %d MiB.", maxBody>>20))

	base := filepath.Join("..", "..", "applications", "gridos", "base")
	var pods appsv1.Deployment
	manifest(t, filepath.Join(base, "deployment.yaml"), &pods)
	require.NotNil(t, pods.Spec.Template.Spec.TerminationGracePeriodSeconds)
	grace := time.Duration(*pods.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	env := map[string]string{}
	for _, variable := range pods.Spec.Template.Spec.Containers[0].Env {
		env[variable.Name] = variable.Value
	}
	delay, err := time.ParseDuration(env["SHUTDOWN_DELAY"])
	require.NoError(t, err)
	assert.Greater(t, grace, delay+drainTimeout, "the kubelet kills after the service has drained")
	assert.NotContains(t, env, "RATE_LIMIT", "the default is what is compared here")
	var rollout struct {
		Spec struct {
			ProgressDeadlineSeconds int `json:"progressDeadlineSeconds"`
		} `json:"spec"`
	}
	manifest(t, filepath.Join(base, "rollout.yaml"), &rollout)
	assert.Greater(t, time.Duration(rollout.Spec.ProgressDeadlineSeconds)*time.Second, oneMigration+migrationStops,
		"a canary is aborted after its migration has ended or failed")
	assert.Greater(t, drainTimeout, answerWithin, "a request that is under way is answered before the service ends")
	assert.Greater(t, idleTimeout, time.Hour, "the mesh's gateway closes a connection that is not used first (Envoy's default)")
}

func manifest(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, into), path)
}

// constantOf is the value of a whole number or a duration in a file of another module. Of the
// file's imports it knows only the units of time; errors about the other imports do not matter.
func constantOf(t *testing.T, path, name string) int64 {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	checker := types.Config{Importer: unitsOfTime{}, Error: func(error) {}}
	checked, _ := checker.Check(path, files, []*ast.File{file}, nil) // complaints, as said above
	value, found := checked.Scope().Lookup(name).(*types.Const)
	require.True(t, found, "%s has no constant %s any more; change this test with it", path, name)
	number, exact := constant.Int64Val(constant.ToInt(value.Val()))
	require.True(t, exact, "%s in %s is no whole number", name, path)
	return number
}

type unitsOfTime struct{}

func (unitsOfTime) Import(path string) (*types.Package, error) {
	if path != "time" {
		return nil, errors.New("not known")
	}
	units := types.NewPackage(path, path)
	for name, unit := range map[string]time.Duration{
		"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
	} {
		units.Scope().Insert(types.NewConst(token.NoPos, units, name, types.Typ[types.Int64], constant.MakeInt64(int64(unit))))
	}
	units.MarkComplete()
	return units, nil
}

func TestUnit_NumbersHaveTheBoundsThatAreDocumented(t *testing.T) {
	t.Parallel()
	mocks.CheckBounds(t, "../..", stacks.Infra, func(r *config.Reader) error {
		_, err := program.Load(r, "dev")
		return err
	})
}
