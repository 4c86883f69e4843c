package checks

import (
	"errors"
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
