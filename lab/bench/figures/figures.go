// Package figures is what measurements come to: ratios of what this repository takes to what its peers take, each with its goal.
package figures

import (
	"slices"
)

// Row is one line of the report.
type Row struct {
	// ID names the row for bounds and scripts, such as preview/gridos-infra.
	ID string `json:"id"`
	// What was measured, and Against what.
	What    string `json:"what"`
	Against string `json:"against"`
	// Value is the median of the rounds: a ratio, of which 1 means as much as the peer, or seconds if Unit says so. Lowest and
	// Highest are those of single rounds.
	Value   float64 `json:"value"`
	Lowest  float64 `json:"lowest"`
	Highest float64 `json:"highest"`
	Unit    string  `json:"unit,omitempty"`
	// Goal is the highest value that was aimed at; 0 means that there is none and the row explains another.
	Goal float64 `json:"goal,omitempty"`
	// Rounds is how often it was measured.
	Rounds int `json:"rounds"`
	// Skipped says why it was not measured.
	Skipped string `json:"skipped,omitempty"`
}

// Seconds is the unit of rows without a peer.
const Seconds = "s"

// Pair is one round: what this repository took, and what the peer took right before or after it.
type Pair struct{ Ours, Peers float64 }

// Ratio is the row of pairs: the median of ours through the median of the peer's.
func Ratio(id, what, against string, goal float64, pairs []Pair) Row {
	ours, peers, ratios := make([]float64, len(pairs)), make([]float64, len(pairs)), make([]float64, len(pairs))
	for i, p := range pairs {
		ours[i], peers[i], ratios[i] = p.Ours, p.Peers, p.Ours/p.Peers
	}
	return Row{
		ID: id, What: what, Against: against, Value: Median(ours) / Median(peers), Lowest: slices.Min(ratios),
		Highest: slices.Max(ratios), Goal: goal, Rounds: len(pairs),
	}
}

// Single is the row of values that need no peer, in the unit.
func Single(id, what, against string, goal float64, unit string, values []float64) Row {
	return Row{
		ID: id, What: what, Against: against, Value: Median(values), Lowest: slices.Min(values), Highest: slices.Max(values),
		Unit: unit, Goal: goal, Rounds: len(values),
	}
}

// Skip is a row that was not measured.
func Skip(id, what, against string, goal float64, why string) Row {
	return Row{ID: id, What: what, Against: against, Goal: goal, Skipped: why}
}

// Met tells whether the goal is reached. A row without a goal, and one that was not measured, miss none.
func (r Row) Met() bool { return r.Skipped != "" || r.Goal == 0 || r.Value <= r.Goal }

// Median is the middle value, or the mean of the two in the middle; 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
