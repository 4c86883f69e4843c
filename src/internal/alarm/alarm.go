// Package alarm decides from a value and its limits whether an operator has to look.
package alarm

// State is what an operator sees of a point.
type State string

// The states of a point.
const (
	// Normal is within the limits.
	Normal State = "normal"
	// Low is below the lower limit.
	Low State = "low"
	// High is above the upper limit.
	High State = "high"
	// Abnormal is a position, such as an open breaker, that is not the normal one.
	Abnormal State = "abnormal"
)

// Limits bound what is normal. A limit that is nil does not exist.
type Limits struct {
	// Low and High are still normal themselves, in the unit of the point.
	Low, High *float64
	// Hysteresis is how far a value must come back within a limit before its alarm ends, in the unit
	// of the point: a value that trembles around a limit raises one alarm, not hundreds.
	Hysteresis float64
	// Normal is the position in which a breaker or another switch is expected.
	Normal *float64
}

// Next is the state that follows when value arrives while the point is in state previous.
func (l Limits) Next(previous State, value float64) State {
	switch {
	case l.Normal != nil && value != *l.Normal:
		return Abnormal
	case l.High != nil && value > *l.High-l.margin(previous, High):
		return High
	case l.Low != nil && value < *l.Low+l.margin(previous, Low):
		return Low
	default:
		return Normal
	}
}

// margin is how much tighter a limit is while its alarm is on.
func (l Limits) margin(previous, of State) float64 {
	if previous == of {
		return l.Hysteresis
	}
	return 0
}
