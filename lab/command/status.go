package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
	"github.com/gridos/sharedinfra/stacks"
)

func statusCommand() *cobra.Command {
	return cli.WithJSON(&cobra.Command{
		Use: "status", Short: "Show what runs and what exists", Args: cobra.NoArgs, RunE: at(status),
		Example: "  bin/lab status\n  bin/lab status --json",
	})
}

// stackState is one stack in the answer of status.
type stackState struct {
	Project   string `json:"project"`
	Stack     string `json:"stack"`
	Resources int    `json:"resources"`
}

// status prints what runs and what exists.
func status(cmd *cobra.Command, s site.Site) error {
	asJSON := cli.JSON(cmd)
	record, up, err := s.Running()
	if err != nil {
		return err
	}
	answer := struct {
		Environment string `json:"environment"`
		Running     bool   `json:"running"`
		Since       string `json:"since,omitempty"`
		// Page is the address of the page on which a person watches the lab.
		Page   string       `json:"page,omitempty"`
		Stacks []stackState `json:"stacks"`
		// GitOps is the state of delivery from Git, if it runs. It has no secret.
		GitOps *gitOpsState `json:"gitops,omitempty"`
	}{Environment: s.Environment, Running: up, Stacks: []stackState{}}
	if up {
		answer.Page = record.Page
		answer.Since = record.Started.Format(time.RFC3339)
		e, err := world.Running(s, progress.New(cmd.ErrOrStderr()))
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
		return cli.PrintJSON(cmd.OutOrStdout(), answer)
	}
	if !up {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is not up. `%s` brings it up.\n", s.Environment, s.Command("up"))
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
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%s runs since %s (process %d). Watch it at %s.\n",
		s.Environment, answer.Since, record.PID, record.Page)
	return err
}

// gitOpsState is the part of status about delivery from Git.
type gitOpsState struct {
	Ready      bool   `json:"ready"`
	GitURL     string `json:"gitUrl"`
	Branch     string `json:"branch"`
	Registry   string `json:"registry"`
	ArgoCD     string `json:"argocd,omitempty"`
	Prometheus string `json:"prometheus,omitempty"`
	// Application is the address of the service behind the mesh's gateway, or empty: Refused says why.
	Application string               `json:"application,omitempty"`
	Refused     string               `json:"refused,omitempty"`
	Components  []delivery.Component `json:"components"`
}

// gitOpsStateOf returns nil if nothing delivers from Git.
func gitOpsStateOf(ctx context.Context, s site.Site) (*gitOpsState, error) {
	client, ok, err := gitops.Connect(s.GitOpsDir())
	if err != nil || !ok {
		return nil, err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	return &gitOpsState{
		Ready: status.Ready, GitURL: status.GitURL, Branch: status.Branch, Registry: status.Registry,
		ArgoCD: status.ArgoCD, Prometheus: status.Prometheus, Application: status.Application, Refused: status.Refused,
		Components: append([]delivery.Component{}, status.Components...),
	}, nil
}

func gitOpsTable(w io.Writer, state *gitOpsState) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"delivery", "address"})
	t.AppendRow(table.Row{"Git, branch " + state.Branch, state.GitURL})
	t.AppendRow(table.Row{"registry", state.Registry})
	t.AppendRow(table.Row{"Argo CD's API", cmp.Or(state.ArgoCD, "not running yet")})
	t.AppendRow(table.Row{"Prometheus", cmp.Or(state.Prometheus, "not running yet")})
	t.AppendRow(table.Row{"the application", cmp.Or(state.Application, state.Refused, "not running yet")})
	t.Render()
	return nil
}
