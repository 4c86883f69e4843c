package azure

// Copy returns a cloud of its own that has the same resources.
func (c *Cloud) Copy() *Cloud { return &Cloud{c.Cloud.Copy(), c.kubernetes} }

// Unchanged reports whether nothing has happened since a copy was taken, and nothing is under way.
func (c *Cloud) Unchanged(since *Cloud) bool { return c.Cloud.Unchanged(since.Cloud) }
