package azure

import (
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
func (c *Cloud) create(ctx context.Context, d *definition, inputs resource.PropertyMap) (string, resource.PropertyMap, error) {
	if inputs.ContainsUnknowns() {
		return "", nil, notKnown(d)
	}
	in := documentOf(inputs)
	id, ok := d.path.expand(c.options.SubscriptionID, in)
	if !ok {
		return "", nil, status.Errorf(codes.InvalidArgument, "%s cannot be created: one of %s is missing or unknown",
			d.kind, strings.Join(d.path.parameters(), ", "))
	}
	outputs, err := c.put(ctx, OperationCreate, subject{definition: d, id: id, in: in}, inputs)
	return id, outputs, err
}

// notKnown is the answer to inputs of which some are not known: only a preview has such, and they would be kept as empty objects.
func notKnown(d *definition) error {
	return status.Errorf(codes.InvalidArgument, "inputs of the %s are not known yet; only a preview may leave them open", d.kind)
}

// otherType is the answer to a request about a resource of another type than the request's.
func otherType(id string, live *record, d *definition) error {
	return status.Errorf(codes.InvalidArgument, "%q is a %s, not a %s", id, live.Kind, d.kind)
}

// update carries out a change in place and returns the new outputs.
func (c *Cloud) update(ctx context.Context, d *definition, id string, before, inputs resource.PropertyMap,
) (resource.PropertyMap, error) {
	if inputs.ContainsUnknowns() {
		return nil, notKnown(d)
	}
	c.mu.Lock()
	existing := c.live[key(id)]
	c.mu.Unlock()
	if existing != nil {
		if existing.Kind != d.kind {
			return nil, otherType(id, existing, d)
		}
		id = existing.ID // as it was written when it was created
	}
	return c.put(ctx, OperationUpdate,
		subject{definition: d, id: id, in: documentOf(inputs), before: documentOf(before)}, inputs)
}

// put is what creating and updating have in common: ask, wait, store.
func (c *Cloud) put(ctx context.Context, verb Operation, s subject, inputs resource.PropertyMap) (resource.PropertyMap, error) {
	lost, err := c.fault(ctx, verb, s.kind, s.id)
	if err != nil {
		return nil, err
	}
	if s.settle != nil && !s.creating() {
		s.in = s.settle(s.in)
		inputs = overlay(inputs, s.in.properties())
	}
	stored := &record{ID: s.id, Kind: s.kind, Inputs: s.in.without(s.writeOnly...)}
	op := &operation{verb: verb, record: stored}
	if err := c.begin(op, s); err != nil {
		return nil, err
	}
	defer c.end(op)

	// Azure has taken the request: it is carried out whether or not somebody still waits for the answer.
	ctx = context.WithoutCancel(ctx)
	if err := c.pass(ctx, op, s.definition); err != nil {
		return nil, err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	outputs := c.settled(stored, s, inputs)
	undo := c.change(func() {
		c.live[key(s.id)] = stored
		delete(c.deleted, key(s.id)) // a recovered vault
	})
	if err := c.save(); err != nil {
		undo()
		return nil, fmt.Errorf("%s of %s %q has not happened: %w", verb, s.kind, s.id, err)
	}
	return outputs, lost
}

// settled completes the record of a resource as it is from now on, and returns its outputs. The caller holds the lock.
func (c *Cloud) settled(stored *record, s subject, inputs resource.PropertyMap) resource.PropertyMap {
	s.cloud = &view{c}
	stored.Creation, stored.Created = uuid.NewString(), time.Now()
	if existing := c.live[key(s.id)]; existing != nil {
		stored.Creation, stored.Created, stored.Seeded = existing.Creation, existing.Created, existing.Seeded
	}
	s.creation = stored.Creation
	stored.Sealed = sealedOf(s)
	if s.in.text("location") == "" && hasProperty(s.inputs, "location") {
		// azure-native and Azure take the location of the resource group.
		s.in = s.in.merge(document{"location": c.locationOf(s.id)})
	}
	computed := c.common(s)
	if s.compute != nil {
		computed = computed.merge(s.compute(s))
	}
	outputs := overlay(s.echo(inputs), s.known(computed))
	stored.Outputs = documentOf(outputs)
	return outputs
}

// remove carries out a deletion. Deleting what does not exist succeeds, as in Azure.
func (c *Cloud) remove(ctx context.Context, d *definition, id string) error {
	lost, err := c.fault(ctx, OperationDelete, d.kind, id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	existing := c.live[key(id)]
	c.mu.Unlock()
	if existing == nil {
		return lost
	}
	if existing.Kind != d.kind {
		return otherType(id, existing, d)
	}
	op := &operation{verb: OperationDelete, record: existing}
	if err := c.begin(op, subject{definition: d, id: existing.ID, in: existing.Inputs, before: existing.Inputs}); err != nil {
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
		delete(c.live, key(id))
		for k, r := range c.live {
			if within(r.ID, id) && c.registry.kindOf(r.Kind).builtIn {
				delete(c.live, k)
			}
		}
		if d.softDeletes {
			c.deleted[key(id)] = existing
		}
	})
	if err := c.save(); err != nil {
		undo()
		return fmt.Errorf("delete of %s %q has not happened: %w", d.kind, id, err)
	}
	return lost
}

// change applies a change to the resources and returns how to undo it, so that what the engine is told and what is stored
// never differ. The caller holds the lock.
func (c *Cloud) change(apply func()) (undo func()) {
	live, deleted := maps.Clone(c.live), maps.Clone(c.deleted)
	apply()
	return func() { c.live, c.deleted = live, deleted }
}

// pass lets the operation take its time, and then lets it take effect outside of the inventory.
func (c *Cloud) pass(ctx context.Context, op *operation, d *definition) error {
	time.Sleep(c.scaled(latency(d.kind, op.verb, op.record.Inputs)))
	if d.after == nil {
		return nil
	}
	if err := d.after(ctx, c, op.verb, op.record); err != nil {
		return fmt.Errorf("%s of %s %q failed: %w", op.verb, d.kind, op.record.ID, err)
	}
	return nil
}

// begin decides whether Azure takes the request. If it does, the operation is under way until end.
func (c *Cloud) begin(op *operation, s subject) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.cloud = &view{c}

	if busy := c.busy(op, s); busy != nil {
		return refusal(op.verb, s.kind, s.id, []violation{*busy})
	}
	var violations []violation
	if op.verb == OperationDelete {
		violations = slices.Concat(c.obstaclesToDelete(s), s.judge(s.farewells))
	} else {
		violations = c.obstaclesToPut(op.verb, s)
	}
	if len(violations) > 0 {
		return refusal(op.verb, s.kind, s.id, violations)
	}
	op.started = time.Now()
	c.running[key(s.id)] = op
	if op.owner != "" {
		c.held[op.owner] = s.id
	}
	return nil
}

func (c *Cloud) end(op *operation) {
	c.observe(op)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, key(op.record.ID))
	if op.owner != "" {
		delete(c.held, op.owner)
	}
}

