// Package rendered compares what two sides of a change make Kubernetes run. Each side is rendered:
// a Helm chart with its values, or an overlay of Kustomize. The differences between the objects of
// both sides are rated by what they do to a running cluster.
//
// Nothing of a cluster is read, and nothing is written: the template function lookup finds no
// object, as in `helm template`.
package rendered
