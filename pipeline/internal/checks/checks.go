// Package checks simulates what GitHub does with the workflows of a repository for each event in
// it, and reports the result of each required check. A required check that ends green although its
// work was not done is a mistake, and so is one that never ends.
package checks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// Required are the jobs that are required checks of main: docs/INFRA_PIPELINE_SETUP.md protects the
// branch by them.
func Required() []string { return []string{"check", "lab", "guard"} }

// The scopes of a change, as .github/actions/scope reports them: each scope includes those before
// it.
const (
	light      = "light"
	service    = "service"
	everything = "everything"
)

// work returns, for each script that must have run successfully for a check to be green, a text
// that the script contains.
func work(check string, e event) []string {
	switch {
	case check == "check" && e.scope == light:
		return []string{"make test-unit manifests"}
	case check == "check":
		return []string{"make test-unit manifests", "make verify coverage"}
	case check == "lab" && e.scope != light:
		return []string{".ci/run"}
	case check == "guard":
		var all []string
		if e.hook == "pull_request" {
			all = append(all, ".base.ref")
		}
		all = append(all, "pipeline guard")
		if e.scope != everything {
			return append(all, "bin/pipeline manifests")
		}
		all = append(all, "bin/lab diff")
		if e.hook == "pull_request" && !e.fork && e.vars["PREVIEW_AZURE"] == "true" {
			all = append(all, "bin/pipeline preview")
		}
		return all
	default:
		return nil // nothing that the check looks at has changed
	}
}

// notReported is the outcome of a check that never reports to GitHub: a merge that needs it waits
// for ever.
const notReported = "not reported"

// Row is one line of the table: an event, and the results of its required checks.
type Row struct {
	Event    string            `json:"event"`
	Mishaps  []string          `json:"mishaps,omitempty"` // what goes wrong: one of these
	Jobs     []string          `json:"jobs"`              // of each workflow that begins, with their results
	Outcomes map[string]string `json:"outcomes"`          // of each required check
	Note     string            `json:"note,omitempty"`
}

// Repository are the workflows of a checkout.
type Repository struct {
	workflows map[string]*actionlint.Workflow // by the path in the checkout, as uses has it
}

// Load reads the workflows of a checkout.
func Load(checkout string) (*Repository, error) {
	files, err := filepath.Glob(filepath.Join(checkout, ".github", "workflows", "*.y*ml"))
	if err != nil {
		return nil, err
	}
	r := &Repository{workflows: map[string]*actionlint.Workflow{}}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		w, mistakes := actionlint.Parse(text)
		if len(mistakes) > 0 {
			return nil, fmt.Errorf("%s: %w", file, mistakes[0])
		}
		r.workflows["./.github/workflows/"+filepath.Base(file)] = w
	}
	return r, nil
}

// outcome is what one event and one mishap lead to.
type outcome struct {
	runs   map[string]*run // by the file of the workflow
	checks map[string]string
}

// happen simulates all runs that an event begins. The mishap is of the workflow named in front of
// its job, as file:job.
func (r *Repository) happen(ctx context.Context, e event, m mishap) (outcome, error) {
	o := outcome{runs: map[string]*run{}, checks: map[string]string{}}
	file, job, _ := strings.Cut(m.job, ":")
	for path, w := range r.workflows {
		if !e.begins(w) {
			continue
		}
		one := &run{
			workflow: w, called: r.workflows, contexts: e.contexts(), shell: inShell(ctx),
			outputs: map[string]string{"scope.scope": e.scope},
		}
		if filepath.Base(path) == file {
			one.mishap = mishap{kind: m.kind, job: job, step: m.step}
		}
		if err := one.play(); err != nil {
			return o, fmt.Errorf("%s: %w", path, err)
		}
		o.runs[filepath.Base(path)] = one
	}
	for _, check := range Required() {
		o.checks[check] = notReported
		for _, one := range o.runs {
			if result, ok := one.checks[check]; ok {
				o.checks[check] = result
			}
		}
	}
	return o, nil
}

// did reports whether a run has done a piece of work everywhere that it is done.
func (o outcome) did(piece string) bool {
	found := false
	for _, one := range o.runs {
		for script, well := range one.did {
			if strings.Contains(script, piece) {
				if !well {
					return false
				}
				found = true
			}
		}
	}
	return found
}

// mishaps are all that can go wrong in the runs of an event: with each job, and each of its steps.
func (r *Repository) mishaps(e event) []mishap {
	all := []mishap{{}}
	for path, w := range r.workflows {
		if !e.begins(w) {
			continue
		}
		for id, j := range w.Jobs {
			name := filepath.Base(path) + ":" + id
			for _, kind := range []string{timesOut, timesOutAs, cancelEnds, cancelRuns, cancelWait} {
				all = append(all, mishap{kind: kind, job: name})
			}
			for i := range j.Steps {
				all = append(all, mishap{kind: fails, job: name, step: i})
			}
		}
	}
	slices.SortFunc(all, func(a, b mishap) int {
		return cmp.Or(cmp.Compare(a.job, b.job), cmp.Compare(a.kind, b.kind), a.step-b.step)
	})
	return all
}

