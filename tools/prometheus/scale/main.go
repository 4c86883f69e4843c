// Command scale divides every duration of alert rules by one number: each for, and each window of a query. It reads
// {"by": 60, "groups": [...]} on standard input, with the groups of a rule file, and prints the groups. It refuses what has a time
// that it does not scale.
//
// It is a program of its own because the parser, in the version that the cluster runs, is part of Prometheus' module.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

type group struct {
	Name  string `json:"name"`
	Rules []rule `json:"rules"`
}

// rule has the fields that the rules have; any other one is refused.
type rule struct {
	Alert       string            `json:"alert,omitempty"`
	Record      string            `json:"record,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var asked struct {
		By     int64   `json:"by"`
		Groups []group `json:"groups"`
	}
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil {
		return fmt.Errorf("standard input has no groups of rules that can be scaled: %w", err)
	}
	if asked.By < 1 {
		return fmt.Errorf("by is %d; it must be 1 or more", asked.By)
	}
	for _, g := range asked.Groups {
		for i := range g.Rules {
			if err := g.Rules[i].scale(asked.By); err != nil {
				return fmt.Errorf("the rule %s%s of %s: %w", g.Rules[i].Alert, g.Rules[i].Record, g.Name, err)
			}
		}
	}
	return json.NewEncoder(out).Encode(asked.Groups)
}

func (r *rule) scale(by int64) error {
	if r.For != "" {
		wait, err := model.ParseDuration(r.For)
		if err != nil {
			return err
		}
		scaled, err := divided(time.Duration(wait), by)
		if err != nil {
			return err
		}
		r.For = model.Duration(scaled).String()
	}
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
	if err != nil {
		return err
	}
	if err := scaleWindows(expression, by); err != nil {
		return err
	}
	r.Expr = expression.String()
	return nil
}

func scaleWindows(expression parser.Expr, by int64) error {
	var problem error
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.MatrixSelector:
			if n.RangeExpr != nil {
				problem = fmt.Errorf("the window of %s is computed; write a duration", n)
				return nil
			}
			scaled, err := divided(n.Range, by)
			problem = errors.Join(problem, err)
			n.Range = scaled
		case *parser.SubqueryExpr:
			problem = fmt.Errorf("%s is a subquery, whose times are not scaled", n)
		case *parser.VectorSelector:
			if n.OriginalOffset != 0 || n.OriginalOffsetExpr != nil || n.Timestamp != nil || n.StartOrEnd != 0 {
				problem = fmt.Errorf("%s has an offset or a time, which is not scaled", n)
			}
		}
		return nil
	})
	return problem
}

// divided refuses what Prometheus cannot say: it knows no time below a millisecond.
func divided(duration time.Duration, by int64) (time.Duration, error) {
	scaled := duration / time.Duration(by)
	if scaled*time.Duration(by) != duration || scaled%time.Millisecond != 0 {
		return 0, fmt.Errorf("a %dth of %s has no whole milliseconds", by, duration)
	}
	return scaled, nil
}
