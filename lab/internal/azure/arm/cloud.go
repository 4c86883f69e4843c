package arm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Operation says what is done to a resource.
type Operation string

// The operations that Options.Faults is asked about.
const (
	OperationCreate Operation = "create"
	OperationRead   Operation = "read"
	OperationUpdate Operation = "update"
	OperationDelete Operation = "delete"
	OperationInvoke Operation = "invoke"
)

// Options configure a simulated Azure.
type Options struct {
	// StateFile is the path of the inventory: JSON, mode 0600, replaced atomically after each change.
	// Empty keeps the inventory in memory.
	StateFile string
	// TimeScale is the factor on Azure's realistic durations; 0 does not wait at all.
	TimeScale float64
	// SubscriptionID, TenantID and ObjectID (of the deployer) are GUIDs; each has a default.
	SubscriptionID, TenantID, ObjectID string
	// Faults, if set, is asked before each operation, and the operation fails with its error. A
	// ServiceError can also be retried with success, or strike after the operation. typ is the ARM
	// type, such as Microsoft.Network/virtualNetworks, or the token of an invoke; id is the
	// resource's id, or empty for an invoke.
	Faults func(op Operation, typ, id string) error
	// RolePropagation, if set, is how long a role assignment takes until it is effective, in real
	// time. Without it, it is half a minute times TimeScale.
	RolePropagation *time.Duration
	// Existing are resources of other owners, see Cloud.Seed.
	Existing []Existing
	// RestrictedRegions are the regions, by their short names, where Azure creates no zone-redundant
	// PostgreSQL server for this subscription, whatever the documentation says.
	RestrictedRegions []string
	// Observe, if set, is called at the end of each operation that Azure took on, whether it
	// succeeded or failed. Several goroutines call it at once.
	Observe func(Event)
}

// The defaults of Options.
const (
	DefaultSubscriptionID = "00000000-0000-0000-0000-000000000001"
	DefaultTenantID       = "00000000-0000-0000-0000-000000000002"
	DefaultObjectID       = "00000000-0000-0000-0000-000000000003"
)

// azureCLI is the application id of Azure's command line: the client that deploys when a person is
// signed in.
const azureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

// Cloud is a simulated Azure subscription. It is safe for concurrent use.
type Cloud struct {
	options  Options
	services Services
	registry registry

	mu sync.Mutex
	// live and deleted are the resources that exist and those that are soft-deleted, by Key(id).
	live, deleted map[string]*Record
	// running are the operations under way, by Key(id). held has the owners that an operation
	// holds, each with the resource of that operation.
	running map[string]*operation
	held    map[string]string
	// lingering has the time until which a resource counts as used after it has lost its last user,
	// by Key(id). The state file does not have it.
	lingering map[string]time.Time
}

// Record is a resource as it is stored: without write-only values.
type Record struct {
	ID      string   `json:"id"`
	Kind    string   `json:"type"`
	Inputs  Document `json:"inputs"`
	Outputs Document `json:"outputs"`
	// Creation is a random id of this creation of the resource; a later resource with the same ID
	// has another one. It is empty in state files from before there were creation ids. Those files
	// stay readable: such a resource keeps its GUIDs.
	Creation string `json:"creation,omitempty"`
	// Created is the time of the creation. State files that are older than this field give the zero
	// time, long ago.
	Created time.Time `json:"created,omitzero"`
	// Seeded is set for a resource of another owner.
	Seeded bool `json:"seeded,omitempty"`
	// Sealed has the seals of write-only values, by path: they allow comparing such a value, not
	// reading it.
	Sealed map[string]string `json:"sealed,omitempty"`
}

// operation is a create, update or delete that takes its time.
type operation struct {
	verb   Operation
	record *Record
	owner  string
	// started is when Azure took the request.
	started time.Time
}

// Resource is an entry of the inventory.
type Resource struct {
	// ID is the resource id, Type the ARM type and Name the last name in the id.
	ID, Type, Name string
	// Seeded is set for a resource of another owner (see Cloud.Seed): no deployment leaves it
	// behind or deletes it.
	Seeded bool
}

