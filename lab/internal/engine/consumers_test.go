package engine

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/stacks"
	"github.com/gridos/sharedinfra/stacks/readers/golang"
)

// Other teams' programs, in the languages that they use, read what the root project publishes of
// the stacks before it. All that have a reader refuse an environment without an output.
func TestEngine_OtherTeamsProgramsReadWhatIsPublished(t *testing.T) {
	e := newEngine(t, azure.Options{})
	e.withUpstream(t)
	_, err := e.one(t.Context(), upOperation(nil), partOf(t, stacks.Published))
	require.NoError(t, err)
	published := e.published(t)
	require.Len(t, published, len(stacks.OutputsOf[stacks.PublishedOutputs]()))

	want := map[string]any{
		"database": "the databaseHost/the databaseName", "registry": "the registryLoginServer", "allowed": []any{"203.0.113.7", "203.0.113.8"},
	}
	consumers := map[string]func(*Engine, *testing.T) (map[string]any, error){
		"Go": (*Engine).inGo, "Python": (*Engine).inPython, "TypeScript": (*Engine).inTypeScript, "YAML": (*Engine).inYAML,
	}
	for language, run := range consumers {
		t.Run(language, func(t *testing.T) {
			exported, err := run(e, t)
			require.NoError(t, err)
			assert.Equal(t, want, exported)
		})
	}

	delete(published, "databaseHost")
	smaller := map[string]pulumi.Input{}
	for key, value := range published {
		smaller[key] = pulumi.ToOutput(value)
	}
	p := partOf(t, stacks.Published)
	p.program = Exporting(smaller)
	_, err = e.one(t.Context(), upOperation(nil), p)
	require.NoError(t, err)
	for language, run := range consumers {
		t.Run(language+" without databaseHost", func(t *testing.T) {
			exported, err := run(e, t)
			if language == "YAML" { // it has no reader, and goes on with nothing: only the registry protects it
				require.NoError(t, err)
				assert.NotEqual(t, want["database"], exported["database"])
				assert.Equal(t, want["registry"], exported["registry"])
				return
			}
			require.ErrorContains(t, err, `stack organization/gridos/dev has no output "databaseHost"`)
		})
	}
}

// withUpstream brings up stacks that export what the root project reads, and consist of nothing
// else.
func (e *Engine) withUpstream(t *testing.T) {
	t.Helper()
	upstream := map[string]pulumi.Input{}
	for _, outputs := range [][]stacks.Output{
		stacks.OutputsOf[stacks.InfraOutputs](), stacks.OutputsOf[stacks.BootstrapOutputs](), stacks.OutputsOf[stacks.AppsOutputs](),
	} {
		for _, o := range outputs {
			upstream[o.Key] = pulumi.String("the " + o.Key)
		}
	}
	upstream["egressAddresses"] = pulumi.ToStringArray([]string{"203.0.113.7", "203.0.113.8"})
	upstream["applications"] = pulumi.ToStringArray([]string{"gridos-dev"})
	for _, project := range []stacks.Project{stacks.Infra, stacks.Bootstrap, stacks.Apps} {
		p := partOf(t, project)
		p.program = Exporting(upstream)
		_, err := e.one(t.Context(), upOperation(nil), p)
		require.NoError(t, err)
	}
}

// published are the outputs of the root project's stack.
func (e *Engine) published(t *testing.T) map[string]any {
	t.Helper()
	outputs, err := e.Outputs(t.Context())
	require.NoError(t, err)
	return plain(outputs[stacks.Published.Name])
}

func plain(outputs auto.OutputMap) map[string]any {
	values := map[string]any{}
	for key, output := range outputs {
		values[key] = output.Value
	}
	return values
}

// brought previews and updates the stack of a consumer, and returns its outputs.
func brought(t *testing.T, stack auto.Stack) (map[string]any, error) {
	t.Helper()
	if preview, err := stack.Preview(t.Context()); err != nil {
		return nil, &said{err, preview.StdOut + preview.StdErr}
	}
	up, err := stack.Up(t.Context())
	if err != nil {
		return nil, &said{err, up.StdOut + up.StdErr}
	}
	return plain(up.Outputs), nil
}

// said is an error with what the program has printed.
type said struct {
	error
	text string
}

func (s *said) Error() string { return s.error.Error() + "\n" + s.text }

// consumer are the options of a consumer's workspace, which is in a folder of its own.
func (e *Engine) consumer(folder string) []auto.LocalWorkspaceOption {
	return append(e.options(stacks.Published.Name), auto.WorkDir(folder))
}

