package azure

import (
	"maps"
	"slices"
	"strings"
)

// view is what a rule may ask about the other resources. It is used under the cloud's lock only.
type view struct {
	cloud *Cloud
}

// find returns the resource with the given id, or nil. One that is being created or deleted does not exist.
func (v *view) find(id string) *record {
	if op, ok := v.cloud.running[key(id)]; ok && op.verb != OperationUpdate {
		return nil
	}
	return v.cloud.live[key(id)]
}

// all returns the live resources of an ARM type, sorted by id.
func (v *view) all(kind string) []*record {
	var result []*record
	for _, k := range slices.Sorted(maps.Keys(v.cloud.live)) {
		if r := v.cloud.live[k]; strings.EqualFold(r.Kind, kind) {
			result = append(result, r)
		}
	}
	return result
}

// present returns the live resources and those under way, with the inputs that they are going to have, sorted by id.
func (v *view) present() []*record {
	merged := maps.Clone(v.cloud.live)
	for k, op := range v.cloud.running {
		if op.verb != OperationDelete {
			merged[k] = op.record
		}
	}
	return sorted(merged)
}

// users returns the resources, present or under way, that refer to id or to something below it.
func (v *view) users(id string) []*record {
	var result []*record
	for _, r := range v.present() {
		if key(r.ID) != key(id) && r.refersTo(id) {
			result = append(result, r)
		}
	}
	return result
}

// refersTo says whether an id in r's inputs is id or below it.
func (r *record) refersTo(id string) bool {
	refers := false
	r.Inputs.walk(func(_, text string) {
		refers = refers || looksLikeID(text) && (key(text) == key(id) || within(text, id))
	})
	return refers
}

// children returns the resources, present or under way, whose id is below id.
func (v *view) children(id string) []*record {
	var result []*record
	for _, r := range v.present() {
		if within(r.ID, id) {
			result = append(result, r)
		}
	}
	return result
}

// missing says why the resource that id names does not exist, or returns "". by is the resource that refers to it: its own
// parts are looked for in its wanted inputs.
func (v *view) missing(id string, by subject) string {
	parsed, err := parseID(id)
	if err != nil {
		return err.Error()
	}
	if !strings.EqualFold(subscriptionOf(id), v.cloud.options.SubscriptionID) {
		return "subscription '" + subscriptionOf(id) + "' could not be found; this is " + v.cloud.options.SubscriptionID
	}
	if parsed.kind() == typeSubscription {
		return ""
	}
	if strings.EqualFold(parsed.kind(), "Microsoft.Authorization/roleDefinitions") {
		if guid.MatchString(parsed.name()) {
			return ""
		}
		return "role definition '" + parsed.name() + "' is no GUID"
	}
	if v.managed(id) {
		return ""
	}
	return v.missingResource(id, parsed, by)
}

// missingResource looks for the nearest resource of a known type, going up from id, and for the rest of id inside it.
func (v *view) missingResource(id string, parsed armID, by subject) string {
	var parts [][2]string // of the resource found, innermost last
	for {
		def := v.cloud.registry.kindOf(parsed.kind())
		if def != nil {
			owner := v.find(parsed.String())
			var inputs document
			switch {
			case by.id != "" && key(parsed.String()) == key(by.id):
				inputs = by.in
			case owner != nil:
				inputs = owner.Inputs
			case v.inline(parsed):
				return ""
			default:
				return "the resource '" + parsed.String() + "' was not found"
			}
			return missingPart(def, parsed.String(), inputs, parts)
		}
		parts = append([][2]string{{parsed.types[len(parsed.types)-1], parsed.names[len(parsed.names)-1]}}, parts...)
		parent, ok := parsed.parent()
		if !ok {
			return "the resource '" + id + "' was not found: the simulated Azure has no type " + parsed.kind()
		}
		parsed = parent
	}
}

// inline says whether id is a subnet that its virtual network declares inline.
func (v *view) inline(id armID) bool {
	parent, ok := id.parent()
	if !ok {
		return false
	}
	owner := v.find(parent.String())
	if owner == nil {
		return false
	}
	return slices.ContainsFunc(owner.Inputs.documents(id.types[len(id.types)-1]), func(d document) bool {
		return strings.EqualFold(d.text("name"), id.name())
	})
}

// missingPart looks for a part of a resource, such as a listener of a gateway, in the resource's inputs. A collection that is
// no input of the resource is not looked into: Azure fills it by itself.
func missingPart(def *definition, owner string, inputs document, parts [][2]string) string {
	if len(parts) == 0 {
		return ""
	}
	collection, name := parts[0][0], parts[0][1]
	if !hasProperty(def.inputs, collection) || inputs.unsure(collection) {
		return ""
	}
	for _, item := range inputs.items(collection) {
		part, ok := item.(map[string]any)
		if !ok { // unknown in a preview
			return ""
		}
		if document(part).unsure("name") || strings.EqualFold(document(part).text("name"), name) {
			return ""
		}
	}
	return "'" + owner + "' has no " + name + " in its " + collection
}

// managed says whether id is in the node resource group of a live cluster: AKS makes and owns everything there.
func (v *view) managed(id string) bool {
	group := resourceGroupOf(id)
	if group == "" {
		return false
	}
	return slices.ContainsFunc(v.all(typeCluster), func(r *record) bool {
		return strings.EqualFold(group[strings.LastIndex(group, "/")+1:], r.Outputs.text("nodeResourceGroup"))
	})
}

// nameList returns the ids of records for an error message.
func nameList(records []*record) string {
	ids := make([]string, 0, len(records))
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), ", ")
}
