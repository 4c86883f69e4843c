package config

import (
	"errors"
	"regexp"
	"strings"
)

// userinfo is the part of an address between its scheme and the host (RFC 3986, 3.2.1).
var userinfo = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)@`)

// token is how the tokens of GitHub and GitLab begin, which are accepted as a name without a
// password (GitHub's documentation, "About authentication", "GitHub's token formats"; GitLab's,
// "Token overview", "Token prefixes"; 2026-11).
var token = regexp.MustCompile(`^(gh[pousr]_|github_pat_|gl[a-z]+-)`)

// CheckPublic returns an error when an address carries a password or a token: addresses are in
// states, outputs, objects in the cluster and comments, where many people can read them. A name
// alone is fine; Azure DevOps writes its addresses with one. The error does not quote it.
func CheckPublic(address string) error {
	found := userinfo.FindStringSubmatch(address)
	if found == nil {
		return nil
	}
	if name, _, password := strings.Cut(found[1], ":"); !password && !token.MatchString(name) {
		return nil
	}
	return errors.New("has a password or token in the address, which every reader of Git and of the state sees; leave it out, replace it " +
		"where it came from, and give Argo CD credentials by repositoryCredentialsUrl of gridos-bootstrap")
}
