package checks

import (
	"fmt"
	"testing"

	"github.com/rhysd/actionlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Source of the answers: docs.github.com, "Evaluate expressions in workflows and actions".
func TestUnit_ConditionsAreThoseOfGitHub(t *testing.T) {
	t.Parallel()
	contexts := map[string]any{
		"github": map[string]any{"event_name": "pull_request", "ref": "refs/heads/Main", "event": map[string]any{
			"pull_request": map[string]any{"number": 7.0, "labels": []any{map[string]any{"name": "Docs"}, map[string]any{"name": "x"}}},
		}},
		"needs": map[string]any{"a": map[string]any{"result": "success"}, "b": map[string]any{"result": "skipped"}},
		"vars":  map[string]any{"ON": "true", "EMPTY": "", "ZERO": "0"},
	}
	well := surroundings{contexts: contexts, success: true}
	badly := surroundings{contexts: contexts, failure: true}
	stopped := surroundings{contexts: contexts, cancelled: true}
	for text, want := range map[string]struct{ well, badly, stopped bool }{
		"":                                    {true, false, false},
		"always()":                            {true, true, true},
		"${{ always() }}":                     {true, true, true},
		"${{ !cancelled() }}":                 {true, true, false},
		"success() || failure()":              {true, true, false},
		"failure()":                           {false, true, false},
		"cancelled()":                         {false, false, true},
		"true":                                {true, false, false},
		"vars.ON == 'TRUE'":                   {true, false, false},
		"vars.ON == true":                     {false, false, false},
		"vars.NONE == ''":                     {true, false, false},
		"vars.NONE":                           {false, false, false},
		"vars.ZERO":                           {true, false, false},
		"vars.ZERO == 0":                      {true, false, false},
		"vars.EMPTY || vars.ON":               {true, false, false},
		"github.ref == 'refs/heads/main'":     {true, false, false},
		"startsWith(github.ref, 'REFS/')":     {true, false, false},
		"endsWith(github.ref, 'main')":        {true, false, false},
		"contains('abc', 'B')":                {true, false, false},
		"needs.a.result == 'success'":         {true, false, false},
		"contains(needs.*.result, 'failure')": {false, false, false},
		"contains(needs.*.result, 'skipped')": {true, false, false},
		"contains(github.event.pull_request.labels.*.name, 'docs')":         {true, false, false},
		"github.event.pull_request.labels[1].name == 'x'":                   {true, false, false},
		"github.event.pull_request.number > 6 && 2 >= 2 && 1 < 2 && 1 <= 1": {true, false, false},
		"github['event_name'] != 'push'":                                    {true, false, false},
		"join(needs.*.result, '') == ''":                                    {false, false, false},
		"format('{0}-{1}', 'a', 1) == 'a-1'":                                {true, false, false},
		"format('{0}', 0.1) == '0.1'":                                       {true, false, false},
		"format('{0}', 1e14) == '100000000000000'":                          {true, false, false},
		"format('{0}', 1e15) == '1E+15'":                                    {true, false, false},
		"fromJSON('[1]')[0] == 1":                                           {true, false, false},
		"toJSON(vars.ON) == '\"true\"'":                                     {true, false, false},
		"${{ false }} && ${{ false }}":                                      {true, false, false}, // a text, which is not empty
		"1 < 1":                                                             {false, false, false},
		"2 < 1":                                                             {false, false, false},
		"1 > 1":                                                             {false, false, false},
		"1 > 2":                                                             {false, false, false},
		"1 >= 2":                                                            {false, false, false},
		"2 >= 1":                                                            {true, false, false},
		"2 <= 1":                                                            {false, false, false},
		"1 <= 2":                                                            {true, false, false},
		"1 != 1":                                                            {false, false, false},
		"2 != 1":                                                            {true, false, false},
		"1 == 2":                                                            {false, false, false},
		"'a' < 'B'":                                                         {true, false, false},
		"'b' < 'A'":                                                         {false, false, false},
		"'a' >= 'A'":                                                        {true, false, false},
		"vars.ON > 0 || vars.ON < 0 || vars.ON >= 0": {false, false, false}, // no number
		"vars.ON != 0": {true, false, false},
		"vars.EMPTY == 0 && true == 1 && false == 0": {true, false, false},
		"true > false && null == 0 && null == ''":    {true, false, false},
		"0 || false || null":                         {false, false, false},
		"0.5 && 1":                                   {true, false, false},
		"fromJSON('[]')":                             {true, false, false},
		"format('{0} {1}', 1.5, true) == '1.5 true'": {true, false, false},
		"format('{0}', vars.NONE) == ''":             {true, false, false},
		"format('{0}', fromJSON('[1]')) == 'Array'":  {true, false, false},
		"format('{0}', fromJSON('{}')) == 'Object'":  {true, false, false},
		"join(fromJSON('[1,2]')) == '1,2'":           {true, false, false},
		"join(fromJSON('[1,2]'), '-') == '1-2'":      {true, false, false},
		"contains(needs.*.result, 'skip')":           {false, false, false},
		"startsWith('abc', 'b')":                     {false, false, false},
		"endsWith('abc', 'b')":                       {false, false, false},
		"contains('abc', 'd')":                       {false, false, false},
		"fromJSON('[1]')[1] == null && fromJSON('[1]')[-1] == null && fromJSON('[1]')[0] != null": {true, false, false},
		"hashFiles('go.sum') != ''":               {true, false, false},
		"always() && needs.b.result != 'skipped'": {false, false, false},
	} {
		for name, one := range map[string]struct {
			s    surroundings
			want bool
		}{"well": {well, want.well}, "badly": {badly, want.badly}, "stopped": {stopped, want.stopped}} {
			holds, err := condition(text, one.s)
			require.NoError(t, err, text)
			assert.Equal(t, one.want, holds, "%q when all goes %s", text, name)
		}
	}
	for _, text := range []string{
		"vars.", "${{ a", "noSuchFunction('a')", "noSuchFunction('a').*.b", "contains()", "fromJSON('{')",
		"fromJSON('{') == 1", "1 == fromJSON('{')", "contains(fromJSON('{'), 'a')", "contains('a', fromJSON('{'))", "!fromJSON('{')",
		"fromJSON('{') && true", "true && fromJSON('{')", "fromJSON('{')[0]", "vars[fromJSON('{')]", "fromJSON('{').a", "fromJSON('{').*.a",
	} {
		_, err := condition(text, well)
		require.Error(t, err, text)
	}
}

// Source: docs.github.com, "Contexts reference", github.ref, and "Webhook events and payloads".
func TestUnit_EventsAreThoseOfGitHub(t *testing.T) {
	t.Parallel()
	for _, e := range events() {
		all := []string{"github.event_name != ''"}
		switch e.hook {
		case "pull_request":
			all = append(all, "github.ref == format('refs/pull/{0}/merge', github.event.pull_request.number)",
				fmt.Sprintf("(github.event.pull_request.head.repo.full_name == github.repository) == %t", !e.fork))
		case "workflow_run":
			all = append(all, "github.event.workflow_run.event == 'pull_request' && github.event.workflow_run.head_sha == github.sha")
		default:
			all = append(all, "startsWith(github.ref, 'refs/heads/')")
		}
		for _, text := range all {
			holds, err := condition(text, surroundings{contexts: e.contexts(), success: true})
			require.NoError(t, err)
			assert.True(t, holds, "%s: %s", e.name, text)
		}
	}
}

// Source: docs.github.com, "Events that trigger workflows", pull_request, and "Workflow syntax",
// on.<event>.types and paths-ignore.
func TestUnit_AnEventBeginsWhatAsksForIt(t *testing.T) {
	t.Parallel()
	for on, begun := range map[string]map[string]bool{
		"pull_request: null":                      {"opened": true, "closed": false},
		"pull_request: {types: [closed]}":         {"opened": false, "closed": true},
		"pull_request: {types: [closed, opened]}": {"opened": true, "labeled": false},
		"pull_request: {paths-ignore: [docs/**]}": {"opened": true},
		"pull_request: {paths-ignore: [src/**]}":  {"opened": false},
		"push":                                    {"opened": false},
	} {
		text := "on: {" + on + "}\n"
		workflow, problems := actionlint.Parse([]byte(text + "jobs: {a: {runs-on: x, steps: [{run: y}]}}\n"))
		require.Empty(t, problems, text)
		for action, want := range begun {
			e := event{hook: "pull_request", branch: "main", action: action, changed: []string{"src/main.go"}}
			assert.Equal(t, want, e.begins(workflow), "%s: %s", on, action)
		}
	}
}

// strange is a part of an expression that GitHub may have one day.
type strange struct{ actionlint.ExprNode }

func TestUnit_AnExpressionThatIsNotKnownIsAnError(t *testing.T) {
	t.Parallel()
	_, err := surroundings{}.value(strange{})
	require.ErrorContains(t, err, "an expression has a checks.strange, which this program does not know")
}

func TestUnit_PathsAreThoseOfGitHub(t *testing.T) {
	t.Parallel()
	for pattern, names := range map[string]map[string]bool{
		"src/**":            {"src/a": true, "src/a/b": true, "source/a": false},
		"*.go":              {"main.go": true, "infra/main.go": false},
		"**/go.sum":         {"go.sum": true, "src/go.sum": true, "go.sums": false},
		"Pulumi*.yaml":      {"Pulumi.dev.yaml": true, "infra/Pulumi.yaml": false},
		".github/*deploy.*": {".github/infra-deploy.yml": true},
	} {
		for name, want := range names {
			assert.Equal(t, want, fits(pattern, name), "%s and %s", pattern, name)
		}
	}
}

// Source: docs.github.com, "Running variations of jobs in a workflow": a row with one value is one
// leg, what is included is one more.
func TestUnit_AMatrixHasALegForEachCombination(t *testing.T) {
	t.Parallel()
	row := func(values ...string) *actionlint.MatrixRow {
		var row actionlint.MatrixRow
		for _, value := range values {
			row.Values = append(row.Values, &actionlint.RawYAMLString{Value: value})
		}
		return &row
	}
	for _, test := range []struct {
		rows map[string]*actionlint.MatrixRow
		want []map[string]any
	}{
		{nil, []map[string]any{{}}},
		{map[string]*actionlint.MatrixRow{"a": row("1")}, []map[string]any{{"a": "1"}}},
		{map[string]*actionlint.MatrixRow{"a": row("1", "2"), "b": row("3")}, []map[string]any{{"a": "1", "b": "3"}, {"a": "2", "b": "3"}}},
	} {
		assert.Equal(t, test.want, combinations(&actionlint.Strategy{Matrix: &actionlint.Matrix{Rows: test.rows}}))
	}
}
