// Package azcli reads the commands of az in the documents, and carries out those that change an environment against the simulated
// Azure. It knows the verbs and flags that the documents use and refuses all others.
package azcli
