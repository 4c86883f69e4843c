// Package telemetry has the terms of the domain (substations, their points, and samples of these)
// and the rules for their values.
package telemetry

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gridos/sharedinfra/src/internal/alarm"
)

// The bounds of one request. They limit the memory and the database time that a request can take.
const (
	MaxSamples = 5_000
	MaxPoints  = 64
	MaxBuckets = 2_000
	MaxRange   = 31 * 24 * time.Hour
	// MaxAhead is how far in the future a sample may be: the clocks of field devices are not exact.
	MaxAhead = 5 * time.Minute
	// StaleAfter is the age at which the newest value of a point can no longer be trusted.
	StaleAfter = time.Minute

	maxName     = 80
	maxMistakes = 10
)

var identifier = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// CheckIdentifier says what is wrong with the identifier of a substation or a point.
func CheckIdentifier(what, id string) error {
	if identifier.MatchString(id) {
		return nil
	}
	return fmt.Errorf("%s %q is no identifier; use 1 to 40 of a-z, 0-9 and -, beginning and ending with a letter or digit",
		what, shorten(id))
}

// Ref names a point.
type Ref struct {
	Substation string `json:"substation"`
	Point      string `json:"point"`
}

// String is substation/point.
func (r Ref) String() string { return r.Substation + "/" + r.Point }

// Sample is one value of a point.
type Sample struct {
	Ref
	// At is when it was measured; at most one sample of a point is kept for each microsecond.
	At time.Time `json:"at"`
	// Value is in the unit of the point's kind.
	Value float64 `json:"value"`
}

// Substation is a substation with its points.
type Substation struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Region string  `json:"region"`
	Points []Point `json:"points"`
}

// Point is one thing that is measured, and what is normal for it.
type Point struct {
	Key  string `json:"key"`
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Low, High, Hysteresis and Normal are the limits, see alarm.Limits.
	Low        *float64 `json:"low,omitempty"`
	High       *float64 `json:"high,omitempty"`
	Hysteresis float64  `json:"hysteresis,omitempty"`
	Normal     *float64 `json:"normal,omitempty"`
}

// Limits are what is normal for the point.
func (p Point) Limits() alarm.Limits {
	return alarm.Limits{Low: p.Low, High: p.High, Hysteresis: p.Hysteresis, Normal: p.Normal}
}

// Mistakes is an error that lists the mistakes in a request: the first ten, and how many more there
// are.
type Mistakes struct {
	List []string
	More int
}

func (m *Mistakes) Error() string {
	text := strings.Join(m.List, "; ")
	if m.More > 0 {
		text += fmt.Sprintf("; and %d more", m.More)
	}
	return text
}

// Add records a mistake, if err is one.
func (m *Mistakes) Add(err error) {
	switch {
	case err == nil:
	case len(m.List) < maxMistakes:
		m.List = append(m.List, err.Error())
	default:
		m.More++
	}
}

// OrNil is m, or nil when there was no mistake.
func (m *Mistakes) OrNil() error {
	if len(m.List) == 0 {
		return nil
	}
	return m
}

// CheckSamples says what is wrong with a batch that arrives at now, while telemetry is kept for
// retention. Only the store knows whether the points exist and the values suit their kinds.
func CheckSamples(samples []Sample, now time.Time, retention time.Duration) error {
	var mistakes Mistakes
	if len(samples) == 0 || len(samples) > MaxSamples {
		mistakes.Add(fmt.Errorf("samples has %d elements; send 1 to %d at a time", len(samples), MaxSamples))
		return mistakes.OrNil()
	}
	oldest, newest := now.Add(-retention), now.Add(MaxAhead)
	for i, s := range samples {
		switch {
		case !identifier.MatchString(s.Substation) || !identifier.MatchString(s.Point):
			mistakes.Add(fmt.Errorf("samples[%d]: %w", i,
				errors.Join(CheckIdentifier("substation", s.Substation), CheckIdentifier("point", s.Point))))
		case s.At.Before(oldest):
			mistakes.Add(fmt.Errorf("samples[%d]: at is %s, which is older than what is kept (%v)",
				i, s.At.Format(time.RFC3339), retention))
		case s.At.After(newest):
			mistakes.Add(fmt.Errorf("samples[%d]: at is %s, in the future; check the clock of the sender", i, s.At.Format(time.RFC3339)))
		}
	}
	return mistakes.OrNil()
}

