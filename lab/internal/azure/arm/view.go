package arm

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// View lets a rule ask about the other resources. It is used under the cloud's lock only.
type View struct {
	cloud *Cloud
}

// Look shows the resources as they are. No operation begins or ends until show returns.
func (c *Cloud) Look(show func(v *View)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	show(&View{c})
}

// Options returns the options of the cloud.
func (v *View) Options() Options { return v.cloud.options }

// Live returns the resource with the given id as it was before the operation that is under way on
// it, or nil.
func (v *View) Live(id string) *Record { return v.cloud.live[Key(id)] }

// WorkingOn returns the id of the resource of an ARM type on which, or below which, an operation
// holds the owner with the given id, or "".
func (v *View) WorkingOn(owner, kind string) string {
	id, held := v.cloud.held[Key(owner)]
	if parsed, err := ParseID(id); !held || err != nil || !strings.EqualFold(parsed.Kind(), kind) {
		return ""
	}
	return id
}

// Lingers reports whether the resource with the given id still counts as used, although its last
// user is gone.
func (v *View) Lingers(id string) bool { return time.Now().Before(v.cloud.lingering[Key(id)]) }

// Linger makes the resource with the given id count as used for some time, on Azure's scale.
func (c *Cloud) Linger(id string, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lingering[Key(id)] = time.Now().Add(c.scaled(d))
}

// LocationOf returns the location of a resource: its own, or that of its resource group.
func (v *View) LocationOf(r *Record) string {
	if location := r.Inputs.Text("location"); location != "" {
		return location
	}
	return v.groupLocation(r.ID)
}

// groupLocation returns the location of the resource group that id is in.
func (v *View) groupLocation(id string) string {
	group := v.Live(ResourceGroupOf(id))
	if group == nil {
		return ""
	}
	return group.Inputs.Text("location")
}

// Find returns the resource with the given id, or nil. One that is being created or deleted does
// not exist.
func (v *View) Find(id string) *Record {
	if op, ok := v.cloud.running[Key(id)]; ok && op.verb != OperationUpdate {
		return nil
	}
	return v.cloud.live[Key(id)]
}

// All returns the live resources of an ARM type, sorted by id.
func (v *View) All(kind string) []*Record {
	var result []*Record
	for _, k := range slices.Sorted(maps.Keys(v.cloud.live)) {
		if r := v.cloud.live[k]; strings.EqualFold(r.Kind, kind) {
			result = append(result, r)
		}
	}
	return result
}

// Present returns the live resources and those under way, with their future inputs, sorted by id.
func (v *View) Present() []*Record {
	merged := maps.Clone(v.cloud.live)
	for k, op := range v.cloud.running {
		if op.verb != OperationDelete {
			merged[k] = op.record
		}
	}
	return Sorted(merged)
}

// Users returns the resources, present or under way, that refer to id or to something below it.
func (v *View) Users(id string) []*Record {
	var result []*Record
	for _, r := range v.Present() {
		if Key(r.ID) != Key(id) && r.refersTo(id) {
			result = append(result, r)
		}
	}
	return result
}

// refersTo says whether an id in r's inputs is id or below it.
func (r *Record) refersTo(id string) bool {
	refers := false
	r.Inputs.Walk(func(_, text string) {
		refers = refers || LooksLikeID(text) && (Key(text) == Key(id) || Within(text, id))
	})
	return refers
}

// Children returns the resources, present or under way, whose id is below id.
func (v *View) Children(id string) []*Record {
	var result []*Record
	for _, r := range v.Present() {
		if Within(r.ID, id) {
			result = append(result, r)
		}
	}
	return result
}

// missing says why the resource that id names does not exist, or returns "". by is the resource
// that refers to it; its own parts are looked up in its wanted inputs.
func (v *View) missing(id string, by Subject) string {
	parsed, err := ParseID(id)
	if err != nil {
		return err.Error()
	}
	if !strings.EqualFold(subscriptionOf(id), v.cloud.options.SubscriptionID) {
		return "subscription '" + subscriptionOf(id) + "' could not be found; this is " + v.cloud.options.SubscriptionID
	}
	if parsed.Kind() == TypeSubscription {
		return ""
	}
	if strings.EqualFold(parsed.Kind(), "Microsoft.Authorization/roleDefinitions") {
		if GUID.MatchString(parsed.Name()) {
			return ""
		}
		return "role definition '" + parsed.Name() + "' is no GUID"
	}
	if v.managed(id) {
		return ""
	}
	return v.missingResource(id, parsed, by)
}

// missingResource finds the nearest resource of a known type, going up from id, and looks for the
// rest of id inside it.
func (v *View) missingResource(id string, parsed ID, by Subject) string {
	var parts [][2]string // of the resource found, innermost last
	for {
		def := v.cloud.registry.kindOf(parsed.Kind())
		if def != nil {
			owner := v.Find(parsed.String())
			var inputs Document
			switch {
			case by.ID != "" && Key(parsed.String()) == Key(by.ID):
				inputs = by.In
			case owner != nil:
				inputs = owner.Inputs
			case v.inline(parsed):
				return ""
			default:
				return "the resource '" + parsed.String() + "' was not found"
			}
			return MissingPart(def, parsed.String(), inputs, parts)
		}
		parts = append([][2]string{{parsed.types[len(parsed.types)-1], parsed.names[len(parsed.names)-1]}}, parts...)
		parent, ok := parsed.Parent()
		if !ok {
			return "the resource '" + id + "' was not found: the simulated Azure has no type " + parsed.Kind()
		}
		parsed = parent
	}
}

// inline says whether id is a subnet that its virtual network declares inline.
func (v *View) inline(id ID) bool {
	parent, ok := id.Parent()
	if !ok {
		return false
	}
	owner := v.Find(parent.String())
	if owner == nil {
		return false
	}
	return slices.ContainsFunc(owner.Inputs.Documents(id.types[len(id.types)-1]), func(d Document) bool {
		return strings.EqualFold(d.Text("name"), id.Name())
	})
}

// MissingPart looks for a part of a resource, such as a listener of a gateway, in the resource's
// inputs. It does not look into a collection that is no input of the resource, because Azure fills
// it.
func MissingPart(def *Definition, owner string, inputs Document, parts [][2]string) string {
	if len(parts) == 0 {
		return ""
	}
	collection, name := parts[0][0], parts[0][1]
	if !hasProperty(def.Inputs, collection) || inputs.Unsure(collection) {
		return ""
	}
	for _, item := range inputs.Items(collection) {
		part, ok := item.(map[string]any)
		if !ok { // unknown in a preview
			return ""
		}
		if Document(part).Unsure("name") || strings.EqualFold(Document(part).Text("name"), name) {
			return ""
		}
	}
	return "'" + owner + "' has no " + name + " in its " + collection
}

// managed reports whether id is in a resource group that a live resource, such as a cluster, makes
// and whose whole content it owns.
func (v *View) managed(id string) bool {
	group := ResourceGroupOf(id)
	if group == "" {
		return false
	}
	for _, r := range v.cloud.live {
		d := v.cloud.registry.kindOf(r.Kind)
		if d.OwnGroup != nil && strings.EqualFold(group[strings.LastIndex(group, "/")+1:], d.OwnGroup(r)) {
			return true
		}
	}
	return false
}

// NameList returns the ids of records for an error message.
func NameList(records []*Record) string {
	ids := make([]string, 0, len(records))
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), ", ")
}
