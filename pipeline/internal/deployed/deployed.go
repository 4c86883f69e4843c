// Package deployed works on the stacks of a real environment, with the Pulumi CLI and the
// credentials of the user who runs it.
package deployed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/pulumicli"
	"github.com/gridos/sharedinfra/pipeline/internal/approval"
	"github.com/gridos/sharedinfra/stacks"
)

// Environment is the four stacks of dev, test or prod.
type Environment struct {
	name, repository string
	cli              auto.PulumiCommand
	log              io.Writer
}

// Open returns an environment whose projects are in the checkout repository. The output of the CLI
// goes to log. Open returns an error when there is no usable CLI.
func Open(repository, name string, log io.Writer) (Environment, error) {
	cli, err := pulumicli.Find(0, os.Environ) // an update in Azure has no time limit
	if err != nil {
		return Environment{}, fmt.Errorf("the Pulumi CLI is needed; install it (https://www.pulumi.com/docs/install): %w", err)
	}
	return Environment{name: name, repository: repository, cli: cli, log: log}, nil
}

// Preview reports what an update would do. When the preview of one project fails, the report still
// has the others.
func (e Environment) Preview(ctx context.Context) (changes.Report, error) {
	return e.report(ctx, changes.Report{Environment: e.name}, func(ctx context.Context, s auto.Stack, to chan<- events.EngineEvent) error {
		_, err := s.Preview(ctx, optpreview.EventStreams(to), optpreview.ProgressStreams(e.log),
			optpreview.ErrorProgressStreams(e.log), optpreview.SuppressOutputs())
		return err
	})
}

// Drift reports changes since the last update that did not come from Pulumi. It reads the resources
// and leaves the state as it is: a refresh that writes would record the drift as the wanted state
// (pulumi issue 10760).
func (e Environment) Drift(ctx context.Context) (changes.Report, error) {
	return e.report(ctx, changes.Report{Environment: e.name, Drift: true},
		func(ctx context.Context, s auto.Stack, to chan<- events.EngineEvent) error {
			_, err := s.PreviewRefresh(ctx, optrefresh.EventStreams(to), optrefresh.ProgressStreams(e.log),
				optrefresh.ErrorProgressStreams(e.log), optrefresh.SuppressOutputs())
			return err
		})
}

// report runs an operation that changes nothing on every stack.
func (e Environment) report(
	ctx context.Context, report changes.Report, do func(context.Context, auto.Stack, chan<- events.EngineEvent) error,
) (changes.Report, error) {
	for _, p := range stacks.Projects() {
		collector := changes.Collector{Refresh: report.Drift}
		project := changes.Project{Name: p.Name}
		state, err := e.watched(ctx, p, collector.See, do)
		switch {
		case ctx.Err() != nil:
			return report, ctx.Err()
		case err != nil:
			project.Error = err.Error()
		default:
			project = collector.Project(p.Name, state)
		}
		report.Projects = append(report.Projects, project)
	}
	if report.Drift { // drift is no decision about money or versions
		return report, nil
	}
	// Overlays are compared by the lab: as deployed, Argo CD already has those of the branch that it
	// follows.
	now := time.Now()
	return report, errors.Join(report.Price(now), report.CheckSupport(now), report.Render(ctx, changes.Sides{After: e.repository}))
}

// watched runs an operation on a project's stack, passes its events to see, and returns the
// resources of the stack's state.
func (e Environment) watched(
	ctx context.Context, p stacks.Project, see func(apitype.EngineEvent),
	do func(context.Context, auto.Stack, chan<- events.EngineEvent) error,
) ([]apitype.ResourceV3, error) {
	stack, err := e.stack(ctx, p)
	if err != nil {
		return nil, err
	}
	channel, ended, seen := make(chan events.EngineEvent), make(chan struct{}), make(chan struct{})
	var lost error
	var said []string
	go func() {
		defer close(seen)
		for {
			select {
			case event, open := <-channel:
				if !open {
					return
				}
				if event.Error != nil { // the report would lack events
					lost = fmt.Errorf("%s/%s: not all that the engine did was told: %w", p.Name, e.name, event.Error)
				}
				if d := event.DiagnosticEvent; d != nil && d.Severity == "error" && len(said) < mostSaid {
					said = append(said, strings.TrimSpace(colors.Never.Colorize(d.Message)))
				}
				see(event.EngineEvent)
			case <-ended: // a CLI that failed early sends no event, and the channel is left open
				return
			}
		}
	}()
	err = do(ctx, stack, channel)
	close(ended)
	<-seen
	if err != nil {
		return nil, errors.New(strings.Join(append([]string{e.explain(p, err).Error()}, said...), "\n"))
	}
	if lost != nil {
		return nil, lost
	}
	state, err := stack.Export(ctx)
	if err != nil {
		return nil, err
	}
	return pulumicli.Resources(state)
}

