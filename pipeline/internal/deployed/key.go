package deployed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/pipeline/internal/approval"
	"github.com/gridos/sharedinfra/stacks"
)

// keeper is the project with whose secrets provider the keys of plans are sealed. Its key belongs
// to the environment alone; other teams know that of the root project.
var keeper = stacks.Infra

// sealedName is the name of the configuration value, in a copy of the stack's file, that holds a
// sealed key while the CLI encrypts or decrypts it.
const sealedName = "planKey"

// seal encrypts the key of a plan with the secrets provider of the environment's stacks, as the CLI
// encrypts a secret of the configuration. Everyone who may read the secrets in the stacks' states
// can decrypt it, with every backend and secrets provider.
func (e Environment) seal(ctx context.Context, key approval.Key) (string, error) {
	file, done, err := e.copyOfFile(nil)
	if err != nil {
		return "", err
	}
	defer done()
	// The value goes through standard input: other processes can see arguments.
	if _, err := e.config(ctx, key.String(), file, "set", sealedName, "--secret"); err != nil {
		return "", fmt.Errorf("seal the plan's key with the secrets provider of %s/%s: %w", keeper.Name, e.name, err)
	}
	content, err := projectfile.Read(file)
	if err != nil {
		return "", err
	}
	values, _ := content["config"].(map[string]any)
	sealed, _ := values[keeper.Name+":"+sealedName].(map[string]any)
	text, _ := sealed["secure"].(string)
	if text == "" {
		return "", fmt.Errorf("seal the plan's key: the CLI has encrypted nothing in %s", file)
	}
	return text, nil
}

// unseal decrypts what seal has encrypted.
func (e Environment) unseal(ctx context.Context, sealed string) (approval.Key, error) {
	file, done, err := e.copyOfFile(map[string]any{"secure": sealed})
	if err != nil {
		return nil, err
	}
	defer done()
	text, err := e.config(ctx, "", file, "get", sealedName)
	if err != nil {
		return nil, fmt.Errorf("unseal the plan's key with the secrets provider of %s/%s; the identity that deploys needs the right "+
			"to decrypt with it, and the plan has to be of this environment: %w", keeper.Name, e.name, err)
	}
	return approval.ParseKey(text)
}

// config runs a command for the configuration in a stack's file.
func (e Environment) config(ctx context.Context, input, file string, args ...string) (string, error) {
	all := append([]string{"config"}, args...)
	stdout, stderr, _, err := e.cli.Run(ctx, filepath.Join(e.repository, keeper.Directory), strings.NewReader(input), nil, nil, nil,
		append(all, "--stack", e.name, "--config-file", file)...)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr))
	}
	return stdout, nil
}

// copyOfFile copies the stack's file to where it can be written to, with a value for sealedName
// unless that is nil.
func (e Environment) copyOfFile(value any) (file string, done func(), err error) {
	content, err := projectfile.Read(projectfile.StackFile(filepath.Join(e.repository, keeper.Directory), e.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, err
	}
	if content == nil {
		content = map[string]any{}
	}
	values, _ := content["config"].(map[string]any)
	if values == nil {
		values = map[string]any{}
	}
	if value != nil {
		values[keeper.Name+":"+sealedName] = value
	}
	content["config"] = values
	text, err := yaml.Marshal(content)
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "gridos-key-*")
	if err != nil {
		return "", nil, err
	}
	file = projectfile.StackFile(dir, e.name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return file, func() { os.RemoveAll(dir) }, nil
}
