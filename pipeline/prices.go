package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
	"github.com/gridos/sharedinfra/internal/cost"
	"github.com/gridos/sharedinfra/internal/plaintable"
)

func pricesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "prices", Short: "Bring the price book up to date from Azure's public price list", Args: cobra.NoArgs,
		Long: `Asks Azure's public price list, which takes no credentials, for every meter of the price book in
one region, writes the prices into the book, and prints what has changed. A meter that the list does not have, or has
several prices of, keeps the price and the day that it has in the book. Look at the difference before you commit it.`,
		Example: "  go run ./pipeline prices\n  go run ./pipeline prices --region westeurope",
	}
	region := cmd.Flags().String("region", "francecentral", "the region of Azure whose prices are asked for")
	file := cmd.Flags().String("book", "internal/cost/prices.yaml", "the file of the price book")
	list := cmd.Flags().String("list", cost.RetailPrices, "the address of the price list")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		text, err := os.ReadFile(*file)
		if err != nil {
			return cli.UsageError{Err: err}
		}
		book, err := cost.Parse(text)
		if err != nil {
			return err
		}
		client := &http.Client{Timeout: time.Minute}
		answers, err := book.Ask(cmd.Context(), client, *list, *region)
		if err != nil {
			return err
		}
		out := plaintable.New(cmd.OutOrStdout())
		out.AppendHeader(table.Row{"meter", "region", "was", "is", ""})
		found := 0
		for _, a := range answers {
			switch {
			case a.Err != nil:
				out.AppendRow(table.Row{a.Meter, a.Region, a.Was, "", a.Err})
			case a.Price != a.Was:
				out.AppendRow(table.Row{a.Meter, a.Region, a.Was, a.Price, "changed"})
			}
			if a.Err == nil {
				found++
			}
		}
		out.Render()
		if found == 0 {
			return errors.New("the price list gave no price, and the book was left as it is")
		}
		made, err := cost.Rewrite(text, answers, time.Now())
		if err != nil {
			return err
		}
		if err := os.WriteFile(*file, made, 0o644); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d of %d prices are of today now, in %s.\n", found, len(answers), *file)
		return err
	}
	return cmd
}
