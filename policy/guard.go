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
// At a preview, violations are collected until the program has registered everything; they are the one error that Guard
// returns, an *Error. During an update, a resource that breaks a rule is refused before anything is created or changed for it
// (what keeps to the rules goes on); the rules about the whole stack, for which something has to be missing, can only be
// reported at the end. Values that are unknown at a preview are judged by the update. Waivers that are used are warnings.
//
// The rules see what the engine sees, by a transform that runs in the engine for every registration, those of multi-language
// components included. A transform does not run under the SDK's mocks: there, Guard only runs the program, and a test calls
// Check with what was registered.
//
// The program is to register its resources itself and not while an output is applied: what is registered after the program has
// returned still has to keep to the rules, but it is refused one by one.
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
		// The SDK reports the first registration that failed in place of what the program returns.
		return errors.Join(failure, ctx.Log.Error(err.Error(), nil))
	}
	return errors.Join(failure, err)
}

// transform shows e what the engine is about to register, and lets the registration fail when e refuses it.
func transform(ctx *pulumi.Context, e *enforcement) pulumi.ResourceTransform {
	return func(callCtx context.Context, args *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult {
		r, err := described(callCtx, ctx.Project(), ctx.Stack(), args)
		if err == nil {
			err = e.see(r)
		}
		if err == nil {
			return nil
		}
		// A transform has no way to return an error, but what it returns must be sent to the engine, and an input that fails to
		// resolve cannot be: the registration fails with its error.
		refused := pulumi.String("").ToStringOutput().ApplyT(func(string) (string, error) { return "", err })
		return &pulumi.ResourceTransformResult{Props: pulumi.Map{"refused": refused}, Opts: args.Opts}
	}
}

// described turns what the engine is about to register into what rules read.
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
	// The engine tells transforms what each property was made of only for resources that have a transform of their own (seen in
	// the engine 3.246, source_eval.go, upgradeOutputValues). The rule about diagnostics needs to know.
	nothing := func(context.Context, *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult { return nil }
	return &pulumi.ResourceTransformationResult{
		Props: args.Props,
		Opts:  append(slices.Clone(args.Opts), pulumi.Transforms([]pulumi.ResourceTransform{nothing})),
	}
}

// settle waits until every registration has been answered, and tells whether one failed. A program that is waited for here
// would be waited for by the SDK otherwise.
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
