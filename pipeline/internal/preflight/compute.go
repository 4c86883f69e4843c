package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// size is an entry of "Resource Skus - List" (api-version 2021-07-01). The Azure CLI's own list
// leaves out what is restricted.
type size struct {
	ResourceType string   `json:"resourceType"`
	Name         string   `json:"name"`
	Family       string   `json:"family"`
	Locations    []string `json:"locations"`
	LocationInfo []struct {
		Location string   `json:"location"`
		Zones    []string `json:"zones"`
	} `json:"locationInfo"`
	Capabilities []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"capabilities"`
	Restrictions []struct {
		Type            string   `json:"type"`
		ReasonCode      string   `json:"reasonCode"`
		Values          []string `json:"values"`
		RestrictionInfo struct {
			Locations []string `json:"locations"`
			Zones     []string `json:"zones"`
		} `json:"restrictionInfo"`
	} `json:"restrictions"`
}

// usage is an entry of "Usage - List" (Microsoft.Compute, api-version 2024-07-01).
type usage struct {
	Unit         string `json:"unit"`
	CurrentValue *int64 `json:"currentValue"`
	Limit        *int64 `json:"limit"`
	Name         struct {
		Value string `json:"value"`
	} `json:"name"`
}

// regional is how the usages name the total of a region. Source: learn.microsoft.com, "Check vCPU
// quotas".
const regional = "cores"

// compute asks which VM sizes the subscription may have in the region and its zones, and how many
// vCPUs of them.
func (q asker) compute(ctx context.Context) []Check {
	items, err := q.list(ctx, q.path("/providers/Microsoft.Compute/skus", "2021-07-01",
		"$filter", "location eq '"+q.needs.Location+"'"), "value")
	if err != nil {
		checks := []Check{unanswered("quota", "vCPUs", err)}
		for _, name := range q.needs.sizes() {
			checks = append(checks, unanswered("VM size", name, err))
		}
		return checks
	}
	checks, found := q.needs.judgeSizes(items)
	items, err = q.list(ctx, q.path("/providers/Microsoft.Compute/locations/"+q.needs.Location+"/usages", "2024-07-01"), "value")
	if err != nil {
		return append(checks, unanswered("quota", "vCPUs", err))
	}
	return append(checks, q.needs.judgeQuotas(found, items)...)
}

// sizes are the VM sizes of the pools, each once.
func (n Needs) sizes() []string {
	var names []string
	for _, pool := range n.Pools {
		if !slices.Contains(names, pool.VMSize) {
			names = append(names, pool.VMSize)
		}
	}
	return names
}

// judgeSizes returns a check for each VM size, and what the list says about those that it has.
func (n Needs) judgeSizes(items []json.RawMessage) ([]Check, map[string]size) {
	const concern = "VM size"
	list, whole := decoded[size](items)
	found := map[string]size{}
	var checks []Check
	for _, entry := range list {
		whole = whole && entry.ResourceType != "" && entry.Name != ""
	}
	for _, name := range n.sizes() {
		var entries []size
		for _, entry := range list {
			if strings.EqualFold(entry.ResourceType, "virtualMachines") && strings.EqualFold(entry.Name, name) {
				entries = append(entries, entry)
			}
		}
		switch {
		case len(entries) == 1:
			found[name] = entries[0]
			checks = append(checks, n.judgeSize(name, entries[0]))
		case len(entries) > 1:
			checks = append(checks, unclear(concern, name, fmt.Sprintf("it lists the size %d times", len(entries))))
		case len(list) == 0 || !whole:
			checks = append(checks, unclear(concern, name, "not all of it can be read, and the size is not in the rest"))
		default:
			checks = append(checks, problem(concern, name, n.Location+" does not have it",
				"set systemPoolVmSize or userPoolVmSize to a size that the region has, or choose another location"))
		}
	}
	return checks, found
}

func (n Needs) judgeSize(name string, s size) Check {
	const concern = "VM size"
	var zones []string
	known := false
	for _, info := range s.LocationInfo {
		if strings.EqualFold(info.Location, n.Location) {
			zones, known = info.Zones, true
		}
	}
	if !known {
		return unclear(concern, name, "it does not say whether "+n.Location+" has the size")
	}
	missing := slices.DeleteFunc(slices.Clone(n.Zones), func(zone string) bool { return slices.Contains(zones, zone) })
	if len(missing) > 0 {
		return problem(concern, name, fmt.Sprintf("%s has it in zones %s, not in %s", n.Location, some(zones), some(missing)),
			"set zones to those that have the size, or take another size or location")
	}
	for _, r := range s.Restrictions {
		if places := r.RestrictionInfo.Locations; len(places) > 0 && !containsFold(places, n.Location) {
			continue
		}
		reason := r.ReasonCode
		if reason == "" {
			reason = "without a reason"
		}
		switch {
		case strings.EqualFold(r.Type, "Location"):
			return problem(concern, name, fmt.Sprintf("%s: the subscription may not have it in %s", reason, n.Location),
				"ask Azure's support for access to the size in the region, or take another size or location")
		case strings.EqualFold(r.Type, "Zone"):
			closed := r.RestrictionInfo.Zones
			if len(closed) == 0 {
				return unclear(concern, name, "it restricts zones and names none")
			}
			if slices.ContainsFunc(n.Zones, func(zone string) bool { return slices.Contains(closed, zone) }) {
				return problem(concern, name, fmt.Sprintf("%s: the subscription may not have it in zones %s of %s",
					reason, some(closed), n.Location),
					"ask Azure's support for access to the zones, set zones to the others, or take another size or location")
			}
		default:
			return unclear(concern, name, fmt.Sprintf("it has a restriction of the kind %q", r.Type))
		}
	}
	return good(concern, name, fmt.Sprintf("offered in %s, zones %s", n.Location, some(n.Zones)))
}

// cores returns how many vCPUs a node of the size has, and whether the list says so.
func (s size) cores() (int64, bool) {
	for _, c := range s.Capabilities {
		if c.Name == "vCPUs" {
			n, err := strconv.Atoi(c.Value)
			return int64(n), err == nil && n > 0
		}
	}
	return 0, false
}

// judgeQuotas returns two checks for each family of VM sizes and for the region's total: for the
// nodes that the pools begin with, and for the most that they have.
func (n Needs) judgeQuotas(found map[string]size, items []json.RawMessage) []Check {
	const concern = "quota"
	first, most := map[string]int64{}, map[string]int64{}
	for _, pool := range n.Pools {
		entry := found[pool.VMSize]
		cores, known := entry.cores()
		if !known || entry.Family == "" {
			return []Check{unclear(concern, "vCPUs", "it does not tell the family and the vCPUs of "+pool.VMSize)}
		}
		for _, of := range []string{strings.ToLower(entry.Family), regional} {
			first[of] += cores * int64(pool.Min)
			most[of] += cores * int64(pool.Most())
		}
	}
	list, whole := decoded[usage](items)
	var checks []Check
	for _, of := range slices.Sorted(maps.Keys(first)) {
		var entries []usage
		for _, entry := range list {
			if strings.EqualFold(entry.Name.Value, of) {
				entries = append(entries, entry)
			}
		}
		if len(entries) != 1 {
			why := fmt.Sprintf("it has %d entries of the name", len(entries))
			if !whole {
				why += ", and not all of it can be read"
			}
			checks = append(checks, unclear(concern, of, why))
			continue
		}
		checks = append(checks, judgeQuota(entries[0], "the first nodes", first[of]),
			judgeQuota(entries[0], "all nodes, and those of an upgrade", most[of]))
	}
	return checks
}

// endless is more than any quota: a limit of that size has another meaning.
const endless = int64(1) << 40

func judgeQuota(u usage, what string, needed int64) Check {
	const concern = "quota"
	family := u.Name.Value
	of := family + ", " + what
	if u.CurrentValue == nil || u.Limit == nil || *u.CurrentValue < 0 || *u.Limit < 0 || *u.Limit > endless || *u.CurrentValue > endless ||
		!strings.EqualFold(u.Unit, "Count") {
		return unclear(concern, of, "it does not tell use and limit as numbers")
	}
	free := *u.Limit - *u.CurrentValue
	found := fmt.Sprintf("%d vCPUs needed, %d free (%d of %d are used)", needed, free, *u.CurrentValue, *u.Limit)
	if free < needed {
		return problem(concern, of, found, fmt.Sprintf("ask for a limit of %d or more vCPUs of %s (Azure portal, Quotas, Compute), "+
			"or take other or fewer nodes", *u.CurrentValue+needed, family))
	}
	return good(concern, of, found)
}

func some(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func containsFold(list []string, text string) bool {
	return slices.ContainsFunc(list, func(one string) bool { return strings.EqualFold(one, text) })
}
