// Package engine runs the projects with the real Pulumi engine: the CLI, driven through the
// Automation API, with the same programs that the projects' main functions run.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/internal/pulumicli"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// interruptedEnd is how long an interrupted CLI may take to finish its running operations before it
// is killed: several times the length of any operation here. The limit is needed because sometimes
// an interrupted engine and its program wait for each other.
const interruptedEnd = 20 * time.Second

// Engine runs the projects of one environment. Call New to get one.
type Engine struct {
	site     site.Site
	record   site.Record
	progress *progress.Display
	cli      pulumicli.CLI
	// standIns are programs that replace the projects' own, by project.
	standIns map[string]pulumi.RunFunc
}

// New returns an engine that runs the CLI of the record's tools. It puts their directories first on
// this process' PATH, because the Automation API looks there. It returns an error if the CLI does
// not answer.
func New(s site.Site, record site.Record, display *progress.Display) (*Engine, error) {
	err := os.Setenv("PATH", s.Variables(record)["PATH"])
	for _, variable := range os.Environ() { // the programs run in this process
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PULUMI_") {
			err = errors.Join(err, os.Unsetenv(name))
		}
	}
	if err != nil {
		return nil, err
	}
	command, err := pulumicli.Find(interruptedEnd, func() []string { return process.Environment(s.HomeDir()) })
	if err != nil {
		return nil, fmt.Errorf("the Pulumi CLI does not answer: %w", err)
	}
	return &Engine{site: s, record: record, progress: display, cli: command}, nil
}

// Result is what an operation did to one stack.
type Result struct {
	// Project is the stack's project.
	Project stacks.Project
	// Changes counts resources by the operation done or planned: create, update, replace, delete,
	// same.
	Changes map[string]int
	// Resources is the number of resources that the stack has after the operation.
	Resources int
	// Duration is how long the operation took. Alone is the CLI's part of it, without finding the
	// stack and copying its files.
	Duration, Alone time.Duration
}

// Changed is the number of resources that the operation touched, or would touch. Reading another
// stack is no change.
func (r Result) Changed() int {
	n := 0
	for op, count := range r.Changes {
		if op != string(apitype.OpSame) && !isRead(op) {
			n += count
		}
	}
	return n
}

func isRead(op string) bool {
	switch apitype.OpType(op) {
	case apitype.OpRead, apitype.OpReadReplacement, apitype.OpReadDiscard:
		return true
	default:
		return false
	}
}

// Summary says what happened, such as "34 created" or "no change".
func (r Result) Summary() string {
	if r.Changed() == 0 {
		return "no change"
	}
	words := []struct {
		op   apitype.OpType
		word string
	}{
		{apitype.OpCreate, "created"},
		{apitype.OpUpdate, "updated"},
		{apitype.OpReplace, "replaced"},
		{apitype.OpDelete, "deleted"},
		{apitype.OpImport, "adopted"},
	}
	var parts []string
	for _, w := range words {
		if n := r.Changes[string(w.op)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w.word))
		}
	}
	return strings.Join(parts, ", ")
}

// Up brings the environment up, project by project, and returns a result for each that succeeded.
// If the state of gridos-apps was lost, Up finds the Applications in the cluster with find and
// adopts them.
func (e *Engine) Up(ctx context.Context, overrides Overrides, find FindID) ([]Result, error) {
	var results []Result
	for _, p := range line() {
		if p.Project == stacks.Apps {
			if _, err := e.adoptApplications(ctx, overrides, find, true); err != nil {
				return results, err
			}
		}
		result, err := e.one(ctx, upOperation(overrides), p)
		if err != nil {
			return results, err
		}
		results = append(results, result)
	}
	return results, nil
}

// upWith brings a project up; parallel is the number of resources at once, as in UpOne.
func upWith(parallel int) func(context.Context, auto.Stack, *watcher) error {
	return func(ctx context.Context, s auto.Stack, w *watcher) error {
		_, err := s.Up(ctx, optup.EventStreams(w.events()), optup.ProgressStreams(w.log),
			optup.ErrorProgressStreams(w.log), optup.SuppressOutputs(), optup.Parallel(parallel))
		return err
	}
}

// Preview plans the environment, project by project, and changes nothing.
func (e *Engine) Preview(ctx context.Context, overrides Overrides) ([]Result, error) {
	return e.each(ctx, previewOperation(overrides), line())
}

// previewWith plans a project; parallel is the number of resources at once, as in UpOne.
func previewWith(parallel int) func(context.Context, auto.Stack, *watcher) error {
	return func(ctx context.Context, s auto.Stack, w *watcher) error {
		_, err := s.Preview(ctx, optpreview.EventStreams(w.events()), optpreview.ProgressStreams(w.log),
			optpreview.ErrorProgressStreams(w.log), optpreview.SuppressOutputs(), optpreview.Parallel(parallel))
		return err
	}
}

