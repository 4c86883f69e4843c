package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// siteOf returns a site whose gridos-infra has a stack's file.
func siteOf(t *testing.T, file string) site.Site {
	t.Helper()
	repository := t.TempDir()
	s := site.Site{Repository: repository, Environment: "dev", Dir: filepath.Join(repository, ".lab", "dev")}
	source := s.ProjectDir(stacks.Infra.Directory)
	require.NoError(t, os.MkdirAll(source, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(source, "Pulumi.yaml"), []byte("name: gridos-infra\nruntime: go\n"), 0o600))
	require.NoError(t, os.WriteFile(projectfile.StackFile(source, "dev"), []byte(file), 0o600))
	return s
}

// copied returns the values that a program in the lab gets for a stack's file with the overrides of
// the lab.
func copied(t *testing.T, file string, overrides map[string]any) map[string]string {
	t.Helper()
	s := siteOf(t, file)
	_, err := copyFiles(s, stacks.Infra, overrides)
	require.NoError(t, err)
	values, err := projectfile.Config(t.Context(), s.WorkDir(stacks.Infra.Name), "dev")
	require.NoError(t, err)
	return values
}

// A key without its project's name belongs to the project.
func TestUnit_WhatTheLabOverridesAlwaysWins(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"subscriptionId", "gridos-infra:subscriptionId"} {
		values := copied(t, "config:\n  "+key+": the user's\n  location: westeurope\n", map[string]any{"subscriptionId": "the lab's"})
		assert.Equal(t, map[string]string{"gridos-infra:subscriptionId": "the lab's", "gridos-infra:location": "westeurope"}, values)
	}
}

// A stack's file names a workspace in a real subscription, and the simulated Azure has its own.
func TestUnit_TheLabHasTheWorkspaceThatAStackNames(t *testing.T) {
	t.Parallel()
	file := "config:\n  gridos-infra:authorizedRanges: [203.0.113.0/24]\n  gridos-infra:metricsWorkspaceId: " +
		"/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/watch-rg/providers/Microsoft.Monitor/accounts/watch\n"
	existing, err := Existing(t.Context(), siteOf(t, file))
	require.NoError(t, err)
	cloud, err := azure.Open(azure.Options{Existing: existing})
	require.NoError(t, err)
	var ids []string
	for _, r := range cloud.Inventory() {
		ids = append(ids, r.ID)
	}
	assert.Contains(t, ids, copied(t, file, nil)["gridos-infra:metricsWorkspaceId"])
}

// Each project finds the same values in the joined file as in its own copy.
func TestUnit_OneFileConfiguresAllProjects(t *testing.T) {
	t.Parallel()
	repository := t.TempDir()
	s := site.Site{Repository: repository, Environment: "dev", Dir: filepath.Join(repository, ".lab", "dev")}
	for name, text := range map[string]string{
		stacks.Infra.Name:     "encryptionsalt: v1:salt\nconfig:\n  location: westeurope\n  gridos-apps:targetRevision: not infra's to say\n",
		stacks.Bootstrap.Name: "config:\n  gridos-bootstrap:repositoryToken: {secure: v1:a:b}\n  pulumi:tags: {team: platform}\n",
		stacks.Apps.Name:      "config:\n  gridos-apps:targetRevision: develop\n  pulumi:tags: {team: another}\n",
	} {
		require.NoError(t, os.MkdirAll(s.WorkDir(name), 0o700))
		require.NoError(t, os.WriteFile(projectfile.StackFile(s.WorkDir(name), "dev"), []byte(text), 0o600))
	}
	require.NoError(t, joinCopies(s))
	settings, err := projectfile.Read(s.ConfigurationFile())
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"encryptionsalt": "v1:salt",
		"config": map[string]any{
			"gridos-infra:location":            "westeurope",
			"gridos-bootstrap:repositoryToken": map[string]any{"secure": "v1:a:b"},
			"gridos-apps:targetRevision":       "develop",
			"pulumi:tags":                      map[string]any{"team": "platform"},
		},
	}, settings)
}
