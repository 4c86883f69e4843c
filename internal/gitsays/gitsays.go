// Package gitsays explains in a sentence why Git refuses to read the folder of a checkout.
package gitsays

import (
	"fmt"
	"regexp"
	"strings"
)

// exception matches the command that Git suggests for a repository of another owner: the same since
// 2.35.2, however the message describes the owner before it (setup.c of Git,
// die_upon_dubious_ownership).
var exception = regexp.MustCompile(`git config --global --add safe\.directory .+`)

// Explain returns err with the cause and the remedy, from Git's English message about dir.
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
