package approval

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
)

const urn = "urn:pulumi:prod::gridos-infra::a:b:C::it"

// key is the same in each test, so that equal values have equal codes.
var key = make(Key, 32)

func code(t *testing.T, path string, value any) Value {
	t.Helper()
	text, err := key.value(urn, path, value)
	require.NoError(t, err)
	return text
}

type object = map[string]any

func side(inputs, outputs object) *apitype.StepEventStateMetadata {
	return &apitype.StepEventStateMetadata{Inputs: inputs, Outputs: outputs, Provider: "urn:of:the:provider::an-id"}
}

func recorded(t *testing.T, steps ...apitype.StepEventMetadata) Stack {
	t.Helper()
	r := Recorder{Key: key}
	for _, step := range steps {
		r.See(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: step}})
	}
	r.See(apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{}})
	stack, err := r.Stack("gridos-infra")
	require.NoError(t, err)
	return stack
}

// The properties of a step are the inputs that differ, and what else the provider says differs:
// each once, with its codes.
func TestUnit_AStepIsRecordedWithEachDifferenceOnce(t *testing.T) {
	t.Parallel()
	secret := object{sig.Key: sig.Secret, "ciphertext": "x"}
	differs := func(kind apitype.DiffKind, input bool) apitype.PropertyDiff {
		return apitype.PropertyDiff{Kind: kind, InputDiff: input}
	}
	for name, test := range map[string]struct {
		step apitype.StepEventMetadata
		want []Property
	}{
		"an input that the provider reports as well keeps the values of the inputs": {
			apitype.StepEventMetadata{
				Op: apitype.OpUpdate, Old: side(object{"count": 1}, object{"count": 5}), New: side(object{"count": 2}, nil),
				DetailedDiff: map[string]apitype.PropertyDiff{"count": differs(apitype.DiffUpdate, false)},
			},
			[]Property{{Path: "count", Old: code(t, "count", 1), New: code(t, "count", 2)}},
		},
		"an object that is reported whole adds nothing to the part that differs": {
			apitype.StepEventMetadata{
				Op: apitype.OpUpdate, Old: side(object{"tags": object{"a": 1, "b": 1}}, nil), New: side(object{"tags": object{"a": 2, "b": 1}}, nil),
				DetailedDiff: map[string]apitype.PropertyDiff{"tags": differs(apitype.DiffUpdate, true)},
			},
			[]Property{{Path: "tags.a", Old: code(t, "tags.a", 1), New: code(t, "tags.a", 2)}},
		},
		"a list that causes a replacement does so by each part, and a name that begins alike does not": {
			apitype.StepEventMetadata{
				Op: apitype.OpReplace, Old: side(object{"list": []any{"x"}, "listed": "x"}, nil),
				New: side(object{"list": []any{"y"}, "listed": "y"}, nil), Keys: []string{"list"},
			},
			[]Property{
				{Path: "list[0]", Old: code(t, "list[0]", "x"), New: code(t, "list[0]", "y"), Replaces: true},
				{Path: "listed", Old: code(t, "listed", "x"), New: code(t, "listed", "y")},
			},
		},
		"a secret differs only because the provider says so": {
			apitype.StepEventMetadata{
				Op: apitype.OpUpdate, Old: side(object{"password": secret, "name": "n"}, nil), New: side(object{"password": secret, "name": "m"}, nil),
				DetailedDiff: map[string]apitype.PropertyDiff{"password": differs(apitype.DiffUpdate, true)},
			},
			[]Property{
				{Path: "name", Old: code(t, "name", "n"), New: code(t, "name", "m")},
				{Path: "password", Old: Secret, New: Secret},
			},
		},
		"what only the provider answers is compared with its answer": {
			apitype.StepEventMetadata{
				Op: apitype.OpUpdate, Old: side(object{"size": 1}, object{"size": 3}), New: side(object{"size": 1}, nil),
				DetailedDiff: map[string]apitype.PropertyDiff{"size": differs(apitype.DiffUpdateReplace, false)},
			},
			[]Property{{Path: "size", Old: code(t, "size", 3), New: code(t, "size", 1), Replaces: true}},
		},
		"a difference without a value on either side is named": {
			apitype.StepEventMetadata{Op: apitype.OpUpdate, Old: side(nil, nil), New: side(nil, nil), Diffs: []string{"etag"}},
			[]Property{{Path: "etag"}},
		},
		"a property in the short list is not repeated where its parts are reported": {
			apitype.StepEventMetadata{
				Op: apitype.OpUpdate, Old: side(object{"o": object{"a": secret, "b": secret}}, nil),
				New:          side(object{"o": object{"a": secret, "b": secret}}, nil),
				DetailedDiff: map[string]apitype.PropertyDiff{"o.a": differs(apitype.DiffUpdate, true)}, Diffs: []string{"o"},
			},
			[]Property{{Path: "o.a", Old: Secret, New: Secret}},
		},
		"protect and retainOnDelete are options": {
			apitype.StepEventMetadata{
				Op: apitype.OpSame, Old: &apitype.StepEventStateMetadata{Protect: true}, New: &apitype.StepEventStateMetadata{RetainOnDelete: true},
			},
			[]Property{
				{Path: optionProtect, Old: code(t, optionProtect, true), New: code(t, optionProtect, false)},
				{Path: optionRetain, Old: code(t, optionRetain, false), New: code(t, optionRetain, true)},
			},
		},
		"a created resource has all its inputs": {
			apitype.StepEventMetadata{Op: apitype.OpCreate, New: side(object{
				"a": "x", "u": plugin.UnknownStringValue, "s": "user:[secret]", "e": []any{}, "o": object{}, "f": object{sig.Key: "asset", "v": 1},
			}, nil)},
			[]Property{
				{Path: "a", New: code(t, "a", "x")},
				{Path: "e", New: code(t, "e", []any{})},
				{Path: "f", New: code(t, "f", object{sig.Key: "asset", "v": 1})},
				{Path: "o", New: code(t, "o", object{})},
				{Path: "s", New: Secret},
				{Path: "u", New: Unknown},
			},
		},
		"a deleted resource has none":              {apitype.StepEventMetadata{Op: apitype.OpDelete, Old: side(object{"a": "x"}, nil)}, nil},
		"a step without one of its sides has none": {apitype.StepEventMetadata{Op: apitype.OpUpdate, New: side(object{"a": "x"}, nil)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.step.URN = urn
			entries := recorded(t, test.step).Entries
			require.Len(t, entries, 1)
			assert.Equal(t, test.want, entries[0].Properties)
			want := test.step.Op
			if want == apitype.OpSame { // to a plan, an option that changes is an update
				want = apitype.OpUpdate
			}
			assert.Equal(t, string(want), entries[0].Operation)
		})
	}
	for _, op := range []apitype.OpType{apitype.OpSame, apitype.OpCreateReplacement, apitype.OpRead, apitype.OpRefresh} {
		same := side(object{"a": 1}, nil)
		assert.Empty(t, recorded(t, apitype.StepEventMetadata{Op: op, URN: urn, Old: same, New: same}).Entries, op)
	}
}

