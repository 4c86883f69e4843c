package readers_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/stacks"
	"github.com/gridos/sharedinfra/stacks/contract"
	"github.com/gridos/sharedinfra/stacks/readers"
)

const root = "../.."

func TestUnit_TheReadersAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	at, err := contract.Read(root)
	require.NoError(t, err)
	document, err := os.ReadFile(filepath.Join(root, "docs", "CONSUMING_OUTPUTS.md"))
	require.NoError(t, err)
	for name, template := range readers.Files() {
		made, err := readers.Generate(template, at.Contract, string(document))
		require.NoError(t, err)
		file := filepath.FromSlash(name)
		if *mocks.Update {
			require.NoError(t, os.WriteFile(file, made, 0o644))
			continue
		}
		there, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, string(made), string(there), "go generate ./stacks/readers writes it")
	}
	for begin, file := range map[string]string{"```ts\n": "typescript/index.ts", "```yaml\nname: reports\n": "yaml/Pulumi.yaml"} {
		_, example, found := strings.Cut(string(document), begin)
		require.True(t, found, begin)
		example, _, _ = strings.Cut(example, "```")
		program, err := os.ReadFile(filepath.FromSlash(file))
		require.NoError(t, err)
		for line := range strings.Lines(example) {
			assert.Contains(t, string(program), line, "the example is a part of %s, which is tried", file)
		}
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	sdk := regexp.MustCompile(`pulumi/sdk/v3 v(\S+)`).FindSubmatch(module)
	require.Len(t, sdk, 2)
	packages, err := os.ReadFile(filepath.Join("typescript", "package.json"))
	require.NoError(t, err)
	assert.Contains(t, string(packages), `"@pulumi/pulumi": "`+string(sdk[1])+`"`, "the SDK of go.mod")

	delete(at.Contract.Projects[stacks.Published.Name], "location")
	at.Contract.Projects[stacks.Published.Name]["size"] = contract.Output{Type: "float64"}
	_, err = readers.Generate("python.tmpl", at.Contract, string(document))
	require.ErrorContains(t, err, "the meaning of 17 outputs, and the contract has 18")
	_, err = readers.Generate("python.tmpl", at.Contract, string(document)+"\n| `size` | number | how large |\n")
	require.ErrorContains(t, err, "there is no name for the type float64")
}

// reading is what a reader does with outputs: it returns them, or nothing, or an error.
type reading struct {
	Values map[string]any `json:"values"`
	Error  string         `json:"error"`
}

// attempt is one reading of the table, as the readers get it.
type attempt struct {
	name    string
	Outputs map[string]any `json:"outputs"`
	Preview bool           `json:"preview"`
	refused []string       // parts of the error; none where the outputs are read
	unknown bool           // nothing is known yet
	later   bool           // Pulumi's SDK for Go makes outputs of it that are not known
}

const stack = "organization/gridos/dev"

// outputs are those of an environment that keeps the contract.
func outputs() map[string]any {
	values := map[string]any{}
	for _, o := range stacks.OutputsOf[stacks.PublishedOutputs]() {
		values[o.Key] = "the " + o.Key
	}
	values["contractVersion"] = float64(stacks.ContractVersion)
	values["egressAddresses"] = []any{"203.0.113.7", "203.0.113.8"}
	values["applications"] = []any{}
	return values
}

