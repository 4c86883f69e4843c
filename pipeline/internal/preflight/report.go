// Package preflight asks Azure, before a first deployment, whether a subscription can take an
// environment: it reports what Azure would refuse in the middle of an update before any resource
// exists. A missing or unreadable answer is "not known"; it never counts as good.
package preflight

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/internal/plaintable"
)

// State is how a check ended.
type State string

// The states of a check.
const (
	// Good means that Azure's answer allows the deployment.
	Good State = "good"
	// Problem means that Azure's answer forbids the deployment, or a part of it.
	Problem State = "problem"
	// NotKnown means that Azure gave no answer, or one that cannot be read.
	NotKnown State = "not known"
)

// Check is one question, and what was found.
type Check struct {
	// Concern is what the question is about, such as quota; Of is the one thing that it is about,
	// such as a family of VM sizes.
	Concern string `json:"concern"`
	Of      string `json:"of"`
	State   State  `json:"state"`
	// Found is what Azure says, or why it is not known.
	Found string `json:"found"`
	// Remedy is what to do, unless the check is good.
	Remedy string `json:"remedy,omitempty"`
}

// Report is the result of all checks of one environment.
type Report struct {
	Environment string `json:"environment"`
	// Subscription is the subscription that was asked, or "" without a sign-in.
	Subscription string  `json:"subscription,omitempty"`
	Location     string  `json:"location"`
	Checks       []Check `json:"checks"`
}

// Count returns how many checks ended in state.
func (r Report) Count(state State) int {
	n := 0
	for _, check := range r.Checks {
		if check.State == state {
			n++
		}
	}
	return n
}

// WriteJSON writes the report for machines.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Report
		Good     int `json:"good"`
		Problems int `json:"problems"`
		NotKnown int `json:"notKnown"`
	}{r, r.Count(Good), r.Count(Problem), r.Count(NotKnown)})
}

// WriteText writes the report for people: a table of all checks, and below it what to do.
func (r Report) WriteText(w io.Writer) error {
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"state", "concern", "of", "found"})
	for _, check := range r.Checks {
		t.AppendRow(table.Row{string(check.State), check.Concern, check.Of, check.Found})
	}
	t.Render()
	var text strings.Builder
	for _, state := range []State{Problem, NotKnown} {
		said := map[string]bool{}
		for _, check := range r.Checks {
			if check.State != state || said[check.Concern+check.Remedy] {
				continue
			}
			if len(said) == 0 {
				fmt.Fprintf(&text, "\n%s:\n", map[State]string{Problem: "What stands in the way", NotKnown: "What is not known"}[state])
			}
			said[check.Concern+check.Remedy] = true
			fmt.Fprintf(&text, "  %s: %s\n", check.Concern, check.Remedy)
		}
	}
	fmt.Fprintf(&text, "\n%s\n", r.Verdict())
	_, err := io.WriteString(w, text.String())
	return err
}

// Verdict is the report in a sentence.
func (r Report) Verdict() string {
	where := r.Subscription
	if where == "" {
		where = "no subscription"
	}
	return fmt.Sprintf("%s in %s, %s: %d good, %d problems, %d not known.",
		r.Environment, r.Location, where, r.Count(Good), r.Count(Problem), r.Count(NotKnown))
}

// longest is how much of a text from outside is shown.
const longest = 400

// shown makes a text from outside safe to print: one line, without control characters of a
// terminal.
func shown(text string) string {
	text = strings.Join(strings.Fields(changes.Loggable(text)), " ")
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return text
}
