// Package secretname recognizes texts that are secrets by their names. It is a second line of
// defence, behind the marks of Pulumi and the kind of a Kubernetes Secret.
package secretname

import "regexp"

// Withheld replaces a text that is not marked as a secret, but has the name of one.
const Withheld = "[withheld]"

const words = `passw(?:or)?d|passphrase|secret|token|(?:api|access|private)_?key|connection_?string|credentials?`

var (
	// ends is the end of such a name. What only names a secret, such as secretName or tokenFile,
	// ends with something else.
	ends = regexp.MustCompile(`(?i)(` + words + `)"?\]?$`)
	// inside is such a name with its value in a longer text: a line of a configuration file, or an
	// argument of a program.
	inside = regexp.MustCompile(`(?i)((?:` + words + `)["']?[ \t]*[:=][ \t]*["']?)[^\s"',;&]+`)
	// userinfo is the user's name and password in an address.
	userinfo = regexp.MustCompile(`(://)[^/\s@"']+:[^/\s@"']+@`)
	// key is a private key as PEM has it.
	key = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// Is reports whether a value of that name is a secret.
func Is(name string) bool { return ends.MatchString(name) }

// Scrub returns a text without the secrets that are in it under their names.
func Scrub(text string) string {
	text = key.ReplaceAllString(text, Withheld)
	text = userinfo.ReplaceAllString(text, "${1}"+Withheld+"@")
	return inside.ReplaceAllString(text, "${1}"+Withheld)
}
