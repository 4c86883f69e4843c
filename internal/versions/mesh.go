package versions

import "fmt"

// istioMinor is the minor version of Istio in the mesh of an environment that names no revision.
const istioMinor = 30

// IstioRevision is the revision of AKS' Istio that an environment has unless its stack file names
// another.
func IstioRevision() string { return revision(istioMinor) }

// IstioRevisions are those that an environment may have: the one before the default, which an
// upgrade comes from, the default, and the two that an upgrade may lead to.
func IstioRevisions() []string {
	var all []string
	for minor := istioMinor - 1; minor <= istioMinor+2; minor++ {
		all = append(all, revision(minor))
	}
	return all
}

func revision(minor int) string { return fmt.Sprintf("asm-1-%d", minor) }
