package checks

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"
)

func TestUnit_SeveralResultsAreTheWorstOfThem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		results []string
		want    string
	}{
		{nil, succeeded},
		{[]string{skipped}, skipped},
		{[]string{skipped, succeeded}, succeeded},
		{[]string{succeeded, cancelled, skipped}, cancelled},
		{[]string{cancelled, failed, succeeded}, failed},
	} {
		assert.Equal(t, test.want, worst(test.results), test.results)
	}
}

// The steps of one job, when each kind of mishap strikes it.
func TestUnit_StepsLookAtThoseBeforeThem(t *testing.T) {
	t.Parallel()
	w, mistakes := actionlint.Parse([]byte(`
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - run: "first"
      - run: "may fail"
        continue-on-error: true
      - run: "second"
      - run: "after a failure"
        if: failure()
      - run: "when cancelled"
        if: cancelled()
      - run: "unless cancelled"
        if: "!cancelled()"
      - run: "whatever happens"
        if: always()
`))
	require.Empty(t, mistakes)
	for name, test := range map[string]struct {
		mishap  mishap
		struck  bool
		outside bool // the run is cancelled already
		result  string
		ran     []string
	}{
		"nothing": {mishap{}, true, false, succeeded, []string{"first", "may fail", "second", "unless cancelled", "whatever happens"}},
		"a failure of another leg": {
			mishap{kind: fails}, false, false, succeeded, []string{"first", "may fail", "second", "unless cancelled", "whatever happens"},
		},
		"a failure of the first step": {mishap{kind: fails}, true, false, failed, []string{"after a failure", "unless cancelled", "whatever happens"}},
		"a failure that may be": {
			mishap{kind: fails, step: 1}, true, false, succeeded, []string{"first", "second", "unless cancelled", "whatever happens"},
		},
		"a failure in the middle": {
			mishap{kind: fails, step: 2}, true, false, failed, []string{"first", "may fail", "after a failure", "unless cancelled", "whatever happens"},
		},
		"the time is over":               {mishap{kind: timesOut}, true, false, cancelled, []string{"when cancelled", "whatever happens"}},
		"the time is over, as a failure": {mishap{kind: timesOutAs}, true, false, failed, []string{"when cancelled", "whatever happens"}},
		"a job that goes on in a cancelled run": {
			mishap{}, true, true, succeeded, []string{"first", "may fail", "second", "when cancelled", "whatever happens"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &run{mishap: test.mishap, did: map[string]bool{}}
			result, err := r.playSteps(w.Jobs["j"], surroundings{contexts: map[string]any{}, cancelled: test.outside}, test.struck)
			require.NoError(t, err)
			assert.Equal(t, test.result, result)
			var ran []string
			for _, step := range w.Jobs["j"].Steps {
				if script := step.Exec.(*actionlint.ExecRun).Run.Value; r.did[script] {
					ran = append(ran, script)
				}
			}
			assert.Equal(t, test.ran, ran)
		})
	}
}

// A script that judges other jobs is run in a shell; what cannot be run is an error.
func TestUnit_AStepThatJudgesOtherJobsIsRun(t *testing.T) {
	t.Parallel()
	steps := func(text string) *actionlint.Job {
		w, mistakes := actionlint.Parse([]byte("on: push\njobs:\n  j:\n    runs-on: x\n    needs: [a]\n    steps:\n" + text))
		require.Empty(t, mistakes)
		return w.Jobs["j"]
	}
	s := surroundings{contexts: map[string]any{"needs": map[string]any{"a": map[string]any{"result": "failure"}}}}
	shell := errors.New("no shell")
	for name, test := range map[string]struct {
		steps, says string
		shell       error
		result      string
	}{
		"no judge":            {"      - run: '('\n        env: {A: b}\n", "", shell, succeeded},
		"a judge":             {"      - run: test\n        env: {A: '${{ needs.a.result }}'}\n", "", nil, failed},
		"a condition":         {"      - run: test\n        if: vars.\n", "step 1: ", nil, ""},
		"a variable":          {"      - run: test\n        env: {A: '${{ nothing(1) }}'}\n", "step 1: the function nothing is not known", nil, ""},
		"a script":            {"      - run: '('\n        env: {A: '${{ needs.a.result }}'}\n", "step 1: ", nil, ""},
		"a shell that is not": {"      - run: test\n        env: {A: '${{ needs.a.result }}'}\n", "step 1: no shell", shell, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &run{did: map[string]bool{}, shell: func(_ *syntax.File, environment []string) (bool, error) {
				assert.Equal(t, []string{"A=failure"}, environment)
				return false, test.shell
			}}
			job := steps(test.steps)
			result, err := r.playSteps(job, s, false)
			assert.Equal(t, test.result, result)
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.says)
			if name != "a condition" {
				well, err := r.goesWell(job.Steps[0], job.Steps[0].Exec.(*actionlint.ExecRun).Run.Value, s)
				require.Error(t, err)
				assert.False(t, well)
			}
		})
	}
}

func TestUnit_AMishapIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "step 1 of guard fails", mishap{kind: fails, job: "guard"}.String())
	assert.Equal(t, "step 3 of guard fails", mishap{kind: fails, job: "guard", step: 2}.String())
	assert.Equal(t, "nothing goes wrong", mishap{}.String())
}