func (e *Engine) inGo(t *testing.T) (map[string]any, error) {
	t.Helper()
	stack, err := auto.UpsertStackInlineSource(t.Context(), e.site.Environment, "reports-go", golang.Reports, e.consumer(t.TempDir())...)
	require.NoError(t, err)
	return brought(t, stack)
}

// readers is the folder of the consumers in other languages.
const readers = repository + "/stacks/readers"

func (e *Engine) inPython(t *testing.T) (map[string]any, error) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("the consumer in Python was not tried: %v", err)
	}
	outputs, err := json.Marshal(e.published(t))
	require.NoError(t, err)
	program := exec.CommandContext(t.Context(), python, "-B", filepath.Join(readers, "python", "reports.py"), "organization/gridos/dev")
	program.Stdin = bytes.NewReader(outputs)
	return answered(t, program)
}

// answered is the JSON that a program prints.
func answered(t *testing.T, program *exec.Cmd) (map[string]any, error) {
	t.Helper()
	var problem strings.Builder
	program.Stderr = &problem
	output, err := program.Output()
	if err != nil {
		return nil, &said{err, string(output) + problem.String()}
	}
	var exported map[string]any
	require.NoError(t, json.Unmarshal(output, &exported), string(output))
	return exported, nil
}

// inline runs the consumer in TypeScript as an inline program of Pulumi's Automation API.
const inline = `
import { LocalWorkspace } from "@pulumi/pulumi/automation/index.js";

const program = async () => {
  const { database, registry, allowed } = await import("./index.mts");
  return { database, registry, allowed };
};
const [stackName, workDir] = process.argv.slice(2);
const stack = await LocalWorkspace.createOrSelectStack({ stackName, projectName: "reports-typescript", program }, { workDir });
await stack.preview();
const { outputs } = await stack.up();
console.log(JSON.stringify(Object.fromEntries(Object.entries(outputs).map(([key, output]) => [key, output.value]))));
`

func (e *Engine) inTypeScript(t *testing.T) (map[string]any, error) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skipf("the consumer in TypeScript was not tried: %v", err)
	}
	from := filepath.Join(readers, "typescript")
	const withoutTypes = "--experimental-strip-types" // since Node.js 22.6
	find := exec.CommandContext(t.Context(), node, withoutTypes, "-p", `require.resolve("@pulumi/pulumi/package.json")`)
	find.Dir = from
	found, err := find.CombinedOutput()
	if err != nil {
		t.Skipf("the consumer in TypeScript was not tried: it needs Node.js 22.6 or later, and @pulumi/pulumi (npm install in stacks/readers/typescript, "+
			"or NODE_PATH): %.200s", found)
	}
	folder := t.TempDir()
	modules := filepath.Dir(filepath.Dir(filepath.Dir(strings.TrimSpace(string(found)))))
	require.NoError(t, os.Symlink(modules, filepath.Join(folder, "node_modules")))
	for _, name := range []string{"gridos", "index"} {
		text, err := os.ReadFile(filepath.Join(from, name+".ts"))
		require.NoError(t, err)
		text = bytes.ReplaceAll(text, []byte(`"./gridos"`), []byte(`"./gridos.mts"`)) // Node.js completes no names
		require.NoError(t, os.WriteFile(filepath.Join(folder, name+".mts"), text, 0o600))
	}
	main := filepath.Join(folder, "main.mts")
	require.NoError(t, os.WriteFile(main, []byte(inline), 0o600))
	work := filepath.Join(folder, "work")
	require.NoError(t, os.Mkdir(work, 0o700))
	program := exec.CommandContext(t.Context(), node, withoutTypes, "--no-warnings", main, e.site.Environment, work)
	program.Env = os.Environ()
	for name, value := range e.site.Variables(e.record) {
		program.Env = append(program.Env, name+"="+value)
	}
	return answered(t, program)
}

func (e *Engine) inYAML(t *testing.T) (map[string]any, error) {
	t.Helper()
	if _, err := exec.LookPath("pulumi-language-yaml"); err != nil {
		t.Skipf("the consumer in YAML was not tried: %v; it is in Pulumi's own download. TestUnit_TheReferenceConsumersReadWhatTheyRegistered "+
			"checks its references", err)
	}
	folder := t.TempDir()
	text, err := os.ReadFile(filepath.Join(readers, "yaml", "Pulumi.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Pulumi.yaml"), text, 0o600))
	stack, err := auto.UpsertStackLocalSource(t.Context(), e.site.Environment, folder, e.consumer(folder)...)
	require.NoError(t, err)
	return brought(t, stack)
}
