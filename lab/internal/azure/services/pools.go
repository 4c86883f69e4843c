package services

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// frozenOfPools are the inputs of a pool that Azure does not allow to change, with the remedy.
var frozenOfPools = map[string]string{
	"vnetSubnetID":           "create a new pool in the other subnet",
	"availabilityZones":      "create a new pool in the other zones",
	"maxPods":                "create a new pool with the other limit",
	"osDiskSizeGB":           "create a new pool with the other disk",
	"osDiskType":             "create a new pool with the other disk",
	"osType":                 "create a new pool with the other system",
	"enableEncryptionAtHost": "create a new pool with, or without, the encryption",
}

// inlinePoolsStay: Azure changes a pool in the cluster no more easily than one with a resource of
// its own. For the latter, azure-native makes another pool when its size changes.
var inlinePoolsStay = arm.Rule{Code: "PropertyChangeNotAllowed", Broken: func(s arm.Subject) []arm.Finding {
	if s.Creating() {
		return nil
	}
	before := map[string]arm.Document{}
	for _, pool := range s.Before.Documents(inlinePoolsPath) {
		before[pool.Text("name")] = pool
	}
	var result []arm.Finding
	for i, pool := range s.In.Documents(inlinePoolsPath) {
		was, known := before[pool.Text("name")]
		if !known {
			continue
		}
		refuse := func(property, remedy string) {
			if pool.Unsure(property) || reflect.DeepEqual(was.At(property), pool.At(property)) ||
				was.At(property) == false && !pool.Has(property) || !was.Has(property) && pool.At(property) == false {
				return
			}
			path := arm.Indexed(inlinePoolsPath, i) + "." + property
			result = append(result, arm.Finding{Property: path, Message: fmt.Sprintf(
				"Changing property '%s' of '%s' is not allowed (from %v to %v): %s, and take its name for the pool of the cluster",
				path, s.Label(), was.At(property), pool.At(property), remedy)})
		}
		refuse("vmSize", "create a new pool with the other size")
		for _, property := range slices.Sorted(maps.Keys(frozenOfPools)) {
			refuse(property, frozenOfPools[property])
		}
	}
	return result
}}

// noNewInlinePool: a request for a live cluster may only have pools that the cluster has.
var noNewInlinePool = arm.Rule{Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	live := s.Cloud.Find(s.ID)
	if live == nil {
		return nil
	}
	running := poolVersions(s.Cloud, live)
	var result []arm.Finding
	for i, pool := range s.In.Documents(inlinePoolsPath) {
		if name := pool.Text("name"); name != "" && running[name] == "" {
			result = append(result, arm.Finding{Property: arm.Indexed(inlinePoolsPath, i) + ".name", Message: fmt.Sprintf(
				"A new agent pool was introduced: '%s'. Adding agent pools to an existing cluster is not allowed through managed cluster "+
					"operations; add it with `az aks nodepool add` first", name)})
		}
	}
	return result
}}

// countStays refuses, in a strict cloud, a number of nodes that differs from that of an autoscaled
// pool. It is not known whether Azure refuses it: some requests were refused
// (terraform-provider-azurerm#4429), others were not (Azure/AKS#1758).
func (k behind) countStays() arm.Rule {
	return arm.Rule{Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
		live := s.Cloud.Find(s.ID)
		if !k.strictCounts || live == nil {
			return nil
		}
		if s.Kind == typePool {
			return countFindings("", live.Inputs, s.In)
		}
		before := map[string]arm.Document{}
		for _, pool := range live.Inputs.Documents(inlinePoolsPath) {
			before[pool.Text("name")] = pool
		}
		var result []arm.Finding
		for i, pool := range s.In.Documents(inlinePoolsPath) {
			if was, known := before[pool.Text("name")]; known {
				result = append(result, countFindings(arm.Indexed(inlinePoolsPath, i)+".", was, pool)...)
			}
		}
		return result
	}}
}

func countFindings(path string, was, pool arm.Document) []arm.Finding {
	has, okHas := was.Number("count")
	wanted, okWanted := pool.Number("count")
	low, _ := pool.Number("minCount")
	high, _ := pool.Number("maxCount")
	if !pool.Flag("enableAutoScaling") || !okHas || !okWanted || has == wanted || has < low || has > high {
		return nil // bounds that do not fit any more move the number
	}
	return []arm.Finding{{Property: path + "count", Message: fmt.Sprintf(
		"Cannot manually scale AgentPool of an AKS cluster with cluster autoscaler enabled: it has %g nodes, and the request says %g. "+
			"Update with --refresh, so that the state knows the number", has, wanted)}}
}

