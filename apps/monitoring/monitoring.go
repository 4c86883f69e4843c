// Package monitoring has what is watched, and who is told: the alert rules of the platform's
// Prometheus, and the dashboards.
package monitoring

import (
	"embed"
	"fmt"
	"io/fs"

	"sigs.k8s.io/yaml"
)

//go:embed rules/*.rules.yaml
var rules embed.FS

// Groups returns the groups of rules of all files, in the order of the files' names, as a rule file
// of Prometheus has them.
func Groups() ([]any, error) {
	files, err := fs.Glob(rules, "rules/*")
	if err != nil {
		return nil, err
	}
	var all []any
	for _, file := range files {
		content, err := rules.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var parsed struct {
			Groups []any `json:"groups"`
		}
		if err := yaml.UnmarshalStrict(content, &parsed); err != nil {
			return nil, fmt.Errorf("the alert rules in %s: %w", file, err)
		}
		all = append(all, parsed.Groups...)
	}
	return all, nil
}
