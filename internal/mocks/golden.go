package mocks

import (
	"bytes"
	"cmp"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// Update is the flag -update of go test: golden files are written and not compared. Only tests
// import this package.
var Update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden is a registration as a golden file shows it: every input, and every option that changes
// what the engine does with the resource.
type golden struct {
	Type    string         `yaml:"type"`
	Name    string         `yaml:"name"`
	Inputs  map[string]any `yaml:"inputs,omitempty"`
	Options options        `yaml:"options,omitempty"`
}

type options struct {
	Protect             bool     `yaml:"protect,omitempty"`
	RetainOnDelete      bool     `yaml:"retainOnDelete,omitempty"`
	DeleteBeforeReplace bool     `yaml:"deleteBeforeReplace,omitempty"`
	IgnoreChanges       []string `yaml:"ignoreChanges,omitempty"`
	ReplaceOnChanges    []string `yaml:"replaceOnChanges,omitempty"`
	SecretOutputs       []string `yaml:"secretOutputs,omitempty"`
	Aliases             []string `yaml:"aliases,omitempty"`
	CreateTimeout       string   `yaml:"createTimeout,omitempty"`
	UpdateTimeout       string   `yaml:"updateTimeout,omitempty"`
	DeleteTimeout       string   `yaml:"deleteTimeout,omitempty"`
	// Version is that of the plugin which a provider asks for.
	Version string `yaml:"version,omitempty"`
}

func optionsOf(rpc *pulumirpc.RegisterResourceRequest) options {
	timeouts := rpc.GetCustomTimeouts()
	var names []string
	for _, alias := range rpc.GetAliases() {
		if name := alias.GetSpec().GetName(); name != "" { // The SDK adds aliases of other API versions: types, without a name.
			names = append(names, name)
		}
	}
	version := ""
	if strings.HasPrefix(rpc.GetType(), "pulumi:providers:") { // for other resources an SDK sends its own
		version = rpc.GetVersion()
	}
	return options{
		Version: version,
		Protect: rpc.GetProtect(), RetainOnDelete: rpc.GetRetainOnDelete(), DeleteBeforeReplace: rpc.GetDeleteBeforeReplace(),
		IgnoreChanges: rpc.GetIgnoreChanges(), ReplaceOnChanges: rpc.GetReplaceOnChanges(),
		SecretOutputs: rpc.GetAdditionalSecretOutputs(), Aliases: names,
		CreateTimeout: timeouts.GetCreate(), UpdateTimeout: timeouts.GetUpdate(), DeleteTimeout: timeouts.GetDelete(),
	}
}

// MatchGolden compares everything that the program registered with a golden YAML file, sorted by
// type and name. A changed setting is a changed line in the review of the change. The flag -update
// of `go test` writes the file.
func (r *Recorded) MatchGolden(t *testing.T, file string) {
	t.Helper()
	registered := make([]golden, len(r.Resources))
	for i, res := range r.Resources {
		registered[i] = golden{Type: res.Type, Name: res.Name, Inputs: plain(res.Inputs), Options: res.options}
	}
	slices.SortFunc(registered, func(a, b golden) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
	})
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	require.NoError(t, encoder.Encode(registered))
	if *Update {
		require.NoError(t, os.WriteFile(file, text.Bytes(), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run go test on this package with the flag -update to write the file")
	difference, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(string(want)), B: difflib.SplitLines(text.String()), FromFile: file, ToFile: "registered", Context: 5,
	})
	require.NoError(t, err)
	assert.Empty(t, difference, "if the change is meant, run go test on this package with the flag -update")
}

// plain returns inputs as YAML shows them. A secret is marked: a setting that stops being secret
// has to show.
func plain(inputs resource.PropertyMap) map[string]any {
	return inputs.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		switch {
		case v.IsSecret():
			return map[string]any{"secret": inner(v.SecretValue().Element)}, true
		case v.IsOutput() && v.OutputValue().Secret:
			return map[string]any{"secret": inner(v.OutputValue().Element)}, true
		case v.IsOutput():
			return inner(v.OutputValue().Element), true
		}
		return nil, false
	})
}

func inner(v resource.PropertyValue) any {
	return plain(resource.PropertyMap{"value": v})["value"]
}
