package arm

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Definition is all that the simulated Azure knows about one resource type. Typed adds the types of
// the SDK.
type Definition struct {
	// Path is the template of the id. Its parameters are inputs, all required and immutable.
	Path Template
	// Name says how resources of this type may be called.
	Name NameRule
	// Global is set when the name must be unique in all of Azure, not only in its resource group.
	Global bool
	// Immutable are the paths of inputs whose change replaces the resource, as azure-native decides
	// it: the parameters of the path always do. Source: azure-native's
	// provider/pkg/gen/replacement.go, and the "create only" marks of ARM's specifications.
	Immutable []string
	// ReplaceIf, if set, decides about further changes from the inputs before and after.
	ReplaceIf func(path string, before, after Document) bool
	// Frozen are the paths of inputs whose change Azure refuses, with the remedy. azure-native does
	// not replace for them.
	Frozen map[string]string
	// Refers maps the path of an id to the ARM type of the resource that it names.
	Refers map[string]string
	// WriteOnly are the paths of inputs that Azure takes and never gives back. They are not stored
	// either.
	WriteOnly []string
	// Serial, if set, lets one operation at a time work on the owner of this resource.
	Serial *Serial
	// Checks look at the inputs alone; a preview runs them. Demands look at other resources and run
	// when Azure is called.
	Checks, Demands []Rule
	// Standing are demands on a change of a live resource whose result depends only on resources
	// that exist now: nothing that the same update does first can satisfy them. So a preview runs
	// them too.
	Standing []Rule
	// Farewells look at other resources as well, and run when Azure is asked to delete the
	// resource.
	Farewells []Rule
	// Settle, if set, returns the inputs of an update as Azure keeps them, where Azure overrides
	// the request for a live resource. Rules judge the result, which is also stored and returned.
	Settle func(in Document) Document
	// Compute returns what Azure adds to the outputs, given the location, the effective inputs and
	// the other resources.
	Compute func(s Subject) Document
	// After runs once the operation has taken its time and before its result is visible; an error
	// makes the operation fail.
	After func(ctx context.Context, c *Cloud, verb Operation, r *Record) error
	// SoftDeletes is set if a deleted resource keeps its name locked until it is purged.
	SoftDeletes *SoftDeletion
	// BuiltIn is set if Azure makes the resource with its parent: creating it changes the existing
	// one, and it is deleted with its parent. BuiltInRemedy says why it cannot be deleted and what
	// to do.
	BuiltIn       bool
	BuiltInRemedy string
	// PartRule, if set, is the id of the rule about references to the resource's own parts.
	PartRule string
	// OwnGroup, if set, returns the name of the resource group that Azure makes for a live resource
	// of this type. Its content belongs to Azure, and is no resource here.
	OwnGroup func(r *Record) string
	// InUse is the error code for deleting a resource that others use; the default is
	// ResourceInUse.
	InUse string

	// Token is the Pulumi token, and Aliases are further ones. Kind is the ARM type. Inputs is the
	// SDK's type of the inputs, Required are those that the id needs, and Outputs are the SDK's
	// types of the outputs. Typed sets all of them; Beforehand sets no tokens and no outputs.
	Token    string
	Kind     string
	Inputs   reflect.Type
	Required []string
	Outputs  map[string]reflect.Type
	Aliases  []string
}

// SoftDeletion says how the name of a deleted resource is kept.
type SoftDeletion struct {
	// Conflict is Azure's answer to a request for the name.
	Conflict func(gone *Record) Violation
	// Protected, if set, returns for how long the deleted resource cannot be purged, or "".
	Protected func(gone *Record) string
	// Recovers, if set, reports whether a new resource with the id of the deleted one brings that
	// one back.
	Recovers func(s Subject, gone *Record) bool
}

// NameRule is Azure's rule for a name. Source: "Naming rules and restrictions for Azure resources".
type NameRule struct {
	// Pattern is what a name matches, and Say describes it in words.
	Pattern *regexp.Regexp
	Say     string
	// ID is the rule's id where docs/azure-rules.md has one.
	ID string
	// Refuse, if set, is a further check; it returns what is wrong or "".
	Refuse func(name string) string
}

