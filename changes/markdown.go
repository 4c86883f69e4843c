package changes

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// WriteMarkdown writes the reports of several environments as one Markdown text, as a comment on a pull request shows it. Names
// and values come from code that nobody has reviewed yet: none of them is taken for Markdown, a mention or a link.
func WriteMarkdown(w io.Writer, reports []Report) error {
	out := &printer{w: w}
	title := "## What this changes"
	if len(reports) > 0 && reports[0].Drift {
		title = "## What others have changed"
	}
	out.line("%s", title)
	out.line("")
	out.line("| environment | create | update | replace | delete | |")
	out.line("|---|--:|--:|--:|--:|---|")
	for _, r := range reports {
		row := "| **" + r.Environment + "** |"
		for _, op := range Ops() {
			n := 0
			for _, p := range r.Projects {
				n += p.Count(op)
			}
			row += fmt.Sprintf(" %d |", n)
		}
		out.line("%s %s |", row, r.Verdict())
	}
	for _, r := range reports {
		r.writeMarkdown(out)
	}
	return out.err
}

func (r Report) writeMarkdown(out *printer) {
	out.line("")
	out.line("### %s", r.Environment)
	out.line("")
	switch {
	case r.Drift:
		out.line("Compared with what the last update left.")
	case r.Base == "":
		out.line("Compared with the environment as it is deployed.")
	default:
		out.line("Compared with what %s makes in the lab.", code(r.Base))
	}
	if failed := r.Errors(); len(failed) > 0 {
		out.line("")
		out.line("> [!WARNING]")
		out.line("> Not everything could be previewed.")
		fenced(out, "text", failed)
	}
	if dangerous := r.Dangerous(); len(dangerous) > 0 && !r.Drift {
		out.line("")
		out.line("> [!CAUTION]")
		for _, c := range dangerous {
			out.line("> %s %s: %s.", c.Op, code(c.resource()), plain(strings.Join(c.Reasons, "; ")))
			out.line(">")
		}
		out.line("> Somebody who may decide that has to consent to exactly these changes: on a pull request with the label %s, in a "+
			"deployment that was started by hand with the same code.", code(ConsentPrefix+r.Consent()))
	}
	out.line("")
	out.line("| stack | create | update | replace | delete | same |")
	out.line("|---|--:|--:|--:|--:|--:|")
	for _, p := range r.Projects {
		row := "| " + plain(p.Name+"/"+r.Environment) + " |"
		for _, op := range Ops() {
			row += fmt.Sprintf(" %d |", p.Count(op))
		}
		out.line("%s %d |", row, p.Same)
	}
	all := r.All()
	if len(all) == 0 {
		return
	}
	shown := all[:min(len(all), mostRows)]
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
		out.line("And %d more, which need less attention; the report's JSON has all.", len(all)-len(shown))
	}
	var lines []string
	for _, c := range shown {
		if len(c.Properties) > 0 {
			lines = append(lines, "  "+string(c.Op)+" "+c.resource())
		}
		for _, p := range c.Properties {
			lines = append(lines, p.diff()...)
		}
	}
	if len(lines) > 0 {
		out.line("")
		out.line("<details><summary>Properties</summary>")
		fenced(out, "diff", lines)
		out.line("</details>")
	}
	out.line("")
	out.line("<details><summary>Graph of what changes</summary>")
	fenced(out, "mermaid", r.graph())
	out.line("</details>")
}

// mostRows bounds the tables of one environment: a new environment is a hundred resources, and nobody reads more.
const mostRows = 100

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
	fence := "```"
	for _, line := range lines {
		for _, row := range backticks.FindAllString(line, -1) {
			if len(row) >= len(fence) {
				fence = strings.Repeat("`", len(row)+1)
			}
		}
	}
	out.line("")
	out.line("%s%s", fence, language)
	for _, line := range lines {
		out.line("%s", strings.ReplaceAll(line, "\n", " "))
	}
	out.line("%s", fence)
	out.line("")
}

// code writes a text as a code span that may stand in a table. GitHub takes two backslashes before a | for one that is none, and
// the | for the end of the cell, so that a backslash of the text is kept away from it.
func code(s string) string {
	s = strings.ReplaceAll(s, `\|`, `\ |`)
	s = backticks.ReplaceAllString(strings.Join(strings.Fields(s), " "), "'")
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}

var (
	// prose is a word that is nothing but itself, to Markdown and to GitHub: letters, joined by what joins words.
	prose = regexp.MustCompile(`^\p{L}+(?:['/-]\p{L}+)*[.,;:]?$`)
	// linked is what GitHub may make a link although it is only letters: the beginning of an address, and the hash of a commit.
	linked = regexp.MustCompile(`(?i)\b(?:www|[a-f]{7,40})\b`)
	// marked is a word, and behind it the mark that belongs to the sentence.
	marked = regexp.MustCompile(`^(.+?)([.,;:]?)$`)
)

// plain writes a text so that none of it is Markdown or HTML, notifies somebody, refers to an issue or is a link. Escaping is not
// enough: GitHub looks for these in what comes out of Markdown, where \# and &#64; are # and @ again (github/cmark-gfm, issue 181). It
// leaves alone what is code, so every word becomes code that is not plainly prose. A zero-width space behind each @, # and the like
// would help against those that one thinks of, and whoever copies the text would copy it too.
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
