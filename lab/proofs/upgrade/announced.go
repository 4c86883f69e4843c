package upgrade

import (
	"regexp"
	"slices"
	"strings"
)

var (
	heading  = regexp.MustCompile(`(?m)^##`)
	entry    = regexp.MustCompile(`(?m)^- `)
	codeSpan = regexp.MustCompile("`[^`]+`")
)

// replaces are the entries under the headings "Replaces" of a changelog, each as one line.
func replaces(changelog string) []string {
	var entries []string
	for _, section := range heading.Split(changelog, -1) {
		title, body, _ := strings.Cut(section, "\n")
		if title != "# Replaces" {
			continue
		}
		for i, text := range entry.Split(body, -1) {
			if i > 0 { // what is before the first entry is none
				entries = append(entries, strings.Join(strings.Fields(text), " "))
			}
		}
	}
	return entries
}

// Announced returns the names, in code spans, of what a changelog announces under "Replaces" and an
// earlier one does not. A resource is announced by the name that it has in its program.
func Announced(earlier, changelog string) []string {
	known := replaces(earlier)
	var names []string
	for _, text := range replaces(changelog) {
		if slices.Contains(known, text) {
			continue
		}
		for _, span := range codeSpan.FindAllString(text, -1) {
			names = append(names, strings.Trim(span, "`"))
		}
	}
	return names
}
