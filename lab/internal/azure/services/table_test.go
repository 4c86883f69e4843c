package services

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// TestUnit_TableIsSound: every property that the table names exists in the SDK's type, so that a
// misspelt one cannot switch a rule off in silence.
func TestUnit_TableIsSound(t *testing.T) {
	for _, d := range New(Options{}).Definitions {
		t.Run(d.Token, func(t *testing.T) {
			require.NotEmpty(t, d.Kind)
			assert.NotNil(t, d.Name.Pattern, "every type has a rule for names")
			assert.NotZero(t, latency(d.Kind, arm.OperationCreate, nil), "every type takes its time")
			paths := append(d.Path.Parameters(), d.Immutable...)
			paths = append(paths, d.WriteOnly...)
			paths = slices.AppendSeq(paths, maps.Keys(d.Frozen))
			paths = slices.AppendSeq(paths, maps.Keys(d.Refers))
			for _, path := range paths {
				assert.True(t, hasPath(d.Inputs, path), "%s has no input %s", d.Token, path)
			}
			if d.Serial != nil {
				assert.True(t, strings.HasPrefix(d.Kind, d.Serial.Owner))
			}
			if d.SoftDeletes != nil {
				assert.NotNil(t, d.SoftDeletes.Conflict, "a name that is kept is refused")
			}
			for _, r := range slices.Concat(d.Checks, d.Demands, d.Farewells) {
				assert.NotEmpty(t, r.Code)
			}
		})
	}
	assert.Len(t, New(Options{}).Definitions, 39)
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
			if arm.PropertyName(t.Field(i)) == name {
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

// TestUnit_RulesSurviveUnknownInputs: a preview may know nothing but the form of the inputs. Then
// no check may refuse or panic.
func TestUnit_RulesSurviveUnknownInputs(t *testing.T) {
	for _, d := range New(Options{}).Definitions {
		t.Run(d.Token, func(t *testing.T) {
			all := arm.Document{}
			for i := range d.Inputs.NumField() {
				all[arm.PropertyName(d.Inputs.Field(i))] = arm.Unknown{}
			}
			// These two are refused if they are set at all.
			delete(all, "webApplicationFirewallConfiguration")
			delete(all, "maintenanceWindow")
			assert.Empty(t, arm.Subject{Definition: &d, In: all}.Judge(d.Checks))
			assert.NotPanics(t, func() { arm.Subject{Definition: &d, In: arm.Document{}}.Judge(d.Checks) })
		})
	}
}
