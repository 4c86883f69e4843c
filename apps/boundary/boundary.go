// Package boundary enforces, while the program runs, that gridos-apps registers nothing but Argo CD
// Applications: after bootstrap, Git is the only writer of workloads.
package boundary

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// permitted are the resource types that may pass: an Application, the provider that it goes
// through, and the reading of other stacks.
var permitted = []string{
	"kubernetes:argoproj.io/v1alpha1:Application",
	"pulumi:providers:kubernetes",
	"pulumi:pulumi:StackReference",
}

// Permit returns an error unless a resource of the given type may be registered by gridos-apps.
func Permit(resourceType, name string) error {
	if slices.Contains(permitted, resourceType) {
		return nil
	}
	return fmt.Errorf("bootstrap boundary: gridos-apps may not register %s %q; it emits Argo CD Applications only, so put "+
		"workloads under applications/ in Git, and what must exist before Argo CD into gridos-bootstrap", resourceType, name)
}

// Guard makes every later registration of ctx pass Permit. A registration that does not pass fails
// in the program, before the engine hears of it.
func Guard(ctx *pulumi.Context) error {
	return ctx.RegisterStackTransformation(
		func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			err := Permit(args.Type, args.Name)
			if err == nil {
				return nil
			}
			// A transformation has no way to return an error, but the inputs that it returns must be sent to
			// the engine, and an input that fails to resolve cannot be: the registration fails with its
			// error.
			refused := pulumi.String("").ToStringOutput().ApplyT(func(string) (string, error) { return "", err })
			return &pulumi.ResourceTransformationResult{Props: pulumi.Map{"refused": refused}, Opts: args.Opts}
		})
}
