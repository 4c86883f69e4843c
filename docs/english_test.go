package docs_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// actorless are words that name no actor, or that mean something else than was meant.
var actorless = regexp.MustCompile(`(?i)\b(nobody|somebody|everybody|whoever|anew|otherwise than)\b`)

// A sentence says who does what: the provider, a reviewer, the test. These words hid it most often.
func TestUnit_SentencesNameTheirActor(t *testing.T) {
	t.Parallel()
	checked := 0
	for path, text := range prose(t) {
		if extension := filepath.Ext(path); extension != ".go" && extension != ".md" || strings.Contains(path, "testdata/") {
			continue
		}
		checked++
		assert.Empty(t, actorless.FindAllString(text, -1), "%s: name who it is, such as the provider, a user, a reviewer", path)
	}
	assert.Greater(t, checked, 300)
}
