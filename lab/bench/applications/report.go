package applications

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gridos/sharedinfra/internal/plaintable"
	"github.com/gridos/sharedinfra/lab/bench/figures"
)

// cost is what one operation took: the time from the start of the CLI to its end, and the peaks of memory of the engine with its
// plugins and of the program.
type cost struct {
	Seconds    float64 `json:"seconds"`
	EngineMiB  float64 `json:"engineMiB"`
	ProgramMiB float64 `json:"programMiB"`
}

func (c cost) memory() float64 { return c.EngineMiB + c.ProgramMiB }

// size is one size of the catalogue. The engine's are those of as many resources that do nothing.
type size struct {
	Applications  int  `json:"applications"`
	Preview       cost `json:"preview"`
	Up            cost `json:"up"`
	EnginePreview cost `json:"enginePreview"`
	EngineUp      cost `json:"engineUp"`
}

// rounds are all measurements of one size.
type rounds []size

// of returns one figure of every round.
func (r rounds) of(figure func(size) float64) []float64 {
	values := make([]float64, len(r))
	for i, s := range r {
		values[i] = figure(s)
	}
	return values
}

// median is the size whose figures are the medians of the rounds'.
func (r rounds) median() size {
	s := size{Applications: r[0].Applications}
	for _, c := range []func(*size) *cost{
		func(s *size) *cost { return &s.Preview }, func(s *size) *cost { return &s.Up },
		func(s *size) *cost { return &s.EnginePreview }, func(s *size) *cost { return &s.EngineUp },
	} {
		*c(&s) = cost{
			Seconds:    figures.Median(r.of(func(s size) float64 { return c(&s).Seconds })),
			EngineMiB:  figures.Median(r.of(func(s size) float64 { return c(&s).EngineMiB })),
			ProgramMiB: figures.Median(r.of(func(s size) float64 { return c(&s).ProgramMiB })),
		}
	}
	return s
}

func medians(all []rounds) []size {
	sizes := make([]size, len(all))
	for i, r := range all {
		sizes[i] = r.median()
	}
	return sizes
}

const (
	engineAlone = "as many resources that are nothing"
	// mostRatio is how many times as much as the engine alone a catalogue was aimed to take at most.
	mostRatio = 2
	// linear is an exponent of growth that cannot be told from 1 where rounds differ by a few percent.
	linear = 1.1
)

// rowsOf returns the ratios to the engine alone of each size, and how the times grow with the sizes.
func rowsOf(all []rounds) []figures.Row {
	var rows []figures.Row
	for _, r := range all {
		for _, f := range []struct {
			name        string
			ours, peers func(size) float64
		}{
			{"preview", func(s size) float64 { return s.Preview.Seconds }, func(s size) float64 { return s.EnginePreview.Seconds }},
			{"up", func(s size) float64 { return s.Up.Seconds }, func(s size) float64 { return s.EngineUp.Seconds }},
			{"memory", func(s size) float64 { return s.Up.memory() }, func(s size) float64 { return s.EngineUp.memory() }},
		} {
			ours, peers := r.of(f.ours), r.of(f.peers)
			pairs := make([]figures.Pair, len(r))
			for i := range r {
				pairs[i] = figures.Pair{Ours: ours[i], Peers: peers[i]}
			}
			rows = append(rows, figures.Ratio(fmt.Sprintf("applications/%d/%s", r[0].Applications, f.name),
				fmt.Sprintf("%d Applications: %s", r[0].Applications, f.name), engineAlone, mostRatio, pairs))
		}
	}
	if len(all) < 3 {
		return rows
	}
	report := reportOf(medians(all))
	return append(rows,
		figures.Single("applications/growth/preview", "growth of the preview's time, as an exponent", "1 is linear", linear, "",
			[]float64{report.PreviewExponent}),
		figures.Single("applications/growth/up", "growth of the update's time, as an exponent", "1 is linear", linear, "",
			[]float64{report.UpExponent}))
}

