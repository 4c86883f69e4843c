// Package support tells until when the versions are supported that the platform names. The dates
// are facts of others' documents, and are in docs/support-dates.yaml.
package support

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/docs"
)

const (
	// Notice is how many days before the end of a version its users are warned.
	Notice = 90
	// MaxAge is how many days old the reading of a source may be.
	MaxAge = 180
	// NoDate is what a row says whose source has no date.
	NoDate = "no date published"
)

// Book is what is known of the ends of versions.
type Book struct {
	// Sources are the documents, by the names that rows call them.
	Sources map[string]Source `yaml:"sources"`
	Rows    []Row             `yaml:"rows"`
	// Runtimes are what GitHub runs an action with, by the action and its major version, such as
	// actions/checkout@v7.
	Runtimes map[string]string `yaml:"runtimes"`
	// Shared are the folders in tools that pin several programs: the Go module of each program that
	// has a row, by its name.
	Shared map[string]map[string]string `yaml:"shared"`
	// Unwatched are the folders in tools whose programs have no row.
	Unwatched []string `yaml:"unwatched"`
}

// Source is a document that is not ours.
type Source struct {
	What string `yaml:"what"`
	URL  string `yaml:"url"`
	// Read is the day on which the document said so: that of the copy that was read.
	Read string `yaml:"read"`
}

// Row is one version, or a line of versions.
type Row struct {
	// What has the version, in the words of Named.
	What string `yaml:"what"`
	// Version is one exactly, or the beginning of those of a line: 1.26 is 1.26.8 too.
	Version string `yaml:"version"`
	// Ends is the first day without support, such as 2027-04-01, or NoDate.
	Ends string `yaml:"ends"`
	// Expected says that the source calls the day an estimate, that its schedule gives it, or that it
	// is the latest possible.
	Expected bool `yaml:"expected"`
	// Rule is how the source decides on the end.
	Rule   string `yaml:"rule"`
	Source string `yaml:"source"`
}

// Named is a version that an environment or a pin names.
type Named struct {
	What    string `json:"what"`
	Version string `json:"version,omitempty"`
}

// Ending is a version whose end is near, or was.
type Ending struct {
	Named

	// Ends is the first day without support, and Expected says that support may end earlier or later.
	Ends     string `json:"ends,omitempty"`
	Expected bool   `json:"expected,omitempty"`
	// Days is how many days are left: 0 on the day itself, and less after it.
	Days   int    `json:"days"`
	Rule   string `json:"rule,omitempty"`
	Source string `json:"source,omitempty"`
}

// Ended reports whether the day has come.
func (e Ending) Ended() bool { return e.Days <= 0 }

// When says on which day the version ends, and whether that is expected.
func (e Ending) When() string {
	if e.Expected {
		return e.Ends + ", expected"
	}
	return e.Ends
}

// Shipped returns the book that is part of the repository.
var Shipped = sync.OnceValues(func() (Book, error) { return Parse(docs.SupportDates) })

// Parse returns the book that is written in a text. It returns an error that names all mistakes.
func Parse(text []byte) (Book, error) {
	var b Book
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&b); err != nil {
		return Book{}, fmt.Errorf("the dates of support cannot be read: %w", err)
	}
	return b, b.check()
}

func (b Book) check() error {
	var mistakes []error
	mistake := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("the dates of support: "+format, args...))
	}
	cited := map[string]bool{}
	for i, row := range b.Rows {
		name := row.What + " " + row.Version
		if row.What == "" || row.Version == "" || row.Rule == "" {
			mistake("row %d (%s) lacks one of what, version and rule; write all three", i+1, name)
		}
		if _, err := time.Parse(time.DateOnly, row.Ends); err != nil && row.Ends != NoDate {
			mistake("%s ends %q; write a day like 2027-04-01, or %q", name, row.Ends, NoDate)
		}
		if row.Expected && row.Ends == NoDate {
			mistake("%s has no date that could be expected; leave expected out", name)
		}
		if _, ok := b.Sources[row.Source]; !ok {
			mistake("%s has the source %q, which is not under sources; add it", name, row.Source)
		}
		cited[row.Source] = true
		for _, other := range b.Rows[:i] {
			if other.What == row.What && (other.covers(row.Version) || row.covers(other.Version)) {
				mistake("%s and %s %s are rows of the same version; keep one", name, other.What, other.Version)
			}
		}
	}
	for name, source := range b.Sources {
		if source.What == "" || !strings.HasPrefix(source.URL, "https://") {
			mistake("the source %q lacks what it is, or a url with https; write both", name)
		}
		if _, err := time.Parse(time.DateOnly, source.Read); err != nil {
			mistake("the source %q was read on %q; write a day like 2026-11-30", name, source.Read)
		}
		if !cited[name] {
			mistake("no row has the source %q; remove it", name)
		}
	}
	return errors.Join(mistakes...)
}

func (r Row) covers(version string) bool {
	return version == r.Version || strings.HasPrefix(version, r.Version+".")
}

// Find returns the row of a version.
func (b Book) Find(n Named) (Row, bool) {
	at := slices.IndexFunc(b.Rows, func(r Row) bool { return r.What == n.What && r.covers(n.Version) })
	if at < 0 {
		return Row{}, false
	}
	return b.Rows[at], true
}

// Ending returns the versions that have so many days of support left at a moment, or fewer: the
// first to end first. A version without a date is not among them.
func (b Book) Ending(named []Named, at time.Time, within int) []Ending {
	var found []Ending
	for _, n := range named {
		row, ok := b.Find(n)
		if !ok || row.Ends == NoDate {
			continue
		}
		if left := -daysSince(row.Ends, at); left <= within {
			found = append(found, Ending{
				Named: n, Ends: row.Ends, Expected: row.Expected, Days: left, Rule: row.Rule, Source: b.Sources[row.Source].URL,
			})
		}
	}
	Sort(found)
	return found
}

// Sort puts those first that end first.
func Sort(endings []Ending) {
	slices.SortStableFunc(endings, func(a, b Ending) int {
		return cmp.Or(cmp.Compare(a.Ends, b.Ends), cmp.Compare(a.What, b.What), cmp.Compare(a.Version, b.Version))
	})
}

// Unknown returns the versions that have no row.
func (b Book) Unknown(named []Named) []Named {
	var unknown []Named
	for _, n := range named {
		if _, ok := b.Find(n); !ok {
			unknown = append(unknown, n)
		}
	}
	return unknown
}

// Old returns the sources of the versions that were read more than MaxAge days before a moment, the
// oldest first.
func (b Book) Old(named []Named, at time.Time) []Source {
	var old []Source
	for _, n := range named {
		row, ok := b.Find(n)
		if source := b.Sources[row.Source]; ok && daysSince(source.Read, at) > MaxAge && !slices.Contains(old, source) {
			old = append(old, source)
		}
	}
	slices.SortStableFunc(old, func(a, b Source) int { return cmp.Or(cmp.Compare(a.Read, b.Read), cmp.Compare(a.What, b.What)) })
	return old
}

// daysSince returns how many days of UTC a moment is after a day, which Parse has checked.
func daysSince(day string, at time.Time) int {
	from, _ := time.Parse(time.DateOnly, day)
	return int(at.UTC().Truncate(24*time.Hour).Sub(from) / (24 * time.Hour))
}
