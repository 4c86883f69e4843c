// Package config reads the configuration of the Pulumi projects so that every mistake in it is reported at once, by the
// key as it stands in the stack's file, before a single resource is registered.
//
// Defaults live in one place only, the projects' Pulumi.yaml: the engine merges them into what a program sees, and
// package projectfile does the same for the tests and the lab. A Reader therefore treats an absent key as a mistake.
package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// suppliedKey carries, under the project's namespace, the JSON list of keys that the stack was given: the Go SDK answers
// questions about single keys only, and a mistyped key is one that nobody ever asks about. See Strict.
const suppliedKey = "__supplied"

// Reader reads the keys of one project, collecting mistakes instead of stopping at the first. Its zero value is not
// usable; call FromContext or FromMap.
type Reader struct {
	project  string
	stack    string
	lookup   func(key string) (string, bool)
	supplied []string
	asked    []string
	broken   []string // keys whose values could not be read
	mistakes []error
}

// FromContext returns a Reader over what the engine passed to the running program.
func FromContext(ctx *pulumi.Context) *Reader {
	r := &Reader{project: ctx.Project(), stack: ctx.Stack(), lookup: func(key string) (string, bool) {
		return ctx.GetConfig(ctx.Project() + ":" + key)
	}}
	if list, ok := r.lookup(suppliedKey); ok {
		if err := json.Unmarshal([]byte(list), &r.supplied); err != nil {
			r.mistakes = append(r.mistakes, fmt.Errorf("%s:%s: %w", r.project, suppliedKey, err))
		}
	}
	return r
}

// FromMap returns a Reader over values, whose keys carry their namespace as in the stack's file ("gridos-infra:location").
// Keys of other namespaces are left alone: they configure providers and the engine.
func FromMap(project, stack string, values map[string]string) *Reader {
	return &Reader{
		project: project,
		stack:   stack,
		lookup: func(key string) (string, bool) {
			v, ok := values[project+":"+key]
			return v, ok
		},
		supplied: keysOf(project, values),
	}
}

// Strict is the run option with which the projects' main programs start, so that a key nobody reads is refused.
func Strict(info *pulumi.RunInfo) {
	list, err := json.Marshal(keysOf(info.Project, info.Config))
	if err != nil || info.Config == nil {
		return // a list of strings always marshals; without configuration there is nothing to be strict about
	}
	info.Config[info.Project+":"+suppliedKey] = string(list)
}

func keysOf(project string, values map[string]string) []string {
	keys := []string{}
	for key := range values {
		if name, ok := strings.CutPrefix(key, project+":"); ok {
			keys = append(keys, name)
		}
	}
	sort.Strings(keys)
	return keys
}

// Text returns the value of key, which must not be empty.
func (r *Reader) Text(key string) string {
	value, ok := r.get(key)
	if ok && value == "" {
		r.unreadable(key, errors.New("is empty; set a value or remove it, so that the default of Pulumi.yaml applies"))
	}
	return value
}

// String returns the value of key, which may be empty.
func (r *Reader) String(key string) string {
	value, ok := r.get(key)
	if !ok {
		return ""
	}
	return value
}

// Int returns the value of key, a whole number.
func (r *Reader) Int(key string) int {
	value, ok := r.get(key)
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		r.unreadable(key, fmt.Errorf("%q is not a whole number; write digits only, such as 3", value))
	}
	return n
}

// Bool returns the value of key, true or false.
func (r *Reader) Bool(key string) bool {
	value, ok := r.get(key)
	if !ok {
		return false
	}
	if value != "true" && value != "false" {
		r.unreadable(key, fmt.Errorf("%q is neither true nor false; write one of the two", value))
	}
	return value == "true"
}

// Strings returns the value of key, a list of strings (a YAML sequence in the stack's file).
func (r *Reader) Strings(key string) []string {
	value, ok := r.get(key)
	if !ok {
		return nil
	}
	var list []string
	if err := json.Unmarshal([]byte(value), &list); err != nil {
		r.unreadable(key, fmt.Errorf("%s is not a list of strings; write a YAML sequence such as [\"1\", \"2\"]", value))
	}
	return list
}

