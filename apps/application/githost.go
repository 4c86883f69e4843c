package application

import (
	"net/url"
	"regexp"
	"strings"
)

// labelValue is what Kubernetes takes as a label's value that is a host name.
var labelValue = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

// gitHost returns the host of the Git repository that s is in. It is empty for a chart, and for a
// host that is no label's value.
func gitHost(s Source) string {
	if s.Chart != "" {
		return ""
	}
	var host string
	if address, err := url.Parse(s.RepoURL); err == nil && strings.Contains(s.RepoURL, "://") {
		host = address.Hostname()
	} else if _, short, found := strings.Cut(s.RepoURL, "@"); found { // git's short form of ssh: git@github.com:owner/name.git
		host, _, _ = strings.Cut(short, ":")
	}
	host = strings.ToLower(host)
	if !labelValue.MatchString(host) {
		return ""
	}
	return host
}
