// Package gitsays puts into a sentence why Git does not read the folder of a checkout.
package gitsays

import (
	"fmt"
	"regexp"
	"strings"
)

// exception is the command with which Git tells to make an exception for a repository of another owner: since 2.35.2, whatever it calls
// that owner before (setup.c of Git, die_upon_dubious_ownership).
var exception = regexp.MustCompile(`git config --global --add safe\.directory .+`)

// Explain returns err with what is wrong and what to do, from what Git said about dir, in English.
func Explain(dir, said string, err error) error {
	said = strings.TrimSpace(said)
	if remedy := exception.FindString(said); remedy != "" {
		return fmt.Errorf("git does not read %s, because it belongs to another user; if you trust what is in it, run %s: %w",
			dir, remedy, err)
	}
	if strings.Contains(said, "not a git repository") {
		return fmt.Errorf("%s is in no Git repository; change into a clone, which a downloaded archive is not: %w", dir, err)
	}
	return fmt.Errorf("git does not read %s: %w: %s", dir, err, said)
}
