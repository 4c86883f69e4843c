package azure

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// definition is all that the simulated Azure knows about one resource type. The SDK types come from typed.
type definition struct {
	// path is the template of the id. Its parameters are inputs, all required and immutable.
	path template
	// name says how resources of this type may be called.
	name nameRule
	// global is set when the name must be unique in all of Azure, not only in its resource group.
	global bool
	// immutable are the paths of inputs whose change replaces the resource, as azure-native decides it: the parameters of the
	// path always do. Source: azure-native's provider/pkg/gen/replacement.go, and the "create only" marks of ARM's
	// specifications.
	immutable []string
	// replaceIf, if set, decides about further changes from the inputs before and after.
	replaceIf func(path string, before, after document) bool
	// frozen are the paths of inputs whose change Azure refuses, with the remedy. azure-native does not replace for them.
	frozen map[string]string
	// refers says of which ARM type the resource is whose id is at a path.
	refers map[string]string
	// writeOnly are the paths of inputs that Azure takes and never gives back. They are not stored either.
	writeOnly []string
	// serial, if set, lets one operation at a time work on the owner of this resource.
	serial *serial
	// checks look at the inputs alone; a preview runs them. demands look at other resources and run when Azure is called.
	checks, demands []rule
	// farewells look at other resources as well, and run when Azure is asked to delete the resource.
	farewells []rule
	// settle, if set, returns the wanted inputs of an update as Azure keeps them, where it overrides what it is told about a live
	// resource. Rules judge the result, and it is what is stored and returned.
	settle func(in document) document
	// compute returns what Azure adds to the outputs, given the location, the effective inputs and the other resources.
	compute func(s subject) document
	// after runs once the operation has taken its time and before its result is visible; an error makes the operation fail.
	after func(ctx context.Context, c *Cloud, verb Operation, r *record) error
	// softDeletes is set when a deleted resource keeps its name locked until it is purged.
	softDeletes bool
	// builtIn is set when Azure makes the resource with its parent: creating it changes what is there, and it goes when its
	// parent goes. builtInRemedy tells why it cannot be deleted and what to do.
	builtIn       bool
	builtInRemedy string
	// inUse is the error code for deleting a resource that others use; the default is ResourceInUse.
	inUse string

	token    string
	kind     string
	inputs   reflect.Type
	required []string
	outputs  map[string]reflect.Type
	aliases  []string
}

// nameRule is Azure's rule for a name. Source: "Naming rules and restrictions for Azure resources".
type nameRule struct {
	pattern *regexp.Regexp
	say     string
	// id is the rule's id where docs/azure-rules.md has one.
	id string
	// refuse, if set, is a further check; it returns what is wrong or "".
	refuse func(name string) string
}

// serial says that Azure refuses a second operation on the owner while one is under way. It refuses at once and does not
// queue, so that programs which forget to chain resources fail here as they do there.
type serial struct {
	// owner is the ARM type whose id is the lock: of the resource itself or of an ancestor.
	owner string
	// rule and code are the ids of the rule and of Azure's error; remedy completes the message.
	rule, code, remedy string
}

// rule is one of Azure's rules.
type rule struct {
	// id is the rule's id in docs/azure-rules.md, and code the error code of Azure's answer.
	id, code string
	// broken returns one finding per breach.
	broken func(s subject) []finding
}

// finding is one breach of a rule.
type finding struct {
	property, message string
}

func found(property, message string, arguments ...any) []finding {
	return []finding{{property, fmt.Sprintf(message, arguments...)}}
}

// subject is what a rule judges.
type subject struct {
	*definition
	// id is the resource's id, or "" while a preview does not know it.
	id string
	// in are the wanted inputs; before are the present ones, nil when the resource is to be created.
	in, before document
	// creation is the record's Creation, known while outputs are computed.
	creation string
	// cloud is what the other resources are read from; nil in checks.
	cloud *view
}

func (s subject) creating() bool { return s.before == nil }

// issued returns a GUID that Azure makes up when it creates the resource: it stays over updates and refreshes, and a resource
// that is created later under the same id gets another one, by which the two can be told apart.
func (s subject) issued(purpose string) string { return guidFor(s.id, s.creation+purpose) }

