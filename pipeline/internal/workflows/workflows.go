// Package workflows checks rules that keep GitHub workflows safe and reproducible, in addition to
// those of actionlint.
package workflows

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/pipeline/internal/checks"
)

// workflow has the parts of a workflow that the checks read, or, as Runs, those of a composite
// action.
type workflow struct {
	On          events         `yaml:"on"`
	Permissions any            `yaml:"permissions"`
	Jobs        map[string]job `yaml:"jobs"`
	Runs        struct {
		Using string `yaml:"using"`
		Steps []step `yaml:"steps"`
	} `yaml:"runs"`
	Concurrency concurrency `yaml:"concurrency"`
}

type job struct {
	If          string      `yaml:"if"`
	Needs       any         `yaml:"needs"`
	Uses        use         `yaml:"uses"`
	Environment any         `yaml:"environment"`
	Permissions any         `yaml:"permissions"`
	Concurrency concurrency `yaml:"concurrency"`
	Timeout     any         `yaml:"timeout-minutes"`
	Steps       []step      `yaml:"steps"`
}

type step struct {
	Name string         `yaml:"name"`
	If   string         `yaml:"if"`
	Uses use            `yaml:"uses"`
	Run  string         `yaml:"run"`
	With map[string]any `yaml:"with"`
}

type concurrency struct {
	Group  string `yaml:"group"`
	Cancel any    `yaml:"cancel-in-progress"`
}

// events are the names of what a workflow begins with: one, a list, or the keys of a mapping.
type events []string

func (e *events) UnmarshalYAML(node *yaml.Node) error {
	switch node.Kind {
	case yaml.ScalarNode:
		*e = events{node.Value}
		return nil
	case yaml.MappingNode:
		var named map[string]any
		err := node.Decode(&named)
		*e = slices.Collect(maps.Keys(named))
		return err
	default:
		return node.Decode((*[]string)(e))
	}
}

// use is an action or a workflow that is used, and the line where it says so.
type use struct {
	name string
	line int
}

func (u *use) UnmarshalYAML(node *yaml.Node) error {
	u.line = node.Line
	return node.Decode(&u.name)
}

// Check returns everything that is wrong with the workflows in .github/workflows and the actions in
// .github/actions of a repository, joined. The rules:
//
//   - an action from another repository is pinned by the full hash of a commit, with the version in
//     a comment after it, and has the same pin everywhere: a tag can be moved (docs.github.com,
//     "Secure use reference");
//   - a workflow has permissions, which only read; jobs add what they need;
//   - a script has no ${{ }} in it: the shell would run text from a branch's name (same source);
//   - a job that writes nothing to the repository does not keep the credential that checked it out;
//   - a job that updates an environment is in a concurrency group that does not cancel;
//   - in a workflow that a pull request begins no job gets a token to sign in with, unless the job
//     runs for pushes only, or runs in the environment preview, whose identity only reads, and not
//     for a fork;
//   - a job that is a required check has no condition but always(): GitHub counts a skipped check
//     as green, and a job after its time-out as cancelled (docs.github.com, "Using conditions to
//     control job execution");
//   - a job of a pull request runs on a runner that no deployment uses (docs.github.com, "Secure use reference", self-hosted runners);
//   - a pull request is compared with the first parent of its merge: the base of its event may be older (actions/runner, issue 1689);
//   - the labels of a pull request are asked of GitHub: those of the event are old when a run is
//     started again (docs.github.com, "Re-running workflows and jobs": the event is the original one);
//   - pull_request_target, which runs unreviewed code with rights, is not used;
//   - a job has a timeout;
//   - only a job of a workflow that neither a pull request nor a push begins writes a cache:
//     programs with an identity would be linked from files that other jobs left in a cache;
//   - a job that compiles prints the disk and memory that were free, whatever its end.
func Check(repository string) error {
	tree := os.DirFS(repository)
	var files []string
	for _, pattern := range []string{".github/workflows/*.yml", ".github/workflows/*.yaml", ".github/actions/*/action.yml"} {
		found, _ := fs.Glob(tree, pattern) // its only error is a wrong pattern
		files = append(files, found...)
	}
	if len(files) == 0 {
		return fmt.Errorf("%s has no workflows in .github/workflows", repository)
	}
	pins := pins{}
	var mistakes []error
	for _, name := range files {
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		for _, mistake := range check(name, string(text), pins) {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", name, mistake))
		}
	}
	return errors.Join(append(mistakes, pins.differ()...)...)
}