func (e Environment) stack(ctx context.Context, p stacks.Project) (auto.Stack, error) {
	stack, err := auto.SelectStackLocalSource(ctx, e.name, filepath.Join(e.repository, p.Directory), auto.Pulumi(e.cli))
	if auto.IsSelectStack404Error(err) {
		return stack, fmt.Errorf("there is no stack %s/%s in the backend; docs/INFRA_PIPELINE_SETUP.md tells how to create it",
			p.Name, e.name)
	}
	if err != nil {
		return stack, fmt.Errorf("%s/%s: %w", p.Name, e.name, err)
	}
	return stack, nil
}

// mostSaid bounds how many of the engine's errors are reported: the rest follows from the first.
const mostSaid = 10

// explain makes one sentence of an operation's error: the CLI has already printed the rest.
func (e Environment) explain(p stacks.Project, err error) error {
	if auto.IsConcurrentUpdateError(err) {
		return fmt.Errorf("another update of %s/%s is running; wait for it (docs/recovery.md tells what to do if it was killed)",
			p.Name, e.name)
	}
	return fmt.Errorf("%s/%s failed; what Pulumi said is above", p.Name, e.name)
}

// Result is what an update did to one stack.
type Result struct {
	Project stacks.Project
	// Changes counts resources by what was done with them: create, update, replace, delete, same.
	Changes map[string]int
}

// Up brings the environment up, project by project, each with the outputs of the ones before it,
// and does nothing that is not in the approved plan. Before it changes the first project it
// previews all of them, and refuses an update that would do anything else. It previews each later
// project again just before its turn, when the outputs that it reads are known. During an update
// the engine is bound to that preview: a value that becomes known during the update causes no
// operation that was not planned. Up stops at the first project that fails: those after it read its
// outputs.
func (e Environment) Up(ctx context.Context, approved approval.Plan, commit string, consents []string) ([]Result, error) {
	if err := approved.CheckFor(e.name, commit, stacks.ContractVersion, consents); err != nil {
		return nil, err
	}
	key, err := e.unseal(ctx, approved.SealedKey)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gridos-deploy-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := e.check(ctx, approved, key, dir); err != nil {
		return nil, err
	}
	var results []Result
	for _, p := range stacks.Projects() {
		if !first(p) {
			if err := e.checkStack(ctx, approved, p, key, dir); err != nil {
				return results, fmt.Errorf("%s/%s was left as it is: %w", p.Name, e.name, err)
			}
		}
		result, err := e.up(ctx, p, constraints(dir, p))
		if err != nil {
			return results, err
		}
		results = append(results, result)
	}
	return results, nil
}

// up updates one stack within the constraints of the engine.
func (e Environment) up(ctx context.Context, p stacks.Project, constraints string) (Result, error) {
	stack, err := e.stack(ctx, p)
	if err != nil {
		return Result{}, err
	}
	if _, err := fmt.Fprintf(e.log, "\n== %s/%s\n", p.Name, e.name); err != nil {
		return Result{}, err
	}
	options := []optup.Option{
		optup.ProgressStreams(e.log), optup.ErrorProgressStreams(e.log), optup.SuppressOutputs(), optup.Plan(constraints),
	}
	if refreshed(p) {
		options = append(options, optup.Refresh())
	}
	up, err := stack.Up(ctx, options...)
	if err != nil {
		return Result{}, errors.Join(ctx.Err(), e.explain(p, err))
	}
	result := Result{Project: p}
	if up.Summary.ResourceChanges != nil {
		result.Changes = *up.Summary.ResourceChanges
	}
	return result, nil
}

// Commit returns the commit that the environment was last updated from, or "" if it never was, or
// not from a repository.
func (e Environment) Commit(ctx context.Context) (string, error) {
	stack, err := e.stack(ctx, stacks.Infra)
	if err != nil {
		return "", err
	}
	updates, err := stack.History(ctx, 1, 1)
	if err != nil {
		return "", fmt.Errorf("ask which commit %s was last updated from: %w", e.name, err)
	}
	if len(updates) == 0 {
		return "", nil
	}
	return updates[0].Environment["git.head"], nil // so the CLI calls it (pulumi, pkg/backend, GitHead)
}

// Published returns what the root project publishes, by key. It has no secret.
func (e Environment) Published(ctx context.Context) (auto.OutputMap, error) {
	stack, err := e.stack(ctx, stacks.Published)
	if err != nil {
		return nil, err
	}
	return stack.Outputs(ctx)
}
