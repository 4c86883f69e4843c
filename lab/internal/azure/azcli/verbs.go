package azcli

import (
	_ "embed"
	"strings"
	"sync"
)

// table has the verbs of az that the documents use, a line each: the verb, the flags that the
// documents use, with their short forms, and the source of both. azure-cli 2.45.0 is the package of
// Debian 12, whose help testdata/azure-cli-2.45.0.txt has.
//
//go:embed verbs.txt
var table string

// verb is a line of the table.
type verb struct {
	name string
	// flags are the long names, by every spelling.
	flags  map[string]string
	source string
}

// long returns the long name of a flag, or "".
func (v verb) long(flag string) string { return v.flags[flag] }

// verbs are the lines of the table, by the verb.
var verbs = sync.OnceValue(func() map[string]verb {
	all := map[string]verb{}
	for line := range strings.Lines(table) {
		parts := strings.Split(strings.TrimSpace(line), " | ")
		if len(parts) != 3 {
			continue // a comment
		}
		v := verb{parts[0], map[string]string{}, parts[2]}
		for _, spellings := range strings.Fields(parts[1]) {
			for _, one := range strings.Split(spellings, "/") {
				v.flags[one] = strings.Split(spellings, "/")[0]
			}
		}
		all[v.name] = v
	}
	return all
})
