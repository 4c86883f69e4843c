package charts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/blang/semver"
	"sigs.k8s.io/yaml"
)

// StandInFor gives the chart in dir, which one of the Wrap functions wrote, the version of the
// chart that it replaces. It returns the new version: <version>+stand-in.<version of the content>,
// such as 10.1.1+stand-in.3.2.11. So a change of the pinned version changes the release, as with
// the real chart. A version range for Helm is no version: then the chart stays unchanged.
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
