package arm

import (
	"maps"
	"slices"
)

// Tokens returns every Pulumi token of a resource type that the cloud serves, sorted.
func (c *Cloud) Tokens() []string { return slices.Sorted(maps.Keys(c.registry.byToken)) }

// Functions returns the token of every provider function that the cloud serves, sorted.
func (c *Cloud) Functions() []string { return slices.Sorted(maps.Keys(c.functions())) }

// KindOf returns the ARM type of a Pulumi token, or "".
func (c *Cloud) KindOf(token string) string {
	if d := c.registry.byToken[token]; d != nil {
		return d.Kind
	}
	return ""
}

// Copy returns an independent cloud with the same resources. The two can share records, because a
// record is replaced and never changed.
func (c *Cloud) Copy() *Cloud {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Cloud{
		options: c.options, services: c.services, registry: c.registry, live: maps.Clone(c.live), deleted: maps.Clone(c.deleted),
		running: map[string]*operation{}, held: map[string]string{}, lingering: maps.Clone(c.lingering),
	}
}

// Unchanged reports whether nothing has happened since the copy was taken, and no operation is
// under way. The copy must not have changed either.
func (c *Cloud) Unchanged(since *Cloud) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Equal(c.live, since.live) && maps.Equal(c.deleted, since.deleted) && c.idle()
}

// Idle reports whether no operation is under way.
func (c *Cloud) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle()
}

func (c *Cloud) idle() bool { return len(c.running) == 0 && len(c.held) == 0 }
