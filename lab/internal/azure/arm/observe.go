package arm

import "time"

// Event is an operation that Azure took on and that has ended. Refused requests are no events: they
// take no time.
type Event struct {
	// Operation is create, update or delete.
	Operation Operation
	// Type is the ARM type and ID the ARM id of the resource.
	Type, ID string
	// Owner is the id, in lower case, of the resource that the operation held; empty if Azure works
	// on any number of such resources at once.
	Owner string
	// Start and End are times of this machine's clock, and so scaled by Options.TimeScale.
	Start, End time.Time
	// Latency is how long Azure would take, not scaled.
	Latency time.Duration
}

// observe reports the end of an operation to the observer.
func (c *Cloud) observe(op *operation) {
	if c.options.Observe == nil {
		return
	}
	c.options.Observe(Event{
		Operation: op.verb, Type: op.record.Kind, ID: op.record.ID, Owner: op.owner, Start: op.started, End: time.Now(),
		Latency: c.services.Latency(op.record.Kind, op.verb, op.record.Inputs),
	})
}
