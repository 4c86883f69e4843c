// Package approval binds a deployment to what people approved. A Plan says what an update would do
// to the stacks of an environment; the approval is of the digest of the plan's file; and a
// deployment checks that what it is about to do is in the plan.
//
// A deployment may do what the plan has, or less: an approved replacement may become an update, and
// an approved change may become none. A value that is unknown in the plan may become any value, as
// long as it causes no operation outside the plan.
package approval

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/gridos/sharedinfra/internal/changes"
)

// format is the version of the plan's file. It changes when a newer program would read the plan of
// an older one differently.
const format = 1

// Plan is what an update would do to the stacks of one environment.
type Plan struct {
	// Format is the version of the file.
	Format int `json:"format"`
	// Environment is dev, test or prod, which is the name of every stack.
	Environment string `json:"environment"`
	// Commit is the commit of the programs and the configuration.
	Commit string `json:"commit"`
	// ContractVersion is that of the programs (package stacks).
	ContractVersion int `json:"contractVersion"`
	// SealedKey is the key of the values, encrypted with the secrets provider of the environment's
	// stacks: only who may decrypt the environment's state can find out a value.
	SealedKey string `json:"sealedKey"`
	// Stacks are in the order in which they are updated.
	Stacks []Stack `json:"stacks"`
	// Dangers are the dangerous changes, and Consent is the code of the consent that they need; it is
	// empty if there are none.
	Dangers []changes.Danger `json:"dangers,omitempty"`
	Consent string           `json:"consent,omitempty"`
}

// Stack is what an update would do to the stack of one project.
type Stack struct {
	// Project is the project's name in its Pulumi.yaml.
	Project string `json:"project"`
	// Providers are all providers of the program, also those that stay as they are.
	Providers []Provider `json:"providers"`
	// Entries are the operations that change something, sorted.
	Entries []Entry `json:"entries"`
}

// Provider is a provider, as the program configures it.
type Provider struct {
	URN        string     `json:"urn"`
	Version    string     `json:"version"`
	Properties []Property `json:"properties,omitempty"`
}

// Entry is an operation on one resource.
type Entry struct {
	URN string `json:"urn"`
	// Operation is the engine's: create, update, replace, delete, import, import-replacement or
	// delete-replaced.
	Operation string `json:"operation"`
	// Provider is the URN of the provider that carries it out.
	Provider string `json:"provider,omitempty"`
	// Properties are all inputs of a created resource, and the differing ones of an updated or
	// replaced resource, sorted by path.
	Properties []Property `json:"properties,omitempty"`
}

// Property is one input, down to values that are neither objects nor lists.
type Property struct {
	Path string `json:"path"`
	Old  Value  `json:"old,omitempty"`
	New  Value  `json:"new,omitempty"`
	// Replaces says that the resource is replaced because of it.
	Replaces bool `json:"replaces,omitempty"`
}

// Value is the code of a value (Key.value), or one of the constants. The empty one stands for no
// value.
type Value string

// What has no code.
const (
	// Secret stands for a secret value, which leaves no trace: the plan does not even show whether
	// it changes.
	Secret Value = "secret"
	// Unknown stands for a value that is known only when something else has been updated.
	Unknown Value = "unknown"
)

// Write writes the plan to a file, and returns the digest that people approve.
func (p Plan) Write(file string) (digest string, err error) {
	p.Format = format
	text, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return "", fmt.Errorf("encode the plan: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", fmt.Errorf("write the plan: %w", err)
	}
	return digestOf(text), nil
}

// Read reads a plan whose file has the digest that was approved.
func Read(file, digest string) (Plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Plan{}, fmt.Errorf("read the plan: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(digestOf(text)), []byte(digest)) != 1 {
		return Plan{}, &RefusedError{Reasons: []string{fmt.Sprintf(
			"the plan in %s is not the one that was approved: its digest is %s, and %q was approved", file, digestOf(text), digest)}}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields() // a field that the program does not know would go unchecked
	var p Plan
	if err := decoder.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("%s is no plan: %w", file, err)
	}
	if p.Format != format {
		return Plan{}, fmt.Errorf("%s has format %d, and this program reads %d; plan again with this program", file, p.Format, format)
	}
	if p.SealedKey == "" {
		return Plan{}, errors.New(file + " is no plan: it has no key")
	}
	return p, nil
}

// The digest is of codes, which cannot be computed without the key: it reveals no value.
func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
