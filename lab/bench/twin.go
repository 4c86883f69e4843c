package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/bench/figures"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/progress"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

const (
	twinID      = "twin/gridos-infra"
	twinWhat    = "warm preview without changes: gridos-infra, the whole process"
	twinAgainst = "its twin in TypeScript"
	twinGoal    = 0.5
)

// previewOnce names the hidden command that is the process of this repository beside the twin's.
const previewOnce = "preview-once"

// twin measures a preview of gridos-infra next to the same program in TypeScript, after it has proven that they are the same.
func twin(ctx context.Context, b *bench) ([]figures.Row, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return []figures.Row{figures.Skip(twinID, twinWhat, twinAgainst, twinGoal, program+" is not on PATH")}, nil
		}
	}
	script, err := b.buildTwin(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var pairs []figures.Pair
	err = b.withLab(ctx, []string{"up"}, func(ctx context.Context) error {
		running, err := b.running()
		if err != nil {
			return err
		}
		if err := b.sameAsTwin(ctx, running, script); err != nil {
			return err
		}
		for range b.rounds {
			step := b.display.Start("preview by both programs")
			var pair figures.Pair
			if pair.Ours, err = took(func() error { return b.previews(ctx, self, previewOnce) }); err != nil {
				return err
			}
			if pair.Peers, err = took(func() error { return b.previews(ctx, "node", script) }); err != nil {
				return err
			}
			step.Done(fmt.Sprintf("Go %.1f s, TypeScript %.1f s", pair.Ours, pair.Peers))
			pairs = append(pairs, pair)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []figures.Row{figures.Ratio(twinID, twinWhat, twinAgainst, twinGoal, pairs)}, nil
}

// buildTwin compiles the twin in the lab's cache folder, unless it is there, and returns the script that node runs.
func (b *bench) buildTwin(ctx context.Context) (script string, err error) {
	source := filepath.Join(b.site.Repository, "lab", "bench", "twin")
	files, err := filepath.Glob(filepath.Join(source, "*.*s*")) // TypeScript and JSON
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	texts := map[string][]byte{}
	for _, file := range files {
		if texts[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n", filepath.Base(file), len(texts[filepath.Base(file)]))
		hash.Write(texts[filepath.Base(file)])
	}
	cache, err := toolchain.DefaultCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, fmt.Sprintf("twin-%x", hash.Sum(nil)[:8]))
	script = filepath.Join(dir, "build", "main.js")
	built := filepath.Join(dir, "built") // written last
	if _, err := os.Stat(built); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return script, err
	}
	step := b.display.Start("build of the twin in TypeScript")
	defer func() {
		if err != nil {
			step.Fail(errors.New("see below"))
		}
	}()
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return "", err
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", err
		}
	}
	for _, args := range [][]string{{"ci", "--no-audit", "--no-fund"}, {"run", "build"}} {
		command := exec.CommandContext(ctx, "npm", args...)
		command.Dir = dir
		if printed, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("npm %s: %w\n%s", strings.Join(args, " "), err, printed)
		}
	}
	step.Done("")
	return script, os.WriteFile(built, nil, 0o600)
}

// previews runs a program that previews gridos-infra once, with the lab's variables, and returns an error if it finds a change.
func (b *bench) previews(ctx context.Context, program, arg string, more ...string) error {
	record, _, err := b.site.Running()
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, program, arg)
	command.Dir = b.site.Repository
	command.Env = append(os.Environ(), "TWIN_STACK="+environment, "TWIN_WORKDIR="+b.site.WorkDir(stacks.Infra.Name))
	for name, value := range b.site.Variables(record) {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Env = append(command.Env, more...)
	var failure bytes.Buffer
	command.Stderr = &failure
	printed, err := command.Output()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", program, arg, err, failure.String())
	}
	var result struct {
		Changes map[string]int `json:"changes"`
	}
	if err := json.Unmarshal(printed, &result); err != nil {
		return fmt.Errorf("%s %s printed %q: %w", program, arg, printed, err)
	}
	same := result.Changes[string(apitype.OpSame)]
	if same == 0 || len(result.Changes) != 1 {
		return fmt.Errorf("%s %s was to find no change, and found %v", program, arg, result.Changes)
	}
	return nil
}

// registration is what a program asked the engine for.
type registration struct {
	Op       apitype.OpType
	Type     string
	Parent   string
	Protect  bool
	Provider string
	Inputs   map[string]any
}

// sameAsTwin returns an error unless both programs register the same resources: types, names, parents, providers and inputs.
func (b *bench) sameAsTwin(ctx context.Context, running *engine.Engine, script string) error {
	ours, theirs := map[string]registration{}, map[string]registration{}
	if _, err := running.PreviewAgain(ctx, stacks.Infra, func(e apitype.EngineEvent) { note(ours, e) }); err != nil {
		return err
	}
	step := b.display.Start("comparison with the twin")
	path := filepath.Join(b.dir, "twin-events.jsonl")
	if err := b.previews(ctx, "node", script, "TWIN_EVENTS="+path); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() // it was only read
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e apitype.EngineEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		note(theirs, e)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if err := different(ours, theirs); err != nil {
		step.Fail(errors.New("see below"))
		return err
	}
	step.Done(fmt.Sprintf("%d registrations are the same", len(ours)))
	return nil
}

func note(all map[string]registration, e apitype.EngineEvent) {
	if e.ResourcePreEvent == nil {
		return
	}
	m := e.ResourcePreEvent.Metadata
	r := registration{Op: m.Op, Type: m.Type}
	if m.New != nil {
		r.Parent, r.Protect, r.Provider, r.Inputs = m.New.Parent, m.New.Protect, m.New.Provider, m.New.Inputs
	}
	all[m.URN] = r
}

// different is the error that names every resource that the programs register differently.
func different(ours, theirs map[string]registration) error {
	if len(ours) == 0 {
		return errors.New("the program registered nothing")
	}
	all := maps.Clone(ours)
	maps.Copy(all, theirs)
	var differences []error
	for _, urn := range slices.Sorted(maps.Keys(all)) {
		mine, isMine := ours[urn]
		its, isIts := theirs[urn]
		switch {
		case !isIts:
			differences = append(differences, fmt.Errorf("%s is not registered by the twin", urn))
		case !isMine:
			differences = append(differences, fmt.Errorf("%s is registered by the twin alone", urn))
		default:
			if diff := cmp.Diff(mine, its); diff != "" {
				differences = append(differences, fmt.Errorf("%s differs (- ours, + the twin's):\n%s", urn, diff))
			}
		}
	}
	if len(differences) == 0 {
		return nil
	}
	return fmt.Errorf("the twin is no twin; make lab/bench/twin register what infra does: %w", errors.Join(differences...))
}

func previewOnceCommand() *cobra.Command {
	return &cobra.Command{
		Use: previewOnce, Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			place, err := site.Open(environment)
			if err != nil {
				return err
			}
			record, _, err := place.Running()
			if err != nil {
				return err
			}
			display := progress.New(cmd.ErrOrStderr())
			defer display.Stop()
			e, err := engine.New(place, record, display)
			if err != nil {
				return err
			}
			result, err := e.PreviewAgain(cmd.Context(), stacks.Infra, nil)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"changes": result.Changes})
		},
	}
}
