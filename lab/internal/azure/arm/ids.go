package arm

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// The types of resources that do not belong to a resource provider.
const (
	TypeSubscription  = "Microsoft.Resources/subscriptions"
	typeResourceGroup = "Microsoft.Resources/resourceGroups"
)

// GUID is a GUID as Azure writes it.
var GUID = regexp.MustCompile(`(?i)^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// ID is a parsed resource id. Azure compares ids without regard to case, so compare Key(), never
// the text.
type ID struct {
	// head is everything before the type: the resource group, or for extension resources (role
	// assignments, diagnostic settings) the resource that they are on.
	head string
	// namespace is the resource provider, such as Microsoft.Network; empty for a resource group or
	// subscription.
	namespace string
	// types and names are the pairs after the namespace: virtualNetworks/dev-vnet/subnets/aks.
	types, names []string
}

// LooksLikeID says whether text means a resource id.
func LooksLikeID(text string) bool {
	return len(text) > len("/subscriptions/") && strings.EqualFold(text[:len("/subscriptions/")], "/subscriptions/")
}

// ParseID reads a resource id, or says what is wrong with it.
func ParseID(text string) (ID, error) {
	malformed := func(why string) error {
		return fmt.Errorf("%q is no Azure resource id: %s", text, why)
	}
	if !LooksLikeID(text) {
		return ID{}, malformed("it must start with /subscriptions/")
	}
	lower := strings.ToLower(text)
	if at := strings.LastIndex(lower, "/providers/"); at >= 0 {
		parts := strings.Split(text[at+len("/providers/"):], "/")
		if len(parts) < 3 || len(parts)%2 == 0 {
			return ID{}, malformed("behind /providers/ come a namespace and pairs of type and name")
		}
		id := ID{head: text[:at], namespace: parts[0]}
		for i := 1; i < len(parts); i += 2 {
			if parts[i] == "" || parts[i+1] == "" {
				return ID{}, malformed("a type or a name is empty")
			}
			id.types, id.names = append(id.types, parts[i]), append(id.names, parts[i+1])
		}
		return id, nil
	}
	parts := strings.Split(strings.Trim(text, "/"), "/")
	switch {
	case len(parts) == 2 && parts[1] != "":
		return ID{types: parts[:1], names: parts[1:]}, nil
	case len(parts) == 4 && strings.EqualFold(parts[2], "resourceGroups") && parts[1] != "" && parts[3] != "":
		return ID{head: "/" + strings.Join(parts[:2], "/"), types: parts[2:3], names: parts[3:]}, nil
	default:
		return ID{}, malformed("it names neither a subscription, a resource group nor a resource")
	}
}

// String returns the id in ARM's form.
func (a ID) String() string {
	var text strings.Builder
	text.WriteString(a.head)
	if a.namespace != "" {
		text.WriteString("/providers/" + a.namespace)
	}
	for i := range a.types {
		text.WriteString("/" + a.types[i] + "/" + a.names[i])
	}
	return text.String()
}

// Kind returns the ARM type, such as Microsoft.Network/virtualNetworks/subnets.
func (a ID) Kind() string {
	namespace := a.namespace
	if namespace == "" {
		namespace = "Microsoft.Resources"
	}
	return namespace + "/" + strings.Join(a.types, "/")
}

// Name returns the last name in the id.
func (a ID) Name() string { return a.names[len(a.names)-1] }

// Parent returns the id without its last pair, and false if the rest is no resource.
func (a ID) Parent() (ID, bool) {
	last := len(a.types) - 1
	if last < 1 {
		return ID{}, false
	}
	a.types, a.names = a.types[:last], a.names[:last]
	return a, true
}

// subscriptionOf returns the GUID after /subscriptions/.
func subscriptionOf(id string) string {
	parts := strings.SplitN(strings.TrimPrefix(id, "/"), "/", 3)
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// ResourceGroupOf returns the id of the resource group that id is in, or "" if it is in none.
func ResourceGroupOf(id string) string {
	parts := strings.Split(id, "/")
	if len(parts) < 5 || !strings.EqualFold(parts[3], "resourceGroups") {
		return ""
	}
	return strings.Join(parts[:5], "/")
}

// Key returns the form of an id for comparisons.
func Key(id string) string { return strings.ToLower(strings.TrimSuffix(id, "/")) }

// Within says whether id is below ancestor (and not ancestor itself).
func Within(id, ancestor string) bool { return strings.HasPrefix(Key(id), Key(ancestor)+"/") }

// Template is the path of a resource's id; each {name} is the input of that name, except
// {subscriptionId}.
type Template string

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// Parameters returns the names of the inputs that make up the id, in order.
func (t Template) Parameters() []string {
	var result []string
	for _, match := range parameter.FindAllStringSubmatch(string(t), -1) {
		if match[1] != "subscriptionId" {
			result = append(result, match[1])
		}
	}
	return result
}

// nameParameter returns the input that names the resource itself.
func (t Template) nameParameter() string {
	parameters := t.Parameters()
	return parameters[len(parameters)-1]
}

// kind returns the ARM type of the template.
func (t Template) kind() string {
	if !strings.Contains(string(t), "/providers/") {
		return typeResourceGroup
	}
	parts := strings.Split(string(t)[strings.LastIndex(string(t), "/providers/")+len("/providers/"):], "/")
	kind := parts[0]
	for i := 1; i < len(parts); i += 2 {
		kind += "/" + parts[i]
	}
	return kind
}

// Expand returns the id for the inputs, and false if one of them is missing or unknown.
func (t Template) Expand(subscription string, in Document) (string, bool) {
	complete := true
	id := parameter.ReplaceAllStringFunc(string(t), func(match string) string {
		name := strings.Trim(match, "{}")
		if name == "subscriptionId" {
			return subscription
		}
		value := in.Text(name)
		if value == "" {
			complete = false
		}
		return strings.TrimSuffix(value, "/")
	})
	return id, complete
}

// GUIDFor returns a GUID that is always the same for one id and purpose. GUIDs that Azure issues
// again with each creation come from Subject.Issued.
func GUIDFor(id, purpose string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(Key(id)+"#"+purpose)).String()
}

// Indexed returns the path of an item of the list at path.
func Indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