// busy refuses a second operation on one resource, or on the owner that a serial type works on. It refuses at once what azure-native
// would send again for some minutes (see ServiceError), on purpose: with the retries a program that lacks a dependency gets
// through on a good day, and here it never does.
func (c *Cloud) busy(op *operation, s subject) *violation {
	if other, ok := c.running[key(s.id)]; ok {
		return &violation{code: "AnotherOperationInProgress", message: fmt.Sprintf(
			"Another operation (%s) is in progress on '%s'. Wait until it ends and try again", other.verb, s.id)}
	}
	if s.serial == nil {
		return nil
	}
	owner, ok := ancestor(s.id, s.serial.owner)
	if !ok {
		return nil
	}
	if by, taken := c.held[key(owner)]; taken {
		return &violation{rule: s.serial.rule, code: s.serial.code, message: fmt.Sprintf(
			"Another operation on this or a dependent resource is in progress: '%s' is busy with '%s'. %s",
			owner, by, s.serial.remedy)}
	}
	op.owner = key(owner)
	return nil
}

// ancestor returns the id of the given ARM type that id is, or is below.
func ancestor(id, kind string) (string, bool) {
	parsed, err := parseID(id)
	for ok := err == nil; ok; parsed, ok = parsed.parent() {
		if strings.EqualFold(parsed.kind(), kind) {
			return parsed.String(), true
		}
	}
	return "", false
}