// Serial says that Azure refuses a second operation on the owner while one is under way. It refuses
// at once instead of queueing, so programs that forget to chain resources fail here as they do
// there.
type Serial struct {
	// Owner is the ARM type whose id is the lock: of the resource itself or of an ancestor.
	Owner string
	// Rule and Code are the ids of the rule and of Azure's error; Remedy completes the message.
	Rule, Code, Remedy string
}

// Rule is one of Azure's rules.
type Rule struct {
	// ID is the rule's id in docs/azure-rules.md, and Code the error code of Azure's answer.
	ID, Code string
	// Broken returns one finding per breach.
	Broken func(s Subject) []Finding
}

// Finding is one breach of a rule.
type Finding struct {
	// Property is the path of the wrong input, and Message says what is wrong and what to do.
	Property, Message string
}

// Found is one finding.
func Found(property, message string, arguments ...any) []Finding {
	return []Finding{{property, fmt.Sprintf(message, arguments...)}}
}

// Subject is what a rule judges.
type Subject struct {
	*Definition
	// ID is the resource's id, or "" while a preview does not know it.
	ID string
	// In are the wanted inputs; Before are the present ones, or nil if the resource is about to be
	// created.
	In, Before Document
	// Creation is the record's Creation, known while outputs are computed.
	Creation string
	// Cloud is the view of the other resources; nil in checks.
	Cloud *View
}

// Creating says whether the resource is to be created.
func (s Subject) Creating() bool { return s.Before == nil }

// Issued returns a GUID that Azure makes up when it creates the resource. It stays the same over
// updates and refreshes. A resource that is created later under the same id gets another one, so
// the two can be told apart.
func (s Subject) Issued(purpose string) string { return GUIDFor(s.ID, s.Creation+purpose) }

// Location returns the region of a resource: its own, or that of its resource group.
func (s Subject) Location() string {
	if location := s.In.Text("location"); location != "" {
		return location
	}
	return s.Cloud.groupLocation(s.ID)
}

// recovers reports whether the new resource brings the soft-deleted one back.
func (s Subject) recovers(gone *Record) bool {
	return Key(gone.ID) == Key(s.ID) && s.SoftDeletes != nil && s.SoftDeletes.Recovers != nil && s.SoftDeletes.Recovers(s, gone)
}

// Label returns the name of the resource in errors.
func (s Subject) Label() string {
	if s.ID != "" {
		return s.ID
	}
	return s.Kind + " " + s.In.Text(s.Path.nameParameter())
}

// Judge applies rules.
func (s Subject) Judge(rules []Rule) []Violation {
	var result []Violation
	for _, r := range rules {
		for _, f := range r.Broken(s) {
			result = append(result, Violation{Rule: r.ID, Code: r.Code, Property: f.Property, Message: f.Message})
		}
	}
	return result
}

// OneOf finds a string that is not among the allowed ones. Nothing is found while it is missing or
// unknown.
func (s Subject) OneOf(path string, allowed ...string) []Finding {
	value := s.In.Text(path)
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return Found(path, "%s is '%s'; use %s", path, value, strings.Join(allowed, ", "))
}

// argsType is a type of the SDK for the inputs of a resource; its ElementType is the plain struct
// behind it.
type argsType interface {
	ElementType() reflect.Type
}

// Typed completes a definition from the SDK: R is the resource, A its arguments. The Pulumi token
// follows from the package and the name of R, so it cannot be misspelt. An alias is a further
// module, such as "resources", under which the same type is served.
func Typed[R any, A argsType](d Definition, aliases ...string) Definition {
	var args A
	d = taking(args.ElementType(), d)
	of := reflect.TypeFor[R]()
	module := ModuleOf(of.PkgPath())
	d.Token = "azure-native:" + module + ":" + of.Name()
	for _, alias := range aliases {
		d.Aliases = append(d.Aliases, "azure-native:"+alias+":"+of.Name())
	}
	d.Outputs = map[string]reflect.Type{}
	for i := range of.NumField() {
		field := of.Field(i)
		name := PropertyName(field)
		if name == "" {
			continue
		}
		if output, ok := reflect.Zero(field.Type).Interface().(pulumi.Output); ok {
			d.Outputs[name] = output.ElementType()
		}
	}
	return d
}

