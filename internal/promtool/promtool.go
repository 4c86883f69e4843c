// Package promtool runs Prometheus' promtool in tests, in the version that the cluster runs.
package promtool

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Command runs promtool, which tools/prometheus pins and the go command builds once. root is the
// path of the repository.
func Command(ctx context.Context, root string, args ...string) *exec.Cmd {
	args = append([]string{"tool", "-modfile=" + filepath.Join(root, "tools", "prometheus", "go.mod"), "promtool"}, args...)
	command := exec.CommandContext(ctx, "go", args...)
	// The tags leave service discovery out that the platform's configuration does not use (Prometheus
	// 3.14, plugins).
	flags := strings.Fields(os.Getenv("GOFLAGS"))
	for i, flag := range flags {
		if strings.HasPrefix(flag, "-tags=") {
			flags[i] = ""
		}
	}
	command.Env = append(os.Environ(), "GOWORK=off",
		"GOFLAGS="+strings.Join(append(flags, "-tags=remove_all_sd,enable_kubernetes_sd"), " "))
	return command
}
