package command

import (
	"context"
	"fmt"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

// The flags of tools beside gitOpsFlag.
const (
	testsFlag        = "tests"
	offlineFlag      = "offline"
	downloadOnlyFlag = "download-only"
	pinFlag          = "pin"
	bundleFlag       = "bundle"
)

func toolsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tools", Short: "Find, download or build the binaries that the lab and its tests need", Args: cobra.NoArgs, RunE: at(tools),
		Long: `Finds, downloads or builds the binaries that the lab and its tests need, and prints their paths. A tool is downloaded if
tools/downloads.yaml has the checksum of its pinned version, and built from its pin otherwise.`,
		Example: "  bin/lab tools\n  bin/lab tools --gitops --offline\n  bin/lab tools --pin",
	}
	cmd.Flags().Bool(gitOpsFlag, false, "with the real Argo CD, Argo Rollouts and Prometheus")
	cmd.Flags().Bool(testsFlag, false, "with the distribution's programs that tests run: as root installed, else named")
	cmd.Flags().Bool(offlineFlag, false, "download nothing: build what is missing")
	cmd.Flags().Bool(downloadOnlyFlag, false, "build nothing: fail, and name what can neither be found nor downloaded")
	cmd.Flags().Bool(pinFlag, false, "bring tools/downloads.yaml up to date from the checksums that upstream publishes, and get nothing")
	cmd.Flags().String(bundleFlag, "", "write builds of all tools, and no other copies, into this archive")
	cmd.MarkFlagsMutuallyExclusive(offlineFlag, downloadOnlyFlag, pinFlag, bundleFlag)
	return cmd
}

// tools makes sure that the binaries are there and prints their paths.
func tools(cmd *cobra.Command, s site.Site) error {
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	resolver := &toolchain.Resolver{ToolsDir: s.ToolsDir(), Progress: display}
	var gitops, tests, pin bool
	var bundle string
	var err error
	for _, flag := range []struct {
		name string
		to   *bool
	}{
		{gitOpsFlag, &gitops},
		{testsFlag, &tests},
		{offlineFlag, &resolver.Offline},
		{downloadOnlyFlag, &resolver.DownloadOnly},
		{pinFlag, &pin},
	} {
		if *flag.to, err = cmd.Flags().GetBool(flag.name); err != nil {
			return err
		}
	}
	if bundle, err = cmd.Flags().GetString(bundleFlag); err != nil {
		return err
	}
	names := append(toolchain.All(), toolchain.ForManifests()...)
	if gitops || bundle != "" {
		names = append(names, toolchain.GitOps()...)
	}
	switch {
	case pin:
		written, err := resolver.Pin(cmd.Context())
		for _, line := range written {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), line); err != nil {
				return err
			}
		}
		return err
	case bundle != "":
		return writeBundle(cmd.Context(), resolver, bundle, names)
	}
	if tests {
		if err := world.ProgramsForTests(cmd.Context(), display); err != nil {
			display.Printf("The tests that need one of these are skipped, and say so: %v", err)
		}
	}
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

// writeBundle leaves no half archive.
func writeBundle(ctx context.Context, resolver *toolchain.Resolver, path string, names []string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	err = resolver.Bundle(ctx, file, names...)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}
