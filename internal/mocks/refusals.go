package mocks

import (
	"sync/atomic"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
)

// EachRefusalEnds runs program once for each resource that it registers, and each time makes the
// SDK refuse another registration. The program must return that error: if it swallows one, an
// update succeeds with a part missing.
func (r Run) EachRefusalEnds(t *testing.T, program pulumi.RunFunc) {
	t.Helper()
	for refused := int64(1); ; refused++ {
		var made atomic.Int64
		_, err := r.Do(func(ctx *pulumi.Context) error {
			err := ctx.RegisterStackTransformation(func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
				if made.Add(1) != refused {
					return nil
				}
				// The only option that the SDK refuses at once, and not when it sends the registration.
				twoParents := pulumi.Alias{ParentURN: pulumi.URN("urn"), NoParent: pulumi.Bool(true)}
				return &pulumi.ResourceTransformationResult{
					Props: args.Props, Opts: append(args.Opts, pulumi.Aliases([]pulumi.Alias{twoParents})),
				}
			})
			if err != nil {
				return err
			}
			return program(ctx)
		})
		if made.Load() < refused {
			require.NoError(t, err)
			require.Greater(t, refused, int64(1), "the program registers nothing")
			return
		}
		require.ErrorContains(t, err, "alias can specify", "registration %d", refused)
	}
}
