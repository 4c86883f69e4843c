// Package spelling finds the name that a mistyped one was probably meant to be.
package spelling

import (
	"strings"

	"github.com/agext/levenshtein"
)

// Nearest returns the known name that is most like name, or "" if none is like it.
func Nearest(name string, known []string) string {
	best, distance := "", len(name)/2+1
	for _, candidate := range known {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(candidate), nil); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}