func check(name, text string, pins pins) []error {
	var w workflow
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		return []error{err}
	}
	mistakes := pins.read(name, strings.Split(text, "\n"), w.uses())
	if strings.Contains(text, "pull_request_target") {
		mistakes = append(mistakes, errors.New("pull_request_target runs code that is not reviewed with rights; use pull_request, "+
			"and workflow_run for what needs rights"))
	}
	if w.On.ofPullRequests() {
		if found := deploying.FindString(text); found != "" {
			mistakes = append(mistakes, fmt.Errorf("code that is not reviewed runs on %s, the runner of deployments; take one of "+
				"its own, such as vars.RUNNER_PREVIEW_DEV", found))
		}
		if strings.Contains(text, "pull_request.labels") {
			mistakes = append(mistakes, errors.New("github.event.pull_request.labels are old when a run is started again; ask GitHub for "+
				"the labels, as pipeline guard --labels-of does"))
		}
		if strings.Contains(text, "pull_request.base.sha") {
			mistakes = append(mistakes, errors.New("github.event.pull_request.base.sha may be older than what the pull request is merged "+
				"with; compare with HEAD^1"))
		}
	}
	for _, s := range w.steps() {
		if s.writesCache() && (w.Runs.Using != "" || !w.On.onTheirOwn()) {
			mistakes = append(mistakes, fmt.Errorf("line %d: writes a cache; restore one (actions/cache/restore, or cache: false for "+
				"setup-go), and let caches.yml write it", s.Uses.line))
		}
	}
	mistakes = append(mistakes, scripts(w.Runs.Steps)...)
	if w.Runs.Using != "" {
		return mistakes // an action has no permissions of its own
	}
	if writes, ok := writesOf(w.Permissions); !ok || len(writes) > 0 {
		mistakes = append(mistakes, errors.New("needs permissions at the top which only read; a job that writes says so itself"))
	}
	for id, j := range w.Jobs {
		for _, mistake := range j.check(w.Concurrency) {
			mistakes = append(mistakes, fmt.Errorf("job %s: %w", id, mistake))
		}
		if condition := strings.Join(strings.Fields(j.If), ""); w.On.ofPullRequests() && slices.Contains(checks.Required(), id) &&
			(condition == "" && j.Needs != nil || condition != "" && condition != "always()" && condition != "${{always()}}") {
			mistakes = append(mistakes, fmt.Errorf("job %s: is a required check, and can be skipped, which GitHub takes for green; "+
				"its condition must be always()", id))
		}
		if w.On.ofPullRequests() && !j.trusted() {
			mistakes = append(mistakes, fmt.Errorf("job %s: may sign in (id-token: write) for a pull request, whose code is not "+
				"reviewed; take id-token away, or run the job for pushes only (if: %s), or in environment: preview and for no fork "+
				"(if: %s); a condition may add to that with && alone", id, pushed, ownBranch))
		}
	}
	return mistakes
}

// deploying is the runner of an environment's deployments.
var deploying = regexp.MustCompile(`vars\.RUNNER_(?:DEV|TEST|PROD)\b`)

// uses are all actions and workflows of others, in the order of the text.
func (w workflow) uses() []use {
	var all []use
	add := func(u use) {
		if u.name != "" && !strings.HasPrefix(u.name, "./") {
			all = append(all, u)
		}
	}
	for _, j := range w.Jobs {
		add(j.Uses)
	}
	for _, s := range w.steps() {
		add(s.Uses)
	}
	slices.SortStableFunc(all, func(a, b use) int { return a.line - b.line })
	return all
}

// steps are those of all jobs, and of an action.
func (w workflow) steps() []step {
	steps := slices.Clone(w.Runs.Steps)
	for _, j := range w.Jobs {
		steps = append(steps, j.Steps...)
	}
	return steps
}

// onTheirOwn reports whether the workflow begins by the clock, or when a person starts it, and by
// nothing else.
func (e events) onTheirOwn() bool {
	return !slices.ContainsFunc(e, func(name string) bool { return name != "schedule" && name != "workflow_dispatch" })
}

// ofPullRequests reports whether a pull request begins the workflow. A review of one does too, and
// runs the same code.
func (e events) ofPullRequests() bool {
	return slices.ContainsFunc(e, func(name string) bool { return strings.HasPrefix(name, "pull_request") })
}

const (
	ownBranch = "github.event.pull_request.head.repo.full_name == github.repository"
	pushed    = "github.event_name == 'push'"
	onDevelop = "github.ref == 'refs/heads/develop'" // the ref of a pull request is its own
)

// trusted reports whether a job of a workflow for pull requests gives no pull request a token that
// it must not have: the environment preview has an identity that only reads, and the code of a fork
// must not have even that.
func (j job) trusted() bool {
	writes, _ := writesOf(j.Permissions)
	if !slices.Contains(writes, "id-token") {
		return true
	}
	environment := j.Environment
	if named, ok := environment.(map[string]any); ok {
		environment = named["name"]
	}
	return demands(j.If, pushed) || demands(j.If, onDevelop) || environment == "preview" && demands(j.If, ownBranch)
}

