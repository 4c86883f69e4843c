package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/bench/figures"
	"github.com/gridos/sharedinfra/lab/bench/memory"
)

const azureSDK = "github.com/pulumi/pulumi-azure-native-sdk/"

// versioned matches what follows a module of the Azure SDK in the import path of an API version's package.
var versioned = regexp.MustCompile(`/v\d{8}(preview)?$`)

// coldBuild is a program that is compiled with an empty cache, and what it is compared with.
type coldBuild struct {
	project, against string
	goal             float64
	// imports are the packages that the peer is made of, beside the program if that compiles with them.
	imports func(ctx context.Context, b *bench) ([]string, error)
	// replaced says that the program does not compile with them, and they stand in its place.
	replaced bool
	// rounds is how often it is measured at most.
	rounds int
}

// coldBuilds are the comparisons. A peer that takes a quarter of an hour of CPU time is measured once: it is the sum of hundreds of
// compilations, and misses what it is compared with by far more than they differ.
func coldBuilds() []coldBuild {
	return []coldBuild{
		{
			project: "infra", against: "what it imports, with the SDK's default packages in place of those of API versions",
			goal: 0.6, imports: defaultPackages, replaced: true, rounds: 1,
		},
		{
			project: "bootstrap", against: "the same with the SDK's helm/v3", goal: 0.1, rounds: 1,
			imports: func(context.Context, *bench) ([]string, error) {
				return []string{"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v3"}, nil
			},
		},
	}
}

// cold measures what it takes to compile a project with nothing compiled before, as on a new machine that runs a pipeline: seconds
// of CPU time, and the peak of memory.
func cold(ctx context.Context, b *bench) ([]figures.Row, error) {
	var rows []figures.Row
	for _, c := range coldBuilds() {
		imports, err := c.imports(ctx, b)
		if err != nil {
			return nil, err
		}
		overlay, err := b.overlay(c, imports)
		if err != nil {
			return nil, err
		}
		var cpu, mebibytes []figures.Pair
		for range min(c.rounds, b.rounds) {
			ours, err := b.compile(ctx, c.project, "", "")
			if err != nil {
				return nil, err
			}
			peers, err := b.compile(ctx, c.project, overlay, c.against)
			if err != nil {
				return nil, err
			}
			cpu = append(cpu, figures.Pair{Ours: ours.seconds, Peers: peers.seconds})
			mebibytes = append(mebibytes, figures.Pair{Ours: ours.mebibytes, Peers: peers.mebibytes})
		}
		rows = append(rows,
			figures.Ratio("cold/"+c.project, "cold build of "+c.project+", CPU time", c.against, c.goal, cpu),
			figures.Ratio("cold/"+c.project+"/memory", "cold build of "+c.project+", peak of memory", c.against, c.goal, mebibytes))
	}
	return rows, nil
}

// compilation is what a cold build took.
type compilation struct{ seconds, mebibytes float64 }

// compile builds a project with an empty cache.
func (b *bench) compile(ctx context.Context, project, overlay, what string) (c compilation, err error) {
	name := "cold build of " + project
	if what != "" {
		name += ", " + what
	}
	step := b.display.Start(name)
	defer func() {
		if err != nil {
			step.Fail(errors.New("see below"))
		}
	}()
	cache := filepath.Join(b.dir, "gocache")
	args := []string{"build", "-o", filepath.Join(b.dir, "compiled")}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	command := exec.CommandContext(ctx, "go", append(args, "./"+project)...)
	command.Dir = b.site.Repository
	command.Env = append(os.Environ(), "GOCACHE="+cache)
	stop := memory.Watch("go")
	printed, err := command.CombinedOutput()
	peak, memoryErr := stop()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, printed)
	}
	if err := errors.Join(err, memoryErr, os.RemoveAll(cache)); err != nil {
		return c, err
	}
	// The go command has waited for every compiler, so that theirs is in its own.
	c = compilation{(command.ProcessState.UserTime() + command.ProcessState.SystemTime()).Seconds(), peak.Others}
	step.Done(fmt.Sprintf("%.0f s of CPU time, %.0f MiB", c.seconds, c.mebibytes))
	return c, nil
}

// overlay writes what makes the go command compile the peer in the project's place, and returns its path.
func (b *bench) overlay(c coldBuild, imports []string) (string, error) {
	text := "package main\n\nimport (\n"
	for _, path := range imports {
		text += fmt.Sprintf("\t_ %q\n", path)
	}
	text += ")\n"
	file := "peer.go"
	if c.replaced {
		file = "main.go"
		text += "\nfunc main() {}\n"
	}
	written := filepath.Join(b.dir, c.project+"-"+file)
	if err := os.WriteFile(written, []byte(text), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(b.site.Repository, c.project, file): written},
	})
	if err != nil {
		return "", err
	}
	path := filepath.Join(b.dir, c.project+"-overlay.json")
	return path, os.WriteFile(path, overlay, 0o600)
}

// defaultPackages returns what the packages of gridos-infra import from other modules, with the default package of a module of the Azure
// SDK in the place of those of API versions. The program itself cannot be compiled with them: they lack what it needs.
func defaultPackages(ctx context.Context, b *bench) ([]string, error) {
	module, err := b.golist(ctx, "-m")
	if err != nil {
		return nil, err
	}
	const imports = "{{$p := .ImportPath}}{{if not .Standard}}{{range .Imports}}{{$p}} {{.}}\n{{end}}{{end}}"
	lines, err := b.golist(ctx, "-deps", "-f", imports, "./infra")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, line := range lines {
		from, imported, ok := strings.Cut(line, " ")
		own := from == module[0] || strings.HasPrefix(from, module[0]+"/")
		if !ok || !own || strings.HasPrefix(imported, module[0]+"/") || imported == module[0] {
			continue
		}
		if strings.HasPrefix(imported, azureSDK) {
			imported = versioned.ReplaceAllString(imported, "")
		}
		if !slices.Contains(found, imported) {
			found = append(found, imported)
		}
	}
	slices.Sort(found)
	return found, nil
}

func (b *bench) golist(ctx context.Context, args ...string) ([]string, error) {
	command := exec.CommandContext(ctx, "go", append([]string{"list"}, args...)...)
	command.Dir = b.site.Repository
	printed, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(command.Args, " "), err)
	}
	return strings.Split(strings.TrimSpace(string(printed)), "\n"), nil
}
