// Package promtool runs Prometheus' promtool in tests, in the version that the cluster runs, and
// says how Prometheus' programs are built.
package promtool

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Command runs promtool, which tools/prometheus pins and the go command builds once. root is the
// path of the repository.
func Command(ctx context.Context, root string, args ...string) *exec.Cmd {
	args = append([]string{"tool", "-modfile=" + filepath.Join(root, "tools", "prometheus", "go.mod"), "promtool"}, args...)
	command := exec.CommandContext(ctx, "go", args...)
	flags := slices.DeleteFunc(strings.Fields(os.Getenv("GOFLAGS")), func(flag string) bool { return strings.HasPrefix(flag, "-tags=") })
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS="+strings.Join(append(flags, "-tags="+strings.Join(Tags(), ",")), " "))
	return command
}

// Tags are the build tags of Prometheus' programs here. They leave out all service discovery but
// that of Kubernetes, which alone the platform's configuration uses (Prometheus 3.14,
// plugins/plugin_kubernetes.go).
func Tags() []string { return []string{"remove_all_sd", "enable_kubernetes_sd"} }
