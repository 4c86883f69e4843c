package arm

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// create carries out the creation of a resource and returns its id and outputs.
func (c *Cloud) create(ctx context.Context, d *Definition, inputs resource.PropertyMap) (string, resource.PropertyMap, error) {
	if inputs.ContainsUnknowns() {
		return "", nil, notKnown(d)
	}
	in := documentOf(inputs)
	id, ok := d.Path.Expand(c.options.SubscriptionID, in)
	if !ok {
		return "", nil, status.Errorf(codes.InvalidArgument, "%s cannot be created: one of %s is missing or unknown",
			d.Kind, strings.Join(d.Path.Parameters(), ", "))
	}
	outputs, err := c.put(ctx, OperationCreate, Subject{Definition: d, ID: id, In: in}, inputs)
	return id, outputs, err
}

// notKnown is the answer to inputs that are not all known. Only a preview has such inputs, and they
// would be stored as empty objects.
func notKnown(d *Definition) error {
	return status.Errorf(codes.InvalidArgument, "inputs of the %s are not known yet; only a preview may leave them open", d.Kind)
}

// otherType is the answer to a request whose type differs from that of the resource.
func otherType(id string, live *Record, d *Definition) error {
	return status.Errorf(codes.InvalidArgument, "%q is a %s, not a %s", id, live.Kind, d.Kind)
}

// update carries out a change in place and returns the new outputs.
func (c *Cloud) update(ctx context.Context, d *Definition, id string, before, inputs resource.PropertyMap,
) (resource.PropertyMap, error) {
	if inputs.ContainsUnknowns() {
		return nil, notKnown(d)
	}
	c.mu.Lock()
	existing := c.live[Key(id)]
	c.mu.Unlock()
	if existing != nil {
		if existing.Kind != d.Kind {
			return nil, otherType(id, existing, d)
		}
		id = existing.ID // with the letters of its creation
	}
	return c.put(ctx, OperationUpdate,
		Subject{Definition: d, ID: id, In: documentOf(inputs), Before: documentOf(before)}, inputs)
}

