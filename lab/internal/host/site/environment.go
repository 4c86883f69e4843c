package site

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Variables returns the environment variables that point pulumi, its plugins and kubectl at the
// lab.
func (s Site) Variables(record Record) map[string]string {
	return map[string]string{
		"PATH":                          withFirst(record.Tools, os.Getenv("PATH")),
		"KUBECONFIG":                    s.KubeconfigFile(),
		"PULUMI_BACKEND_URL":            s.backendURL(),
		"PULUMI_CONFIG_PASSPHRASE_FILE": s.PassphraseFile(),
		"PULUMI_HOME":                   s.HomeDir(),
		"PULUMI_DEBUG_PROVIDERS": "azure-native:" + strconv.Itoa(record.AzurePort) +
			",random:" + strconv.Itoa(record.RandomPort),
		// Nothing is downloaded without the user's knowledge: the lab uses pinned programs, or
		// itself.
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
		"PULUMI_SKIP_UPDATE_CHECK":                    "true",
		// The CLI sends the engine's events to localhost by gRPC, which first asks the DNS server for
		// the settings of a service of that name. Where no DNS server answers, each operation would
		// wait ten seconds for it (grpc-go 1.81, internal/resolver/dns/dns_resolver.go, lookupTXT).
		"GRPC_ENABLE_TXT_SERVICE_CONFIG": "false",
		// Helm, inside the Kubernetes provider, would keep its caches in the user's home.
		"HELM_CACHE_HOME":  s.Dir + "/helm/cache",
		"HELM_CONFIG_HOME": s.Dir + "/helm/config",
		"HELM_DATA_HOME":   s.Dir + "/helm/data",
	}
}

// backendURL makes the backend keep no metadata beside its files. It replaces a file in one step,
// but writes metadata in place. A reader during that write gets a truncated file, and after the
// engine was killed there, every later reader does: "failed to load checkpoint: EOF".
func (s Site) backendURL() string {
	address := url.URL{Scheme: "file", Path: s.BackendDir(), RawQuery: "metadata=skip"} // escapes # and % of the path (pulumi/pulumi#16414)
	return address.String()
}

// withFirst returns path with dirs in front.
func withFirst(dirs []string, path string) string {
	rest := slices.DeleteFunc(filepath.SplitList(path), func(dir string) bool { return slices.Contains(dirs, dir) })
	return strings.Join(slices.Concat(dirs, rest), string(os.PathListSeparator))
}
