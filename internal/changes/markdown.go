package changes

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/support"
	"github.com/gridos/sharedinfra/stacks"
)

// WriteMarkdown writes the reports of several environments as one Markdown text, for a comment on a
// pull request. A comment that is too long is cut at its end, so the most important parts of all
// environments come first: what they cost and whom that concerns, failures and dangerous changes,
// then the other changes, then their properties. Its text does not depend on the order of the
// reports. Names and values come from code that is not reviewed yet: none of them works as
// Markdown, a mention or a link.
func WriteMarkdown(w io.Writer, reports []Report) error {
	return writeMarkdown(w, reports, min(mostRows, mostRowsOfAll/max(1, len(reports))))
}

// WriteWhole is WriteMarkdown with all changes, however many: for an artifact of the run, when the
// comment has no room for them.
func WriteWhole(w io.Writer, reports []Report) error { return writeMarkdown(w, reports, math.MaxInt) }

func writeMarkdown(w io.Writer, reports []Report, shown int) error {
	out := &printer{w: w}
	title := "## What this changes"
	if len(reports) > 0 && reports[0].Drift {
		title = "## What others have changed"
	}
	reports = inOrder(reports)
	out.line("%s", title)
	out.line("")
	out.line("| environment | create | update | replace | delete | |")
	out.line("|---|--:|--:|--:|--:|---|")
	for i, r := range reports {
		row := "| **" + heading(reports, i) + "** |"
		for _, op := range Ops() {
			n := 0
			for _, p := range r.Projects {
				n += p.Count(op)
			}
			row += fmt.Sprintf(" %d |", n)
		}
		out.line("%s %s%s |", row, r.Verdict(), r.Cost.markdown())
	}
	for _, change := range contractOf(reports) {
		writeContract(out, change)
	}
	for i, r := range reports {
		r.writeAlarms(out, heading(reports, i))
	}
	for i, r := range reports {
		r.writeChanges(out, heading(reports, i), shown)
	}
	for i, r := range reports {
		r.writeDetails(out, heading(reports, i), shown)
	}
	return out.err
}

// inOrder sorts reports by environment, and by what they compare with: the environment as it is
// deployed, then the lab. It sorts what each report has, too: the comment is only edited when it
// says something else than before.
func inOrder(reports []Report) []Report {
	sorted := make([]Report, len(reports))
	for i, r := range reports {
		sorted[i] = r.inOrder()
	}
	slices.SortStableFunc(sorted, func(a, b Report) int {
		environments := naming.Environments()
		return cmp.Or(cmp.Compare(slices.Index(environments, a.Environment), slices.Index(environments, b.Environment)),
			cmp.Compare(a.Base, b.Base), cmp.Compare(len(a.All()), len(b.All()))) // the empty base is first
	})
	return sorted
}

// inOrder returns the report with its projects in the order in which they go up, and everything in
// them sorted.
func (r Report) inOrder() Report {
	r.Projects = slices.Clone(r.Projects)
	place := func(p Project) int {
		at := slices.IndexFunc(stacks.Projects(), func(known stacks.Project) bool { return known.Name == p.Name })
		return (at + len(stacks.Projects()) + 1) % (len(stacks.Projects()) + 1) // others come last
	}
	slices.SortStableFunc(r.Projects, func(a, b Project) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Name, b.Name))
	})
	for i := range r.Projects {
		changes := slices.Clone(r.Projects[i].Changes)
		for j := range changes {
			changes[j].Properties = slices.Clone(changes[j].Properties)
			slices.SortStableFunc(changes[j].Properties, func(a, b Property) int { return cmp.Compare(a.Path, b.Path) })
			changes[j].DependsOn = slices.Sorted(slices.Values(changes[j].DependsOn))
		}
		sortByWeight(changes)
		r.Projects[i].Changes = changes
	}
	if r.Cost != nil {
		sum := *r.Cost
		sum.Unpriced = slices.Sorted(slices.Values(sum.Unpriced))
		sum.Resources = slices.Clone(sum.Resources)
		slices.SortStableFunc(sum.Resources, func(a, b ResourceCost) int {
			return cmp.Or(cmp.Compare(a.URN, b.URN), cmp.Compare(a.Name, b.Name))
		})
		r.Cost = &sum
	}
	if r.Support != nil {
		sorted := *r.Support
		sorted.Ending = slices.Clone(sorted.Ending)
		support.Sort(sorted.Ending)
		sorted.Unknown = support.Distinct(sorted.Unknown)
		r.Support = &sorted
	}
	return r
}