// workflow parses jobs, which are written below `jobs:`.
func workflow(t *testing.T, jobs string) *actionlint.Workflow {
	t.Helper()
	w, mistakes := actionlint.Parse([]byte("on: push\njobs:\n" + jobs))
	require.Empty(t, mistakes)
	return w
}

// The job "a" is struck. Source: docs.github.com, "Workflow cancellation", steps GitHub takes.
func TestUnit_ACancelledRunFindsJobsInSeveralPhases(t *testing.T) {
	t.Parallel()
	w := workflow(t, `
  before: {runs-on: x, steps: [{run: x}]}
  a: {runs-on: x, needs: before, steps: [{run: x}]}
  after: {runs-on: x, needs: a, steps: [{run: x}]}
  beside: {runs-on: x, steps: [{run: x}]}
  beside-after-before: {runs-on: x, needs: before, steps: [{run: x}]}
  beside-later: {runs-on: x, needs: beside, steps: [{run: x}]}
`)
	others := map[string]string{
		"before": ended, "a": runs, "after": not, "beside": ended, "beside-after-before": ended, "beside-later": ended,
	}
	with := func(changed map[string]string) map[string]string {
		all := maps.Clone(others)
		maps.Copy(all, changed)
		return all
	}
	none := map[string]string{}
	for id := range others {
		none[id] = ended
	}
	for name, test := range map[string]struct {
		mishap mishap
		prefix string
		want   map[string]string
	}{
		"it runs alone":        {mishap{kind: cancelEnds, job: "a"}, "", others},
		"it waits":             {mishap{kind: cancelWait, job: "a"}, "", with(map[string]string{"a": not})},
		"all beside it run":    {mishap{kind: cancelRuns, job: "a"}, "", with(map[string]string{"beside": runs, "beside-after-before": runs, "beside-later": not})},
		"nothing is cancelled": {mishap{kind: timesOut, job: "a"}, "", none},
		"in a called workflow": {mishap{kind: cancelEnds, job: "caller/a"}, "caller/", others},
		"in the calling one":   {mishap{kind: cancelEnds, job: "a"}, "caller/", none},
		"no job of this one":   {mishap{kind: cancelRuns, job: "caller/other"}, "caller/", none},
	} {
		r := &run{workflow: w, mishap: test.mishap, prefix: test.prefix}
		for id, want := range test.want {
			assert.Equal(t, want, r.phase(id), "%s: %s", name, id)
		}
	}
}

func TestUnit_ARunThatCannotBePlayedIsAnError(t *testing.T) {
	t.Parallel()
	const steps = "runs-on: x, steps: [{run: x}]"
	called := map[string]*actionlint.Workflow{"./broken.yml": workflow(t, "  inner: {runs-on: x, steps: [{run: x, if: vars.}]}\n")}
	for says, test := range map[string]struct {
		jobs   string
		mishap mishap
	}{
		"job j: \"vars.\" is no expression":                {"  j: {if: vars., " + steps + "}\n", mishap{}},
		"job j: step 1: \"vars.\" is no expression":        {"  j: {runs-on: x, steps: [{run: x, if: vars.}]}\n", mishap{}},
		"job j: ./none.yml is not in this repository":      {"  j: {uses: ./none.yml}\n", mishap{}},
		"job j: \"a.\" is no expression":                   {"  j: {uses: ./broken.yml, with: {in: '${{ a. }}'}}\n", mishap{}},
		"job j: job j/inner: step 1: \"vars.\"":            {"  j: {uses: ./broken.yml}\n", mishap{}},
		"job j: unexpected end of JSON input":              {"  j: {if: \"cancelled() && fromJSON('')\", " + steps + "}\n", mishap{kind: cancelEnds, job: "j"}},
		"job j: the function cancelling is not known to t": {"  j: {if: cancelling(1), " + steps + "}\n", mishap{}},
	} {
		r := &run{workflow: workflow(t, test.jobs), called: called, mishap: test.mishap, contexts: map[string]any{}}
		require.ErrorContains(t, r.play(), says)
	}
}

func TestUnit_AStepMayFailIfItSaysSo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, "continue-on-error: false": false, "continue-on-error: true": true, "continue-on-error: '${{ vars.X }}'": true,
	} {
		w := workflow(t, "  j:\n    runs-on: x\n    steps:\n      - run: x\n        "+text+"\n")
		assert.Equal(t, want, may(w.Jobs["j"].Steps[0].ContinueOnError), text)
	}
}

// Programs succeed and print nothing, files are empty and take everything, and the shell's own
// commands do what they do.
func TestUnit_AShellHasItsOwnCommandsAlone(t *testing.T) {
	t.Parallel()
	parsed := func(script string) *syntax.File {
		file, err := syntax.NewParser().Parse(strings.NewReader(script), "")
		require.NoError(t, err)
		return file
	}
	for script, want := range map[string]bool{
		"no-such-program": true,
		`test "$A" = failure && test -z "$(no-such-program)"`: true,
		`test "$A" = success`: false,
		"false; true":         false,
		"exit 3":              false,
		"echo text >file":     true,
		`read -r line <file`:  false,
		`read -r line <file || test "$line-" = "-"`: true,
	} {
		well, err := inShell(t.Context())(parsed(script), []string{"A=failure"})
		require.NoError(t, err)
		assert.Equal(t, want, well, script)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := inShell(ctx)(parsed("true"), nil)
	require.ErrorIs(t, err, context.Canceled)
}
