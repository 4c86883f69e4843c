package arm

import (
	"context"
	"errors"
	"fmt"
)

// A person who works with az sends the same requests as the engine: the same rules judge them, and
// they take as long.

// Live returns the inputs and outputs of a live resource; exists is false when there is none.
func (c *Cloud) Live(id string) (in, out Document, exists bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	live := c.live[Key(id)]
	if live == nil {
		return nil, nil, false
	}
	return live.Inputs.Clone(), live.Outputs.Clone(), true
}

// Request creates the resource of a Pulumi type, and waits until it is there. The error has all
// reasons of a refusal.
func (c *Cloud) Request(ctx context.Context, token string, in Document) error {
	d, ok := c.registry.byToken[token]
	if !ok {
		return fmt.Errorf("the simulated Azure has no resource type %q", token)
	}
	inputs := in.Properties()
	if err := c.unacceptable(d, nil, in); err != nil {
		return err
	}
	_, _, err := c.create(ctx, d, inputs)
	return err
}

// Update changes the inputs of a live resource, and waits until Azure has done so. Write-only
// inputs stay unchanged. The error has all reasons of a refusal.
func (c *Cloud) Update(ctx context.Context, id string, change func(in Document) Document) error {
	d, before, err := c.existing(id)
	if err != nil {
		return err
	}
	in := change(before.Clone())
	if err := c.unacceptable(d, before, in); err != nil {
		return err
	}
	_, err = c.update(ctx, d, id, before.Properties(), in.Properties())
	return err
}

// Delete deletes a live resource, and waits until it is gone. The error has all reasons of a
// refusal.
func (c *Cloud) Delete(ctx context.Context, id string) error {
	d, _, err := c.existing(id)
	if err != nil {
		return err
	}
	return c.remove(ctx, d, id)
}

// existing returns the definition of a live resource, and its inputs.
func (c *Cloud) existing(id string) (*Definition, Document, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	live := c.live[Key(id)]
	if live == nil {
		return nil, nil, fmt.Errorf("ResourceNotFound: %s was not found", id)
	}
	return c.registry.kindOf(live.Kind), live.Inputs, nil
}

// unacceptable returns the mistakes that the inputs have by themselves.
func (c *Cloud) unacceptable(d *Definition, before, in Document) error {
	var reasons []error
	for _, failure := range c.check(d, before.Properties(), in.Properties()) {
		reasons = append(reasons, fmt.Errorf("%s: %s", failure.GetProperty(), failure.GetReason()))
	}
	return errors.Join(reasons...)
}
