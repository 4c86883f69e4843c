package process

import (
	"os"
	"slices"
	"strings"
)

// passed are the user's variables that the lab's programs get: those for the folders of programs
// and temporary files, and for languages. The variables for proxies are among them, because Helm
// downloads charts and Argo CD clones other repositories through a proxy. Requests to this machine
// use no proxy (Go's net/http, ProxyFromEnvironment).
var passed = []string{
	"PATH", "TMPDIR", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "NO_COLOR", "COLUMNS", "LINES",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// Environment returns the variables, as NAME=value, with which the lab's programs start. They get
// no other variable of the user, and nothing from the user's home: the CLI reads each of its flags
// from PULUMI_OPTION_* (pulumi/pulumi#20834), Helm its settings from HELM_*, Git from GIT_* and
// ~/.gitconfig. home is a folder of the lab's.
func Environment(home string) []string {
	environment := []string{"HOME=" + home}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(passed, name) || strings.HasPrefix(name, "LC_") {
			environment = append(environment, variable)
		}
	}
	return environment
}
