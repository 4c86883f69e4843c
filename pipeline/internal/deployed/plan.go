package deployed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/pipeline/internal/approval"
	"github.com/gridos/sharedinfra/stacks"
)

// Plan previews all stacks and returns the plan to approve, with a report of it for people. Each
// preview gets the outputs that the stacks before it are going to export, so the plan is of an
// update of all. commit is that of the checkout.
func (e Environment) Plan(ctx context.Context, commit string) (approval.Plan, changes.Report, error) {
	key := approval.NewKey()
	sealed, err := e.seal(ctx, key)
	if err != nil {
		return approval.Plan{}, changes.Report{}, err
	}
	dir, err := os.MkdirTemp("", "gridos-plan-*")
	if err != nil {
		return approval.Plan{}, changes.Report{}, err
	}
	defer os.RemoveAll(dir)
	plan, report, err := e.plan(ctx, commit, key, dir)
	plan.SealedKey = sealed
	return plan, report, err
}

// plan previews all stacks. Files that it needs are in dir; constraints(dir, project) is the file
// with what the engine may do according to the preview of a stack.
func (e Environment) plan(ctx context.Context, commit string, key approval.Key, dir string) (approval.Plan, changes.Report, error) {
	plan := approval.Plan{Environment: e.name, Commit: commit, ContractVersion: stacks.ContractVersion}
	report := changes.Report{Environment: e.name}
	next := stacks.Planned{}
	for _, p := range stacks.Projects() {
		stack, project, outputs, err := e.planStack(ctx, p, key, dir, next)
		if ctx.Err() != nil {
			return plan, report, ctx.Err()
		}
		if err != nil {
			project = changes.Project{Name: p.Name, Error: err.Error()}
		}
		plan.Stacks = append(plan.Stacks, stack)
		report.Projects = append(report.Projects, project)
		if len(stack.Entries) > 0 {
			next[p.Name] = outputs
		}
	}
	plan.Dangers, plan.Consent = report.Dangers(), report.Consent()
	now := time.Now()
	return plan, report, errors.Join(report.Price(now), report.CheckSupport(now))
}

// planStack previews one stack with the outputs in next, which the stacks before it are going to
// export.
func (e Environment) planStack(
	ctx context.Context, p stacks.Project, key approval.Key, dir string, next stacks.Planned,
) (approval.Stack, changes.Project, stacks.PlannedOutputs, error) {
	recorder, collector := approval.Recorder{Key: key}, changes.Collector{}
	see := func(event apitype.EngineEvent) {
		recorder.See(event)
		collector.See(event)
	}
	exports := filepath.Join(dir, "exports.json")
	text, err := json.Marshal(next)
	if err == nil {
		err = os.WriteFile(exports, text, 0o600)
	}
	if err != nil {
		return approval.Stack{}, changes.Project{}, stacks.PlannedOutputs{},
			fmt.Errorf("hand over what stacks are going to export: %w", err)
	}
	if _, err := fmt.Fprintf(e.log, "\n== plan of %s/%s\n", p.Name, e.name); err != nil {
		return approval.Stack{}, changes.Project{}, stacks.PlannedOutputs{}, err
	}
	state, err := e.watched(ctx, p, see, func(ctx context.Context, s auto.Stack, to chan<- events.EngineEvent) error {
		s.Workspace().SetEnvVar(stacks.PlannedVariable, exports)
		options := []optpreview.Option{
			optpreview.EventStreams(to), optpreview.ProgressStreams(e.log), optpreview.ErrorProgressStreams(e.log),
			optpreview.SuppressOutputs(), optpreview.Plan(constraints(dir, p)),
		}
		if refreshed(p) {
			options = append(options, optpreview.Refresh())
		}
		_, err := s.Preview(ctx, options...)
		return err
	})
	if err != nil {
		return approval.Stack{Project: p.Name}, changes.Project{}, stacks.PlannedOutputs{}, err
	}
	stack, err := recorder.Stack(p.Name)
	known, names := recorder.Outputs()
	outputs := stacks.PlannedOutputs{Known: known}
	for _, name := range names {
		if _, ok := known[name]; !ok {
			outputs.Unknown = append(outputs.Unknown, name)
		}
	}
	return stack, collector.Project(p.Name, state), outputs, err
}

// constraints is the file with what the engine may do with a stack: its own plan of the last
// preview (pulumi preview --save-plan). It has values in clear, and never leaves the machine.
func constraints(dir string, p stacks.Project) string {
	return filepath.Join(dir, p.Name+".json")
}

// refreshed reports whether an update of the project begins with a refresh. An update sends the
// number of nodes in the state, which the cluster autoscaler may have changed since: Azure may take
// the old number as an order, or refuse it (terraform-provider-azurerm#4429). The other projects
// have no such value, and a refresh would record a half-deleted Helm release as complete.
func refreshed(p stacks.Project) bool { return p == stacks.Infra }

// check previews all stacks as they are now, and returns an error unless what an update would do
// was approved.
func (e Environment) check(ctx context.Context, approved approval.Plan, key approval.Key, dir string) error {
	now, report, err := e.plan(ctx, approved.Commit, key, dir)
	if err != nil {
		return err
	}
	if failed := report.Errors(); len(failed) > 0 {
		return fmt.Errorf("nothing was changed, because what an update would do is not known: %s", failed[0])
	}
	return approved.Check(now)
}

// checkStack is check for one stack, after those before it were updated.
func (e Environment) checkStack(ctx context.Context, approved approval.Plan, p stacks.Project, key approval.Key, dir string) error {
	now, project, _, err := e.planStack(ctx, p, key, dir, nil)
	if err != nil {
		return err
	}
	one := changes.Report{Environment: e.name, Projects: []changes.Project{project}}
	return approved.CheckStack(now, one.Dangers())
}

// first reports whether the stack is updated first: its preview in check is still valid when its
// turn comes.
func first(p stacks.Project) bool { return slices.Index(stacks.Projects(), p) == 0 }
