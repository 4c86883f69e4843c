package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/pipeline/internal/preflight/azuretest"
)

func TestMain(m *testing.M) {
	if code, started := azuretest.StandIn(); started {
		os.Exit(code)
	}
	if code, started := pulumi(); started {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// checkoutFor makes a checkout whose prod has the values that the stand-in's answers know, and puts
// the stand-in on PATH.
func checkoutFor(t *testing.T, azure *azuretest.Azure, lines ...string) {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "infra"), 0o700))
	for _, file := range []string{"Pulumi.yaml", "infra/Pulumi.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), text, 0o600))
	}
	text := "config:\n"
	for _, line := range append([]string{
		"location: " + azuretest.Location, `kubernetesVersion: "1.35"`, `istioRevisions: ["asm-1-29"]`, `zones: ["1", "2", "3"]`,
		"systemPoolVmSize: Standard_D4ds_v5", "systemPoolMin: 3", "systemPoolMax: 3",
		"userPoolVmSize: Standard_D8ds_v5", "userPoolMin: 3", "userPoolMax: 10",
		`postgresVersion: "16"`, "postgresSkuTier: GeneralPurpose", "postgresSkuName: Standard_D4ds_v5", "postgresStorageGb: 256",
		"gatewayCertificate: https://gridos-platform-kv.vault.azure.net/secrets/prod-gridos-tls", `alertEmails: ["oncall@gridos.internal"]`,
	}, lines...) {
		text += "  gridos-infra:" + line + "\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "infra", "Pulumi.prod.yaml"), []byte(text), 0o600))
	t.Chdir(dir)
	t.Setenv("PATH", azure.Folder+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

func flies(t *testing.T, args ...string) (code int, out, said string) {
	t.Helper()
	return ran(t, append([]string{"preflight", "-s", "prod"}, args...)...)
}

// Not parallel, as the others here: the folder and PATH are the process's.
func TestUnit_PreflightHasAnExitCodeForEachEnd(t *testing.T) {
	azure := azuretest.New(t)
	checkoutFor(t, azure)
	code, out, said := flies(t)
	assert.Zero(t, code, out)
	assert.Contains(t, out, "0 problems, 0 not known.")
	assert.NotContains(t, said, "Error")
	deafly(t, "preflight", "-s", "prod")
	deafly(t, "preflight", "-s", "prod", "--json")

	azure.Fails("mesh", "ERROR: Forbidden({\"error\":{\"code\":\"AuthorizationFailed\",\"message\":\"no\"}})\n")
	code, out, _ = flies(t)
	assert.Equal(t, exitNotKnown, code)
	assert.Contains(t, out, "What is not known:\n  mesh: sign in with an account that has the role Reader")

	azure.Change("defender", func(body map[string]any) { body["properties"].(map[string]any)["pricingTier"] = "Free" })
	code, out, _ = flies(t, "--json")
	assert.Equal(t, exitRefused, code, "a problem is worse than what is not known")
	var report struct {
		Environment, Subscription string
		Problems, NotKnown        int
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.Equal(t, "prod", report.Environment)
	assert.Equal(t, azuretest.Subscription, report.Subscription)
	assert.Equal(t, []int{1, 1}, []int{report.Problems, report.NotKnown})

	azure.Fails("account", "ERROR: Please run 'az login' to setup account.\n")
	code, out, _ = flies(t)
	assert.Equal(t, exitNotKnown, code)
	assert.Contains(t, out, "run az login")
	t.Setenv("PATH", t.TempDir())
	code, out, _ = flies(t)
	assert.Equal(t, exitNotKnown, code)
	assert.Contains(t, out, "sign-in: install the Azure CLI")
}

func TestUnit_PreflightRefusesAConfigurationWithMistakes(t *testing.T) {
	azure := azuretest.New(t)
	checkoutFor(t, azure, "postgresBackupDays: 3", "userPolMax: 7")
	code, out, said := flies(t)
	assert.Equal(t, cli.Failed, code)
	assert.Empty(t, out)
	assert.Contains(t, said, "postgresBackupDays")
	assert.Contains(t, said, "userPolMax")
	assert.Zero(t, azure.Calls("account"), "Azure is not asked")
}

func TestUnit_PreflightSaysWhatItWaitsFor(t *testing.T) {
	azure := azuretest.New(t)
	checkoutFor(t, azure)
	azure.Hangs("vaults")
	code, out, said := flies(t, "--timeout", "5s")
	assert.Equal(t, exitNotKnown, code, out)
	assert.Contains(t, out, "az rest does not answer within 5s")
	assert.Contains(t, said, "of 9 questions are answered")
	assert.NotContains(t, out, "Asking Azure", "standard output is for the report")

	azure.Hangs("account")
	code, _, said = flies(t, "--timeout", "3s")
	assert.Equal(t, exitNotKnown, code, said)
	assert.Contains(t, said, "Asking Azure: no question is answered yet\n")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	assert.Equal(t, cli.Interrupted, run(ctx, newCommand(), []string{"preflight", "-s", "prod"}))
}

func TestUnit_PreflightTakesNoOtherArguments(t *testing.T) {
	azure := azuretest.New(t)
	checkoutFor(t, azure)
	for _, args := range [][]string{{"--deployer", "a name"}, {"--timeout", "0s"}, {"extra"}, {"-s", "staging"}} {
		code, _, said := flies(t, args...)
		assert.Equal(t, cli.Mistake, code, "%v: %s", args, said)
	}
	assert.Zero(t, azure.Calls("account"))
}