// demands reports whether a condition cannot hold without the term. It understands terms joined by
// &&, which is all that is needed here; if something could make a term optional, or negate it,
// demands returns false.
func demands(condition, term string) bool {
	condition = strings.TrimSpace(condition)
	if inner, ok := strings.CutPrefix(condition, "${{"); ok {
		condition = strings.TrimSuffix(inner, "}}")
	}
	if strings.ContainsAny(condition, "|(){}") {
		return false
	}
	for part := range strings.SplitSeq(condition, "&&") {
		if strings.Join(strings.Fields(part), " ") == term {
			return true
		}
	}
	return false
}

const setup = "./.github/actions/setup"

func (j job) has(wanted func(step) bool) bool { return slices.ContainsFunc(j.Steps, wanted) }

// writesCache reports whether a step stores something for other runs. setup-go does, unless its
// input cache is false.
func (s step) writesCache() bool {
	action, _, _ := strings.Cut(s.Uses.name, "@")
	return action == "actions/cache" || action == "actions/cache/save" || action == "actions/setup-go" && s.With["cache"] != false
}

func (j job) check(outer concurrency) []error {
	mistakes := scripts(j.Steps)
	if j.Uses.name == "" && j.Timeout == nil {
		mistakes = append(mistakes, errors.New("has no timeout-minutes"))
	}
	writes, ok := writesOf(j.Permissions)
	if j.Permissions != nil && !ok {
		mistakes = append(mistakes, errors.New("permissions must be listed one by one"))
	}
	if sets, prints := j.has(func(s step) bool { return s.Uses.name == setup }), j.has(func(s step) bool {
		return s.Run == ".ci/space" && s.If == "always()"
	}); sets && !prints {
		mistakes = append(mistakes, errors.New("does not say what it had left; end it with the step run: .ci/space, if: always()"))
	}
	for _, s := range j.Steps {
		keeps := strings.HasPrefix(s.Uses.name, "actions/checkout@") && s.With["persist-credentials"] != false
		if keeps && !slices.Contains(writes, "contents") {
			mistakes = append(mistakes, errors.New("keeps the credential of actions/checkout; set persist-credentials to false"))
		}
		if deploys.MatchString(s.Run) && !j.Concurrency.waits() && !outer.waits() {
			mistakes = append(mistakes, errors.New("updates an environment, and has no concurrency group with cancel-in-progress: false"))
		}
	}
	return mistakes
}

var deploys = regexp.MustCompile(`pipeline deploy|pulumi .*\b(up|destroy|refresh)\b`)

func (c concurrency) waits() bool { return c.Group != "" && c.Cancel == false }

// writesOf returns the scopes that may be written; ok is false for permissions that list no scopes,
// such as write-all.
func writesOf(permissions any) (scopes []string, ok bool) {
	listed, ok := permissions.(map[string]any)
	for scope, access := range listed {
		if access != "read" && access != "none" {
			scopes = append(scopes, scope)
		}
	}
	return scopes, ok
}

func scripts(steps []step) []error {
	var mistakes []error
	for _, s := range steps {
		if strings.Contains(s.Run, "${{") {
			mistakes = append(mistakes, fmt.Errorf("the script of step %q has ${{ }} in it; hand the value over in env", s.Name+s.Run))
		}
	}
	return mistakes
}

// pins are the pins of actions, each with where it was found.
type pins map[string]map[string]string

var (
	pinned = regexp.MustCompile(`^([\w.-]+/[\w./-]+)@([0-9a-f]{40})$`)
	remark = regexp.MustCompile(`\s# v\d+(\.\d+)*$`)
)

// read records the pins in a file and returns an error for each missing pin. The version is a
// comment, which only the text has: at the end of the line, however the line is written.
func (p pins) read(name string, lines []string, all []use) []error {
	var mistakes []error
	for _, u := range all {
		pin := pinned.FindStringSubmatch(u.name)
		if pin == nil {
			mistakes = append(mistakes, fmt.Errorf("line %d: %s is not pinned by the full hash of a commit", u.line, u.name))
			continue
		}
		version := ""
		if u.line <= len(lines) { // YAML knows more ends of lines than this does
			version = remark.FindString(lines[u.line-1])
		}
		if version == "" {
			mistakes = append(mistakes, fmt.Errorf("line %d: %s needs its version behind it, such as # v1.2.3", u.line, pin[1]))
		}
		action := strings.ToLower(pin[1])
		if p[action] == nil {
			p[action] = map[string]string{}
		}
		p[action][pin[2]+version] = fmt.Sprintf("%s:%d", name, u.line)
	}
	return mistakes
}

func (p pins) differ() []error {
	var mistakes []error
	for action, found := range p {
		if len(found) > 1 {
			var places []string
			for _, place := range found {
				places = append(places, place)
			}
			slices.Sort(places)
			mistakes = append(mistakes, fmt.Errorf("%s is pinned differently at %s", action, strings.Join(places, " and ")))
		}
	}
	return mistakes
}
