// Package providers serves Pulumi resource providers of this repository to the real Pulumi engine, which attaches to them
// by PULUMI_DEBUG_PROVIDERS=<package>:<port>. It also holds what every such provider answers in the same way: the
// handshake of the protocol (Base) and the conversion of properties (Marshal, Unmarshal).
package providers