// put has the common part of creating and updating: ask, wait, store.
func (c *Cloud) put(ctx context.Context, verb Operation, s Subject, inputs resource.PropertyMap) (resource.PropertyMap, error) {
	lost, err := c.fault(ctx, verb, s.Kind, s.ID)
	if err != nil {
		return nil, err
	}
	if s.Settle != nil && !s.Creating() {
		s.In = s.Settle(s.In)
		inputs = overlay(inputs, s.In.Properties())
	}
	stored := &Record{ID: s.ID, Kind: s.Kind, Inputs: s.In.Without(s.WriteOnly...)}
	op := &operation{verb: verb, record: stored}
	if err := c.begin(op, s); err != nil {
		return nil, err
	}
	defer c.end(op)

	// Azure has taken the request, and carries it out even if the caller no longer waits for the
	// answer.
	ctx = context.WithoutCancel(ctx)
	if err := c.pass(ctx, op, s.Definition); err != nil {
		return nil, err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	outputs := c.settled(stored, s, inputs)
	undo := c.change(func() {
		c.live[Key(s.ID)] = stored
		delete(c.deleted, Key(s.ID)) // it is recovered
	})
	if err := c.save(); err != nil {
		undo()
		return nil, fmt.Errorf("%s of %s %q has not happened: %w", verb, s.Kind, s.ID, err)
	}
	return outputs, lost
}

// settled completes the new record of a resource, and returns its outputs. The caller holds the
// lock.
func (c *Cloud) settled(stored *Record, s Subject, inputs resource.PropertyMap) resource.PropertyMap {
	s.Cloud = &View{c}
	stored.Creation, stored.Created = uuid.NewString(), time.Now()
	if existing := cmp.Or(c.live[Key(s.ID)], c.deleted[Key(s.ID)]); existing != nil { // a recovered resource is the old one
		stored.Creation, stored.Created, stored.Seeded = existing.Creation, existing.Created, existing.Seeded
	}
	s.Creation = stored.Creation
	stored.Sealed = sealedOf(s)
	if existing := c.live[Key(s.ID)]; existing != nil {
		// A write-only value that a request leaves out, such as a password, stays.
		for path, seal := range existing.Sealed {
			if stored.Sealed[path] == "" {
				stored.Sealed[path] = seal
			}
		}
	}
	if s.In.Text("location") == "" && hasProperty(s.Inputs, "location") {
		// azure-native and Azure use the location of the resource group.
		s.In = s.In.Merge(Document{"location": s.Cloud.groupLocation(s.ID)})
	}
	computed := c.common(s)
	if s.Compute != nil {
		computed = computed.Merge(s.Compute(s))
	}
	outputs := overlay(s.echo(inputs), s.known(computed))
	stored.Outputs = documentOf(outputs)
	return outputs
}

// remove carries out a deletion. Deleting a missing resource succeeds, as in Azure.
func (c *Cloud) remove(ctx context.Context, d *Definition, id string) error {
	lost, err := c.fault(ctx, OperationDelete, d.Kind, id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	existing := c.live[Key(id)]
	c.mu.Unlock()
	if existing == nil {
		return lost
	}
	if existing.Kind != d.Kind {
		return otherType(id, existing, d)
	}
	op := &operation{verb: OperationDelete, record: existing}
	if err := c.begin(op, Subject{Definition: d, ID: existing.ID, In: existing.Inputs, Before: existing.Inputs}); err != nil {
		return err
	}
	defer c.end(op)

	ctx = context.WithoutCancel(ctx) // as in put
	if err := c.pass(ctx, op, d); err != nil {
		return err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	undo := c.change(func() {
		delete(c.live, Key(id))
		for k, r := range c.live {
			if Within(r.ID, id) && c.registry.kindOf(r.Kind).BuiltIn {
				delete(c.live, k)
			}
		}
		if d.SoftDeletes != nil {
			c.deleted[Key(id)] = existing
		}
	})
	if err := c.save(); err != nil {
		undo()
		return fmt.Errorf("delete of %s %q has not happened: %w", d.Kind, id, err)
	}
	return lost
}

// change applies a change to the resources and returns how to undo it, so that the engine's answer
// and the stored record never differ. The caller holds the lock.
func (c *Cloud) change(apply func()) (undo func()) {
	live, deleted := maps.Clone(c.live), maps.Clone(c.deleted)
	apply()
	return func() { c.live, c.deleted = live, deleted }
}

// pass lets the operation take its time, and then applies its effects outside of the inventory.
func (c *Cloud) pass(ctx context.Context, op *operation, d *Definition) error {
	time.Sleep(c.scaled(c.services.Latency(d.Kind, op.verb, op.record.Inputs)))
	if d.After == nil {
		return nil
	}
	if err := d.After(ctx, c, op.verb, op.record); err != nil {
		return fmt.Errorf("%s of %s %q failed: %w", op.verb, d.Kind, op.record.ID, err)
	}
	return nil
}

// begin decides whether Azure takes the request. If it does, the operation is under way until end.
func (c *Cloud) begin(op *operation, s Subject) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Cloud = &View{c}

	if busy := c.busy(op, s); busy != nil {
		return refusal(op.verb, s.Kind, s.ID, []Violation{*busy})
	}
	var violations []Violation
	if op.verb == OperationDelete {
		violations = slices.Concat(c.obstaclesToDelete(s), s.Judge(s.Farewells))
	} else {
		violations = c.obstaclesToPut(op.verb, s)
	}
	if len(violations) > 0 {
		return refusal(op.verb, s.Kind, s.ID, violations)
	}
	op.started = time.Now()
	c.running[Key(s.ID)] = op
	if op.owner != "" {
		c.held[op.owner] = s.ID
	}
	return nil
}

func (c *Cloud) end(op *operation) {
	c.observe(op)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, Key(op.record.ID))
	if op.owner != "" {
		delete(c.held, op.owner)
	}
}

// busy refuses a second operation on one resource, or on the owner that a serial type works on.
// azure-native would send such a request again for some minutes (see ServiceError), but here it
// fails at once, on purpose: with retries a program that lacks a dependency sometimes succeeds, and
// here it never does.
func (c *Cloud) busy(op *operation, s Subject) *Violation {
	if other, ok := c.running[Key(s.ID)]; ok {
		return &Violation{Code: "AnotherOperationInProgress", Message: fmt.Sprintf(
			"Another operation (%s) is in progress on '%s'. Wait until it ends and try again", other.verb, s.ID)}
	}
	if s.Serial == nil {
		return nil
	}
	owner, ok := Ancestor(s.ID, s.Serial.Owner)
	if !ok {
		return nil
	}
	if by, taken := c.held[Key(owner)]; taken {
		return &Violation{Rule: s.Serial.Rule, Code: s.Serial.Code, Message: fmt.Sprintf(
			"Another operation on this or a dependent resource is in progress: '%s' is busy with '%s'. %s",
			owner, by, s.Serial.Remedy)}
	}
	op.owner = Key(owner)
	return nil
}

// Ancestor returns the resource of the given ARM type that id is, or is below.
func Ancestor(id, kind string) (string, bool) {
	parsed, err := ParseID(id)
	for ok := err == nil; ok; parsed, ok = parsed.Parent() {
		if strings.EqualFold(parsed.Kind(), kind) {
			return parsed.String(), true
		}
	}
	return "", false
}

// obstaclesToPut returns every reason against creating or updating a resource.
func (c *Cloud) obstaclesToPut(verb Operation, s Subject) []Violation {
	existing := s.Cloud.Find(s.ID)
	switch {
	case verb == OperationCreate && existing != nil && !s.BuiltIn:
		return []Violation{{Code: "Conflict", Message: fmt.Sprintf(
			"cannot create already existing resource '%s'. Import it, or delete it first", s.ID)}}
	case verb == OperationUpdate && existing == nil:
		return []Violation{{Code: "ResourceNotFound", Message: fmt.Sprintf(
			"the resource '%s' was not found; run `pulumi refresh`, so that it is created again", s.ID)}}
	}
	var violations []Violation
	if verb == OperationCreate {
		violations = append(violations, c.nameConflicts(s)...)
	}
	violations = append(violations, c.missingParents(s)...)
	violations = append(violations, c.missingReferences(s)...)
	violations = append(violations, s.checkName()...)
	violations = append(violations, s.checkFrozen()...)
	violations = append(violations, s.Judge(s.Checks)...)
	violations = append(violations, s.Judge(s.Demands)...)
	return append(violations, s.Judge(s.Standing)...)
}

// nameConflicts refuses names that a soft-deleted resource still has, or that are taken elsewhere
// in Azure.
func (c *Cloud) nameConflicts(s Subject) []Violation {
	var violations []Violation
	name := s.In.Text(s.Path.nameParameter())
	for _, gone := range Sorted(c.deleted) {
		same := Key(gone.ID) == Key(s.ID) || s.Global && strings.EqualFold(gone.Kind, s.Kind) && strings.EqualFold(gone.Name(), name)
		if same && !s.recovers(gone) {
			violations = append(violations, c.softDeletionOf(gone).Conflict(gone))
		}
	}
	if !s.Global {
		return violations
	}
	for _, other := range s.Cloud.Present() {
		if strings.EqualFold(other.Kind, s.Kind) && strings.EqualFold(other.Name(), name) && Key(other.ID) != Key(s.ID) {
			violations = append(violations, Violation{
				Code: "NameAlreadyInUse", Property: s.Path.nameParameter(),
				Message: fmt.Sprintf("the name '%s' is already in use by '%s', and it must be unique in all of Azure; choose another one",
					name, other.ID),
			})
		}
	}
	return violations
}

// missingParents refuses a resource whose group or parent does not exist.
func (c *Cloud) missingParents(s Subject) []Violation {
	if s.Kind == typeResourceGroup {
		return nil
	}
	if group := ResourceGroupOf(s.ID); group != "" && s.Cloud.Find(group) == nil && !s.Cloud.managed(s.ID) {
		return []Violation{{Code: "ResourceGroupNotFound", Message: fmt.Sprintf(
			"Resource group '%s' could not be found. Create it first, and let '%s' depend on it",
			group[strings.LastIndex(group, "/")+1:], s.ID)}}
	}
	parsed, err := ParseID(s.ID)
	if err != nil {
		return []Violation{{Code: "InvalidResourceId", Message: err.Error()}}
	}
	if parent, ok := parsed.Parent(); ok && c.registry.kindOf(parent.Kind()) != nil && s.Cloud.Find(parent.String()) == nil {
		return []Violation{{Code: "ParentResourceNotFound", Message: fmt.Sprintf(
			"Failed to perform '%s' on '%s', because the parent resource '%s' is not found. Create it first, and let this one depend on it",
			"write", s.ID, parent.String())}}
	}
	return nil
}

// missingReferences refuses ids, anywhere in the inputs, of resources that do not exist.
func (c *Cloud) missingReferences(s Subject) []Violation {
	var violations []Violation
	s.In.Walk(func(path, text string) {
		if !LooksLikeID(text) {
			return
		}
		if why := s.Cloud.missing(text, s); why != "" {
			violations = append(violations, Violation{
				Rule: partRule(s, text), Code: "InvalidResourceReference", Property: path,
				Message: fmt.Sprintf("Resource '%s' referenced by '%s' was not found: %s. Create it first, and take its id from there",
					text, s.ID, why),
			})
			return
		}
		parsed, err := ParseID(text)
		if want := s.Refers[plainReference(path)]; err == nil && want != "" && !strings.EqualFold(parsed.Kind(), want) {
			violations = append(violations, Violation{
				Code: "LinkedInvalidPropertyId", Property: path,
				Message: fmt.Sprintf("'%s' is a %s, but %s of '%s' takes a %s. Refer to one", text, parsed.Kind(), path, s.ID, want),
			})
		}
	})
	slices.SortFunc(violations, func(a, b Violation) int { return strings.Compare(a.Property, b.Property) })
	return violations
}

var listIndex = regexp.MustCompile(`\[[0-9]+\]`)

// plainReference returns the path of an input without the indexes of lists.
func plainReference(path string) string { return listIndex.ReplaceAllString(path, "") }

// partRule names the rule about references to a resource's own parts, if it has one.
func partRule(s Subject, id string) string {
	if Within(id, s.ID) {
		return s.PartRule
	}
	return ""
}

// obstaclesToDelete returns every reason against deleting a resource: its content, and resources
// that refer to it. Nothing cascades, not even from a resource group: resources that disappear
// without the engine would stay in its state.
func (c *Cloud) obstaclesToDelete(s Subject) []Violation {
	if s.BuiltIn {
		return []Violation{{Code: "MethodNotAllowed", Message: fmt.Sprintf("'%s' cannot be deleted: %s", s.ID, s.BuiltInRemedy)}}
	}
	users := slices.Concat(s.Cloud.Users(s.ID), s.Cloud.Children(s.ID))
	users = slices.DeleteFunc(users, func(r *Record) bool {
		return Within(r.ID, s.ID) && c.registry.kindOf(r.Kind).BuiltIn
	})
	if len(users) == 0 {
		return nil
	}
	return []Violation{{Code: s.InUse, Message: fmt.Sprintf(
		"'%s' is in use by %s and cannot be deleted. Delete or change these first", s.ID, NameList(users))}}
}

// common returns the outputs that resources of all types have, as far as the SDK's type has them.
func (c *Cloud) common(s Subject) Document {
	return Document{
		"name": s.ID[strings.LastIndex(s.ID, "/")+1:], "type": s.Kind, "provisioningState": "Succeeded",
		"location": s.In.Text("location"), "etag": GUIDFor(s.ID, fmt.Sprint(s.In.Without(s.WriteOnly...))),
		"eTag": GUIDFor(s.ID, fmt.Sprint(s.In.Without(s.WriteOnly...))), "resourceGuid": s.Issued("resource"),
	}
}

// known turns computed values into properties and drops those that the SDK's type lacks, and empty
// ones.
func (d *Definition) known(computed Document) resource.PropertyMap {
	result := resource.PropertyMap{}
	for name, value := range computed.Properties() {
		t, ok := d.Outputs[string(name)]
		if !ok || value.IsNull() || value.IsString() && value.StringValue() == "" {
			continue
		}
		if shaped, ok := shape(value, t); ok {
			result[name] = shaped
		}
	}
	return result
}
