// Package enginetest breaks the rules of docs/azure-rules.md as a person would. The real engine
// runs a Pulumi program with the typed arguments of the SDK against the simulated Azure, and the
// test reads the error that the engine prints. Each test is the valid environment of
// environment_test.go with one mistake in it.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/pulumicli"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/lab/internal/providers"
)

const (
	repository = "../../../.."
	project    = "rules"
	stackName  = "dev"
)

// TestMain removes the resources that the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	if dir := template.dir; dir != "" {
		if err := os.RemoveAll(dir); err != nil {
			_, _ = os.Stderr.WriteString("remove the tests' template: " + err.Error() + "\n")
		}
	}
	os.Exit(code)
}

// template is an empty stack that every test copies, because creating one with the CLI takes as
// long as a preview.
var template struct {
	once sync.Once
	err  error
	dir  string
	cli  auto.PulumiCommand
}

func makeTemplate(ctx context.Context) error {
	tools, err := filepath.Abs(filepath.Join(repository, "tools"))
	if err != nil {
		return err
	}
	resolver := toolchain.Resolver{ToolsDir: tools}
	paths, err := resolver.Resolve(ctx, toolchain.Pulumi)
	if err != nil {
		return err
	}
	// The Automation API looks for the CLI on PATH.
	path := strings.Join(append(paths.Dirs(), os.Getenv("PATH")), string(os.PathListSeparator))
	if err := errors.Join(os.Setenv("PATH", path), os.Unsetenv("PULUMI_CONFIG_PASSPHRASE_FILE")); err != nil {
		return err
	}
	cli, err := auto.NewPulumiCommand(nil)
	if err != nil {
		return err
	}
	template.cli = pulumicli.Brief{PulumiCommand: cli, Exists: func(string) bool { return true }}
	if template.dir, err = os.MkdirTemp("", "enginetest-"); err != nil {
		return err
	}
	l := &lab{dir: template.dir}
	space, err := l.workspace(ctx, nil, auto.Project(workspace.Project{
		Name: tokens.PackageName(project), Runtime: workspace.NewProjectRuntimeInfo("go", nil),
	}))
	if err != nil {
		return err
	}
	_, err = auto.NewStack(ctx, stackName, space)
	return err
}

// lab is a simulated Azure with a stack that is deployed to it.
type lab struct {
	t       *testing.T
	cloud   *azure.Cloud
	options azure.Options
	port    int
	dir     string
}

// open returns an empty lab for this test alone.
func open(t *testing.T, options azure.Options) *lab {
	t.Helper()
	template.once.Do(func() { template.err = makeTemplate(context.WithoutCancel(t.Context())) })
	require.NoError(t, template.err)
	l := &lab{t: t, dir: t.TempDir()}
	require.NoError(t, os.CopyFS(l.dir, os.DirFS(template.dir)))
	if options.StateFile == "" {
		options.StateFile = filepath.Join(l.dir, "azure.json")
	}
	l.serve(options)
	return l
}

// serve starts a simulated Azure with the state that the lab's earlier one has left, and with other
// options.
func (l *lab) serve(options azure.Options) {
	l.t.Helper()
	cloud, err := azure.Open(options)
	require.NoError(l.t, err)
	server, err := providers.Serve(l.t.Context(), cloud.Provider())
	require.NoError(l.t, err)
	l.cloud, l.options, l.port = cloud, options, server.Port
}

// slowly makes Azure take its time from now on: scale is a factor on its real durations.
func (l *lab) slowly(scale float64) {
	l.t.Helper()
	options := l.options
	options.TimeScale = scale
	l.serve(options)
}

// copied returns a lab for a part of the test, with the same stack and the same Azure, which can be
// used in parallel with l.
func (l *lab) copied(t *testing.T) *lab {
	t.Helper()
	other := &lab{t: t, dir: t.TempDir()}
	require.NoError(t, os.CopyFS(other.dir, os.DirFS(l.dir)))
	options := l.options
	options.StateFile = filepath.Join(other.dir, "azure.json")
	other.serve(options)
	return other
}

