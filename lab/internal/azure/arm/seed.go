package arm

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Existing is a resource of another owner that exists before any deployment: for example the key
// vault from which an Application Gateway takes its certificate.
type Existing struct {
	// Type is the ARM type, such as Microsoft.KeyVault/vaults.
	Type string
	// Inputs are those of the azure-native resource of the type, such as resourceGroupName and
	// vaultName.
	Inputs map[string]any
}

// ExistingGroup is a resource group of another owner.
func ExistingGroup(name, location string) Existing {
	return Existing{typeResourceGroup, map[string]any{"resourceGroupName": name, "location": location}}
}

// Seed puts resources of other owners into the inventory, at once and in the given order. Resources
// that are there already stay unchanged. They are judged by the same rules as others, and marked as
// Seeded. The error names the resource that Azure would refuse; those before it have been added.
func (c *Cloud) Seed(resources ...Existing) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, existing := range resources {
		if err := c.seed(existing); err != nil {
			return err
		}
	}
	return nil
}

// seed adds one resource. The caller holds the lock.
func (c *Cloud) seed(existing Existing) error {
	d := c.registry.kindOf(existing.Type)
	if d == nil {
		return fmt.Errorf("existing resource has the type %q, which the simulated Azure does not serve", existing.Type)
	}
	inputs := resource.NewPropertyMapFromMap(existing.Inputs)
	s := Subject{Definition: d, In: documentOf(inputs), Cloud: &View{c}}
	var complete bool
	if s.ID, complete = d.Path.Expand(c.options.SubscriptionID, s.In); !complete {
		return fmt.Errorf("existing %s needs %v; set them all", existing.Type, d.Path.Parameters())
	}
	if c.live[Key(s.ID)] != nil {
		return nil
	}
	if failures := checkSchema(inputs, d.Inputs, d.Required); len(failures) > 0 {
		return fmt.Errorf("existing %s %q cannot exist: %s", existing.Type, s.ID, failures[0].GetReason())
	}
	if violations := c.obstaclesToPut(OperationCreate, s); len(violations) > 0 {
		return refusal(OperationCreate, s.Kind, s.ID, violations)
	}
	stored := &Record{ID: s.ID, Kind: s.Kind, Inputs: s.In.Without(s.WriteOnly...)}
	c.settled(stored, s, inputs)
	stored.Seeded = true
	undo := c.change(func() { c.live[Key(s.ID)] = stored })
	if err := c.save(); err != nil {
		undo()
		return err
	}
	return nil
}

// Unseeded returns the resources without another owner: a deployment has made them, and must not
// leave them behind.
func Unseeded(resources []Resource) []Resource {
	return slices.DeleteFunc(slices.Clone(resources), func(r Resource) bool { return r.Seeded })
}
