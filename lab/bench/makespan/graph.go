package makespan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

// The ARM types that the calculation knows by name.
const (
	kindGroup      = "Microsoft.Resources/resourceGroups"
	kindNetwork    = "Microsoft.Network/virtualNetworks"
	kindSubnet     = "Microsoft.Network/virtualNetworks/subnets"
	kindLink       = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
	kindGateway    = "Microsoft.Network/applicationGateways"
	kindIdentity   = "Microsoft.ManagedIdentity/userAssignedIdentities"
	kindCluster    = "Microsoft.ContainerService/managedClusters"
	kindServer     = "Microsoft.DBforPostgreSQL/flexibleServers"
	kindAssignment = "Microsoft.Authorization/roleAssignments"
)

// graph turns the events of Azure and the notes of the engine into tasks, in the order of their
// starts. propagation is the time that a role assignment needs to take effect, in Azure's time. The
// error names a resource that one side does not know.
func graph(
	events []azure.Event, resources []apitype.ResourceV3, scale float64, propagation time.Duration,
) ([]*task, error) {
	byID := map[string]apitype.ResourceV3{}
	for _, r := range resources {
		if r.Custom && r.ID != "" {
			byID[strings.ToLower(string(r.ID))] = r
		}
	}
	slices.SortFunc(events, func(a, b azure.Event) int { return a.Start.Compare(b.Start) })
	tasks := make([]*task, 0, len(events))
	byURN := map[resource.URN]*task{}
	for _, e := range events {
		r, ok := byID[strings.ToLower(e.ID)]
		if !ok {
			return nil, fmt.Errorf("%s of %s is in no stack's state, so that what it waited for is unknown", e.Operation, e.ID)
		}
		t := &task{
			name: r.URN.Name(), urn: string(r.URN), id: strings.ToLower(e.ID), kind: e.Type, owner: e.Owner, latency: e.Latency,
			start: virtual(e.Start.Sub(events[0].Start), scale), end: virtual(e.End.Sub(events[0].Start), scale),
		}
		if e.Type == kindAssignment {
			t.settles = propagation
		}
		tasks = append(tasks, t)
		byURN[r.URN] = t
	}
	for i, t := range tasks {
		t.after = waitedFor(resource.URN(t.urn), resources, byURN)
		t.imposed = imposed(t, tasks[:i:i], byID)
	}
	return tasks, nil
}

// virtual turns time on this machine into Azure's.
func virtual(d time.Duration, scale float64) time.Duration { return time.Duration(float64(d) / scale) }

// waitedFor returns the tasks that the engine waited for before it began with a resource: its
// dependencies in the state. A dependency that is no task itself, such as a random password, is
// replaced by its own dependencies.
func waitedFor(urn resource.URN, resources []apitype.ResourceV3, byURN map[resource.URN]*task) []*task {
	var found []*task
	seen := map[resource.URN]bool{}
	var visit func(urn resource.URN)
	visit = func(urn resource.URN) {
		i := slices.IndexFunc(resources, func(r apitype.ResourceV3) bool { return r.URN == urn })
		if i < 0 {
			return
		}
		for _, before := range resources[i].Dependencies {
			if seen[before] {
				continue
			}
			seen[before] = true
			if t, ok := byURN[before]; ok {
				found = append(found, t)
			} else {
				visit(before)
			}
		}
	}
	visit(urn)
	slices.SortFunc(found, func(a, b *task) int { return cmp.Compare(a.start, b.start) })
	return found
}

// imposed returns the tasks that Azure itself requires before t: its parent, the resources that its
// inputs refer to (by id or by an id that Azure issued), and those that rules demand. Only tasks
// that did come earlier count.
func imposed(t *task, earlier []*task, byID map[string]apitype.ResourceV3) []*task {
	values := texts(byID[t.id].Inputs)
	var found []*task
	for _, before := range earlier {
		refers := slices.ContainsFunc(values, func(v string) bool { return v == before.id || strings.HasPrefix(v, before.id+"/") })
		if refers || strings.HasPrefix(t.id, before.id+"/") || overlap(values, issued(byID[before.id])) {
			found = append(found, before)
		}
	}
	for _, before := range earlier {
		if !slices.Contains(found, before) && demanded(t, before, found, values, byID) {
			found = append(found, before)
		}
	}
	return found
}

// demanded reports whether a rule wants before to come before t, although t does not refer to it.
// values are those of t, and found are the tasks that t refers to.
func demanded(t, before *task, found []*task, values []string, byID map[string]apitype.ResourceV3) bool {
	switch {
	case t.kind == kindServer && before.kind == kindLink: // rule N5: the private DNS zone of the server is linked
		zone, _, _ := strings.Cut(before.id, "/virtualnetworklinks/")
		return slices.Contains(values, zone)
	case (t.kind == kindCluster || t.kind == kindGateway) && before.kind == kindAssignment:
		// Rule K1: the rights of t's own identity. The gateway's has to read its certificate.
		principal := texts(byID[before.id].Inputs)
		return slices.ContainsFunc(found, func(f *task) bool {
			return f.kind == kindIdentity && overlap(principal, issued(byID[f.id]))
		})
	case before.kind == kindSubnet: // rule N10: a resource in one subnet waits for every subnet of the network
		network, _, _ := strings.Cut(before.id, "/subnets/")
		return slices.ContainsFunc(found, func(f *task) bool {
			return f.kind == kindSubnet && strings.HasPrefix(f.id, network+"/subnets/")
		})
	default:
		return false
	}
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(v string) bool { return slices.Contains(b, v) })
}

// issuedNames are the outputs by which other resources refer to an id that Azure issued with a
// resource.
var issuedNames = []string{"principalId", "objectId", "clientId", "issuerURL"}

// issued returns the ids that Azure issued with a resource.
func issued(r apitype.ResourceV3) []string {
	var found []string
	walk(r.Outputs, func(name, value string) {
		if value != "" && slices.Contains(issuedNames, name) && !slices.Contains(texts(r.Inputs), strings.ToLower(value)) {
			found = append(found, strings.ToLower(value))
		}
	})
	return found
}

// texts returns all strings in a value, in lower case, names of properties included: identities are
// the keys of a map.
func texts(value any) []string {
	var found []string
	walk(value, func(name, value string) { found = append(found, strings.ToLower(name), strings.ToLower(value)) })
	return found
}

func walk(value any, visit func(name, value string)) {
	var inner func(name string, value any)
	inner = func(name string, value any) {
		switch v := value.(type) {
		case string:
			visit(name, v)
		case []any:
			for _, element := range v {
				inner(name, element)
			}
		case map[string]any:
			for key, element := range v {
				visit(key, "")
				inner(key, element)
			}
		}
	}
	inner("", value)
}
