// Package arm is the resource manager of the simulated Azure. It knows no service: Open gets the
// services, which are package services outside of tests.
//
// A resource type is one entry in a table (see Definition) that names the types of the Go SDK. From
// these the package derives the Pulumi token, the accepted inputs and the known outputs, so no part
// of a schema is written down twice. Everything that holds for all types is generic and is here:
// ids and parents, references between resources, immutable properties, one operation at a time,
// durations, soft deletion, the inventory.
package arm
