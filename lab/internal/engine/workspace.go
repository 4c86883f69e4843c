package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// Overrides are configuration values that the lab sets in its copies of the stacks' files, by
// project and key. There are few, because the lab is only useful if it runs the repository's own
// configuration.
type Overrides map[string]map[string]any

// subscription is the beginning of an id. The simulated Azure has one subscription, whatever the
// stacks' files name.
var subscription = regexp.MustCompile(`(?i)^/subscriptions/[0-9a-f-]{36}/`)

// copyFiles copies a project's files to the folder in which the engine runs, because the engine
// writes to them: for example the salt of the passphrase, which later copies keep. It returns the
// paths of the values that are secret in the real stack, with their stand-ins: their key is
// somewhere in Azure.
func copyFiles(s site.Site, project stacks.Project, overrides map[string]any) (auto.ConfigMap, error) {
	work := s.WorkDir(project.Name)
	if err := os.MkdirAll(work, 0o700); err != nil {
		return nil, err
	}
	source := s.ProjectDir(project.Directory)
	text, err := os.ReadFile(filepath.Join(source, "Pulumi.yaml"))
	if err != nil {
		return nil, err
	}
	if err := atomicfile.Write(filepath.Join(work, "Pulumi.yaml"), text); err != nil {
		return nil, err
	}

	settings, err := projectfile.Read(projectfile.StackFile(source, s.Environment))
	if err != nil {
		return nil, err
	}
	earlier, err := projectfile.Read(projectfile.StackFile(work, s.Environment))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// The lab ignores how the real stacks encrypt, and which environments they import: it has a
	// passphrase of its own.
	for _, key := range []string{"secretsprovider", "encryptedkey", "encryptionsalt", "environment"} {
		delete(settings, key)
	}
	salt, ok := earlier["encryptionsalt"]
	if !ok {
		if salt, err = saltOfOthers(s); err != nil {
			return nil, err
		}
	}
	if salt != nil {
		settings["encryptionsalt"] = salt
	}
	values, ok := settings["config"].(map[string]any)
	if !ok {
		values = map[string]any{}
	}
	for key, value := range overrides {
		delete(values, key) // the CLI takes it for the project's key too, and then either wins
		values[project.Name+":"+key] = value
	}
	secrets := auto.ConfigMap{}
	for key, value := range values {
		if value == nil { // nothing after the colon is an empty text; null would be written for it
			value = ""
		}
		if text, ok := value.(string); ok {
			value = subscription.ReplaceAllString(text, "/subscriptions/"+azure.DefaultSubscriptionID+"/")
		}
		values[key] = withoutSecrets(key, value, secrets)
	}
	settings["config"] = values
	return secrets, writeSettings(projectfile.StackFile(work, s.Environment), settings)
}

// joinCopies writes the file that the plain CLI reads as the stack's file of each project: the
// lab's copies in one. A program reads only the keys under its project's name, and the passphrase
// has one salt. A key of the engine or of a provider has the value of the first project that sets
// it.
func joinCopies(s site.Site) error {
	joined, settings := map[string]any{}, map[string]any{}
	for _, p := range line() {
		copied, err := projectfile.Read(projectfile.StackFile(s.WorkDir(p.Name), s.Environment))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if salt, ok := copied["encryptionsalt"]; ok {
			settings["encryptionsalt"] = salt
		}
		values, _ := copied["config"].(map[string]any)
		for key, value := range values {
			namespace, _, qualified := strings.Cut(key, ":")
			if !qualified {
				namespace, key = p.Name, p.Name+":"+key
			}
			_, given := joined[key]
			ofAnother := slices.ContainsFunc(line(), func(other part) bool { return other.Name == namespace && other.Name != p.Name })
			if !given && !ofAnother {
				joined[key] = value
			}
		}
	}
	settings["config"] = joined
	return writeSettings(s.ConfigurationFile(), settings)
}

func writeSettings(path string, settings map[string]any) error {
	text, err := yaml.Marshal(settings)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, text)
}

// saltOfOthers returns the salt of the passphrase that the environment's other projects have, or
// nil before the first has one. There is one passphrase. With one salt the engine derives one key,
// instead of another for each stack that a program reads: a million rounds of SHA-256 each.
func saltOfOthers(s site.Site) (any, error) {
	for _, p := range line() {
		settings, err := projectfile.Read(projectfile.StackFile(s.WorkDir(p.Name), s.Environment))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if salt, ok := settings["encryptionsalt"]; ok {
			return salt, nil
		}
	}
	return nil, nil //nolint:nilnil // none is no mistake
}

// standInSecret replaces a secret of a real stack for a program in the lab.
const standInSecret = "known to the real environment only"

// withoutSecrets returns a value of the configuration with a stand-in for each secret. It adds the
// paths of the secrets, as pulumi config set --path takes them, to secrets.
func withoutSecrets(path string, value any, secrets auto.ConfigMap) any {
	switch v := value.(type) {
	case map[string]any:
		if _, encrypted := v["secure"].(string); encrypted && len(v) == 1 {
			secrets[path] = auto.ConfigValue{Value: standInSecret, Secret: true}
			return standInSecret
		}
		for key := range v {
			v[key] = withoutSecrets(fmt.Sprintf("%s[%q]", path, key), v[key], secrets)
		}
	case map[any]any: // with a key that is no text, such as 5
		for key := range v {
			v[key] = withoutSecrets(fmt.Sprintf("%s[%q]", path, fmt.Sprint(key)), v[key], secrets)
		}
	case []any:
		for i := range v {
			v[i] = withoutSecrets(fmt.Sprintf("%s[%d]", path, i), v[i], secrets)
		}
	}
	return value
}
