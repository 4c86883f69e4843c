package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gridos/sharedinfra/lab/bench/figures"
	"github.com/gridos/sharedinfra/stacks"
)

// languageHost is the program by which the plain CLI runs programs in Go. It comes with the CLI's releases, and is no Go module that
// the lab could build.
const languageHost = "pulumi-language-go"

const (
	plainWhat    = "warm preview without changes by the plain CLI: gridos-infra"
	plainAgainst = "the same without a build target in Pulumi.yaml"
	plainGoal    = 0.35
)

// plain measures what the build target in Pulumi.yaml is good for: what the language host asks of the go command at each preview, and the
// preview itself where there is a language host.
func plain(ctx context.Context, b *bench) ([]figures.Row, error) {
	var pairs []figures.Pair
	target := filepath.Join(b.dir, "infra")
	build := func(path string) (float64, error) {
		return took(func() error {
			command := exec.CommandContext(ctx, "go", "build", "-o", path, "./infra")
			command.Dir = b.site.Repository
			printed, err := command.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, printed)
			}
			return err
		})
	}
	if _, err := build(target); err != nil { // compiles what is not compiled yet
		return nil, err
	}
	step := b.display.Start("build of a program that is up to date")
	for round := range b.rounds {
		var pair figures.Pair
		var err error
		if pair.Ours, err = build(target); err != nil {
			return nil, err
		}
		if pair.Peers, err = build(fmt.Sprintf("%s-%d", target, round)); err != nil {
			return nil, err
		}
		pairs = append(pairs, pair)
	}
	step.Done("")
	rows := []figures.Row{figures.Ratio("plain/build", "the language host's part of it: `go build` of what is up to date",
		"the same into a new file, which is linked each time", 0, pairs)}
	if _, err := exec.LookPath(languageHost); err != nil {
		return append(rows, figures.Skip("plain/gridos-infra", plainWhat, plainAgainst, plainGoal, languageHost+" is not on PATH")), nil
	}
	preview, err := b.plainPreviews(ctx)
	if err != nil {
		return nil, err
	}
	return append(rows, figures.Ratio("plain/gridos-infra", plainWhat, plainAgainst, plainGoal, preview)), nil
}

// plainPreviews previews gridos-infra with the plain CLI in two copies of the checkout, of which one has no build target.
func (b *bench) plainPreviews(ctx context.Context) (pairs []figures.Pair, err error) {
	with, without := filepath.Join(b.dir, "with"), filepath.Join(b.dir, "without")
	for _, dir := range []string{with, without} {
		if err := b.copyCheckout(ctx, dir); err != nil {
			return nil, err
		}
	}
	project := filepath.Join(without, stacks.Infra.Directory, "Pulumi.yaml")
	text := "name: " + stacks.Infra.Name + "\nruntime: go\nconfig:\n  pulumi:disable-default-providers:\n    value: [\"*\"]\n"
	if err := os.WriteFile(project, []byte(text), 0o600); err != nil {
		return nil, err
	}
	err = b.withLab(ctx, []string{"up"}, func(ctx context.Context) error {
		for round := range b.rounds + 1 {
			var pair figures.Pair
			if pair.Ours, err = b.plainPreview(ctx, with); err != nil {
				return err
			}
			if pair.Peers, err = b.plainPreview(ctx, without); err != nil {
				return err
			}
			if round > 0 { // the first compiles
				pairs = append(pairs, pair)
			}
		}
		return nil
	})
	return pairs, err
}

// plainPreview previews gridos-infra of a checkout against the lab, with the configuration that the lab gave it.
func (b *bench) plainPreview(ctx context.Context, checkout string) (float64, error) {
	record, _, err := b.site.Running()
	if err != nil {
		return 0, err
	}
	directory := filepath.Join(checkout, stacks.Infra.Directory)
	file := "Pulumi." + environment + ".yaml"
	text, err := os.ReadFile(filepath.Join(b.site.WorkDir(stacks.Infra.Name), file))
	if err == nil {
		err = os.WriteFile(filepath.Join(directory, file), text, 0o600)
	}
	if err != nil {
		return 0, err
	}
	step := b.display.Start("preview by the plain CLI")
	variables := b.site.Variables(record)
	command := exec.CommandContext(ctx, findIn(b.tools, "pulumi"),
		"preview", "--stack", environment, "--non-interactive", "--expect-no-changes")
	command.Dir = directory
	command.Env = os.Environ()
	for name, value := range variables {
		command.Env = append(command.Env, name+"="+value)
	}
	var printed []byte
	seconds, err := took(func() (err error) {
		printed, err = command.CombinedOutput()
		return err
	})
	if err != nil {
		step.Fail(errors.New("see below"))
		return 0, fmt.Errorf("%s in %s: %w\n%s", strings.Join(command.Args, " "), directory, err, printed)
	}
	step.Done("")
	return seconds, nil
}

// findIn returns the path of a program in one of the directories, or its name.
func findIn(directories []string, name string) string {
	for _, dir := range directories {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return name
}

// copyCheckout copies what Git has or would add.
func (b *bench) copyCheckout(ctx context.Context, dir string) error {
	command := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	command.Dir = b.site.Repository
	printed, err := command.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for _, name := range strings.Split(strings.TrimRight(string(printed), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(b.site.Repository, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not committed yet
		}
		path := filepath.Join(dir, name)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700)); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