// heading names the environment of a report, and what it compares with if there is another report
// of that environment.
func heading(reports []Report, at int) string {
	r := reports[at]
	for i, other := range reports {
		if i != at && other.Environment == r.Environment {
			if r.Base == "" {
				return r.Environment + ", as deployed"
			}
			return r.Environment + ", in the lab"
		}
	}
	return r.Environment
}

// writeAlarms writes what failed and what is dangerous.
func (r Report) writeAlarms(out *printer, heading string) {
	if failed := r.Errors(); len(failed) > 0 {
		out.line("")
		out.line("> [!WARNING]")
		out.line("> **%s**: not everything could be previewed.", heading)
		fenced(out, "text", failed)
	}
	if dangerous := r.Dangerous(); len(dangerous) > 0 && !r.Drift {
		out.line("")
		out.line("> [!CAUTION]")
		out.line("> **%s**", heading)
		out.line(">")
		for _, c := range dangerous {
			out.line("> %s %s: %s.", c.Op, code(c.resource()), plain(strings.Join(c.Reasons, "; ")))
			out.line(">")
		}
		var labels []string
		for _, consent := range r.Consents() {
			labels = append(labels, code(ConsentPrefix+consent))
		}
		if r.Consent() == "" {
			out.line("> A person who may decide that has to consent to exactly these changes: on a pull request with the label %s.",
				labels[0])
			return
		}
		out.line("> A person who may decide that has to consent to exactly these changes: on a pull request with the label %s, in a "+
			"deployment that was started by hand with the same code.", strings.Join(labels, " and the label "))
	}
}

// writeChanges writes what changes, so many rows at most.
func (r Report) writeChanges(out *printer, heading string, rows int) {
	out.line("")
	out.line("### %s", heading)
	out.line("")
	switch {
	case r.Drift:
		out.line("Compared with what the last update left.")
	case r.Base == "":
		out.line("Compared with the environment as it is deployed.")
	case r.ManifestsAlone:
		out.line("The manifests, compared with those of %s. The change has nothing that Pulumi reads.", code(r.Base))
	default:
		out.line("Compared with what %s makes in the lab.", code(r.Base))
	}
	if !r.ManifestsAlone {
		out.line("")
		out.line("| stack | create | update | replace | delete | same |")
		out.line("|---|--:|--:|--:|--:|--:|")
	}
	for _, p := range r.Projects {
		row := "| " + plain(p.Name+"/"+r.Environment) + " |"
		for _, op := range Ops() {
			row += fmt.Sprintf(" %d |", p.Count(op))
		}
		out.line("%s %d |", row, p.Same)
	}
	if r.Cost != nil {
		r.Cost.writeMarkdown(out, r.Environment)
	}
	if r.Support != nil {
		r.Support.writeMarkdown(out)
	}
	r.writeRendered(out, rows)
	all := r.All()
	if len(all) == 0 {
		return
	}
	shown := all[:min(len(all), rows)]
	out.line("")
	out.line("| attention | change | resource | why |")
	out.line("|---|---|---|---|")
	for _, c := range shown {
		level := string(c.Level)
		if c.Level == Dangerous {
			level = "**" + level + "**"
		}
		out.line("| %s | %s | %s | %s |", level, c.Op, code(c.resource()), plain(strings.Join(c.remarks(), "; ")))
	}
	if len(all) > len(shown) {
		out.line("")
		out.line("And %d more, which need less attention; the report's JSON, an artifact of the run, has all.", len(all)-len(shown))
	}
}

