// Package charts makes Helm charts out of the official Argo manifests, for machines that cannot reach the charts'
// repository. The manifests come with the Go modules that the lab's tools are pinned to, so nothing more is downloaded.
//
// A wrapped chart yields the objects of the manifests under their own names, which are those that the real chart gives
// when it is released as "argocd" or "argo-rollouts". It understands the values that decide how the platform behaves, at
// the keys and with the meaning of the real chart; [WrapArgoCD] and [WrapArgoRollouts] list them. Every other value has
// no effect, as Helm ignores what no template reads.
package charts
