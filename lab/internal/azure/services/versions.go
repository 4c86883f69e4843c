package services

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// Inputs and outputs that carry versions.
const (
	inlinePoolsPath = "agentPoolProfiles"
	currentVersion  = "currentOrchestratorVersion"
)

// versionsOfAllPools is K9: a request that changes the version of a cluster names the versions of
// all of its pools, whether they are part of the request or resources of their own, or of no pool.
// Each named version is either the pool's present one or the cluster's new one.
var versionsOfAllPools = arm.Rule{
	ID: "K9", Code: "NotAllAgentPoolOrchestratorVersionSpecifiedAndUnchanged",
	Broken: func(s arm.Subject) []arm.Finding {
		live := s.Cloud.Find(s.ID)
		if live == nil || versionOf(live.Inputs.Text("kubernetesVersion")) == versionOf(s.In.Text("kubernetesVersion")) {
			return nil
		}
		named := map[string]string{}
		for _, pool := range s.In.Documents(inlinePoolsPath) {
			if version := pool.Text("orchestratorVersion"); version != "" {
				named[pool.Text("name")] = version
			}
		}
		if len(named) == 0 {
			return nil
		}
		const law = "Using managed cluster api, all Agent pools' OrchestratorVersion must be all specified or all unspecified. " +
			"If all specified, they must be stay unchanged or the same with control plane"
		var result []arm.Finding
		running := poolVersions(s.Cloud, live)
		for _, name := range slices.Sorted(maps.Keys(running)) {
			version, ok := named[name]
			switch {
			case !ok:
				result = append(result, arm.Finding{Property: inlinePoolsPath, Message: fmt.Sprintf(
					"%s: the request does not name that of agent pool '%s'. Name none, and raise the cluster with `az aks upgrade`", law, name)})
			case versionOf(version) != versionOf(running[name]) && versionOf(version) != versionOf(s.In.Text("kubernetesVersion")):
				result = append(result, arm.Finding{Property: inlinePoolsPath, Message: fmt.Sprintf(
					"%s: that of agent pool '%s' is %s and would become %s", law, name, running[name], version)})
			}
		}
		return result
	},
}

// poolVersions returns the version that each pool of a cluster runs, by the pool's name.
func poolVersions(v *arm.View, cluster *arm.Record) map[string]string {
	running := map[string]string{}
	for _, pool := range cluster.Outputs.Documents(inlinePoolsPath) {
		running[pool.Text("name")] = pool.Text(currentVersion)
	}
	for _, pool := range v.Children(cluster.ID) {
		if pool.Kind == typePool {
			running[pool.Inputs.Text("agentPoolName")] = pool.Outputs.Text(currentVersion)
		}
	}
	return running
}

// poolRuns is the version that a pool runs after a request: the version in the request, or the one
// that it ran before, or, for a new pool, the cluster's. A request for the cluster alone does not
// upgrade the pools.
func poolRuns(named, before, cluster string) string {
	switch {
	case named != "":
		return versionOf(named)
	case before != "":
		return before
	default:
		return versionOf(cluster)
	}
}

// inlineVersions are the versions of the pools that are part of a cluster, in the order of the
// request.
func inlineVersions(s arm.Subject) []any {
	before := map[string]string{}
	if live := s.Cloud.Find(s.ID); live != nil {
		before = poolVersions(s.Cloud, live)
	}
	var pools []any
	for _, pool := range s.In.Documents(inlinePoolsPath) {
		runs := poolRuns(pool.Text("orchestratorVersion"), before[pool.Text("name")], s.In.Text("kubernetesVersion"))
		pools = append(pools, map[string]any{"name": pool.Text("name"), currentVersion: runs})
	}
	return pools
}

// poolRunsNow is the version that a pool with a resource of its own runs after a request.
func poolRunsNow(s arm.Subject) string {
	var before, of string
	if live := s.Cloud.Find(s.ID); live != nil {
		before = live.Outputs.Text(currentVersion)
	}
	owner, _ := arm.Ancestor(s.ID, typeCluster)
	if cluster := s.Cloud.Find(owner); cluster != nil {
		of = cluster.Inputs.Text("kubernetesVersion")
	}
	return poolRuns(s.In.Text("orchestratorVersion"), before, of)
}

// PoolVersions returns the version of Kubernetes that each pool of a cluster runs, by the pool's
// name.
func PoolVersions(c *arm.Cloud, cluster string) map[string]string {
	running := map[string]string{}
	c.Look(func(v *arm.View) {
		if live := v.Find(cluster); live != nil {
			running = poolVersions(v, live)
		}
	})
	return running
}

// meshRevisions is K8: from one revision a mesh goes to that one together with one of the next two,
// and from two revisions to one of them.
var meshRevisions = arm.Rule{ID: "K8", Code: "BadRequest", Broken: func(s arm.Subject) []arm.Finding {
	const path = "serviceMeshProfile.istio.revisions"
	live := s.Cloud.Find(s.ID)
	wanted := s.In.Texts(path)
	if live == nil || len(wanted) == 0 || live.Inputs.Text("serviceMeshProfile.mode") != "Istio" {
		return nil
	}
	present := live.Inputs.Texts(path)
	if len(present) == 0 {
		present = []string{defaultMeshRevision}
	}
	refuse := func(reason string, arguments ...any) []arm.Finding {
		return arm.Found(path, "Requested change in revisions is not allowed. Reason: %s", fmt.Sprintf(reason, arguments...))
	}
	added := slices.DeleteFunc(slices.Clone(wanted), func(r string) bool { return slices.Contains(present, r) })
	kept := slices.DeleteFunc(slices.Clone(wanted), func(r string) bool { return !slices.Contains(present, r) })
	switch {
	case len(added) == 0:
		return nil
	case len(kept) == 0:
		return refuse("%s would replace %s at once; run both first, and remove the old one when the new one serves",
			strings.Join(wanted, ", "), strings.Join(present, ", "))
	case len(present) > 1:
		return refuse("an upgrade from %s is under way; complete it, or take it back, first", strings.Join(present, " to "))
	}
	from, okFrom := meshMinor(kept[0])
	to, okTo := meshMinor(added[0])
	if okFrom && okTo && (to <= from || to > from+2) {
		return refuse("%s is not one of the next two revisions after %s", added[0], kept[0])
	}
	return nil
}}

// meshMinor returns 30 for asm-1-30.
func meshMinor(revision string) (int, bool) {
	return minorOf(strings.ReplaceAll(strings.TrimPrefix(revision, "asm-"), "-", "."))
}
