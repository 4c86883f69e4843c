package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/stacks"
)

// Overrides are configuration values that the lab sets in its copies of the stacks' files, by project and key. There are
// few: the lab is worth something because it runs what is in the repository.
type Overrides map[string]map[string]any

// copyFiles puts copies of a project's files where the engine runs, because the engine writes to them: the salt of the
// passphrase, for one, which is kept over copies.
func copyFiles(s site.Site, project stacks.Project, overrides map[string]any) error {
	work := s.WorkDir(project.Name)
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	source := s.ProjectDir(project.Directory)
	text, err := os.ReadFile(filepath.Join(source, "Pulumi.yaml"))
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(work, "Pulumi.yaml"), text); err != nil {
		return err
	}

	settings, err := readYAML(projectfile.StackFile(source, s.Environment))
	if err != nil {
		return err
	}
	earlier, err := readYAML(projectfile.StackFile(work, s.Environment))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// How the real stacks encrypt, and which environments they import, is none of the lab's business: it has a passphrase
	// of its own.
	for _, key := range []string{"secretsprovider", "encryptedkey", "encryptionsalt", "environment"} {
		delete(settings, key)
	}
	if salt, ok := earlier["encryptionsalt"]; ok {
		settings["encryptionsalt"] = salt
	}
	values, ok := settings["config"].(map[string]any)
	if !ok {
		values = map[string]any{}
	}
	for key, value := range overrides {
		values[project.Name+":"+key] = value
	}
	settings["config"] = values
	out, err := yaml.Marshal(settings)
	if err != nil {
		return err
	}
	return replaceFile(projectfile.StackFile(work, s.Environment), out)
}

// replaceFile writes a file so that whoever reads it meanwhile sees the old text or the new one, never a part.
func replaceFile(path string, text []byte) error {
	unfinished := path + ".unfinished"
	if err := os.WriteFile(unfinished, text, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

func readYAML(path string) (map[string]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	settings := map[string]any{}
	if err := yaml.Unmarshal(text, &settings); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return settings, nil
}
