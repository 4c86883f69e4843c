package stacks_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/stacks"
)

// contract has the outputs that other projects, and other teams, read.
type contract struct {
	Version  int                          `json:"version"`
	Projects map[string]map[string]output `json:"projects"`
}

type output struct {
	Type   string `json:"type"`
	Secret bool   `json:"secret,omitempty"`
}

// current is the contract as the code has it.
func current() contract {
	return contract{Version: stacks.ContractVersion, Projects: map[string]map[string]output{
		stacks.Infra.Name:     declared[stacks.InfraOutputs](),
		stacks.Bootstrap.Name: declared[stacks.BootstrapOutputs](),
		stacks.Apps.Name:      declared[stacks.AppsOutputs](),
		stacks.Published.Name: declared[stacks.PublishedOutputs](),
	}}
}

func declared[T any]() map[string]output {
	of := map[string]output{}
	for _, o := range stacks.OutputsOf[T]() {
		of[o.Key] = output{Type: o.Type.String(), Secret: o.Secret}
	}
	return of
}

// breaks lists what a reader of the old contract does not find, or finds differently, in the new one.
func breaks(old, made contract) []string {
	var found []string
	for _, project := range slices.Sorted(maps.Keys(old.Projects)) {
		for _, key := range slices.Sorted(maps.Keys(old.Projects[project])) {
			before := old.Projects[project][key]
			after, there := made.Projects[project][key]
			switch {
			case !there:
				found = append(found, fmt.Sprintf("%s: output %q is gone", project, key))
			case before.Type != after.Type:
				found = append(found, fmt.Sprintf("%s: output %q was a %s and is a %s", project, key, before.Type, after.Type))
			case before.Secret != after.Secret:
				found = append(found, fmt.Sprintf("%s: output %q is secret or was; both break who reads it", project, key))
			}
		}
	}
	return found
}

const golden = "testdata/contract.json"

func TestUnit_TheContractChangesOnlyWithItsVersion(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.FromSlash(golden))
	require.NoError(t, err)
	var last contract
	require.NoError(t, json.Unmarshal(text, &last))
	now := current()
	if now.Version == last.Version {
		require.Empty(t, breaks(last, now), "who reads these outputs breaks: keep them, beside new ones if need be, or move "+
			"stacks.ContractVersion and say so in docs/CONSUMING_OUTPUTS.md")
	}
	require.GreaterOrEqual(t, now.Version, last.Version, "the version of the contract only grows")
	if *mocks.Update {
		text, err := json.MarshalIndent(now, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.FromSlash(golden), append(text, '\n'), 0o600))
		return
	}
	assert.Equal(t, last, now, "outputs were added, or the version was moved; go test ./stacks -update writes it down")
}

func TestUnit_WhatBreaksReadersIsFound(t *testing.T) {
	t.Parallel()
	of := func(outputs map[string]output) contract {
		return contract{Version: 1, Projects: map[string]map[string]output{"gridos": outputs}}
	}
	old := of(map[string]output{"a": {Type: "string"}, "b": {Type: "int"}, "c": {Type: "string", Secret: true}})
	assert.Empty(t, breaks(old, old))
	assert.Empty(t, breaks(old, of(map[string]output{
		"a": {Type: "string"}, "b": {Type: "int"}, "c": {Type: "string", Secret: true}, "d": {Type: "string"},
	})), "one more breaks nobody")
	assert.Equal(t, []string{
		`gridos: output "a" is gone`,
		`gridos: output "b" was a int and is a string`,
		`gridos: output "c" is secret or was; both break who reads it`,
	}, breaks(old, of(map[string]output{"b": {Type: "string"}, "c": {Type: "string"}})))
	assert.Len(t, breaks(old, contract{}), 3, "a project that is gone takes its outputs with it")
}
