package changes_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/changes"
)

func TestUnit_AFileThatIsNoReportIsRefused(t *testing.T) {
	t.Parallel()
	of := func(op changes.Op, level changes.Level) []changes.Project {
		return []changes.Project{{Name: "gridos-infra"}, {Name: "gridos", Changes: []changes.Change{{Op: op, Level: level}}}}
	}
	for problem, r := range map[string]changes.Report{
		"":                             {Environment: "dev", Projects: of(changes.Update, changes.Plain)},
		`it is of "", which`:           {Projects: of(changes.Update, changes.Plain)},
		`it is of "stage", which`:      {Environment: "stage", Projects: of(changes.Update, changes.Plain)},
		"it has no projects":           {Environment: "dev"},
		`op "erase" and level "plain"`: {Environment: "dev", Projects: of("erase", changes.Plain)},
		`op "update" and level "dull"`: {Environment: "dev", Projects: of(changes.Update, "dull")},
	} {
		err := r.Validate()
		if problem == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, problem)
	}
}

// full takes no more than some bytes, as a disk does.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

func TestUnit_AReportThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	for _, room := range []int{0, 100, 1000} {
		require.ErrorContains(t, changes.WriteMarkdown(&full{room}, []changes.Report{report()}), "no space left")
		require.ErrorContains(t, report().WriteText(&full{room / 2}, false), "no space left")
	}
	require.NoError(t, changes.WriteMarkdown(io.Discard, []changes.Report{report()}))
}

// some returns a report of n plain updates of a component, or of none.
func some(n int, component string) changes.Report {
	all := make([]changes.Change, n)
	for i := range all {
		name := fmt.Sprintf("n%03d", i)
		all[i] = changes.Change{Op: changes.Update, Level: changes.Plain, URN: urnOf(subnet, name), Type: subnet, Name: name, Component: component}
	}
	return changes.Report{Environment: "dev", Projects: []changes.Project{{Name: "gridos-infra", Changes: all}}}
}

// A table has a hundred rows, and a picture forty boxes; with more, resources of a component share
// one.
func TestUnit_TablesAndPicturesAreBounded(t *testing.T) {
	t.Parallel()
	markdown := func(r changes.Report) string {
		var text strings.Builder
		require.NoError(t, changes.WriteMarkdown(&text, []changes.Report{r}))
		return text.String()
	}
	assert.NotContains(t, markdown(some(100, "")), "more, which need less attention")
	assert.NotContains(t, markdown(some(100, "")), "Properties", "none of them has one that differs")
	assert.Contains(t, markdown(some(101, "")), "And 1 more, which need less attention")
	assert.Contains(t, markdown(some(40, "dev-network")), "n039")
	assert.NotContains(t, markdown(some(40, "dev-network")), "40 resources")
	assert.Contains(t, markdown(some(41, "dev-network")), "update in dev-network<br/>41 resources")
	assert.Contains(t, markdown(some(41, "")), "update<br/>41 resources")
}

// Two values that differ may follow from the name; with a third it is another resource.
func TestUnit_ARenamedResourceDiffersInTwoValuesAtMost(t *testing.T) {
	t.Parallel()
	inputs := func(differ int, name string) map[string]any {
		values := map[string]any{}
		for i := range 4 {
			values[fmt.Sprintf("same%d", i)] = "1"
		}
		for i := range differ {
			values[fmt.Sprintf("own%d", i)] = name
		}
		return values
	}
	for differ, want := range map[int]int{1: 1, 2: 1, 3: 2} {
		p := collected(nil, step(apitype.OpDelete, identity, "old", inputs(differ, "old"), nil, nil),
			step(apitype.OpCreate, identity, "new", nil, inputs(differ, "new"), nil))
		assert.Len(t, p.Changes, want, "%d values", differ)
	}
}

// The engine may name a property that one of the sides does not have: in a shorter list, in no list
// at all, or nowhere.
func TestUnit_APathThatLeadsNowhereHasNoValue(t *testing.T) {
	t.Parallel()
	old, made := map[string]any{"list": []any{"a", "b"}, "text": "x"}, map[string]any{"list": []any{"a"}, "text": "x"}
	for path, was := range map[string]any{"list[1]": "b", "list[2]": nil, "list[-1]": nil, "text[0]": nil, "text.part": nil, "none.at.all": nil} {
		p := collected(nil, step(apitype.OpUpdate, identity, "id", old, made,
			map[string]apitype.PropertyDiff{path: {Kind: apitype.DiffUpdate, InputDiff: true}}))
		require.Len(t, p.Changes, 1, path)
		if was == nil { // as on the other side
			assert.Empty(t, p.Changes[0].Properties, path)
			continue
		}
		assert.Equal(t, []changes.Property{{Path: path, Old: was}}, p.Changes[0].Properties, path)
	}
}

// An update that the engine does not explain may be anything, also beside a change that it depends
// on.
func TestUnit_AnUpdateWithoutPropertiesDoesNotFollow(t *testing.T) {
	t.Parallel()
	state, events := renamedSubnet()
	events[2].ResourcePreEvent.Metadata.DetailedDiff = nil
	p := collected(state, events...)
	require.Len(t, p.Changes, 2)
	for _, c := range p.Changes {
		assert.False(t, c.Follows, c.Name)
	}
}
