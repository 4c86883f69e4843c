// Package charts makes Helm charts out of the official manifests, for machines that cannot reach the charts' repositories. The
// manifests come with the Go modules that are pinned in tools/, so nothing more is downloaded.
//
// The module of External Secrets has the project's own chart in it, which is used as it is but for what [WrapExternalSecrets]
// lists. The modules of Argo have manifests only. A chart wrapped from these yields their objects under their own names, which
// are those that the real chart gives when it is released as "argocd" or "argo-rollouts". It understands the values that decide
// how the platform behaves, at the keys and with the meaning of the real chart; [WrapArgoCD] and [WrapArgoRollouts] list them.
// Every other value has no effect, as Helm ignores what no template reads.
package charts