// attempts are the table of what each reader reads and refuses.
func attempts() []attempt {
	with := func(key string, value any) map[string]any {
		values := outputs()
		values[key] = value
		return values
	}
	without := func(keys ...string) map[string]any {
		values := outputs()
		maps.DeleteFunc(values, func(key string, _ any) bool { return keys[0] == key || len(keys) > 1 && keys[1] == key })
		return values
	}
	const of = " of stack " + stack
	all := []attempt{
		{name: "what the contract says", Outputs: outputs()},
		{name: "an output more", Outputs: with("another", true)},
		{name: "a stack that was never up, in a preview", Outputs: map[string]any{}, Preview: true, unknown: true},
		{
			name: "a stack that was never up", Outputs: map[string]any{},
			refused: []string{`stack ` + stack + ` has no output "contractVersion"`, `has no output "applications"`},
		},
		{
			name: "two missing outputs", Outputs: without("databaseHost", "location"),
			refused: []string{`stack ` + stack + ` has no output "databaseHost"`, `stack ` + stack + ` has no output "location"`},
		},
		{
			name: "a missing output, in a preview", Outputs: without("databaseHost"), Preview: true,
			refused: []string{`has no output "databaseHost"`},
		},
		{name: "an output without a value", Outputs: with("clusterName", nil), refused: []string{`has no output "clusterName"`}},
		{name: "a number for a text", Outputs: with("clusterName", 7.0), refused: []string{`output "clusterName"` + of + ` is a `}},
		{name: "a switch for a text", Outputs: with("clusterName", true), refused: []string{`output "clusterName"` + of + ` is a `}},
		{name: "a list for a text", Outputs: with("clusterName", []any{"a"}), refused: []string{`output "clusterName"` + of + ` is a `}},
		{name: "a text for a list", Outputs: with("applications", "a"), refused: []string{`output "applications"` + of + ` is a `}},
		{name: "a mapping for a list", Outputs: with("applications", map[string]any{"a": "b"}), refused: []string{`output "applications"` + of}},
		{name: "a number in a list", Outputs: with("egressAddresses", []any{"a", 1.0}), refused: []string{`output "egressAddresses"` + of + ` is a `}},
		{name: "a placeholder of a secret", Outputs: with("databaseHost", "[secret]"), refused: []string{`output "databaseHost"` + of + ` is a placeholder`}},
		{
			name: "a placeholder of what is known later", Outputs: with("databaseHost", stacks.Placeholders()[1]), Preview: true,
			refused: []string{`output "databaseHost"` + of + ` is a placeholder`}, later: true,
		},
		{
			name: "a placeholder in a list", Outputs: with("egressAddresses", []any{"a", stacks.Placeholders()[1]}),
			refused: []string{`output "egressAddresses"` + of + ` is a placeholder`}, later: true,
		},
	}
	for name, version := range map[string]any{
		"a newer version": 2.0, "an older version": 0.0, "half a version": 1.5, "a version that is a text": "1", "a version that is a switch": true,
	} {
		all = append(all, attempt{name: name, Outputs: with("contractVersion", version), refused: []string{"stack " + stack + " speaks version "}})
	}
	return append(all, attempt{
		name: "a newer version, in a preview", Outputs: with("contractVersion", 2.0), Preview: true,
		refused: []string{"speaks version 2 of the contract, this program version 1"},
	})
}

// Readers in all languages read and refuse the same.
func TestUnit_EveryLanguageReadsAndRefusesTheSame(t *testing.T) {
	t.Parallel()
	for language, read := range map[string]func(*testing.T, []attempt) []reading{
		"Go": readInGo, "Python": readInPython, "TypeScript": readInTypeScript,
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			table := attempts()
			got := read(t, table)
			require.Len(t, got, len(table))
			for i, a := range table {
				switch {
				case a.unknown, a.later && language == "Go":
					assert.Equal(t, reading{}, got[i], a.name)
				case len(a.refused) > 0:
					assert.Nil(t, got[i].Values, a.name)
					for _, part := range a.refused {
						assert.Contains(t, got[i].Error, part, a.name)
					}
				default:
					want := maps.Clone(a.Outputs)
					delete(want, "another")
					assert.Equal(t, reading{Values: want}, got[i], a.name)
				}
			}
		})
	}
}

