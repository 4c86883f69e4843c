package command

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/delivery/manifests"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

func manifestsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "manifests", Short: "Check the application's manifests: references, images, secrets",
		Args: cobra.NoArgs, RunE: at(checkManifests),
		Long: `Renders every overlay of the application as Argo CD does, and reports every mistake with its file and field: objects
that refer to others which are not there, selectors that find nothing, unpinned images, secrets in clear text, kinds that
the AppProject refuses. Needs no cluster and takes a second.`,
		Example: "  bin/lab manifests",
	}
}

// checkManifests renders every overlay of the application and reports every mistake in all of them.
// It needs no cluster.
func checkManifests(cmd *cobra.Command, s site.Site) error {
	display := progress.New(cmd.ErrOrStderr())
	defer display.Stop()
	resolver := &toolchain.Resolver{ToolsDir: s.ToolsDir(), Progress: display}
	paths, err := resolver.Resolve(cmd.Context(), toolchain.Kustomize)
	if err != nil {
		return err
	}
	t := plaintable.New(cmd.OutOrStdout())
	t.AppendHeader(table.Row{"overlay", "objects"})
	var mistakes []error
	for _, environment := range naming.Environments() {
		overlay := filepath.FromSlash(naming.Overlay(environment))
		objects, err := manifests.Build(cmd.Context(), paths[toolchain.Kustomize], s.ProjectDir(overlay))
		if err != nil {
			return err
		}
		t.AppendRow(table.Row{overlay, len(objects)})
		if err := manifests.Check(objects); err != nil {
			mistakes = append(mistakes, fmt.Errorf("overlay %s of %s:\n%w", environment, naming.Application, err))
		}
	}
	display.Stop()
	if len(mistakes) > 0 {
		return errors.Join(mistakes...)
	}
	t.Render()
	return nil
}
