// Package azure is a strict simulated Azure Resource Manager, served to the real Pulumi engine as the resource provider
// azure-native. It exists so that a deployment that Azure would refuse is refused on a laptop too, with Azure's own kind of
// error; whatever it does not know is an error, never accepted in silence.
//
// A resource type is one entry in a table (see definition) that names the types of the Go SDK. From these the package derives
// the Pulumi token, the accepted inputs and the known outputs, so that nothing of a schema is written down here a second
// time. Everything that holds for all types is generic: ids and parents, references between resources, immutable properties,
// one operation at a time, durations, soft deletion, the inventory. What is particular to a type are pure functions beside its
// entry: the rules that Azure enforces and the outputs that Azure computes. Rule ids such as N3 are those of
// docs/azure-rules.md, with their sources; a rule's comment says what it demands.
package azure
