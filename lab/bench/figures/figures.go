// Package figures turns measurements into ratios: the time of this repository to that of its peers,
// each with its goal.
package figures

import (
	"slices"
)

// Row is one line of the report.
type Row struct {
	// ID names the row for bounds and scripts, such as preview/gridos-infra.
	ID string `json:"id"`
	// What was measured, and Against which peer.
	What    string `json:"what"`
	Against string `json:"against"`
	// Value is the median of the rounds: a ratio, where 1 means as much as the peer, or seconds if
	// Unit says so. Lowest and Highest are those of single rounds.
	Value   float64 `json:"value"`
	Lowest  float64 `json:"lowest"`
	Highest float64 `json:"highest"`
	Unit    string  `json:"unit,omitempty"`
	// Goal is the highest acceptable value; 0 means that there is no goal and the row explains
	// another one.
	Goal float64 `json:"goal,omitempty"`
	// Rounds is how often it was measured.
	Rounds int `json:"rounds"`
	// Skipped says why it was not measured.
	Skipped string `json:"skipped,omitempty"`
}

// Seconds is the unit of rows without a peer.
const Seconds = "s"

// Pair is one round: the time of this repository, and the time of the peer right before or after
// it.
type Pair struct{ Ours, Peers float64 }

// Ratio returns the row for pairs: the median of ours divided by the median of the peer's.
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

// Met reports whether the goal is reached. A row without a goal, or one that was not measured,
// counts as met.
func (r Row) Met() bool { return r.Skipped != "" || r.Goal == 0 || r.Value <= r.Goal }

// Median is the middle value, or the mean of the two in the middle; without values it is 0.
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
