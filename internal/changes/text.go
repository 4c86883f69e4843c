package changes

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/gridos/sharedinfra/internal/plaintable"
)

// widest bounds a value in what people read; the whole value is in the JSON.
const widest = 120

// WriteText writes the report as a terminal shows it, with colours if they are wanted.
func (r Report) WriteText(w io.Writer, colour bool) error {
	paint := func(_ Level, s string) string { return s }
	if colour {
		paint = func(level Level, s string) string { return colours[level].Sprint(s) }
	}
	out := &printer{w: w}
	out.line("%s", printable(r.Title()))
	out.line("")
	if !r.ManifestsAlone {
		t := plaintable.New(out)
		header := table.Row{"stack"}
		for _, op := range Ops() {
			header = append(header, string(op))
		}
		t.AppendHeader(append(header, "same"))
		for _, p := range r.Projects {
			row := table.Row{printable(p.Name + "/" + r.Environment)}
			for _, op := range Ops() {
				row = append(row, p.Count(op))
			}
			t.AppendRow(append(row, p.Same))
		}
		t.Render()
	}
	for _, c := range r.All() {
		out.line("")
		out.line("%-9s  %-7s  %s", paint(c.Level, string(c.Level)), c.Op, printable(c.resource()))
		for _, reason := range c.remarks() {
			out.line("           %s", printable(reason))
		}
		for _, p := range c.Properties {
			out.line("           %s", printable(p.String()))
		}
	}
	r.writeRenderedText(out, paint)
	if r.Cost != nil {
		r.Cost.writeText(out, r.Environment)
	}
	if r.Support != nil {
		r.Support.writeText(out)
	}
	if r.Contract != nil {
		writeContractText(out, *r.Contract, paint)
	}
	for _, err := range r.Errors() {
		out.line("")
		lines := strings.Split(err, "\n")
		for i := range lines {
			lines[i] = printable(lines[i])
		}
		out.line("not previewed  %s", strings.Join(lines, "\n"))
	}
	out.line("")
	out.line("%s", r.Verdict())
	return out.err
}

var colours = map[Level]text.Colors{
	Dangerous: {text.FgRed, text.Bold},
	Risky:     {text.FgYellow},
	Costly:    {text.FgMagenta},
	Plain:     {},
}

// printer remembers the first error of its writer, after which it writes nothing more.
type printer struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (p *printer) Write(b []byte) (int, error) {
	if p.err != nil {
		return len(b), nil
	}
	n, err := p.w.Write(b)
	p.err = err
	return n, err
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// Title says what the report is about.
func (r Report) Title() string {
	if r.Drift {
		return "What others have changed in " + r.Environment
	}
	if r.ManifestsAlone {
		return fmt.Sprintf("What the manifests of %s change, compared with %s", r.Environment, r.Base)
	}
	if r.Base == "" {
		return "What an update would do to " + r.Environment
	}
	return fmt.Sprintf("What an update would do to %s as %s makes it", r.Environment, r.Base)
}

// Verdict sums the report up in one sentence.
func (r Report) Verdict() string {
	all := r.All()
	if failed := r.Errors(); len(failed) > 0 {
		return fmt.Sprintf("%s could not be previewed.", counted(len(failed), "stack"))
	}
	if len(all) == 0 && r.Drift {
		return "No drift."
	}
	objects := r.inCluster()
	if len(all) == 0 {
		return strings.TrimSpace("No change. " + objects)
	}
	objects = strings.TrimSuffix(" "+objects, " ")
	verdict := counted(len(all), "change")
	follows := 0
	for _, c := range all {
		if c.Follows {
			follows++
		}
	}
	if follows > 0 {
		verdict += fmt.Sprintf(", of which %d may follow from others", follows)
	}
	if n := len(r.dangerousResources()); n > 0 {
		return fmt.Sprintf("%s; %d dangerous.", verdict, n) + objects
	}
	return verdict + ", none dangerous." + objects
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// resource names what changes, for people.
func (c Change) resource() string {
	name := c.shortType() + " " + c.Name
	if c.Component != "" {
		name += " in " + c.Component
	}
	return name
}

// shortType is the last part of the type token, such as ManagedCluster.
func (c Change) shortType() string { return c.Type[strings.LastIndex(c.Type, ":")+1:] }

// remarks are the reasons, and that the change follows from others if it does.
func (c Change) remarks() []string {
	remarks := c.Reasons
	if c.Follows {
		names := make([]string, len(c.DependsOn))
		for i, u := range c.DependsOn {
			names[i] = u[strings.LastIndex(u, ":")+1:]
		}
		remarks = append(remarks[:len(remarks):len(remarks)], "only if what it needs of "+strings.Join(names, ", ")+" turns out different")
	}
	return remarks
}

// String writes the difference on one line: + for what is added, - for what is removed, ~ for what
// changes.
func (p Property) String() string {
	because := ""
	if p.Replaces {
		because = "  (replaces)"
	}
	switch {
	case p.Old == nil:
		return fmt.Sprintf("+ %s: %s%s", p.Path, p.value(p.New), because)
	case p.New == nil:
		return fmt.Sprintf("- %s: %s%s", p.Path, p.value(p.Old), because)
	default:
		return fmt.Sprintf("~ %s: %s → %s%s", p.Path, p.value(p.Old), p.value(p.New), because)
	}
}

// value writes a value on one line and bounds it.
func (Property) value(value any) string {
	return text.Snip(strings.Join(strings.Fields(printable(oneLine(value))), " "), widest, "…")
}

// printable returns a text without control characters, which a terminal would obey: names, too,
// come from code that is not reviewed yet.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// Loggable returns a text of a report in a form that is safe in the log of a workflow, after other
// text on the line: GitHub's runner obeys a line that begins with ::, and ##[…] anywhere in a line,
// so quotes alone do not stop it (actions/runner, ActionCommand.cs).
func Loggable(s string) string { return strings.ReplaceAll(printable(s), "##[", "## [") }
