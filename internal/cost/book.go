// Package cost computes what resources of Azure cost a month, by the prices of a book that is part
// of the repository. It knows what Azure counts for each type that infra registers, but no price: a
// meter without a price in the book is not priced, and never free.
package cost

import (
	"bytes"
	_ "embed" // the book
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// Everywhere is the region of a price that is the same in all regions.
const Everywhere = "global"

// Book is what Azure asks for what it counts.
type Book struct {
	// Currency is that of all prices.
	Currency    string            `yaml:"currency"`
	Sources     map[string]Source `yaml:"sources"`
	Assumptions Assumptions       `yaml:"assumptions"`
	Free        Free              `yaml:"free"`
	Meters      []Meter           `yaml:"meters"`
}

// Source is where prices can be read.
type Source struct {
	What string `yaml:"what"`
	URL  string `yaml:"url"`
}

// Assumptions are quantities that depend on use, and not on what is registered.
type Assumptions struct {
	EgressGB        Assumption `yaml:"egressGB"`
	EndpointGB      Assumption `yaml:"endpointGB"`
	LogsGBPerDay    Assumption `yaml:"logsGBPerDay"`
	VaultOperations Assumption `yaml:"vaultOperations"`
	DatabaseChange  Assumption `yaml:"databaseChange"`
}

// Assumption is a quantity, and what it is of.
type Assumption struct {
	Range `yaml:",inline"`

	What string `yaml:"what"`
}

// Free are the types, without the version of their API, that cost nothing by themselves.
type Free struct {
	Source string   `yaml:"source"`
	AsOf   string   `yaml:"asOf"`
	Types  []string `yaml:"types"`
}

// Meter is what Azure counts, and what one unit of it costs.
type Meter struct {
	Name   string  `yaml:"name"`
	Unit   string  `yaml:"unit"`
	Query  Query   `yaml:"query"`
	Prices []Price `yaml:"prices"`
}

// Price is that of a meter in a region.
type Price struct {
	Region string  `yaml:"region"`
	Price  float64 `yaml:"price"`
	// AsOf is the day on which the source had the price.
	AsOf   string `yaml:"asOf"`
	Source string `yaml:"source"`
}

//go:embed prices.yaml
var shipped []byte

// Shipped returns the book that is part of the repository.
var Shipped = sync.OnceValues(func() (Book, error) { return Parse(shipped) })

// Parse returns the book that is written in a text. It returns an error that names all mistakes.
func Parse(text []byte) (Book, error) {
	var b Book
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&b); err != nil {
		return Book{}, fmt.Errorf("the price book cannot be read: %w", err)
	}
	return b, b.check()
}

func (b Book) check() error {
	var mistakes []error
	mistake := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("the price book: "+format, args...))
	}
	sourced := func(name, source, day string) {
		if b.Sources[source].URL == "" {
			mistake("%s has the source %q, which is not under sources with a url; add it", name, source)
		}
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			mistake("%s has no day like 2026-01-31 in asOf, but %q", name, day)
		}
	}
	if b.Currency == "" {
		mistake("there is no currency; name it, such as USD")
	}
	sourced("free", b.Free.Source, b.Free.AsOf)
	seen := map[string]bool{}
	for _, m := range b.Meters {
		if m.Name == "" || m.Unit == "" || len(m.Prices) == 0 || seen[m.Name] {
			mistake("the meter %q needs a name of its own, a unit and a price", m.Name)
		}
		seen[m.Name] = true
		for i, p := range m.Prices {
			if p.Price <= 0 || p.Region == "" {
				mistake("the meter %q has no region and price above 0 in entry %d; remove an entry without", m.Name, i+1)
			}
			sourced(fmt.Sprintf("the meter %q", m.Name), p.Source, p.AsOf)
			if slices.ContainsFunc(m.Prices[:i], func(other Price) bool { return other.Region == p.Region }) {
				mistake("the meter %q has two prices of %s; keep one", m.Name, p.Region)
			}
		}
	}
	return errors.Join(mistakes...)
}

// find returns the price of a meter in a region: that of the region, one that holds everywhere, or
// the first that there is.
func (b Book) find(name, region string) (Meter, Price, bool) {
	for _, m := range b.Meters {
		if m.Name != name {
			continue
		}
		for _, wanted := range []string{region, Everywhere} {
			for _, p := range m.Prices {
				if p.Region == wanted {
					return m, p, true
				}
			}
		}
		return m, m.Prices[0], true
	}
	return Meter{}, Price{}, false
}
