// Package workflows checks GitHub workflows for what keeps them safe and reproducible, beyond what actionlint looks at.
package workflows

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// workflow is what the checks read of a workflow or, as Runs, of a composite action.
type workflow struct {
	Permissions any            `json:"permissions"`
	Jobs        map[string]job `json:"jobs"`
	Runs        struct {
		Using string `json:"using"`
		Steps []step `json:"steps"`
	} `json:"runs"`
	Concurrency concurrency `json:"concurrency"`
}

type job struct {
	Uses        string      `json:"uses"`
	Permissions any         `json:"permissions"`
	Concurrency concurrency `json:"concurrency"`
	Timeout     any         `json:"timeout-minutes"`
	Steps       []step      `json:"steps"`
}

type step struct {
	Name string         `json:"name"`
	Uses string         `json:"uses"`
	Run  string         `json:"run"`
	With map[string]any `json:"with"`
}

type concurrency struct {
	Group  string `json:"group"`
	Cancel any    `json:"cancel-in-progress"`
}

// Check returns everything that is wrong with the workflows in .github/workflows and the actions in .github/actions of a
// repository, joined. The rules:
//
//   - an action of somebody else's is pinned by the full hash of a commit, with the version behind it in a comment, and has the
//     same pin everywhere: a tag can be moved (docs.github.com, "Secure use reference");
//   - a workflow has permissions, which only read; jobs add what they need;
//   - a script has no ${{ }} in it: what somebody writes into a branch's name would be run (same source);
//   - a job that writes nothing to the repository does not keep the credential that checked it out;
//   - what updates an environment is in a concurrency group that does not cancel;
//   - pull_request_target, which runs with rights on code that nobody has reviewed, is not used;
//   - a job has a timeout.
func Check(repository string) error {
	var files []string
	for _, pattern := range []string{".github/workflows/*.yml", ".github/workflows/*.yaml", ".github/actions/*/action.yml"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return fmt.Errorf("%s has no workflows in .github/workflows", repository)
	}
	pins := pins{}
	var mistakes []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(repository, file)
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
	mistakes := pins.read(name, text)
	var w workflow
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		return append(mistakes, err)
	}
	if strings.Contains(text, "pull_request_target") {
		mistakes = append(mistakes, errors.New("pull_request_target runs code that nobody has reviewed with rights; use pull_request, "+
			"and workflow_run for what needs rights"))
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
	}
	return mistakes
}

func (j job) check(outer concurrency) []error {
	mistakes := scripts(j.Steps)
	if j.Uses == "" && j.Timeout == nil {
		mistakes = append(mistakes, errors.New("has no timeout-minutes"))
	}
	writes, ok := writesOf(j.Permissions)
	if j.Permissions != nil && !ok {
		mistakes = append(mistakes, errors.New("permissions must be listed one by one"))
	}
	for _, s := range j.Steps {
		keeps := strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false
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

// writesOf returns the scopes that may be written; ok is false for what lists no scopes, such as write-all.
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
	uses   = regexp.MustCompile(`^\s*(?:- )?uses:\s*(\S+)(.*)$`)
	pinned = regexp.MustCompile(`^([\w.-]+/[\w./-]+)@([0-9a-f]{40})$`)
	remark = regexp.MustCompile(`^\s+# v\d+(\.\d+)*$`)
)

// read notes the pins in a file and returns what is not pinned.
func (p pins) read(name, text string) []error {
	var mistakes []error
	for number, line := range strings.Split(text, "\n") {
		found := uses.FindStringSubmatch(line)
		if found == nil || strings.HasPrefix(found[1], "./") {
			continue
		}
		pin := pinned.FindStringSubmatch(found[1])
		switch {
		case pin == nil:
			mistakes = append(mistakes, fmt.Errorf("line %d: %s is not pinned by the full hash of a commit", number+1, found[1]))
			continue
		case !remark.MatchString(found[2]):
			mistakes = append(mistakes, fmt.Errorf("line %d: %s needs its version behind it, such as # v1.2.3", number+1, pin[1]))
		}
		action := strings.ToLower(pin[1])
		if p[action] == nil {
			p[action] = map[string]string{}
		}
		p[action][pin[2]+found[2]] = fmt.Sprintf("%s:%d", name, number+1)
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
