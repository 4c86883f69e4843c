package azure

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestUnit_TableIsSound: every property that the table names exists in the SDK's type, so that a misspelt one cannot switch a
// rule off in silence.
func TestUnit_TableIsSound(t *testing.T) {
	for token, d := range newRegistry().byToken {
		t.Run(token, func(t *testing.T) {
			require.NotEmpty(t, d.Kind)
			assert.NotNil(t, d.Name.Pattern, "every type has a rule for names")
			assert.NotZero(t, latency(d.Kind, OperationCreate, nil), "every type takes its time")
			paths := append(d.Path.parameters(), d.Immutable...)
			paths = append(paths, d.WriteOnly...)
			paths = slices.AppendSeq(paths, maps.Keys(d.Frozen))
			paths = slices.AppendSeq(paths, maps.Keys(d.Refers))
			for _, path := range paths {
				assert.True(t, hasPath(d.Inputs, path), "%s has no input %s", token, path)
			}
			if d.Serial != nil {
				assert.True(t, strings.HasPrefix(d.Kind, d.Serial.Owner))
			}
			for _, r := range slices.Concat(d.Checks, d.Demands, d.Farewells) {
				assert.NotEmpty(t, r.Code)
			}
		})
	}
	assert.Len(t, newRegistry().byKind, 26)
}

// hasPath says whether a type of the SDK has a property at a dotted path.
func hasPath(t reflect.Type, path string) bool {
	for _, name := range strings.Split(path, ".") {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return false
		}
		found := false
		for i := range t.NumField() {
			if propertyName(t.Field(i)) == name {
				t, found = t.Field(i).Type, true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// TestUnit_RulesSurviveUnknownInputs: a preview may know nothing but the form of the inputs; no check may refuse or panic then.
func TestUnit_RulesSurviveUnknownInputs(t *testing.T) {
	for token, d := range newRegistry().byToken {
		t.Run(token, func(t *testing.T) {
			all := Document{}
			for i := range d.Inputs.NumField() {
				all[propertyName(d.Inputs.Field(i))] = unknown{}
			}
			// These two are refused for being there at all.
			delete(all, "webApplicationFirewallConfiguration")
			delete(all, "maintenanceWindow")
			assert.Empty(t, Subject{Definition: d, In: all}.judge(d.Checks))
			assert.NotPanics(t, func() { Subject{Definition: d, In: Document{}}.judge(d.Checks) })
		})
	}
}

func TestUnit_ParseID(t *testing.T) {
	const sub = "/subscriptions/00000000-0000-0000-0000-000000000001"
	tests := map[string]struct{ kind, name, head string }{
		sub:                        {TypeSubscription, "00000000-0000-0000-0000-000000000001", ""},
		sub + "/resourceGroups/rg": {typeResourceGroup, "rg", sub},
		sub + "/providers/Microsoft.Authorization/roleDefinitions/x": {"Microsoft.Authorization/roleDefinitions", "x", sub},
		sub + "/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v/subnets/s": {
			typeSubnet, "s", sub + "/resourceGroups/rg",
		},
		sub + "/resourceGroups/rg/providers/A.B/c/d/providers/Microsoft.Authorization/roleAssignments/n": {
			typeRoleAssignment, "n", sub + "/resourceGroups/rg/providers/A.B/c/d",
		},
	}
	for text, want := range tests {
		id, err := ParseID(text)
		require.NoError(t, err)
		assert.Equal(t, want.kind, id.Kind())
		assert.Equal(t, want.name, id.name())
		assert.Equal(t, want.head, id.head)
		assert.Equal(t, text, id.String())
	}
	for _, text := range []string{"", "x", sub + "/resourceGroups", sub + "/resourceGroups/rg/providers/A.B/c", sub + "/providers/A.B//x"} {
		_, err := ParseID(text)
		assert.Error(t, err, text)
	}
}

func TestUnit_MarksOfSecrecyReachIntoListsAndObjects(t *testing.T) {
	like := resource.PropertyMap{"a": resource.NewProperty([]resource.PropertyValue{
		resource.NewProperty(resource.PropertyMap{"b": resource.MakeSecret(resource.NewProperty("old"))}),
	})}
	got := markSecrets(resource.NewPropertyMapFromMap(map[string]any{"a": []any{map[string]any{"b": "new", "c": "open"}}}), like)
	item := got["a"].ArrayValue()[0].ObjectValue()
	assert.True(t, item["b"].IsSecret())
	assert.False(t, item["c"].IsSecret())
}
