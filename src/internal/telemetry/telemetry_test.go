package telemetry_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/telemetry"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestUnit_SamplesThatCannotBeRightAreNamed(t *testing.T) {
	t.Parallel()
	good := telemetry.Sample{Ref: telemetry.Ref{Substation: "nord", Point: "u1"}, At: now}
	require.NoError(t, telemetry.CheckSamples([]telemetry.Sample{good}, now, time.Hour))

	for want, change := range map[string]func(*telemetry.Sample){
		`samples[1]: substation "../etc" is no identifier`: func(s *telemetry.Sample) { s.Substation = "../etc" },
		`samples[1]: point "" is no identifier`:            func(s *telemetry.Sample) { s.Point = "" },
		"samples[1]: at is 2026-03-01T10:59:59Z, which is": func(s *telemetry.Sample) { s.At = now.Add(-time.Hour - time.Second) },
		"samples[1]: at is 2026-03-01T12:05:01Z, in the f": func(s *telemetry.Sample) { s.At = now.Add(5*time.Minute + time.Second) },
	} {
		bad := good
		change(&bad)
		require.ErrorContains(t, telemetry.CheckSamples([]telemetry.Sample{good, bad}, now, time.Hour), want)
	}
	for _, count := range []int{0, telemetry.MaxSamples + 1} {
		require.ErrorContains(t, telemetry.CheckSamples(make([]telemetry.Sample, count), now, time.Hour), "send 1 to 5000")
	}
}

func TestUnit_ALongListOfMistakesIsCut(t *testing.T) {
	t.Parallel()
	bad := make([]telemetry.Sample, 1000)
	for i := range bad {
		bad[i].Substation = strings.Repeat("x", 100_000)
	}
	err := telemetry.CheckSamples(bad, now, time.Hour)
	require.ErrorContains(t, err, "and 990 more")
	assert.Less(t, len(err.Error()), 5_000)
}

func TestUnit_ValuesMustBePossibleForTheirKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  telemetry.Kind
		value float64
		want  string
	}{
		{"voltage", 110, ""},
		{"voltage", -1, "value -1 is not possible for voltage; send 0 to 1500 kV"},
		{"active-power", -300, ""},
		{"frequency", 50_000, "send 0 to 100 Hz"},
		{"breaker", 1, ""},
		{"breaker", 0.5, "send 0 (open) to 1 (closed)"},
		{"breaker", 2, "not possible"},
		{"from-a-newer-version", 12345, ""},
		{"from-a-newer-version", math.NaN(), "not a finite number"},
		{"voltage", math.Inf(1), "not a finite number"},
	} {
		if err := c.kind.CheckValue(c.value); c.want == "" {
			require.NoError(t, err, "%s %v", c.kind, c.value)
		} else {
			require.ErrorContains(t, err, c.want)
		}
	}
}

func TestUnit_DefinitionsAreChecked(t *testing.T) {
	t.Parallel()
	low, high, one := 105.0, 120.0, 1.0
	define := func() telemetry.Substation {
		return telemetry.Substation{ID: "nord", Name: "Umspannwerk Nord", Region: "Küste", Points: []telemetry.Point{
			{Key: "u1", Name: "Busbar 1", Kind: "voltage", Low: &low, High: &high, Hysteresis: 1},
			{Key: "q1", Name: "Line 1", Kind: "breaker", Normal: &one},
		}}
	}
	require.NoError(t, define().Check())
	for want, change := range map[string]func(*telemetry.Substation){
		"no identifier":                     func(s *telemetry.Substation) { s.ID = "Nord!" },
		`name "" is not possible`:           func(s *telemetry.Substation) { s.Name = "" },
		"cannot be printed":                 func(s *telemetry.Substation) { s.Region = "a\x00b" },
		"define 1 to 64":                    func(s *telemetry.Substation) { s.Points = nil },
		`points[1]: key "u1" is there`:      func(s *telemetry.Substation) { s.Points[1].Key = "u1" },
		`points[0]: kind "volts" is`:        func(s *telemetry.Substation) { s.Points[0].Kind = "volts" },
		"low (120) is not below high (105)": func(s *telemetry.Substation) { s.Points[0].Low, s.Points[0].High = &high, &low },
		"hysteresis is 8":                   func(s *telemetry.Substation) { s.Points[0].Hysteresis = 8 },
		"use normal for breaker":            func(s *telemetry.Substation) { s.Points[1].High = &one },
		"use low and high for voltage":      func(s *telemetry.Substation) { s.Points[0].Normal = &one },
		"high: value 120 is not possible":   func(s *telemetry.Substation) { s.Points[0].Kind = "frequency" },
	} {
		substation := define()
		change(&substation)
		require.ErrorContains(t, substation.Check(), want)
	}
}
