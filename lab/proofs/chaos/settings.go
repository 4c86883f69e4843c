package chaos

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// settings are the keys that rounds change, with two values each. The first one differs from dev's
// default.
var settings = map[stacks.Project]map[string][2]int{
	stacks.Infra: {
		"gridos-infra:logRetentionDays": {60, 31},
		"gridos-infra:userPoolMin":      {2, 1},
	},
	stacks.Bootstrap: {
		"gridos-bootstrap:argocdRepoServerReplicas": {3, 2},
		"gridos-bootstrap:argoRolloutsReplicas":     {3, 2},
	},
}

// change sets each key of settings, in the stacks' files, to the value that it does not have; all
// other keys stay. So a round finds something to do whatever was played before it.
func change(s site.Site) error {
	for project, keys := range settings {
		path := projectfile.StackFile(s.ProjectDir(project.Directory), s.Environment)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file := map[string]any{}
		if err := yaml.Unmarshal(text, &file); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		config, ok := file["config"].(map[string]any)
		if !ok {
			config = map[string]any{}
		}
		for key, values := range keys {
			if config[key] == float64(values[0]) { // YAML reads it as a float
				config[key] = values[1]
			} else {
				config[key] = values[0]
			}
		}
		file["config"] = config
		if text, err = yaml.Marshal(file); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
