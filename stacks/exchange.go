package stacks

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"google.golang.org/grpc/status"
)

// Output is one output of a project.
type Output struct {
	// Key is the output's name.
	Key string
	// Secret outputs are encrypted in state and never printed.
	Secret bool
	// Field is the name of its field in Go.
	Field string
	// Type is the type of its plain value.
	Type reflect.Type
	// index leads to the field in its struct, through embedded ones.
	index []int
}

// OutputsOf lists the outputs that the Outputs struct T declares, in the order of its fields.
func OutputsOf[T any]() []Output {
	var outputs []Output
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if output, ok := reflect.Zero(f.Type).Interface().(pulumi.Output); ok {
			outputs = append(outputs, Output{
				Key: f.Tag.Get("json"), Secret: f.Tag.Get("secret") == "true", Field: f.Name, Type: output.ElementType(), index: f.Index,
			})
		}
	}
	return outputs
}

// Export exports every field of outputs under its key; a secret field becomes secret even when its
// value was not. The contract's version needs no value: Export supplies it. A field without a value
// is an error that names its key.
func Export[T any](ctx *pulumi.Context, outputs T) error {
	value := reflect.ValueOf(outputs)
	var missing []error
	for _, o := range OutputsOf[T]() {
		if o.Key == versionKey {
			ctx.Export(o.Key, pulumi.Int(ContractVersion))
			continue
		}
		output, ok := value.FieldByIndex(o.index).Interface().(pulumi.Output)
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

// Read returns the outputs of project for the environment of the running stack, through a stack
// reference.
//
// An output that the other stack does not have is an error naming the stack, the key and the
// command that creates it; all of them are reported at once. There is one exception: while
// previewing, a stack that was never brought up yields unknown outputs, so that the whole line can
// be previewed before its first `up`.
func Read[T any](ctx *pulumi.Context, project Project) (T, error) {
	var outputs T
	if err := probe(ctx, project); err != nil {
		return outputs, err
	}
	reference, err := pulumi.NewStackReference(ctx, project.Reference(ctx.Organization(), ctx.Stack()), nil)
	if err != nil {
		return outputs, unreadable(ctx, project, err)
	}
	declared := OutputsOf[T]()
	values := map[string]any{}
	for _, o := range declared {
		// Waiting here is safe: a stack reference is read during previews too, so this never waits for an
		// unknown.
		details, err := reference.GetOutputDetails(o.Key)
		if err != nil {
			return outputs, unreadable(ctx, project, err)
		}
		if values[o.Key] = details.Value; details.SecretValue != nil {
			values[o.Key] = details.SecretValue
		}
	}
	next, err := planned(ctx, project)
	if err != nil {
		return outputs, err
	}
	unknown := next.over(values, declared)
	deployed, err := check(ctx, project, declared, values, unknown)
	if err != nil {
		return outputs, err
	}
	source := pulumi.UnsafeUnknownOutput(nil)
	if deployed {
		source = pulumi.ToOutput(values)
	}
	fill(&outputs, declared, source, unknown)
	return outputs, nil
}

// ReadPublic is Read without the secrets, whose fields are left without a value. The engine keeps a
// copy of everything that a stack reference reads, secrets included, in the state of the stack that
// refers; this leaves no trace there.
func ReadPublic[T any](ctx *pulumi.Context, project Project) (T, error) {
	var outputs T
	if err := probe(ctx, project); err != nil {
		return outputs, err
	}
	args := &readStackOutputsArgs{Name: project.Reference(ctx.Organization(), ctx.Stack())}
	declared := slices.DeleteFunc(OutputsOf[T](), func(o Output) bool { return o.Secret })
	next, err := planned(ctx, project)
	if err != nil {
		return outputs, err
	}
	unknown := next.over(map[string]any{}, declared)
	answer := ctx.InvokeOutput(readStackOutputs, args, pulumi.MapOutput{}, pulumi.InvokeOutputOptions{})
	public := answer.ApplyT(func(v map[string]any) (any, error) {
		all, _ := v["outputs"].(map[string]any)
		values := map[string]any{}
		for _, o := range declared {
			values[o.Key] = all[o.Key]
		}
		next.over(values, declared)
		deployed, err := check(ctx, project, declared, values, unknown)
		if err == nil && !deployed {
			return pulumi.UnsafeUnknownOutput(nil), nil
		}
		return values, err
	})
	// An answer with a secret in it is secret as a whole; the part that is left here is not secret.
	fill(&outputs, declared, pulumi.Unsecret(public), unknown)
	return outputs, nil
}

// readStackOutputs is the engine's own function behind stack references.
const readStackOutputs = "pulumi:pulumi:readStackOutputs"

type readStackOutputsArgs struct {
	Name string `pulumi:"name"`
}

// probe returns an error that a person can act on when the stack cannot be read. With a stack
// reference the engine would give up with a bare "unknown stack" before the program can add an
// explanation.
func probe(ctx *pulumi.Context, project Project) error {
	args := &readStackOutputsArgs{Name: project.Reference(ctx.Organization(), ctx.Stack())}
	err := ctx.Invoke(readStackOutputs, args, &struct{}{})
	if _, fromEngine := status.FromError(err); err != nil && fromEngine {
		return unreadable(ctx, project, err)
	}
	return nil // or the SDK objects to secrets in the answer, which is not used here
}

// check returns every difference between values and the contract. deployed is false, without an
// error, for a stack that was never brought up while ctx previews. check ignores the values of the
// keys in unknown.
func check(
	ctx *pulumi.Context, project Project, declared []Output, values map[string]any, unknown map[string]bool,
) (deployed bool, err error) {
	reference := project.Reference(ctx.Organization(), ctx.Stack())
	version := values[versionKey]
	if version == nil && ctx.DryRun() {
		return false, nil
	}
	if number, ok := version.(float64); version != nil && (!ok || number != ContractVersion) {
		return false, fmt.Errorf("stack %s speaks version %v of the contract, this program version %d; %s first",
			reference, version, ContractVersion, howTo(project, ctx.Stack()))
	}
	var mistakes []error
	for _, o := range declared {
		switch value := values[o.Key]; {
		case unknown[o.Key]:
		case value == nil:
			mistakes = append(mistakes, fmt.Errorf("stack %s has no output %q; %s first",
				reference, o.Key, howTo(project, ctx.Stack())))
		case !conforms(value, o.Type):
			mistakes = append(mistakes, fmt.Errorf("output %q of stack %s is a %T, which the contract does not say",
				o.Key, reference, value))
		case isPlaceholder(value):
			mistakes = append(mistakes, fmt.Errorf("output %q of stack %s is a placeholder for a value that is not known here",
				o.Key, reference))
		}
	}
	return true, errors.Join(mistakes...)
}

// conforms reports whether value, as the engine answers it, is of the contract's type.
func conforms(value any, want reflect.Type) bool {
	switch want {
	case reflect.TypeFor[string]():
		_, ok := value.(string)
		return ok
	case reflect.TypeFor[int]():
		_, ok := value.(float64) // every number in a stack's outputs arrives as a float64
		return ok
	case reflect.TypeFor[[]string]():
		items, ok := value.([]any)
		return ok && !slices.ContainsFunc(items, func(item any) bool { return !conforms(item, reflect.TypeFor[string]()) })
	default:
		return false
	}
}

// fill sets the fields of declared in outputs to their values in source, a map that check has
// accepted, and the fields of the keys in unknown to unknown values.
func fill[T any](outputs *T, declared []Output, source pulumi.Output, unknown map[string]bool) {
	fields := reflect.ValueOf(outputs).Elem()
	for _, o := range declared {
		field := fields.FieldByIndex(o.index)
		of := source
		if unknown[o.Key] {
			of = pulumi.UnsafeUnknownOutput(nil)
		}
		output := valueOf(of, o.Key, field.Type())
		if o.Secret {
			output = pulumi.ToSecret(output)
		}
		field.Set(reflect.ValueOf(output))
	}
}

// valueOf returns the value of key in source as an output of type want. The conversions cannot
// fail: check has accepted the values.
func valueOf(source pulumi.Output, key string, want reflect.Type) pulumi.Output {
	at := func(v any) any {
		values, _ := v.(map[string]any)
		return values[key]
	}
	switch want {
	case reflect.TypeFor[pulumi.IntOutput]():
		return source.ApplyT(func(v any) int {
			n, _ := at(v).(float64)
			return int(n)
		})
	case reflect.TypeFor[pulumi.StringArrayOutput]():
		return source.ApplyT(func(v any) []string {
			items, _ := at(v).([]any)
			list := make([]string, len(items))
			for i := range items {
				list[i], _ = items[i].(string)
			}
			return list
		})
	default:
		return source.ApplyT(func(v any) string {
			s, _ := at(v).(string)
			return s
		})
	}
}

func unreadable(ctx *pulumi.Context, project Project, err error) error {
	return fmt.Errorf("stack %s cannot be read; if it does not exist yet, %s first: %w",
		project.Reference(ctx.Organization(), ctx.Stack()), howTo(project, ctx.Stack()), err)
}

func howTo(project Project, environment string) string {
	return fmt.Sprintf("run `pulumi -C %s up -s %s`", project.Directory, environment)
}
