package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

func envCommand() *cobra.Command {
	return &cobra.Command{
		Use: "env", Short: "Print the variables that point pulumi and kubectl at the lab", Args: cobra.NoArgs, RunE: at(env),
		Example: `  eval "$(bin/lab env)"
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
	// A configuration that cannot be brought up to date is reported, but kubectl can use the lab
	// all the same. Programs refuse a configuration that is older than its stack's file.
	err = working(cmd, s, func(ctx context.Context, display *progress.Display) error { return world.Configure(ctx, s, display) })
	if cmd.Context().Err() != nil {
		return err
	}
	if err != nil {
		if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "pulumi does not see what the stack files say now: %v\n", err); err != nil {
			return err
		}
	}
	// A shell skips the first two lines, and a person reads them. The third one deals with a
	// passphrase of the user's own, which would take precedence.
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "# pulumi reads and writes the configuration of %[1]s in %[2]s: what the stack\n"+
		"# files say, and what the lab changes. After a change of a stack file, do this again.\nunset PULUMI_CONFIG_PASSPHRASE\n",
		s.Environment, s.ConfigurationFile()); err != nil {
		return err
	}
	variables := s.Variables(record)
	// The flag --config-file of every command that has it (declareFlagsAsEnvironmentVariables in
	// pkg/cmd/pulumi/pulumi.go of Pulumi 3.246).
	variables["PULUMI_OPTION_CONFIG_FILE"] = s.ConfigurationFile()
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

// addArgoCD points the user's argocd at the lab's Argo CD, if that runs.
func addArgoCD(ctx context.Context, s site.Site, variables map[string]string) error {
	state, err := gitOpsStateOf(ctx, s)
	if err != nil || state == nil || !state.Ready {
		return err
	}
	variables["ARGOCD_SERVER"] = state.ArgoCD
	variables["ARGOCD_OPTS"] = "--plaintext"
	return nil
}
