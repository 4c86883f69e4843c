package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

func envCommand() *cobra.Command {
	return &cobra.Command{
		Use: "env", Short: "Print the variables that point pulumi and kubectl at the lab", Args: cobra.NoArgs, RunE: at(env),
		Example: `  eval "$(go run ./lab env)"
  kubectl get applications -n argocd
  pulumi -C infra preview -s dev       (needs the Pulumi CLI's Go language host)`,
	}
}

// env prints the variables as a shell takes them.
func env(cmd *cobra.Command, s site.Site) error {
	record, up, err := s.Running()
	if err != nil {
		return err
	}
	if !up {
		return world.ErrNotUp(s)
	}
	// A shell skips the first line and a person reads it. The second is for a passphrase of the
	// user's, which would win.
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

// addArgoCD points the user's argocd at the lab's, if that runs.
func addArgoCD(ctx context.Context, s site.Site, variables map[string]string) error {
	state, err := gitOpsStateOf(ctx, s)
	if err != nil || state == nil || !state.Ready {
		return err
	}
	variables["ARGOCD_SERVER"] = state.ArgoCD
	variables["ARGOCD_OPTS"] = "--plaintext"
	return nil
}
