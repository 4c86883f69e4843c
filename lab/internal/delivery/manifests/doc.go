// Package manifests reads the manifests as Argo CD does, with Kustomize, and makes the checks that
// no schema can: objects refer to existing objects, images are pinned, and no secret is in Git. A
// mistake is reported with its file and field.
//
// The API server judges the mistakes that a schema can find, unknown fields and wrong types. A test
// does that with the official definitions.
package manifests