// Down destroys the environment in reverse. It lifts protection first, because the lab holds
// nothing worth protecting. It uses the configuration of the last operation: a mistake in the
// stack's files must not keep anything up.
func (e *Engine) Down(ctx context.Context) ([]Result, error) {
	reversed := line()
	slices.Reverse(reversed)
	results, err := e.each(ctx, downOperation(), reversed)
	if err != nil {
		return results, err
	}
	return results, e.recovered() // no state is left that could be wrong
}

func downOne(ctx context.Context, s auto.Stack, w *watcher) error {
	if err := unprotect(ctx, s, w); err != nil {
		return err
	}
	err := destroy(ctx, s, w)
	if err != nil && ctx.Err() == nil && clusterIsGone(err) {
		return forgetCluster(ctx, s, w)
	}
	return err
}

func destroy(ctx context.Context, s auto.Stack, w *watcher) error {
	_, err := s.Destroy(ctx, optdestroy.EventStreams(w.events()), optdestroy.ProgressStreams(w.log),
		optdestroy.ErrorProgressStreams(w.log), optdestroy.SuppressOutputs())
	return err
}

// clusterIsGone reports whether the Kubernetes provider did not reach its cluster; the error quotes
// the CLI.
func clusterIsGone(err error) bool {
	return strings.Contains(err.Error(), "configured Kubernetes cluster is unreachable")
}

// forgetCluster follows the procedure of docs/recovery.md for a cluster that was deleted by hand.
// The lab's own cluster exists whenever the lab works. So if a state refers to another cluster,
// that one is gone, with everything in it.
func forgetCluster(ctx context.Context, s auto.Stack, w *watcher) error {
	s.Workspace().SetEnvVar("PULUMI_K8S_DELETE_UNREACHABLE", "true")
	// Deleting a release ignores the variable (pulumi-kubernetes issue 2675); reading one honours
	// it.
	_, err := s.Refresh(ctx, optrefresh.ProgressStreams(w.log), optrefresh.ErrorProgressStreams(w.log), optrefresh.SuppressOutputs())
	if err != nil {
		return err
	}
	return destroy(ctx, s, w)
}

func unprotect(ctx context.Context, s auto.Stack, w *watcher) error {
	if _, err := command(ctx, s, w.log, "state", "unprotect", "--all", "--yes"); err != nil {
		return fmt.Errorf("lift the protection of the resources of %s: %w", s.Name(), err)
	}
	return nil
}

// command runs a command of the CLI that the Automation API lacks, on a stack. Its output goes to
// log too, unless log is nil.
func command(ctx context.Context, s auto.Stack, log io.Writer, args ...string) (stdout string, err error) {
	work := s.Workspace()
	variables := make([]string, 0, len(work.GetEnvVars()))
	for key, value := range work.GetEnvVars() {
		variables = append(variables, key+"="+value)
	}
	var logs []io.Writer
	if log != nil {
		logs = []io.Writer{log}
	}
	stdout, _, _, err = work.PulumiCommand().Run(ctx, work.WorkDir(), nil, logs, logs, variables, append(args, "--stack", s.Name())...)
	return stdout, err
}

// operation is something that the engine does to one stack.
type operation struct {
	verb string
	run  func(ctx context.Context, s auto.Stack, w *watcher) error
	// counts returns the number of resources by operation; nil stands for the engine's own summary.
	counts func() map[string]int
	// stack returns the project's stack, ready to work on; ok is false if there is none, and so
	// nothing to do.
	stack func(ctx context.Context, e *Engine, p part) (s auto.Stack, ok bool, err error)
	// see gets every event of the engine, unless it is nil.
	see func(apitype.EngineEvent)
	// changes says that the operation takes the stack's lock. An operation that only reads takes
	// none. It also leaves a killed engine's lock in place, for Recover or Down to clear up.
	changes bool
}

func upOperation(overrides Overrides) operation {
	return operation{verb: "up", run: upWith(0), stack: configured(overrides), changes: true}
}

func previewOperation(overrides Overrides) operation {
	return operation{verb: "preview", run: previewWith(0), stack: configured(overrides)}
}

func downOperation() operation {
	return operation{verb: "down", run: downOne, stack: asItIs, changes: true}
}

// asItIs is for operations that use the last copy of the stack's files.
func asItIs(ctx context.Context, e *Engine, p part) (auto.Stack, bool, error) {
	return e.existing(ctx, p.Name, auto.Program(p.program))
}

// configured is for operations that use the present stack's files; they create a missing stack.
func configured(overrides Overrides) func(ctx context.Context, e *Engine, p part) (auto.Stack, bool, error) {
	return func(ctx context.Context, e *Engine, p part) (auto.Stack, bool, error) {
		secrets, err := copyFiles(e.site, p.Project, overrides[p.Name])
		if err != nil {
			return auto.Stack{}, false, err
		}
		stack, err := auto.UpsertStackInlineSource(ctx, e.site.Environment, p.Name, p.program, e.operating(p.Name)...)
		if err == nil && len(secrets) > 0 {
			err = stack.SetAllConfigWithOptions(ctx, secrets, &auto.ConfigOptions{Path: true})
		}
		if err == nil {
			err = joinCopies(e.site)
		}
		return stack, err == nil, err
	}
}

