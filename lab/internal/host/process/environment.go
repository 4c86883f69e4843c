package process

import (
	"os"
	"slices"
	"strings"
)

// passed are the variables of the user that reach what the lab runs: where programs and temporary files are, and how people read.
// How a network is left is among them: Helm downloads charts and Argo CD clones other repositories by it, and no proxy is asked for
// an address of this machine (Go's net/http, ProxyFromEnvironment).
var passed = []string{
	"PATH", "TMPDIR", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "NO_COLOR", "COLUMNS", "LINES",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// Environment is what the programs that the lab runs start from, as NAME=value. No other variable of the user's reaches them, and
// nothing in the user's home: the CLI reads each of its flags from PULUMI_OPTION_* (pulumi/pulumi#20834), Helm its settings from
// HELM_*, Git from GIT_* and ~/.gitconfig. home is a folder of the lab's.
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
