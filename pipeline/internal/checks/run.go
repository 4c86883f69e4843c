package checks

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// The results of jobs, as needs.<job>.result has them.
const (
	succeeded = "success"
	failed    = "failure"
	cancelled = "cancelled"
	skipped   = "skipped"
)

// mishap is what goes wrong in a run: nothing, or something with one job.
type mishap struct {
	kind string // "", or one of those below
	job  string
	step int // of fails
}

// The kinds of mishaps.
const (
	fails      = "fails"                      // a step of the job
	timesOut   = "times out"                  // the job; its result is cancelled
	timesOutAs = "times out, as a failure"    // the job; its result is failure
	cancelEnds = "is running at cancelling"   // the job, when its run is cancelled and the jobs beside it have ended well
	cancelRuns = "and the others are running" // the job, when its run is cancelled and the jobs beside it run too
	cancelWait = "waits at cancelling"        // the job, which has no runner yet, when its run is cancelled
)

func (m mishap) String() string {
	switch m.kind {
	case "":
		return "nothing goes wrong"
	case fails:
		return fmt.Sprintf("step %d of %s fails", m.step+1, m.job)
	case cancelEnds:
		return "the run is cancelled while " + m.job + " runs"
	case cancelRuns:
		return "the run is cancelled while " + m.job + " and all beside it run"
	case cancelWait:
		return "the run is cancelled while " + m.job + " waits for a runner"
	default:
		return m.job + " " + m.kind
	}
}

func (m mishap) cancels() bool {
	return m.kind == cancelEnds || m.kind == cancelRuns || m.kind == cancelWait
}

// run is one run of a workflow for an event.
type run struct {
	workflow *actionlint.Workflow
	called   map[string]*actionlint.Workflow // by its path, as uses has it
	contexts map[string]any
	outputs  map[string]string // of steps, such as changes.scope
	mishap   mishap
	shell    func(script *syntax.File, environment []string) (well bool, err error)
	prefix   string // the job that calls this workflow, and a slash

	results map[string]string // of each job that has ended, or was skipped
	checks  map[string]string // the conclusion of each job, or leg of its matrix, by the name that GitHub shows
	did     map[string]bool   // whether all legs did it: the scripts that were run and went well
}

// play plays the run. The rules, with their sources:
//
//   - a job waits until the jobs that it needs have ended; its condition is success() unless it
//     asks a status function itself (docs.github.com, "Evaluate expressions in workflows and
//     actions", status check functions, 2026-11);
//   - success() and failure() of a job look at all its ancestors, and success() is false after one
//     that was skipped (actions/runner, issues 491 and 2205);
//   - a job whose condition does not hold is skipped, and a required check that is skipped counts
//     as one that succeeded (docs.github.com, "Using conditions to control job execution",
//     2026-11);
//   - a job that takes longer than its timeout-minutes ends as cancelled (fujibee/agmsg, pull
//     request 878; paiml/aprender, issue 3293; both 2026). Both results are played, because older
//     reports have failure;
//   - when a run is cancelled, GitHub asks the conditions of the jobs that run again, and those
//     whose condition holds go on (docs.github.com, "Workflow cancellation", steps GitHub takes,
//     2026-11);
//   - a job that has not begun then is asked too, and skipped if its condition does not hold
//     (PostHog/posthog, pull request 92226). That one without a condition, which waits for a
//     runner, ends as cancelled is inferred `queued-job-cancelled`;
//   - a failure of a job with continue-on-error is a success for those that need it
//     (docs.github.com, "Workflow syntax", 2026-11).
func (r *run) play() error {
	r.results, r.checks, r.did = map[string]string{}, map[string]string{}, map[string]bool{}
	for _, id := range r.order() {
		if err := r.playJob(r.workflow.Jobs[id]); err != nil {
			return fmt.Errorf("job %s%s: %w", r.prefix, id, err)
		}
	}
	return nil
}

// order returns the jobs, each after those that it needs.
func (r *run) order() []string {
	var all []string
	var add func(id string)
	add = func(id string) {
		j := r.workflow.Jobs[id]
		if j == nil || slices.Contains(all, id) {
			return
		}
		for _, needed := range j.Needs {
			add(strings.ToLower(needed.Value))
		}
		all = append(all, id)
	}
	for _, id := range slices.Sorted(maps.Keys(r.workflow.Jobs)) {
		add(id)
	}
	return all
}

// ancestors are the jobs that a job needs, and those that these need.
func (r *run) ancestors(id string) []string {
	var all []string
	for _, needed := range r.workflow.Jobs[id].Needs {
		name := strings.ToLower(needed.Value)
		if r.workflow.Jobs[name] != nil && !slices.Contains(all, name) {
			all = append(append(all, name), r.ancestors(name)...)
		}
	}
	return all
}

// How far a job is when its run is cancelled.
const (
	ended = "ended"
	runs  = "runs"
	not   = "not begun"
)