// Autoscale gives a pool of a cluster another number of nodes, as the cluster autoscaler does. The
// lab's Kubernetes has the pool's maximum of nodes all the time.
func Autoscale(c *arm.Cloud, cluster, pool string, count int) error {
	own := cluster + "/agentPools/" + pool
	scaled := arm.Document{"count": float64(count)}
	exists := false
	c.Look(func(v *arm.View) { exists = v.Find(own) != nil })
	if exists {
		return c.Alter(own, func(in, out arm.Document) (arm.Document, arm.Document) { return in.Merge(scaled), out.Merge(scaled) })
	}
	in := func(d arm.Document) arm.Document {
		var pools []any
		for _, p := range d.Documents(inlinePoolsPath) {
			if p.Text("name") == pool {
				p = p.Merge(scaled)
			}
			pools = append(pools, map[string]any(p))
		}
		return d.Merge(arm.Document{inlinePoolsPath: pools})
	}
	return c.Alter(cluster, func(inputs, outputs arm.Document) (arm.Document, arm.Document) { return in(inputs), in(outputs) })
}

// PoolCounts returns how many nodes Azure believes each pool of a cluster to have, by the pool's
// name.
func PoolCounts(c *arm.Cloud, cluster string) map[string]int {
	counts := map[string]int{}
	note := func(name string, pool arm.Document) {
		count, _ := pool.Number("count")
		counts[name] = int(count)
	}
	c.Look(func(v *arm.View) {
		live := v.Find(cluster)
		if live == nil {
			return
		}
		for _, pool := range live.Inputs.Documents(inlinePoolsPath) {
			note(pool.Text("name"), pool)
		}
		for _, pool := range v.Children(cluster) {
			if pool.Kind == typePool {
				note(pool.Inputs.Text("agentPoolName"), pool.Inputs)
			}
		}
	})
	return counts
}

// sizesOfNodes matches the D and E sizes of the fifth generation: vCPUs, and letters for the
// features of a machine.
var sizesOfNodes = regexp.MustCompile(`^Standard_[DE]([0-9]+)(?:-[0-9]+)?([a-z]*)_v5$`)

const gib = 1 << 30

// noLocalDisk and localDiskTooSmall are K10: an ephemeral disk of the operating system fits on the
// machine's own.
var (
	noLocalDisk = arm.Rule{ID: "K10", Code: "VMSizeDoesNotSupportEphemeralOS", Broken: func(s arm.Subject) []arm.Finding {
		return eachPool(s, func(path string, pool arm.Document) []arm.Finding {
			room, known := localDisk(pool.Text("vmSize"))
			if pool.Text("osDiskType") != "Ephemeral" || !known || room > 0 {
				return nil
			}
			return arm.Found(path+"osDiskType", "The Virtual Machine size %s does not support Ephemeral OS disk. Use a size with the letter d, or "+
				"set osDiskType to Managed", pool.Text("vmSize"))
		})
	}}
	localDiskTooSmall = arm.Rule{ID: "K10", Code: "VMCacheSizeTooSmall", Broken: func(s arm.Subject) []arm.Finding {
		return eachPool(s, func(path string, pool arm.Document) []arm.Finding {
			room, known := localDisk(pool.Text("vmSize"))
			size, asked := pool.Number("osDiskSizeGB")
			if pool.Text("osDiskType") != "Ephemeral" || !known || room == 0 || !asked || size <= room {
				return nil
			}
			return arm.Found(path+"osDiskSizeGB", "The virtual machine size %s has a cache size of %.0f bytes, but the OS disk requires %.0f bytes. "+
				"Use a VM size with larger cache or disable ephemeral OS", pool.Text("vmSize"), room*gib, size*gib)
		})
	}}
)

// localDisk returns how many GiB of local disk a machine has, if that is known.
func localDisk(vmSize string) (size float64, known bool) {
	found := sizesOfNodes.FindStringSubmatch(vmSize)
	if found == nil {
		return 0, false
	}
	if !strings.Contains(found[2], "d") {
		return 0, true
	}
	processors, err := strconv.Atoi(found[1])
	return float64(processors) * 37.5, err == nil
}

// eachPool applies a rule to the pools in a cluster's inputs, or to a pool's.
func eachPool(s arm.Subject, rule func(path string, pool arm.Document) []arm.Finding) []arm.Finding {
	if s.Kind == typePool {
		return rule("", s.In)
	}
	var result []arm.Finding
	for i, pool := range s.In.Documents(inlinePoolsPath) {
		result = append(result, rule(arm.Indexed(inlinePoolsPath, i)+".", pool)...)
	}
	return result
}
