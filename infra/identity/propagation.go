package identity

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// AssignBefore registers the role assignment and returns an option for the resources that need it:
// a resource with the option depends on the assignment and, when it is created or updated, waits
// until the assignment has existed for the time propagation. Azure accepts an assignment at once
// and honours it later (rule I5). For an assignment that existed before this update no resource
// waits, nor does any in a preview.
//
// The resource waits, and not the assignment: the engine holds the state of a resource locked
// during its hook after creation, and with it every other resource whose result it wants to record
// (seen in Pulumi 3.246, step.go, CreateStep.Apply).
func AssignBefore(
	ctx *pulumi.Context, name string, a Assignment, propagation time.Duration, opts ...pulumi.ResourceOption,
) (pulumi.ResourceOption, error) {
	if propagation == 0 {
		assignment, err := Assign(ctx, name, a, opts...)
		if err != nil {
			return nil, err
		}
		return pulumi.DependsOn([]pulumi.Resource{assignment}), nil
	}
	var honoured atomic.Pointer[time.Time]
	created, err := ctx.RegisterResourceHook(name+"-created", func(*pulumi.ResourceHookArgs) error {
		at := time.Now().Add(propagation)
		honoured.Store(&at)
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	wait, err := ctx.RegisterResourceHook(name+"-honoured", func(*pulumi.ResourceHookArgs) error {
		return sleepUntil(ctx.Context(), honoured.Load())
	}, nil)
	if err != nil {
		return nil, err
	}
	assignment, err := Assign(ctx, name, a, append(opts[:len(opts):len(opts)],
		pulumi.ResourceHooks(&pulumi.ResourceHookBinding{AfterCreate: []*pulumi.ResourceHook{created}}))...)
	if err != nil {
		return nil, err
	}
	return pulumi.Composite(
		pulumi.DependsOn([]pulumi.Resource{assignment}),
		pulumi.ResourceHooks(&pulumi.ResourceHookBinding{
			BeforeCreate: []*pulumi.ResourceHook{wait},
			BeforeUpdate: []*pulumi.ResourceHook{wait},
		}),
	), nil
}

// sleepUntil returns at the given time, at once when there is none, or with the error of ctx.
func sleepUntil(ctx context.Context, at *time.Time) error {
	if at == nil {
		return nil
	}
	timer := time.NewTimer(time.Until(*at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
