package arm

import "fmt"

// Alter changes a live resource outside of any program, as a person does with the portal or the az
// command, or as Azure does by itself. change gets copies of the record's inputs and outputs and
// returns the new ones. The error says that there is no such resource, or that an operation on it
// is under way.
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
