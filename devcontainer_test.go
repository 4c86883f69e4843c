package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
)

// The properties are those of the schema devContainer.base.schema.json
// (github.com/devcontainers/spec) that are used; a mistyped name is an error. No container was
// started from the file.
func TestUnit_TheDevcontainerHasTheGoOfTheModule(t *testing.T) {
	content, err := os.ReadFile(".devcontainer/devcontainer.json")
	require.NoError(t, err)
	var container struct {
		Name     string `json:"name"`
		Image    string `json:"image"`
		Features map[string]struct {
			Version string `json:"version"`
		} `json:"features"`
		HostRequirements struct {
			CPUs    int    `json:"cpus"`
			Memory  string `json:"memory"`
			Storage string `json:"storage"`
		} `json:"hostRequirements"`
		OnCreateCommand   string `json:"onCreateCommand"`
		PostAttachCommand string `json:"postAttachCommand"`
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&container))
	text, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	module, err := modfile.Parse("go.mod", text, nil)
	require.NoError(t, err)
	assert.Equal(t, module.Toolchain.Name, "go"+container.Features["ghcr.io/devcontainers/features/go:1"].Version)
	for _, of := range []string{container.HostRequirements.Memory, container.HostRequirements.Storage} {
		assert.Regexp(t, `^\d+gb$`, of)
	}
	for _, program := range []string{"redis-server", "postgresql"} { // what make lab cannot install without root
		assert.Contains(t, container.OnCreateCommand, " "+program)
	}
}
