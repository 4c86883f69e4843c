package figures

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gridos/sharedinfra/internal/plaintable"
)

// JSON writes rows for machines.
func JSON(w io.Writer, rows []Row) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(rows)
}

// Table writes rows for a terminal.
func Table(w io.Writer, rows []Row) { filled(plaintable.New(w), rows).Render() }

// Markdown returns rows as a table for docs/performance.md.
func Markdown(rows []Row) string { return filled(table.NewWriter(), rows).RenderMarkdown() }

func filled(t table.Writer, rows []Row) table.Writer {
	t.AppendHeader(table.Row{"what", "compared with", "median", "rounds", "goal", ""})
	for _, r := range rows {
		if r.Skipped != "" {
			t.AppendRow(table.Row{r.What, r.Against, "not measured: " + r.Skipped, "", goal(r), ""})
			continue
		}
		verdict := "met"
		if !r.Met() {
			verdict = "missed"
		}
		if r.Goal == 0 {
			verdict = ""
		}
		t.AppendRow(table.Row{
			r.What, r.Against, figure(r.Value, r.Unit), fmt.Sprintf("%d: %s to %s", r.Rounds, number(r.Lowest), number(r.Highest)),
			goal(r), verdict,
		})
	}
	return t
}

func goal(r Row) string {
	if r.Goal == 0 {
		return ""
	}
	return "≤ " + figure(r.Goal, r.Unit)
}

func figure(n float64, unit string) string {
	if unit == "" {
		return number(n)
	}
	return number(n) + " " + unit
}

// number shows three digits: more would be noise.
func number(n float64) string {
	switch {
	case n >= 100:
		return fmt.Sprintf("%.0f", n)
	case n >= 10:
		return fmt.Sprintf("%.1f", n)
	default:
		return fmt.Sprintf("%.2f", n)
	}
}
