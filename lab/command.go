package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/site"
	"github.com/gridos/sharedinfra/naming"
)

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "lab",
		Short: "Run the platform on one machine, without a cloud account",
		Long: `The lab runs the four Pulumi projects of this repository on one machine: the real Pulumi engine, a simulated
Azure, a real Kubernetes API server. It reads the same Pulumi.<stack>.yaml files as pulumi does and writes
nothing outside .lab/ and the user's cache folder.

Exit codes: 0 done, 1 failed, 2 a mistake in the command line or the configuration, 130 interrupted. (go run makes 1 of
them all; where the code matters, build the lab with go build -o bin/lab ./lab.)`,
		Example: `  go run ./lab up                      bring dev up
  go run ./lab preview -s prod         what would prod be?
  go run ./lab diff --base main        what does this branch change?
  go run ./lab outputs --json          the outputs of all stacks, for machines
  eval "$(go run ./lab env)"           let pulumi and kubectl talk to the lab
  go run ./lab down                    take everything away`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	environment := root.PersistentFlags().StringP("stack", "s", naming.Environments()[0],
		"environment: "+strings.Join(naming.Environments(), ", "))

	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp) // no command takes a file

	at := func(do func(cmd *cobra.Command, s site.Site) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, _ []string) error {
			s, err := site.Open(*environment)
			if err != nil {
				return usageError{err}
			}
			err = do(cmd, s)
			if err != nil && cmd.Context().Err() != nil {
				return interruptedError{verb: cmd.Name(), site: s, err: err}
			}
			return err
		}
	}
	noArgs := func(cmd *cobra.Command, args []string) error {
		if err := cobra.NoArgs(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
	root.AddCommand(
		withGitOpsMode(expecting(&cobra.Command{
			Use: "up", Short: "Bring an environment up and leave it running", Args: noArgs, RunE: at(up),
			Long: `Brings an environment up and leaves it running. With --gitops Argo CD and Argo Rollouts run for real, and sync the
application from a Git server of the lab's own: its repository begins with applications/ and src/ of this checkout, with the
pauses of a release shortened to a sixth.`,
			Example: "  go run ./lab up\n  go run ./lab up --gitops\n  go run ./lab up -s test\n  go run ./lab up --expect-no-changes",
		})),
		expecting(&cobra.Command{
			Use: "preview", Short: "Show what `up` would change", Args: noArgs, RunE: at(preview),
			Example: "  go run ./lab preview -s prod",
			Long: `Shows what up would change. An environment that is up is compared with what is there; one that is not up is planned
from nothing, and nothing of it stays.`,
		}),
		diffCommand(noArgs, at),
		downCommand(noArgs, at),
		&cobra.Command{
			Use: "recover", Short: "Make the states agree with what is there, after a kill or a loss",
			Args: noArgs, RunE: at(recoverStates),
			Long: `Waits for what a killed command has left running, takes away the locks that nobody holds, has every state forget what
is gone, and adopts by import what is in the simulated Azure and in the program, but in no state. Helm's records of unfinished
work are deleted, and a soft-deleted key vault is recovered, or purged when nothing else is left; nothing is created, updated or
replaced. up goes on from there. docs/recovery.md tells how to do the same with a real Azure.`,
			Example: "  go run ./lab recover\n  go run ./lab recover -s test",
		},
		withJSON(&cobra.Command{
			Use: "status", Short: "Show what runs and what exists", Args: noArgs, RunE: at(status),
			Example: "  go run ./lab status\n  go run ./lab status --json",
		}),
		outputsCommand(noArgs, at),
		&cobra.Command{
			Use: "env", Short: "Print the variables that point pulumi and kubectl at the lab", Args: noArgs, RunE: at(env),
			Example: `  eval "$(go run ./lab env)"
  kubectl get applications -n argocd
  pulumi -C infra preview -s dev       (needs the Pulumi CLI's Go language host)`,
		},
		withJSON(&cobra.Command{
			Use: "commit", Short: "Play one release, from a commit to promoted pods", Args: noArgs, RunE: at(commit),
			Long: `Plays the scenario good-release in an environment that is up with --gitops, and shows each step: a change of the
service is committed and built, its image is pushed, the overlay's image is set by a commit, Argo CD syncs it, and Argo Rollouts
moves the requests.`,
			Example: "  go run ./lab up --gitops\n  go run ./lab commit",
		}),
		scenariosCommand(at),
		chaosCommand(noArgs, at),
		drillsCommand(at),
		&cobra.Command{
			Use: "manifests", Short: "Check the application's manifests: references, images, secrets",
			Args: noArgs, RunE: at(checkManifests),
			Long: `Renders every overlay of the application as Argo CD does, and reports every mistake with its file and field: objects
that refer to others which are not there, selectors that find nothing, unpinned images, secrets in clear text, kinds that
the AppProject refuses. Needs no cluster and takes a second.`,
			Example: "  go run ./lab manifests",
		},
		withGitOps(&cobra.Command{
			Use: "tools", Short: "Find, download or build the binaries that the lab and its tests need", Args: noArgs, RunE: at(tools),
			Example: "  go run ./lab tools\n  go run ./lab tools --gitops",
		}),
		&cobra.Command{
			Use: daemon.Command + " DIR", Hidden: true, Args: cobra.ExactArgs(1), RunE: serve,
		},
	)
	return root
}

func downCommand(
	noArgs cobra.PositionalArgs, at func(func(*cobra.Command, site.Site) error) func(*cobra.Command, []string) error,
) *cobra.Command {
	cmd := &cobra.Command{
		Use: "down", Short: "Destroy an environment and stop everything that it ran", Args: noArgs, RunE: at(down),
		Example: "  go run ./lab down\n  go run ./lab down --keep-running",
	}
	cmd.Flags().Bool(keepRunning, false, "leave the simulated Azure and the control plane running, for the next up")
	return cmd
}

func outputsCommand(
	noArgs cobra.PositionalArgs, at func(func(*cobra.Command, site.Site) error) func(*cobra.Command, []string) error,
) *cobra.Command {
	cmd := withJSON(&cobra.Command{
		Use: "outputs", Short: "Show the outputs of every stack", Args: noArgs, RunE: at(outputs),
		Example: "  go run ./lab outputs\n  go run ./lab outputs --json | jq -r '.gridos.gatewayPublicIp'",
	})
	cmd.Flags().Bool("show-secrets", false, "print secret values too")
	return cmd
}

func expecting(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("expect-no-changes", false, "fail when a stack changes, or would change")
	return cmd
}

func withGitOps(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("gitops", false, "with the real Argo CD and Argo Rollouts")
	return cmd
}

func withJSON(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("json", false, "print JSON, for machines")
	return cmd
}
