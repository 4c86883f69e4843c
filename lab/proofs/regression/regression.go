// Package regression brings mistakes back that this repository once had, one at a time, and checks
// that a scenario of the lab notices each of them.
package regression

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/scenario"
	"github.com/gridos/sharedinfra/lab/internal/world"
	"github.com/gridos/sharedinfra/lab/proofs/labcli"
)

// Result is what became of a mistake.
type Result struct {
	Name     string `json:"name"`
	Mistake  string `json:"mistake"`
	Scenario string `json:"scenario"`
	// Without is what the scenario saw without the mistake, and With why it failed with it.
	Without string `json:"without"`
	With    string `json:"with,omitempty"`
	// Seconds is how long it took to make the mistake, to play the scenario and to mend all.
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// player plays in one lab.
type player struct {
	lab        labcli.Lab
	repository string
	stage      *scenario.Stage
	display    *progress.Display
	step       *progress.Step
}

// Play plays the scenario of each regression without its mistake, and then with it. The lab is up
// with --gitops, as the checkout at repository has it. The error names the mistakes that the lab
// does not notice; it also says if the lab itself does not work.
func Play(ctx context.Context, lab labcli.Lab, repository string, regressions []Regression, display *progress.Display,
) (results []Result, err error) {
	results = []Result{}
	p := &player{lab: lab, repository: repository, display: display}
	detail := func(text string) { p.step.Update(text) }
	err = world.Play(ctx, lab.Site, display, detail, func(stage *scenario.Stage) error {
		p.stage = stage
		without, err := p.healthy(ctx, regressions)
		if err != nil {
			return err
		}
		var unnoticed []error
		for _, r := range regressions {
			result, err := p.play(ctx, r)
			result.Without = without[r.Scenario]
			results = append(results, result)
			if err != nil {
				return errors.Join(append(unnoticed, fmt.Errorf("%s: %w", r.Name, err))...)
			}
			if result.Error != "" {
				unnoticed = append(unnoticed, fmt.Errorf("%s: %s", r.Name, result.Error))
			}
		}
		return errors.Join(unnoticed...)
	})
	return results, err
}

// healthy plays each scenario once without a mistake, and returns what they saw.
func (p *player) healthy(ctx context.Context, regressions []Regression) (map[string]string, error) {
	without := map[string]string{}
	for _, r := range regressions {
		if _, played := without[r.Scenario]; played {
			continue
		}
		p.step = p.display.Start(r.Scenario)
		result, err := p.stage.Play(ctx, scenarioOf(r.Scenario))
		if err == nil && !result.Passed {
			err = errors.New(result.Evidence)
		}
		if err != nil {
			p.step.Fail(err)
			return nil, fmt.Errorf("%s without a mistake: %w", r.Scenario, err)
		}
		p.step.Done(result.Evidence)
		without[r.Scenario] = result.Evidence
	}
	return without, nil
}

func scenarioOf(name string) scenario.Scenario {
	all := scenario.All()
	return all[slices.IndexFunc(all, func(s scenario.Scenario) bool { return s.Name == name })]
}

// play makes a mistake, plays its scenario and mends all. The result says if the scenario did not
// notice; the error says that the lab does not work.
func (p *player) play(ctx context.Context, r Regression) (result Result, err error) {
	result = Result{Name: r.Name, Mistake: r.Mistake, Scenario: r.Scenario}
	began := time.Now()
	p.step = p.display.Start(r.Name)
	var played scenario.Result
	if r.fromGit() {
		played, err = p.stage.PlayOn(ctx, r.apply, scenarioOf(r.Scenario))
	} else {
		played, err = p.onPrograms(ctx, r)
	}
	result.Seconds = time.Since(began).Seconds()
	switch {
	case err != nil:
		result.Error = err.Error()
	case played.Passed:
		result.Error = fmt.Sprintf("%s does not notice it: %s", r.Scenario, played.Evidence)
	case !strings.Contains(played.Evidence, r.Says):
		result.Error = fmt.Sprintf("%s fails and does not say %q: %s", r.Scenario, r.Says, played.Evidence)
	default:
		result.With = played.Evidence
		p.step.Done(r.Scenario + " fails: " + strings.ReplaceAll(result.With, "\n", "; "))
		return result, nil
	}
	p.step.Fail(errors.New(result.Error))
	return result, err
}

// onPrograms brings the lab up with the programs that have the mistake, and at the end with those
// of the checkout again.
func (p *player) onPrograms(ctx context.Context, r Regression) (result scenario.Result, err error) {
	binary, remove, err := p.build(ctx, r)
	if err != nil {
		return result, err
	}
	defer remove()
	defer func() {
		if ctx.Err() == nil {
			_, mended := p.lab.Run(ctx, "up")
			err = errors.Join(err, mended)
		}
	}()
	if _, err := (labcli.Lab{Binary: binary, Env: p.lab.Env, Site: p.lab.Site}).Run(ctx, "up"); err != nil {
		return result, err
	}
	return p.stage.Play(ctx, scenarioOf(r.Scenario))
}

// build builds the lab, with the programs of Pulumi, with a mistake in the checkout. The checkout
// stays as it is.
func (p *player) build(ctx context.Context, r Regression) (binary string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "gridos-regression-")
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	edited := overlay{repository: p.repository, dir: dir, Files: map[string]string{}}
	if err := r.apply(edited); err != nil {
		return "", nil, err
	}
	text, err := json.Marshal(edited)
	if err != nil {
		return "", nil, err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return "", nil, err
	}
	return labcli.Build(ctx, p.repository, "-overlay", list)
}

// overlay has files that go build takes in the place of those of a checkout. It is the file that
// go build -overlay reads.
type overlay struct {
	repository, dir string
	Files           map[string]string `json:"Replace"`
}

// Replace implements scenario.Source, for a file once.
func (o overlay) Replace(name, old, replacement string) error {
	text, err := os.ReadFile(filepath.Join(o.repository, name))
	if err != nil {
		return err
	}
	if n := bytes.Count(text, []byte(old)); n != 1 {
		return fmt.Errorf("%s has %q %d times; it must be there once to be replaced", name, old, n)
	}
	return o.WriteFile(name, bytes.Replace(text, []byte(old), []byte(replacement), 1))
}

// WriteFile implements scenario.Source.
func (o overlay) WriteFile(name string, content []byte) error {
	file := filepath.Join(o.dir, strconv.Itoa(len(o.Files))+".go")
	o.Files[filepath.Join(o.repository, name)] = file
	return os.WriteFile(file, content, 0o600)
}