// report is the answer.
type report struct {
	Sizes []size `json:"sizes"`
	// The exponents of growth over the largest step, 1 being linear; 0 when there are fewer than three sizes.
	PreviewExponent       float64 `json:"previewExponent"`
	UpExponent            float64 `json:"upExponent"`
	EnginePreviewExponent float64 `json:"enginePreviewExponent"`
	EngineUpExponent      float64 `json:"engineUpExponent"`
	// PreviewRatio is how many times as long as the engine alone the largest preview takes.
	PreviewRatio float64 `json:"previewRatio"`
}

func reportOf(sizes []size) report {
	last := sizes[len(sizes)-1]
	return report{
		Sizes:                 sizes,
		PreviewExponent:       exponent(sizes, func(s size) cost { return s.Preview }),
		UpExponent:            exponent(sizes, func(s size) cost { return s.Up }),
		EnginePreviewExponent: exponent(sizes, func(s size) cost { return s.EnginePreview }),
		EngineUpExponent:      exponent(sizes, func(s size) cost { return s.EngineUp }),
		PreviewRatio:          last.Preview.Seconds / last.EnginePreview.Seconds,
	}
}

// noise is how many seconds two runs of the same differ by on a busy machine; a smaller difference of sizes tells nothing.
const noise = 0.2

// exponent returns how the time grows from the last size but one to the last, without what the smallest takes too: with the start
// of the engine in it, which is the same for all, everything would look better than linear.
func exponent(sizes []size, of func(size) cost) float64 {
	if len(sizes) < 3 {
		return 0
	}
	first, middle, last := sizes[0], sizes[len(sizes)-2], sizes[len(sizes)-1]
	grown := (of(last).Seconds - of(first).Seconds) / max(of(middle).Seconds-of(first).Seconds, noise)
	more := float64(last.Applications-first.Applications) / float64(middle.Applications-first.Applications)
	return math.Log(max(grown, 1)) / math.Log(more)
}

// verdict is the error for what is above its limit, or nil.
func (r report) verdict(maxExponent, maxRatio float64) error {
	var broken []error
	for _, growth := range []struct {
		what  string
		value float64
	}{{"preview", r.PreviewExponent}, {"update", r.UpExponent}} {
		if growth.value > maxExponent {
			broken = append(broken, fmt.Errorf("the time of the %s grows with the exponent %.2f, more than %.2f; look for work that "+
				"each Application adds to every other", growth.what, growth.value, maxExponent))
		}
	}
	if r.PreviewRatio > maxRatio {
		broken = append(broken, fmt.Errorf("the largest preview takes %.2f times as long as the engine alone, more than %.2f; look at "+
			"what the program and the provider do for each Application", r.PreviewRatio, maxRatio))
	}
	return errors.Join(broken...)
}

func printJSON(w io.Writer, r report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func printTable(w io.Writer, r report) error {
	t := plaintable.New(w)
	t.AppendHeader(table.Row{"applications", "", "time", "engine alone", "ratio", "memory: engine", "program"})
	for _, s := range r.Sizes {
		for _, row := range []struct {
			what        string
			ours, alone cost
		}{{"preview", s.Preview, s.EnginePreview}, {"up", s.Up, s.EngineUp}} {
			t.AppendRow(table.Row{
				s.Applications, row.what, inSeconds(row.ours.Seconds), inSeconds(row.alone.Seconds),
				fmt.Sprintf("%.2f", row.ours.Seconds/row.alone.Seconds), inMiB(row.ours.EngineMiB), inMiB(row.ours.ProgramMiB),
			})
		}
	}
	t.Render()
	_, err := fmt.Fprintf(w, `
time          from the start of the CLI to its end
engine alone  the same with as many resources that do nothing
memory        the highest resident memory of the CLI with its plugins, and of the process that runs the program

The time grows with the exponent %.2f (preview) and %.2f (up), the engine's alone with %.2f and %.2f; 1 is linear.
`, r.PreviewExponent, r.UpExponent, r.EnginePreviewExponent, r.EngineUpExponent)
	return err
}

func inSeconds(n float64) string { return fmt.Sprintf("%.1f s", n) }

func inMiB(n float64) string { return fmt.Sprintf("%.0f MiB", n) }
