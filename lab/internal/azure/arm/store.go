package arm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
)

// storeVersion is the version of the state file's format.
const storeVersion = 1

// store is the form of the state file.
type store struct {
	Version     int       `json:"version"`
	Resources   []*Record `json:"resources"`
	SoftDeleted []*Record `json:"softDeleted"`
}

// load reads the state file, if there is one.
func (c *Cloud) load() error {
	if c.options.StateFile == "" {
		return nil
	}
	content, err := os.ReadFile(c.options.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("inventory of the simulated Azure cannot be read: %w", err)
	}
	var stored store
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&stored)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more after its end")
		}
	}
	if err != nil {
		return fmt.Errorf("inventory %s of the simulated Azure is damaged, restore or remove it: %w", c.options.StateFile, err)
	}
	if stored.Version != storeVersion {
		return fmt.Errorf("inventory %s of the simulated Azure has version %d, but this program reads version %d; remove it",
			c.options.StateFile, stored.Version, storeVersion)
	}
	for records, into := range map[*[]*Record]map[string]*Record{&stored.Resources: c.live, &stored.SoftDeleted: c.deleted} {
		for _, r := range *records {
			if err := c.unfit(r); err != nil {
				return fmt.Errorf("inventory %s of the simulated Azure %w; remove the file", c.options.StateFile, err)
			}
			if into[Key(r.ID)] != nil {
				return fmt.Errorf("inventory %s of the simulated Azure has %s twice; remove one", c.options.StateFile, r.ID)
			}
			into[Key(r.ID)] = r
		}
	}
	return nil
}

// unfit says why this program cannot have written a record of the state file, or returns nil.
func (c *Cloud) unfit(r *Record) error {
	if r == nil {
		return errors.New("has an empty entry")
	}
	d := c.registry.kindOf(r.Kind)
	if d == nil {
		return fmt.Errorf("has a %s, a type that it does not serve", r.Kind)
	}
	parsed, err := ParseID(r.ID)
	if err != nil {
		return fmt.Errorf("has a %s whose id is damaged: %w", r.Kind, err)
	}
	if r.Kind != d.Kind || !strings.EqualFold(parsed.Kind(), d.Kind) {
		return fmt.Errorf("has a %s with the id %s, which is that of another type", r.Kind, r.ID)
	}
	return nil
}

// save replaces the state file in one step. So a crash leaves either the old or the new inventory,
// complete. The caller holds the lock.
func (c *Cloud) save() error {
	if c.options.StateFile == "" {
		return nil
	}
	content, err := json.MarshalIndent(store{
		Version: storeVersion, Resources: Sorted(c.live), SoftDeleted: Sorted(c.deleted),
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("inventory of the simulated Azure cannot be written: %w", err)
	}
	if err := atomicfile.Write(c.options.StateFile, content); err != nil {
		return fmt.Errorf("inventory of the simulated Azure cannot be written: %w", err)
	}
	return nil
}

// Sorted returns records by the order of their keys.
func Sorted(records map[string]*Record) []*Record {
	result := make([]*Record, 0, len(records))
	for _, k := range slices.Sorted(maps.Keys(records)) {
		result = append(result, records[k])
	}
	return result
}
