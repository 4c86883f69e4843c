package azure_test

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
	"github.com/gridos/sharedinfra/lab/internal/azure/schema"
	"github.com/gridos/sharedinfra/lab/internal/azure/services"
)

// TestUnit_EveryTypeHasItsSpecification: a resource type that is added must be in
// tools/azure-schema/types.json as well.
func TestUnit_EveryTypeHasItsSpecification(t *testing.T) {
	t.Parallel()
	for _, d := range services.New(services.Options{}).Definitions {
		assert.NotNil(t, schema.Of(d.Kind), "%s is not in azure.json; add it to tools/azure-schema/types.json and run make azure-schema", d.Kind)
	}
}

// TestUnit_TheSpecificationIsAsDerived: after a change of the scripts, the packages or the file,
// the file must be derived again.
func TestUnit_TheSpecificationIsAsDerived(t *testing.T) {
	t.Parallel()
	const repository = "../../.."
	sums, err := os.ReadFile(filepath.Join(repository, "lab", "internal", "azure", "schema", "SHA256SUMS"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(sums)), "\n")
	require.Len(t, lines, 7)
	for _, line := range lines {
		want, file, ok := strings.Cut(line, "  ")
		require.True(t, ok, line)
		text, err := os.ReadFile(filepath.Join(repository, file))
		require.NoError(t, err)
		assert.Equal(t, want, fmt.Sprintf("%x", sha256.Sum256(text)), "%s is not what azure.json was derived with; run make azure-schema", file)
	}
}

var updateDocument = flag.Bool("update", false, "write the tables of docs/azure-schema.md again")

// TestUnit_TheDocumentTellsWhatIsKnownOfEachType compares the table of docs/azure-schema.md with
// azure.json and with what infra registers.
func TestUnit_TheDocumentTellsWhatIsKnownOfEachType(t *testing.T) {
	t.Parallel()
	paths := map[string]map[string]bool{}
	for _, environment := range []string{"dev", "test", "prod"} {
		for _, r := range registered(t, environment) {
			if paths[r.Type] == nil {
				paths[r.Type] = map[string]bool{}
			}
			addPaths(paths[r.Type], "", plainInputs(r.Inputs))
		}
	}
	table := []string{"| type | package | its API | registered | known | constrained |", "|---|---|---|---|---|---|"}
	for _, d := range services.New(services.Options{}).Definitions {
		of := schema.Of(d.Kind)
		registered, known, constrained := 0, 0, 0
		for path := range paths[d.Token] {
			if slices.Contains(d.Path.Parameters(), path) || slices.Contains(of.Query, path) {
				continue
			}
			registered++
			if facts := of.At(path); facts != nil {
				known++
				if facts.Constrained() {
					constrained++
				}
			}
		}
		version := of.APIVersion
		if !of.Speaks(d.Token) {
			version += ", near"
		}
		table = append(table, fmt.Sprintf("| `%s` | %s %s | %s | %d | %d | %d |", d.Kind, of.Package, of.Version, version, registered, known, constrained))
	}
	slices.Sort(table[2:])
	compareSection(t, "types", strings.Join(table, "\n"))
}

// addPaths adds the dotted path of every property, without the indexes of lists.
func addPaths(paths map[string]bool, path string, value any) {
	switch value := value.(type) {
	case in:
		for name, inner := range value {
			at := strings.TrimPrefix(path+"."+name, ".")
			paths[at] = true
			addPaths(paths, at, inner)
		}
	case []any:
		for _, inner := range value {
			addPaths(paths, path, inner)
		}
	}
}

// compareSection compares the text between two marks of docs/azure-schema.md.
func compareSection(t *testing.T, name, want string) {
	t.Helper()
	file := filepath.Join("..", "..", "..", "docs", "azure-schema.md")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), "<!-- "+name+" -->\n")
	require.True(t, ok, name)
	got, after, ok := strings.Cut(rest, "<!-- /"+name+" -->")
	require.True(t, ok, name)
	if *updateDocument {
		text := before + "<!-- " + name + " -->\n" + want + "\n<!-- /" + name + " -->" + after
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return
	}
	assert.Equal(t, want, strings.TrimSpace(got), "docs/azure-schema.md; go test ./lab/internal/azure -run %s -update writes it", t.Name())
}