// CheckValue says what is wrong with a value of this kind.
func (k Kind) CheckValue(value float64) error {
	traits, known := kinds[k]
	switch {
	case math.IsNaN(value) || math.IsInf(value, 0):
		return errors.New("value is not a finite number")
	case !known:
		return nil // a newer version defined it, and knows what is right
	case value < traits.least || value > traits.most:
		return fmt.Errorf("value %v is not possible for %s; send %v to %v %s", value, k, traits.least, traits.most, traits.unit)
	case traits.states != nil && value != math.Trunc(value):
		return fmt.Errorf("value %v is not possible for %s; send 0 (%s) to %d (%s)",
			value, k, traits.states[0], len(traits.states)-1, traits.states[len(traits.states)-1])
	}
	return nil
}

// Check says what is wrong with the definition of a substation.
func (s Substation) Check() error {
	var mistakes Mistakes
	mistakes.Add(CheckIdentifier("substation", s.ID))
	mistakes.Add(checkName("name", s.Name))
	if s.Region != "" {
		mistakes.Add(checkName("region", s.Region))
	}
	if len(s.Points) == 0 || len(s.Points) > MaxPoints {
		mistakes.Add(fmt.Errorf("points has %d elements; define 1 to %d", len(s.Points), MaxPoints))
		return mistakes.OrNil()
	}
	seen := map[string]bool{}
	for i, p := range s.Points {
		for _, err := range p.check(seen) {
			mistakes.Add(fmt.Errorf("points[%d]: %w", i, err))
		}
		seen[p.Key] = true
	}
	return mistakes.OrNil()
}

func (p Point) check(seen map[string]bool) []error {
	var wrong []error
	add := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	add(CheckIdentifier("key", p.Key))
	if seen[p.Key] {
		add(fmt.Errorf("key %q is there twice; give each point a key of its own", p.Key))
	}
	add(checkName("name", p.Name))
	traits, known := kinds[p.Kind]
	if !known {
		add(fmt.Errorf("kind %q is not known; use one of %s", shorten(string(p.Kind)), kindNames()))
		return wrong
	}
	if traits.states == nil && p.Normal != nil {
		add(fmt.Errorf("normal is for switches; use low and high for %s", p.Kind))
	}
	if traits.states != nil && (p.Low != nil || p.High != nil || p.Hysteresis != 0) {
		add(fmt.Errorf("low, high and hysteresis are for what is measured; use normal for %s", p.Kind))
	}
	for name, limit := range map[string]*float64{"low": p.Low, "high": p.High, "normal": p.Normal} {
		if limit != nil {
			if err := p.Kind.CheckValue(*limit); err != nil {
				add(fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	width := math.Inf(1)
	if p.Low != nil && p.High != nil {
		width = *p.High - *p.Low
	}
	if width <= 0 {
		add(fmt.Errorf("low (%v) is not below high (%v)", *p.Low, *p.High))
	} else if p.Hysteresis < 0 || p.Hysteresis >= width/2 || math.IsNaN(p.Hysteresis) {
		// More than half of the band would leave no value at which both alarms can end.
		add(fmt.Errorf("hysteresis is %v; use 0 to less than half of what is between low and high", p.Hysteresis))
	}
	return wrong
}

func checkName(what, name string) error {
	switch {
	case strings.TrimSpace(name) == "" || utf8.RuneCountInString(name) > maxName:
		return fmt.Errorf("%s %q is not possible; use 1 to %d characters", what, shorten(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%s %q has characters that cannot be printed; leave them out", what, shorten(name))
	}
	return nil
}

func kindNames() string {
	names := slices.Sorted(maps.Keys(kinds))
	text := make([]string, len(names))
	for i, name := range names {
		text[i] = string(name)
	}
	return strings.Join(text, ", ")
}

// shorten keeps what a client sent from filling an error.
func shorten(text string) string {
	if runes := []rune(text); len(runes) > maxName {
		return string(runes[:maxName]) + "…"
	}
	return text
}
