package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
	"github.com/gridos/sharedinfra/stacks"
)

func outputsCommand() *cobra.Command {
	cmd := cli.WithJSON(&cobra.Command{
		Use: "outputs", Short: "Show the outputs of every stack", Args: cobra.NoArgs, RunE: at(outputs),
		Example: "  bin/lab outputs\n  bin/lab outputs --json | jq -r '.gridos.gatewayPublicIp'",
	})
	cmd.Flags().Bool("show-secrets", false, "print secret values too")
	return cmd
}

// outputs prints the outputs of every stack.
func outputs(cmd *cobra.Command, s site.Site) error {
	asJSON := cli.JSON(cmd)
	secrets, err := cmd.Flags().GetBool("show-secrets")
	if err != nil {
		return err
	}
	e, err := world.Running(s, progress.New(cmd.ErrOrStderr()))
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
	return cli.PrintJSON(cmd.OutOrStdout(), values)
}

// hidden stands for a secret.
const hidden = "[secret]"

func shown(output auto.OutputValue, secrets bool) any {
	if output.Secret && !secrets {
		return hidden
	}
	return output.Value
}

// widest bounds the values in the table of outputs; the JSON has the whole value.
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
