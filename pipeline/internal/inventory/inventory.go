// Package inventory lists the versions that a checkout names: those of each environment, of what
// builds and delivers, and of the lab.
package inventory

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"

	apps "github.com/gridos/sharedinfra/apps/program"
	"github.com/gridos/sharedinfra/bootstrap/helm"
	bootstrap "github.com/gridos/sharedinfra/bootstrap/program"
	infra "github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/internal/support"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/stacks"
)

// Environment returns the versions that an environment names: the defaults of the programs, under
// what its stack files say.
func Environment(ctx context.Context, repository, environment string) ([]support.Named, error) {
	azure, err := load(ctx, repository, environment, stacks.Infra, infra.Load)
	if err != nil {
		return nil, err
	}
	cluster, err := load(ctx, repository, environment, stacks.Bootstrap, bootstrap.Load)
	if err != nil {
		return nil, err
	}
	catalogue, err := load(ctx, repository, environment, stacks.Apps, apps.Load)
	if err != nil {
		return nil, err
	}
	named, err := apis(filepath.Join(repository, stacks.Infra.Directory))
	if err != nil {
		return nil, err
	}
	add := func(what, version string) { named = append(named, support.Named{What: what, Version: version}) }
	add(support.Kubernetes, azure.Cluster.KubernetesVersion)
	for _, revision := range azure.Cluster.IstioRevisions {
		add(support.Mesh, revision)
	}
	add(support.PostgreSQL, azure.Database.Version)
	for _, chart := range []helm.Chart{cluster.ArgoCD.Chart, cluster.Rollouts.Chart, cluster.ExternalSecrets.Chart} {
		add(support.Chart(chart.Name), chart.Version)
	}
	for _, application := range catalogue.Applications {
		if source := application.Spec.Source; source.Chart != "" {
			add(support.Chart(source.Chart), source.TargetRevision)
		}
	}
	add(support.Plugin("azure-native"), versions.AzureNative)
	add(support.Plugin("kubernetes"), versions.Kubernetes)
	add(support.Plugin("random"), versions.Random)
	return support.Distinct(named), nil
}

// load reads the settings of one project as its program does.
func load[Settings any](
	ctx context.Context, repository, environment string, project stacks.Project, read func(*config.Reader, string) (Settings, error),
) (Settings, error) {
	var none Settings
	values, err := projectfile.Config(ctx, filepath.Join(repository, project.Directory), environment)
	if err != nil {
		return none, err
	}
	settings, err := read(config.FromMap(project.Name, environment, values), environment)
	if err != nil {
		return none, fmt.Errorf("%s of %s cannot be deployed as it is configured: %w", project.Name, environment, err)
	}
	return settings, nil
}

// apis returns the versions of Azure's APIs that the code in a folder imports.
func apis(folder string) ([]support.Named, error) {
	var named []support.Named
	err := filepath.WalkDir(folder, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			rest, ofAzure := strings.CutPrefix(imported, "github.com/pulumi/pulumi-azure-native-sdk/")
			parts := strings.Split(rest, "/") // module, v2, version
			if !ofAzure || len(parts) != 3 {
				continue
			}
			if version, ok := support.APIVersion(parts[2]); ok {
				named = append(named, support.Named{What: support.API(parts[0]), Version: version})
			}
		}
		return nil
	})
	return named, err
}

var (
	// image is the line of a Dockerfile that names Go and Debian.
	image = regexp.MustCompile(`(?m)^FROM golang:([0-9.]+)-(\w+) `)
	// pin is an action that is pinned by its commit, and tag the comment after it.
	pin = regexp.MustCompile(`^([\w.-]+/[\w./-]+)@[0-9a-f]{40}$`)
	tag = regexp.MustCompile(`^# (v\d+)(?:\.\S+)?$`)
)

// composite is the runtime of an action that consists of other steps.
const composite = "composite"

