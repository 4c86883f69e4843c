// Command evaluate tells what Prometheus answers to queries, given the series that it has. It reads a JSON list of questions on
// standard input and prints a JSON list with the values of each answer, in the order of their labels.
//
// It is a program of its own because the engine, in the version that the cluster runs, is part of Prometheus' module.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// question is a query at a time after the first sample.
type question struct {
	Query string `json:"query"`
	// Series have their samples in promtool's notation, such as "0+10x20 stale", one at each of Interval's ends.
	Series map[string]string `json:"series"`
	// Interval and At are in seconds.
	Interval int64 `json:"interval"`
	At       int64 `json:"at"`
}

func main() {
	if err := evaluate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func evaluate() error {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		return fmt.Errorf("standard input is no list of questions: %w", err)
	}
	notation := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{
		// As Prometheus itself has them (cmd/prometheus/main.go) where no flag says otherwise.
		MaxSamples: 50_000_000, Timeout: 2 * time.Minute, LookbackDelta: 5 * time.Minute,
		EnableAtModifier: true, EnableNegativeOffset: true, EnableDelayedNameRemoval: false, Parser: notation,
	})
	answers := make([][]string, len(questions))
	for i, q := range questions {
		values, err := q.answer(engine, notation)
		if err != nil {
			return fmt.Errorf("question %d: %w", i, err)
		}
		answers[i] = values
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func (q question) answer(engine *promql.Engine, notation parser.Parser) ([]string, error) {
	var all []storage.Series
	for _, name := range slices.Sorted(maps.Keys(q.Series)) {
		set, values, err := notation.ParseSeriesDesc(name + " " + q.Series[name])
		if err != nil {
			return nil, fmt.Errorf("series %s %s: %w", name, q.Series[name], err)
		}
		var samples []chunks.Sample
		for i, value := range values {
			if !value.Omitted {
				samples = append(samples, sample{int64(i) * q.Interval * 1000, value.Value})
			}
		}
		all = append(all, storage.NewListSeries(set, samples))
	}
	database := &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			return &found{series: slices.DeleteFunc(slices.Clone(all), func(series storage.Series) bool {
				return slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(series.Labels().Get(m.Name)) })
			})}
		},
	}}
	query, err := engine.NewInstantQuery(context.Background(), database, nil, q.Query, time.Unix(q.At, 0))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.Query, err)
	}
	defer query.Close()
	vector, err := query.Exec(context.Background()).Vector()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.Query, err)
	}
	slices.SortFunc(vector, func(a, b promql.Sample) int { return cmp.Compare(a.Metric.String(), b.Metric.String()) })
	values := []string{}
	for _, one := range vector {
		values = append(values, strconv.FormatFloat(one.F, 'g', -1, 64))
	}
	return values, nil
}

// found is a set of series.
type found struct {
	series []storage.Series
	next   int
}

func (f *found) Next() bool                      { f.next++; return f.next <= len(f.series) }
func (f *found) At() storage.Series              { return f.series[f.next-1] }
func (*found) Err() error                        { return nil }
func (*found) Warnings() annotations.Annotations { return nil }

// sample is a number at a time in milliseconds.
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                    { return s.at }
func (sample) ST() int64                     { return 0 }
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }
