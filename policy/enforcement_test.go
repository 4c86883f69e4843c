package policy

import (
	"errors"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	registry = "azure-native:containerregistry/v20230701:Registry"
	reason   = "the ticket OPS-1 says until when"
)

// admin is a registry that breaks no-admin-user and diagnostics.
func admin(name string) Resource {
	return Resource{URN: "urn:" + name, Type: registry, Name: name, Properties: resource.NewPropertyMapFromMap(map[string]any{
		"adminUserEnabled": true, "publicNetworkAccess": "Disabled",
		"tags": map[string]any{"environment": "dev", "owner": "o", "cost-centre": "c", "managed-by": "m"},
	})}
}

func TestUnit_APreviewCollectsAndTheVerdictHasAll(t *testing.T) {
	t.Parallel()
	e := &enforcement{project: "gridos-infra", stack: "dev", settings: Settings{Waivers: []Waiver{
		{"no-admin-user", "b", reason}, {"tags", "a", reason}, {"tags", "nobody", reason},
	}}}
	require.NoError(t, e.see(admin("b")))
	require.NoError(t, e.see(admin("a")))
	warnings, err := e.verdict(true, true)
	assert.Equal(t, []string{"the guardrail no-admin-user is waived for b (the admin user is enabled: one password, shared by all, " +
		"that no directory can revoke): " + reason}, warnings)
	var report *Error
	require.ErrorAs(t, err, &report)
	var found []string
	for _, v := range report.Violations {
		found = append(found, v.Resource+" "+v.Rule)
	}
	assert.Equal(t, []string{"a diagnostics", "a no-admin-user", "b diagnostics"}, found)
	require.ErrorContains(t, err, "gridos-infra dev departs from the organisation's guardrails (docs/policies.md) in 5 points\n")
	require.ErrorContains(t, err, `waives tags for "a", which keeps to it; remove the waiver`)
	require.ErrorContains(t, err, `waives tags for "nobody", but there is no such resource`)
	require.ErrorContains(t, err, "like {rule: diagnostics, resource: a, reason: <why, and until when>}")

	require.ErrorContains(t, e.see(admin("late")), "the admin user is enabled", "the verdict is out")
}

func TestUnit_AProgramThatFailedIsNotBlamedForWhatIsMissing(t *testing.T) {
	t.Parallel()
	e := &enforcement{settings: Settings{Waivers: []Waiver{{"tags", "nobody", reason}}}}
	e.stack = "dev"
	require.NoError(t, e.see(admin("a")))
	_, err := e.verdict(false, true)
	var report *Error
	require.ErrorAs(t, err, &report)
	require.Len(t, report.Violations, 1)
	assert.Equal(t, "no-admin-user", report.Violations[0].Rule)
	assert.Empty(t, report.Unused)
}

func TestUnit_AnUpdateRefusesAtOnceWhatIsNotWaived(t *testing.T) {
	t.Parallel()
	e := &enforcement{stack: "dev", refusing: true, settings: Settings{Waivers: []Waiver{{"no-admin-user", "a", reason}}}}
	require.NoError(t, e.see(admin("a")))
	require.EqualError(t, e.see(admin("b")), "b is not registered, because it breaks the guardrails no-admin-user")
}

func TestUnit_AWaiverOfWhatIsUnknownAtPreviewMayYetBeOfUse(t *testing.T) {
	t.Parallel()
	undecided := Resource{URN: "urn:x", Type: "azure-native:resources:ResourceGroup", Name: "x", Properties: resource.PropertyMap{
		"tags": resource.MakeComputed(resource.NewProperty("")),
	}}
	waived := Settings{Waivers: []Waiver{{"tags", "x", reason}}}
	preview, update := &enforcement{settings: waived}, &enforcement{settings: waived}
	require.NoError(t, preview.see(undecided))
	_, err := preview.verdict(true, true)
	require.NoError(t, err)
	require.NoError(t, update.see(undecided))
	_, err = update.verdict(true, false)
	require.ErrorContains(t, err, "1 point\n")
}

func TestUnit_WhatCannotBeWaivedSaysSo(t *testing.T) {
	t.Parallel()
	err := &Error{Project: "gridos-infra", Stack: "prod", Violations: []Violation{{Rule: "https-only", Resource: "gateway"}}}
	assert.Contains(t, err.Error(), "[cannot be waived in prod]")
	assert.NotContains(t, err.Error(), "to waive one")
	assert.False(t, waivable("no-such-rule", "dev"))
}

// mocked runs program with the SDK's mocks, as a preview or as an update.
func mocked(preview bool, program pulumi.RunFunc) error {
	return pulumi.RunErr(program, pulumi.WithMocks("gridos-infra", "dev", answers{}), func(info *pulumi.RunInfo) { info.DryRun = preview })
}

type answers struct{}

func (answers) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	if args.Name == "broken" {
		return "", nil, errors.New("refused")
	}
	return args.Name + "-id", args.Inputs, nil
}

func (answers) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }

type component struct{ pulumi.ResourceState }

func TestUnit_UnderMocksAProgramRunsUnguarded(t *testing.T) {
	t.Parallel()
	ran := false
	require.NoError(t, mocked(true, func(ctx *pulumi.Context) error {
		return Guard(ctx, Settings{}, func(*pulumi.Context) error {
			ran = true
			return nil
		})
	}))
	assert.True(t, ran)
}