// writeDetails writes the properties of what changes, and what depends on what.
func (r Report) writeDetails(out *printer, heading string, rows int) {
	r.writeObjects(out, heading, rows)
	all := r.All()
	if len(all) == 0 {
		return
	}
	var lines []string
	for _, c := range all[:min(len(all), rows)] {
		if len(c.Properties) > 0 {
			lines = append(lines, "  "+string(c.Op)+" "+c.resource())
		}
		for _, p := range c.Properties {
			lines = append(lines, p.diff()...)
		}
	}
	if len(lines) > 0 {
		out.line("")
		out.line("<details><summary>Properties, %s</summary>", heading)
		fenced(out, "diff", lines)
		out.line("</details>")
	}
	out.line("")
	out.line("<details><summary>Graph of what changes, %s</summary>", heading)
	fenced(out, "mermaid", r.graph())
	out.line("</details>")
}

// mostRows bounds the table of one report: a new environment has a hundred resources, and people do
// not read more. mostRowsOfAll bounds those of all reports, so that a comment has room for the
// tables of each environment.
const mostRows, mostRowsOfAll = 100, 240

// diff writes the difference as lines that GitHub colours.
func (p Property) diff() []string {
	because := ""
	if p.Replaces {
		because = "  (replaces)"
	}
	var lines []string
	if p.Old != nil {
		lines = append(lines, fmt.Sprintf("-     %s: %s%s", p.Path, p.value(p.Old), because))
	}
	if p.New != nil {
		lines = append(lines, fmt.Sprintf("+     %s: %s%s", p.Path, p.value(p.New), because))
	}
	return lines
}

var backticks = regexp.MustCompile("`+")

// fenced writes lines as a code block, whose fence is longer than any row of backticks in it.
func fenced(out *printer, language string, lines []string) {
	longest := 2 // the shortest fence has three
	for _, line := range lines {
		for _, row := range backticks.FindAllString(line, -1) {
			longest = max(longest, len(row))
		}
	}
	fence := strings.Repeat("`", longest+1)
	out.line("")
	out.line("%s%s", fence, language)
	for _, line := range lines {
		out.line("%s", strings.ReplaceAll(line, "\n", " "))
	}
	out.line("%s", fence)
	out.line("")
}

// code writes a text as a code span that may stand in a table. GitHub reads two backslashes before
// a | as one plain backslash, and the | as the end of the cell, so code separates a backslash of
// the text from the |.
func code(s string) string {
	s = strings.ReplaceAll(s, `\|`, `\ |`)
	s = cmp.Or(backticks.ReplaceAllString(strings.Join(strings.Fields(s), " "), "'"), " ") // two backticks alone open a span
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}

var (
	// prose matches a word without a meaning in Markdown or on GitHub: letters, joined by
	// apostrophes, slashes or hyphens.
	prose = regexp.MustCompile(`^\p{L}+(?:['/-]\p{L}+)*[.,;:]?$`)
	// linked matches letters that GitHub may turn into a link: the beginning of an address, and the
	// hash of a commit.
	linked = regexp.MustCompile(`(?i)\b(?:www|[a-f]{7,40})\b`)
	// marked matches a word, and the punctuation after it.
	marked = regexp.MustCompile(`^(.+?)([.,;:]?)$`)
)

// plain writes a text so that none of it is Markdown or HTML, notifies a user, refers to an issue
// or is a link. Escaping is not enough: GitHub looks for these in the output of Markdown, where \#
// and &#64; are # and @ again (github/cmark-gfm, issue 181). GitHub leaves code alone, so plain
// writes every word as code that is not plainly prose. A zero-width space after each @, # and the
// like would cover only the known cases, and people who copy the text would copy it too.
func plain(s string) string {
	words := strings.Fields(s)
	for i, word := range words {
		if !prose.MatchString(word) || linked.MatchString(word) {
			parts := marked.FindStringSubmatch(word)
			words[i] = code(parts[1]) + parts[2]
		}
	}
	return strings.Join(words, " ")
}
