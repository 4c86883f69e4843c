package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
)

// Guard runs program so that everything it registers must keep to the guardrails.
//
// At a preview, Guard collects violations until the program has registered everything, and returns
// them as one *Error. During an update, Guard refuses a resource that breaks a rule before anything
// is created or changed for it (other resources go on); it can report violations of the rules about
// the whole stack, which look for missing resources, only at the end. The update judges values that
// are unknown at a preview. Used waivers are warnings.
//
// The rules see what the engine sees, by a transform that runs in the engine for every
// registration, those of multi-language components included. A transform does not run under the
// SDK's mocks: there, Guard only runs the program, and a test calls Check with the registered
// resources.
//
// The program must register its resources itself and not while an output is applied: resources that
// are registered after the program has returned must still keep to the rules, but Guard refuses
// them one by one.
func Guard(ctx *pulumi.Context, settings Settings, program pulumi.RunFunc) error {
	if ctx.RunningWithMocks() {
		return program(ctx)
	}
	e := &enforcement{project: ctx.Project(), stack: ctx.Stack(), settings: settings, refusing: !ctx.DryRun()}
	if err := ctx.RegisterResourceTransform(transform(ctx, e)); err != nil {
		return fmt.Errorf("the guardrails cannot be applied: %w", err)
	}
	var pending registrations
	if err := ctx.RegisterStackTransformation(pending.track); err != nil {
		return fmt.Errorf("the guardrails cannot be applied: %w", err)
	}
	failure := program(ctx)
	failed := pending.settle(ctx.Context())
	warnings, err := e.verdict(failure == nil && !failed, ctx.DryRun())
	for _, warning := range warnings {
		if err := ctx.Log.Warn(warning, nil); err != nil {
			return err
		}
	}
	if err != nil && failed {
		// The SDK reports the first failed registration instead of the program's error.
		return errors.Join(failure, ctx.Log.Error(err.Error(), nil))
	}
	return errors.Join(failure, err)
}

// transform passes each coming registration to e, and makes it fail when e refuses it.
func transform(ctx *pulumi.Context, e *enforcement) pulumi.ResourceTransform {
	return func(callCtx context.Context, args *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult {
		r, err := described(callCtx, ctx.Project(), ctx.Stack(), args)
		if err == nil {
			err = e.see(r)
		}
		if err == nil {
			return nil
		}
		// A transform has no way to return an error, but what it returns must be sent to the engine, and
		// an input that fails to resolve cannot be: the registration fails with its error.
		refused := pulumi.String("").ToStringOutput().ApplyT(func(string) (string, error) { return "", err })
		return &pulumi.ResourceTransformResult{Props: pulumi.Map{"refused": refused}, Opts: args.Opts}
	}
}

// described converts a coming registration into the form that rules read.
func described(ctx context.Context, project, stack string, args *pulumi.ResourceTransformArgs) (Resource, error) {
	values, references, err := inputs(ctx, args.Props)
	if err != nil {
		return Resource{}, fmt.Errorf("%s: %w", args.Name, err)
	}
	r := Resource{Type: args.Type, Name: args.Name, Properties: values, References: references}
	var qualified tokens.Type // of the parent, with those of its own parents
	if args.Opts.Parent != nil {
		result, err := internals.UnsafeAwaitOutput(ctx, args.Opts.Parent.URN())
		if err != nil {
			return Resource{}, fmt.Errorf("%s: %w", args.Name, err)
		}
		parent, err := urn.Parse(fmt.Sprint(result.Value))
		if err != nil {
			return Resource{}, fmt.Errorf("%s: %w", args.Name, err)
		}
		if parent.QualifiedType() != tokens.RootStackType {
			qualified, r.ParentType = parent.QualifiedType(), string(parent.Type())
		}
	}
	r.URN = string(urn.New(tokens.QName(stack), tokens.PackageName(project), qualified, tokens.Type(args.Type), args.Name))
	return r, nil
}

// registrations are the resources that a program has begun to register.
type registrations struct {
	mu      sync.Mutex
	waiting []pulumi.Resource
	closed  bool
}

// track is the transformation that notes each resource before its registration begins.
func (p *registrations) track(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.waiting = append(p.waiting, args.Resource)
	}
	if !isSetting(args.Type) {
		return nil
	}
	// The engine passes to transforms the resources that each property was made of only if the
	// resource has a transform of its own (seen in the engine 3.246, source_eval.go,
	// upgradeOutputValues). The rule about diagnostics needs to know.
	nothing := func(context.Context, *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult { return nil }
	return &pulumi.ResourceTransformationResult{
		Props: args.Props,
		Opts:  append(slices.Clone(args.Opts), pulumi.Transforms([]pulumi.ResourceTransform{nothing})),
	}
}

// settle waits until every registration has been answered, and reports whether one failed. Without
// this wait the SDK would wait for them after the program.
func (p *registrations) settle(ctx context.Context) (failed bool) {
	for {
		p.mu.Lock()
		batch := p.waiting
		p.waiting = nil
		p.closed = len(batch) == 0
		p.mu.Unlock()
		if len(batch) == 0 {
			return failed
		}
		for _, r := range batch {
			if _, err := internals.UnsafeAwaitOutput(ctx, r.URN()); err != nil {
				failed = true
			}
		}
	}
}