// obstaclesToPut returns every reason against creating or updating a resource.
func (c *Cloud) obstaclesToPut(verb Operation, s subject) []violation {
	existing := s.cloud.find(s.id)
	switch {
	case verb == OperationCreate && existing != nil && !s.builtIn:
		return []violation{{code: "Conflict", message: fmt.Sprintf(
			"cannot create already existing resource '%s'. Import it, or delete it first", s.id)}}
	case verb == OperationUpdate && existing == nil:
		return []violation{{code: "ResourceNotFound", message: fmt.Sprintf(
			"the resource '%s' was not found; run `pulumi refresh`, so that it is created again", s.id)}}
	}
	var violations []violation
	if verb == OperationCreate {
		violations = append(violations, c.nameConflicts(s)...)
	}
	violations = append(violations, c.missingParents(s)...)
	violations = append(violations, c.missingReferences(s)...)
	violations = append(violations, s.checkName()...)
	violations = append(violations, s.checkFrozen()...)
	violations = append(violations, s.judge(s.checks)...)
	return append(violations, s.judge(s.demands)...)
}

// nameConflicts refuses names that a soft-deleted resource still has, or that are taken elsewhere in Azure.
func (c *Cloud) nameConflicts(s subject) []violation {
	var violations []violation
	name := s.in.text(s.path.nameParameter())
	for _, gone := range sorted(c.deleted) {
		same := key(gone.ID) == key(s.id) || s.global && strings.EqualFold(gone.Kind, s.kind) && strings.EqualFold(gone.name(), name)
		if same && !(s.in.text("properties.createMode") == "recover" && key(gone.ID) == key(s.id)) {
			violations = append(violations, softDeleteConflict(gone))
		}
	}
	if !s.global {
		return violations
	}
	for _, other := range s.cloud.present() {
		if strings.EqualFold(other.Kind, s.kind) && strings.EqualFold(other.name(), name) && key(other.ID) != key(s.id) {
			violations = append(violations, violation{
				code: "NameAlreadyInUse", property: s.path.nameParameter(),
				message: fmt.Sprintf("the name '%s' is already in use by '%s', and it must be unique in all of Azure; choose another one",
					name, other.ID),
			})
		}
	}
	return violations
}

// missingParents refuses a resource whose group or parent does not exist.
func (c *Cloud) missingParents(s subject) []violation {
	if s.kind == typeResourceGroup {
		return nil
	}
	if group := resourceGroupOf(s.id); group != "" && s.cloud.find(group) == nil && !s.cloud.managed(s.id) {
		return []violation{{code: "ResourceGroupNotFound", message: fmt.Sprintf(
			"Resource group '%s' could not be found. Create it first, and let '%s' depend on it",
			group[strings.LastIndex(group, "/")+1:], s.id)}}
	}
	parsed, err := parseID(s.id)
	if err != nil {
		return []violation{{code: "InvalidResourceId", message: err.Error()}}
	}
	if parent, ok := parsed.parent(); ok && c.registry.kindOf(parent.kind()) != nil && s.cloud.find(parent.String()) == nil {
		return []violation{{code: "ParentResourceNotFound", message: fmt.Sprintf(
			"Failed to perform '%s' on '%s', because the parent resource '%s' is not found. Create it first, and let this one depend on it",
			"write", s.id, parent.String())}}
	}
	return nil
}

