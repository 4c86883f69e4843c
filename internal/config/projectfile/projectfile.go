// Package projectfile reads a Pulumi project's own files the way the CLI does: Pulumi.<stack>.yaml
// over the values that Pulumi.yaml gives to every stack. The lab and the tests use it to see the
// configuration that `pulumi up -s <stack>` would see.
package projectfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pulumi/esc"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"go.yaml.in/yaml/v3" // the CLI's own, so that a copy says what the file says

	configuration "github.com/gridos/sharedinfra/internal/config"
)

// Project returns the project that dir's Pulumi.yaml declares.
func Project(dir string) (*workspace.Project, error) {
	path := filepath.Join(dir, "Pulumi.yaml")
	project, err := workspace.LoadProject(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return project, nil
}

// StackFile returns the path of the configuration of stack in the project of dir.
func StackFile(dir, stack string) string { return filepath.Join(dir, "Pulumi."+stack+".yaml") }

// Read returns what a stack's file says, as YAML has it: secrets are maps with the one key secure.
// It is empty for an empty file. A missing file is an error that wraps fs.ErrNotExist.
func Read(file string) (map[string]any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var content map[string]any
	if err := yaml.Unmarshal(text, &content); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if content == nil {
		content = map[string]any{}
	}
	return content, nil
}

// Config returns what a program in dir is given for stack: keys with their namespace
// ("gridos-infra:location"), lists and objects as JSON, secrets still encrypted. It neither asks
// for a passphrase nor checks a type: package config checks all keys at once, also for values that
// do not arrive as they are written. A missing stack file is an error that wraps fs.ErrNotExist.
func Config(ctx context.Context, dir, stack string) (map[string]string, error) {
	project, err := Project(dir)
	if err != nil {
		return nil, err
	}
	path := StackFile(dir, stack)
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no stack %q in %s: %w", stack, dir, err)
		}
		return nil, err
	}
	sink := diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never})
	settings, err := workspace.LoadProjectStack(sink, project, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if settings.Config == nil {
		settings.Config = config.Map{}
	}
	err = workspace.ApplyProjectConfig(ctx, stack, project, esc.Value{}, settings.Config, config.NopEncrypter)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	values := make(map[string]string, len(settings.Config))
	for key, value := range settings.Config {
		text, err := value.Value(config.NopDecrypter)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, key, err)
		}
		values[key.String()] = text
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	configuration.Compare(string(project.Name), file, values)
	return values, nil
}
