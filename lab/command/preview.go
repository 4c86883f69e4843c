package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

func previewCommand() *cobra.Command {
	return expecting(&cobra.Command{
		Use: "preview", Short: "Show what `up` would change", Args: cobra.NoArgs, RunE: at(preview),
		Example: "  bin/lab preview -s prod",
		Long: `Shows what up would change. An environment that is up is compared with what is there; one that is not up is planned
from nothing, and nothing of it stays.`,
	})
}

func preview(cmd *cobra.Command, s site.Site) error {
	return working(cmd, s, func(ctx context.Context, display *progress.Display) error {
		results, err := world.Preview(ctx, s, display)
		display.Stop()
		if err != nil {
			return err
		}
		if err := resultTable(cmd.OutOrStdout(), s.Environment, results); err != nil {
			return err
		}
		return asExpected(cmd, results)
	})
}
