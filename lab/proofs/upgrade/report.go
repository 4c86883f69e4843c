package upgrade

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/scenario"
)

// Least is the number of requests that users make during an upgrade, or more.
const Least = 5000

// Report is what an upgrade did.
type Report struct {
	Environment string `json:"environment"`
	// From is the release that was upgraded, and Commit its commit.
	From   string `json:"from"`
	Commit string `json:"commit"`
	// Projects are in the order of their updates.
	Projects []Project `json:"projects"`
	// Application is how the manifests and the service arrived.
	Application Application `json:"application"`
	// Requests are those of users from the first update to the end, and Failed those of them that
	// were not answered, or with an error.
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`
	// LastFailure is the last of them, and the beginning of its answer.
	LastFailure string `json:"lastFailure,omitempty"`
	// Again is what a second up of the new version changed, by project: nothing, if all is well.
	Again []string `json:"again"`
	// Seconds is how long it took from the first update to the end.
	Seconds float64 `json:"seconds"`
}

// Project is what the update of a project did.
type Project struct {
	Name     string  `json:"name"`
	Created  int     `json:"created"`
	Updated  int     `json:"updated"`
	Replaced int     `json:"replaced"`
	Deleted  int     `json:"deleted"`
	Seconds  float64 `json:"seconds"`
	// Lost are the resources that were replaced, and those whose deletion is dangerous.
	Lost []Lost `json:"lost,omitempty"`
}

// Lost is a resource that did not outlive the update as it was.
type Lost struct {
	Name string     `json:"name"`
	URN  string     `json:"urn"`
	Op   changes.Op `json:"op"`
	// Because are the properties that cause a replacement.
	Because []string `json:"because,omitempty"`
	// Announced says that the changelog announces it.
	Announced bool `json:"announced"`
}

// Application is how the manifests and the service of the new version arrived.
type Application struct {
	scenario.Upgraded

	Seconds float64 `json:"seconds"`
}

// ProjectOf makes the row of a project. announced are the names of what the changelog announces.
func ProjectOf(result engine.Result, made changes.Project, announced []string) Project {
	counted := func(op apitype.OpType) int { return result.Changes[string(op)] }
	p := Project{
		Name: result.Project.Name, Created: counted(apitype.OpCreate), Updated: counted(apitype.OpUpdate),
		Replaced: counted(apitype.OpReplace), Deleted: counted(apitype.OpDelete), Seconds: result.Duration.Seconds(),
	}
	for _, c := range made.Changes {
		if c.Op != changes.Replace && (c.Op != changes.Delete || c.Level != changes.Dangerous) {
			continue
		}
		lost := Lost{Name: c.Name, URN: c.URN, Op: c.Op, Announced: slices.Contains(announced, c.Name)}
		for _, property := range c.Properties {
			if property.Replaces || c.Was != "" {
				lost.Because = append(lost.Because, property.Path)
			}
		}
		p.Lost = append(p.Lost, lost)
	}
	return p
}

// Verdict returns every reason why the upgrade is not one that an environment may be given, or nil.
func (r Report) Verdict() error {
	var problems []error
	for _, p := range r.Projects {
		replaced := 0
		for _, lost := range p.Lost {
			if lost.Op == changes.Replace {
				replaced++
			}
			if lost.Announced {
				continue
			}
			text := fmt.Sprintf("%s: the update would %s %s", p.Name, lost.Op, lost.Name)
			if len(lost.Because) > 0 {
				text += " because of " + strings.Join(lost.Because, ", ")
			}
			problems = append(problems, fmt.Errorf("%s, and no new entry under Replaces in CHANGELOG.md has `%s`; avoid it, or announce it",
				text, lost.Name))
		}
		if p.Replaced > replaced {
			problems = append(problems, fmt.Errorf("%s: the engine counts %d replaced resources, and its events name %d",
				p.Name, p.Replaced, replaced))
		}
	}
	if r.Requests < Least {
		problems = append(problems, fmt.Errorf("users made only %d requests, and %d are needed to say that none failed", r.Requests, Least))
	}
	if r.Failed > 0 {
		problems = append(problems,
			fmt.Errorf("%d of the users' %d requests failed, and none should; the last: %s", r.Failed, r.Requests, r.LastFailure))
	}
	for _, changed := range r.Again {
		problems = append(problems, fmt.Errorf("a second up has changes, and should have none: %s", changed))
	}
	return errors.Join(problems...)
}
