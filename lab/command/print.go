package command

import (
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/internal/engine"
)

func resultTable(w io.Writer, environment string, results []engine.Result) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"stack", "changes", "resources", "time"})
	for _, r := range results {
		t.AppendRow(table.Row{
			r.Project.Name + "/" + environment, r.Summary(), r.Resources, r.Duration.Round(100 * time.Millisecond),
		})
	}
	t.Render()
	return nil
}

func seconds(s *float64) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%.1f s", *s)
}

func verdict(passed bool) string {
	if passed {
		return "pass"
	}
	return "FAIL"
}