func readInGo(t *testing.T, table []attempt) []reading {
	t.Helper()
	all := make([]reading, len(table))
	for i, a := range table {
		run := mocks.Run{
			Project: stacks.Apps, Root: root, Stack: "dev", Preview: a.Preview,
			Stacks: map[string]map[string]any{stacks.Published.Name: a.Outputs},
		}
		_, err := run.Do(func(ctx *pulumi.Context) error {
			published, err := stacks.ReadPublic[stacks.PublishedOutputs](ctx, stacks.Published)
			if err != nil {
				return err
			}
			values := map[string]any{}
			fields := reflect.ValueOf(published)
			for _, o := range stacks.OutputsOf[stacks.PublishedOutputs]() {
				output, ok := fields.FieldByName(o.Field).Interface().(pulumi.Output)
				require.True(t, ok, o.Key)
				result, err := internals.UnsafeAwaitOutput(ctx.Context(), output)
				if err != nil {
					return err
				}
				if result.Known {
					values[o.Key] = result.Value
				}
			}
			if len(values) > 0 {
				text, err := json.Marshal(values)
				require.NoError(t, err)
				require.NoError(t, json.Unmarshal(text, &all[i].Values))
			}
			return nil
		})
		if err != nil {
			all[i].Error = err.Error()
		}
	}
	return all
}

const inPython = `
import dataclasses, json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import gridos

def read(attempt):
    try:
        published = gridos.read_published(attempt["outputs"], sys.argv[2], attempt["preview"])
    except gridos.ContractError as error:
        return {"error": str(error)}
    return {"values": published and dict(zip(gridos._TYPES, dataclasses.astuple(published)))}

for wrong in ([], None, "text"):
    assert "and no mapping; with Pulumi's SDK" in read({"outputs": wrong, "preview": False})["error"], wrong
print(json.dumps([read(attempt) for attempt in json.load(sys.stdin)]))
`

func readInPython(t *testing.T, table []attempt) []reading {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("the reader in Python was not tried: %v", err)
	}
	folder, err := filepath.Abs("python")
	require.NoError(t, err)
	return answer(t, exec.CommandContext(t.Context(), python, "-c", inPython, folder, stack), table)
}

const inTypeScript = `
import { readFileSync } from "node:fs";
import { ContractError, readPublished } from "./gridos.mts";

interface Attempt { outputs: unknown; preview: boolean }

function read(attempt: Attempt): { values?: unknown; error?: string } {
  try {
    return { values: readPublished(attempt.outputs, process.argv[2], attempt.preview) };
  } catch (error) {
    if (error instanceof ContractError) {
      return { error: error.message };
    }
    throw error;
  }
}

for (const wrong of [[], null, "text", { apply() {} }]) {
  if (!read({ outputs: wrong, preview: false }).error?.includes("and no mapping; with Pulumi's SDK")) {
    throw new Error("reads " + JSON.stringify(wrong));
  }
}
console.log(JSON.stringify((JSON.parse(readFileSync(0, "utf8")) as Attempt[]).map(read)));
`

func readInTypeScript(t *testing.T, table []attempt) []reading {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skipf("the reader in TypeScript was not tried: %v", err)
	}
	const withoutTypes = "--experimental-strip-types" // since Node.js 22.6
	if output, err := exec.CommandContext(t.Context(), node, withoutTypes, "--version").CombinedOutput(); err != nil {
		t.Skipf("the reader in TypeScript was not tried: %s reads no TypeScript, which needs 22.6 or later: %s", node, output)
	}
	folder := t.TempDir()
	reader, err := os.ReadFile(filepath.Join("typescript", "gridos.ts"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "gridos.mts"), reader, 0o600))
	program := filepath.Join(folder, "attempts.mts")
	require.NoError(t, os.WriteFile(program, []byte(inTypeScript), 0o600))
	return answer(t, exec.CommandContext(t.Context(), node, withoutTypes, "--no-warnings", program, stack), table)
}

// answer is what a program that gets the table answers.
func answer(t *testing.T, program *exec.Cmd, table []attempt) []reading {
	t.Helper()
	text, err := json.Marshal(table)
	require.NoError(t, err)
	var problem strings.Builder
	program.Stdin, program.Stderr = bytes.NewReader(text), &problem
	output, err := program.Output()
	require.NoError(t, err, problem.String())
	var all []reading
	require.NoError(t, json.Unmarshal(output, &all), string(output))
	return all
}
