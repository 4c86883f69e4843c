package azcli

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Command is a command line of az.
type Command struct {
	// Verb is the verb's words, such as "aks nodepool add".
	Verb string
	// Flags are the values of each flag, by its long name. A switch has none.
	Flags map[string][]string
}

// Value returns the one value of a flag, or "".
func (c Command) Value(flag string) string { return strings.Join(c.Flags[flag], " ") }

// Has says whether a flag is given.
func (c Command) Has(flag string) bool {
	_, ok := c.Flags[flag]
	return ok
}

// Parse reads the words after az. The error names the verb or the flag that no document uses.
func Parse(words []string) (Command, error) {
	known, rest, err := verbOf(words)
	if err != nil {
		return Command{}, err
	}
	command := Command{Verb: known.name, Flags: map[string][]string{}}
	flag := ""
	for _, word := range rest {
		if !strings.HasPrefix(word, "-") {
			if flag == "" {
				return Command{}, fmt.Errorf("az %s: %q belongs to no flag", known.name, word)
			}
			command.Flags[flag] = append(command.Flags[flag], word)
			continue
		}
		name, value, valued := strings.Cut(word, "=")
		if flag = known.long(name); flag == "" {
			return Command{}, fmt.Errorf("az %s: the flag %s is in no document, so it is not known here", known.name, name)
		}
		command.Flags[flag] = append([]string{}, command.Flags[flag]...)
		if valued {
			command.Flags[flag] = append(command.Flags[flag], value)
		}
	}
	return command, nil
}

// verbOf finds the longest verb with which the words begin, and returns the rest.
func verbOf(words []string) (verb, []string, error) {
	end := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "-") })
	if end < 0 {
		end = len(words)
	}
	for n := end; n > 0; n-- {
		name := strings.Join(words[:n], " ")
		if known, ok := verbs()[name]; ok {
			return known, words[n:], nil
		}
	}
	return verb{}, nil, fmt.Errorf("az %s: the verb is in no document, so it is not known here", strings.Join(words[:end], " "))
}

// Lines returns the words of every az command in a script, including commands in substitutions. A
// word that the shell would expand is returned as it is written.
func Lines(script string) ([][]string, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return nil, err
	}
	var lines [][]string
	syntax.Walk(file, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "az" {
			return true
		}
		var words []string
		for _, word := range call.Args[1:] {
			words = append(words, written(word))
		}
		lines = append(lines, words)
		return true
	})
	return lines, nil
}

// written returns a word without its quotes.
func written(word *syntax.Word) string {
	var text strings.Builder
	for _, part := range word.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			text.WriteString(p.Value)
		case *syntax.SglQuoted:
			text.WriteString(p.Value)
		case *syntax.DblQuoted:
			text.WriteString(written(&syntax.Word{Parts: p.Parts}))
		default:
			text.WriteString("$")
		}
	}
	return text.String()
}