// phase is how far a job is when the run is cancelled: it has ended, it runs, or it has not begun.
func (r *run) phase(id string) string {
	struck, mine := strings.TrimPrefix(r.mishap.job, r.prefix), strings.HasPrefix(r.mishap.job, r.prefix)
	struck, _, _ = strings.Cut(struck, "/")
	switch {
	case !r.mishap.cancels() || !mine || r.workflow.Jobs[struck] == nil:
		return ended
	case id == struck && r.mishap.kind == cancelWait:
		return not
	case id == struck:
		return runs
	case slices.Contains(r.ancestors(struck), id):
		return ended
	case slices.Contains(r.ancestors(id), struck):
		return not
	case r.mishap.kind != cancelRuns:
		return ended
	}
	for _, ancestor := range r.ancestors(id) {
		if r.phase(ancestor) != ended {
			return not
		}
	}
	return runs
}

func (r *run) playJob(j *actionlint.Job) error {
	id := strings.ToLower(j.ID.Value)
	phase := r.phase(id)
	s := surroundings{contexts: maps.Clone(r.contexts), success: true}
	needs := map[string]any{}
	for _, needed := range j.Needs {
		name := strings.ToLower(needed.Value)
		needs[name] = map[string]any{"result": r.results[name], "outputs": map[string]any{}}
	}
	s.contexts["needs"] = needs
	for _, ancestor := range r.ancestors(id) {
		s.success = s.success && r.results[ancestor] == succeeded
		s.failure = s.failure || r.results[ancestor] == failed
	}
	wanted, err := condition(value(j.If), s) // if no user had cancelled the run
	if err != nil {
		return err
	}
	s.cancelled = phase != ended
	s.success = s.success && !s.cancelled
	holds, err := condition(value(j.If), s)
	if err != nil {
		return err
	}
	waits := r.mishap.kind == cancelWait && r.mishap.job == r.prefix+id
	if !holds || waits && (j.If == nil || !wanted) {
		result := skipped
		if wanted && (phase == runs || waits && j.If == nil) {
			result = cancelled
		}
		r.results[id], r.checks[r.shown(j)] = result, result
		return nil
	}
	if j.WorkflowCall != nil {
		return r.playCalled(id, j, s)
	}
	return r.playLegs(id, j, s)
}

// shown is the name of a job's check: its own name if it has a fixed one, and else its id. With a
// matrix there is a check for each leg, none of which has the name of the job.
func (r *run) shown(j *actionlint.Job) string {
	name := strings.ToLower(j.ID.Value)
	if own := value(j.Name); own != "" && !strings.Contains(own, "${{") {
		name = own
	}
	if j.Strategy != nil && j.Strategy.Matrix != nil {
		name += " (all legs)"
	}
	return r.prefix + name
}

// playCalled plays a job that calls another workflow.
func (r *run) playCalled(id string, j *actionlint.Job, s surroundings) error {
	called := r.called[j.WorkflowCall.Uses.Value]
	if called == nil {
		return fmt.Errorf("%s is not in this repository", j.WorkflowCall.Uses.Value)
	}
	inputs := map[string]any{}
	for name, input := range j.WorkflowCall.Inputs {
		text, err := interpolated(value(input.Value), s)
		if err != nil {
			return err
		}
		inputs[name] = text
	}
	inner := *r
	inner.workflow, inner.prefix, inner.contexts = called, r.prefix+id+"/", maps.Clone(r.contexts)
	inner.contexts["inputs"] = inputs
	if err := inner.play(); err != nil {
		return err
	}
	maps.Copy(r.checks, inner.checks)
	r.results[id] = worst(slices.Collect(maps.Values(inner.results)))
	for script, all := range inner.did {
		r.note(script, all)
	}
	return nil
}

// worst returns the result of several results: of the legs of a matrix, or of the jobs of a called
// workflow.
func worst(results []string) string {
	for _, bad := range []string{failed, cancelled} {
		if slices.Contains(results, bad) {
			return bad
		}
	}
	if len(results) > 0 && !slices.Contains(results, succeeded) {
		return skipped
	}
	return succeeded
}

