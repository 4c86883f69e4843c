package alarm_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gridos/sharedinfra/src/internal/alarm"
)

func TestUnit_AnAlarmEndsOnlyWellWithinTheLimit(t *testing.T) {
	t.Parallel()
	low, high, closed := 100.0, 120.0, 1.0
	analog := alarm.Limits{Low: &low, High: &high, Hysteresis: 2}
	position := alarm.Limits{Normal: &closed}
	for name, c := range map[string]struct {
		limits alarm.Limits
		values []float64
		want   []alarm.State
	}{
		"the limit itself is normal":          {analog, []float64{100, 120}, []alarm.State{"normal", "normal"}},
		"trembling around the high limit":     {analog, []float64{121, 119, 120.5, 118.1, 118}, []alarm.State{"high", "high", "high", "high", "normal"}},
		"trembling around the low limit":      {analog, []float64{99, 101, 101.9, 102}, []alarm.State{"low", "low", "low", "normal"}},
		"from one side to the other":          {analog, []float64{130, 90, 130}, []alarm.State{"high", "low", "high"}},
		"no hysteresis before an alarm is on": {analog, []float64{119, 101}, []alarm.State{"normal", "normal"}},
		"a breaker opens and closes":          {position, []float64{1, 0, 1}, []alarm.State{"normal", "abnormal", "normal"}},
		"a point without limits":              {alarm.Limits{}, []float64{-1e9, 1e9}, []alarm.State{"normal", "normal"}},
	} {
		state, got := alarm.Normal, []alarm.State(nil)
		for _, value := range c.values {
			state = c.limits.Next(state, value)
			got = append(got, state)
		}
		assert.Equal(t, c.want, got, name)
	}
}
