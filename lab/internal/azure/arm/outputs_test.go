package arm

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
)

func TestUnit_MarksOfSecrecyReachIntoListsAndObjects(t *testing.T) {
	like := resource.PropertyMap{"a": resource.NewProperty([]resource.PropertyValue{
		resource.NewProperty(resource.PropertyMap{"b": resource.MakeSecret(resource.NewProperty("old"))}),
	})}
	got := markSecrets(resource.NewPropertyMapFromMap(map[string]any{"a": []any{map[string]any{"b": "new", "c": "open"}}}), like)
	item := got["a"].ArrayValue()[0].ObjectValue()
	assert.True(t, item["b"].IsSecret())
	assert.False(t, item["c"].IsSecret())
}