// Open returns a simulated Azure with the resources of its state file, if there is one, and the
// existing ones of its options. The error names the file and says why it cannot be read, or says
// which resource cannot exist, and why.
func Open(options Options, with Services) (*Cloud, error) {
	options.SubscriptionID = cmp.Or(options.SubscriptionID, DefaultSubscriptionID)
	options.TenantID = cmp.Or(options.TenantID, DefaultTenantID)
	options.ObjectID = cmp.Or(options.ObjectID, DefaultObjectID)
	for name, value := range map[string]string{
		"SubscriptionID": options.SubscriptionID, "TenantID": options.TenantID, "ObjectID": options.ObjectID,
	} {
		if !GUID.MatchString(value) {
			return nil, fmt.Errorf("option %s of the simulated Azure is %q; it must be a GUID", name, value)
		}
	}
	if options.TimeScale < 0 {
		return nil, fmt.Errorf("option TimeScale of the simulated Azure is %g; it must be 0 or more", options.TimeScale)
	}
	cloud := &Cloud{
		options: options, services: with, registry: newRegistry(with),
		live: map[string]*Record{}, deleted: map[string]*Record{},
		running: map[string]*operation{}, held: map[string]string{}, lingering: map[string]time.Time{},
	}
	if err := cloud.load(); err != nil {
		return nil, err
	}
	if err := cloud.Seed(options.Existing...); err != nil {
		return nil, err
	}
	return cloud, nil
}

// Inventory returns the live resources, sorted by id.
func (c *Cloud) Inventory() []Resource {
	c.mu.Lock()
	defer c.mu.Unlock()
	return resourcesOf(c.live)
}

// SoftDeleted returns the deleted resources that still keep their name, sorted by id.
func (c *Cloud) SoftDeleted() []Resource {
	c.mu.Lock()
	defer c.mu.Unlock()
	return resourcesOf(c.deleted)
}

// Purge deletes a soft-deleted resource for good, with everything that was soft-deleted inside it,
// so that its name is free again: as "az keyvault purge" does. The error says that there is no such
// soft-deleted resource, or that purge protection keeps it.
func (c *Cloud) Purge(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone, ok := c.deleted[Key(id)]
	if !ok {
		return fmt.Errorf("%s is not soft-deleted, so it cannot be purged", id)
	}
	if rest := c.softDeletionOf(gone).Protected(gone); rest != "" {
		return fmt.Errorf("%s has purge protection, so it cannot be purged before its retention of %s ends; use another name", id, rest)
	}
	undo := c.change(func() {
		for k, other := range c.deleted {
			if k == Key(id) || Within(other.ID, id) {
				delete(c.deleted, k)
			}
		}
	})
	if err := c.save(); err != nil {
		undo()
		return err
	}
	return nil
}

// softDeletionOf returns the definition that says how a deleted resource keeps its name. A state
// file may have deleted resources of types without soft deletion.
func (c *Cloud) softDeletionOf(gone *Record) SoftDeletion {
	result := SoftDeletion{
		Conflict: func(gone *Record) Violation {
			return Violation{Code: "ObjectIsDeletedButRecoverable", Message: fmt.Sprintf(
				"'%s' is currently in a deleted but recoverable state, and its name cannot be reused. Purge it or use another name", gone.ID)}
		},
		Protected: func(*Record) string { return "" },
	}
	d := c.registry.kindOf(gone.Kind)
	if d == nil || d.SoftDeletes == nil {
		return result
	}
	result.Conflict = d.SoftDeletes.Conflict
	if d.SoftDeletes.Protected != nil {
		result.Protected = d.SoftDeletes.Protected
	}
	return result
}

// Forget removes a live resource, and everything below it, from the inventory without asking any
// rule, as if a person had deleted it without the engine. It is used to make drift. It also clears
// away resources that a killed engine could not record after Azure's answer. Nodes stay until the
// next operation on the cluster. The error says that there is no such resource, or that an
// operation on it is under way.
func (c *Cloud) Forget(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.live[Key(id)]; !ok {
		return fmt.Errorf("%s does not exist, so it cannot be forgotten", id)
	}
	for k, op := range c.running {
		if k == Key(id) || Within(op.record.ID, id) {
			return fmt.Errorf("%s cannot be forgotten while the %s of %s is under way; wait until it ends", id, op.verb, op.record.ID)
		}
	}
	undo := c.change(func() {
		for k, r := range c.live {
			if k == Key(id) || Within(r.ID, id) {
				delete(c.live, k)
			}
		}
	})
	if err := c.save(); err != nil {
		undo()
		return err
	}
	return nil
}

func resourcesOf(records map[string]*Record) []Resource {
	result := make([]Resource, 0, len(records))
	for _, r := range records {
		result = append(result, Resource{ID: r.ID, Type: r.Kind, Name: r.Name(), Seeded: r.Seeded})
	}
	slices.SortFunc(result, func(a, b Resource) int { return cmp.Compare(a.ID, b.ID) })
	return result
}

// Name returns the last name in the id.
func (r *Record) Name() string { return r.ID[strings.LastIndex(r.ID, "/")+1:] }

// scaled turns a duration of Azure's into one here.
func (c *Cloud) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * c.options.TimeScale)
}