// label is how errors name the resource.
func (s subject) label() string {
	if s.id != "" {
		return s.id
	}
	return s.kind + " " + s.in.text(s.path.nameParameter())
}

// judge applies rules.
func (s subject) judge(rules []rule) []violation {
	var result []violation
	for _, r := range rules {
		for _, f := range r.broken(s) {
			result = append(result, violation{rule: r.id, code: r.code, property: f.property, message: f.message})
		}
	}
	return result
}

// argsType is a type of the SDK for the inputs of a resource; its ElementType is the plain struct behind it.
type argsType interface {
	ElementType() reflect.Type
}

// typed completes a definition from the SDK: R is the resource, A its arguments. The Pulumi token follows from the package
// and the name of R, so it cannot be misspelt. An alias is a further module, such as "resources", under which the same
// type is served.
func typed[R any, A argsType](d definition, aliases ...string) definition {
	var args A
	of := reflect.TypeFor[R]()
	module := moduleOf(of.PkgPath())
	d.token = "azure-native:" + module + ":" + of.Name()
	for _, alias := range aliases {
		d.aliases = append(d.aliases, "azure-native:"+alias+":"+of.Name())
	}
	d.kind = d.path.kind()
	d.inputs = args.ElementType()
	d.required = d.path.parameters()
	d.outputs = map[string]reflect.Type{}
	for i := range of.NumField() {
		field := of.Field(i)
		name := propertyName(field)
		if name == "" {
			continue
		}
		if output, ok := reflect.Zero(field.Type).Interface().(pulumi.Output); ok {
			d.outputs[name] = output.ElementType()
		}
	}
	if d.inUse == "" {
		d.inUse = "ResourceInUse"
	}
	return d
}

// moduleOf returns network/v20240501 for …/pulumi-azure-native-sdk/network/v2/v20240501.
func moduleOf(pkgPath string) string {
	parts := strings.Split(pkgPath, "/")
	version := parts[len(parts)-1]
	if !strings.HasPrefix(version, "v20") {
		return parts[len(parts)-2]
	}
	return parts[len(parts)-3] + "/" + version
}

// tokens returns every Pulumi token of the type.
func (d *definition) tokens() []string { return append([]string{d.token}, d.aliases...) }

// mustReplace says whether a change at path cannot be made in place.
func (d *definition) mustReplace(path resource.PropertyPath, before, after document) bool {
	text := plainPath(path)
	if slices.ContainsFunc(slices.Concat(d.path.parameters(), d.immutable), func(fixed string) bool {
		return changes(fixed, text, before, after)
	}) {
		return true
	}
	return d.replaceIf != nil && d.replaceIf(text, before, after)
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

// changes says whether a change reported at path changes the property fixed: path is fixed itself, something below it, or an
// object above it that came or went as a whole.
func changes(fixed, path string, before, after document) bool {
	if fixed == path || strings.HasPrefix(path, fixed+".") {
		return true
	}
	return strings.HasPrefix(fixed, path+".") && !reflect.DeepEqual(before.at(fixed), after.at(fixed))
}

// registry is the table of all resource types, by Pulumi token and by ARM type.
type registry struct {
	byToken map[string]*definition
	byKind  map[string]*definition
}

func newRegistry() registry {
	r := registry{byToken: map[string]*definition{}, byKind: map[string]*definition{}}
	for _, d := range slices.Concat(
		groupTypes(), networkTypes(), gatewayTypes(), dnsTypes(), privateLinkTypes(), clusterTypes(), maintenanceTypes(), databaseTypes(),
		vaultTypes(), registryTypes(), monitoringTypes(), identityTypes(),
	) {
		for _, token := range d.tokens() {
			r.byToken[token] = &d
		}
		r.byKind[strings.ToLower(d.kind)] = &d
	}
	return r
}

// kindOf returns the definition of an ARM type, or nil.
func (r registry) kindOf(kind string) *definition { return r.byKind[strings.ToLower(kind)] }