// Configure brings the plain CLI's configuration up to date with the stack files, and does nothing
// else.
func (e *Engine) Configure(ctx context.Context, overrides Overrides) error {
	for _, p := range line() {
		secrets, err := copyFiles(e.site, p.Project, overrides[p.Name])
		if err == nil && len(secrets) > 0 { // only the CLI can encrypt
			_, _, err = configured(overrides)(ctx, e, p)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return joinCopies(e.site)
}

// workspace returns the project's workspace from the last operation; ok is false if there is none.
func (e *Engine) workspace(
	ctx context.Context, project string, options ...auto.LocalWorkspaceOption,
) (workspace auto.Workspace, ok bool, err error) {
	// The stack's file is the last one copied before a stack is created.
	if _, err := os.Stat(projectfile.StackFile(e.site.WorkDir(project), e.site.Environment)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // no operation has created it yet
		}
		return nil, false, err
	}
	workspace, err = auto.NewLocalWorkspace(ctx, append(e.options(project), options...)...)
	return workspace, err == nil, err
}

// existing returns the project's stack from the last operation; ok is false if there is none.
func (e *Engine) existing(
	ctx context.Context, project string, options ...auto.LocalWorkspaceOption,
) (stack auto.Stack, ok bool, err error) {
	workspace, ok, err := e.workspace(ctx, project, append(options, auto.Pulumi(e.brief(project)))...)
	if err != nil || !ok {
		return stack, false, err
	}
	stack, err = auto.SelectStack(ctx, e.site.Environment, workspace)
	if auto.IsSelectStack404Error(err) {
		return stack, false, nil
	}
	return stack, err == nil, err
}

func (e *Engine) each(ctx context.Context, do operation, parts []part) ([]Result, error) {
	var results []Result
	for _, p := range parts {
		result, err := e.one(ctx, do, p)
		if err != nil {
			return results, err
		}
		results = append(results, result)
	}
	return results, nil
}

func (e *Engine) one(ctx context.Context, do operation, p part) (Result, error) {
	return e.show(ctx, p.Name+" "+do.verb, do, p)
}

// show runs the operation as a step of that name.
func (e *Engine) show(ctx context.Context, name string, do operation, p part) (Result, error) {
	started := time.Now()
	step := e.progress.Start(name)
	result, err := e.run(ctx, do, p, step)
	switch {
	case err != nil && ctx.Err() != nil:
		step.Fail(errors.New("interrupted"))
		// The engine's own message only says that it was interrupted, and is in the log.
		return result, fmt.Errorf("%s: %s: %w", p.Name, do.verb, ctx.Err())
	case err != nil:
		step.Fail(errors.New("see below"))
		return result, err
	}
	result.Duration = time.Since(started)
	summary := result.Summary()
	if !do.changes && result.Changed() > 0 {
		summary = "would be: " + summary
	}
	step.Done(summary)
	return result, nil
}

func (e *Engine) run(ctx context.Context, do operation, p part, step *progress.Step) (Result, error) {
	result := Result{Project: p.Project}
	if do.changes {
		if err := e.unlock(p.Name); err != nil {
			return result, err
		}
	}
	stack, ok, err := do.stack(ctx, e, p)
	if err != nil {
		return result, fmt.Errorf("%s: %w", p.Name, err)
	}
	if !ok {
		return result, nil
	}
	w, err := watch(e.site.LogFile(p.Name+"-"+do.verb), step, do.see)
	if err != nil {
		return result, err
	}
	began := time.Now()
	err = do.run(ctx, stack, w)
	result.Alone = time.Since(began)
	w.end()
	result.Changes = w.changes
	if do.counts != nil {
		result.Changes = do.counts()
	}
	if err := errors.Join(w.failure(p.Name, do.verb, err), w.log.Close()); err != nil {
		return result, err
	}
	for op, n := range result.Changes {
		if op != string(apitype.OpDelete) && !isRead(op) {
			result.Resources += n
		}
	}
	return result, nil
}

// options are the options of every workspace of the lab.
func (e *Engine) options(project string) []auto.LocalWorkspaceOption {
	variables := e.site.Variables(e.record)
	variables["TMPDIR"] = e.site.TemporaryDir()
	return []auto.LocalWorkspaceOption{
		auto.WorkDir(e.site.WorkDir(project)),
		auto.PulumiHome(e.site.HomeDir()),
		auto.Pulumi(e.cli),
		auto.EnvVars(variables),
	}
}

// operating are the options of a workspace for operations. Its stacks answer no questions.
func (e *Engine) operating(project string) []auto.LocalWorkspaceOption {
	return append(e.options(project), auto.Pulumi(e.brief(project)))
}

// brief is the CLI for operations on a project's stack.
func (e *Engine) brief(project string) pulumicli.Brief {
	return pulumicli.Brief{PulumiCommand: e.cli, Exists: func(stack string) bool {
		_, err := os.Stat(filepath.Join(e.site.BackendDir(), ".pulumi", "stacks", project, stack+".json"))
		return err == nil
	}}
}