func TestUnit_AStackIsRecordedInOneOrderWithItsProvidersOnce(t *testing.T) {
	t.Parallel()
	provider := func(urn, version string) apitype.StepEventMetadata {
		return apitype.StepEventMetadata{
			Op: apitype.OpSame, URN: urn, Type: "pulumi:providers:kubernetes", New: &apitype.StepEventStateMetadata{Inputs: object{"version": version}},
		}
	}
	remove := func(urn string, op apitype.OpType) apitype.StepEventMetadata {
		return apitype.StepEventMetadata{Op: op, URN: urn, Old: side(nil, nil)}
	}
	gone := provider("urn:c", "1")
	gone.New = nil
	stack := recorded(t, remove("urn:z", apitype.OpDelete), remove("urn:y", apitype.OpReplace), provider("urn:b", "1"),
		remove("urn:y", apitype.OpDelete), provider("urn:a", "2"), provider("urn:b", "3"), gone)
	var names []string
	for _, p := range stack.Providers {
		names = append(names, p.URN+" "+p.Version)
	}
	assert.Equal(t, []string{"urn:a 2", "urn:b 3"}, names)
	for i := range stack.Entries {
		names = append(names, stack.Entries[i].URN+" "+stack.Entries[i].Operation)
	}
	assert.Equal(t, []string{"urn:y delete", "urn:y replace", "urn:z delete"}, names[2:])
	assert.Equal(t, "gridos-infra", stack.Project)

	created := recorded(t, apitype.StepEventMetadata{Op: apitype.OpCreate, URN: urn, New: side(nil, nil)})
	assert.Equal(t, "urn:of:the:provider", created.Entries[0].Provider, "its id is not known before it is there")
	assert.Equal(t, "a", withoutID("a"))
	assert.Empty(t, withoutID("::id"))
}