func TestUnit_RulesSeeWhatTheEngineSees(t *testing.T) {
	t.Parallel()
	require.NoError(t, mocked(false, func(ctx *pulumi.Context) error {
		parent := &component{}
		require.NoError(t, ctx.RegisterComponentResource("gridos-infra:gateway:Gateway", "edge", parent))
		r, err := described(ctx.Context(), "gridos-infra", "dev", &pulumi.ResourceTransformArgs{
			Type: registry, Name: "images", Opts: pulumi.ResourceOptions{Parent: parent}, Props: pulumi.Map{
				"text": pulumi.String("t"), "yes": pulumi.Bool(true), "number": pulumi.Float64(3), "nothing": nil,
				"list": pulumi.Array{pulumi.String("a"), pulumi.Map{"b": pulumi.Bool(false)}},
				"file": pulumi.NewStringAsset("f"),
				"output": pulumi.ToOutput(map[string]any{
					"list": []any{"a", 1.5, true}, "map": map[string]any{"k": nil},
				}),
				"secret":  pulumi.ToSecret(pulumi.String("s")),
				"target":  parent.URN().ApplyT(func(pulumi.URN) string { return "of the parent" }),
				"unknown": pulumi.UnsafeUnknownOutput([]pulumi.Resource{parent}),
			},
		})
		require.NoError(t, err)
		assert.Equal(t, "urn:pulumi:dev::gridos-infra::gridos-infra:gateway:Gateway$"+registry+"::images", r.URN)
		assert.Equal(t, "gridos-infra:gateway:Gateway", r.ParentType)
		assert.Equal(t, []string{"urn:pulumi:dev::gridos-infra::gridos-infra:gateway:Gateway::edge"}, r.References["unknown"])
		assert.True(t, r.at("unknown", "below").unknown())
		assert.True(t, r.at("file").unknown())
		assert.Equal(t, `"t"`, r.at("text").String())
		assert.Equal(t, "3", r.at("number").String())
		assert.Equal(t, "true", r.at("yes").String())
		assert.Equal(t, "not set", r.at("nothing").String())
		assert.Equal(t, "of the wrong type", r.at("list").String())
		assert.Equal(t, "(secret)", r.at("secret").String())
		assert.True(t, r.at("secret").is("S"))
		assert.Len(t, r.at("output", "list").elements(), 3)
		assert.True(t, r.at("output", "map", "k").absent())
		_, err = described(ctx.Context(), "gridos-infra", "dev", &pulumi.ResourceTransformArgs{
			Type: registry, Name: "images", Props: pulumi.Map{"broken": parent.URN().ApplyT(func(pulumi.URN) (string, error) {
				return "", errors.New("not to be had")
			})},
		})
		require.ErrorContains(t, err, "images: broken: ")
		return nil
	}))
}

func TestUnit_ARefusedRegistrationCannotBeSent(t *testing.T) {
	t.Parallel()
	require.NoError(t, mocked(false, func(ctx *pulumi.Context) error {
		see := transform(ctx, &enforcement{stack: "dev", refusing: true})
		assert.Nil(t, see(ctx.Context(), &pulumi.ResourceTransformArgs{Type: "kubernetes:core/v1:ConfigMap", Name: "fine"}))
		result := see(ctx.Context(), &pulumi.ResourceTransformArgs{Type: registry, Name: "images"})
		require.NotNil(t, result)
		_, err := internals.UnsafeAwaitOutput(ctx.Context(), result.Props["refused"].(pulumi.Output))
		require.ErrorContains(t, err, "images is not registered, because it breaks the guardrails no-public-endpoint, tags")
		return nil
	}))
}

func TestUnit_SettlingWaitsForEveryRegistrationAndSeesFailures(t *testing.T) {
	t.Parallel()
	for broken, want := range map[string]bool{"fine": false, "broken": true} {
		var failed bool
		err := mocked(false, func(ctx *pulumi.Context) error {
			var p registrations
			require.NoError(t, ctx.RegisterStackTransformation(p.track))
			for _, name := range []string{"first", broken} {
				var r pulumi.CustomResourceState
				if err := ctx.RegisterResource("azure-native:insights:DiagnosticSetting", name, pulumi.Map{}, &r); err != nil {
					return err
				}
			}
			failed = p.settle(ctx.Context())
			p.track(&pulumi.ResourceTransformationArgs{Type: registry, Resource: &component{}})
			assert.Empty(t, p.waiting, "what comes later is waited for by the SDK")
			return nil
		})
		assert.Equal(t, want, err != nil, broken)
		assert.Equal(t, want, failed, broken)
	}
}

func TestUnit_AKindIsOneOfItsGroupInAnyVersion(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]bool{
		"kubernetes:argoproj.io/v1alpha1:AppProject":  true,
		"kubernetes:argoproj.io/v2:AppProject":        true,
		"kubernetes:argoproj.io/v1alpha1:Application": false,
		"kubernetes:example.com/v1:AppProject":        false,
	} {
		assert.Equal(t, want, isOf(token, "kubernetes:argoproj.io", "AppProject"), token)
	}
}
