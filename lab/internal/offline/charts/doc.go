// Package charts makes Helm charts from the official manifests, for machines that cannot reach the
// charts' repositories. The manifests are part of the Go modules that are pinned in tools/, so no
// further download is needed.
//
// The module of External Secrets has the project's own chart, which is used unchanged except for
// the differences that [WrapExternalSecrets] lists. The modules of Argo have manifests only. A
// chart wrapped from these yields their objects under their own names. These are the names that the
// real chart gives when it is released as "argocd" or "argo-rollouts". The wrapped chart
// understands the values that decide how the platform behaves, at the keys and with the meaning of
// the real chart; [WrapArgoCD] and [WrapArgoRollouts] list them. Every other value has no effect,
// because no template reads it.
package charts
