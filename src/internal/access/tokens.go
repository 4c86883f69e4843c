// Package access decides whose requests the service answers: who may write, who may read, and how
// often.
package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// ErrNoToken says that a request has no token, ErrWrongToken that its token is not valid.
var (
	ErrNoToken    = errors.New("the request has no token")
	ErrWrongToken = errors.New("the token is not valid")
)

// AnySender is the name of a sender whose token has no name in the file, or of all senders when
// there is no file.
const AnySender = "any"

// Tokens is a file with the bearer tokens of the senders, a line each: the name of the sender,
// white space and the token, or a token alone. A sender may have several lines: that is how a token
// is replaced without a moment in which neither is valid.
type Tokens struct {
	// File is the path, or empty when senders need no token.
	File string
}

var senderPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Sender is who sends a request with the value of the header Authorization. The file is read each
// time: tokens may be replaced. The error is ErrNoToken or ErrWrongToken when the sender is at
// fault, and another when the file is.
func (t Tokens) Sender(authorization string) (string, error) {
	if t.File == "" {
		return AnySender, nil
	}
	content, err := os.ReadFile(t.File)
	if err != nil {
		return "", fmt.Errorf("the tokens of the senders cannot be read: %w", err)
	}
	// The name of a scheme is not case-sensitive, and spaces may follow it (RFC 9110, 11.1 and
	// 11.4).
	scheme, shown, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	shown = strings.TrimLeft(shown, " ")
	given := strings.EqualFold(scheme, "Bearer") && shown != ""
	// The comparison is of sums, so that its time reveals nothing about the tokens, not even their
	// lengths.
	sum := sha256.Sum256([]byte(shown))
	found, tokens := "", 0
	for i, line := range strings.Split(string(content), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) == 1 {
			fields = []string{AnySender, fields[0]}
		}
		if len(fields) > 2 || !senderPattern.MatchString(fields[0]) {
			return "", fmt.Errorf("line %d of the file with the tokens is not a sender's name and a token; "+
				"write a name in lower case, a space and the token", i+1)
		}
		tokens++
		valid := sha256.Sum256([]byte(fields[1]))
		if subtle.ConstantTimeCompare(sum[:], valid[:]) == 1 && given {
			found = fields[0]
		}
	}
	switch {
	case tokens == 0:
		return "", errors.New("the file with the tokens of the senders is empty")
	case !given:
		return "", ErrNoToken
	case found == "":
		return "", ErrWrongToken
	default:
		return found, nil
	}
}
