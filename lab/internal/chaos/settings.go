package chaos

import (
	"fmt"
	"maps"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/stacks"
)

// settings are the stacks' files of the environment, which rounds change.
type settings struct{ files map[string]string }

func openSettings(s site.Site) (*settings, error) {
	files := map[string]string{}
	for _, p := range stacks.Projects() {
		files[p.Name] = projectfile.StackFile(s.ProjectDir(p.Directory), s.Environment)
		if _, err := os.Stat(files[p.Name]); err != nil {
			return nil, err
		}
	}
	return &settings{files}, nil
}

// change sets keys in the projects' files; what else is there stays.
func (s *settings) change(values map[string]map[string]any) error {
	for project, changed := range values {
		path, ok := s.files[project]
		if !ok {
			return fmt.Errorf("there is no project %q", project)
		}
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
		maps.Copy(config, changed)
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
