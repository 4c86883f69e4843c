package arm

import "fmt"

// Alter changes a live resource beside any program: what a person does with the portal or the az
// command, and what Azure does by itself. change gets copies of the record's inputs and outputs and
// returns those that the resource has from then on. The error says that there is no such resource,
// or that an operation on it is under way.
func (c *Cloud) Alter(id string, change func(inputs, outputs Document) (newInputs, newOutputs Document)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	live := c.live[Key(id)]
	if live == nil {
		return fmt.Errorf("%s does not exist, so it cannot be changed", id)
	}
	if op := c.running[Key(id)]; op != nil {
		return fmt.Errorf("%s cannot be changed while its %s is under way; wait until it ends", id, op.verb)
	}
	altered := *live
	altered.Inputs, altered.Outputs = change(live.Inputs.Clone(), live.Outputs.Clone())
	undo := c.change(func() { c.live[Key(id)] = &altered })
	if err := c.save(); err != nil {
		undo()
		return fmt.Errorf("%s is not changed: %w", id, err)
	}
	return nil
}