// Beforehand completes the definition of a type that no deployment makes, and that needs no type of
// the SDK: its resources are there because of Cloud.Seed, and others refer to them. I is the struct
// of their inputs.
func Beforehand[I any](d Definition) Definition { return taking(reflect.TypeFor[I](), d) }

// taking returns a definition with the struct of its inputs, and with what follows from its path.
func taking(inputs reflect.Type, d Definition) Definition {
	d.Kind = d.Path.kind()
	d.Inputs = inputs
	d.Required = d.Path.Parameters()
	d.InUse = cmp.Or(d.InUse, "ResourceInUse")
	return d
}

// ModuleOf returns network/v20240501 for …/pulumi-azure-native-sdk/network/v2/v20240501.
func ModuleOf(pkgPath string) string {
	parts := strings.Split(pkgPath, "/")
	version := parts[len(parts)-1]
	if !strings.HasPrefix(version, "v20") {
		return parts[len(parts)-2]
	}
	return parts[len(parts)-3] + "/" + version
}

// tokens returns every Pulumi token of the type.
func (d *Definition) tokens() []string { return append([]string{d.Token}, d.Aliases...) }

// mustReplace says whether a change at path cannot be made in place.
func (d *Definition) mustReplace(path resource.PropertyPath, before, after Document) bool {
	text := plainPath(path)
	if slices.ContainsFunc(slices.Concat(d.Path.Parameters(), d.Immutable), func(fixed string) bool {
		return changes(fixed, text, before, after)
	}) {
		return true
	}
	return d.ReplaceIf != nil && d.ReplaceIf(text, before, after)
}

// plainPath returns a path without the indexes of lists.
func plainPath(path resource.PropertyPath) string {
	var parts []string
	for _, element := range path {
		if name, ok := element.(string); ok {
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, ".")
}

// changes reports whether a change at path changes the property fixed. That is so if path is fixed
// itself, something below it, or an object above it that was added or removed as a whole.
func changes(fixed, path string, before, after Document) bool {
	if fixed == path || strings.HasPrefix(path, fixed+".") {
		return true
	}
	return strings.HasPrefix(fixed, path+".") && !reflect.DeepEqual(before.At(fixed), after.At(fixed))
}

// Services tells the resource manager about the services whose resources it manages.
type Services struct {
	// Definitions are the resource types, each made by Typed.
	Definitions []Definition
	// Beforehand are types of resources of other owners, each made by Beforehand.
	Beforehand []Definition
	// Functions are the provider functions, by token.
	Functions map[string]Function
	// Latency returns how long Azure takes for an operation on a resource of an ARM type with these
	// inputs.
	Latency func(kind string, verb Operation, inputs Document) time.Duration
	// Unfulfilled returns the deployments that Azure accepts although they cannot work.
	Unfulfilled func(c *Cloud) []string
}

// registry is the table of all resource types, by Pulumi token and by ARM type.
type registry struct {
	byToken map[string]*Definition
	byKind  map[string]*Definition
}

func newRegistry(with Services) registry {
	r := registry{byToken: map[string]*Definition{}, byKind: map[string]*Definition{}}
	for _, d := range with.Definitions {
		for _, token := range d.tokens() {
			r.byToken[token] = &d
		}
		r.byKind[strings.ToLower(d.Kind)] = &d
	}
	for _, d := range with.Beforehand {
		r.byKind[strings.ToLower(d.Kind)] = &d
	}
	return r
}

// kindOf returns the definition of an ARM type, or nil.
func (r registry) kindOf(kind string) *Definition { return r.byKind[strings.ToLower(kind)] }
