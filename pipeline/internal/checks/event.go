package checks

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// event is what happens in the repository, as the workflows see it.
type event struct {
	name    string
	hook    string // such as pull_request
	action  string // such as opened
	branch  string // the base of a pull request, or what was pushed
	changed []string
	scope   string            // what .github/actions/scope says of the change
	vars    map[string]string // a fork's pull request has none (FreeRADIUS/freeradius-server, pull request 5925)
	fork    bool
	label   string // that was added or removed
	based   bool   // the base of the pull request has changed
	draft   bool   // the pull request is one
	ended   string // the conclusion of the run whose end this is
	begun   string // the workflow whose end this is, or that a person starts
	// unseen: the token of a workflow has caused it, and GitHub begins no run for such an event
	// (docs.github.com, "Triggering a workflow", 2026-11).
	unseen bool
	// waits: GitHub requires the checks before the change lands on main.
	waits   bool
	mishaps bool   // the table shows what can go wrong, too
	note    string // what the table does not show otherwise
}

// events returns the events of the table, with which the checks are tested.
func events() []event {
	pull := event{hook: "pull_request", branch: "main", action: "opened", waits: true}
	with := func(name, action, scope string, changed ...string) event {
		e := pull
		e.name, e.action, e.scope, e.changed = name, action, scope, changed
		return e
	}
	own := with("a pull request from a branch", "opened", everything, "infra/main.go", "src/main.go")
	own.mishaps = true
	draft := with("a draft", "opened", everything, "infra/main.go")
	draft.draft, draft.note = true, "GitHub merges no draft; its checks stay when it becomes ready, and start again."
	azure := with("a pull request from a branch, with previews of Azure", "opened", everything, "infra/main.go")
	azure.vars, azure.mishaps = map[string]string{"PREVIEW_AZURE": "true"}, true
	fork := with("a pull request from a fork", "opened", everything, "infra/main.go")
	fork.fork, fork.vars = true, azure.vars
	commit := with("a new commit during a run", "synchronize", everything, "infra/main.go")
	commit.note = "The checks of the commit before count no more; its run is cancelled."
	again := with("an old run is started again", "opened", everything, "infra/main.go")
	again.note = "It has the commit and the event of the old run; labels are asked of GitHub, not of the event."
	label := with("the label of the guard is added, or taken away", "labeled", everything, "infra/main.go")
	label.waits, label.note = false, "The checks of the commit stay; infra-comment starts guard again, which asks GitHub for the labels."
	label.label = "allow-dangerous-change"
	other := with("another label is added, or taken away", "labeled", everything, "infra/main.go")
	other.waits, other.label, other.note = false, "docs", "The checks of the commit stay."
	retold := with("another title", "edited", everything, "infra/main.go")
	retold.waits, retold.note = false, "The checks of the commit stay."
	retargeted := with("another base of a pull request", "edited", everything, "infra/main.go")
	retargeted.waits, retargeted.based = false, true
	retargeted.note = "guard starts again, and is red until the pull request is closed and opened again."
	promotion := with("a promotion opens a pull request", "opened", light, "applications/gridos/overlays/test/kustomization.yaml")
	promotion.unseen, promotion.waits = true, false
	promotion.note = "A person starts the checks, by the button in the pull request."
	group := event{name: "a merge group", hook: "merge_group", action: "checks_requested", branch: "main", scope: everything}
	group.waits, group.mishaps = true, true
	push := func(name, branch string, changed ...string) event {
		return event{name: name, hook: "push", branch: branch, scope: everything, changed: changed}
	}
	release := push("a release sets dev's image", "develop", "applications/gridos/overlays/dev/kustomization.yaml")
	release.unseen, release.note = true, "Argo CD takes the commit."
	return []event{
		own, draft, azure, fork,
		with("a pull request of the service", "opened", service, "src/main.go"),
		with("a pull request of manifests, such as a promotion or its revert", "reopened", light,
			"applications/gridos/overlays/prod/kustomization.yaml"),
		with("a pull request of documents", "opened", light, "docs/OPERATIONS.md"),
		with("a draft becomes ready", "ready_for_review", everything, "infra/main.go"),
		commit, again, label, other, retold, retargeted, group,
		push("a merge of infrastructure to develop", "develop", "infra/main.go"),
		push("a merge of the service to develop", "develop", "src/main.go"),
		push("a merge of infrastructure to main", "main", "infra/main.go"),
		push("a merge of manifests to main", "main", "applications/gridos/overlays/prod/kustomization.yaml"),
		release,
		{name: "a person starts a promotion", hook: "workflow_dispatch", branch: "main", begun: "promote"},
		promotion,
		{name: "the end of infra-test", hook: "workflow_run", action: "completed", branch: "main", begun: "infra-test", ended: failed},
		{name: "the end of consent", hook: "workflow_run", action: "completed", branch: "main", begun: "consent", ended: succeeded},
		{
			name: "the end of consent for another label", hook: "workflow_run", action: "completed", branch: "main", begun: "consent",
			ended: skipped,
		},
	}
}

