// Package config reads the configuration of the Pulumi projects so that every mistake in it is
// reported at once, by the key as it stands in the stack's file, before a single resource is
// registered.
//
// Defaults live in the programs' code, typed and per environment; the stack's file has only the
// differences. So a program asks a Reader for each key together with its default.
package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/spelling"
)

// suppliedKey carries, under the project's namespace, the JSON list of keys that the stack was
// given: the Go SDK answers questions about single keys only, and the program never asks for a
// mistyped key. See Strict.
const suppliedKey = "__supplied"

// Reader reads the keys of one project, collecting mistakes instead of stopping at the first. Its
// zero value is not usable; call FromContext or FromMap.
type Reader struct {
	project  string
	stack    string
	lookup   func(key string) (string, bool)
	isSecret func(key string) bool // nil where it is not known
	supplied []string
	// miswritten are the keys whose values do not arrive as they are written, with what is wrong.
	miswritten map[string]string
	defaults   map[string]any // of the keys asked for
	broken     []string       // keys whose values could not be read
	mistakes   []error
}

// FromContext returns a Reader over what the engine passed to the running program.
func FromContext(ctx *pulumi.Context) *Reader {
	r := &Reader{
		project:  ctx.Project(),
		stack:    ctx.Stack(),
		defaults: map[string]any{},
		lookup:   func(key string) (string, bool) { return ctx.GetConfig(ctx.Project() + ":" + key) },
		isSecret: func(key string) bool { return ctx.IsConfigSecret(ctx.Project() + ":" + key) },
	}
	if list, ok := r.lookup(suppliedKey); ok {
		if err := json.Unmarshal([]byte(list), &r.supplied); err != nil {
			r.mistakes = append(r.mistakes, fmt.Errorf("%s:%s: %w", r.project, suppliedKey, err))
		}
	}
	return r.readMiswritten()
}

func (r *Reader) readMiswritten() *Reader {
	if text, ok := r.lookup(miswrittenKey); ok {
		if err := json.Unmarshal([]byte(text), &r.miswritten); err != nil {
			r.mistakes = append(r.mistakes, fmt.Errorf("%s:%s: %w", r.project, miswrittenKey, err))
		}
	}
	if reason, ok := r.miswritten[everyKey]; ok {
		r.mistakes = append(r.mistakes, errors.New(reason))
	}
	return r
}

// FromMap returns a Reader over values, whose keys carry their namespace as in the stack's file
// ("gridos-infra:location"). Keys of other namespaces are left alone: they configure providers and
// the engine. A map does not say which values are secret: Secret accepts all.
func FromMap(project, stack string, values map[string]string) *Reader {
	r := &Reader{
		project:  project,
		stack:    stack,
		defaults: map[string]any{},
		lookup: func(key string) (string, bool) {
			v, ok := values[project+":"+key]
			return v, ok
		},
		supplied: keysOf(project, values),
	}
	return r.readMiswritten()
}

// Strict is the run option with which the projects' main programs start, so that a key that no
// program reads is refused, and a value that does not arrive as the stack's file has it.
func Strict(info *pulumi.RunInfo) {
	list, err := json.Marshal(keysOf(info.Project, info.Config))
	if err != nil || info.Config == nil {
		return // a list of strings always marshals; without configuration there is nothing to be strict about
	}
	if here(info.Project) {
		compareFile(info)
	}
	info.Config[info.Project+":"+suppliedKey] = string(list)
}

// configFile is the variable that makes the CLI read another file than the one beside Pulumi.yaml:
// its flag --config-file (declareFlagsAsEnvironmentVariables in pkg/cmd/pulumi/pulumi.go of Pulumi
// 3.246). A program cannot see the flag itself.
const configFile = "PULUMI_OPTION_CONFIG_FILE"

// compareFile compares the program's configuration with the file that the CLI has read it from. A
// file that is older than the stack's own file is refused: its values may differ from those in the
// stack's file now.
func compareFile(info *pulumi.RunInfo) {
	own := "Pulumi." + info.Stack + ".yaml"
	path := cmp.Or(os.Getenv(configFile), own)
	file, err := os.ReadFile(path)
	if err != nil {
		return // the engine has read none either, and there is no configuration
	}
	read, err := os.Stat(path)
	if written, failed := os.Stat(own); err == nil && failed == nil && written.ModTime().After(read.ModTime()) {
		refuse(info.Project, map[string]string{everyKey: fmt.Sprintf("%s is newer than %s, from which %s has pulumi read the "+
			"configuration; "+
			"in the lab evaluate `bin/lab env` again, elsewhere unset the variable", own, path, configFile)}, info.Config)
		return
	}
	Compare(info.Project, file, info.Config)
}

