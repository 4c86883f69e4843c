// Package providers serves Pulumi resource providers of this repository to the real Pulumi engine,
// which attaches to them through PULUMI_DEBUG_PROVIDERS=<package>:<port>. It also has the parts
// that all such providers share: the handshake of the protocol (Base) and the conversion of
// properties (Marshal, Unmarshal).
package providers
