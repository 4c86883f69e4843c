package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// instrument returns the finder's result for a file in a module of its own.
func instrument(t *testing.T, path, text string) (*source, string) {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module " + module + "\n\ngo 1.26\n", path: text} {
		file := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
	sources, err := find(t.Context(), root, []string{filepath.Dir(path)})
	require.NoError(t, err)
	require.Len(t, sources, 1)
	made := sources[0].instrumented()
	_, err = parser.ParseFile(token.NewFileSet(), path, made, parser.AllErrors)
	require.NoError(t, err, made)
	return sources[0], made
}

func TestUnit_EveryPlaceIsTurnedOnce(t *testing.T) {
	t.Parallel()
	s, made := instrument(t, "infra/x/x.go", `package x

import "errors"

type level string

const (
	low  level = "low"
	high level = "high"
)

type settings struct {
	on    bool
	nodes int
	at    level
	open  any
}

var defaults = settings{on: true, nodes: 2*3 + 1, at: low, open: "yes"}

func check(n int) error { return nil }

func size(n int) (int, error) {
	if err := check(n); err != nil {
		return 8, err
	}
	if err := check(n); n > 1 {
		return 5, err
	}
	return 9, errors.New("not that")
}

func load(n int, s settings) (settings, error) {
	if n < 0 || !s.on && n == 7 {
		return s, errors.New("not this")
	}
	n++
	switch n {
	case 3:
		s.nodes = 4
	}
	return s, nil
}

func greatest(uint8, uint8, int64) { greatest(255, 254, 1<<63-1) }
`)
	var settings, others []string
	for _, m := range s.mutants {
		_, name, _ := strings.Cut(m.Key, ": ")
		if m.reaches {
			settings = append(settings, name)
		} else {
			others = append(others, name)
		}
	}
	assert.ElementsMatch(t, []string{
		"true → false", "2*3 + 1 → (2*3 + 1) + 1", "low → high", `"yes" → ("yes") + "-mutant"`, "5 → (5) + 1", "4 → (4) + 1",
		"255 → (255) - 1", "254 → (254) + 1", "1<<63-1 → (1<<63-1) - 1",
	}, settings)
	assert.ElementsMatch(t, []string{
		"err != nil → err == nil", "return 8, err → return 8, nil", "n > 1 → n >= 1", "1 → (1) + 1", "return 5, err → return 5, nil",
		`return 9, errors.New("not that") → return 9, nil`,
		"n < 0 || !s.on && n == 7 → n < 0 && !s.on && n == 7", "n < 0 → n <= 0", "0 → (0) + 1",
		"!s.on && n == 7 → !s.on || n == 7", "!s.on → s.on", "n == 7 → n != 7", "7 → (7) + 1",
		`return s, errors.New("not this") → return s, nil`, "n++ → n--",
	}, others)
	assert.Contains(t, made, "on: mutant_.Pick[bool](")
	assert.Contains(t, made, "at: mutant_.Pick[level](")
}

func TestUnit_OnlyWhatDecidesSomethingIsASetting(t *testing.T) {
	t.Parallel()
	s, _ := instrument(t, "infra/x/x.go", `package x

import (
	"fmt"
	"strings"
)

const key = "the key of a configuration"

type Settings struct {
	Tier string
	Days []int
}

type chart struct {
	Mode string `+"`json:\"mode\"`"+`
}

type block struct{ key string }

func name(s string) (string, error) {
	if strings.HasPrefix(s, "a prefix") {
		return "what goes with an error", fmt.Errorf("a message about %q", s)
	}
	return map[string]string{"a name": s}["an index"], nil
}

func settings() (Settings, any, any) {
	s := Settings{Tier: "an exported struct", Days: []int{7}}
	s.Tier = "assigned to a field of it"
	_ = block{key: key}
	text := "assigned to a variable"
	return s, chart{Mode: "written as JSON"}, map[string]any{"b": []string{"an object"}, text: nil}
}
`)
	var reaching, stated []string
	for _, m := range s.mutants {
		_, name, _ := strings.Cut(m.Key, ": ")
		name, _, _ = strings.Cut(name, " → ")
		if m.reaches {
			reaching = append(reaching, name)
		}
		if m.stated {
			stated = append(stated, name)
		}
	}
	assert.ElementsMatch(t, []string{
		`"an exported struct"`, "7", `"assigned to a field of it"`, `"written as JSON"`, `"an object"`,
	}, stated)
	assert.ElementsMatch(t, append(stated, "key", `"assigned to a variable"`), reaching,
		"what these decide is seen when the program runs")
}