// here reports whether the working directory is the project's, as it is when the engine starts the
// program. A program that runs inside another process, as the lab's do, is somewhere else: its
// configuration was compared before.
func here(project string) bool {
	text, err := os.ReadFile("Pulumi.yaml")
	var found struct {
		Name string `yaml:"name"`
	}
	return err == nil && yaml.Unmarshal(text, &found) == nil && found.Name == project
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

// Text returns the value of key, or def. It must not be empty: a key whose default is empty has to
// be set.
func (r *Reader) Text(key, def string) string {
	value := r.String(key, def)
	if value == "" {
		r.unreadable(key, errors.New("is empty; set it with `pulumi config set "+key+" VALUE`"))
	}
	return value
}

// String returns the value of key, or def. It may be empty.
func (r *Reader) String(key, def string) string {
	if value, ok := r.get(key, def); ok {
		return value
	}
	return def
}

// Secret returns the value of key, or "". A program's value must have been set with --secret: the
// engine then encrypts it everywhere. No mistake quotes it.
func (r *Reader) Secret(key string) string {
	if _, ok := r.miswritten[key]; ok { // its reason quotes the value
		r.miswritten[key] = "does not arrive as it is written; encrypt it with `pulumi config set --secret " + key + "`"
	}
	value := r.String(key, "")
	if value != "" && r.isSecret != nil && !r.isSecret(key) {
		r.Check(key, fmt.Errorf("is in clear text in Pulumi.%s.yaml; encrypt it with `pulumi config set --secret %s`, which asks for "+
			"the value, and use another one if the file was ever committed", r.stack, key))
	}
	return value
}

// Int returns the value of key, a whole number, or def.
func (r *Reader) Int(key string, def int) int {
	value, ok := r.get(key, def)
	if !ok {
		return def
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		r.unreadable(key, fmt.Errorf("%q is not a whole number; write digits only, such as %d", value, def))
	}
	return n
}

// Bool returns the value of key, true or false, or def.
func (r *Reader) Bool(key string, def bool) bool {
	value, ok := r.get(key, def)
	if !ok {
		return def
	}
	if value != "true" && value != "false" {
		r.unreadable(key, fmt.Errorf("%q is neither true nor false; write one of the two", value))
	}
	return value == "true"
}

// Strings returns the value of key, a list of strings (a YAML sequence in the stack's file), or
// def.
func (r *Reader) Strings(key string, def []string) []string {
	value, ok := r.get(key, def)
	if !ok {
		return def
	}
	var list []string
	if err := json.Unmarshal([]byte(value), &list); err != nil {
		r.unreadable(key, fmt.Errorf("%s is not a list of strings; write a YAML sequence such as [\"1\", \"2\"]", value))
	}
	return list
}

// Decode returns the value of key, a list or an object (YAML in the stack's file), or def. A field
// that T does not have is a mistake; T's fields are named by their json tags.
func Decode[T any](r *Reader, key string, def T) T {
	text, ok := r.get(key, def)
	if !ok {
		return def
	}
	var value T
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&value)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more after its end")
		}
	}
	if err != nil {
		r.unreadable(key, fmt.Errorf("%s does not have the form that is expected here: %w; see docs/configuration.md", text, err))
		return def
	}
	return value
}

// OneOf returns the value of key, or def; it must be one of allowed.
func (r *Reader) OneOf(key, def string, allowed ...string) string {
	value := r.String(key, def)
	if !slices.Contains(allowed, value) {
		r.unreadable(key, fmt.Errorf("%q is not known here; use one of %s", value, strings.Join(allowed, ", ")))
	}
	return value
}

// IntBetween returns the value of key, a whole number from low to high, both included, or def.
func (r *Reader) IntBetween(key string, def, low, high int) int {
	n := r.Int(key, def)
	if n < low || n > high {
		r.Check(key, fmt.Errorf("%d is out of range; use %d to %d", n, low, high))
	}
	return n
}

// DurationBetween returns the value of key, such as 30s or 5m, from low to high, both included, or
// def.
func (r *Reader) DurationBetween(key string, def, low, high time.Duration) time.Duration {
	value, ok := r.get(key, def.String())
	if !ok {
		return def
	}
	d, err := time.ParseDuration(value)
	switch {
	case err != nil:
		r.unreadable(key, fmt.Errorf("%q is not a duration; write it like 30s or 5m", value))
	case d < low || d > high:
		r.Check(key, fmt.Errorf("%s is out of range; use %s to %s", d, low, high))
	}
	return d
}

// get returns what the stack says about key, and whether it says anything.
func (r *Reader) get(key string, def any) (string, bool) {
	r.defaults[key] = def
	if reason, ok := r.miswritten[key]; ok {
		r.unreadable(key, errors.New(reason))
	}
	return r.lookup(key)
}

// Check records every error joined in err as a mistake in key; a nil err records nothing. Checks
// that span several keys name the one that should change. A key whose value could not even be read
// already has its mistake: Check records nothing more for it.
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

// Defaults returns the keys asked for so far with the defaults that apply to this stack: strings,
// ints, bools, lists and objects. The documentation's test compares them with
// docs/configuration.md.
func (r *Reader) Defaults() map[string]any { return maps.Clone(r.defaults) }

// Err returns nil or one *Error with every mistake: wrong values, and keys that the program never
// read. Call it when all keys have been read.
func (r *Reader) Err() error {
	known := slices.Sorted(maps.Keys(r.defaults))
	for _, key := range r.supplied {
		if key == suppliedKey || key == miswrittenKey || slices.Contains(known, key) {
			continue
		}
		remedy := "remove it"
		if near := spelling.Nearest(key, known); near != "" {
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
	fmt.Fprintf(&b, "%s: %d %s in the configuration (Pulumi.%s.yaml)",
		e.Project, len(e.Mistakes), noun, e.Stack)
	for _, mistake := range e.Mistakes {
		b.WriteString("\n  " + mistake.Error())
	}
	return b.String()
}

// Unwrap gives access to the single mistakes.
func (e *Error) Unwrap() []error { return e.Mistakes }
