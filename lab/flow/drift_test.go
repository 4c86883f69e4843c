package flow_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// driftIsTold runs the pipeline's command as the workflow does, with the CLI's own credentials,
// here those of an environment in the lab.
func driftIsTold(t *testing.T, u user, s site.Site) {
	pipeline := filepath.Join(t.TempDir(), "pipeline")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", pipeline, "github.com/gridos/sharedinfra/pipeline").CombinedOutput()
	require.NoError(t, err, string(output))
	// inLab runs a script in the checkout of a user who has the lab's variables.
	inLab := func(script string) (stdout string, code int) {
		command := exec.CommandContext(t.Context(), "bash", "-c", `eval "$("$LAB" env)"; `+script)
		command.Dir = u.checkout
		command.Env = append(os.Environ(), "LAB="+u.command, "PIPELINE="+pipeline)
		var out, said bytes.Buffer
		command.Stdout, command.Stderr = &out, &said
		if err := command.Run(); err != nil {
			require.ErrorAs(t, err, new(*exec.ExitError))
		}
		t.Logf("%s\n%s%s", script, said.String(), out.String())
		return out.String(), command.ProcessState.ExitCode()
	}
	drift := func(script string) (report changes.Report, code int) {
		stdout, code := inLab(script)
		require.NoError(t, json.Unmarshal([]byte(stdout), &report), stdout)
		return report, code
	}
	const ask = `"$PIPELINE" drift -s dev --json`

	report, code := drift(ask)
	assert.Zero(t, code)
	assert.Empty(t, report.All())
	assert.Empty(t, report.Errors())

	before := stateOf(t, s)
	patch := func(description string) {
		_, code := inLab(`kubectl patch appproject gridos -n argocd --type merge -p '{"spec":{"description":"` + description + `"}}'`)
		require.Zero(t, code)
	}
	patch("changed by hand")
	report, code = drift(ask)
	assert.Equal(t, 3, code)
	require.Len(t, report.All(), 1)
	assert.Equal(t, "kubernetes:argoproj.io/v1alpha1:AppProject", report.All()[0].Type)
	property := report.All()[0].Properties
	require.Len(t, property, 1)
	assert.Equal(t, "spec.description", property[0].Path)
	assert.Equal(t, "changed by hand", property[0].New)
	assert.Equal(t, before, stateOf(t, s), "telling drift writes no state")
	original, ok := property[0].Old.(string)
	require.True(t, ok)
	patch(original)

	report, code = drift(`PULUMI_BACKEND_URL=file:///nonexistent ` + ask)
	assert.Equal(t, 1, code)
	assert.Len(t, report.Errors(), 4)
}

// stateOf returns the states of all stacks.
func stateOf(t *testing.T, s site.Site) map[string]string {
	t.Helper()
	states := map[string]string{}
	err := fs.WalkDir(os.DirFS(s.BackendDir()), ".pulumi/stacks", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(s.BackendDir(), path))
		states[path] = string(text)
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, states)
	return states
}
