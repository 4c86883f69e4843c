package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// kubernetesVersion is an entry of "Managed Clusters - List Kubernetes Versions" (api-version
// 2024-09-01).
type kubernetesVersion struct {
	Version      string `json:"version"`
	IsPreview    bool   `json:"isPreview"`
	Capabilities struct {
		SupportPlan []string `json:"supportPlan"`
	} `json:"capabilities"`
	PatchVersions map[string]json.RawMessage `json:"patchVersions"`
}

// official is the support plan of a version that clusters without long-term support may have.
const official = "KubernetesOfficial"

func (q asker) kubernetes(ctx context.Context) []Check {
	const concern = "Kubernetes"
	items, err := q.list(ctx, q.path("/providers/Microsoft.ContainerService/locations/"+q.needs.Location+"/kubernetesVersions",
		"2024-09-01"), "values")
	if err != nil {
		return []Check{unanswered(concern, q.needs.KubernetesVersion, err)}
	}
	return []Check{q.needs.judgeKubernetes(items)}
}

func (n Needs) judgeKubernetes(items []json.RawMessage) Check {
	const concern = "Kubernetes"
	of := n.KubernetesVersion
	list, whole := decoded[kubernetesVersion](items)
	var offered []string
	for _, v := range list {
		whole = whole && v.Version != ""
		if v.Version != of {
			if !v.IsPreview && slices.Contains(v.Capabilities.SupportPlan, official) {
				offered = append(offered, v.Version)
			}
			continue
		}
		remedy := "set kubernetesVersion to a version that is offered"
		switch {
		case v.IsPreview:
			return problem(concern, of, "it is a preview in "+n.Location, remedy)
		case len(v.Capabilities.SupportPlan) == 0 || len(v.PatchVersions) == 0:
			return unclear(concern, of, "it tells no support plan or no patch of the version")
		case slices.Contains(v.Capabilities.SupportPlan, official):
			return good(concern, of, "offered in "+n.Location)
		case slices.Contains(v.Capabilities.SupportPlan, "AKSLongTermSupport"):
			return problem(concern, of, "only clusters with long-term support may have it", remedy)
		default:
			return unclear(concern, of, "it has no support plan that is known")
		}
	}
	if !whole || len(offered) == 0 {
		return unclear(concern, of, "not all of it can be read, and the version is not in the rest")
	}
	slices.Sort(offered)
	return problem(concern, of, fmt.Sprintf("%s offers %s", n.Location, strings.Join(offered, ", ")),
		"set kubernetesVersion to a version that is offered")
}

// meshProfile is an entry of "Managed Clusters - List Mesh Revision Profiles" (api-version
// 2024-09-01).
type meshProfile struct {
	Name       string `json:"name"`
	Properties struct {
		MeshRevisions []meshRevision `json:"meshRevisions"`
	} `json:"properties"`
}

type meshRevision struct {
	Revision       string `json:"revision"`
	CompatibleWith []struct {
		Name     string   `json:"name"`
		Versions []string `json:"versions"`
	} `json:"compatibleWith"`
}

func (q asker) mesh(ctx context.Context) []Check {
	items, err := q.list(ctx, q.path("/providers/Microsoft.ContainerService/locations/"+q.needs.Location+"/meshRevisionProfiles",
		"2024-09-01"), "value")
	if err != nil {
		return []Check{unanswered("mesh", "Istio", err)}
	}
	return q.needs.judgeMesh(items)
}

func (n Needs) judgeMesh(items []json.RawMessage) []Check {
	const concern = "mesh"
	list, whole := decoded[meshProfile](items)
	var revisions []meshRevision
	for _, profile := range list {
		if strings.EqualFold(profile.Name, "istio") {
			revisions = append(revisions, profile.Properties.MeshRevisions...)
		}
	}
	var fitting, others []string
	for _, r := range revisions {
		fits, said := false, false
		for _, with := range r.CompatibleWith {
			if strings.EqualFold(with.Name, "kubernetes") {
				said = said || len(with.Versions) > 0
				fits = fits || slices.Contains(with.Versions, n.KubernetesVersion)
			}
		}
		switch {
		case r.Revision == "" || !said:
			whole = false
		case fits:
			fitting = append(fitting, r.Revision)
		default:
			others = append(others, r.Revision)
		}
	}
	if len(fitting)+len(others) == 0 {
		return []Check{unclear(concern, "Istio", "it has no revisions of Istio")}
	}
	const part = "not all of it can be read, and the rest has no revision for it"
	goes := fmt.Sprintf("with Kubernetes %s go %s", n.KubernetesVersion, some(fitting))
	var checks []Check
	for _, revision := range n.MeshRevisions {
		switch {
		case slices.Contains(others, revision) || !slices.Contains(fitting, revision) && whole:
			checks = append(checks, problem(concern, revision, goes, "configure a revision of the mesh that goes with kubernetesVersion"))
		case slices.Contains(fitting, revision):
			checks = append(checks, good(concern, revision, goes))
		default:
			checks = append(checks, unclear(concern, revision, part))
		}
	}
	return checks
}