const repository = "gridos/sharedinfra"

// contexts are what the expressions of a run for the event see.
func (e event) contexts() map[string]any {
	payload := map[string]any{"action": e.action}
	github := map[string]any{
		"event_name": e.hook, "event": payload, "repository": repository, "sha": "abc1234", "run_id": "7",
		"ref": "refs/heads/" + e.branch, "workspace": "/work",
	}
	switch e.hook {
	case "pull_request":
		head := repository
		if e.fork {
			head = "stranger/sharedinfra"
		}
		payload["pull_request"] = map[string]any{
			"number": 1.0, "head": map[string]any{"repo": map[string]any{"full_name": head}}, "labels": []any{}, "draft": e.draft,
		}
		if e.based {
			payload["changes"] = map[string]any{"base": map[string]any{"ref": map[string]any{"from": "develop"}}}
		}
		payload["label"] = map[string]any{"name": e.label}
		github["ref"] = "refs/pull/1/merge"
	case "workflow_run":
		payload["workflow_run"] = map[string]any{"event": "pull_request", "name": e.begun, "head_sha": "abc1234", "conclusion": e.ended}
	}
	vars := map[string]any{}
	if !e.fork {
		for name, text := range e.vars {
			vars[name] = text
		}
	}
	return map[string]any{"github": github, "vars": vars, "env": map[string]any{}, "runner": map[string]any{}, "inputs": map[string]any{
		"to": "test", "release": "abc1234", "although": "",
	}}
}

// begins reports whether the event begins the workflow: by its name, activity, branch and changed
// paths.
func (e event) begins(w *actionlint.Workflow) bool {
	if e.hook == "workflow_dispatch" && value(w.Name) != e.begun { // a person chooses one
		return false
	}
	return !e.unseen && slices.ContainsFunc(w.On, func(on actionlint.Event) bool {
		if on.EventName() != e.hook {
			return false
		}
		hook, ok := on.(*actionlint.WebhookEvent)
		if !ok {
			return true
		}
		types := texts(hook.Types)
		if len(types) == 0 && e.hook == "pull_request" {
			types = []string{"opened", "synchronize", "reopened"} // docs.github.com, "Events that trigger workflows", pull_request
		}
		if len(types) > 0 && !slices.Contains(types, e.action) {
			return false
		}
		if e.hook == "workflow_run" && !slices.Contains(texts(hook.Workflows), e.begun) {
			return false
		}
		// A workflow that names tags alone does not begin for a branch (docs.github.com, "Workflow
		// syntax", on.push.<branches|tags>).
		if hook.Tags != nil && hook.Branches == nil {
			return false
		}
		return chosen(hook.Branches, []string{e.branch}, true) && !chosen(hook.BranchesIgnore, []string{e.branch}, false) &&
			chosen(hook.Paths, e.changed, true) && !allIn(hook.PathsIgnore, e.changed)
	})
}

func texts(all []*actionlint.String) []string {
	var found []string
	for _, one := range all {
		found = append(found, one.Value)
	}
	return found
}

// chosen reports whether a filter has one of the names; the last pattern that fits decides. An
// absent filter says the default.
func chosen(filter *actionlint.WebhookEventFilter, names []string, otherwise bool) bool {
	if filter == nil {
		return otherwise
	}
	return slices.ContainsFunc(names, func(name string) bool {
		in := false
		for _, pattern := range texts(filter.Values) {
			if kept, negative := strings.CutPrefix(pattern, "!"); fits(kept, name) {
				in = !negative
			}
		}
		return in
	})
}

func allIn(filter *actionlint.WebhookEventFilter, names []string) bool {
	return filter != nil && !slices.ContainsFunc(names, func(name string) bool { return !chosen(filter, []string{name}, false) })
}

// fits compares a name with a pattern: * is anything but a slash, ** is anything (docs.github.com,
// "Workflow syntax", filter patterns).
func fits(pattern, name string) bool {
	quoted := regexp.QuoteMeta(pattern)
	for _, pair := range [][2]string{{`\*\*/`, `(?:.*/)?`}, {`\*\*`, `.*`}, {`\*`, `[^/]*`}} {
		quoted = strings.ReplaceAll(quoted, pair[0], pair[1])
	}
	return regexp.MustCompile("^" + quoted + "$").MatchString(name)
}