// registration is a resource as it is written in the golden files of infra.
type registration struct {
	Type   string `yaml:"type"`
	Name   string `yaml:"name"`
	Inputs in     `yaml:"inputs"`
}

// registered returns the resources that infra registers in an environment.
func registered(t *testing.T, environment string) []registration {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "infra", "program", "testdata", environment+".yaml"))
	require.NoError(t, err)
	var all []registration
	require.NoError(t, yaml.Unmarshal(text, &all))
	all = slices.DeleteFunc(all, func(r registration) bool { return !strings.HasPrefix(r.Type, "azure-native:") })
	require.Greater(t, len(all), 40)
	return all
}

// TestUnit_WhatIsRegisteredHasTheFormOfTheSpecification checks all three environments: a refusal
// here is a deployment that Azure would refuse.
func TestUnit_WhatIsRegisteredHasTheFormOfTheSpecification(t *testing.T) {
	t.Parallel()
	h := open(t, azure.Options{})
	for _, environment := range []string{"dev", "test", "prod"} {
		for _, r := range registered(t, environment) {
			for _, line := range h.check(r.Type, nil, plainInputs(r.Inputs).(in)) {
				assert.NotContains(t, line, "(rule Schema)", "%s: %s", environment, r.Name)
				assert.NotContains(t, line, "no property", "%s: %s", environment, r.Name)
			}
		}
	}
}

// plainInputs turns the content of a golden file into inputs: a secret is an object with one key
// there, and whole numbers are integers.
func plainInputs(value any) any {
	switch value := value.(type) {
	case in:
		if inner, ok := value["secret"]; ok && len(value) == 1 {
			return plainInputs(inner)
		}
		result := in{}
		for key, inner := range value {
			result[key] = plainInputs(inner)
		}
		return result
	case []any:
		result := make([]any, 0, len(value))
		for _, inner := range value {
			result = append(result, plainInputs(inner))
		}
		return result
	case int:
		return float64(value)
	case resource.PropertyValue: // a secret text of a table of tests
		return value.SecretValue().Element.StringValue()
	default:
		return value
	}
}

// mutant is a request that Azure refuses for one property. Steps of the path are names, lists of
// the name on the wire and the name of clients, or "[]".
type mutant struct {
	Kind  string `json:"kind"`
	Path  []any  `json:"path"`
	Why   string `json:"why"`
	Value any    `json:"value"`
}

// notRefused are the mutants that no Pulumi program can make, with the reason.
var notRefused = map[string]string{
	"location missing": "azure-native sends the location of the resource group, or the one it is configured with (pulumi-azure-native#66, #654)",
}

// mutantsPlayed is how many of the mutants are played: the first ones that the types of the SDK can
// express.
const mutantsPlayed = 1000

// TestUnit_MutantsOfTheSpecificationAreRefused sends requests that tools/azure-schema/mutants.mjs
// has made from Microsoft's packages, not from azure.json. Each must be refused at the wrong
// property.
func TestUnit_MutantsOfTheSpecificationAreRefused(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "mutants.json"))
	require.NoError(t, err)
	var mutants []mutant
	require.NoError(t, json.Unmarshal(text, &mutants))

	h, bases := open(t, azure.Options{}), basesOfMutants(t)
	definitions := map[string]arm.Definition{}
	for _, d := range services.New(services.Options{}).Definitions {
		definitions[d.Kind] = d
	}
	played, refused, inexpressible := 0, map[string]int{}, 0
	var alive []string
	explained := map[string]int{}
	for _, m := range mutants {
		if played == mutantsPlayed {
			break
		}
		d, ok := definitions[m.Kind]
		require.True(t, ok, m.Kind)
		inputs, at, ok := m.in(d, bases[m.Kind])
		if !ok {
			inexpressible++
			continue
		}
		played++
		there := func(line string) bool { return strings.HasPrefix(line, at+": ") || strings.HasPrefix(line, at+"[") }
		switch {
		case slices.ContainsFunc(h.check(d.Token, nil, inputs), there):
			refused[m.Why]++
		case notRefused[at+" "+m.Why] != "":
			explained[at+" "+m.Why]++
		default:
			alive = append(alive, fmt.Sprintf("%s %s: %s %v", m.Kind, at, m.Why, m.Value))
		}
	}
	t.Logf("%d mutants, refused by what is wrong: %v; not expressible in the SDK: %d", played, refused, inexpressible)
	require.Equal(t, mutantsPlayed, played, "there are too few mutants; raise their count in mutants.mjs")
	assert.Empty(t, alive, "these are not refused; mend azure.json or the check, or add them to notRefused with the reason")
	for what, times := range explained {
		t.Logf("not refused, %d times: %s: %s", times, what, notRefused[what])
	}
	assert.Len(t, explained, len(notRefused), "an entry of notRefused is refused; drop it")
}

