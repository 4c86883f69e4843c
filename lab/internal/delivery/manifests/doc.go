// Package manifests reads what Argo CD syncs the way Argo CD does, with Kustomize, and checks what no schema can: that objects
// refer to others that are there, that images are pinned, that nothing secret is in Git. A mistake is reported with the file to
// look in and the field.
//
// What a schema can tell, unknown fields and wrong types, is the API server's to judge; a test does that with the official
// definitions.
package manifests
