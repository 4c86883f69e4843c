package cluster

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/gridos/sharedinfra/internal/config"
)

// istioRevision is the name of a revision of AKS' Istio, with the minor version in it.
var istioRevision = regexp.MustCompile(`^asm-1-([0-9]{2})$`)

// farthestRevision is how many minor versions a canary upgrade of the mesh may be ahead. Source:
// azure-aks-docs, istio-upgrade (21 August 2026): "the next supported revision (n+1) or skip one
// and upgrade to n+2".
const farthestRevision = 2

// fitting are the minor versions of Kubernetes, the oldest and the newest, that a revision of the
// mesh goes with, by the minor version of Istio. Source: azure-aks-docs, istio-support-policy (15
// May 2026). Azure itself decides about other revisions.
var fitting = map[int][2]int{
	25: {29, 33},
	26: {29, 34},
	27: {29, 35},
	28: {30, 35},
	29: {31, 36},
	30: {32, 36},
}

// checkRevisions records a mistake unless the revisions are one, or an older and a newer one during
// an upgrade, that go with the version of Kubernetes.
func (s Settings) checkRevisions(r *config.Reader) {
	const key = "istioRevisions"
	if len(s.IstioRevisions) < 1 || len(s.IstioRevisions) > 2 {
		r.Check(key, fmt.Errorf("has %d revisions; name one, such as [\"asm-1-30\"], or the old and the new one during an upgrade",
			len(s.IstioRevisions)))
	}
	var minors []int
	for _, text := range s.IstioRevisions {
		found := istioRevision.FindStringSubmatch(text)
		if found == nil {
			r.Check(key, fmt.Errorf("%q is not a revision of AKS' Istio; write it like asm-1-30 "+
				"(`az aks mesh get-revisions` lists them)", text))
			continue
		}
		minor, _ := strconv.Atoi(found[1])
		minors = append(minors, minor)
		r.Check(key, s.checkFit(text, minor))
	}
	if len(minors) == 2 && (minors[1] <= minors[0] || minors[1] > minors[0]+farthestRevision) {
		r.Check(key, fmt.Errorf("an upgrade leads from %s to one of the next %d revisions, not to %s; write the old one first",
			s.IstioRevisions[0], farthestRevision, s.IstioRevisions[1]))
	}
}

// checkFit returns an error when the revision is known not to go with the version of Kubernetes.
func (s Settings) checkFit(revision string, minor int) error {
	versions, known := fitting[minor]
	if !known || !minorVersion.MatchString(s.KubernetesVersion) {
		return nil
	}
	kubernetes, err := strconv.Atoi(s.KubernetesVersion[len("1."):])
	switch {
	case err != nil:
		return errors.New("kubernetesVersion has no minor version")
	case kubernetes < versions[0]:
		return fmt.Errorf("%s goes with Kubernetes 1.%d to 1.%d, but kubernetesVersion is %s; upgrade Kubernetes first",
			revision, versions[0], versions[1], s.KubernetesVersion)
	case kubernetes > versions[1]:
		return fmt.Errorf("%s goes with Kubernetes 1.%d to 1.%d, but kubernetesVersion is %s; upgrade the mesh first",
			revision, versions[0], versions[1], s.KubernetesVersion)
	default:
		return nil
	}
}