// Delivery returns the versions of what builds and delivers. An action of a workflow whose runtime
// the book does not have is an error.
func Delivery(repository string, runtimes map[string]string) ([]support.Named, error) {
	var named []support.Named
	add := func(what, version string) { named = append(named, support.Named{What: what, Version: version}) }
	for _, folder := range []string{".", "src"} {
		module, err := goMod(filepath.Join(repository, folder))
		if err != nil {
			return nil, err
		}
		if module.Toolchain == nil {
			return nil, fmt.Errorf("%s has no toolchain; add one, such as toolchain go1.26.8", module.Syntax.Name)
		}
		add(support.Go, strings.TrimPrefix(module.Toolchain.Name, "go"))
		for _, needed := range module.Require {
			if needed.Mod.Path == "github.com/pulumi/pulumi/sdk/v3" {
				add(support.CLI, strings.TrimPrefix(needed.Mod.Version, "v"))
			}
		}
	}
	file := filepath.Join(repository, "src", "Dockerfile")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	from := image.FindStringSubmatch(string(text))
	if from == nil {
		return nil, fmt.Errorf("%s is not built from an image like golang:1.26-bookworm; teach package inventory the other image", file)
	}
	add(support.Go, from[1])
	add(support.Debian, from[2])
	used, err := Actions(repository)
	if err != nil {
		return nil, err
	}
	var missing []error
	for _, action := range used {
		switch runtime := runtimes[action]; runtime {
		case "":
			missing = append(missing,
				fmt.Errorf("docs/support-dates.yaml has no runtime of %s; add what `using` is in its action.yml", action))
		case composite:
		default:
			add(support.Runtime, runtime)
		}
	}
	return support.Distinct(named), errors.Join(missing...)
}

// Actions returns the actions of other owners that workflows use, each once, with its major
// version: actions/checkout@v7. One that is not pinned by a commit with its version is an error.
func Actions(repository string) ([]string, error) {
	var used []string
	var mistakes []error
	for _, pattern := range []string{".github/workflows/*.yml", ".github/workflows/*.yaml", ".github/actions/*/action.yml"} {
		files, _ := filepath.Glob(filepath.Join(repository, filepath.FromSlash(pattern))) // its only error is a wrong pattern
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			var parsed yaml.Node
			if err := yaml.Unmarshal(text, &parsed); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			for _, use := range uses(&parsed) {
				action, version := pin.FindStringSubmatch(use.Value), tag.FindStringSubmatch(use.LineComment)
				if action == nil || version == nil {
					mistakes = append(mistakes, fmt.Errorf("%s, line %d: %q has no commit of 40 hexadecimal digits, or no version "+
						"after it; write it like actions/checkout@<commit> # v7.0.1", file, use.Line, use.Value))
					continue
				}
				used = append(used, action[1]+"@"+version[1])
			}
		}
	}
	slices.Sort(used)
	return slices.Compact(used), errors.Join(mistakes...)
}

// uses returns the values of all keys `uses` below a node, but those of this repository.
func uses(node *yaml.Node) []*yaml.Node {
	var found []*yaml.Node
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 && node.Content[i-1].Value == "uses" && !strings.HasPrefix(child.Value, "./") {
			found = append(found, child)
		}
		found = append(found, uses(child)...)
	}
	return found
}

// Lab returns the versions of the tools that have a row: those of all folders of tools but the
// unwatched.
func Lab(repository string, book support.Book) ([]support.Named, error) {
	folders, err := os.ReadDir(filepath.Join(repository, "tools"))
	if err != nil {
		return nil, err
	}
	var named []support.Named
	for _, folder := range folders {
		if !folder.IsDir() || slices.Contains(book.Unwatched, folder.Name()) {
			continue
		}
		module, err := goMod(filepath.Join(repository, "tools", folder.Name()))
		if err != nil {
			return nil, err
		}
		programs, ok := book.Shared[folder.Name()]
		if !ok {
			programs = map[string]string{folder.Name(): pinned(module)}
		}
		for _, name := range slices.Sorted(maps.Keys(programs)) {
			at := slices.IndexFunc(module.Require, func(r *modfile.Require) bool { return r.Mod.Path == programs[name] })
			if at < 0 {
				return nil, fmt.Errorf("tools/%s/go.mod does not pin %s; require its module there, or correct shared or unwatched in "+
					"docs/support-dates.yaml", folder.Name(), name)
			}
			named = append(named, support.Named{What: support.Tool(name), Version: strings.TrimPrefix(module.Require[at].Mod.Version, "v")})
		}
	}
	return named, nil
}

// pinned returns the path of the module that a folder of tools pins: that of its tool line, or else
// the last that it requires directly.
func pinned(module *modfile.File) string {
	path := ""
	for _, needed := range module.Require {
		if slices.ContainsFunc(module.Tool, func(t *modfile.Tool) bool { return strings.HasPrefix(t.Path+"/", needed.Mod.Path+"/") }) {
			return needed.Mod.Path
		}
		if !needed.Indirect {
			path = needed.Mod.Path
		}
	}
	return path
}

func goMod(folder string) (*modfile.File, error) {
	file := filepath.Join(folder, "go.mod")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(file, text, nil)
}
