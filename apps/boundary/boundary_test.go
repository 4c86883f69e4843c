package boundary_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/apps/boundary"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/stacks"
)

func TestUnit_OnlyApplicationsPassTheBoundary(t *testing.T) {
	t.Parallel()
	for _, permitted := range []string{"kubernetes:argoproj.io/v1alpha1:Application", "pulumi:providers:kubernetes"} {
		require.NoError(t, boundary.Permit(permitted, "x"))
	}
	for _, refused := range []string{
		"kubernetes:apps/v1:Deployment", "kubernetes:argoproj.io/v1alpha1:AppProject", "kubernetes:helm.sh/v3:Release",
		"azure-native:resources:ResourceGroup", "pulumi:providers:azure-native", "kubernetes:argoproj.io/v1alpha1:ApplicationSet",
	} {
		err := boundary.Permit(refused, "intruder")
		require.ErrorContains(t, err, "bootstrap boundary: gridos-apps may not register "+refused+` "intruder"`)
		assert.ErrorContains(t, err, "put workloads under applications/ in Git")
	}
}

func TestUnit_AGuardedProgramFailsBeforeTheEngineHearsOfAnIntruder(t *testing.T) {
	t.Parallel()
	recorded, err := mocks.Run{Project: stacks.Apps, Root: "../..", Stack: "dev"}.Do(func(ctx *pulumi.Context) error {
		if err := boundary.Guard(ctx); err != nil {
			return err
		}
		_, err := object.NewCustom(ctx, "intruder", "argoproj.io/v1alpha1", "AppProject", object.Metadata{Name: pulumi.String("x")}, nil)
		return err
	})
	require.ErrorContains(t, err, "bootstrap boundary: gridos-apps may not register kubernetes:argoproj.io/v1alpha1:AppProject")
	assert.Empty(t, recorded.Resources)
}
