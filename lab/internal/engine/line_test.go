package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/internal/naming"
)

const repository = "../../.."

// environments are the columns of defaults in docs/configuration.md.
var environments = naming.Environments()

// A key that is documented and never read, or read and never documented, is our mistake; so is a
// default that differs from the document.
func TestUnit_EveryKeyIsDocumentedWithItsDefaults(t *testing.T) {
	t.Parallel()
	documented := documentedKeys(t)
	for _, p := range line() {
		read := map[string]map[string]string{} // key → environment → default
		for _, environment := range environments {
			values, err := projectfile.Config(t.Context(), filepath.Join(repository, p.Directory), environment)
			require.NoError(t, err)
			r := config.FromMap(p.Name, environment, values)
			require.NoError(t, p.check(r, environment))
			for key, value := range r.Defaults() {
				text, err := json.Marshal(value)
				require.NoError(t, err)
				if read[key] == nil {
					read[key] = map[string]string{}
				}
				read[key][environment] = strings.ReplaceAll(string(text), "null", "[]")
			}
		}
		defaults := map[string]map[string]string{}
		for key, row := range documented[p.Name] {
			defaults[key] = row.defaults
		}
		assert.Equal(t, read, defaults, "docs/configuration.md, %s", p.Name)
	}
}

// documentedKey is a row of docs/configuration.md.
type documentedKey struct {
	// defaults are the defaults as JSON, by environment.
	defaults map[string]string
	// later is what happens when the key changes in a live environment.
	later string
}

var (
	projectHeading = regexp.MustCompile("(?m)^## `([a-z-]+)`$")
	// keyRow is a key, its description, its defaults (one for all environments, or one for each), and
	// what a change does.
	keyRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]+) \\| (`[^`]*`)(?: \\| (`[^`]*`) \\| (`[^`]*`))? \\| ([^|]+) \\|$")
)

// documentedKeys reads docs/configuration.md: project → key → row.
func documentedKeys(t *testing.T) map[string]map[string]documentedKey {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, "docs", "configuration.md"))
	require.NoError(t, err)
	text := string(content)
	headings := projectHeading.FindAllStringSubmatchIndex(text, -1)
	require.NotEmpty(t, headings)
	keys := map[string]map[string]documentedKey{}
	for i, heading := range headings {
		end := len(text)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		project := text[heading[2]:heading[3]]
		keys[project] = map[string]documentedKey{}
		for _, row := range keyRow.FindAllStringSubmatch(text[heading[1]:end], -1) {
			assert.NotContains(t, keys[project], row[1], "documented twice")
			defaults := map[string]string{}
			for j, environment := range environments {
				value := row[3+j]
				if value == "" {
					value = row[3]
				}
				defaults[environment] = strings.Trim(value, "`")
			}
			keys[project][row[1]] = documentedKey{defaults: defaults, later: row[6]}
		}
	}
	return keys
}

func TestUnit_SummariesSayWhatHappened(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "no change", Result{Changes: map[string]int{"same": 40, "read": 2, "discard": 1}}.Summary())
	assert.Equal(t, "2 created, 1 replaced, 3 deleted",
		Result{Changes: map[string]int{"create": 2, "same": 7, "replace": 1, "delete": 3}}.Summary())
}