func TestUnit_AValueThatHasNoCodeMakesNoPlan(t *testing.T) {
	t.Parallel()
	r := Recorder{Key: key}
	r.See(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
		Op: apitype.OpCreate, URN: urn, New: side(object{"a": math.Inf(1), "b": 1, "c": math.Inf(1)}, nil),
	}}})
	stack, err := r.Stack("gridos-infra")
	require.ErrorContains(t, err, "the preview of gridos-infra did not come to its end")
	assert.Zero(t, stack)
	r.See(apitype.EngineEvent{SummaryEvent: &apitype.SummaryEvent{}})
	_, err = r.Stack("gridos-infra")
	require.ErrorContains(t, err, "encode a of "+urn, "the first one")
	coded, err := key.value(urn, "a", math.Inf(1))
	require.Error(t, err)
	assert.Empty(t, coded)
}

func TestUnit_OutputsAreKnownUnlessAPartOfThemIsNot(t *testing.T) {
	t.Parallel()
	var r Recorder
	see := func(typ string, made *apitype.StepEventStateMetadata) {
		r.See(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{Type: typ, New: made}}})
	}
	see("pulumi:pulumi:Stack", side(nil, object{
		"a": "x", "b": object{"c": "y", "d": plugin.UnknownStringValue}, "e": []any{object{sig.Key: sig.Secret}, "z"}, "f": []any{},
	}))
	see("a:b:C", side(nil, object{"other": 1}))
	see("pulumi:pulumi:Stack", nil)
	known, names := r.Outputs()
	assert.Equal(t, object{"a": "x", "f": []any{}}, known)
	assert.Equal(t, []string{"a", "b", "e", "f"}, names)
}

func TestUnit_AKeyIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	made := NewKey()
	assert.NotEqual(t, NewKey(), made)
	read, err := ParseKey(" " + made.String() + "\n")
	require.NoError(t, err)
	assert.Equal(t, made, read)
	for _, text := range []string{"", "no base64", made[:31].String(), append(slices.Clone(made), 1).String()} {
		read, err = ParseKey(text)
		require.ErrorContains(t, err, "the plan's key does not have 32 bytes; plan again", text)
		assert.Nil(t, read)
	}
}

func TestUnit_AFileThatIsNoPlanSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	digest, err := Plan{}.Write(filepath.Join(dir, "none", "plan.json"))
	require.ErrorContains(t, err, "write the plan: ")
	assert.Empty(t, digest)
	digest, err = Plan{Dangers: []changes.Danger{}}.Write(filepath.Join(dir, "keyless.json"))
	require.NoError(t, err)
	assert.Len(t, digest, 64)
	_, err = Read(filepath.Join(dir, "none.json"), digest)
	require.ErrorContains(t, err, "read the plan: ")
	for text, says := range map[string]string{
		`{"format": 1, "sealedKey": "k", "more": 1}`: " is no plan: json: unknown field",
		`{"format": 2, "sealedKey": "k"}`:            " has format 2, and this program reads 1; plan again with this program",
		`{"format": 1}`:                              " is no plan: it has no key",
		`{"format": 1, "sealedKey": "k"}`:            "",
	} {
		file := filepath.Join(dir, "plan.json")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		plan, err := Read(file, digestOf([]byte(text)))
		if says == "" {
			require.NoError(t, err)
			assert.Equal(t, Plan{Format: 1, SealedKey: "k"}, plan)
			continue
		}
		require.ErrorContains(t, err, file+says)
		assert.Zero(t, plan)
	}
}