// missingReferences refuses ids, anywhere in the inputs, of resources that do not exist.
func (c *Cloud) missingReferences(s subject) []violation {
	var violations []violation
	s.in.walk(func(path, text string) {
		if !looksLikeID(text) {
			return
		}
		if why := s.cloud.missing(text, s); why != "" {
			violations = append(violations, violation{
				rule: partRule(s, text), code: "InvalidResourceReference", property: path,
				message: fmt.Sprintf("Resource '%s' referenced by '%s' was not found: %s. Create it first, and take its id from there",
					text, s.id, why),
			})
			return
		}
		parsed, err := parseID(text)
		if want := s.refers[plainReference(path)]; err == nil && want != "" && !strings.EqualFold(parsed.kind(), want) {
			violations = append(violations, violation{
				code: "LinkedInvalidPropertyId", property: path,
				message: fmt.Sprintf("'%s' is a %s, but %s of '%s' takes a %s. Refer to one", text, parsed.kind(), path, s.id, want),
			})
		}
	})
	slices.SortFunc(violations, func(a, b violation) int { return strings.Compare(a.property, b.property) })
	return violations
}

var listIndex = regexp.MustCompile(`\[[0-9]+\]`)

// plainReference returns the path of an input without the indexes of lists.
func plainReference(path string) string { return listIndex.ReplaceAllString(path, "") }

// partRule names the rule about references to a gateway's own parts.
func partRule(s subject, id string) string {
	if s.kind == typeGateway && within(id, s.id) {
		return "G1"
	}
	return ""
}

// obstaclesToDelete returns every reason against deleting a resource: what is in it and what refers to it. Nothing cascades,
// not even from a resource group: what disappears behind the engine's back would stay in the engine's state.
func (c *Cloud) obstaclesToDelete(s subject) []violation {
	if s.builtIn {
		return []violation{{code: "MethodNotAllowed", message: fmt.Sprintf("'%s' cannot be deleted: %s", s.id, s.builtInRemedy)}}
	}
	users := slices.Concat(s.cloud.users(s.id), s.cloud.children(s.id))
	users = slices.DeleteFunc(users, func(r *record) bool {
		return within(r.ID, s.id) && c.registry.kindOf(r.Kind).builtIn
	})
	if len(users) == 0 {
		return nil
	}
	return []violation{{code: s.inUse, message: fmt.Sprintf(
		"'%s' is in use by %s and cannot be deleted. Delete or change these first", s.id, nameList(users))}}
}

// common returns the outputs that resources of all types have, as far as the SDK's type has them.
func (c *Cloud) common(s subject) document {
	return document{
		"name": s.id[strings.LastIndex(s.id, "/")+1:], "type": s.kind, "provisioningState": "Succeeded",
		"location": s.in.text("location"), "etag": guidFor(s.id, fmt.Sprint(s.in.without(s.writeOnly...))),
		"eTag": guidFor(s.id, fmt.Sprint(s.in.without(s.writeOnly...))), "resourceGuid": s.issued("resource"),
	}
}

// known turns computed values into properties and drops those that the SDK's type lacks, and empty ones.
func (d *definition) known(computed document) resource.PropertyMap {
	result := resource.PropertyMap{}
	for name, value := range computed.properties() {
		t, ok := d.outputs[string(name)]
		if !ok || value.IsNull() || value.IsString() && value.StringValue() == "" {
			continue
		}
		if shaped, ok := shape(value, t); ok {
			result[name] = shaped
		}
	}
	return result
}

// locationOf returns the location of the resource group that id is in.
func (c *Cloud) locationOf(id string) string {
	group := c.live[key(resourceGroupOf(id))]
	if group == nil {
		return ""
	}
	return group.Inputs.text("location")
}
