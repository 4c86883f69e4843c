package makespan

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gridos/sharedinfra/internal/plaintable"
)

// Report is the result of one environment. Times are in Azure's minutes, unless the comment at the
// field says seconds.
type Report struct {
	Environment string `json:"environment"`
	Resources   int    `json:"resources"`
	// Makespan is from the first request to the last answer. Chain is the time that every program
	// needs, and Ratio is Makespan divided by Chain.
	Makespan float64 `json:"makespanMinutes"`
	Chain    float64 `json:"chainMinutes"`
	Ratio    float64 `json:"ratio"`
	// Imposed is the longest chain that Azure's own dependencies and locks impose.
	Imposed float64 `json:"imposedMinutes"`
	// Real is how long the update took on this machine, and Waited is the part of it spent waiting
	// for the simulated Azure.
	Real   float64 `json:"realSeconds"`
	Waited float64 `json:"waitedSeconds"`

	ChainOf     []string `json:"chain"`
	ImposedPath []step   `json:"imposedPath"`
	Path        []step   `json:"criticalPath"`
	All         []step   `json:"all"`
}

// step is one resource of a path.
type step struct {
	Resource string  `json:"resource"`
	Type     string  `json:"type"`
	Start    float64 `json:"startMinutes"`
	End      float64 `json:"endMinutes"`
	// Pause is the time from the end of the last resource that it waited for to its start.
	Pause     float64  `json:"pauseMinutes"`
	WaitedFor []string `json:"waitedFor"`
}

func reportOf(m measurement, scale float64) Report {
	chain, length := strictChain(m.tasks)
	plan, imposed := imposedPlan(m.tasks)
	span := makespan(m.tasks)
	r := Report{
		Environment: m.environment, Resources: len(m.tasks),
		Makespan: span.Minutes(), Chain: length.Minutes(), Imposed: imposed.Minutes(),
		Real: m.real.Seconds(), Waited: span.Seconds() * scale,
	}
	if length > 0 {
		r.Ratio = float64(span) / float64(length)
	}
	for _, t := range chain {
		r.ChainOf = append(r.ChainOf, t.name)
	}
	for _, t := range criticalPath(m.tasks) {
		r.Path = append(r.Path, stepOf(t))
	}
	for _, t := range m.tasks {
		r.All = append(r.All, stepOf(t))
	}
	for _, s := range plan {
		planned := step{Resource: s.task.name, Type: s.task.kind, Start: s.start.Minutes(), End: s.end.Minutes()}
		if s.held != nil {
			planned.WaitedFor = []string{s.held.name}
			planned.Pause = s.held.settles.Minutes()
		}
		r.ImposedPath = append(r.ImposedPath, planned)
	}
	return r
}

func stepOf(t *task) step {
	s := step{Resource: t.name, Type: t.kind, Start: t.start.Minutes(), End: t.end.Minutes()}
	var ready time.Duration
	for _, before := range t.after {
		s.WaitedFor = append(s.WaitedFor, before.name)
		ready = max(ready, before.end)
	}
	s.Pause = (t.start - ready).Minutes()
	return s
}

// tooLong is the error for a ratio above the limit, or nil.
func (r Report) tooLong(limit float64) error {
	if r.Ratio <= limit {
		return nil
	}
	names := make([]string, len(r.Path))
	for i, s := range r.Path {
		names[i] = s.Resource
	}
	return fmt.Errorf("%s takes %.2f times as long as its longest unavoidable chain, more than %.2f; shorten the path %s",
		r.Environment, r.Ratio, limit, strings.Join(names, " → "))
}

func printJSON(w io.Writer, reports []Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(reports)
}

// printTables prints the figures of all environments, and then where the time of each went.
func printTables(w io.Writer, reports []Report, scale float64, everything bool) error {
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"stack", "resources", "makespan", "chain", "ratio", "imposed", "here", "waiting"})
	for _, r := range reports {
		t.AppendRow(table.Row{
			r.Environment, r.Resources, inMinutes(r.Makespan), inMinutes(r.Chain), fmt.Sprintf("%.2f", r.Ratio),
			inMinutes(r.Imposed), inSeconds(r.Real), inSeconds(r.Waited),
		})
	}
	t.Render()
	_, err := fmt.Fprintf(w, `
makespan  from the first request to the last answer, in Azure's minutes
chain     resource group, virtual network, subnet and the slowest single resource, without a pause
ratio     makespan / chain
imposed   the longest chain of Azure's own dependencies and locks, which no program can shorten, at docs/azure-latencies.md's figures
here      what the update took on this machine at %g of Azure's time, the engine's start included
waiting   how much of that was between the first request and the last answer
`, scale)
	if err != nil {
		return err
	}
	for _, r := range reports {
		path, title := r.Path, "what ended last, and what it waited for"
		if everything {
			path, title = r.All, "all resources"
		}
		if err := printSteps(w, fmt.Sprintf("%s: %s", r.Environment, title), path); err != nil {
			return err
		}
		if err := printSteps(w, r.Environment+": the longest chain that Azure imposes", r.ImposedPath); err != nil {
			return err
		}
	}
	return nil
}

func printSteps(w io.Writer, title string, steps []step) error {
	if _, err := fmt.Fprintf(w, "\n%s\n", title); err != nil {
		return err
	}
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"resource", "type", "pause", "start", "end", "waited for"})
	for _, s := range steps {
		t.AppendRow(table.Row{
			s.Resource, s.Type, inMinutes(s.Pause), inMinutes(s.Start), inMinutes(s.End), strings.Join(s.WaitedFor, ", "),
		})
	}
	t.Render()
	return nil
}

func inMinutes(n float64) string { return fmt.Sprintf("%.2f min", n) }

func inSeconds(n float64) string { return fmt.Sprintf("%.1f s", n) }
