package github

import (
	"strings"
	"unicode/utf8"
)

// longest is the limit of GitHub for the body of a comment, an issue or a pull request, in Unicode
// characters.
const longest = 65_536

// fit cuts Markdown that is too long at the end of a line, closes what is open there, and says
// where the rest is.
func fit(text, rest string) string {
	if utf8.RuneCountInString(text) <= longest {
		return text
	}
	if rest == "" {
		rest = "what the workflow has kept"
	}
	note := "\n\n**This is not all: the rest does not fit here. It is in " + rest + ".**\n"
	room := longest - utf8.RuneCountInString(note)

	var open stack
	kept, ending := 0, "" // how many bytes of the text are kept, and what closes them
	at, length := 0, 0
	for line := range strings.Lines(text) {
		at += len(line)
		length += utf8.RuneCountInString(line)
		open.read(line)
		if closing := open.closing(); length+utf8.RuneCountInString(closing) <= room {
			kept, ending = at, closing
		}
	}
	return text[:kept] + ending + note
}

// stack has the open parts of Markdown: folded sections, and a fenced block.
type stack struct {
	fence  string // of the block that is open, or ""
	folded int
}

func (s *stack) read(line string) {
	line = strings.TrimSpace(line)
	marks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
	switch {
	case s.fence != "":
		if len(marks) >= len(s.fence) && marks == line {
			s.fence = ""
		}
	case len(marks) >= 3:
		s.fence = marks
	default:
		s.folded = max(0, s.folded+strings.Count(line, "<details")-strings.Count(line, "</details>"))
	}
}

func (s *stack) closing() string {
	text := ""
	if s.fence != "" {
		text = s.fence + "\n"
	}
	return text + strings.Repeat("\n</details>\n", s.folded)
}
