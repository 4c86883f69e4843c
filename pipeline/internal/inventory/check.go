package inventory

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/internal/support"
)

// What else names versions, beside the environments.
const (
	InDelivery = "delivery"
	InLab      = "lab"
)

// Use is a version, and what names it: environments, the delivery or the lab.
type Use struct {
	support.Named

	By []string `json:"by"`
}

// Uses returns all versions that a checkout names, sorted.
func Uses(ctx context.Context, repository string, book support.Book) ([]Use, error) {
	by := map[support.Named][]string{}
	note := func(who string, named []support.Named) {
		for _, n := range named {
			by[n] = append(by[n], who)
		}
	}
	for _, environment := range naming.Environments() {
		named, err := Environment(ctx, repository, environment)
		if err != nil {
			return nil, err
		}
		note(environment, named)
	}
	delivery, err := Delivery(repository, book.Runtimes)
	if err != nil {
		return nil, err
	}
	note(InDelivery, delivery)
	lab, err := Lab(repository, book)
	if err != nil {
		return nil, err
	}
	note(InLab, lab)
	uses := make([]Use, 0, len(by))
	for n, who := range by {
		uses = append(uses, Use{Named: n, By: who})
	}
	slices.SortFunc(uses, func(a, b Use) int { return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Version, b.Version)) })
	return uses, nil
}

// State is what a finding means for its version.
type State string

// The states, the worst first. A tool of the lab that has ended is told: no environment names it.
const (
	Ended   State = "ended"
	Unknown State = "not known"
	Ending  State = "ends soon"
	Told    State = "ended, in the lab alone"
)

// Finding is what is to be done about a version, or a source.
type Finding struct {
	// Ending has no rule here: that is in Why.
	support.Ending

	State State    `json:"state"`
	By    []string `json:"by,omitempty"`
	// Why is the rule of support, or what is not known.
	Why string `json:"why"`
}

// Check is what is known on a day.
type Check struct {
	On       string    `json:"on"`
	Versions int       `json:"versions"`
	Findings []Finding `json:"findings"`
}

// Look returns what the book says of versions on a day.
func Look(book support.Book, uses []Use, on time.Time) Check {
	check := Check{On: on.UTC().Format(time.DateOnly), Versions: len(uses), Findings: []Finding{}}
	// The end of a tool of the lab fails nothing, and neither does the age of its source.
	var counted []support.Named
	for _, use := range uses {
		lab := slices.Equal(use.By, []string{InLab})
		if !lab {
			counted = append(counted, use.Named)
		}
		one := []support.Named{use.Named}
		for _, e := range book.Ending(one, on, support.Notice) {
			found := Finding{Ending: e, State: Ending, By: use.By, Why: e.Rule}
			found.Rule = ""
			switch {
			case e.Ended() && lab:
				found.State = Told
			case e.Ended():
				found.State = Ended
			}
			check.Findings = append(check.Findings, found)
		}
		for _, n := range book.Unknown(one) {
			check.Findings = append(check.Findings, Finding{
				Ending: support.Ending{Named: n}, State: Unknown, By: use.By, Why: "docs/support-dates.yaml has no row of it; add one",
			})
		}
	}
	for _, source := range book.Old(counted, on) {
		check.Findings = append(check.Findings, Finding{
			Ending: support.Ending{Named: support.Named{What: source.What}, Source: source.URL}, State: Unknown,
			Why: fmt.Sprintf("was read on %s, more than %d days ago; read it again", source.Read, support.MaxAge),
		})
	}
	slices.SortStableFunc(check.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(a.Ends, b.Ends), cmp.Compare(a.What, b.What))
	})
	return check
}

func rank(s State) int { return slices.Index([]State{Ended, Unknown, Ending, Told}, s) }

// Has reports whether a finding has a state.
func (c Check) Has(s State) bool {
	return slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.State == s })
}

// Count returns how many findings have a state.
func (c Check) Count(s State) int {
	n := 0
	for _, f := range c.Findings {
		if f.State == s {
			n++
		}
	}
	return n
}

// Title sums the check up in one line.
func (c Check) Title() string {
	var parts []string
	for _, part := range []struct {
		state State
		of    string
	}{
		{Ended, "out of support"},
		{Unknown, "not known"},
		{Ending, fmt.Sprintf("to end within %d days", support.Notice)},
		{Told, "out of support in the lab alone"},
	} {
		if n := c.Count(part.state); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, part.of))
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("All %d versions are supported, as far as dates are published", c.Versions)
	}
	return fmt.Sprintf("Of %d versions: %s", c.Versions, strings.Join(parts, ", "))
}

// WriteText writes a table.
func (c Check) WriteText(w io.Writer) error {
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"state", "of", "version", "named by", "ends", "days left", "why"})
	for _, f := range c.Findings {
		left := any("")
		if f.Ends != "" {
			left = f.Days
		}
		t.AppendRow(table.Row{f.State, f.What, f.Version, strings.Join(f.By, ", "), f.When(), left, f.Why})
	}
	if len(c.Findings) > 0 {
		t.Render()
	}
	_, err := fmt.Fprintf(w, "%s, on %s.\n", c.Title(), c.On)
	return err
}

// Issue returns the Markdown of an issue. It has no number of days, which would change it each day.
func (c Check) Issue() string {
	var text strings.Builder
	text.WriteString("docs/OPERATIONS.md (Versions that end) says what to do.\n\n" +
		"| state | of | version | named by | ends | why |\n|---|---|---|---|---|---|\n")
	for _, f := range c.Findings {
		why := f.Why
		if f.Source != "" {
			why = fmt.Sprintf("%s ([source](%s))", why, f.Source)
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s | %s |\n", f.State, f.What, f.Version, strings.Join(f.By, ", "), f.When(), why)
	}
	return text.String()
}