// Check returns everything that is wrong with the required checks, joined: one that ends green
// without its work, one that waits for ever, one that two workflows report, and one that is red
// although nothing goes wrong.
func (r *Repository) Check(ctx context.Context) error {
	var mistakes []error
	seen := map[string]bool{}
	say := func(check, kind, format string, arguments ...any) {
		if kind = check + kind; !seen[kind] { // the first of each kind is enough to find it
			seen[kind] = true
			mistakes = append(mistakes, fmt.Errorf("required check "+check+": "+format, arguments...))
		}
	}
	for _, e := range events() {
		if !e.waits {
			continue
		}
		for _, m := range r.mishaps(e) {
			o, err := r.happen(ctx, e, m)
			if err != nil {
				return err
			}
			for _, check := range Required() {
				if m.kind == "" {
					r.askWhole(e, check, o, say)
				}
				if result := o.checks[check]; result == succeeded || result == skipped {
					for _, piece := range work(check, e) {
						if !o.did(piece) {
							say(check, result+piece, "ends green (%s) although %q was not done: %s, and %s; "+
								"its job must run always and look at "+
								"the results of those that it needs", result, piece, e.name, m)
						}
					}
				}
			}
		}
	}
	return errors.Join(mistakes...)
}

// askWhole checks that, for an event in which nothing goes wrong, the check is reported once and is
// green.
func (r *Repository) askWhole(e event, check string, o outcome, say func(check, kind, format string, arguments ...any)) {
	reporters := 0
	for _, one := range o.runs {
		if _, ok := one.checks[check]; ok {
			reporters++
		}
	}
	switch {
	case o.checks[check] == notReported:
		say(check, "never"+e.hook, "is never reported for: %s; GitHub waits for it for ever. Begin its workflow with %s", e.name, e.hook)
	case reporters > 1:
		say(check, "twice", "is reported by two workflows for: %s; GitHub takes either. Give one of the jobs another name", e.name)
	case o.checks[check] != succeeded && o.checks[check] != skipped:
		say(check, "red", "ends as %s for: %s, although nothing goes wrong", o.checks[check], e.name)
	}
}

// Table returns one row for each event and, for some pull requests of main and a merge group, one
// for each mishap in a workflow with required checks.
func (r *Repository) Table(ctx context.Context) ([]Row, error) {
	var rows []Row
	for _, e := range events() {
		mishaps := []mishap{{}}
		if e.mishaps {
			mishaps = r.mishaps(e)
		}
		known := map[string]int{} // the row with these results
		for _, m := range mishaps {
			o, err := r.happen(ctx, e, m)
			if err != nil {
				return nil, err
			}
			row := Row{Event: e.name, Jobs: o.jobs(m), Outcomes: o.checks, Note: e.note}
			for check, result := range row.Outcomes {
				if result == skipped {
					row.Outcomes[check] = "skipped, which is green"
				}
			}
			if m.kind == "" {
				known[fmt.Sprint(o.jobs(mishap{job: reporter(o)}))] = -1 // a mishap with a step or a job that does not run anyway is none
				rows = append(rows, row)
				continue
			}
			told, same := known[fmt.Sprint(row.Jobs)]
			what := strings.ReplaceAll(m.String(), ".yml:", "/")
			if m.kind == fails {
				what = "a step of " + strings.ReplaceAll(m.job, ".yml:", "/") + " fails"
			}
			switch {
			case len(row.Jobs) == 0 || told < 0:
			case same && !slices.Contains(rows[told].Mishaps, what):
				rows[told].Mishaps = append(rows[told].Mishaps, what)
			case !same:
				row.Mishaps, row.Note = []string{what}, ""
				known[fmt.Sprint(row.Jobs)] = len(rows)
				rows = append(rows, row)
			}
		}
	}
	return rows, nil
}

// reporter is the file of the run that reports required checks.
func reporter(o outcome) string {
	for file, one := range o.runs {
		if slices.ContainsFunc(Required(), func(check string) bool { return one.checks[check] != "" }) {
			return file
		}
	}
	return ""
}

// jobs are the runs with their jobs and results; for a mishap that one alone which reports required
// checks, or none if it struck another.
func (o outcome) jobs(m mishap) []string {
	var all []string
	struck, _, _ := strings.Cut(m.job, ":")
	for _, file := range slices.Sorted(maps.Keys(o.runs)) {
		if struck != "" && (file != struck || file != reporter(o)) {
			continue
		}
		var jobs []string
		for _, id := range slices.Sorted(maps.Keys(o.runs[file].checks)) {
			jobs = append(jobs, id+" "+o.runs[file].checks[id])
		}
		all = append(all, strings.TrimSuffix(file, ".yml")+": "+strings.Join(jobs, ", "))
	}
	return all
}

// String is the row as the table shows it.
func (r Row) String() string {
	var text strings.Builder
	text.WriteString(r.Event)
	text.WriteString("\n")
	for i, what := range r.Mishaps {
		text.WriteString([]string{"  when ", "    or "}[min(i, 1)] + what + "\n")
	}
	for _, run := range r.Jobs {
		text.WriteString("    " + run + "\n")
	}
	if len(r.Jobs) == 0 {
		text.WriteString("    no workflow begins\n")
	}
	text.WriteString("  =>")
	for _, check := range Required() {
		fmt.Fprintf(&text, " %s: %s.", check, r.Outcomes[check])
	}
	if r.Note != "" {
		text.WriteString(" " + r.Note)
	}
	return text.String() + "\n"
}
