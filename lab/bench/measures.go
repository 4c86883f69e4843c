package main

import (
	"context"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/bench/figures"
	"github.com/gridos/sharedinfra/lab/bench/makespan"
)

// measure is something that can be measured by itself.
type measure struct {
	name, about string
	run         func(ctx context.Context, b *bench) ([]figures.Row, error)
}

// measures are all of them, in the order of the report.
func measures() []measure {
	return []measure{
		{"preview", "warm previews without changes, next to the engine alone", previews},
		{"makespan", "creating an environment at Azure's pace, next to the longest unavoidable chain", makespans},
		{"lab", "the lab: up from nothing, and again", labUp},
		{"flow", "from a push to a promoted release", flow},
	}
}

// azureScale is the part of Azure's time that makespans wait. With less of it the engine's own time
// would count.
const azureScale = 0.04

func makespans(ctx context.Context, b *bench) ([]figures.Row, error) {
	ratios, imposed := map[string][]float64{}, map[string][]float64{}
	for range b.rounds {
		reports, err := makespan.Measure(ctx, azureScale, b.display)
		if err != nil {
			return nil, err
		}
		for _, r := range reports {
			ratios[r.Environment] = append(ratios[r.Environment], r.Ratio)
			imposed[r.Environment] = append(imposed[r.Environment], r.Makespan/r.Imposed)
		}
	}
	var rows []figures.Row
	for _, name := range naming.Environments() {
		rows = append(rows, figures.Single("makespan/"+name, "creation of "+name+" at Azure's pace",
			"the longest unavoidable chain", 1.1, "", ratios[name]))
	}
	for _, name := range naming.Environments() {
		rows = append(rows, figures.Single("makespan/"+name+"/imposed", "the same, "+name,
			"the longest chain that Azure's own dependencies and locks impose", 0, "", imposed[name]))
	}
	return rows, nil
}
