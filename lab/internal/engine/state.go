package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/stacks"
)

// State is the engine's record of a stack.
type State struct {
	// Resources are in the order in which they were registered. Secrets are in clear text: an
	// object with the key plaintext, whose value is JSON. Callers must not write them anywhere.
	Resources []apitype.ResourceV3
	// Unfinished is the number of operations that are recorded as begun and not ended.
	Unfinished int
}

// States returns the state of every stack, by project; that of a stack that does not exist is
// empty.
func (e *Engine) States(ctx context.Context) (map[string]State, error) {
	return ofEach(ctx, e, readState)
}

// State returns the state of a project's stack; that of one that does not exist is empty.
func (e *Engine) State(ctx context.Context, project stacks.Project) (State, error) {
	p, err := e.partNamed(project)
	if err != nil {
		return State{}, err
	}
	return askOne(ctx, e, p, readState)
}

func readState(ctx context.Context, workspace auto.Workspace, stack string) (State, error) {
	exported, err := workspace.ExportStack(ctx, stack)
	if err != nil || len(exported.Deployment) == 0 {
		return State{}, err
	}
	var deployment apitype.DeploymentV3
	if err := json.Unmarshal(exported.Deployment, &deployment); err != nil {
		return State{}, fmt.Errorf("the state of stack %s is malformed: %w", stack, err)
	}
	return State{deployment.Resources, len(deployment.PendingOperations)}, nil
}

// hasOutputs reports whether the stack has published outputs.
func (s State) hasOutputs() bool {
	return slices.ContainsFunc(s.Resources, func(r apitype.ResourceV3) bool {
		return r.Type == resource.RootStackType && len(r.Outputs) > 0
	})
}

// owned counts the resources as the engine does in its summaries: without resources that the stack
// only reads, and without the provider that reads them.
func (s State) owned() int {
	n := 0
	for _, r := range s.Resources {
		if !r.External && r.Type != "pulumi:providers:pulumi" {
			n++
		}
	}
	return n
}

// AzureIDs returns the ARM ids of the resources in the state of gridos-infra.
func (e *Engine) AzureIDs(ctx context.Context) ([]string, error) {
	state, err := e.State(ctx, stacks.Infra)
	ids := make([]string, len(state.Resources))
	for i, r := range state.Resources {
		ids[i] = string(r.ID)
	}
	return ids, err
}

// Count returns the number of resources that every stack owns, by project; a stack that does not
// exist owns none.
func (e *Engine) Count(ctx context.Context) (map[string]int, error) {
	states, err := e.States(ctx)
	counts := make(map[string]int, len(states))
	for project, state := range states {
		counts[project] = state.owned()
	}
	return counts, err
}

// Outputs returns the outputs of every stack, by project and key.
func (e *Engine) Outputs(ctx context.Context) (map[string]auto.OutputMap, error) {
	return ofEach(ctx, e, func(ctx context.Context, workspace auto.Workspace, stack string) (auto.OutputMap, error) {
		return workspace.StackOutputs(ctx, stack)
	})
}

// question reads something from a stack. Its error is the Automation API's own, which says whether
// the stack is missing.
type question[T any] func(ctx context.Context, workspace auto.Workspace, stack string) (T, error)

// ofEach asks every stack at once, because starting the CLI takes most of the time. It writes
// nothing, so it may run while another command works. A missing stack answers with T's zero value.
func ofEach[T any](ctx context.Context, e *Engine, ask question[T]) (map[string]T, error) {
	group, ctx := errgroup.WithContext(ctx)
	parts := line()
	answers := make([]T, len(parts))
	for i, p := range parts {
		group.Go(func() error {
			var err error
			if answers[i], err = askOne(ctx, e, p, ask); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := make(map[string]T, len(parts))
	for i, p := range parts {
		all[p.Name] = answers[i]
	}
	return all, nil
}

// askOne asks without selecting the stack first, which would start the CLI once more.
func askOne[T any](ctx context.Context, e *Engine, p part, ask question[T]) (answer T, err error) {
	workspace, ok, err := e.workspace(ctx, p.Name)
	if err != nil || !ok {
		return answer, err
	}
	answer, err = ask(ctx, workspace, e.site.Environment)
	if auto.IsSelectStack404Error(err) {
		err = nil
	}
	return answer, err
}