// Each row is a difference between the approved plan and what would happen now.
func TestUnit_EachDifferenceFromThePlanIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	property := func(path string, old, made Value, replaces bool) Property {
		return Property{Path: path, Old: old, New: made, Replaces: replaces}
	}
	provider := Provider{URN: "urn:p", Version: "1.0", Properties: []Property{property("namespace", "", "n", false), property("later", "", Unknown, false)}}
	approved := Plan{Dangers: []changes.Danger{{Op: changes.Delete, URN: "urn:d"}}, Stacks: []Stack{{
		Project: "infra", Providers: []Provider{provider},
		Entries: []Entry{
			{URN: "urn:c", Operation: "create", Provider: "urn:p", Properties: []Property{property("a", "", "x", false), property("o.b", "", Unknown, false)}},
			{URN: "urn:u", Operation: "update", Properties: []Property{
				property("a", "x", "y", false), property("o", "x", Unknown, false), property("s", "x", "y", false),
			}},
			{URN: "urn:r", Operation: "replace", Properties: []Property{property("a", "x", "y", true)}},
			{URN: "urn:d", Operation: "delete"},
		},
	}, {Project: "apps"}}}
	for name, test := range map[string]struct {
		change func(now *Plan)
		says   string // "" where it is allowed
	}{
		"nothing":                  {func(*Plan) {}, ""},
		"less":                     {func(now *Plan) { now.Stacks[0].Entries = now.Stacks[0].Entries[:1] }, ""},
		"a property less":          {func(now *Plan) { e := &now.Stacks[0].Entries[1]; e.Properties = e.Properties[:1] }, ""},
		"an update, not a replace": {func(now *Plan) { now.Stacks[0].Entries[2].Operation = "update" }, ""},
		"what was unknown": {func(now *Plan) {
			p := now.Stacks[0].Entries[1].Properties
			p[1].Path, p[1].Old, p[1].New = "o.part[0]", "z", "zz"
		}, ""},
		"what was unknown of a new one": {func(now *Plan) { now.Stacks[0].Entries[0].Properties[1].New = "z" }, ""},
		"fewer dangers":                 {func(now *Plan) { now.Dangers = nil }, ""},
		"other stacks": {
			func(now *Plan) { now.Stacks = now.Stacks[:1] }, "the plan is of infra, apps, and this is of infra",
		},
		"another project": {func(now *Plan) { now.Stacks[1].Project = "web" }, "web is not in the plan"},
		"another danger": {
			func(now *Plan) { now.Dangers[0].URN = "urn:e" }, "delete urn:e is dangerous, and the consent is not to that",
		},
		"another provider": {
			func(now *Plan) { now.Stacks[0].Providers[0].URN = "urn:q" }, "infra: provider urn:q: it is not in the plan",
		},
		"another version": {
			func(now *Plan) { now.Stacks[0].Providers[0].Version = "1.1" }, "infra: provider urn:p: version 1.0 was approved, and this is 1.1",
		},
		"another configuration": {
			func(now *Plan) { now.Stacks[0].Providers[0].Properties[0].New = "m" }, "infra: provider urn:p: namespace would get another value",
		},
		"no configuration": {
			func(now *Plan) { now.Stacks[0].Providers[0].Properties = nil }, "infra: provider urn:p: namespace would get no value",
		},
		"done by another": {
			func(now *Plan) { now.Stacks[0].Entries[0].Provider = "urn:q" }, "infra: create urn:c: another provider was approved to do it",
		},
		"a new resource without an input": {
			func(now *Plan) { e := &now.Stacks[0].Entries[0]; e.Properties = e.Properties[1:] }, "infra: create urn:c: a would get no value",
		},
		"another operation": {
			func(now *Plan) { now.Stacks[0].Entries[1].Operation = "delete" }, "infra: delete urn:u: what was approved is update",
		},
		"more than an update": {
			func(now *Plan) { now.Stacks[0].Entries[1].Operation = "replace" }, "infra: replace urn:u: what was approved is update",
		},
		"another resource": {
			func(now *Plan) { now.Stacks[0].Entries[3].URN = "urn:x" }, "infra: delete urn:x: the resource does not change in the plan",
		},
		"another property": {
			func(now *Plan) { now.Stacks[0].Entries[1].Properties[0].Path = "b" }, "infra: update urn:u: b does not differ in the plan",
		},
		"a property that begins alike": {
			func(now *Plan) { now.Stacks[0].Entries[1].Properties[1].Path = "other" }, "infra: update urn:u: other does not differ in the plan",
		},
		"a property that replaces": {
			func(now *Plan) { now.Stacks[0].Entries[1].Properties[0].Replaces = true },
			"infra: update urn:u: a causes a replacement, which was not approved",
		},
		"another value before": {
			func(now *Plan) { now.Stacks[0].Entries[1].Properties[0].Old = "z" },
			"infra: update urn:u: a has another value now than when the plan was made",
		},
		"another value after": {
			func(now *Plan) { now.Stacks[0].Entries[1].Properties[0].New = "z" }, "infra: update urn:u: a would get another value",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var now Plan
			text, err := json.Marshal(approved)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &now))
			test.change(&now)
			err = approved.Check(now)
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			var refused *RefusedError
			require.ErrorAs(t, err, &refused)
			assert.Contains(t, refused.Reasons, test.says)
			assert.Contains(t, err.Error(), "this is not what was approved:\n  ")
			if now.Stacks[0].Project == "infra" && len(now.Stacks) == 2 && now.Stacks[1].Project == "apps" {
				require.Len(t, refused.Reasons, 1)
				require.ErrorAs(t, approved.CheckStack(now.Stacks[0], now.Dangers), &refused)
				require.NoError(t, approved.CheckStack(now.Stacks[1], nil))
			}
		})
	}
}

func TestUnit_APlanIsForOneCommitOfOneEnvironment(t *testing.T) {
	t.Parallel()
	plan := Plan{Environment: "prod", Commit: "abc", ContractVersion: 3, Consent: "prod-1"}
	require.NoError(t, plan.CheckFor("prod", "abc", 3, []string{"prod-1"}))
	for says, err := range map[string]error{
		"the plan is of environment prod, and this is test":                  plan.CheckFor("test", "abc", 3, []string{"prod-1"}),
		"the plan is of commit abc, and this is abd":                         plan.CheckFor("prod", "abd", 3, []string{"prod-1"}),
		"the plan is of contract version 3, and this is 4":                   plan.CheckFor("prod", "abc", 4, []string{"prod-1"}),
		"its dangerous changes need the consent prod-1, which was not given": plan.CheckFor("prod", "abc", 3, []string{"prod-2"}),
	} {
		var refused *RefusedError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, []string{says}, refused.Reasons)
	}
	plan.Consent = ""
	require.NoError(t, plan.CheckFor("prod", "abc", 3, nil))
}
