// Command names tells which metrics queries ask for. It reads a JSON list of queries on standard
// input and prints a JSON list with the sorted names of each.
//
// It is a program of its own because the parser, in the version that the cluster runs, is part of
// Prometheus' module.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var queries []string
	if err := json.NewDecoder(in).Decode(&queries); err != nil {
		return fmt.Errorf("standard input is no list of queries: %w", err)
	}
	answers := make([][]string, len(queries))
	for i, query := range queries {
		names, err := namesIn(query)
		if err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		answers[i] = names
	}
	return json.NewEncoder(out).Encode(answers)
}

// namesIn refuses a query that leaves the name open: what it asks for cannot be checked.
func namesIn(query string) ([]string, error) {
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	var open error
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		i := slices.IndexFunc(selector.LabelMatchers, func(m *labels.Matcher) bool {
			return m.Name == labels.MetricName && m.Type == labels.MatchEqual
		})
		if i < 0 {
			open = fmt.Errorf("%s names no metric", selector)
			return nil
		}
		names[selector.LabelMatchers[i].Value] = true
		return nil
	})
	if open != nil {
		return nil, open
	}
	return slices.Sorted(maps.Keys(names)), nil
}
