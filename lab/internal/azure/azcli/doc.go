// Package azcli reads the az commands in the documents, and carries out those that change an
// environment against the simulated Azure. It knows the verbs and flags that the documents use and
// refuses all others.
package azcli
