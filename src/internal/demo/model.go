package demo

import (
	"hash/fnv"
	"math"
	"time"

	"github.com/gridos/sharedinfra/src/internal/telemetry"
)

// station is a substation of a grid that does not exist.
type station struct {
	id, name, region string
	kilovolts        float64 // nominal
	megawatts        float64 // at the height of the day
	trouble          trouble
}

// trouble is a fault of a station, so that the demo has something to show.
type trouble int

const (
	none      trouble = iota
	overheats         // its transformer is above the limit
	tripped           // a line is open for most of every hour
	sags              // its voltage is below the limit at times
	silent            // one of its sensors has gone quiet
)

var stations = []station{
	{"brueckenau", "Brückenau", "Valley", 110, 84, none},
	{"kranichberg", "Kranichberg", "Hills", 220, 160, sags},
	{"lindenau", "Lindenau", "City", 110, 118, overheats},
	{"moorkamp", "Moorkamp", "Coast", 110, 66, none},
	{"muehlbach", "Mühlbach", "Valley", 110, 52, silent},
	{"nordhafen", "Nordhafen", "Coast", 380, 410, none},
	{"ostermoor", "Ostermoor", "Coast", 220, 190, tripped},
	{"seeblick", "Seeblick", "Hills", 110, 47, none},
	{"westfeld", "Westfeld", "City", 380, 350, none},
}

// definition is what the station measures.
func (s station) definition() telemetry.Substation {
	number := func(value float64) *float64 { return &value }
	amperes := math.Ceil(s.megawatts*1000/(math.Sqrt(3)*s.kilovolts)*1.25/50) * 50
	return telemetry.Substation{ID: s.id, Name: s.name, Region: s.region, Points: []telemetry.Point{
		{
			Key: "busbar-voltage", Name: "Busbar voltage", Kind: "voltage",
			Low: number(s.kilovolts * .95), High: number(s.kilovolts * 1.05),
			Hysteresis: s.kilovolts * .004,
		},
		{Key: "frequency", Name: "Frequency", Kind: "frequency", Low: number(49.8), High: number(50.2), Hysteresis: .01},
		{Key: "line-breaker", Name: "Line 1 breaker", Kind: "breaker", Normal: number(1)},
		{Key: "line-current", Name: "Line 1 current", Kind: "current", High: number(amperes), Hysteresis: amperes * .02},
		{Key: "active-power", Name: "Active power", Kind: "active-power"},
		{Key: "reactive-power", Name: "Reactive power", Kind: "reactive-power"},
		{Key: "oil-temperature", Name: "Transformer oil", Kind: "temperature", High: number(85), Hysteresis: 2},
		{Key: "tap", Name: "Tap changer", Kind: "tap-position"},
	}}
}

// at is what the station measures at a moment. It depends on nothing else, so the invented history
// and the values that are sent later fit together, also after a restart.
func (s station) at(t time.Time) map[string]float64 {
	day := 2 * math.Pi * float64(t.Unix()%86400) / 86400
	load := .72 - .2*math.Cos(day-.6) + .06*math.Sin(2*day) +
		.025*s.noise("load", t, 10*time.Minute) + .012*s.noise("load", t, 40*time.Second)
	// All of a grid has one frequency; the stations measure it a little differently.
	grid := stations[0]
	frequency := 50 + .018*grid.noise("f", t, 3*time.Minute) + .01*grid.noise("f", t, 15*time.Second) + .001*s.noise("f", t, 2*time.Second)
	voltage := s.kilovolts * (1.012 - .018*load + .004*s.noise("u", t, 5*time.Minute) + .0012*s.noise("u", t, 8*time.Second))
	oil := 38 + 38*load + 3*s.noise("oil", t, 30*time.Minute) + .3*s.noise("oil", t, 20*time.Second)
	closed := 1.0
	switch s.trouble {
	case none, silent:
	case overheats:
		oil += 92 - 38 - 38*load
	case sags:
		voltage -= s.kilovolts * .062 * bump(t, 50*time.Minute, .9)
	case tripped:
		if bump(t, time.Hour, .8) > 0 {
			closed = 0
		}
	}
	power := s.megawatts * load * closed
	measured := map[string]float64{
		"busbar-voltage":  round(voltage, 2),
		"frequency":       round(frequency, 3),
		"line-breaker":    closed,
		"line-current":    round(power*1000/(math.Sqrt(3)*voltage)*.98, 0),
		"active-power":    round(power, 1),
		"reactive-power":  round(power*(.21+.03*s.noise("q", t, 7*time.Minute)), 1),
		"oil-temperature": round(oil, 1),
		"tap":             math.Round(4 + 3*s.noise("tap", t, 2*time.Hour)),
	}
	if s.trouble == silent && time.Since(t) < 12*time.Minute {
		delete(measured, "oil-temperature")
	}
	return measured
}

// bump rises from 0 to 1 and falls again during the first share of each period, and is 0 in the
// rest of it.
func bump(t time.Time, period time.Duration, share float64) float64 {
	phase := float64(t.UnixNano()%int64(period)) / float64(period)
	if phase > share {
		return 0
	}
	return math.Pow(math.Sin(math.Pi*phase/share), .5)
}

// noise wanders between -1 and 1 and takes about the period for a change of direction.
func (s station) noise(what string, t time.Time, period time.Duration) float64 {
	step := t.UnixNano() / int64(period)
	rest := float64(t.UnixNano()%int64(period)) / float64(period)
	smooth := rest * rest * (3 - 2*rest)
	return s.random(what, period, step)*(1-smooth) + s.random(what, period, step+1)*smooth
}

func (s station) random(what string, period time.Duration, step int64) float64 {
	hash := fnv.New64a()
	for _, part := range []string{s.id, what, period.String(), time.Unix(step, 0).UTC().String()} {
		_, _ = hash.Write([]byte(part)) // a hash takes everything
	}
	// The low bits of FNV are the better mixed ones; one multiplication more spreads them.
	return float64((hash.Sum64()*0x9e3779b97f4a7c15)>>11)/(1<<52) - 1
}

func round(value float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(value*scale) / scale
}
