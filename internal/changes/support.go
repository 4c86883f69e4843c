package changes

import (
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/internal/support"
)

// Support is what ends soon of the versions that the environment has after the update.
type Support struct {
	// Ending are those that end within support.Notice days, or have ended; the first to end is first.
	Ending []support.Ending `json:"ending,omitempty"`
	// Unknown are those of which docs/support-dates.yaml has nothing.
	Unknown []support.Named `json:"unknown,omitempty"`
	// Old is how many sources of the dates were read more than support.MaxAge days ago, the oldest
	// on the day Oldest.
	Old    int    `json:"old,omitempty"`
	Oldest string `json:"oldest,omitempty"`
}

// CheckSupport notes which of the versions that the projects name end soon after a day. It is
// called once, when all projects are in the report.
func (r *Report) CheckSupport(on time.Time) error {
	book, err := support.Shipped()
	if err != nil {
		return err
	}
	r.checkSupport(book, on)
	return nil
}

func (r *Report) checkSupport(book support.Book, on time.Time) {
	var named []support.Named
	for _, p := range r.Projects {
		for _, resource := range p.registered.after {
			named = append(named, support.Of(resource.Type, resource.Inputs)...)
		}
	}
	named = support.Distinct(named)
	found := Support{Ending: book.Ending(named, on, support.Notice), Unknown: book.Unknown(named)}
	if old := book.Old(named, on); len(old) > 0 {
		found.Old, found.Oldest = len(old), old[0].Read
	}
	if len(found.Ending) > 0 || len(found.Unknown) > 0 || found.Old > 0 {
		r.Support = &found
	}
}

// left says how many days are left of a version, or how long ago they were over.
func left(e support.Ending) string {
	switch {
	case e.Days > 0:
		return "in " + counted(e.Days, "day")
	case e.Days == 0:
		return "today"
	default:
		return counted(-e.Days, "day") + " ago"
	}
}

// remarks say what is not known. quoted quotes the texts of the report.
func (s Support) remarks(quoted func(string) string) []string {
	var remarks []string
	if len(s.Unknown) > 0 {
		names := make([]string, len(s.Unknown))
		for i, n := range s.Unknown {
			names[i] = n.What + " " + n.Version
		}
		remarks = append(remarks, "Not known until when it is supported: "+quoted(strings.Join(names, ", "))+".")
	}
	if s.Old > 0 {
		remarks = append(remarks, fmt.Sprintf("%s of the dates of support: read more than %d days ago, the oldest on %s; "+
			"read them again (docs/OPERATIONS.md, Versions that end).", counted(s.Old, "source"), support.MaxAge, quoted(s.Oldest)))
	}
	return remarks
}

func (s Support) writeText(out *printer) {
	out.line("")
	if len(s.Ending) > 0 {
		t := plaintable.New(out)
		t.AppendHeader(table.Row{"support ends", "", "of", "version"})
		for _, e := range s.Ending {
			t.AppendRow(table.Row{printable(e.When()), left(e), printable(e.What), printable(e.Version)})
		}
		t.Render()
	}
	for _, remark := range s.remarks(printable) {
		out.line("%s", remark)
	}
}

func (s Support) writeMarkdown(out *printer) {
	if len(s.Ending) > 0 {
		out.line("")
		out.line("| support ends | | of | version |")
		out.line("|---|---|---|---|")
		for _, e := range s.Ending {
			out.line("| %s | %s | %s | %s |", code(e.When()), left(e), plain(e.What), code(e.Version))
		}
	}
	for _, remark := range s.remarks(plain) {
		out.line("")
		out.line("%s", remark)
	}
}
