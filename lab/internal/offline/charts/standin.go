package charts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/blang/semver"
	"sigs.k8s.io/yaml"
)

// StandInFor lets the chart in dir, which one of the Wrap functions wrote, pass for another version of the chart that it stands in
// for, and returns the version that it has then: <version>+stand-in.<version of what is inside>, such as
// 10.1.1+stand-in.3.2.11. A change of the pinned version is a change of the release then, as it is with the real chart. A range, as
// Helm takes it, is no version: the chart stays as it is.
func StandInFor(version, dir string) (string, error) {
	file := filepath.Join(dir, "Chart.yaml")
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var metadata map[string]any
	if err := yaml.Unmarshal(content, &metadata); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	has, _ := metadata["version"].(string)
	pinned, err := semver.Parse(version)
	if err != nil {
		return has, nil
	}
	inside, _ := metadata["appVersion"].(string)
	pinned.Build = []string{"stand-in", strings.TrimPrefix(inside, "v")}
	wanted := pinned.String()
	if has == wanted {
		return has, nil
	}
	metadata["version"] = wanted
	if content, err = yaml.Marshal(metadata); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return wanted, os.WriteFile(file, content, 0o644)
}
