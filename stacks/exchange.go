package stacks

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Output is one output of a project.
type Output struct {
	// Key is the output's name.
	Key string
	// Secret outputs are encrypted in state and never printed.
	Secret bool
	// field is the index of the output's field in its struct.
	field int
}

// OutputsOf lists the outputs that the Outputs struct T declares, in the order of its fields.
func OutputsOf[T any]() []Output { return outputsOf(reflect.TypeFor[T]()) }

func outputsOf(t reflect.Type) []Output {
	outputs := make([]Output, 0, t.NumField())
	for i := range t.NumField() {
		key, option, _ := strings.Cut(t.Field(i).Tag.Get("output"), ",")
		outputs = append(outputs, Output{Key: key, Secret: option == "secret", field: i})
	}
	return outputs
}

// Export exports every field of outputs under its key; a secret field becomes secret even when its value was not. The
// contract's version needs no value: Export supplies it. A field without a value is an error that names its key.
func Export[T any](ctx *pulumi.Context, outputs T) error {
	value := reflect.ValueOf(outputs)
	var missing []error
	for _, o := range OutputsOf[T]() {
		if o.Key == versionKey {
			ctx.Export(o.Key, pulumi.Int(ContractVersion))
			continue
		}
		output, ok := value.Field(o.field).Interface().(pulumi.Output)
		if !ok || isZeroOutput(output) {
			missing = append(missing, fmt.Errorf("output %q of %s has no value", o.Key, ctx.Project()))
			continue
		}
		if o.Secret {
			output = pulumi.ToSecret(output)
		}
		ctx.Export(o.Key, output)
	}
	return errors.Join(missing...)
}

const versionKey = "contractVersion"

func isZeroOutput(output pulumi.Output) bool { return reflect.ValueOf(output).IsZero() }

// Read returns the outputs of project for the environment of the running stack.
//
// An output that the other stack does not have is an error naming the stack, the key and the command that creates it;
// all of them are reported at once. There is one exception: while previewing, a stack that was never brought up yields
// unknown outputs, so that the whole line can be previewed before its first `up`.
func Read[T any](ctx *pulumi.Context, project Project) (T, error) {
	var outputs T
	reference := project.Reference(ctx.Organization(), ctx.Stack())
	stack, err := pulumi.NewStackReference(ctx, reference, nil)
	if err != nil {
		return outputs, unreadable(ctx, project, err)
	}
	// Waiting here is safe: a stack reference is read during previews too, so this never waits for an unknown.
	version, err := stack.GetOutputDetails(versionKey)
	if err != nil {
		return outputs, unreadable(ctx, project, err)
	}
	deployed := version.Value != nil
	if number, ok := version.Value.(float64); deployed && (!ok || int(number) != ContractVersion) {
		return outputs, fmt.Errorf("stack %s speaks version %v of the contract, this program version %d; %s first",
			reference, version.Value, ContractVersion, howTo(project, ctx.Stack()))
	}

	var missing []error
	value := reflect.ValueOf(&outputs).Elem()
	for _, o := range OutputsOf[T]() {
		if deployed || !ctx.DryRun() {
			details, err := stack.GetOutputDetails(o.Key)
			if err != nil {
				return outputs, unreadable(ctx, project, err)
			}
			if details.Value == nil && details.SecretValue == nil {
				missing = append(missing, fmt.Errorf("stack %s has no output %q; %s first",
					reference, o.Key, howTo(project, ctx.Stack())))
				continue
			}
		}
		output, err := typed(stack.GetOutput(pulumi.String(o.Key)), value.Field(o.field).Type(), reference, o.Key)
		if err != nil {
			return outputs, err
		}
		if o.Secret {
			output = pulumi.ToSecret(output)
		}
		value.Field(o.field).Set(reflect.ValueOf(output))
	}
	return outputs, errors.Join(missing...)
}

func unreadable(ctx *pulumi.Context, project Project, err error) error {
	return fmt.Errorf("stack %s cannot be read; if it does not exist yet, %s first: %w",
		project.Reference(ctx.Organization(), ctx.Stack()), howTo(project, ctx.Stack()), err)
}

func howTo(project Project, environment string) string {
	return fmt.Sprintf("run `pulumi -C %s up -s %s`", project.Directory, environment)
}

// typed converts raw to the output type of the contract's field.
func typed(raw pulumi.AnyOutput, want reflect.Type, reference, key string) (pulumi.Output, error) {
	mismatch := func(v any) error {
		return fmt.Errorf("output %q of stack %s is a %T, which the contract does not say", key, reference, v)
	}
	switch want {
	case reflect.TypeFor[pulumi.StringOutput]():
		return raw.ApplyT(func(v any) (string, error) {
			s, ok := v.(string)
			if !ok {
				return "", mismatch(v)
			}
			return s, nil
		}), nil
	case reflect.TypeFor[pulumi.IntOutput]():
		return raw.ApplyT(func(v any) (int, error) {
			n, ok := v.(float64) // every number in a stack's outputs arrives as a float64
			if !ok {
				return 0, mismatch(v)
			}
			return int(n), nil
		}), nil
	case reflect.TypeFor[pulumi.StringArrayOutput]():
		return raw.ApplyT(func(v any) ([]string, error) {
			items, ok := v.([]any)
			if !ok {
				return nil, mismatch(v)
			}
			list := make([]string, len(items))
			for i, item := range items {
				if list[i], ok = item.(string); !ok {
					return nil, mismatch(v)
				}
			}
			return list, nil
		}), nil
	default:
		return nil, fmt.Errorf("the contract has no outputs of type %v (%s)", want, key)
	}
}
