package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/progress"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/lab/internal/toolchain"
	"github.com/gridos/sharedinfra/stacks"
)

// errNotUp is what commands say that need a running lab.
func errNotUp(s site.Site) error {
	return fmt.Errorf("%s is not up; run `go run ./lab up%s` first", s.Environment, stackFlag(s))
}

// outputs prints the outputs of every stack.
func outputs(cmd *cobra.Command, s site.Site) error {
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	secrets, err := cmd.Flags().GetBool("show-secrets")
	if err != nil {
		return err
	}
	e, err := running(cmd, s)
	if err != nil {
		return err
	}
	all, err := e.Outputs(cmd.Context())
	if err != nil {
		return err
	}
	if !asJSON {
		return outputTable(cmd.OutOrStdout(), all, secrets)
	}
	values := map[string]map[string]any{}
	for project, outputs := range all {
		values[project] = map[string]any{}
		for key, output := range outputs {
			values[project][key] = shown(output, secrets)
		}
	}
	return printJSON(cmd.OutOrStdout(), values)
}

// running returns an engine for an environment that is up.
func running(cmd *cobra.Command, s site.Site) (*engine.Engine, error) {
	record, up, err := s.Running()
	if err != nil {
		return nil, err
	}
	if !up {
		return nil, errNotUp(s)
	}
	return engine.New(s, record, progress.New(cmd.ErrOrStderr()))
}

// hidden stands for a secret.
const hidden = "[secret]"

func shown(output auto.OutputValue, secrets bool) any {
	if output.Secret && !secrets {
		return hidden
	}
	return output.Value
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// stackState is one stack in the answer of status.
type stackState struct {
	Project   string `json:"project"`
	Stack     string `json:"stack"`
	Resources int    `json:"resources"`
}

// status prints what runs and what exists.
func status(cmd *cobra.Command, s site.Site) error {
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	record, up, err := s.Running()
	if err != nil {
		return err
	}
	answer := struct {
		Environment string       `json:"environment"`
		Running     bool         `json:"running"`
		Since       string       `json:"since,omitempty"`
		Stacks      []stackState `json:"stacks"`
		// GitOps is what delivers from Git, if something does. It has no secret.
		GitOps *gitOpsState `json:"gitops,omitempty"`
	}{Environment: s.Environment, Running: up, Stacks: []stackState{}}
	if up {
		answer.Since = record.Started.Format(time.RFC3339)
		e, err := running(cmd, s)
		if err != nil {
			return err
		}
		counts, err := e.Count(cmd.Context())
		if err != nil {
			return err
		}
		for _, p := range stacks.Projects() {
			answer.Stacks = append(answer.Stacks, stackState{Project: p.Name, Stack: s.Environment, Resources: counts[p.Name]})
		}
		if answer.GitOps, err = gitOpsStateOf(cmd.Context(), s); err != nil {
			return err
		}
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), answer)
	}
	if !up {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is not up. `go run ./lab up%s` brings it up.\n", s.Environment, stackFlag(s))
		return err
	}
	t := plaintable.New(cmd.OutOrStdout())
	t.AppendHeader(table.Row{"stack", "resources"})
	for _, state := range answer.Stacks {
		t.AppendRow(table.Row{state.Project + "/" + state.Stack, state.Resources})
	}
	t.Render()
	if answer.GitOps != nil {
		if err := gitOpsTable(cmd.OutOrStdout(), answer.GitOps); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%s runs since %s (process %d).\n", s.Environment, answer.Since, record.PID)
	return err
}

// env prints the variables as a shell takes them.
func env(cmd *cobra.Command, s site.Site) error {
	record, up, err := s.Running()
	if err != nil {
		return err
	}
	if !up {
		return errNotUp(s)
	}
	// A shell skips the first line and a person reads it. The second is for a passphrase of the user's, which would win.
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "# pulumi itself writes the salt of the passphrase into the projects' "+
		"Pulumi.%s.yaml; git restore takes it out again.\nunset PULUMI_CONFIG_PASSPHRASE\n", s.Environment); err != nil {
		return err
	}
	variables := s.Variables(record)
	if err := addArgoCD(cmd.Context(), s, variables); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		quoted := "'" + strings.ReplaceAll(variables[name], "'", `'\''`) + "'"
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "export %s=%s\n", name, quoted); err != nil {
			return err
		}
	}
	return nil
}

// tools makes sure that the binaries are there and prints where.
func tools(cmd *cobra.Command, s site.Site) error {
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	gitops, err := cmd.Flags().GetBool("gitops")
	if err != nil {
		return err
	}
	names := append(toolchain.All(), toolchain.ForManifests()...)
	if gitops {
		names = append(names, toolchain.GitOps()...)
	}
	resolver := &toolchain.Resolver{ToolsDir: s.ToolsDir(), Progress: display}
	paths, err := resolver.Resolve(cmd.Context(), names...)
	display.Stop()
	if err != nil {
		return err
	}
	t := plaintable.New(cmd.OutOrStdout())
	t.AppendHeader(table.Row{"tool", "path"})
	for _, name := range names {
		t.AppendRow(table.Row{name, paths[name]})
	}
	t.Render()
	return nil
}

// serve is the body of the background process.
func serve(cmd *cobra.Command, args []string) error {
	config, err := daemon.ReadConfig(args[0])
	if err != nil {
		return errors.Join(errors.New("this command is the lab's own; use `up`"), err)
	}
	if err := daemon.Serve(cmd.Context(), config); err != nil {
		// Into the process' log, also when it was told to stop.
		_, printErr := fmt.Fprintln(cmd.ErrOrStderr(), err)
		return errors.Join(err, printErr)
	}
	return nil
}

func resultTable(w io.Writer, environment string, results []engine.Result) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"stack", "changes", "resources", "time"})
	for _, r := range results {
		t.AppendRow(table.Row{
			r.Project.Name + "/" + environment, r.Summary(), r.Resources, r.Duration.Round(100 * time.Millisecond),
		})
	}
	t.Render()
	return nil
}

// widest bounds the values in the table of outputs; the whole value is in the JSON.
const widest = 90

func outputTable(w io.Writer, all map[string]auto.OutputMap, secrets bool) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"stack", "output", "value"})
	for _, p := range stacks.Projects() {
		for _, key := range slices.Sorted(maps.Keys(all[p.Name])) {
			value := fmt.Sprint(shown(all[p.Name][key], secrets))
			t.AppendRow(table.Row{p.Name, key, text.Snip(strings.ReplaceAll(value, "\n", " "), widest, "…")})
		}
	}
	t.Render()
	return nil
}
