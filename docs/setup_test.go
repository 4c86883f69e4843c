package docs_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"
)

// shell reads a block of commands as bash does. What is in angle brackets is for the reader to
// replace.
func shell(t *testing.T, path, text string) *syntax.File {
	t.Helper()
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(placeholders.ReplaceAllString(text, "x")), path)
	require.NoError(t, err, text)
	return file
}

var placeholders = regexp.MustCompile(`<[a-z][^<>\n]*>`)

func TestUnit_EveryBlockIsShell(t *testing.T) {
	t.Parallel()
	blocks := 0
	for _, d := range documents(t) {
		for _, b := range d.commands {
			shell(t, d.path, b.text)
			blocks++
		}
	}
	assert.Greater(t, blocks, 60)
}

// A block of the set-up can be copied alone: it sets every variable that it uses, and defines its
// functions. An exclamation mark in double quotes, which an interactive bash takes for a command of
// its history, is switched off before.
func TestUnit_ABlockOfTheSetUpNeedsNoOther(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		if d.path != "docs/INFRA_PIPELINE_SETUP.md" {
			continue
		}
		for _, b := range d.commands {
			file := shell(t, d.path, b.text)
			set := []string{"@", "HOME", "PATH"}
			syntax.Walk(file, func(node syntax.Node) bool {
				switch n := node.(type) {
				case *syntax.Assign:
					set = append(set, n.Name.Value)
				case *syntax.WordIter:
					set = append(set, n.Name.Value)
				}
				return true
			})
			syntax.Walk(file, func(node syntax.Node) bool {
				if used, ok := node.(*syntax.ParamExp); ok {
					assert.True(t, slices.Contains(set, used.Param.Value), "$%s is set in no line of\n%s", used.Param.Value, b.text)
				}
				if quoted, ok := node.(*syntax.DblQuoted); ok {
					var text strings.Builder
					require.NoError(t, syntax.NewPrinter().Print(&text, &syntax.Word{Parts: []syntax.WordPart{quoted}}))
					if strings.Contains(text.String(), "!") {
						assert.Contains(t, b.text, "\nset +H", "an exclamation mark needs set +H before it:\n%s", b.text)
					}
				}
				return true
			})
		}
	}
}

// Our own programs have the flags that the documents give them.
func TestUnit_FlagsInTheDocumentsExist(t *testing.T) {
	t.Parallel()
	known := map[string]string{} // the help of each command
	checked := 0
	dir, programs := t.TempDir(), map[string]string{}
	built := func(program string) string { // linking takes long, and many commands are of one program
		if _, there := programs[program]; !there {
			programs[program] = filepath.Join(dir, filepath.Base(program))
			build := exec.CommandContext(t.Context(), "go", "build", "-o", programs[program], program)
			build.Dir = root
			output, err := build.CombinedOutput()
			require.NoError(t, err, "%s: %s", program, output)
		}
		return programs[program]
	}
	for _, d := range documents(t) {
		for _, b := range d.commands {
			syntax.Walk(shell(t, d.path, b.text), func(node syntax.Node) bool {
				call, ok := node.(*syntax.CallExpr)
				if !ok {
					return true
				}
				var words []string
				for _, word := range call.Args {
					words = append(words, word.Lit())
				}
				if len(words) > 2 && words[0] == "go" && words[1] == "run" {
					words = words[2:]
				}
				if len(words) < 2 || !slices.Contains([]string{"./pipeline", "bin/pipeline", "./lab", "bin/lab"}, words[0]) {
					return true
				}
				program := "./" + filepath.Base(words[0])
				command := []string{program}
				for _, word := range words[1:] {
					if strings.HasPrefix(word, "-") || !regexp.MustCompile(`^[a-z-]+$`).MatchString(word) {
						break
					}
					command = append(command, word)
				}
				key := strings.Join(command, " ")
				if _, there := known[key]; !there {
					output, err := exec.CommandContext(t.Context(), built(program), append(command[1:], "--help")...).CombinedOutput()
					require.NoError(t, err, "%s: %s", key, output)
					known[key] = string(output)
				}
				for _, word := range words {
					if flag, _, _ := strings.Cut(word, "="); strings.HasPrefix(flag, "-") && flag != "--" {
						checked++
						assert.Regexp(t, `(?m)(^|[ ,])`+regexp.QuoteMeta(flag)+`([ ,\n]|$)`, known[key], "%s: %s", d.path, strings.Join(words, " "))
					}
				}
				return true
			})
		}
	}
	assert.Greater(t, checked, 10)
}