// OneOf returns the value of key, which must be one of allowed.
func (r *Reader) OneOf(key string, allowed ...string) string {
	value, ok := r.get(key)
	if ok && !slices.Contains(allowed, value) {
		r.unreadable(key, fmt.Errorf("%q is not known here; use one of %s", value, strings.Join(allowed, ", ")))
	}
	return value
}

// IntBetween returns the value of key, a whole number from low to high, both included.
func (r *Reader) IntBetween(key string, low, high int) int {
	n := r.Int(key)
	if n < low || n > high {
		r.Check(key, fmt.Errorf("%d is out of range; use %d to %d", n, low, high))
	}
	return n
}

func (r *Reader) get(key string) (string, bool) {
	r.asked = append(r.asked, key)
	value, ok := r.lookup(key)
	if !ok {
		r.unreadable(key, errors.New("not set; set it with `pulumi config set "+key+" VALUE` or declare its default in Pulumi.yaml"))
	}
	return value, ok
}

// Check records every error joined in err as a mistake in key; a nil err records nothing. Checks that span several keys
// name the one that should change. A key whose value could not even be read has its mistake already: nothing that follows
// from it is recorded.
func (r *Reader) Check(key string, err error) {
	if err == nil || slices.Contains(r.broken, key) {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			r.Check(key, e)
		}
		return
	}
	mistake := fmt.Errorf("%s:%s: %w", r.project, key, err)
	same := func(other error) bool { return other.Error() == mistake.Error() }
	if !slices.ContainsFunc(r.mistakes, same) { // a key that several parts of the platform read is wrong once
		r.mistakes = append(r.mistakes, mistake)
	}
}

// unreadable records why the value of key is of no use to further checks.
func (r *Reader) unreadable(key string, err error) {
	r.Check(key, err)
	r.broken = append(r.broken, key)
}

// Keys returns the keys asked for so far, sorted: the declaration test compares them with Pulumi.yaml.
func (r *Reader) Keys() []string {
	keys := slices.Clone(r.asked)
	sort.Strings(keys)
	return slices.Compact(keys)
}

// Err returns nil or one *Error with every mistake: values that are wrong and keys that nobody asked for. Call it when all
// keys have been read.
func (r *Reader) Err() error {
	known := r.Keys()
	for _, key := range r.supplied {
		if key == suppliedKey || slices.Contains(known, key) {
			continue
		}
		remedy := "remove it"
		if near := nearest(key, known); near != "" {
			remedy = fmt.Sprintf("did you mean %s:%s?", r.project, near)
		}
		r.mistakes = append(r.mistakes, fmt.Errorf("%s:%s: no such key; %s", r.project, key, remedy))
	}
	r.supplied = nil
	if len(r.mistakes) == 0 {
		return nil
	}
	return &Error{Project: r.project, Stack: r.stack, Mistakes: r.mistakes}
}

// Error is every mistake in one project's configuration of one stack.
type Error struct {
	// Project and Stack name the configuration, such as gridos-infra and dev.
	Project, Stack string
	// Mistakes has one error per mistake, each naming its key.
	Mistakes []error
}

// Error lists the mistakes, one a line.
func (e *Error) Error() string {
	var b strings.Builder
	noun := "mistakes"
	if len(e.Mistakes) == 1 {
		noun = "mistake"
	}
	fmt.Fprintf(&b, "%s: %d %s in the configuration (Pulumi.%s.yaml over the defaults in Pulumi.yaml)",
		e.Project, len(e.Mistakes), noun, e.Stack)
	for _, mistake := range e.Mistakes {
		b.WriteString("\n  " + mistake.Error())
	}
	return b.String()
}

// Unwrap gives access to the single mistakes.
func (e *Error) Unwrap() []error { return e.Mistakes }

// nearest returns the known key that key was probably meant to be, or "".
func nearest(key string, known []string) string {
	best, distance := "", len(key)/2+1
	for _, candidate := range known {
		if d := levenshtein.Distance(strings.ToLower(key), strings.ToLower(candidate), nil); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}
