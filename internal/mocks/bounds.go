package mocks

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/stacks"
)

// outOfRange matches a Reader's message about a number or a duration that is too small or too
// large.
var outOfRange = regexp.MustCompile(`: (\S+) is out of range; use (\S+ to \S+)`)

// zeroes match the part of a duration that people leave out: 168h0m0s.
var zeroes = regexp.MustCompile(`([hm])(?:0m)?0s`)

// CheckBounds compares the bounds of each number and duration that a project reads with those in
// docs/configuration.md ("7 to 35"): root is the repository's root, load reads the settings of dev.
func CheckBounds(t *testing.T, root string, project stacks.Project, load func(*config.Reader) error) {
	t.Helper()
	document, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	require.NoError(t, err)
	known := config.FromMap(project.Name, "dev", nil)
	_ = load(known) // some keys have no default; only which keys the program reads counts here
	bounded := 0
	for key, def := range known.Defaults() {
		var tooSmall string
		switch def.(type) {
		case int:
			tooSmall = "-99999"
		case string:
			tooSmall = "-99999h"
		default:
			continue
		}
		r := config.FromMap(project.Name, "dev", map[string]string{project.Name + ":" + key: tooSmall})
		found := outOfRange.FindStringSubmatch(mistakeIn(load(r), project.Name+":"+key))
		if found == nil {
			continue
		}
		bounded++
		row := regexp.MustCompile("(?m)^\\| `" + key + "` \\|([^|]*)\\|").FindSubmatch(document)
		if assert.NotNil(t, row, "docs/configuration.md has no row for %s", key) {
			assert.Contains(t, string(row[1]), zeroes.ReplaceAllString(found[2], "$1"), "docs/configuration.md, %s", key)
		}
	}
	assert.NotZero(t, bounded, "%s has no number that is bounded", project.Name)
}

// mistakeIn returns the text of the mistake in a key.
func mistakeIn(err error, key string) string {
	all, ok := err.(*config.Error) //nolint:errorlint // it is never wrapped
	if !ok {
		return ""
	}
	for _, mistake := range all.Mistakes {
		if text := mistake.Error(); len(text) > len(key) && text[:len(key)+1] == key+":" {
			return text
		}
	}
	return ""
}