func (l *lab) workspace(ctx context.Context, program pulumi.RunFunc, more ...auto.LocalWorkspaceOption) (auto.Workspace, error) {
	work := filepath.Join(l.dir, "work")
	for _, dir := range []string{work, filepath.Join(l.dir, "backend"), filepath.Join(l.dir, "tmp")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	options := []auto.LocalWorkspaceOption{
		auto.WorkDir(work),
		auto.PulumiHome(filepath.Join(l.dir, "home")),
		auto.Pulumi(template.cli),
		auto.Program(program),
		auto.EnvVars(map[string]string{
			"TMPDIR":                   filepath.Join(l.dir, "tmp"),
			"PULUMI_BACKEND_URL":       "file://" + filepath.Join(l.dir, "backend"),
			"PULUMI_CONFIG_PASSPHRASE": "test",
			"PULUMI_DEBUG_PROVIDERS":   "azure-native:" + strconv.Itoa(l.port),
			"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
			"PULUMI_SKIP_UPDATE_CHECK":                    "true",
			"GRPC_ENABLE_TXT_SERVICE_CONFIG":              "false", // as in site.Site.Variables
		}),
	}
	return auto.NewLocalWorkspace(ctx, append(options, more...)...)
}

// outcome has the messages and the operations of the engine.
type outcome struct {
	t      *testing.T
	err    error
	errors []complaint
	// ops are the operations done or planned, by the name of the resource: create, update, replace,
	// delete or same.
	ops map[string]apitype.OpType
	// summary is the engine's own count of these.
	summary map[apitype.OpType]int
	// printed is the CLI's output for the user, with each run of white space as one blank.
	printed string
}

// complaint is an error message of the engine.
type complaint struct {
	// resource is the name of the resource that it is about, or "".
	resource, message string
}

func (l *lab) preview(program pulumi.RunFunc) *outcome {
	l.t.Helper()
	return l.run(program, func(ctx context.Context, s auto.Stack, to chan<- events.EngineEvent, out *bytes.Buffer) error {
		_, err := s.Preview(ctx, optpreview.EventStreams(to), optpreview.ProgressStreams(out), optpreview.ErrorProgressStreams(out))
		return err
	})
}

func (l *lab) up(program pulumi.RunFunc) *outcome {
	l.t.Helper()
	return l.run(program, func(ctx context.Context, s auto.Stack, to chan<- events.EngineEvent, out *bytes.Buffer) error {
		_, err := s.Up(ctx, optup.EventStreams(to), optup.ProgressStreams(out), optup.ErrorProgressStreams(out))
		return err
	})
}

// upRefreshed updates as "pulumi up --refresh" does: it first brings the state up to date with
// Azure.
func (l *lab) upRefreshed(program pulumi.RunFunc) *outcome {
	l.t.Helper()
	return l.run(program, func(ctx context.Context, s auto.Stack, to chan<- events.EngineEvent, out *bytes.Buffer) error {
		_, err := s.Up(ctx, optup.Refresh(), optup.EventStreams(to), optup.ProgressStreams(out), optup.ErrorProgressStreams(out))
		return err
	})
}

func (l *lab) down() *outcome {
	l.t.Helper()
	return l.run(nil, func(ctx context.Context, s auto.Stack, to chan<- events.EngineEvent, out *bytes.Buffer) error {
		_, err := s.Destroy(ctx, optdestroy.EventStreams(to), optdestroy.ProgressStreams(out), optdestroy.ErrorProgressStreams(out))
		return err
	})
}

// patience is far more than any operation takes. It ends a test whose program and engine wait for
// each other.
const patience = 2 * time.Minute

func (l *lab) run(
	program pulumi.RunFunc, do func(context.Context, auto.Stack, chan<- events.EngineEvent, *bytes.Buffer) error,
) *outcome {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	space, err := l.workspace(ctx, program)
	require.NoError(l.t, err)
	stack, err := auto.SelectStack(ctx, stackName, space)
	require.NoError(l.t, err)

	o := &outcome{t: l.t, ops: map[string]apitype.OpType{}}
	to, over := make(chan events.EngineEvent), make(chan struct{})
	var seen sync.WaitGroup
	seen.Go(func() {
		for {
			select {
			case event, open := <-to:
				if !open {
					return
				}
				o.see(event)
			case <-over: // the channel is closed only if the CLI got as far as running the engine
				return
			}
		}
	})
	var out bytes.Buffer
	o.err = do(ctx, stack, to, &out)
	close(over)
	seen.Wait()
	require.NoError(l.t, ctx.Err(), "the engine took too long:\n%s", out.String())
	o.printed = flat(out.String())
	return o
}

func (o *outcome) see(event events.EngineEvent) {
	switch {
	case event.DiagnosticEvent != nil && event.DiagnosticEvent.Severity == "error":
		o.errors = append(o.errors, complaint{
			nameOf(event.DiagnosticEvent.URN), flat(colors.Never.Colorize(event.DiagnosticEvent.Message)),
		})
	case event.SummaryEvent != nil:
		o.summary = event.SummaryEvent.ResourceChanges
	case event.ResourcePreEvent != nil:
		m := event.ResourcePreEvent.Metadata
		// A replacement has several steps; only one of them is called "replace".
		if name := nameOf(m.URN); o.ops[name] != apitype.OpReplace {
			o.ops[name] = m.Op
		}
	}
}

func nameOf(text string) string {
	if u, err := urn.Parse(text); err == nil {
		return u.Name()
	}
	return ""
}

func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// accepted requires that the engine found nothing wrong.
func (o *outcome) accepted() *outcome {
	o.t.Helper()
	require.Empty(o.t, o.errors)
	require.NoError(o.t, o.err)
	return o
}

// mistake describes what the error must tell a user about one mistake.
type mistake struct {
	// resource is the name, in the program, of the resource with the mistake; "a or b" if either
	// may be named.
	resource string
	// rule is the id in docs/azure-rules.md, or "" if there is none.
	rule string
	// code is Azure's error code; "" if azure-native itself refuses.
	code string
	// property is the path of the wrong input; "" if the resource itself is wrong.
	property string
	// says are parts of the message: what is wrong and the remedy.
	says []string
}

// refused requires that the engine failed for one reason, and that the message told the user all
// about it.
func (o *outcome) refused(m mistake) *outcome {
	o.t.Helper()
	require.Error(o.t, o.err, "this must be refused")
	culprits := strings.Split(m.resource, " or ")
	about := slices.DeleteFunc(slices.Clone(o.errors), func(c complaint) bool { return !slices.Contains(culprits, c.resource) })
	require.NotEmpty(o.t, about, "no error is about %s: %v", m.resource, o.errors)
	message := about[0].message
	require.NotEmpty(o.t, m.says, "a test that asks for no words may pass for another reason")
	want := m.says
	if m.code != "" {
		want = append(want, `Code="`+m.code+`"`)
		assert.Equal(o.t, 1, strings.Count(message, `Code="`), "one mistake has one message: %s", message)
	}
	if m.rule != "" {
		want = append(want, "(rule "+m.rule+")")
	} else {
		assert.NotContains(o.t, message, "(rule ")
	}
	if m.property != "" && m.code != "" {
		want = append(want, "Target="+m.property)
	}
	for _, words := range want {
		assert.Contains(o.t, message, words)
		assert.Contains(o.t, o.printed, words, "the user must see it")
	}
	return o
}

// previewRefuses breaks a rule that needs no other resource. A preview must find the mistake before
// anything is deployed.
func previewRefuses(t *testing.T, e *environment, goal string, m mistake) {
	t.Helper()
	l := open(t, azure.Options{})
	m.resource = goal
	l.preview(e.program(goal)).refused(m)
	require.Empty(t, l.cloud.Inventory())
}

// upRefuses breaks a rule about other resources, and returns the lab with the resources that exist
// then. The mistake is in the last goal, unless m says something else.
func upRefuses(t *testing.T, e *environment, m mistake, goals ...string) *lab {
	t.Helper()
	l := open(t, azure.Options{})
	if m.resource == "" {
		m.resource = goals[len(goals)-1]
	}
	l.up(e.program(goals...)).refused(m)
	return l
}

// thenRefuses deploys the valid goals, and then deploys them with a mistake in the last one.
func thenRefuses(t *testing.T, e *environment, m mistake, goals ...string) {
	t.Helper()
	l := open(t, azure.Options{})
	l.up(valid().program(goals...)).accepted()
	if m.resource == "" {
		m.resource = goals[len(goals)-1]
	}
	l.up(e.program(goals...)).refused(m)
}

// thenPreviewRefuses deploys the valid goals; then a preview must refuse a mistake in the last one.
func thenPreviewRefuses(t *testing.T, e *environment, m mistake, goals ...string) {
	t.Helper()
	l := open(t, azure.Options{})
	l.up(valid().program(goals...)).accepted()
	if m.resource == "" {
		m.resource = goals[len(goals)-1]
	}
	l.preview(e.program(goals...)).refused(m)
}

// togetherRefuses deploys a base, and then two resources at once; Azure must refuse one of them.
// scale is a factor on Azure's real durations. It makes an operation take most of a second, so that
// the second one comes before the first is over.
func togetherRefuses(t *testing.T, e *environment, scale float64, base string, m mistake, goals ...string) {
	t.Helper()
	l := open(t, azure.Options{})
	l.up(e.program(base)).accepted()
	l.slowly(scale)
	l.up(e.program(goals...)).refused(m)
}