// basesOfMutants are sound inputs, by kind: those of the first resource that an environment
// registers.
func basesOfMutants(t *testing.T) map[string]in {
	t.Helper()
	bases := map[string]in{}
	for _, d := range services.New(services.Options{}).Definitions {
		base := in{}
		for _, parameter := range d.Path.Parameters() {
			base[parameter] = "name"
		}
		for _, environment := range []string{"prod", "test", "dev"} {
			for _, r := range registered(t, environment) {
				if r.Type == d.Token {
					base = plainInputs(r.Inputs).(in)
				}
			}
		}
		bases[d.Kind] = base
	}
	// No environment registers these by default.
	bases["Microsoft.Insights/dataCollectionEndpoints"] = in{
		"resourceGroupName": "rg", "dataCollectionEndpointName": "metrics", "location": "westeurope",
	}
	bases["Microsoft.Consumption/budgets"] = in{
		"scope": subscription, "budgetName": "budget", "category": "Cost", "amount": 1000, "timeGrain": "Monthly",
		"timePeriod": in{"startDate": "2026-12-01T00:00:00Z"},
	}
	return bases
}

// in returns inputs with the mutant in them, and the path at which they must be refused. It returns
// false if the types of the SDK have no such property.
func (m mutant) in(d arm.Definition, base in) (inputs in, at string, ok bool) {
	inputs = plainInputs(base).(in) // a copy
	var parent any = inputs
	of := d.Inputs
	var put func(value any) // puts a value where the walk is
	for i, step := range m.Path {
		last := i == len(m.Path)-1
		if step == "[]" {
			list, _ := parent.([]any)
			if len(list) == 0 {
				list = []any{sound(of.Elem())}
				put(list)
			}
			put = func(value any) { list[0] = value }
			at, parent, of = arm.Indexed(at, 0), list[0], plainType(of.Elem())
			continue
		}
		object, isObject := parent.(in)
		if !isObject {
			object = sound(of).(in)
			put(object)
		}
		name, inner, found := property(of, step)
		if !found {
			// The types of the SDK lack unknown properties, and those that only Azure sets.
			if !last || m.Why != "unknown" && m.Why != "read-only" {
				return nil, "", false
			}
			name = wireName(step)
		}
		at = strings.TrimPrefix(at+"."+name, ".")
		put = func(value any) { object[name] = value }
		if last {
			delete(object, name)
			if m.Why != "missing" {
				object[name] = m.Value
			}
			return inputs, at, true
		}
		parent, of = object[name], plainType(inner)
	}
	return nil, "", false
}

func wireName(step any) string {
	if names, ok := step.([]any); ok {
		step = names[0]
	}
	return step.(string)
}

// property finds the property of a struct of the SDK that has one of the names, with any capitals.
func property(of reflect.Type, step any) (name string, inner reflect.Type, ok bool) {
	names, several := step.([]any)
	if !several {
		names = []any{step}
	}
	if of == nil || of.Kind() != reflect.Struct {
		return "", nil, false
	}
	for i := range of.NumField() {
		field := of.Field(i)
		for _, name := range names {
			if own := arm.PropertyName(field); strings.EqualFold(own, name.(string)) {
				return own, field.Type, true
			}
		}
	}
	return "", nil, false
}

// sound returns the least value that a type of the SDK allows.
func sound(of reflect.Type) any {
	switch of = plainType(of); of.Kind() {
	case reflect.Struct:
		object := in{}
		for i := range of.NumField() {
			field := of.Field(i)
			if name := arm.PropertyName(field); name != "" && !slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface}, field.Type.Kind()) {
				object[name] = sound(field.Type)
			}
		}
		return object
	case reflect.Bool:
		return true
	case reflect.Int, reflect.Float64:
		return 1.0
	default:
		return "sound"
	}
}

// plainType looks through pointers.
func plainType(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}
