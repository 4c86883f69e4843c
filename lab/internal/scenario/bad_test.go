package scenario

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

// sources are files of the service, as a mistake leaves them.
type sources map[string]string

func (s sources) Replace(name, old, replacement string) error {
	text, err := os.ReadFile(filepath.Join("../../..", name))
	if err != nil {
		return err
	}
	if n := strings.Count(string(text), old); n != 1 {
		return assert.AnError
	}
	s[name] = strings.Replace(string(text), old, replacement, 1)
	return nil
}

func (s sources) WriteFile(name string, content []byte) error {
	s[name] = string(content)
	return nil
}

// Scenarios compile what the mistakes make; here it is Go, and the places that they change exist.
func TestUnit_EachMistakeHasItsPlaceInTheService(t *testing.T) {
	t.Parallel()
	for name, mistake := range map[string]fault{
		"failing": failing, "sluggish": sluggish, "queueing": queueing, "crashing": crashing, "unready": unready,
	} {
		changed := sources{}
		require.NoError(t, mistake(changed), "%s: the service has changed; adapt the mistake", name)
		assert.NotEmpty(t, changed, name)
		for file, text := range changed {
			_, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
			assert.NoError(t, err, "%s: %s", name, file)
		}
	}
}
