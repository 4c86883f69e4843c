// Package contract compares the outputs that the stacks have with those that they had, and says
// which other teams' programs a change concerns, and which of them it breaks.
package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/internal/spelling"
	"github.com/gridos/sharedinfra/stacks"
)

// The files of a checkout that say what the outputs are, and who reads them.
const (
	File          = "stacks/testdata/contract.json"
	ConsumersFile = "stacks/consumers.yaml"
)

// Contract has the outputs that other projects, and other teams, read.
type Contract struct {
	Version int `json:"version"`
	// Projects are the outputs of each project, by key.
	Projects map[string]map[string]Output `json:"projects"`
}

// Output is what a reader of an output relies on.
type Output struct {
	// Type is the type of its value in Go.
	Type   string `json:"type"`
	Secret bool   `json:"secret,omitempty"`
}

// Keys are the outputs that other teams read, sorted.
func (c Contract) Keys() []string { return slices.Sorted(maps.Keys(c.Projects[stacks.Published.Name])) }

// At is the contract and its registered consumers in one checkout.
type At struct {
	Contract  Contract
	Consumers []Consumer
}

// Read returns the contract and the consumers in the checkout at root. Without the files there are
// none: a commit may be older than they are. The outputs that consumers name need not be in the
// contract; Consumers checks that.
func Read(root string) (At, error) {
	var at At
	text, err := read(root, File)
	if text != nil {
		err = json.Unmarshal(text, &at.Contract)
	}
	if err != nil {
		return at, fmt.Errorf("%s: %w", File, err)
	}
	text, err = read(root, ConsumersFile)
	if text != nil {
		at.Consumers, err = parse(text)
	}
	return at, err
}

// read returns nothing for a file that is not there.
func read(root, name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// Change is how the contract differs from what it was. One that only adds outputs breaks no reader.
type Change struct {
	// Before and After are the versions.
	Before int `json:"before"`
	After  int `json:"after"`
	// Breaks are what readers do not find, or find differently, sorted by project and output.
	Breaks []Break `json:"breaks,omitempty"`
	// Added are the outputs that are new, as <project>.<output>.
	Added []string `json:"added,omitempty"`
}

// Break is what a reader of one output does not find, or finds differently.
type Break struct {
	Project string `json:"project"`
	Output  string `json:"output"`
	// What says what happens to the output.
	What string `json:"what"`
	// Consumers are the registered programs that read the output.
	Consumers []string `json:"consumers,omitempty"`
	// Refused says why the change may not be made, or is empty.
	Refused string `json:"refused,omitempty"`
}

// Refused are the breaks that may not be made.
func (c *Change) Refused() []Break {
	if c == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Breaks), func(b Break) bool { return b.Refused == "" })
}

// Between is Compare for two checkouts.
func Between(before, after string) (*Change, error) {
	old, err := Read(before)
	if err != nil {
		return nil, fmt.Errorf("%s, which it is compared with: %w", before, err)
	}
	made, err := Read(after)
	return Compare(old, made), err
}

// Compare returns how after differs from before, or nil if both have the same contract. A
// break is refused unless the version grows and each registered consumer of the output
// is ready for the new version. The consumers of both sides count, and those of before with what
// they said there: a change cannot remove the entry of a consumer that it breaks.
func Compare(before, after At) *Change {
	if before.Contract.Projects == nil {
		return nil
	}
	old, made := before.Contract, after.Contract
	c := Change{Before: old.Version, After: made.Version}
	consumers := union(before.Consumers, after.Consumers)
	refuse := func(project, output, what string, reading []Consumer) {
		b := Break{Project: project, Output: output, What: what}
		var waiting []string
		for _, consumer := range reading {
			b.Consumers = append(b.Consumers, consumer.String())
			if !slices.Contains(consumer.Versions, made.Version) {
				waiting = append(waiting, consumer.String())
			}
		}
		switch {
		case made.Version < old.Version:
			b.Refused = "the version of the contract only grows"
		case made.Version == old.Version:
			b.Refused = "a change that breaks readers needs a new version of the contract (stacks.ContractVersion); keep the output, " +
				"beside a new one if need be"
		case len(waiting) > 0:
			b.Refused = fmt.Sprintf("not ready for version %d: %s; each says so in %s first, by a pull request of its own",
				made.Version, strings.Join(waiting, ", "), ConsumersFile)
		}
		c.Breaks = append(c.Breaks, b)
	}
	if old.Version != made.Version { // every reader refuses a version that it does not know
		refuse(stacks.Published.Name, "contractVersion", fmt.Sprintf("was %d and is %d", old.Version, made.Version), consumers)
	}
	for _, project := range slices.Sorted(maps.Keys(old.Projects)) {
		for _, key := range slices.Sorted(maps.Keys(old.Projects[project])) {
			if what := broken(old.Projects[project], made.Projects[project], key); what != "" {
				refuse(project, key, what, readers(consumers, project, key))
			}
		}
	}
	for _, project := range slices.Sorted(maps.Keys(made.Projects)) {
		for _, key := range slices.Sorted(maps.Keys(made.Projects[project])) {
			if _, there := old.Projects[project][key]; !there {
				c.Added = append(c.Added, project+"."+key)
			}
		}
	}
	if len(c.Breaks) == 0 && len(c.Added) == 0 {
		return nil
	}
	return &c
}

// broken says what a reader of the output key finds differently, or "".
func broken(old, made map[string]Output, key string) string {
	before := old[key]
	after, there := made[key]
	switch {
	case !there:
		if name := renamed(old, made, key); name != "" {
			return fmt.Sprintf("is gone; perhaps it has the name %s now", name)
		}
		return "is gone"
	case before.Type != after.Type:
		return fmt.Sprintf("was of type %s and is of type %s", before.Type, after.Type)
	case after.Secret && !before.Secret:
		return "becomes secret, and so does what is made of it"
	case before.Secret && !after.Secret:
		return "is secret no longer: what was encrypted is readable"
	default:
		return ""
	}
}

// renamed returns the new output that the output key, which is gone, probably is, or "".
func renamed(old, made map[string]Output, key string) string {
	var added []string
	for _, name := range slices.Sorted(maps.Keys(made)) {
		if _, there := old[name]; !there && made[name] == old[key] {
			added = append(added, name)
		}
	}
	if len(added) == 1 {
		return added[0]
	}
	return spelling.Nearest(key, added)
}