// playLegs plays a job once for each combination of its matrix. A mishap strikes one of them, the
// last.
func (r *run) playLegs(id string, j *actionlint.Job, s surroundings) error {
	legs := combinations(j.Strategy)
	var results []string
	for i, leg := range legs {
		s.contexts["matrix"] = leg
		struck := r.mishap.job == r.prefix+id && i == len(legs)-1
		result, err := r.playSteps(j, s, struck)
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	result := worst(results)
	r.checks[r.shown(j)] = result
	if result == failed && may(j.ContinueOnError) {
		result = succeeded
	}
	r.results[id] = result
	return nil
}

// playSteps plays the steps of a job. They look at the steps before them alone, and at whether the
// run is cancelled.
func (r *run) playSteps(j *actionlint.Job, outer surroundings, struck bool) (string, error) {
	s := surroundings{contexts: maps.Clone(outer.contexts), success: true, cancelled: outer.cancelled}
	s.contexts["steps"] = r.stepOutputs()
	result := succeeded
	ends := map[string]string{timesOut: cancelled, timesOutAs: failed}[r.mishap.kind]
	for i, step := range j.Steps {
		holds, err := condition(value(step.If), s)
		if err != nil {
			return "", fmt.Errorf("step %d: %w", i+1, err)
		}
		script := ""
		if exec, ok := step.Exec.(*actionlint.ExecRun); ok {
			script = value(exec.Run)
		}
		if !holds {
			r.note(script, false)
			continue
		}
		well, err := r.goesWell(step, script, s)
		if err != nil {
			return "", fmt.Errorf("step %d: %w", i+1, err)
		}
		if struck && r.mishap.kind == fails && i == r.mishap.step {
			well = false
		}
		if struck && ends != "" && i == 0 {
			well, result = false, ends
			s.success, s.cancelled = false, true
		}
		r.note(script, well)
		if !well && result == succeeded && !may(step.ContinueOnError) {
			result, s.success, s.failure = failed, false, true
		}
	}
	return result, nil
}

// may reports whether continue-on-error is set, or may be: an expression counts as true.
func may(continueOnError *actionlint.Bool) bool {
	return continueOnError != nil && (continueOnError.Value || continueOnError.Expression != nil)
}

// note records whether a script ran and succeeded, in all legs.
func (r *run) note(script string, well bool) {
	if script == "" {
		return
	}
	before, known := r.did[script]
	r.did[script] = well && (before || !known)
}

func (r *run) stepOutputs() map[string]any {
	steps := map[string]any{}
	for name, text := range r.outputs {
		id, output, _ := strings.Cut(name, ".")
		steps[id] = map[string]any{"outputs": map[string]any{output: text}, "outcome": succeeded, "conclusion": succeeded}
	}
	return steps
}

// goesWell reports whether a step succeeds as far as the results of other jobs decide it: it runs
// the script in a shell in which every program succeeds and prints nothing. The shell's built-in
// commands, such as test, work as usual.
func (r *run) goesWell(step *actionlint.Step, script string, s surroundings) (bool, error) {
	var environment []string
	judges := false
	if step.Env != nil {
		for _, variable := range step.Env.Vars {
			text, err := interpolated(value(variable.Value), s)
			if err != nil {
				return false, err
			}
			judges = judges || strings.Contains(value(variable.Value), "needs.")
			environment = append(environment, value(variable.Name)+"="+text)
		}
	}
	if !judges {
		return true, nil
	}
	program, err := syntax.NewParser().Parse(strings.NewReader(script), "")
	if err != nil {
		return false, err
	}
	return r.shell(program, environment)
}

// inShell runs a script in a shell in which every program succeeds and prints nothing.
func inShell(ctx context.Context) func(script *syntax.File, environment []string) (bool, error) {
	return func(script *syntax.File, environment []string) (bool, error) {
		shell, err := interp.New(
			interp.Env(expand.ListEnviron(environment...)), interp.StdIO(nil, io.Discard, io.Discard), interp.Params("-e"),
			interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc {
				return func(context.Context, []string) error { return nil }
			}),
			interp.OpenHandler(func(context.Context, string, int, os.FileMode) (io.ReadWriteCloser, error) { return nowhere{}, nil }),
		)
		if err != nil {
			return false, err
		}
		return shell.Run(ctx, script) == nil, ctx.Err()
	}
}

// nowhere is a file that keeps nothing.
type nowhere struct{}

func (nowhere) Read([]byte) (int, error)    { return 0, io.EOF }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close() error                { return nil }

// combinations are the legs of a matrix; a job without one has a single leg.
func combinations(strategy *actionlint.Strategy) []map[string]any {
	legs := []map[string]any{{}}
	if strategy == nil || strategy.Matrix == nil {
		return legs
	}
	matrix := strategy.Matrix
	for _, name := range slices.Sorted(maps.Keys(matrix.Rows)) {
		row := matrix.Rows[name]
		if len(row.Values) == 0 {
			continue
		}
		var more []map[string]any
		for _, leg := range legs {
			for _, raw := range row.Values {
				one := maps.Clone(leg)
				one[name] = plain(raw)
				more = append(more, one)
			}
		}
		legs = more
	}
	if matrix.Include == nil {
		return legs
	}
	var included []map[string]any
	for _, combination := range matrix.Include.Combinations {
		one := map[string]any{}
		for name, assigned := range combination.Assigns {
			one[name] = plain(assigned.Value)
		}
		included = append(included, one)
	}
	if len(matrix.Rows) == 0 {
		return included
	}
	return append(legs, included...)
}

func plain(raw actionlint.RawYAMLValue) any {
	if text, ok := raw.(*actionlint.RawYAMLString); ok {
		return text.Value
	}
	return raw.String()
}

func value(s *actionlint.String) string {
	if s == nil {
		return ""
	}
	return s.Value
}
