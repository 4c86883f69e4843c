package traffic

import (
	"fmt"
	"math"
	"time"
)

// Behaviour is how a version of the service answers.
type Behaviour struct {
	// ErrorShare is the share of requests, 0 to 1, that it answers with 500.
	ErrorShare float64
	// P50 and P95 are the times within which half of the requests, and 95 of 100, are answered. All
	// times have a log-normal distribution, the usual shape of latencies.
	P50, P95 time.Duration
}

// Good is the behaviour of every version without one of its own: well within the limits of the
// analysis.
var Good = Behaviour{P50: 20 * time.Millisecond, P95: 80 * time.Millisecond}

func (b Behaviour) check() error {
	if !(b.ErrorShare >= 0 && b.ErrorShare <= 1) { // NaN too
		return fmt.Errorf("the share of errors is %v; give one between 0 and 1", b.ErrorShare)
	}
	if b.P50 <= 0 || b.P95 < b.P50 {
		return fmt.Errorf("half of the requests take %s and 95 of 100 take %s; give a first time above 0 and a second no shorter",
			b.P50, b.P95)
	}
	return nil
}

// z95 is the quantile 0.95 of the standard normal distribution.
var z95 = normalQuantile(0.95)

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// seconds is the time within which the share p, above 0 and below 1, of the requests is answered.
func (b Behaviour) seconds(p float64) float64 {
	spread := math.Log(float64(b.P95)/float64(b.P50)) / z95
	return b.P50.Seconds() * math.Exp(spread*normalQuantile(p))
}
