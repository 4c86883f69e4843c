package telemetry

// Kind is what a point measures. A kind that an older version does not know is shown as a bare
// number, so that a new version may add kinds while the old one still runs.
type Kind string

// kindTraits are the facts about a kind.
type kindTraits struct {
	unit string
	// least and most bound plausible values: a value outside means a broken sensor or a wrong unit,
	// not an alarm.
	least, most float64
	// states name the values 0, 1, … of a switch; nil for what is measured.
	states []string
}

var kinds = map[Kind]kindTraits{
	"voltage":        {unit: "kV", least: 0, most: 1500},
	"current":        {unit: "A", least: 0, most: 50_000},
	"frequency":      {unit: "Hz", least: 0, most: 100},
	"active-power":   {unit: "MW", least: -10_000, most: 10_000},
	"reactive-power": {unit: "Mvar", least: -10_000, most: 10_000},
	"temperature":    {unit: "°C", least: -90, most: 400},
	"tap-position":   {unit: "", least: -100, most: 100},
	"breaker":        {unit: "", least: 0, most: 1, states: []string{"open", "closed"}},
}

// Unit is the symbol of the unit in which values of this kind are given; empty for positions and
// unknown kinds.
func (k Kind) Unit() string { return kinds[k].unit }

// States name the values 0, 1, … of a switch, such as "open" and "closed"; nil for what is
// measured.
func (k Kind) States() []string { return kinds[k].states }
