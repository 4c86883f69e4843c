package command

import (
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

func toolsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tools", Short: "Find, download or build the binaries that the lab and its tests need", Args: cobra.NoArgs, RunE: at(tools),
		Example: "  go run ./lab tools\n  go run ./lab tools --gitops",
	}
	cmd.Flags().Bool(gitOpsFlag, false, "with the real Argo CD and Argo Rollouts")
	return cmd
}

// tools makes sure that the binaries are there and prints their paths.
func tools(cmd *cobra.Command, s site.Site) error {
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	gitops, err := cmd.Flags().GetBool(gitOpsFlag)
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
